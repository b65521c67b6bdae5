//! Nasty input: each gets a problem of its own, and nothing is changed.
#![allow(clippy::unwrap_used, clippy::too_many_lines)]

mod support;

use emporium_service_kit::ServiceName;
use serde_json::{Value, json};
use support::{create, format, gateway, mug, start};
use uuid::Uuid;

#[tokio::test]
async fn bad_input_is_the_callers_fault_and_changes_nothing() {
    let catalog = start().await;
    let (gateway, orders) = (gateway(&catalog), catalog.as_caller(ServiceName::Orders));
    let id = create(&gateway, "MUG-1", 5).await;
    let before = gateway.get(&format!("/products/{id}")).await.expect(200);
    let changed = |field: &str, value: Value| {
        let mut product = mug("MUG-X");
        product[field] = value;
        product
    };
    let long_list: serde_json::Map<String, Value> = (0..201).map(|n| (format!("k{n}"), json!(1))).collect();
    let bodies = [
        (changed("sku", json!("")), 422),
        (changed("sku", json!(" ")), 422),
        (changed("sku", json!("x".repeat(65))), 422),
        (changed("sku", json!("a\u{0}b")), 422),
        (changed("sku", json!(5)), 400),
        (changed("sku", Value::Null), 400),
        (changed("name", json!("x".repeat(301))), 422),
        (changed("name", json!("a\nb")), 422),
        (changed("description", json!("x".repeat(5_001))), 422),
        (changed("description", json!("a\u{0}b")), 422),
        (changed("category", json!("!!!")), 422),
        (changed("category", json!("x".repeat(101))), 422),
        (changed("category", json!("")), 422),
        (changed("brand", json!("")), 422),
        (changed("brand", json!("x".repeat(101))), 422),
        (changed("price", json!(5)), 400),
        (changed("price", json!({"amount": -1, "currency": "GBP"})), 422),
        (
            changed("price", json!({"amount": 1_000_000_001_i64, "currency": "GBP"})),
            422,
        ),
        (changed("price", json!({"amount": 1, "currency": "EUR"})), 422),
        (changed("price", json!({"amount": 1.5, "currency": "GBP"})), 400),
        (
            changed("price", json!({"amount": u64::MAX, "currency": "GBP"})),
            400,
        ),
        (changed("price", json!({"amount": 1, "currency": "pounds"})), 400),
        (changed("attributes", json!(long_list)), 422),
        (changed("attributes", json!({"k": "a\u{0}b"})), 422),
        (changed("attributes", json!({"a\u{0}b": 1})), 422),
        (changed("attributes", json!({"k": [1]})), 400),
        (changed("attributes", json!({"k": null})), 400),
        (changed("attributes", json!({"k": 1e300})), 422),
        (changed("attributes", json!({"": 1})), 422),
        (changed("attributes", json!([])), 400),
        (json!([]), 400),
        (json!("x"), 400),
    ];
    for (body, status) in bodies {
        let answer = gateway.post("/products", &body).await;
        assert_eq!(
            (answer.status, answer.content_type.as_str()),
            (status, "application/problem+json"),
            "{body}: {}",
            answer.text
        );
    }
    for text in ["", "{", "{\"sku\":\"\\ud800\"}", "{\"sku\":\"a\"", "null"] {
        let request = gateway
            .request("POST", "/products")
            .header("content-type", "application/json")
            .body(text);
        assert_eq!(
            emporium_test_kit::Reply::read(request).await.status,
            400,
            "{text}"
        );
    }
    let too_large = changed("description", json!("x".repeat(300_000)));
    gateway
        .post("/products", too_large)
        .await
        .expect_problem(413, "body-too-large");
    let stock = format!("/products/{id}/stock");
    for (body, status) in [
        (json!({"delta": 0}), 422),
        (json!({"delta": 1_000_001}), 422),
        (json!({"delta": -1_000_001}), 422),
        (json!({"delta": 1.5}), 400),
        (json!({"delta": u64::MAX}), 400),
        (json!({}), 400),
        (json!({"delta": 1, "reason": "a\u{0}"}), 422),
        (json!({"delta": 1, "reason": "x".repeat(201)}), 422),
    ] {
        assert_eq!(gateway.post(&stock, &body).await.status, status, "{body}");
    }
    let saga = format!("/reservations/{}", Uuid::now_v7());
    let (soon, line) = (
        format(time::Duration::minutes(5)),
        json!({"product_id": id, "quantity": 1}),
    );
    for (lines, expires_at, status) in [
        (json!([]), json!(soon), 422),
        (json!([{"product_id": id, "quantity": 0}]), json!(soon), 422),
        (json!([{"product_id": id, "quantity": -1}]), json!(soon), 422),
        (
            json!([{"product_id": id, "quantity": i64::MAX}]),
            json!(soon),
            422,
        ),
        (json!([line, line]), json!(soon), 422),
        (json!([line]), json!(format(time::Duration::hours(25))), 422),
        (json!([line]), json!("2020-01-01T00:00:00Z"), 422),
        (json!([line]), json!("9999-12-31T23:59:59Z"), 422),
        (json!([line]), json!("tomorrow"), 400),
        (json!([{"product_id": "x", "quantity": 1}]), json!(soon), 400),
        (
            json!([{"product_id": Uuid::nil(), "quantity": 1}]),
            json!(soon),
            409,
        ),
    ] {
        assert_eq!(
            orders
                .put(&saga, json!({"lines": lines, "expires_at": expires_at}))
                .await
                .status,
            status,
            "{lines} {expires_at}"
        );
    }
    let after = gateway.get(&format!("/products/{id}")).await.expect(200);
    assert_eq!(after, before);
    assert_eq!(gateway.get("/products").await.expect(200)["total"], 1);
    catalog.stop().await;
}

#[tokio::test]
async fn bad_queries_get_an_answer_and_never_a_failure() {
    let catalog = start().await;
    let gateway = gateway(&catalog);
    create(&gateway, "MUG-1", 5).await;
    let forged = |key: Value| {
        use base64::Engine;
        let text = json!({"k": key, "i": Uuid::nil()}).to_string();
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text)
    };
    for (path, status) in [
        (format!("/products?q={}", "a".repeat(10_000)), 422),
        (format!("/products?q={}", "%F0%9F%A6%80".repeat(501)), 422),
        (format!("/products?q={}", "%C3%A9".repeat(500)), 200),
        ("/products?q=a%00b".to_owned(), 422),
        ("/products?q=a%01b".to_owned(), 422),
        ("/products?q=%ff%fe".to_owned(), 200),
        ("/products?q='%20OR%201=1--".to_owned(), 200),
        ("/products?q=".to_owned(), 200),
        ("/products?q=!!!".to_owned(), 200),
        ("/products?limit=0".to_owned(), 422),
        ("/products?limit=101".to_owned(), 422),
        ("/products?limit=-1".to_owned(), 400),
        ("/products?limit=x".to_owned(), 400),
        ("/products?sort=best".to_owned(), 400),
        ("/products?price_min=-1".to_owned(), 422),
        ("/products?price_max=99999999999999999999".to_owned(), 400),
        ("/products?in_stock=maybe".to_owned(), 400),
        ("/products?cursor=zzz".to_owned(), 400),
        (format!("/products?cursor={}", "a".repeat(2_000)), 422),
        ("/products?attr=colour".to_owned(), 422),
        ("/products?attr=a:b%00".to_owned(), 422),
        ("/products?attr=a:b%0Ac".to_owned(), 422),
        (format!("/products?{}", "attr=a:b&".repeat(11)), 422),
        ("/products?q=a&q=b".to_owned(), 400),
        (
            format!("/products?sort=name&cursor={}", forged(json!({"name": "a\u{0}"}))),
            400,
        ),
        (
            format!(
                "/products?sort=newest&cursor={}",
                forged(json!({"newest": i64::MIN}))
            ),
            400,
        ),
        (
            format!(
                "/products?sort=newest&cursor={}",
                forged(json!({"newest": 253_402_300_799_000_000_i64}))
            ),
            200,
        ),
        (
            format!(
                "/products?sort=price_asc&cursor={}",
                forged(json!({"price_asc": i64::MAX}))
            ),
            200,
        ),
        (
            format!(
                "/products?q=mug&cursor={}",
                forged(json!({"relevance": [i64::MIN, [1.0]]}))
            ),
            200,
        ),
        (
            format!(
                "/products?q=mug&cursor={}",
                forged(json!({"relevance": [1, [0.5, 0.5]]}))
            ),
            400,
        ),
        (
            format!(
                "/products?q=mug&cursor={}",
                forged(json!({"relevance": [1, [1e300]]}))
            ),
            400,
        ),
        (format!("/suggest?q={}", "a".repeat(501)), 422),
        ("/suggest?q=%27%3Bdrop".to_owned(), 200),
        ("/suggest".to_owned(), 200),
        ("/suggest?q=a&limit=11".to_owned(), 422),
        ("/products/not-an-id".to_owned(), 404),
        ("/events?limit=1001".to_owned(), 422),
        ("/dead-letters".to_owned(), 200),
    ] {
        let answer = gateway.get(&path).await;
        let shown: String = path.chars().take(80).collect();
        assert_eq!(answer.status, status, "{shown}: {}", answer.text);
    }
    gateway
        .post("/dead-letters/7/replay", json!({}))
        .await
        .expect_problem(404, "not-found");
    catalog.stop().await;
}
