//! Administration: composed orders, accounts, products, the books, dead letters.

use serde_json::{Value, json};
use uuid::Uuid;
use wiremock::ResponseTemplate;

use crate::support::*;

/// Answers a batch look-up with everything that was asked for.
async fn answers_batches(server: &wiremock::MockServer, at: &str, make: fn(Uuid) -> Value) {
    let answer = move |request: &wiremock::Request| {
        let asked: Value = request.body_json().unwrap();
        let ids: Vec<Uuid> = serde_json::from_value(asked["ids"].clone()).unwrap();
        assert!(ids.len() <= 200, "batches are bounded");
        ok(&json!({ "items": ids.into_iter().map(make).collect::<Vec<Value>>() }))
    };
    wiremock::Mock::given(wiremock::matchers::path(at.to_owned()))
        .respond_with(answer)
        .mount(server)
        .await;
}

async fn has_orders(shop: &Shop, orders: &[Value]) {
    let page = json!({ "items": orders, "next_cursor": "next" });
    answers(&shop.orders, "GET", "/orders", ok(&page)).await;
    answers_batches(&shop.users, "/users/batch", |id| user(id, "ada")).await;
    answers_batches(&shop.catalog, "/products/batch", |id| {
        product(id, "name now", 1, 1)
    })
    .await;
}

#[tokio::test]
async fn a_page_of_orders_takes_one_call_to_each_service() {
    let shop = Shop::open().await;
    let orders: Vec<Value> = (1..=100)
        .map(|number| {
            order(
                number,
                Some(id(1000 + number % 40)),
                &[id(2000 + number), id(2000)],
            )
        })
        .collect();
    has_orders(&shop, &orders).await;
    let shown = shop
        .admin()
        .get("/api/admin/orders?status=pending&limit=100")
        .await
        .expect(200);
    assert_eq!(shown["items"].as_array().unwrap().len(), 100);
    assert_eq!(
        (&shown["next_cursor"], &shown["degraded"]),
        (&json!("next"), &json!([]))
    );
    let first = &shown["items"][0];
    assert_eq!(
        first["customer"],
        json!({ "id": id(1001), "name": "ada", "email": "ada@example.com" })
    );
    assert_eq!(first["lines"][0]["name"], "name then");
    assert_eq!(first["lines"][0]["current_name"], "name now");
    assert_eq!(
        (&first["status"], &first["source"]),
        (&json!("pending"), &json!("shop"))
    );
    let asked = &requests(&shop.orders, "GET", "/orders").await[0];
    assert_eq!(asked.url.query(), Some("status=pending&limit=100"));
    // The number of calls does not grow with the number of rows.
    assert_eq!(shop.orders.received_requests().await.unwrap().len(), 1);
    let users = shop.users.received_requests().await.unwrap();
    assert_eq!(users.len(), 1);
    assert_eq!(
        users[0].body_json::<Value>().unwrap()["ids"]
            .as_array()
            .unwrap()
            .len(),
        40,
        "each id once"
    );
    let products = shop.catalog.received_requests().await.unwrap();
    assert_eq!(products.len(), 1);
    assert_eq!(
        products[0].body_json::<Value>().unwrap()["ids"]
            .as_array()
            .unwrap()
            .len(),
        101
    );
}

#[tokio::test]
async fn orders_of_very_many_lines_take_bounded_batches() {
    let shop = Shop::open().await;
    let lines: Vec<Uuid> = (1..=1_001).map(id).collect();
    has_orders(&shop, &[order(1, None, &lines)]).await;
    let shown = shop.admin().get("/api/admin/orders").await.expect(200);
    let shown = shown["items"][0]["lines"].as_array().unwrap();
    assert!(shown.len() == 1_001 && shown.iter().all(|line| line["current_name"] == "name now"));
    assert_eq!(
        shop.catalog.received_requests().await.unwrap().len(),
        6,
        "200 ids a call"
    );
    assert!(
        shop.users.received_requests().await.unwrap().is_empty(),
        "a guest's order has no customer"
    );
}

#[tokio::test]
async fn without_users_or_catalog_orders_still_show() {
    let shop = Shop::open().await;
    has_orders(&shop, &[order(1, Some(CUSTOMER), &[id(4)])]).await;
    goes_away(&shop.users).await;
    let shown = shop.admin().get("/api/admin/orders").await.expect(200);
    assert_eq!(shown["degraded"], json!(["users"]));
    assert_eq!(shown["items"][0]["customer"], Value::Null);
    assert_eq!(shown["items"][0]["customer_id"], json!(CUSTOMER));
    assert_eq!(shown["items"][0]["lines"][0]["current_name"], "name now");
    goes_away(&shop.catalog).await;
    let shown = shop.admin().get("/api/admin/orders").await.expect(200);
    assert_eq!(shown["degraded"], json!(["users", "catalog"]));
    assert_eq!(shown["items"][0]["lines"][0]["name"], "name then");
    goes_away(&shop.orders).await;
    let refused = shop.admin().get("/api/admin/orders").await;
    assert_eq!(
        refused.expect_problem(503, "service-unavailable")["service"],
        "orders"
    );
}

#[tokio::test]
async fn one_order_has_its_charge() {
    let shop = Shop::open().await;
    has_orders(&shop, &[]).await;
    answers(
        &shop.orders,
        "GET",
        &format!("/orders/{}", id(1)),
        ok(&order(1, Some(CUSTOMER), &[id(4)])),
    )
    .await;
    answers(
        &shop.orders,
        "GET",
        &format!("/orders/{}", id(2)),
        problem(404, "not-found"),
    )
    .await;
    let money = |amount: i64| json!({ "amount": amount, "currency": "GBP" });
    let charge = json!({ "saga_id": id(1), "order_id": id(1), "amount": money(205), "state": "open",
        "refunded": money(0), "reason": null, "provider_reference": "p-1", "created_at": AT, "updated_at": AT });
    answers(&shop.payments, "GET", &format!("/charges/{}", id(1)), ok(&charge)).await;
    answers(
        &shop.payments,
        "POST",
        &format!("/provider/callbacks/{}", id(1)),
        ok(&charge),
    )
    .await;
    let at = format!("/api/admin/orders/{}", id(1));
    let shown = shop.admin().get(&at).await.expect(200);
    assert_eq!(
        (&shown["charge"]["state"], &shown["customer"]["name"]),
        (&json!("open"), &json!("ada"))
    );
    shop.admin()
        .get(&format!("/api/admin/orders/{}", id(2)))
        .await
        .expect_problem(404, "not-found");

    let callback = format!("{at}/payment-callback");
    shop.admin()
        .post(&callback, json!({ "outcome": "succeeded" }))
        .await
        .expect(200);
    let sent = requests(&shop.payments, "POST", &format!("/provider/callbacks/{}", id(1))).await;
    assert_eq!(
        sent[0].body_json::<Value>().unwrap(),
        json!({ "outcome": "succeeded" })
    );
    shop.admin()
        .post(&callback, json!({ "outcome": "maybe" }))
        .await
        .expect_problem(400, "bad-json");

    goes_away(&shop.payments).await;
    let shown = shop.admin().get(&at).await.expect(200);
    assert_eq!(
        (&shown["charge"], &shown["degraded"]),
        (&Value::Null, &json!(["payments"]))
    );
}

#[tokio::test]
async fn accounts_products_stock_and_books() {
    let shop = Shop::open().await;
    answers(
        &shop.users,
        "GET",
        "/users",
        ok(&json!({ "items": [user(id(1), "ada")], "next_cursor": null })),
    )
    .await;
    let mut blocked = user(id(1), "ada");
    blocked["active"] = json!(false);
    answers(
        &shop.users,
        "PATCH",
        &format!("/users/{}/status", id(1)),
        ok(&blocked),
    )
    .await;
    let list = shop
        .admin()
        .get("/api/admin/users?q=ada&limit=")
        .await
        .expect(200);
    assert_eq!(list["items"][0]["email"], "ada@example.com");
    assert_eq!(
        requests(&shop.users, "GET", "/users").await[0].url.query(),
        Some("q=ada")
    );
    let at = format!("/api/admin/users/{}", id(1));
    let shown = shop
        .admin()
        .patch(&at, json!({ "active": false }))
        .await
        .expect(200);
    assert_eq!(shown["active"], false);
    let own = format!("/users/{}/status", id(2));
    answers(&shop.users, "PATCH", &own, problem(409, "last-administrator")).await;
    shop.admin()
        .patch(&format!("/api/admin/users/{}", id(2)), json!({ "active": false }))
        .await
        .expect_problem(409, "last-administrator");

    let mug = product(id(1), "Mug", 250, 5);
    answers(
        &shop.catalog,
        "POST",
        "/products",
        ResponseTemplate::new(201).set_body_json(&mug),
    )
    .await;
    let one = format!("/products/{}", id(1));
    answers(&shop.catalog, "PATCH", &one, ok(&mug)).await;
    answers(&shop.catalog, "DELETE", &one, ok(&mug)).await;
    answers(&shop.catalog, "POST", &format!("{one}/stock"), ok(&mug)).await;
    let new = json!({ "sku": "M-1", "name": "Mug", "description": "A mug.\nBlue.", "category": "Things",
        "price": { "amount": 250, "currency": "GBP" }, "attributes": { "colour": "blue" } });
    let reply = shop.admin().post("/api/admin/products", &new).await;
    assert_eq!(
        reply.headers["location"].to_str().unwrap(),
        format!("/api/products/{}", id(1))
    );
    reply.expect(201);
    assert_eq!(
        requests(&shop.catalog, "POST", "/products").await[0]
            .body_json::<Value>()
            .unwrap(),
        new
    );
    let at = format!("/api/admin/products/{}", id(1));
    for change in [json!({ "brand": null }), json!({ "name": "Cup" }), json!({})] {
        shop.admin().patch(&at, &change).await.expect(200);
        let sent = requests(&shop.catalog, "PATCH", &one).await;
        assert_eq!(
            sent.last().unwrap().body_json::<Value>().unwrap(),
            change,
            "absent stays absent, null stays null"
        );
    }
    shop.admin().delete(&at).await.expect(200);
    let key = [
        ("authorization", format!("Bearer {ADMIN_TOKEN}")),
        ("idempotency-key", "k".to_owned()),
    ];
    let key = key.each_ref().map(|(name, value)| (*name, value.as_str()));
    shop.send("POST", &format!("{at}/stock"), &key, Some(json!({ "delta": -3 })))
        .await
        .expect(200);
    let sent = &requests(&shop.catalog, "POST", &format!("{one}/stock")).await[0];
    assert_eq!(
        (
            sent.headers["idempotency-key"].to_str().unwrap(),
            sent.body_json::<Value>().unwrap()
        ),
        ("k", json!({ "delta": -3 }))
    );

    let money = |amount: i64| json!({ "amount": amount, "currency": "GBP" });
    let account = json!({ "account": "sales", "kind": "income", "description": "d", "debit": money(0),
        "credit": money(5), "balance": money(-5) });
    let mut books = json!({ "items": [account], "sums": [money(0)] });
    answers(&shop.payments, "GET", "/ledger/balance", ok(&books)).await;
    books["next_cursor"] = Value::Null; // as every list
    assert_eq!(shop.admin().get("/api/admin/ledger").await.expect(200), books);
}
