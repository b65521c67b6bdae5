//! Nasty input gets a problem with the right status, and moves no money.

use emporium_test_kit::Reply;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Shop, gbp};

#[tokio::test]
async fn bodies_that_are_not_acceptable() {
    let shop = Shop::start().await;
    let saga = Uuid::now_v7();
    shop.put(saga, "tok_ok", 1_000).await.expect(200);
    let before = shop.get(saga).await.expect(200);
    let charge = |field: &str, value: Value| {
        let mut body =
            json!({"order_id": saga, "customer_id": saga, "amount": gbp(1), "payment_token": "tok_ok"});
        body[field] = value;
        body
    };
    let refund = |field: &str, value: Value| {
        let mut body = json!({"refund_id": Uuid::now_v7(), "amount": gbp(1), "reason": "r"});
        body[field] = value;
        body
    };
    let new = format!("/charges/{}", Uuid::now_v7());
    let refunds = format!("/charges/{saga}/refunds");
    let callback = format!("/provider/callbacks/{saga}");
    let cases: Vec<(&str, &str, Value, u16)> = vec![
        ("PUT", &new, charge("amount", gbp(-1)), 422),
        ("PUT", &new, charge("amount", gbp(1_000_000_000_001)), 422),
        ("PUT", &new, charge("amount", gbp(i64::MIN)), 422),
        (
            "PUT",
            &new,
            charge("amount", json!({"amount": 1e30, "currency": "GBP"})),
            400,
        ),
        (
            "PUT",
            &new,
            charge("amount", json!({"amount": 1, "currency": "gbp"})),
            400,
        ),
        (
            "PUT",
            &new,
            charge("amount", json!({"amount": 1, "currency": "G\u{0}P"})),
            400,
        ),
        ("PUT", &new, charge("amount", json!(1)), 400),
        ("PUT", &new, charge("payment_token", json!("")), 422),
        ("PUT", &new, charge("payment_token", json!("tok ok")), 422),
        ("PUT", &new, charge("payment_token", json!("tok_\u{0}")), 422),
        (
            "PUT",
            &new,
            charge("payment_token", json!("'; DROP TABLE payments_charge; --")),
            422,
        ),
        ("PUT", &new, charge("payment_token", json!("x".repeat(65))), 422),
        ("PUT", &new, charge("payment_token", json!(null)), 400),
        ("PUT", &new, charge("order_id", json!("1")), 400),
        ("PUT", &new, json!({}), 400),
        ("PUT", "/charges/1", charge("amount", gbp(1)), 404),
        ("POST", &refunds, refund("amount", gbp(0)), 422),
        ("POST", &refunds, refund("amount", gbp(-5)), 422),
        ("POST", &refunds, refund("amount", gbp(1_001)), 422),
        ("POST", &refunds, refund("amount", gbp(i64::MAX)), 422),
        ("POST", &refunds, refund("reason", json!("a\u{0}")), 422),
        ("POST", &refunds, refund("reason", json!("x".repeat(10_000))), 422),
        ("POST", &refunds, refund("refund_id", json!("x")), 400),
        ("POST", &callback, json!({"outcome": "maybe"}), 400),
        ("POST", &callback, json!({}), 400),
    ];
    for (method, path, body, expected) in cases {
        let caller = if path == callback {
            &shop.gateway
        } else {
            &shop.orders
        };
        let reply = Reply::read(caller.request(method, path).json(&body)).await;
        assert_eq!(reply.status, expected, "{method} {path} {body}: {}", reply.text);
        assert_eq!(reply.content_type, "application/problem+json");
    }
    for (path, status) in [
        ("/charges/%00", 404),
        ("/events?after=-1", 422),
        ("/events?after=9223372036854775807", 200),
        ("/events?after=99999999999999999999", 400),
    ] {
        let reply = shop.orders.get(path).await;
        assert_eq!(reply.status, status, "{path}: {}", reply.text);
    }
    assert_eq!(shop.get(saga).await.expect(200), before);
    assert_eq!(shop.books().await, [1_000, -1_000, 0, 0]);
    assert_eq!(shop.events(saga).await.len(), 1);
}
