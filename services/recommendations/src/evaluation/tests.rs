//! The conventions, on baskets that can be counted by hand.

use std::collections::BTreeSet;

use time::Duration;
use time::macros::{date, datetime};

use super::*;

const DAY: OffsetDateTime = datetime!(2011-06-01 9:00 UTC);

fn basket(customer: &str, invoice: &str, days: i64, goods: &str) -> Basket {
    Basket {
        customer: customer.to_owned(),
        invoice: invoice.to_owned(),
        at: DAY + Duration::days(days),
        goods: goods.split_whitespace().map(str::to_owned).collect(),
    }
}

/// a: 4 baskets, b: 3, c: 2, d: 2, e: 1.
fn history() -> Vec<Basket> {
    vec![
        basket("1", "100", 0, "a b"),
        basket("1", "101", 1, "a c"),
        basket("2", "102", 2, "a b d"),
        basket("2", "103", 3, "b c"),
        basket("3", "104", 4, "a d e"),
        // From the split on.
        basket("1", "202", 9, "d x a"),
        basket("1", "201", 9, "b c d"),
        basket("2", "203", 30, "a b"),
        basket("4", "204", 9, "a"),
    ]
}

fn split() -> Split {
    Split::at(history(), date!(2011 - 06 - 10))
}

#[test]
fn goods_start_with_five_digits() {
    assert_eq!(code(" 85123a "), Some("85123A".to_owned()));
    for no in ["POST", "1234", "", "DOT", "C2", "12a45"] {
        assert_eq!(code(no), None);
    }
}

#[test]
fn the_next_basket_is_the_first_from_midnight_on() {
    let split = split();
    assert_eq!(split.train.len(), 5);
    let customers: Vec<&str> = split.tests.iter().map(|test| test.customer.as_str()).collect();
    assert_eq!(customers, ["1", "2"], "3 does not come back, 4 is not known");
    let first = &split.tests[0];
    assert_eq!(
        first.next,
        BTreeSet::from(["b", "c", "d"].map(str::to_owned)),
        "invoice 201"
    );
    assert_eq!(first.past["a"], 2);
    assert_eq!(first.truth(Scope::New), BTreeSet::from(["d"]));
    assert!(
        split.tests[1].result(Scope::New, &[]).is_none(),
        "nothing new in it"
    );
    // Midnight itself is after the split.
    let midnight = Basket {
        at: datetime!(2011-06-10 0:00 UTC),
        ..basket("3", "300", 0, "a")
    };
    assert_eq!(
        Split::at([history(), vec![midnight]].concat(), date!(2011 - 06 - 10))
            .tests
            .len(),
        3
    );
}

#[test]
fn lists_are_those_of_the_definitions() {
    let split = split();
    let baselines = Baselines::of(&split.train);
    let list = |method, scope| baselines.list(method, scope, &split.tests[0]).join("");
    // c and d have two baskets each: the code decides.
    assert_eq!(list(Method::Popularity, Scope::All), "abcde");
    assert_eq!(list(Method::Popularity, Scope::New), "de");
    // Past a, b, c. a: ab 2 + ac 1 = 3; b: ba 2 + bc 1 = 3; c: ca 1 + cb 1 = 2; d: da 2 + db 1 = 3; e: ea 1.
    assert_eq!(list(Method::Raw, Scope::All), "abdce");
    // a: 2/√12 + 1/√8 = 0.931; b: 2/√12 + 1/√6 = 0.986; c: 1/√8 + 1/√6 = 0.762; d: 2/√8 + 1/√6 = 1.115; e: 1/√4 = 0.5.
    assert_eq!(list(Method::Cosine, Scope::All), "dbace");
    assert_eq!(list(Method::Cosine, Scope::New), "de");
    // a 2, b 1, c 1, and the rest by popularity.
    assert_eq!(list(Method::OwnRepeats, Scope::All), "abcde");
}

#[test]
fn figures_are_means_with_standard_errors() {
    let test = &split().tests[0];
    let list = ["d", "a", "b", "x"].map(str::to_owned);
    let new = test.result(Scope::New, &list).unwrap();
    assert_eq!((new.recall, new.hit), (1.0, true));
    let all = test.result(Scope::All, &list).unwrap();
    assert!((all.recall - 2.0 / 3.0).abs() < 1e-12);
    // Only the first ten count.
    let late: Vec<String> = (0..10).map(|n| n.to_string()).chain(["d".to_owned()]).collect();
    assert!(!test.result(Scope::New, &late).unwrap().hit);
    let results = [1.0, 0.0, 0.5, 0.5].map(|recall| ListResult {
        recall,
        hit: recall > 0.0,
    });
    let figures = Figures::of(&results);
    assert_eq!(
        (figures.recall, figures.hit_rate, figures.customers),
        (0.5, 0.75, 4)
    );
    assert!((figures.recall_se - (0.5_f64 / 3.0 / 4.0).sqrt()).abs() < 1e-12);
    assert_eq!(Figures::of(&[]), Figures::default());
}
