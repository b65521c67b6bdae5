//! Buying without scripts: what the basket's and the checkout's forms send on, where they lead, and what they show when
//! it does not work.

use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, ResponseTemplate};

use crate::browser::{Browser, HOSTILE, all, checked, redirect, stocked, value};
use crate::support::{CUSTOMER, Shop, answers, cart, cookies, id, ok, order, problem, product, requests};

fn placing() -> String {
    format!("/customers/{CUSTOMER}/orders")
}

/// The bodies and keys of the checkouts that reached orders.
async fn checkouts(shop: &Shop) -> Vec<(String, Value)> {
    let sent = requests(&shop.orders, "POST", &placing()).await;
    let read = |request: wiremock::Request| {
        let key = request.headers["idempotency-key"].to_str().unwrap().to_owned();
        (key, serde_json::from_slice(&request.body).unwrap())
    };
    sent.into_iter().map(read).collect()
}

/// The form of the checkout page as a browser would send it.
fn filled(page: &str) -> Vec<(&'static str, String)> {
    let hidden = ["idempotency_key", "expected_amount", "expected_currency"];
    let mut fields: Vec<_> = hidden
        .iter()
        .map(|name| (*name, value(page, name).to_owned()))
        .collect();
    fields.push(("address_id", id(50).to_string()));
    fields.push(("billing_same", "1".to_owned()));
    fields.push(("payment_token", "tok_ok".to_owned()));
    fields
}

async fn send(browser: &Browser<'_>, fields: &[(&'static str, String)]) -> emporium_test_kit::Reply {
    let fields: Vec<(&str, &str)> = fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    browser.post("/checkout", &fields).await
}

#[tokio::test]
async fn a_stranger_fills_a_basket() {
    let shop = Shop::open().await;
    all(
        &shop.catalog,
        "GET",
        "^/products/",
        ok(&product(id(1), "mug", 250, 5)),
    )
    .await;
    answers(
        &shop.catalog,
        "POST",
        "/products/batch",
        ok(&json!({ "items": [product(id(1), "mug", 250, 5)] })),
    )
    .await;
    all(
        &shop.carts,
        "PUT",
        "^/carts/anonymous/",
        ok(&cart(1, &[(id(1), 2)])),
    )
    .await;
    all(&shop.carts, "DELETE", "^/carts/anonymous/", ok(&cart(2, &[]))).await;
    let browser = Browser::stranger(&shop);
    let one = id(1).to_string();

    let added = browser
        .post("/cart/items", &[("product_id", &one), ("quantity", "2")])
        .await;
    assert_eq!(redirect(&added), format!("/products/{one}?note=added"));
    let cookie = &cookies(&added)["cart"];
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"),
        "{cookie}"
    );

    // Numbers that are none, too many, and products that are none.
    for odd in ["", "-1", "1e9", "99999999999999999999", HOSTILE] {
        assert_eq!(
            redirect(
                &browser
                    .post(&format!("/cart/items/{one}"), &[("quantity", odd)])
                    .await
            ),
            "/cart?note=quantity"
        );
        let fields = [("product_id", &*one), ("quantity", odd)];
        let refused = browser.post("/cart/items", &fields).await;
        assert_eq!(
            redirect(&refused),
            format!("/products/{one}?note=quantity"),
            "{odd}"
        );
    }
    let full = browser
        .post("/cart/items", &[("product_id", &one), ("quantity", "1000")])
        .await;
    assert_eq!(redirect(&full), format!("/products/{one}?note=cart-full"));
    for odd in ["", "x", HOSTILE] {
        assert_eq!(
            browser.post("/cart/items", &[("product_id", odd)]).await.status,
            404
        );
    }
    assert_eq!(browser.post("/cart/items", &[]).await.status, 400);
    let changed = browser
        .post(&format!("/cart/items/{one}"), &[("quantity", "5")])
        .await;
    assert_eq!(redirect(&changed), "/cart?note=changed");
    let removed = browser.post(&format!("/cart/items/{one}/remove"), &[]).await;
    assert_eq!(redirect(&removed), "/cart?note=removed");
}

#[tokio::test]
async fn adding_adds_to_what_is_there() {
    let shop = stocked().await; // two of product 1 are in the basket
    let at = format!("/carts/user/{CUSTOMER}/items/{}", id(1));
    answers(&shop.carts, "PUT", &at, ok(&cart(2, &[(id(1), 5)]))).await;
    let fields = [("product_id", &*id(1).to_string()), ("quantity", "3")];
    redirect(&Browser::customer(&shop).post("/cart/items", &fields).await);
    let sent = requests(&shop.carts, "PUT", &at).await;
    assert_eq!(
        serde_json::from_slice::<Value>(&sent[0].body).unwrap(),
        json!({ "quantity": 5 })
    );
}

#[tokio::test]
async fn problems_of_a_basket_keep_it_from_checkout() {
    let shop = Shop::open().await;
    let items = json!({ "items": [product(id(1), "mug", 250, 1), product(id(2), "cup", 100, 0)] });
    answers(&shop.catalog, "POST", "/products/batch", ok(&items)).await;
    all(
        &shop.carts,
        "GET",
        "^/carts/",
        ok(&cart(1, &[(id(1), 2), (id(2), 1), (id(3), 1)])),
    )
    .await;
    let page = Browser::customer(&shop).page("/cart", 200).await;
    for text in [
        "Only 1 left",
        "Out of stock just now",
        "no longer sold",
        "cart-blocked",
    ] {
        assert!(page.contains(text), "{text}");
    }
    assert!(!page.contains("to-checkout"));
}

#[tokio::test]
async fn checkout_sends_the_key_and_the_total_that_were_shown() {
    let shop = stocked().await;
    let placed = ResponseTemplate::new(201).set_body_json(order(70, Some(CUSTOMER), &[id(1)]));
    answers(&shop.orders, "POST", &placing(), placed).await;
    let browser = Browser::customer(&shop);
    let page = browser.page("/checkout", 200).await;
    let fields = filled(&page);
    for _ in 0..2 {
        let reply = send(&browser, &fields).await;
        assert_eq!(redirect(&reply), format!("/orders/{}?note=placed", id(70)));
    }
    let sent = checkouts(&shop).await;
    let body = json!({
        "address_id": id(50), "payment_token": "tok_ok", "expected_total": { "amount": 500, "currency": "GBP" },
    });
    assert_eq!(sent[0], (value(&page, "idempotency_key").to_owned(), body));
    assert_eq!(sent[0], sent[1], "twice the same form is twice the same request");
    let again = browser.page("/checkout", 200).await;
    assert_ne!(
        value(&again, "idempotency_key"),
        sent[0].0,
        "another form is another order"
    );

    // Another address for the bill.
    let mut other = filled(&again);
    other.retain(|(name, _)| *name != "billing_same");
    other.push(("billing_address_id", id(51).to_string()));
    redirect(&send(&browser, &other).await);
    assert_eq!(checkouts(&shop).await[2].1["billing_address_id"], json!(id(51)));
}

#[tokio::test]
async fn a_decision_gets_a_new_key_and_silence_keeps_the_old_one() {
    let cases = [
        (problem(409, "prices-moved"), 409, "A price has changed", true),
        (
            problem(422, "idempotency-key-reused"),
            422,
            "sent before with other choices",
            true,
        ),
        (problem(404, "not-found"), 404, "address cannot be found", true),
        (problem(403, "user-blocked"), 403, "may not order", true),
        (
            problem(409, "checkout-in-progress"),
            409,
            "look at your orders",
            false,
        ),
        (
            ResponseTemplate::new(503),
            503,
            "it will not be ordered or paid twice",
            false,
        ),
        (
            ResponseTemplate::new(500),
            503,
            "it will not be ordered or paid twice",
            false,
        ),
    ];
    for (answer, status, says, new_key) in cases {
        let shop = stocked().await;
        answers(&shop.orders, "POST", &placing(), answer).await;
        let browser = Browser::customer(&shop);
        let page = browser.page("/checkout", 200).await;
        let mut fields = filled(&page);
        fields.retain(|(name, _)| *name != "payment_token");
        fields.push(("payment_token", "tok_later".to_owned()));
        let reply = send(&browser, &fields).await;
        assert_eq!(reply.status, status, "{says}");
        let again = checked(&reply);
        assert!(again.contains(says), "{says}");
        let elsewhere = says.contains("your orders") || says.contains("sent before");
        assert_eq!(again.contains("Your orders</a>"), elsewhere, "{says}");
        assert!(
            again.contains("value=\"tok_later\" required aria-describedby=\"tok_later-meaning\" checked"),
            "{says}"
        );
        let (old, new) = (value(&page, "idempotency_key"), value(&again, "idempotency_key"));
        assert_eq!(old != new, new_key, "{says}");
    }
}

#[tokio::test]
async fn a_second_click_waits_for_the_first_ones_answer() {
    let shop = stocked().await;
    let busy = Mock::given(method("POST"))
        .and(path(placing()))
        .respond_with(problem(409, "request-in-progress"));
    busy.up_to_n_times(1).with_priority(1).mount(&shop.orders).await;
    let placed = ResponseTemplate::new(202).set_body_json(order(70, Some(CUSTOMER), &[id(1)]));
    answers(&shop.orders, "POST", &placing(), placed).await;
    let browser = Browser::customer(&shop);
    let fields = filled(&browser.page("/checkout", 200).await);
    assert_eq!(
        redirect(&send(&browser, &fields).await),
        format!("/orders/{}?note=placed", id(70))
    );
}

#[tokio::test]
async fn checkout_forms_that_were_tampered_with_are_asked_again() {
    let shop = stocked().await;
    let browser = Browser::customer(&shop);
    let page = browser.page("/checkout", 200).await;
    for (name, odd) in [
        ("address_id", "x"),
        ("address_id", ""),
        ("idempotency_key", "a\r\nb"),
        ("idempotency_key", ""),
    ] {
        let mut fields = filled(&page);
        fields.retain(|(other, _)| *other != name);
        fields.push((name, odd.to_owned()));
        let reply = send(&browser, &fields).await;
        assert_eq!(reply.status, 422, "{name} {odd:?}");
        checked(&reply);
    }
    assert!(checkouts(&shop).await.is_empty());
}

#[tokio::test]
async fn what_did_not_fit_at_the_merge_is_told_before_anything_is_bought() {
    let shop = stocked().await;
    let session = json!({ "token": "t", "user_id": CUSTOMER, "role": "customer", "expires_at": "2026-03-01T12:00:00Z" });
    let signed_in = ResponseTemplate::new(201).set_body_json(session);
    answers(&shop.sessions, "POST", "/sessions", signed_in).await;
    let mut merged = cart(3, &[(id(1), 999)]);
    merged["dropped"] = json!([{ "product_id": id(1), "quantity": 2 }]);
    all(&shop.carts, "POST", "/merge$", ok(&merged)).await;
    let browser = Browser::stranger(&shop).with_cart(uuid::Uuid::new_v4());
    let fields = [("email", "a@b.c"), ("password", "right"), ("next", "/checkout")];
    assert_eq!(
        redirect(&browser.post("/sign-in", &fields).await),
        "/cart?note=cart-dropped"
    );
    let later = Browser::customer(&shop).with_cart(uuid::Uuid::new_v4());
    assert!(later.page("/cart", 200).await.contains("999 of a product"));
    assert!(
        !Browser::customer(&shop)
            .page("/cart", 200)
            .await
            .contains("999 of a product")
    );
}

#[tokio::test]
async fn a_price_that_moved_since_the_basket_is_told() {
    let shop = stocked().await;
    let browser = Browser::customer(&shop);
    assert!(
        browser
            .page("/checkout?seen=400", 200)
            .await
            .contains("came to £4.00 when you last looked")
    );
    assert!(
        !browser
            .page("/checkout?seen=500", 200)
            .await
            .contains("when you last looked")
    );
    assert!(browser.page("/cart", 200).await.contains("/checkout?seen=500"));
}
