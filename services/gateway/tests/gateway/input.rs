//! Bad input: a problem with the right status, and nothing reaches a service.

use emporium_test_kit::Reply;
use serde_json::json;

use crate::support::*;

const ID: &str = "01920000-0000-7000-8000-000000000001";

#[tokio::test]
async fn bad_bodies_are_refused_before_anything_is_called() {
    let shop = Shop::open().await;
    let long = "x".repeat(2_000);
    let cases: Vec<(&str, String, String, u16)> = [
        ("PUT", "/api/cart/items/{id}", r#"{"quantity":-1}"#, 422),
        ("PUT", "/api/cart/items/{id}", r#"{"quantity":1000}"#, 422),
        ("PUT", "/api/cart/items/{id}", r#"{"quantity":9223372036854775807}"#, 422),
        ("PUT", "/api/cart/items/{id}", r#"{"quantity":9223372036854775808}"#, 400),
        ("PUT", "/api/cart/items/{id}", r#"{"quantity":1e99}"#, 400),
        ("PUT", "/api/cart/items/{id}", r#"{"quantity":1.5}"#, 400),
        ("PUT", "/api/cart/items/{id}", r#"{"quantity":"1"}"#, 400),
        ("PUT", "/api/cart/items/{id}", r#"{"quantity":null}"#, 400),
        ("PUT", "/api/cart/items/{id}", r#"{"quantity":1,"unit_price":1}"#, 400),
        ("PUT", "/api/cart/items/{id}", r"{}", 400),
        ("PUT", "/api/cart/items/{id}", r"", 400),
        ("PUT", "/api/cart/items/{id}", r"{", 400),
        ("PUT", "/api/cart/items/1", r#"{"quantity":1}"#, 404),
        ("PUT", "/api/cart/items/%00", r#"{"quantity":1}"#, 404),
        ("PUT", "/api/cart/items/%ff", r#"{"quantity":1}"#, 404),
        ("POST", "/api/users", r#"{"email":"a\u0000@b.example","password":"p","name":"n"}"#, 422),
        ("POST", "/api/users", r#"{"email":"","password":"p","name":"n"}"#, 422),
        ("POST", "/api/users", r#"{"email":"a@b.example","password":"","name":"n"}"#, 422),
        ("POST", "/api/users", r#"{"email":"a@b.example","password":"p","name":" "}"#, 422),
        ("POST", "/api/users", r#"{"email":"a@b.example","password":"p","name":"{long}"}"#, 422),
        ("POST", "/api/users", r#"{"email":["a"],"password":"p","name":"n"}"#, 400),
        ("POST", "/api/users", r#"{"email":"a@b.example","password":"p"}"#, 400),
        ("POST", "/api/sessions", r#"{"email":"{long}","password":"p"}"#, 422),
        ("POST", "/api/sessions", r#"{"email":"a@b.example","password":"{long}"}"#, 422),
        ("POST", "/api/sessions", "\"\\ud800\"", 400),
        ("PATCH", "/api/me", r#"{"points":1000}"#, 400),
        ("PATCH", "/api/me", r#"{"email":"other@b.example"}"#, 400),
        ("PATCH", "/api/me", r#"{"name":"a\u0007b"}"#, 422),
        ("PATCH", "/api/me", r#"{"preferences":[]}"#, 400),
        ("POST", "/api/me/addresses", r#"{"street":"s\u0000","city":"c","postal_code":"p","country":"GB"}"#, 422),
        ("POST", "/api/me/addresses", r#"{"street":"{long}","city":"c","postal_code":"p","country":"GB"}"#, 422),
        ("PUT", "/api/me/addresses/{id}", r#"{"street":"s"}"#, 400),
        ("PUT", "/api/me/addresses/x/default", "", 404),
        ("DELETE", "/api/me/addresses/x", "", 404),
        ("POST", "/api/orders", r#"{"address_id":"{id}","payment_token":""}"#, 422),
        ("POST", "/api/orders", r#"{"address_id":"{id}","payment_token":"{long}"}"#, 422),
        ("POST", "/api/orders", r#"{"address_id":"{id}","payment_token":"a\u0000"}"#, 422),
        ("POST", "/api/orders", r#"{"address_id":"1","payment_token":"tok_ok"}"#, 400),
        ("POST", "/api/orders", r#"{"address_id":"{id}","payment_token":"tok_ok","expected_total":1}"#, 400),
        ("POST", "/api/orders", r#"{"address_id":"{id}","payment_token":"tok_ok","expected_total":{"amount":1,"currency":"pounds"}}"#, 400),
        ("PATCH", "/api/admin/users/{id}", r#"{"active":"no"}"#, 400),
        ("PATCH", "/api/admin/users/{id}", r#"{"active":true,"role":"admin"}"#, 400),
        ("PATCH", "/api/admin/users/1", r#"{"active":true}"#, 404),
        ("POST", "/api/admin/products/{id}/stock", r#"{"delta":99999999999999999999}"#, 400),
        ("POST", "/api/admin/products/{id}/stock", r#"{"delta":-9223372036854775808}"#, 422),
        ("POST", "/api/admin/products", r#"{"sku":"s","name":"n","category":"c","price":12.5}"#, 400),
        ("POST", "/api/admin/products", r#"{"sku":"\n","name":"n","category":"c","price":{"amount":1,"currency":"GBP"}}"#, 422),
        ("PATCH", "/api/admin/products/{id}", r#"{"stock":5}"#, 400),
        ("PATCH", "/api/admin/products/{id}", r#"{"brand":"a\u0000"}"#, 422),
        ("POST", "/api/admin/dead-letters/orders/99999999999999999999/replay", "", 404),
    ]
    .into_iter()
    .map(|(verb, at, body, status)| {
        (verb, at.replace("{id}", ID), body.replace("{id}", ID).replace("{long}", &long), status)
    })
    .collect();
    for (verb, at, body, status) in cases {
        let caller = if at.starts_with("/api/admin") {
            shop.admin()
        } else {
            shop.customer()
        };
        let request = caller
            .request(verb, &at)
            .header("content-type", "application/json")
            .header("idempotency-key", "k")
            .body(body.clone());
        let reply = Reply::read(request).await;
        assert_eq!(reply.status, status, "{verb} {at} {body}: {}", reply.text);
        assert_eq!(
            reply.content_type, "application/problem+json",
            "{verb} {at} {body}"
        );
        if status == 422 {
            assert!(
                !reply.json["errors"].as_array().unwrap().is_empty(),
                "{at} {body}"
            );
        }
    }
    for server in [
        &shop.users,
        &shop.catalog,
        &shop.carts,
        &shop.orders,
        &shop.payments,
    ] {
        let calls = server.received_requests().await.unwrap();
        assert!(calls.is_empty(), "{calls:?}");
    }
}

#[tokio::test]
async fn bad_queries_are_refused_before_anything_is_called() {
    let shop = Shop::open().await;
    let long = "x".repeat(10_000);
    for (at, status) in [
        (format!("/api/products?q={long}"), 422),
        (format!("/api/products?q={}", "%C3%A9".repeat(501)), 422),
        ("/api/products?q=a%00b".to_owned(), 422),
        ("/api/products?q=%07a".to_owned(), 422),
        ("/api/products?limit=0".to_owned(), 422),
        ("/api/products?limit=101".to_owned(), 422),
        ("/api/products?limit=-1".to_owned(), 400),
        ("/api/products?limit=ten".to_owned(), 400),
        ("/api/products?price_min=-1".to_owned(), 422),
        ("/api/products?price_min=5&price_max=4".to_owned(), 422),
        ("/api/products?price_max=1e3".to_owned(), 400),
        ("/api/products?price_max=99999999999999999999".to_owned(), 400),
        ("/api/products?sort=random()".to_owned(), 422),
        ("/api/products?in_stock=perhaps".to_owned(), 400),
        ("/api/products?q=a&q=b".to_owned(), 400),
        (format!("/api/products?category={long}"), 422),
        (format!("/api/products?cursor={long}"), 422),
        (format!("/api/products?{}", "attr=a:b&".repeat(11)), 422),
        (format!("/api/suggest?q={long}"), 422),
        ("/api/suggest?q=a%00".to_owned(), 422),
        ("/api/suggest?q=a&limit=x".to_owned(), 400),
        ("/api/orders?limit=0".to_owned(), 422),
        ("/api/orders?limit=4294967297".to_owned(), 400),
        ("/api/orders?status=lost".to_owned(), 400),
        ("/api/orders?cursor=a%00".to_owned(), 422),
        (format!("/api/admin/users?q={long}"), 422),
        ("/api/admin/orders?status='%20OR%201=1".to_owned(), 400),
    ] {
        let caller = if at.starts_with("/api/admin") {
            shop.admin()
        } else {
            shop.customer()
        };
        let reply = caller.get(&at).await;
        assert_eq!(
            reply.status,
            status,
            "{}: {}",
            &at[..at.len().min(80)],
            reply.text
        );
        assert_eq!(reply.content_type, "application/problem+json");
    }
    for server in [&shop.users, &shop.catalog, &shop.orders] {
        assert!(server.received_requests().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn other_media_types_are_refused() {
    let shop = Shop::open().await;
    let request = shop
        .guest()
        .request("POST", "/api/sessions")
        .header("content-type", "text/plain")
        .body(json!({ "email": "a@b.example", "password": "p" }).to_string());
    Reply::read(request)
        .await
        .expect_problem(415, "unsupported-media-type");
}

#[tokio::test]
async fn sql_and_html_are_only_text() {
    let shop = Shop::open().await;
    let list = json!({ "items": [], "facets": {}, "total": 0, "next_cursor": null });
    answers(&shop.catalog, "GET", "/products", ok(&list)).await;
    for text in [
        "'; DROP TABLE users_account; --",
        "<script>alert(1)</script>",
        "%' OR '1'='1",
        "a&b=c#d?e/../f",
    ] {
        let request = shop.guest().request("GET", "/api/products").query(&[("q", text)]);
        Reply::read(request).await.expect(200);
        let asked = requests(&shop.catalog, "GET", "/products").await;
        let sent = asked
            .last()
            .unwrap()
            .url
            .query_pairs()
            .next()
            .unwrap()
            .1
            .into_owned();
        assert_eq!(sent, text, "it arrives as it was typed");
    }
}
