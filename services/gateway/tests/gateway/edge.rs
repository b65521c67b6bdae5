//! The edge: requests of other sites, headers, compression, limits, the services' health.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use emporium_service_kit::ServiceName;
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::support::*;

#[tokio::test]
async fn changes_that_another_site_asks_for_are_refused() {
    let shop = Shop::open().await;
    answers(
        &shop.sessions,
        "POST",
        "/sessions/revoke",
        ResponseTemplate::new(204),
    )
    .await;
    let cookie = format!("session={CUSTOMER_TOKEN}");
    let own = shop.url.clone();
    let upper = own.to_uppercase().replace("HTTP", "http");
    let bearer = format!("Bearer {CUSTOMER_TOKEN}");
    let cases: &[(&[(&str, &str)], u16)] = &[
        (&[], 204), // not a browser
        (&[("sec-fetch-site", "same-origin")], 204),
        (&[("sec-fetch-site", "none")], 204),
        (&[("sec-fetch-site", "same-site")], 403),
        (&[("sec-fetch-site", "cross-site")], 403),
        (&[("sec-fetch-site", "cross-site"), ("origin", &own)], 403),
        (&[("origin", &own)], 204),
        (&[("origin", &upper)], 204),
        (&[("origin", "https://evil.example")], 403),
        (&[("origin", "http://127.0.0.1:1")], 403),
        (&[("origin", "null")], 403),
        (&[("origin", "")], 403),
        (
            &[("origin", "http://evil.example"), ("authorization", &bearer)],
            204,
        ), // no browser adds that by itself
    ];
    for (headers, status) in cases {
        let mut all = vec![("cookie", cookie.as_str())];
        all.extend_from_slice(headers);
        let reply = shop.send("DELETE", "/api/sessions/current", &all, None).await;
        assert_eq!(reply.status, *status, "{headers:?}: {}", reply.text);
        if *status == 403 {
            reply.expect_problem(403, "cross-site-request");
        }
    }
    // Reading is free, and signing in is protected too.
    let other = [
        ("origin", "https://evil.example"),
        ("sec-fetch-site", "cross-site"),
    ];
    shop.send("GET", "/api/cart", &other, None).await.expect(200);
    let credentials = json!({ "email": "a@b.example", "password": "p" });
    shop.send("POST", "/api/sessions", &other, Some(credentials))
        .await
        .expect_problem(403, "cross-site-request");
    assert!(requests(&shop.sessions, "POST", "/sessions").await.is_empty());
}

#[tokio::test]
async fn behind_a_proxy_with_tls() {
    let shop = Shop::open_at(Some("https://shop.example")).await;
    let session = json!({ "token": "t", "user_id": CUSTOMER, "role": "customer", "expires_at": AT });
    answers(
        &shop.sessions,
        "POST",
        "/sessions",
        ResponseTemplate::new(201).set_body_json(session),
    )
    .await;
    let credentials = json!({ "email": "a@b.example", "password": "p" });
    let origin = [("origin", "https://shop.example")];
    let reply = shop
        .send("POST", "/api/sessions", &origin, Some(credentials.clone()))
        .await;
    assert!(cookies(&reply)["session"].ends_with("; Secure"));
    assert!(reply.headers.contains_key("strict-transport-security"));
    reply.expect(201);
    let other = [("origin", "http://shop.example")];
    shop.send("POST", "/api/sessions", &other, Some(credentials))
        .await
        .expect_problem(403, "cross-site-request");
}

#[tokio::test]
async fn every_answer_has_the_headers_that_protect_browsers() {
    let shop = Shop::open().await;
    goes_away(&shop.catalog).await;
    for (verb, at) in [
        ("GET", "/api"),
        ("GET", "/api/cart"),
        ("GET", "/api/me"),
        ("GET", "/api/products"),
        ("GET", "/api/nothing"),
        ("PUT", "/api/me"),
        ("POST", "/api/users"),
    ] {
        let reply = shop.send(verb, at, &[], None).await;
        assert_eq!(reply.headers["x-content-type-options"], "nosniff", "{at}");
        assert_eq!(reply.headers["referrer-policy"], "same-origin", "{at}");
        let policy = reply.headers["content-security-policy"].to_str().unwrap();
        assert!(
            policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"),
            "{at}"
        );
        let cache = if at == "/api" { "no-cache" } else { "no-store" };
        assert_eq!(reply.headers["cache-control"], cache, "{at}");
        assert!(!reply.headers.contains_key("strict-transport-security"), "{at}");
    }
}

#[tokio::test]
async fn long_answers_are_compressed_and_short_ones_are_not() {
    let shop = Shop::open().await;
    let gzip = [("accept-encoding", "gzip")];
    let long = shop.send("GET", "/api/openapi.json", &gzip, None).await;
    assert_eq!(long.headers["content-encoding"], "gzip");
    assert!(long.headers["vary"].to_str().unwrap().contains("accept-encoding"));
    let short = shop.send("GET", "/api/cart", &gzip, None).await;
    assert!(!short.headers.contains_key("content-encoding"));
}

#[tokio::test]
async fn bodies_over_64_kib_are_refused() {
    let shop = Shop::open().await;
    let body = json!({ "email": "a@b.example", "password": "p", "name": "n".repeat(65 * 1024) });
    shop.guest()
        .post("/api/users", body)
        .await
        .expect_problem(413, "body-too-large");
    let description = "d".repeat(45_000);
    let mug = product(id(1), "Mug", 250, 5);
    answers(
        &shop.catalog,
        "POST",
        "/products",
        ResponseTemplate::new(201).set_body_json(mug),
    )
    .await;
    let new = json!({ "sku": "M", "name": "M", "category": "c", "description": description,
        "price": { "amount": 1, "currency": "GBP" } });
    shop.admin().post("/api/admin/products", new).await.expect(201);
}

#[tokio::test]
async fn the_status_names_each_service_in_half_a_second() {
    let shop = Shop::open().await;
    let ready = ok(&json!({ "status": "ready" }));
    for server in [
        &shop.users,
        &shop.sessions,
        &shop.catalog,
        &shop.carts,
        &shop.payments,
        &shop.recommendations,
        &shop.reviews,
        &shop.analytics,
        &shop.monitoring,
    ] {
        answers(server, "GET", "/health/ready", ready.clone()).await;
    }
    answers(&shop.orders, "GET", "/health/ready", ready.clone()).await;
    assert_eq!(shop.guest().get("/api/status").await.expect(200)["status"], "up");

    shop.orders.reset().await;
    let hangs = ready.set_delay(Duration::from_secs(30));
    answers(&shop.orders, "GET", "/health/ready", hangs).await;
    goes_away(&shop.catalog).await;
    let started = Instant::now();
    let shown = shop.guest().get("/api/status").await.expect(200);
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
    let services: HashMap<&str, &str> = shown["services"]
        .as_array()
        .unwrap()
        .iter()
        .map(|service| {
            (
                service["name"].as_str().unwrap(),
                service["status"].as_str().unwrap(),
            )
        })
        .collect();
    let expected = [
        ("users", "up"),
        ("sessions", "up"),
        ("catalog", "down"),
        ("carts", "up"),
        ("orders", "down"),
        ("payments", "up"),
        ("recommendations", "up"),
        ("reviews", "up"),
        ("analytics", "up"),
        ("monitoring", "up"),
    ];
    assert_eq!(
        (shown["status"].as_str(), services),
        (Some("degraded"), expected.into())
    );
    // The gateway itself is ready: it serves what it can.
    shop.guest().get("/health/ready").await.expect(200);
}

#[tokio::test]
async fn a_missing_peer_is_one_clear_line() {
    let environment = environment([(ServiceName::Users, "http://127.0.0.1:1".to_owned())].into());
    let error = emporium_gateway::build(&environment).await.err().unwrap();
    assert_eq!(
        error.to_string(),
        "the gateway service calls sessions: add sessions=<url> to EMPORIUM_PEERS"
    );
}

#[tokio::test]
async fn unknown_addresses_and_methods() {
    let shop = Shop::open().await;
    shop.guest()
        .get("/api/nothing")
        .await
        .expect_problem(404, "not-found");
    shop.guest()
        .delete("/api/products")
        .await
        .expect_problem(405, "method-not-allowed");
    let body: Value = json!({});
    shop.guest()
        .post("/api/me", &body)
        .await
        .expect_problem(405, "method-not-allowed");
}
