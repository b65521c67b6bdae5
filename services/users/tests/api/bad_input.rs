//! Nasty input gets a problem with the right status, and changes nothing.

use emporium_test_kit::Reply;
use serde_json::{Value, json};

use crate::{Shop, id};

#[tokio::test]
#[allow(clippy::too_many_lines)] // a table
async fn bodies_that_are_not_acceptable() {
    let shop = Shop::start().await;
    let user = id(&shop.register("ada").await);
    let before = shop.user(&user).await;
    let account = |field: &str, value: Value| {
        let mut body = json!({"email": "new@example.com", "password": "12345678", "name": "New"});
        body[field] = value;
        body
    };
    let address = |field: &str, value: Value| {
        let mut body = json!({"street": "1 A", "city": "B", "postal_code": "C", "country": "GB"});
        body[field] = value;
        body
    };
    let long = "x".repeat(10_000);
    let profile = format!("/users/{user}");
    let status = format!("/users/{user}/status");
    let book = format!("/users/{user}/addresses");
    let points = format!("/points/{}", uuid::Uuid::new_v4());
    let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
    let cases: Vec<(&str, &str, Value, u16)> = vec![
        ("POST", "/users", account("email", json!("nobody")), 422),
        (
            "POST",
            "/users",
            account("email", json!("a\u{0}@example.com")),
            422,
        ),
        (
            "POST",
            "/users",
            account("email", json!(format!("{long}@example.com"))),
            422,
        ),
        ("POST", "/users", account("email", json!(null)), 400),
        ("POST", "/users", account("password", json!("1234567")), 422),
        ("POST", "/users", account("password", json!("x".repeat(129))), 422),
        ("POST", "/users", account("password", json!("1234567\u{0}")), 422),
        ("POST", "/users", account("password", json!(12_345_678)), 400),
        ("POST", "/users", account("name", json!("  ")), 422),
        ("POST", "/users", account("name", json!("x".repeat(201))), 422),
        ("POST", "/users", account("name", json!("a\u{1b}[31mb")), 422),
        ("POST", "/users", json!({}), 400),
        ("POST", "/users", json!([]), 400),
        ("PATCH", &profile, json!({"name": ""}), 422),
        ("PATCH", &profile, json!({"name": "a\u{0}"}), 422),
        ("PATCH", &profile, json!({"preferences": []}), 400),
        (
            "PATCH",
            &profile,
            json!({"preferences": {"a": {"b\u{0}": 1}}}),
            422,
        ),
        ("PATCH", &profile, json!({"preferences": {"a\u{0}": null}}), 422),
        ("PATCH", &profile, json!({"preferences": {"a": long}}), 422),
        ("PATCH", &profile, json!({"preferences": {"a": deep}}), 422),
        ("PATCH", &status, json!({"active": "no"}), 400),
        ("PATCH", &status, json!({}), 400),
        ("POST", &book, address("street", json!("")), 422),
        ("POST", &book, address("street", json!(long)), 422),
        ("POST", &book, address("city", json!("a\nb")), 422),
        ("POST", &book, address("postal_code", json!("\u{0}")), 422),
        ("POST", &book, address("country", json!("GBR")), 422),
        ("POST", &book, address("country", json!("XX")), 422),
        ("POST", &book, address("is_default", json!("yes")), 400),
        ("PUT", &points, json!({"user_id": user, "points": -1}), 422),
        (
            "PUT",
            &points,
            json!({"user_id": user, "points": 1_000_000_001}),
            422,
        ),
        ("PUT", &points, json!({"user_id": user, "points": 1e30}), 400),
        ("PUT", &points, json!({"user_id": "me", "points": 1}), 400),
        (
            "POST",
            "/credentials/verify",
            json!({"email": "a\u{0}", "password": "x"}),
            422,
        ),
        (
            "POST",
            "/credentials/verify",
            json!({"email": long, "password": "x"}),
            422,
        ),
        (
            "POST",
            "/credentials/verify",
            json!({"email": "ada@example.com", "password": long}),
            422,
        ),
        ("POST", "/users/batch", json!({"ids": ["x"]}), 400),
    ];
    for (method, path, body, expected) in cases {
        let caller = match path {
            _ if path.starts_with("/points") => &shop.orders,
            "/credentials/verify" => &shop.sessions,
            _ => &shop.gateway,
        };
        let reply = Reply::read(caller.request(method, path).json(&body)).await;
        assert_eq!(reply.status, expected, "{method} {path} {body}: {}", reply.text);
        assert_eq!(reply.content_type, "application/problem+json");
    }
    assert_eq!(shop.user(&user).await, before, "nothing was changed");
    assert_eq!(shop.events(&user).await.len(), 1);
}

#[tokio::test]
async fn requests_that_cannot_be_read() {
    let shop = Shop::start().await;
    let send = async |path: &str, media: &str, body: String| {
        let request = shop
            .gateway
            .request("POST", path)
            .header("content-type", media)
            .body(body);
        Reply::read(request).await
    };
    send("/users", "application/json", "{".to_owned())
        .await
        .expect_problem(400, "bad-json");
    let surrogate = r#"{"email":"a@b.example","password":"12345678","name":"\ud800"}"#;
    send("/users", "application/json", surrogate.to_owned())
        .await
        .expect_problem(400, "bad-json");
    let number = r#"{"preferences":{"a":1e999}}"#;
    send("/users", "application/json", number.to_owned())
        .await
        .expect_problem(400, "bad-json");
    send("/users", "text/plain", "{}".to_owned())
        .await
        .expect_problem(415, "unsupported-media-type");
    send(
        "/users",
        "application/json",
        format!("\"{}\"", "x".repeat(300_000)),
    )
    .await
    .expect_problem(413, "body-too-large");
    for path in [
        "/users/1",
        "/users/%00",
        "/users/1%27%20OR%20%271",
        "/users/x/addresses/y",
        "/nothing",
    ] {
        shop.gateway.get(path).await.expect_problem(404, "not-found");
    }
    for (path, status) in [
        ("/users?limit=0", 422),
        ("/users?limit=101", 422),
        ("/users?limit=99999999999999999999", 400),
        ("/users?cursor=nonsense", 400),
        (
            "/users?cursor=Wy0xLCIwMTkwMDAwMC0wMDAwLTcwMDAtODAwMC0wMDAwMDAwMDAwMDAiXQ",
            400,
        ), // [-1, an id]
        (
            "/users?cursor=WzkyMjMzNzIwMzY4NTQ3NzU4MDcsIjAxOTAwMDAwLTAwMDAtNzAwMC04MDAwLTAwMDAwMDAwMDAwMCJd",
            400,
        ), // [i64::MAX, …]
        ("/users?q=%00", 422),
        ("/users?q=%07", 422),
        ("/events?after=-1", 422),
        ("/events?limit=1001", 422),
        ("/events?after=9223372036854775807", 200),
    ] {
        let reply = shop.gateway.get(path).await;
        assert_eq!(reply.status, status, "{path}: {}", reply.text);
    }
    let long = "q".repeat(10_000);
    shop.gateway
        .get(&format!("/users?q={long}"))
        .await
        .expect_problem(422, "invalid");
}
