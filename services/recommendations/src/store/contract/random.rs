//! Random histories, delivered in any order, any number of times, to both generations differently: the generations are equal,
//! and the shelves are those of an in-memory oracle.

use std::collections::BTreeSet;

use emporium_event_bus::CloudEvent;
use emporium_test_kit::projection::Beside;
use futures::future::join_all;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use time::OffsetDateTime;
use uuid::Uuid;

use super::Store;
use super::history::{History, random};
use super::oracle::{Oracle, Scores};
use crate::model::{Reason, Scope, Suggestion};

/// How many histories; they share nothing but the time.
const SEQUENCES: u16 = 510;
/// So many are delivered together, mixed, before any of them is looked at.
const TOGETHER: u16 = 10;
/// After how many the generations are compared: their digests are of all that was applied by then.
const COMPARED_EVERY: u16 = 50;
/// Rounding to quanta, and the oracle has no eras.
const TOLERANCE: f64 = 1e-3;

pub async fn any_order_and_repetition_gives_the_same(store: Store) {
    let seed = emporium_test_kit::seed();
    let mut rng = StdRng::seed_from_u64(seed);
    let projection = store.projection();
    let beside = Beside::begin(&*projection, &["/orders"]).await;
    let (mut all, mut now) = (History::default(), None);
    for first in (0..SEQUENCES).step_by(usize::from(TOGETHER)) {
        let histories: Vec<History> = (first..first + TOGETHER)
            .map(|number| random(seed, number))
            .collect();
        let events: Vec<&CloudEvent> = histories.iter().flat_map(|history| &history.events).collect();
        beside.deliver(&events, &mut rng).await;
        let times = histories
            .iter()
            .flat_map(|history| history.orders.iter().map(|order| order.at));
        now = now.max(times.max());
        let checks = histories.iter().map(|history| {
            let rng = StdRng::seed_from_u64(rng.random());
            check(&store, history, now.unwrap(), rng)
        });
        join_all(checks).await;
        for history in histories {
            all.goods.extend(&history.goods);
            all.sold.extend(&history.sold);
            all.orders.extend(history.orders);
        }
        check_popular(&store, &all, now.unwrap()).await;
        let done = first + TOGETHER;
        if done.is_multiple_of(COMPARED_EVERY) {
            beside.are_equal(&format!("after {done} histories")).await;
        }
    }
    // What was built the other way is read now, and says the same.
    let comparison = beside.compare().await.unwrap();
    let stamp = store.popular(1).await.unwrap().stamp;
    let outcome = beside.switch(&comparison).await;
    assert_eq!((outcome.equal, outcome.tables.len()), (Some(true), 4));
    check_popular(&store, &all, now.unwrap()).await;
    assert_ne!(
        store.popular(1).await.unwrap().stamp,
        stamp,
        "kept shelves are of the old generation"
    );
    for table in &outcome.tables {
        assert!(
            table.rows_rebuilt > i64::from(SEQUENCES) / 4,
            "{table:?} is too little to tell anything"
        );
    }
}

fn near(value: f64, expected: f64) -> bool {
    (value - expected).abs() <= TOLERANCE * expected.abs()
}

/// The list has the best of the scores, in their order, as far as they can be told apart.
fn check_list(what: &str, items: &[Suggestion], scores: &Scores, limit: usize) {
    assert_eq!(
        items.len(),
        scores.len().min(limit),
        "{what}: {items:?} of {scores:?}"
    );
    let mut left = scores.clone();
    for item in items {
        let expected = left.remove(&item.product_id);
        assert!(
            expected.is_some_and(|score| near(item.score, score)),
            "{what}: {item:?} is {expected:?}"
        );
        let best = left.values().copied().fold(0.0, f64::max);
        assert!(
            best <= item.score * (1.0 + TOLERANCE),
            "{what}: {item:?} before {best}"
        );
    }
}

async fn check(store: &Store, history: &History, now: OffsetDateTime, mut rng: StdRng) {
    let rng = &mut rng;
    let oracle = Oracle { history, now };
    let limit = rng.random_range(1..10);
    let product = *history.goods.choose(rng).unwrap();
    let found = store.also_bought(product, limit).await.unwrap();
    check_list("also bought", &found.items, &oracle.also_bought(product), limit);
    for item in &found.items {
        let together = oracle.together(&BTreeSet::from([product]), item.product_id);
        assert_eq!((item.because, item.together), (Some(product), Some(together)));
    }
    let count = rng.random_range(1..=history.goods.len());
    let cart: Vec<Uuid> = history.goods.choose_multiple(rng, count).copied().collect();
    let found = store.bought_together(&cart, limit).await.unwrap();
    let cart = cart.into_iter().collect();
    check_list("together", &found.items, &oracle.bought_together(&cart), limit);
    check_customer(store, &oracle, *history.customers.choose(rng).unwrap(), limit).await;
}

async fn check_customer(store: &Store, oracle: &Oracle<'_>, customer: Uuid, limit: usize) {
    let found = store.buy_again(customer, limit).await.unwrap();
    check_list("again", &found.items, &oracle.buy_again(customer), limit);
    let past = oracle.past(customer);
    for (scope, scores) in [
        (Scope::New, oracle.for_you(customer)),
        (Scope::All, oracle.all_goods(customer)),
    ] {
        let found = store.for_you(customer, scope, limit).await.unwrap();
        let (filled, items): (Vec<_>, Vec<_>) = found
            .items
            .into_iter()
            .partition(|item| item.reason == Reason::Popular);
        let scores = if past.is_empty() { Scores::new() } else { scores };
        check_list(&format!("for you, {scope:?}"), &items, &scores, limit);
        for item in &items {
            check_reason(oracle, customer, item, &past);
        }
        for item in filled {
            let known = scores.contains_key(&item.product_id);
            assert!(
                !known && (scope == Scope::All || !past.contains(&item.product_id)),
                "{item:?}"
            );
        }
    }
}

fn check_reason(oracle: &Oracle<'_>, customer: Uuid, item: &Suggestion, past: &BTreeSet<Uuid>) {
    if past.contains(&item.product_id) {
        assert_eq!((item.reason, item.because), (Reason::BoughtBefore, None));
        return;
    }
    let part = |past: &Uuid| oracle.part(customer, *past, item.product_id);
    let most = past.iter().map(part).fold(0.0, f64::max);
    assert!(
        item.because
            .is_some_and(|because| part(&because) >= most * (1.0 - TOLERANCE)),
        "{item:?}"
    );
}

async fn check_popular(store: &Store, all: &History, now: OffsetDateTime) {
    let oracle = Oracle { history: all, now };
    let found = store.popular(50).await.unwrap();
    let popular = oracle.popular();
    let scores = popular.iter().map(|(good, (week, _))| (*good, *week)).collect();
    check_list("popular", &found.items, &scores, 50);
    // Of those that do not sell these days, those in most baskets are there, in that order.
    let shown: Vec<usize> = found
        .items
        .iter()
        .filter(|item| item.score == 0.0)
        .map(|item| popular[&item.product_id].1)
        .collect();
    let mut old: Vec<usize> = popular
        .values()
        .filter(|(week, _)| *week == 0.0)
        .map(|(_, baskets)| *baskets)
        .collect();
    old.sort_unstable_by(|a, b| b.cmp(a));
    assert_eq!(shown, old[..shown.len()]);
}
