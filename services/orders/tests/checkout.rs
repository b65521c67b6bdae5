//! Checkout: the happy path, the refusals, keys and races.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::json;
use support::{Fault, Stage, assert_consistent, usual};
use uuid::Uuid;

#[tokio::test]
async fn an_order_is_confirmed_and_everything_is_where_it_belongs() {
    let stage = Stage::start(usual()).await;
    let ada = stage.shop.customer();
    let reply = stage.buy(ada, "tok_ok").await;
    let order = reply.clone().expect(201);
    assert_eq!(order["status"], "confirmed", "{order:#}");
    assert_eq!(order["total"], json!({"amount": 2_500, "currency": "GBP"}));
    assert_eq!(order["points"], 25);
    assert_eq!(order["lines"][0]["name"], "A brass lamp");
    assert_eq!(order["lines"][0]["line_total"]["amount"], 2_500);
    assert_eq!(order["shipping_address"]["city"], "York");
    assert_eq!(order["billing_address"], order["shipping_address"]);
    assert_consistent(&order, &stage.shop.traces(ada)[0]);
    let address = reply.headers["location"].to_str().unwrap().to_owned();
    assert_eq!(stage.gateway.get(&address).await.expect(200), order);
    let steps: Vec<&str> = order["timeline"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["step"].as_str().unwrap())
        .collect();
    assert_eq!(
        steps,
        [
            "place",
            "reserve-stock",
            "add-points",
            "charge",
            "commit-stock",
            "confirm",
            "confirm-points",
            "clear-cart"
        ]
    );
    let order_of_calls = stage.shop.operations(&order);
    assert_eq!(order_of_calls[..4], ["reserve", "points", "charge", "commit"]);
    let events = stage.gateway.get("/events").await.expect(200);
    let kinds: Vec<&str> = events["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["event"]["type"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["order.placed.v1", "order.confirmed.v1"]);
    let last = &events["items"][1]["event"];
    assert_eq!(last["data"]["version"], last["aggregateversion"]);
    assert_eq!(last["data"]["country"], "GB");
    stage.orders.stop().await;
}

#[tokio::test]
async fn the_same_key_a_hundred_times_at_once_is_one_order() {
    let stage = Stage::start(usual()).await;
    let ada = stage.shop.customer();
    let body = stage.body(ada, "tok_ok");
    let replies = futures::future::join_all((0..100).map(|_| stage.post(ada, "one-key", &body))).await;
    let mut bodies = std::collections::HashSet::new();
    for reply in replies {
        if reply.status == 201 {
            bodies.insert(reply.text);
        } else {
            assert_eq!(reply.headers["retry-after"], "1");
            // A very busy machine may also say that its pool of connections is.
            let code = reply.json["code"].as_str().unwrap();
            assert!(
                matches!(code, "request-in-progress" | "store-unavailable"),
                "{code}"
            );
        }
    }
    let again = emporium_test_kit::eventually("there is an answer", 20, async || {
        let reply = stage.post(ada, "one-key", &body).await;
        (reply.status == 201).then_some(reply)
    })
    .await;
    assert!(bodies.iter().all(|text| *text == again.text), "byte by byte");
    assert_eq!(stage.shop.traces(ada).len(), 1);
    assert_eq!(stage.shop.world().charges_asked, 1);
    let orders: i64 = sqlx::query_scalar("SELECT count(*) FROM orders_order")
        .fetch_one(&stage.orders.db())
        .await
        .unwrap();
    assert_eq!(orders, 1);
    stage.orders.stop().await;
}

#[tokio::test]
async fn one_cart_under_many_keys_is_one_order() {
    let stage = Stage::start(usual()).await;
    let ada = stage.shop.customer();
    let body = stage.body(ada, "tok_ok");
    let keys: Vec<String> = (0..30).map(|n| format!("key-{n}")).collect();
    let replies = futures::future::join_all(keys.iter().map(|key| stage.post(ada, key, &body))).await;
    let mut confirmed = 0;
    for reply in replies {
        match reply.status {
            201 => confirmed += 1,
            422 => drop(reply.expect_problem(422, "cart-empty")),
            503 => {}
            _ => drop(reply.expect_problem(409, "checkout-in-progress")),
        }
    }
    assert_eq!(confirmed, 1);
    assert_eq!(stage.shop.traces(ada).len(), 1);
    stage.buy(ada, "tok_ok").await.expect_problem(422, "cart-empty");
    stage.orders.stop().await;
}

/// One request reads the cart and is held up; meanwhile another one buys that cart, and its lines are taken out. Neither
/// unique index is in the way any more when the first one goes on.
#[tokio::test]
async fn a_cart_that_was_cleared_since_it_was_read_is_not_bought_again() {
    let stage = Stage::start(usual()).await;
    let ada = stage.shop.customer();
    stage.shop.faults(ada, "products", &[Fault::Slow]);
    let body = stage.body(ada, "tok_ok");
    let slow = stage.post(ada, "slow", &body);
    let fast = async {
        emporium_test_kit::eventually("the slow one has read the cart", 5, async || {
            stage.shop.world().faults[&(ada, "products")]
                .is_empty()
                .then_some(())
        })
        .await;
        stage.post(ada, "fast", &body).await
    };
    let (slow, fast) = tokio::join!(slow, fast);
    assert_eq!(fast.expect(201)["status"], "confirmed");
    slow.expect_problem(409, "checkout-in-progress");
    // It said "not now", so the key is free; now there is nothing to buy.
    stage
        .post(ada, "slow", &body)
        .await
        .expect_problem(422, "cart-empty");
    assert_eq!(stage.shop.traces(ada).len(), 1);
    stage.orders.stop().await;
}

#[tokio::test]
async fn refusals_are_answers_and_are_replayed() {
    let stage = Stage::start(usual()).await;
    let ada = stage.shop.customer();
    let mut body = stage.body(ada, "tok_ok");
    body["expected_total"] = json!({"amount": 1, "currency": "GBP"});
    let problem = stage
        .post(ada, "moved", &body)
        .await
        .expect_problem(409, "prices-moved");
    assert_eq!(problem["total"], json!({"amount": 2_500, "currency": "GBP"}));
    body["expected_total"] = json!({"amount": 2_500, "currency": "GBP"});
    stage
        .post(ada, "moved", &body)
        .await
        .expect_problem(422, "idempotency-key-reused");
    stage.shop.world().people.get_mut(&ada).unwrap().active = false;
    stage
        .post(ada, "blocked", &body)
        .await
        .expect_problem(403, "user-blocked");
    stage.shop.world().people.get_mut(&ada).unwrap().active = true;
    stage
        .post(ada, "blocked", &body)
        .await
        .expect_problem(403, "user-blocked");
    let product = stage.shop.world().people[&ada].cart[0].0;
    stage.shop.world().things.get_mut(&product).unwrap().archived = true;
    let problem = stage
        .post(ada, "archived", &body)
        .await
        .expect_problem(409, "product-unavailable");
    assert_eq!(problem["unavailable"], json!([product]));
    stage.shop.world().things.get_mut(&product).unwrap().archived = false;
    body["address_id"] = json!(Uuid::new_v4());
    stage
        .post(ada, "address", &body)
        .await
        .expect_problem(404, "not-found");
    body["address_id"] = json!(stage.shop.address(ada));
    body["billing_address_id"] = json!(Uuid::new_v4());
    stage
        .post(ada, "billing", &body)
        .await
        .expect_problem(404, "not-found");
    stage
        .post(Uuid::new_v4(), "nobody", &body)
        .await
        .expect_problem(404, "not-found");
    assert!(stage.shop.world().log.is_empty(), "nothing was asked of anybody");
    stage.orders.stop().await;
}

#[tokio::test]
async fn what_only_says_not_now_leaves_the_key_free() {
    let stage = Stage::start(usual()).await;
    let ada = stage.shop.customer();
    let body = stage.body(ada, "tok_ok");
    stage.shop.world().away.push("carts");
    let problem = stage
        .post(ada, "key", &body)
        .await
        .expect_problem(503, "service-unavailable");
    assert_eq!(problem["service"], "carts");
    stage.shop.world().away.clear();
    let order = stage.post(ada, "key", &body).await.expect(201);
    assert_eq!(order["status"], "confirmed");
    stage.orders.stop().await;
}

#[tokio::test]
async fn requests_that_cannot_be_read_are_4xx_and_use_no_key() {
    let stage = Stage::start(usual()).await;
    let ada = stage.shop.customer();
    let good = stage.body(ada, "tok_ok");
    let path = format!("/customers/{ada}/orders");
    stage
        .gateway
        .post(&path, &good)
        .await
        .expect_problem(400, "idempotency-key-missing");
    let raw = async |text: String| {
        let request = stage.gateway.request("POST", &path);
        let request = request.header("idempotency-key", "key");
        emporium_test_kit::Reply::read(request.header("content-type", "application/json").body(text)).await
    };
    let with = |name: &str, value: serde_json::Value| {
        let mut body = good.clone();
        body[name] = value;
        body.to_string()
    };
    for (text, status) in [
        ("{".to_owned(), 400),
        ("[]".to_owned(), 400),
        (with("address_id", json!("x")), 400),
        (with("price", json!(1)), 400),
        (with("total", json!({"amount": 1, "currency": "GBP"})), 400),
        (
            with("expected_total", json!({"amount": 1e30, "currency": "GBP"})),
            400,
        ),
        (
            with("expected_total", json!({"amount": 1, "currency": "pounds"})),
            400,
        ),
        (with("payment_token", json!("")), 422),
        (with("payment_token", json!("tok\u{0}ok")), 422),
        (with("payment_token", json!("x".repeat(201))), 422),
        (format!("{{\"a\":\"{}\"}}", "x".repeat(300_000)), 413),
    ] {
        let reply = raw(text.clone()).await;
        assert_eq!(reply.status, status, "{text:.80}: {}", reply.text);
        assert_eq!(reply.content_type, "application/problem+json");
    }
    let long = stage
        .gateway
        .request("POST", &path)
        .header("idempotency-key", "k".repeat(256));
    emporium_test_kit::Reply::read(long.json(&good))
        .await
        .expect_problem(400, "bad-idempotency-key");
    stage.post(ada, "key", &good).await.expect(201);
    stage.orders.stop().await;
}

#[tokio::test]
async fn keys_are_per_customer_and_last_a_day() {
    let start = time::macros::datetime!(2030-03-01 12:00 UTC);
    let clock = emporium_service_kit::Clock::manual(start);
    let stage = Stage::start_at(usual(), clock.clone()).await;
    let (ada, bob) = (stage.shop.customer(), stage.shop.customer());
    let first = stage
        .post(ada, "key", &stage.body(ada, "tok_ok"))
        .await
        .expect(201);
    let other = stage
        .post(bob, "key", &stage.body(bob, "tok_ok"))
        .await
        .expect(201);
    assert_ne!(first["id"], other["id"]);
    clock.advance(time::Duration::hours(24) - time::Duration::seconds(1));
    let again = stage
        .post(ada, "key", &stage.body(ada, "tok_ok"))
        .await
        .expect(201);
    assert_eq!(again, first);
    clock.advance(time::Duration::seconds(1));
    // Forgotten: the request is new, and the cart is empty by now.
    let body = stage.body(ada, "tok_decline");
    stage
        .post(ada, "key", &body)
        .await
        .expect_problem(422, "cart-empty");
    stage.orders.stop().await;
}
