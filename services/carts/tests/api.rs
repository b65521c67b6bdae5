//! The API on real stores: everything on PostgreSQL, and what the stores could tell apart on Redis too.
#![allow(clippy::unwrap_used)]

use emporium_carts::build;
use emporium_service_kit::stores::CARTS_STORE;
use emporium_service_kit::{Clock, ServiceName};
use emporium_test_kit::{Caller, Keys, TestService};
use serde_json::{Value, json};
use time::Duration;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

/// The service on the store of this URL; without one, on its own database.
async fn start(clock: Clock, store: Option<&str>) -> TestService {
    TestService::start(ServiceName::Carts, &Keys::default(), &[], clock, async |given| {
        let mut environment = given.clone();
        environment
            .stores
            .set(CARTS_STORE, store.unwrap_or_default().to_owned())?;
        build(&environment).await
    })
    .await
}

async fn started() -> (TestService, Caller) {
    let carts = start(Clock::System, None).await;
    let gateway = carts.as_caller(ServiceName::Gateway);
    (carts, gateway)
}

/// Each of these tests, once a store: `postgres::…`, `redis::…`.
macro_rules! on_each_store {
    ($($test:ident),+) => {
        mod postgres {
            $(#[tokio::test]
            async fn $test() {
                super::$test(None).await;
            })+
        }
        mod redis {
            $(#[tokio::test]
            async fn $test() {
                let Some(redis) = emporium_test_kit::stores::redis().await else { return };
                super::$test(Some(&redis.url)).await;
            })+
        }
    };
}

on_each_store!(
    a_cart_is_filled_changed_and_emptied,
    bad_input_changes_nothing,
    bad_purchases_change_nothing,
    a_full_cart_says_so,
    carts_merge_at_sign_in,
    carts_expire_after_their_last_write,
    the_operator_sees_the_store
);

fn cart(kind: &str) -> String {
    format!("/carts/{kind}/{}", Uuid::new_v4())
}

fn item(cart: &str) -> String {
    format!("{cart}/items/{}", Uuid::new_v4())
}

#[tokio::test]
async fn each_route_has_its_callers() {
    let (carts, gateway) = started().await;
    let (orders, payments) = (
        carts.as_caller(ServiceName::Orders),
        carts.as_caller(ServiceName::Payments),
    );
    let path = cart("user");
    carts
        .anonymous()
        .get(&path)
        .await
        .expect_problem(401, "service-token-required");
    payments
        .get(&path)
        .await
        .expect_problem(403, "caller-not-allowed");
    orders.get(&path).await.expect(200);
    gateway.get(&path).await.expect(200);
    orders
        .put(&item(&path), json!({"quantity": 1}))
        .await
        .expect_problem(403, "caller-not-allowed");
    orders
        .delete(&path)
        .await
        .expect_problem(403, "caller-not-allowed");
    orders
        .delete(&item(&path))
        .await
        .expect_problem(403, "caller-not-allowed");
    let merge = json!({"anonymous_id": Uuid::new_v4()});
    orders
        .post(&format!("{path}/merge"), merge)
        .await
        .expect_problem(403, "caller-not-allowed");
    let purchase = format!("{path}/purchases/{}", Uuid::new_v4());
    let bought = json!({"lines": [{"product_id": Uuid::new_v4(), "quantity": 1}]});
    gateway
        .post(&purchase, &bought)
        .await
        .expect_problem(403, "caller-not-allowed");
    orders.post(&purchase, &bought).await.expect(200);
    carts.anonymous().get("/health/ready").await.expect(200);
    carts.stop().await;
}

async fn a_cart_is_filled_changed_and_emptied(store: Option<&str>) {
    let carts = start(Clock::System, store).await;
    let gateway = carts.as_caller(ServiceName::Gateway);
    let path = cart("anonymous");
    let empty = gateway.get(&path).await.expect(200);
    assert_eq!((&empty["revision"], &empty["items"]), (&json!(0), &json!([])));
    assert_eq!(empty["kind"], "anonymous");
    assert!(empty.get("dropped").is_none());
    let (first, second) = (item(&path), item(&path));
    gateway.put(&first, json!({"quantity": 2})).await.expect(200);
    let both = gateway.put(&second, json!({"quantity": 999})).await.expect(200);
    assert_eq!(both["revision"], 2);
    assert!(
        first.ends_with(both["items"][0]["product_id"].as_str().unwrap()),
        "in order of coming"
    );
    assert_eq!(both, gateway.get(&path).await.expect(200));
    let one = gateway.put(&first, json!({"quantity": 0})).await.expect(200);
    assert_eq!(
        (&one["revision"], one["items"].as_array().unwrap().len()),
        (&json!(3), 1)
    );
    let none = gateway.delete(&second).await.expect(200);
    assert_eq!((&none["revision"], &none["items"]), (&json!(4), &json!([])));
    let again = gateway.delete(&second).await.expect(200);
    assert_eq!(again["revision"], 4, "deleting is idempotent");
    gateway.put(&first, json!({"quantity": 2})).await.expect(200);
    gateway.delete(&path).await.expect(204);
    gateway.delete(&path).await.expect(204);
    assert_eq!(gateway.get(&path).await.expect(200)["items"], json!([]));
    carts.stop().await;
}

async fn bad_input_changes_nothing(store: Option<&str>) {
    let carts = start(Clock::System, store).await;
    let gateway = carts.as_caller(ServiceName::Gateway);
    let path = cart("user");
    let line = item(&path);
    let before = gateway.put(&line, json!({"quantity": 5})).await.expect(200);
    for (body, status) in [
        (json!({"quantity": -1}), 422),
        (json!({"quantity": 1000}), 422),
        (json!({"quantity": 70_000}), 422),
        (json!({"quantity": i64::MAX}), 422),
        (json!({"quantity": 1e30}), 400),
        (json!({"quantity": 2.5}), 400),
        (json!({"quantity": "2"}), 400),
        (json!({"quantity": null}), 400),
        (json!({}), 400),
        (json!([]), 400),
        (json!(7), 400),
    ] {
        let answer = gateway.put(&line, &body).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text);
        assert_eq!(answer.content_type, "application/problem+json");
    }
    let raw = |text: &'static str| {
        gateway
            .request("PUT", &line)
            .header("content-type", "application/json")
            .body(text)
    };
    for text in ["", "{", "{\"quantity\": 99999999999999999999}", "\u{0}"] {
        let answer = emporium_test_kit::Reply::read(raw(text)).await;
        assert_eq!(answer.status, 400, "{text:?}: {}", answer.text);
    }
    for bad in [
        "/carts/user/nobody".to_owned(),
        cart("admin"),
        cart("User"),
        format!("{path}/items/%00"),
        format!("{path}/items/1%27%20OR%201=1"),
        format!("{path}/items/{}", "9".repeat(5_000)),
    ] {
        let answer = gateway.get(&bad).await;
        assert!(matches!(answer.status, 404 | 405), "{bad}: {}", answer.status);
        gateway.put(&bad, json!({"quantity": 1})).await;
    }
    let merge = format!("{path}/merge");
    for body in [
        json!({"anonymous_id": "x"}),
        json!({}),
        json!({"anonymous_id": 7}),
    ] {
        gateway.post(&merge, body).await.expect_problem(400, "bad-json");
    }
    gateway
        .post(
            &format!("{}/merge", cart("anonymous")),
            json!({"anonymous_id": Uuid::new_v4()}),
        )
        .await
        .expect_problem(404, "not-found");
    assert_eq!(before, gateway.get(&path).await.expect(200));
    carts.stop().await;
}

async fn bad_purchases_change_nothing(store: Option<&str>) {
    let carts = start(Clock::System, store).await;
    let gateway = carts.as_caller(ServiceName::Gateway);
    let path = cart("user");
    let line = item(&path);
    let before = gateway.put(&line, json!({"quantity": 5})).await.expect(200);
    let product = &before["items"][0]["product_id"];
    let orders = carts.as_caller(ServiceName::Orders);
    let saga = format!("{path}/purchases/{}", Uuid::new_v4());
    let many: Vec<Value> = (0..101)
        .map(|_| json!({"product_id": Uuid::new_v4(), "quantity": 1}))
        .collect();
    for (body, status) in [
        (json!({"lines": []}), 422),
        (json!({"lines": many}), 422),
        (json!({"lines": [{"product_id": product, "quantity": 0}]}), 422),
        (json!({"lines": [{"product_id": product, "quantity": -3}]}), 422),
        (
            json!({"lines": [{"product_id": product, "quantity": i64::MAX}]}),
            422,
        ),
        (json!({"lines": [{"product_id": product, "quantity": 1.5}]}), 400),
        (json!({"lines": [{"product_id": "x", "quantity": 1}]}), 400),
        (json!({"lines": {}}), 400),
    ] {
        let answer = orders.post(&saga, &body).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text);
    }
    let named_twice =
        json!({"lines": [{"product_id": product, "quantity": 2}, {"product_id": product, "quantity": 2}]});
    let after = orders.post(&saga, &named_twice).await.expect(200);
    assert_eq!(
        after["items"][0]["quantity"], 1,
        "the refused ones had not used up the saga"
    );
    carts.stop().await;
}

async fn a_full_cart_says_so(store: Option<&str>) {
    let carts = start(Clock::System, store).await;
    let gateway = carts.as_caller(ServiceName::Gateway);
    let path = cart("user");
    for _ in 0..100 {
        gateway
            .put(&item(&path), json!({"quantity": 1}))
            .await
            .expect(200);
    }
    gateway
        .put(&item(&path), json!({"quantity": 1}))
        .await
        .expect_problem(422, "cart-full");
    let whole = gateway.get(&path).await.expect(200);
    assert_eq!(
        (&whole["revision"], whole["items"].as_array().unwrap().len()),
        (&json!(100), 100)
    );
    let visitor = Uuid::new_v4();
    gateway
        .put(
            &item(&format!("/carts/anonymous/{visitor}")),
            json!({"quantity": 3}),
        )
        .await
        .expect(200);
    let merged = gateway
        .post(&format!("{path}/merge"), json!({"anonymous_id": visitor}))
        .await
        .expect(200);
    assert_eq!(merged["dropped"][0]["quantity"], 3);
    assert_eq!(merged["revision"], 100);
    carts.stop().await;
}

async fn carts_merge_at_sign_in(store: Option<&str>) {
    let carts = start(Clock::System, store).await;
    let gateway = carts.as_caller(ServiceName::Gateway);
    let (path, visitor) = (cart("user"), Uuid::new_v4());
    let visitors = format!("/carts/anonymous/{visitor}");
    let product = Uuid::new_v4();
    for (cart, quantity) in [(&path, 2), (&visitors, 3)] {
        let line = format!("{cart}/items/{product}");
        gateway
            .put(&line, json!({"quantity": quantity}))
            .await
            .expect(200);
    }
    gateway
        .put(&item(&visitors), json!({"quantity": 1}))
        .await
        .expect(200);
    let merge = json!({"anonymous_id": visitor});
    let merged = gateway.post(&format!("{path}/merge"), &merge).await.expect(200);
    assert_eq!(merged["items"].as_array().unwrap().len(), 2);
    assert_eq!(merged["items"][0]["quantity"], 5);
    assert_eq!(gateway.get(&visitors).await.expect(200)["revision"], 0);
    assert_eq!(
        gateway.post(&format!("{path}/merge"), &merge).await.expect(200),
        merged
    );
    carts.stop().await;
}

async fn carts_expire_after_their_last_write(store: Option<&str>) {
    let clock = Clock::manual(Clock::System.now());
    let carts = start(clock.clone(), store).await;
    let gateway = carts.as_caller(ServiceName::Gateway);
    let (visitor, customer) = (cart("anonymous"), cart("user"));
    for path in [&visitor, &customer] {
        gateway.put(&item(path), json!({"quantity": 1})).await.expect(200);
    }
    clock.advance(Duration::days(29));
    let line = item(&visitor);
    let slid = gateway.put(&line, json!({"quantity": 1})).await.expect(200);
    let expected = (clock.now() + Duration::days(30)).format(&Rfc3339).unwrap();
    assert_eq!(slid["expires_at"], expected.as_str());
    clock.advance(Duration::days(29));
    assert_eq!(gateway.get(&visitor).await.expect(200)["revision"], 2);
    clock.advance(Duration::days(1));
    assert_eq!(gateway.get(&visitor).await.expect(200)["revision"], 0);
    assert_eq!(gateway.get(&customer).await.expect(200)["revision"], 1);
    clock.advance(Duration::days(31));
    assert_eq!(gateway.get(&customer).await.expect(200)["items"], json!([]));
    carts.stop().await;
}

async fn the_operator_sees_the_store(store: Option<&str>) {
    let carts = start(Clock::System, store).await;
    let operator = carts.as_caller(ServiceName::Operator);
    let reports = operator.get("/stores").await.expect(200);
    let report = &reports[0];
    assert_eq!(
        (&report["role"], &report["setting"]),
        (&json!("store"), &json!(CARTS_STORE))
    );
    assert_eq!(
        report["adapter"],
        if store.is_some() { "redis" } else { "postgresql" }
    );
    let durability = report["durability"].as_str().unwrap();
    let lacks = report["lacks"].as_array().unwrap();
    let declared = lacks
        .iter()
        .any(|lack| lack["capability"] == "survives power loss");
    let is_lacking = store.is_some() && !durability.ends_with("appendfsync=always");
    assert_eq!(declared, is_lacking, "{report}");
    assert!(
        report["version"].is_string() && report["error"].is_null(),
        "{report}"
    );
    carts.stop().await;
}
