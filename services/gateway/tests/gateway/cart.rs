//! Carts: anonymous ones, prices, what may go in.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::*;

async fn sells(shop: &Shop, products: &[Value]) {
    for product in products {
        let at = format!("/products/{}", product["id"].as_str().unwrap());
        answers(&shop.catalog, "GET", &at, ok(product)).await;
    }
    answers(
        &shop.catalog,
        "POST",
        "/products/batch",
        ok(&json!({ "items": products })),
    )
    .await;
}

#[tokio::test]
async fn a_guest_gets_a_cart_with_the_first_product_and_keeps_it() {
    let shop = Shop::open().await;
    sells(&shop, &[product(id(1), "Mug", 250, 5)]).await;
    let empty = shop.guest().get("/api/cart").await;
    assert!(cookies(&empty).is_empty(), "nothing to remember yet");
    assert_eq!(
        empty.expect(200),
        json!({ "items": [], "total": { "amount": 0, "currency": "GBP" }, "revision": 0, "degraded": [] })
    );
    assert!(shop.carts.received_requests().await.unwrap().is_empty());

    wiremock::Mock::given(wiremock::matchers::method("PUT"))
        .respond_with(ok(&cart(1, &[(id(1), 2)])))
        .mount(&shop.carts)
        .await;
    let at = format!("/api/cart/items/{}", id(1));
    let reply = shop.guest().put(&at, json!({ "quantity": 2 })).await;
    let given: Uuid = reply.headers["x-cart-id"].to_str().unwrap().parse().unwrap();
    assert_eq!(given.get_version_num(), 4);
    assert_eq!(
        cookies(&reply)["cart"],
        format!("cart={given}; Path=/; HttpOnly; SameSite=Lax; Max-Age=2592000")
    );
    assert_eq!(
        reply.expect(200)["items"],
        json!([{ "product_id": id(1), "name": "Mug", "quantity": 2,
            "unit_price": { "amount": 250, "currency": "GBP" }, "line_total": { "amount": 500, "currency": "GBP" },
            "in_stock": true, "available": 5 }])
    );
    let written = format!("/carts/anonymous/{given}/items/{}", id(1));
    assert_eq!(requests(&shop.carts, "PUT", &written).await.len(), 1);

    let (header, cookie) = (given.to_string(), format!("cart={given}"));
    for (name, value) in [("x-cart-id", &header), ("cookie", &cookie)] {
        let reply = shop
            .send("PUT", &at, &[(name, value)], Some(json!({ "quantity": 2 })))
            .await;
        assert_eq!(reply.headers["x-cart-id"], header.as_str());
        reply.expect(200);
    }
    assert_eq!(requests(&shop.carts, "PUT", &written).await.len(), 3);
}

#[tokio::test]
async fn only_random_ids_name_a_cart() {
    let shop = Shop::open().await;
    for bad in [
        "1",
        "",
        "../../users",
        &Uuid::nil().to_string(),
        &id(1).to_string(),
    ] {
        let reply = shop.send("GET", "/api/cart", &[("x-cart-id", bad)], None).await;
        assert!(!reply.headers.contains_key("x-cart-id"), "{bad}");
        reply.expect(200);
        let cookie = format!("cart={bad}");
        shop.send("GET", "/api/cart", &[("cookie", &cookie)], None)
            .await
            .expect(200);
    }
    assert!(shop.carts.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_cart_of_many_lines_takes_one_call_to_the_catalog() {
    let shop = Shop::open().await;
    let lines: Vec<(Uuid, i64)> = (1..=100).map(|number| (id(number), 2)).collect();
    let products: Vec<Value> = (1..=100)
        .map(|number| product(id(number), "Mug", 100, 1))
        .collect();
    answers(
        &shop.carts,
        "GET",
        &format!("/carts/user/{CUSTOMER}"),
        ok(&cart(9, &lines)),
    )
    .await;
    sells(&shop, &products).await;
    let view = shop.customer().get("/api/cart").await.expect(200);
    assert_eq!(view["items"].as_array().unwrap().len(), 100);
    assert_eq!(view["total"]["amount"], 20_000);
    assert_eq!(
        view["items"][99]["product_id"],
        json!(id(100)),
        "in the cart's order"
    );
    assert_eq!(shop.catalog.received_requests().await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_cannot_be_bought_does_not_go_in() {
    let shop = Shop::open().await;
    let mut old = product(id(1), "Old", 100, 4);
    old["status"] = json!("archived");
    sells(&shop, &[old]).await;
    answers(
        &shop.catalog,
        "GET",
        &format!("/products/{}", id(2)),
        problem(404, "not-found"),
    )
    .await;
    for (number, status, code) in [(1, 409, "product-archived"), (2, 404, "not-found")] {
        let at = format!("/api/cart/items/{}", id(number));
        let reply = shop.guest().put(&at, json!({ "quantity": 1 })).await;
        assert!(cookies(&reply).is_empty());
        reply.expect_problem(status, code);
    }
    assert!(
        shop.carts.received_requests().await.unwrap().is_empty(),
        "nothing was written"
    );
    // What is in the cart already is shown as not to be had, and can go.
    let at = format!("/carts/user/{CUSTOMER}");
    answers(&shop.carts, "GET", &at, ok(&cart(1, &[(id(1), 1)]))).await;
    answers(
        &shop.carts,
        "DELETE",
        &format!("{at}/items/{}", id(1)),
        ok(&cart(2, &[])),
    )
    .await;
    let view = shop.customer().get("/api/cart").await.expect(200);
    assert_eq!(
        (&view["items"][0]["in_stock"], &view["items"][0]["available"]),
        (&json!(false), &json!(0))
    );
    let api = format!("/api/cart/items/{}", id(1));
    shop.customer()
        .put(&api, json!({ "quantity": 0 }))
        .await
        .expect(200);
    shop.customer().delete(&api).await.expect(200);
    assert_eq!(
        requests(&shop.carts, "DELETE", &format!("{at}/items/{}", id(1)))
            .await
            .len(),
        2
    );
}

#[tokio::test]
async fn without_the_catalog_a_cart_still_shows_and_shrinks() {
    let shop = Shop::open().await;
    goes_away(&shop.catalog).await;
    let at = format!("/carts/user/{CUSTOMER}");
    answers(&shop.carts, "GET", &at, ok(&cart(4, &[(id(1), 3)]))).await;
    answers(
        &shop.carts,
        "PUT",
        &format!("{at}/items/{}", id(1)),
        ok(&cart(5, &[(id(1), 1)])),
    )
    .await;
    let view = shop.customer().get("/api/cart").await.expect(200);
    assert_eq!(
        view,
        json!({ "items": [{ "product_id": id(1), "name": null, "quantity": 3, "unit_price": null, "line_total": null,
            "in_stock": null, "available": null }], "total": null, "revision": 4, "degraded": ["catalog"] })
    );
    let put = |number: u128| format!("/api/cart/items/{}", id(number));
    let view = shop
        .customer()
        .put(&put(1), json!({ "quantity": 1 }))
        .await
        .expect(200);
    assert_eq!(
        view["items"][0]["quantity"], 1,
        "it was in the cart, so it exists"
    );
    let refused = shop.customer().put(&put(2), json!({ "quantity": 1 })).await;
    assert_eq!(
        refused.expect_problem(503, "service-unavailable")["service"],
        "catalog"
    );
    assert!(
        requests(&shop.carts, "PUT", &format!("{at}/items/{}", id(2)))
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn a_sum_that_does_not_fit_is_left_out_rather_than_wrong() {
    let shop = Shop::open().await;
    sells(
        &shop,
        &[
            product(id(1), "Dear", i64::MAX / 2, 1),
            product(id(2), "Dear", i64::MAX / 2, 1),
            product(id(3), "Dearer", i64::MAX, 1),
        ],
    )
    .await;
    let at = format!("/carts/user/{CUSTOMER}");
    answers(
        &shop.carts,
        "GET",
        &at,
        ok(&cart(1, &[(id(1), 1), (id(2), 2), (id(3), 2)])),
    )
    .await;
    let view = shop.customer().get("/api/cart").await.expect(200);
    assert_eq!(view["items"][0]["line_total"]["amount"], json!(i64::MAX / 2));
    assert_eq!(
        (&view["items"][2]["line_total"], &view["total"]),
        (&Value::Null, &Value::Null)
    );
}

#[tokio::test]
async fn a_product_that_nobody_knows_costs_nothing_and_cannot_be_had() {
    let shop = Shop::open().await;
    sells(&shop, &[product(id(1), "Mug", 250, 5)]).await;
    let at = format!("/carts/user/{CUSTOMER}");
    answers(&shop.carts, "GET", &at, ok(&cart(1, &[(id(1), 2), (id(2), 1)]))).await;
    let view = shop.customer().get("/api/cart").await.expect(200);
    assert_eq!(
        (&view["items"][1]["name"], &view["items"][1]["unit_price"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(view["total"]["amount"], 500);
    assert_eq!(view["degraded"], json!([]));
}
