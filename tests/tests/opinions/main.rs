//! Reviews through the public API and on the pages: who may say what, what it counts for, who sees it, and that nothing
//! that anybody writes does harm. On PostgreSQL alone and on the specialised stores.
#![allow(clippy::unwrap_used)]

mod hidden;
mod nasty;

use emporium_test_kit::{Caller, Reply, eventually};
use emporium_tests::customer::text;
use emporium_tests::{Admin, Customer, ShopProcess};
use serde_json::{Value, json};
use uuid::Uuid;

use hidden::a_hidden_review_is_nowhere_and_counts_for_nothing;
use nasty::{
    strange_questions_are_answered_in_order, what_is_not_acceptable_is_refused_whole,
    whatever_is_written_is_shown_as_text,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_shop-under-test");

// Shared shops: each test has customers and products of its own.
emporium_tests::on_both_sets!(
    super::PROGRAM,
    [
        what_was_bought_is_marked_and_one_customer_reviews_once,
        votes_count_once_each_and_never_for_oneself,
        the_seller_answers_and_nobody_else_does,
        a_hidden_review_is_nowhere_and_counts_for_nothing,
        an_edit_needs_the_version_that_was_read,
        what_is_not_acceptable_is_refused_whole,
        whatever_is_written_is_shown_as_text,
        strange_questions_are_answered_in_order,
    ]
);

fn reviews_of(product: &str) -> String {
    format!("/api/products/{product}/reviews")
}

fn opinion(rating: i64, title: &str) -> Value {
    json!({ "rating": rating, "title": title, "text": format!("{title}. That is all there is to say.") })
}

async fn post(who: &Customer, product: &str, rating: i64, title: &str) -> Value {
    let reply = who.api.post(&reviews_of(product), opinion(rating, title)).await;
    let place = reply.headers["location"].to_str().unwrap().to_owned();
    let review = reply.expect(201);
    assert_eq!(place, format!("{}/{}", reviews_of(product), text(&review["id"])));
    review
}

/// A product's reviews as somebody sees them.
async fn list(who: &Caller, product: &str) -> Value {
    who.get(&reviews_of(product)).await.expect(200)
}

fn titles(list: &Value) -> Vec<String> {
    let mut titles: Vec<String> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| text(&one["title"]))
        .collect();
    titles.sort();
    titles
}

fn find<'a>(list: &'a Value, title: &str) -> &'a Value {
    let found = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["title"] == title);
    found.unwrap_or_else(|| panic!("no {title:?} in {list}"))
}

/// What the summary counts.
fn counted(list: &Value) -> Value {
    let summary = &list["summary"];
    json!({ "count": summary["count"], "histogram": summary["histogram"], "verified": summary["verified"] })
}

/// The HTML of a product's page.
async fn page(who: &Caller, product: &str) -> String {
    let reply = who.get(&format!("/products/{product}")).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert!(
        reply.content_type.starts_with("text/html"),
        "{}",
        reply.content_type
    );
    reply.text
}

async fn buy(who: &Customer, product: &str) {
    let address = who.add_address().await;
    who.put(product, 1).await;
    let order = who.order(&address, "tok_ok").await.expect(201);
    assert_eq!(order["status"], "confirmed", "{order}");
}

/// Waits for the mark; gives the list as it is after that. The summary was asked for beside the list which has the mark, and may
/// be the older of the two; the next one has the mark, since one transaction writes both.
async fn becomes_verified(who: &Caller, product: &str, title: &str) -> Value {
    eventually("the purchase arrives at the reviews", 20, async || {
        let list = list(who, product).await;
        (find(&list, title)["verified"] == true).then_some(())
    })
    .await;
    list(who, product).await
}

async fn what_was_bought_is_marked_and_one_customer_reviews_once(shop: &ShopProcess) {
    let admin = Admin::of(shop).await;
    let product = admin.product("Kettle with opinions", 3_900, 10).await;
    let (ada, bob, cyd) = (
        Customer::sign_up(shop).await,
        Customer::sign_up(shop).await,
        Customer::sign_up(shop).await,
    );
    let visitor = shop.visitor();
    let none = list(&visitor, &product).await;
    assert_eq!(
        (
            &none["items"],
            &none["summary"]["count"],
            &none["summary"]["average"]
        ),
        (&json!([]), &json!(0), &Value::Null)
    );
    // Cyd has an opinion before the purchase; the mark comes with the purchase all the same.
    post(&cyd, &product, 2, "Before I had it").await;
    buy(&ada, &product).await;
    let first = post(&ada, &product, 5, "Boils well").await;
    assert_eq!(
        (&first["own"], &first["state"], &first["author_name"]),
        (&json!(true), &json!("visible"), &json!("Ada Example"))
    );
    post(&bob, &product, 3, "Seen at a friend's").await;
    let seen = becomes_verified(&visitor, &product, "Boils well").await;
    assert_eq!(
        titles(&seen),
        ["Before I had it", "Boils well", "Seen at a friend's"],
        "each shows at once"
    );
    // Whatever was published by then is in it, and Bob's purchase is not: there was none.
    assert_eq!(find(&seen, "Seen at a friend's")["verified"], false);
    assert_eq!(find(&seen, "Before I had it")["verified"], false);
    assert_eq!(find(&seen, "Boils well")["own"], false, "a visitor has none");
    buy(&cyd, &product).await;
    let seen = becomes_verified(&visitor, &product, "Before I had it").await;
    assert_eq!(find(&seen, "Seen at a friend's")["verified"], false);
    assert_eq!(
        counted(&seen),
        json!({ "count": 3, "histogram": [0, 1, 1, 0, 1], "verified": 2 })
    );
    let average = seen["summary"]["average"].as_f64().unwrap();
    assert!((average - 10.0 / 3.0).abs() < 0.051, "{average}");
    // Each has one.
    let again = ada
        .api
        .post(&reviews_of(&product), opinion(1, "Changed my mind"))
        .await;
    let problem = again.expect_problem(409, "already-reviewed");
    assert_eq!(problem["review_id"], first["id"]);
    let dan = Customer::sign_up(shop).await;
    let (path, rating) = (reviews_of(&product), |n: i64| 1 + n % 5);
    let rush = (0..12).map(|n| dan.api.post(&path, opinion(rating(n), "In a rush")));
    let replies: Vec<Reply> = futures::future::join_all(rush).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 201).count(), 1);
    assert!(replies.iter().all(|reply| matches!(reply.status, 201 | 409)));
    let seen = list(&visitor, &product).await;
    assert_eq!((titles(&seen).len(), &seen["summary"]["count"]), (4, &json!(4)));
    let html = page(&visitor, &product).await;
    assert_eq!(html.matches("Verified purchase</span>").count(), 2, "{html}");
    let only = visitor
        .get(&format!("{}?verified=true", reviews_of(&product)))
        .await
        .expect(200);
    assert_eq!(titles(&only), ["Before I had it", "Boils well"]);
}

async fn votes_count_once_each_and_never_for_oneself(shop: &ShopProcess) {
    let admin = Admin::of(shop).await;
    let product = admin.product("Lamp with votes", 2_500, 10).await;
    let (ada, bob, cyd) = (
        Customer::sign_up(shop).await,
        Customer::sign_up(shop).await,
        Customer::sign_up(shop).await,
    );
    let review = post(&ada, &product, 4, "Bright").await;
    post(&bob, &product, 2, "Dim").await;
    let vote = format!("{}/{}/vote", reviews_of(&product), text(&review["id"]));
    let helpful = json!({ "helpful": true });
    shop.visitor()
        .put(&vote, &helpful)
        .await
        .expect_problem(401, "sign-in-required");
    ada.api
        .put(&vote, &helpful)
        .await
        .expect_problem(403, "own-review");
    ada.api.delete(&vote).await.expect_problem(403, "own-review");
    let votes = |helpful: i64, unhelpful: i64, own: Value| json!({ "helpful": helpful, "unhelpful": unhelpful, "own_vote": own });
    for _ in 0..3 {
        assert_eq!(
            bob.api.put(&vote, &helpful).await.expect(200),
            votes(1, 0, json!(true)),
            "again is the same"
        );
    }
    let at_once = futures::future::join_all((0..8).map(|_| cyd.api.put(&vote, &helpful))).await;
    assert!(at_once.iter().all(|reply| reply.status == 200));
    assert_eq!(
        cyd.api.put(&vote, &helpful).await.expect(200),
        votes(2, 0, json!(true)),
        "each counts once"
    );
    assert_eq!(
        bob.api.put(&vote, json!({ "helpful": false })).await.expect(200),
        votes(1, 1, json!(false))
    );
    let seen = |list: &Value| find(list, "Bright")["own_vote"].clone();
    assert_eq!(seen(&list(&bob.api, &product).await), json!(false));
    assert_eq!(seen(&list(&cyd.api, &product).await), json!(true));
    assert_eq!(seen(&list(&ada.api, &product).await), Value::Null);
    assert_eq!(seen(&list(&shop.visitor(), &product).await), Value::Null);
    for _ in 0..2 {
        assert_eq!(
            bob.api.delete(&vote).await.expect(200),
            votes(1, 0, Value::Null),
            "taken back"
        );
    }
    let first = list(&shop.visitor(), &product).await["items"][0]["title"].clone();
    assert_eq!(first, "Bright", "the helpful one comes first");
    for body in [
        json!({}),
        json!({ "helpful": "yes" }),
        json!({ "helpful": 1 }),
        json!({ "helpful": null }),
        json!({ "helpful": true, "times": 9 }),
    ] {
        let reply = bob.api.put(&vote, &body).await;
        assert!((400..423).contains(&reply.status), "{body}: {}", reply.text);
    }
    let nowhere = format!("{}/{}/vote", reviews_of(&product), Uuid::new_v4());
    bob.api
        .put(&nowhere, &helpful)
        .await
        .expect_problem(404, "not-found");
    let another = admin.product("Another lamp", 2_500, 1).await;
    let misplaced = format!("{}/{}/vote", reviews_of(&another), text(&review["id"]));
    bob.api
        .put(&misplaced, &helpful)
        .await
        .expect_problem(404, "not-found");
    assert_eq!(
        bob.api.put(&vote, &helpful).await.expect(200),
        votes(2, 0, json!(true)),
        "nothing else counted"
    );
}

async fn the_seller_answers_and_nobody_else_does(shop: &ShopProcess) {
    let admin = Admin::of(shop).await;
    let product = admin.product("Chair with answers", 8_000, 10).await;
    let (ada, bob) = (Customer::sign_up(shop).await, Customer::sign_up(shop).await);
    let review = post(&ada, &product, 1, "Wobbles").await;
    let answer = format!("{}/{}/answer", reviews_of(&product), text(&review["id"]));
    let said = |words: &str| json!({ "text": words });
    shop.visitor()
        .put(&answer, said("Me?"))
        .await
        .expect_problem(401, "sign-in-required");
    for customer in [&ada, &bob] {
        customer
            .api
            .put(&answer, said("I am the seller"))
            .await
            .expect_problem(403, "administrators-only");
        customer
            .api
            .delete(&answer)
            .await
            .expect_problem(403, "administrators-only");
    }
    admin
        .api
        .put(&answer, said("Please tighten <b>all</b> screws."))
        .await
        .expect(201);
    for words in [
        "Please tighten <i>four</i> screws.",
        "Please tighten <i>four</i> screws.",
    ] {
        let answered = admin.api.put(&answer, said(words)).await.expect(200);
        let answers = answered["answers"].as_array().unwrap();
        assert_eq!(
            (answers.len(), &answers[0]["text"]),
            (1, &json!(words)),
            "there is one"
        );
    }
    let html = page(&shop.visitor(), &product).await;
    assert!(
        html.contains("Answer from the shop") && html.contains("four"),
        "{html}"
    );
    assert!(!html.contains("<i>four"), "{html}");
    for words in ["", " \n ", "a\0b", "turned \u{202E} round", &"x".repeat(4_001)] {
        admin
            .api
            .put(&answer, said(words))
            .await
            .expect_problem(422, "invalid");
    }
    let seen = list(&bob.api, &product).await;
    assert_eq!(
        find(&seen, "Wobbles")["answers"][0]["text"],
        "Please tighten <i>four</i> screws."
    );
    for _ in 0..2 {
        assert_eq!(admin.api.delete(&answer).await.expect(200)["answers"], json!([]));
    }
    assert!(
        !page(&shop.visitor(), &product)
            .await
            .contains("Answer from the shop")
    );
}

async fn an_edit_needs_the_version_that_was_read(shop: &ShopProcess) {
    let admin = Admin::of(shop).await;
    let product = admin.product("Desk with second thoughts", 20_000, 10).await;
    let (ada, bob) = (Customer::sign_up(shop).await, Customer::sign_up(shop).await);
    let review = post(&ada, &product, 5, "First thought").await;
    let own = format!("{}/{}", reviews_of(&product), text(&review["id"]));
    let edit = |version: &Value, rating: i64, title: &str| {
        let mut body = opinion(rating, title);
        body["version"] = version.clone();
        body
    };
    bob.api
        .put(&own, edit(&review["version"], 1, "Taken over"))
        .await
        .expect_problem(404, "not-found");
    shop.visitor()
        .put(&own, edit(&review["version"], 1, "Taken over"))
        .await
        .expect_problem(401, "sign-in-required");
    let second = ada
        .api
        .put(&own, edit(&review["version"], 3, "Second thought"))
        .await
        .expect(200);
    assert!(
        second["version"].as_i64() > review["version"].as_i64(),
        "{second}"
    );
    let late = ada
        .api
        .put(&own, edit(&review["version"], 1, "From another tab"))
        .await;
    assert_eq!(
        late.expect_problem(409, "version-differs")["version"],
        second["version"]
    );
    let same = ada
        .api
        .put(&own, edit(&second["version"], 3, "Second thought"))
        .await
        .expect(200);
    assert_eq!(
        (&same["version"], &same["updated_at"]),
        (&second["version"], &second["updated_at"]),
        "again is the same"
    );
    let at_once = (0..6).map(|n| {
        let body = edit(&second["version"], 1 + n % 5, &format!("Thought {n} of a crowd"));
        let (api, own) = (&ada.api, &own);
        async move { api.put(own, body).await.status }
    });
    let statuses: Vec<u16> = futures::future::join_all(at_once).await;
    assert_eq!(
        statuses.iter().filter(|status| **status == 200).count(),
        1,
        "{statuses:?}"
    );
    assert_eq!(
        statuses.iter().filter(|status| **status == 409).count(),
        5,
        "{statuses:?}"
    );
    let seen = list(&bob.api, &product).await;
    let rating = seen["items"][0]["rating"].as_i64().unwrap();
    let place = usize::try_from(rating - 1).unwrap();
    assert_eq!(
        (&seen["summary"]["count"], &seen["summary"]["histogram"][place]),
        (&json!(1), &json!(1)),
        "{seen}"
    );
    ada.api
        .delete(&own)
        .await
        .expect_problem(405, "method-not-allowed");
}
