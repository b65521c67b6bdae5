//! Forms of accounts and administrators without scripts: what they send on, where they lead, and what they show when it
//! does not work.

use serde_json::{Value, json};
use wiremock::matchers::{body_partial_json, method, path};
use wiremock::{Mock, ResponseTemplate};

use crate::browser::{Browser, HOSTILE, checked, redirect, stocked, value};
use crate::support::{CUSTOMER, Shop, answers, cookies, goes_away, id, ok, order, problem, requests, user};

fn invalid(field: &str, message: &str) -> ResponseTemplate {
    let errors = json!([{ "field": field, "message": message }]);
    ResponseTemplate::new(422).set_body_json(json!({
        "type": "urn:emporium:problem:invalid", "title": "t", "status": 422, "detail": "d", "code": "invalid", "errors": errors,
    }))
}

#[tokio::test]
async fn signing_in_keeps_what_was_typed_but_the_password_and_goes_where_it_should() {
    let shop = Shop::open().await;
    let session = json!({ "token": "t", "user_id": CUSTOMER, "role": "customer", "expires_at": "2026-03-01T12:00:00Z" });
    Mock::given(method("POST"))
        .and(path("/sessions"))
        .and(body_partial_json(json!({ "password": "right" })))
        .respond_with(ResponseTemplate::new(201).set_body_json(session))
        .mount(&shop.sessions)
        .await;
    let wrong = Mock::given(method("POST"))
        .and(path("/sessions"))
        .respond_with(problem(401, "wrong-credentials"));
    wrong.with_priority(200).mount(&shop.sessions).await;
    let browser = Browser::stranger(&shop);

    let refused = browser
        .post(
            "/sign-in",
            &[("email", HOSTILE), ("password", "s3cret"), ("next", "/checkout")],
        )
        .await;
    assert_eq!(refused.status, 401);
    let page = checked(&refused);
    assert!(page.contains("do not belong together") && !page.contains("s3cret"));
    assert_eq!(
        (
            value(&page, "next"),
            value(&page, "email").contains("&#60;script")
        ),
        ("/checkout", true)
    );

    let control = browser
        .post("/sign-in", &[("email", "a\0b\u{7}"), ("password", "x")])
        .await;
    assert_eq!(value(&checked(&control), "email"), "ab");

    for (next, goes) in [
        ("/checkout", "/checkout"),
        ("", "/"),
        ("//evil.example", "/"),
        ("https://evil.example", "/"),
        ("/\\evil.example", "/"),
    ] {
        let done = browser
            .post(
                "/sign-in",
                &[("email", "a@b.c"), ("password", "right"), ("next", next)],
            )
            .await;
        assert_eq!(redirect(&done), goes, "{next}");
        assert!(cookies(&done)["session"].starts_with("session=t; "));
    }
    goes_away(&shop.sessions).await;
    let away = browser
        .post("/sign-in", &[("email", "a@b.c"), ("password", "right")])
        .await;
    assert!(checked(&away).contains("Signing in does not work just now"));
}

#[tokio::test]
async fn signing_up_shows_mistakes_next_to_their_fields() {
    let shop = Shop::open().await;
    let browser = Browser::stranger(&shop);
    let fields = [
        ("name", "Ada"),
        ("email", "ada@example.com"),
        ("password", "s3cret"),
    ];
    answers(
        &shop.users,
        "POST",
        "/users",
        invalid("password", "length is lower than 8"),
    )
    .await;
    let page = checked(&browser.post("/sign-up", &fields).await);
    assert!(page.contains("Password must have at least 8 characters.") && !page.contains("s3cret"));
    assert_eq!(
        (value(&page, "name"), value(&page, "email")),
        ("Ada", "ada@example.com")
    );

    shop.users.reset().await;
    answers(&shop.users, "POST", "/users", problem(409, "email-taken")).await;
    let taken = browser.post("/sign-up", &fields).await;
    assert_eq!(taken.status, 409);
    assert!(checked(&taken).contains("email-error"));

    // The account is made but signing in fails: nobody is left with a form that can only say "taken".
    shop.users.reset().await;
    answers(
        &shop.users,
        "POST",
        "/users",
        ResponseTemplate::new(201).set_body_json(user(CUSTOMER, "ada")),
    )
    .await;
    goes_away(&shop.sessions).await;
    assert_eq!(
        redirect(&browser.post("/sign-up", &fields).await),
        "/sign-in?note=registered"
    );
}

#[tokio::test]
async fn the_address_book() {
    let shop = stocked().await;
    let at = format!("/users/{CUSTOMER}/addresses");
    answers(
        &shop.users,
        "POST",
        &at,
        invalid("postal_code", "must not be empty"),
    )
    .await;
    let browser = Browser::customer(&shop);
    let fields = [
        ("street", "1 Elm"),
        ("city", "Leeds"),
        ("postal_code", ""),
        ("country", "DE"),
        ("next", "/checkout"),
    ];
    let reply = browser.post("/account/addresses/new", &fields).await;
    assert_eq!(reply.status, 422);
    let page = checked(&reply);
    assert!(page.contains("Postcode must not be empty.") && page.contains("<option value=\"DE\" selected>"));
    assert_eq!(
        (value(&page, "street"), value(&page, "next")),
        ("1 Elm", "/checkout")
    );

    // What is there already is not added again.
    let known = [
        ("street", "Elm Road"),
        ("city", HOSTILE),
        ("postal_code", "N1"),
        ("country", "GB"),
        ("next", "/checkout"),
    ];
    assert_eq!(
        redirect(&browser.post("/account/addresses/new", &known).await),
        "/checkout?note=address-added"
    );
    assert_eq!(requests(&shop.users, "POST", &at).await.len(), 1);

    let one = format!("{at}/{}", id(50));
    answers(&shop.users, "DELETE", &one, problem(404, "not-found")).await;
    let gone = browser
        .post(&format!("/account/addresses/{}/delete", id(50)), &[])
        .await;
    assert_eq!(redirect(&gone), "/account?note=address-removed");
    browser.page(&format!("/account/addresses/{}", id(99)), 404).await;
}

#[tokio::test]
async fn preferences_change_only_what_the_page_shows() {
    let shop = stocked().await;
    let at = format!("/users/{CUSTOMER}");
    answers(&shop.users, "PATCH", &at, ok(&user(CUSTOMER, "ada"))).await;
    let browser = Browser::customer(&shop);
    let fields = [("plain_packaging", "1"), ("delivery_note", "  ")];
    assert_eq!(
        redirect(&browser.post("/account/preferences", &fields).await),
        "/account?note=preferences"
    );
    let sent = requests(&shop.users, "PATCH", &at).await;
    let body: Value = serde_json::from_slice(&sent[0].body).unwrap();
    let expected = json!({ "newsletter": false, "plain_packaging": true, "gift_receipts": false, "delivery_note": null });
    assert_eq!(body, json!({ "preferences": expected }));
    let long = browser
        .post("/account/preferences", &[("delivery_note", &"x".repeat(201))])
        .await;
    assert!(checked(&long).contains("at most 200 characters"));
}

#[tokio::test]
async fn signing_out_forgets_the_session_even_when_it_cannot_be_ended() {
    let shop = stocked().await;
    answers(
        &shop.sessions,
        "POST",
        "/sessions/revoke",
        ResponseTemplate::new(204),
    )
    .await;
    let done = Browser::customer(&shop).post("/sign-out", &[]).await;
    assert_eq!(redirect(&done), "/?note=signed-out");
    assert!(cookies(&done)["session"].contains("Max-Age=0"));
    goes_away(&shop.sessions).await;
    let away = Browser::customer(&shop).post("/sign-out", &[]).await;
    assert!(cookies(&away)["session"].contains("Max-Age=0"));
    assert!(checked(&away).contains("could not be ended on our side"));
}

#[tokio::test]
async fn administrators_forms() {
    let shop = stocked().await;
    let admin = Browser::admin(&shop);
    let price = admin
        .post(
            "/admin/products",
            &[("sku", HOSTILE), ("name", HOSTILE), ("price", "ten")],
        )
        .await;
    assert_eq!(price.status, 422);
    assert!(checked(&price).contains("Price must look like 12 or 12.50."));
    answers(&shop.catalog, "POST", "/products", problem(409, "sku-taken")).await;
    let fields = [
        ("sku", "S"),
        ("name", "N"),
        ("category", "c"),
        ("price", "12.50"),
        ("attributes", "a: 1\nb: x"),
    ];
    let taken = admin.post("/admin/products", &fields).await;
    assert!(checked(&taken).contains("article number already"));
    let sent = requests(&shop.catalog, "POST", "/products").await;
    let body: Value = serde_json::from_slice(&sent[0].body).unwrap();
    assert_eq!(
        (&body["price"]["amount"], &body["attributes"]),
        (&json!(1250), &json!({ "a": 1, "b": "x" }))
    );

    let stock = format!("/products/{}/stock", id(1));
    answers(&shop.catalog, "POST", &stock, problem(409, "stock-negative")).await;
    let at = format!("/admin{stock}");
    assert!(checked(&admin.post(&at, &[("delta", "-9")]).await).contains("not that many"));
    assert!(checked(&admin.post(&at, &[("delta", "1e9")]).await).contains("whole number"));

    let status = format!("/users/{CUSTOMER}/status");
    answers(&shop.users, "PATCH", &status, ok(&user(CUSTOMER, "ada"))).await;
    let blocked = admin
        .post(&format!("/admin{status}"), &[("active", "false"), ("q", "a&b")])
        .await;
    assert_eq!(redirect(&blocked), "/admin/users?q=a%26b&note=user-blocked");
    let told = admin.page("/admin/users?note=user-blocked", 200).await;
    assert!(told.contains("it can order nothing"));
    let own = format!("/users/{}/status", id(9));
    answers(&shop.users, "PATCH", &own, problem(409, "last-administrator")).await;
    let refused = admin.post(&format!("/admin{own}"), &[("active", "false")]).await;
    assert_eq!(redirect(&refused), "/admin/users?note=last-administrator");
    let told = admin.page(redirect(&refused), 200).await;
    assert!(told.contains("the last administrator"));
    let callback = format!("/admin/orders/{}/payment-callback", id(70));
    assert_eq!(admin.post(&callback, &[("outcome", "maybe")]).await.status, 404);
    for at in [
        at,
        format!("/admin{status}"),
        callback,
        "/admin/products".to_owned(),
    ] {
        assert_eq!(
            Browser::customer(&shop).post(&at, &[("delta", "1")]).await.status,
            403,
            "{at}"
        );
    }
}

#[tokio::test]
async fn a_list_shows_the_first_products_of_a_long_order() {
    let shop = stocked().await;
    let bought: Vec<_> = (1..=500).map(id).collect();
    let list = json!({ "items": [order(70, Some(CUSTOMER), &bought)], "next_cursor": null });
    answers(&shop.orders, "GET", "/orders", ok(&list)).await;
    let page = Browser::admin(&shop).page("/admin/orders", 200).await;
    assert_eq!(page.matches("2 × ").count(), 6);
    assert!(page.contains("and 494 more"));
}
