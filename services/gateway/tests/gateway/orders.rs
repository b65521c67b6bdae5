//! Checkout and order history.

use serde_json::{Value, json};
use uuid::Uuid;
use wiremock::ResponseTemplate;

use crate::support::*;

fn checkout() -> Value {
    json!({ "address_id": id(7), "payment_token": "tok_ok", "expected_total": { "amount": 205, "currency": "GBP" } })
}

fn placed_at() -> String {
    format!("/customers/{CUSTOMER}/orders")
}

async fn place(shop: &Shop, key: Option<&str>, body: Value) -> emporium_test_kit::Reply {
    let bearer = format!("Bearer {CUSTOMER_TOKEN}");
    let mut headers = vec![("authorization", bearer.as_str())];
    headers.extend(key.map(|key| ("idempotency-key", key)));
    shop.send("POST", "/api/orders", &headers, Some(body)).await
}

#[tokio::test]
async fn a_checkout_is_relayed_with_its_key_and_its_status() {
    for status in [201, 202] {
        let shop = Shop::open().await;
        let answer = ResponseTemplate::new(status).set_body_json(order(1, Some(CUSTOMER), &[id(4)]));
        answers(&shop.orders, "POST", &placed_at(), answer).await;
        let reply = place(&shop, Some("key-1"), checkout()).await;
        let location = reply.headers["location"].to_str().unwrap().to_owned();
        assert_eq!(location, format!("/api/orders/{}", id(1)));
        let shown = reply.expect(status);
        for hidden in ["customer_id", "source", "reference"] {
            assert!(shown.get(hidden).is_none(), "{hidden}");
        }
        for field in [
            "id",
            "status",
            "fulfilment",
            "lines",
            "total",
            "refunded",
            "shipping_address",
            "billing_address",
            "placed_at",
            "reason",
            "number",
            "charges",
            "points",
        ] {
            assert!(shown.get(field).is_some(), "{field}");
        }
        assert_eq!(
            shown["lines"][0],
            json!({ "product_id": id(4), "sku": "S", "name": "name then", "quantity": 2,
                "unit_price": { "amount": 100, "currency": "GBP" }, "line_total": { "amount": 200, "currency": "GBP" } })
        );
        let sent = &requests(&shop.orders, "POST", &placed_at()).await[0];
        assert_eq!(sent.headers["idempotency-key"], "key-1");
        assert_eq!(sent.body_json::<Value>().unwrap(), checkout());
    }
}

#[tokio::test]
async fn a_replayed_answer_is_the_same_to_the_byte() {
    let shop = Shop::open().await;
    let first = order(1, Some(CUSTOMER), &[id(4), id(5)]);
    // The same document with its members in another order, as a store may give it back.
    let members = first.as_object().unwrap();
    let backwards: Vec<String> = members
        .iter()
        .rev()
        .map(|(key, value)| format!("{}:{value}", json!(key)))
        .collect();
    let backwards = format!("{{{}}}", backwards.join(","));
    let texts = [first.to_string(), backwards];
    let mut answers_given = Vec::new();
    for text in texts {
        shop.orders.reset().await;
        let answer = ResponseTemplate::new(202).set_body_raw(text, "application/json");
        answers(&shop.orders, "POST", &placed_at(), answer).await;
        let reply = place(&shop, Some("key-1"), checkout()).await;
        answers_given.push((reply.status, reply.text, reply.headers["location"].clone()));
    }
    assert_eq!(answers_given[0], answers_given[1]);
}

#[tokio::test]
async fn a_checkout_without_a_good_key_or_with_a_price_reaches_nobody() {
    let shop = Shop::open().await;
    place(&shop, None, checkout())
        .await
        .expect_problem(400, "idempotency-key-required");
    let long = "k".repeat(256);
    for bad in ["", "a b", &long] {
        place(&shop, Some(bad), checkout())
            .await
            .expect_problem(400, "bad-idempotency-key");
    }
    for (field, value) in [
        ("price", json!(1)),
        ("total", json!({ "amount": 1, "currency": "GBP" })),
        (
            "lines",
            json!([{ "product_id": id(1), "quantity": 1, "unit_price": 1 }]),
        ),
        ("customer_id", json!(id(1))),
    ] {
        let mut body = checkout();
        body[field] = value;
        place(&shop, Some("key"), body)
            .await
            .expect_problem(400, "bad-json");
    }
    assert!(shop.orders.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn refusals_of_the_orders_service_pass_through() {
    let shop = Shop::open().await;
    for (status, code) in [
        (403, "user-blocked"),
        (404, "not-found"),
        (409, "prices-moved"),
        (409, "request-in-progress"),
        (409, "checkout-in-progress"),
        (422, "cart-empty"),
        (422, "idempotency-key-reused"),
    ] {
        shop.orders.reset().await;
        let document = json!({ "status": status, "code": code, "detail": "d", "total": { "amount": 9, "currency": "GBP" } });
        let answer = ResponseTemplate::new(status).set_body_json(document);
        answers(&shop.orders, "POST", &placed_at(), answer).await;
        let shown = place(&shop, Some("key"), checkout())
            .await
            .expect_problem(status, code);
        assert_eq!(shown["total"]["amount"], 9, "extensions are kept");
    }
    // What the gateway itself did wrong, or the service, is not the customer's fault.
    for answer in [
        problem(403, "caller-not-allowed"),
        problem(500, "internal"),
        ResponseTemplate::new(200),
    ] {
        shop.orders.reset().await;
        answers(&shop.orders, "POST", &placed_at(), answer).await;
        place(&shop, Some("key"), checkout())
            .await
            .expect_problem(503, "service-failed");
    }
    goes_away(&shop.orders).await;
    let shown = place(&shop, Some("key"), checkout())
        .await
        .expect_problem(503, "service-unavailable");
    assert_eq!(shown["service"], "orders");
    let tries = requests(&shop.orders, "POST", &placed_at()).await.len();
    assert_eq!(tries, 1, "whoever holds the key repeats a checkout, nobody else");
}

#[tokio::test]
async fn customers_see_their_own_orders_only() {
    let shop = Shop::open().await;
    let page = json!({ "items": [order(1, Some(CUSTOMER), &[])], "next_cursor": "more" });
    answers(&shop.orders, "GET", &placed_at(), ok(&page)).await;
    let mut detail = order(1, Some(CUSTOMER), &[]);
    detail["timeline"] = json!([{ "step": "place", "state": "done", "at": AT, "detail": null }]);
    answers(
        &shop.orders,
        "GET",
        &format!("{}/{}", placed_at(), id(1)),
        ok(&detail),
    )
    .await;
    answers(
        &shop.orders,
        "GET",
        &format!("{}/{}", placed_at(), id(2)),
        problem(404, "not-found"),
    )
    .await;
    let list = shop
        .customer()
        .get("/api/orders?status=pending&cursor=a%2Bb&limit=5")
        .await
        .expect(200);
    assert_eq!(
        (&list["next_cursor"], &list["items"][0]["number"]),
        (&json!("more"), &json!("E-1"))
    );
    let asked = &requests(&shop.orders, "GET", &placed_at()).await[0];
    assert_eq!(asked.url.query(), Some("status=pending&cursor=a%2Bb&limit=5"));
    shop.customer()
        .get("/api/orders?status=&cursor=&limit=")
        .await
        .expect(200);
    let shown = shop
        .customer()
        .get(&format!("/api/orders/{}", id(1)))
        .await
        .expect(200);
    assert_eq!(shown["timeline"], detail["timeline"]);
    let other = format!("/api/orders/{}", id(2));
    shop.customer().get(&other).await.expect_problem(404, "not-found");
    shop.customer()
        .get("/api/orders/none")
        .await
        .expect_problem(404, "not-found");
    let other_id = Uuid::from_u128(3);
    assert!(
        requests(&shop.orders, "GET", &format!("/orders/{other_id}"))
            .await
            .is_empty()
    );
}
