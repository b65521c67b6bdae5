//! Customers and administrators on the public API of the whole shop, on PostgreSQL alone and on the specialised stores.
#![allow(clippy::unwrap_used)]

use emporium_test_kit::http::Reply;
use emporium_tests::customer::text;
use emporium_tests::{Admin, Customer, ShopProcess};
use serde_json::{Value, json};
use uuid::Uuid;

const PROGRAM: &str = env!("CARGO_BIN_EXE_shop-under-test");

// Shared shops: the journeys use customers and products of their own.
emporium_tests::on_both_sets!(
    super::PROGRAM,
    [
        a_customer_buys_and_sees_the_order,
        every_payment_outcome_ends_as_promised,
        an_order_that_is_paid_later_stays_pending_until_the_callback,
        a_payment_that_never_answers_cancels_the_order_in_time,
        idempotency_keys_hold_what_they_promise,
        one_key_a_hundred_times_at_once_is_one_order_and_one_charge,
        concurrent_checkouts_of_one_cart_make_one_order,
        a_blocked_customer_is_kept_out,
        carts_of_visitors_are_merged_at_sign_in,
        nobody_sees_what_is_somebody_elses,
        bad_input_gets_problems_and_changes_nothing,
        two_carts_for_the_last_item,
    ]
);

async fn a_customer_buys_and_sees_the_order(shop: &ShopProcess) {
    let admin = Admin::of(shop).await;
    let lamp = admin.product("Brass desk lamp", 4_995, 10).await;
    let customer = Customer::sign_up(shop).await;
    let address = customer.add_address().await;
    customer.put(&lamp, 2).await;
    let placed = customer.order(&address, "tok_ok").await;
    let location = placed.headers["location"].to_str().unwrap().to_owned();
    let order = placed.expect(201);
    assert_eq!(order["status"], "confirmed", "{order}");
    assert_eq!(location, format!("/api/orders/{}", text(&order["id"])));
    assert_eq!(order["total"], json!({ "amount": 9_990, "currency": "GBP" }));
    assert_eq!(order["lines"][0]["name"], "Brass desk lamp");
    assert_eq!(order["lines"][0]["line_total"]["amount"], 9_990);
    assert_eq!(order["shipping_address"]["city"], "Leeds");
    assert_eq!(order["refunded"]["amount"], 0);
    assert!(customer.cart().await.is_empty(), "bought lines leave the cart");
    // Snapshots stay, whatever changes later.
    let changed = json!({ "name": "Renamed", "price": { "amount": 1, "currency": "GBP" } });
    admin
        .api
        .patch(&format!("/api/admin/products/{lamp}"), changed)
        .await
        .expect(200);
    customer
        .api
        .delete(&format!("/api/me/addresses/{address}"))
        .await
        .expect(204);
    let seen = customer.see(order["id"].as_str().unwrap()).await;
    assert_eq!(seen["lines"], order["lines"]);
    assert_eq!(seen["shipping_address"], order["shipping_address"]);
    let listed = customer.api.get("/api/orders").await.expect(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    let product = customer
        .api
        .get(&format!("/api/products/{lamp}"))
        .await
        .expect(200);
    assert_eq!(product["stock"], 8);
    let me = customer.api.get("/api/me").await.expect(200);
    assert!(
        me["points"].as_i64().unwrap() > 0,
        "points are confirmed with the order"
    );
}

async fn every_payment_outcome_ends_as_promised(shop: &ShopProcess) {
    let admin = Admin::of(shop).await;
    for (token, status, ended) in [
        ("tok_ok", 201, "confirmed"),
        ("tok_decline", 201, "cancelled"),
        ("tok_twice", 201, "confirmed"),
    ] {
        let product = admin.product(&format!("Vase for {token}"), 1_000, 5).await;
        let customer = Customer::sign_up(shop).await;
        let address = customer.add_address().await;
        customer.put(&product, 1).await;
        let order = customer.order(&address, token).await.expect(status);
        assert_eq!(order["status"], ended, "{token}: {order}");
        let left = if ended == "confirmed" { 4 } else { 5 };
        let seen = customer
            .api
            .get(&format!("/api/products/{product}"))
            .await
            .expect(200);
        assert_eq!(seen["stock"], left, "{token}");
        assert_eq!(
            customer.cart().await.is_empty(),
            ended == "confirmed",
            "{token}: a cancelled order leaves the cart"
        );
    }
}

async fn an_order_that_is_paid_later_stays_pending_until_the_callback(shop: &ShopProcess) {
    let admin = Admin::of(shop).await;
    let product = admin.product("Clock paid later", 2_500, 3).await;
    let customer = Customer::sign_up(shop).await;
    let address = customer.add_address().await;
    customer.put(&product, 1).await;
    let order = customer.order(&address, "tok_later").await.expect(202);
    let id = text(&order["id"]);
    let order = emporium_test_kit::eventually("the order waits for its payment", 20, async || {
        let order = customer.see(&id).await;
        (order["status"] == "pending" && order["reason"] == "awaiting-payment").then_some(order)
    })
    .await;
    assert_eq!(order["total"]["amount"], 2_500);
    // The cross-service query of administrators shows it, with the customer and the product.
    let pending = admin
        .api
        .get("/api/admin/orders?status=pending&limit=100")
        .await
        .expect(200);
    let row = pending["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["id"] == id.as_str())
        .unwrap();
    assert_eq!(row["customer"]["email"], customer.email.as_str());
    assert_eq!(row["customer"]["name"], "Ada Example");
    assert_eq!(row["lines"][0]["current_name"], "Clock paid later");
    customer
        .api
        .get("/api/admin/orders?status=pending")
        .await
        .expect_problem(403, "administrators-only");
    let path = format!("/api/admin/orders/{id}/payment-callback");
    admin
        .api
        .post(&path, json!({ "outcome": "succeeded" }))
        .await
        .expect(200);
    assert_eq!(customer.ended(&id).await["status"], "confirmed");
    admin
        .api
        .post(&path, json!({ "outcome": "succeeded" }))
        .await
        .expect(200);
    let balance = admin.api.get("/api/admin/ledger").await.expect(200);
    let sums: Vec<i64> = balance["sums"]
        .as_array()
        .unwrap()
        .iter()
        .map(|sum| sum["amount"].as_i64().unwrap())
        .collect();
    assert!(!sums.is_empty() && sums.iter().all(|sum| *sum == 0), "{balance}");
}

async fn a_payment_that_never_answers_cancels_the_order_in_time(shop: &ShopProcess) {
    let admin = Admin::of(shop).await;
    let product = admin.product("Kettle never paid", 3_000, 3).await;
    let customer = Customer::sign_up(shop).await;
    let address = customer.add_address().await;
    customer.put(&product, 2).await;
    let started = std::time::Instant::now();
    let reply = customer.order(&address, "tok_timeout").await;
    assert!(matches!(reply.status, 201 | 202), "{}", reply.text);
    let order = customer.ended(reply.json["id"].as_str().unwrap()).await;
    assert_eq!(order["status"], "cancelled");
    assert!(started.elapsed().as_secs() <= 30, "every saga ends within 30 s");
    assert_eq!(customer.cart().await, [(product.clone(), 2)]);
    emporium_test_kit::eventually("the stock is free again", 10, async || {
        let seen = customer
            .api
            .get(&format!("/api/products/{product}"))
            .await
            .expect(200);
        (seen["stock"] == 3).then_some(())
    })
    .await;
}

async fn idempotency_keys_hold_what_they_promise(shop: &ShopProcess) {
    let admin = Admin::of(shop).await;
    let product = admin.product("Mug for keys", 800, 500).await;
    let customer = Customer::sign_up(shop).await;
    let address = customer.add_address().await;
    let body = json!({ "address_id": address, "payment_token": "tok_ok" });
    customer
        .api
        .post("/api/orders", &body)
        .await
        .expect_problem(400, "idempotency-key-required");
    customer
        .order_with("empty", &body)
        .await
        .expect_problem(422, "cart-empty");
    customer.put(&product, 1).await;
    let dear = json!({ "address_id": address, "payment_token": "tok_ok", "expected_total": { "amount": 1, "currency": "GBP" } });
    customer
        .order_with("dear", &dear)
        .await
        .expect_problem(409, "prices-moved");
    let first = customer.order_with("one", &body).await;
    let again = customer.order_with("one", &body).await;
    assert_eq!(
        (first.status, &first.text),
        (again.status, &again.text),
        "the first answer is replayed"
    );
    let other = json!({ "address_id": address, "payment_token": "tok_decline" });
    customer
        .order_with("one", &other)
        .await
        .expect_problem(422, "idempotency-key-reused");
    // Keys are per customer.
    let neighbour = Customer::sign_up(shop).await;
    let theirs = neighbour.add_address().await;
    neighbour.put(&product, 1).await;
    let order = neighbour
        .order_with("one", &json!({ "address_id": theirs, "payment_token": "tok_ok" }))
        .await
        .expect(201);
    assert_ne!(order["id"], first.json["id"]);
}

async fn one_key_a_hundred_times_at_once_is_one_order_and_one_charge(shop: &ShopProcess) {
    let admin = Admin::of(shop).await;
    let product = admin.product("Bowl for the rush", 1_200, 1_000).await;
    let customer = Customer::sign_up(shop).await;
    let address = customer.add_address().await;
    customer.put(&product, 3).await;
    let body = json!({ "address_id": address, "payment_token": "tok_ok" });
    let replies: Vec<Reply> =
        futures::future::join_all((0..100).map(|_| customer.order_with("rush", &body))).await;
    let answered: Vec<&Reply> = replies.iter().filter(|reply| reply.status == 201).collect();
    assert!(!answered.is_empty());
    for reply in &replies {
        match reply.status {
            201 => assert_eq!(reply.text, answered[0].text),
            _ => assert_eq!(
                (reply.status, &reply.json["code"]),
                (409, &json!("request-in-progress")),
                "{}",
                reply.text
            ),
        }
    }
    assert_eq!(
        customer.api.get("/api/orders").await.expect(200)["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let sql = "SELECT count(*) FROM payments_charge WHERE customer_id = $1";
    let id: Uuid = customer.id.parse().unwrap();
    let charges: i64 = sqlx::query_scalar(sql)
        .bind(id)
        .fetch_one(&shop.db("payments"))
        .await
        .unwrap();
    assert_eq!(charges, 1);
    assert_eq!(
        customer
            .api
            .get(&format!("/api/products/{product}"))
            .await
            .expect(200)["stock"],
        997
    );
}

async fn concurrent_checkouts_of_one_cart_make_one_order(shop: &ShopProcess) {
    let admin = Admin::of(shop).await;
    let product = admin.product("Plate bought once", 700, 100).await;
    let customer = Customer::sign_up(shop).await;
    let address = customer.add_address().await;
    customer.put(&product, 1).await;
    let replies = futures::future::join_all((0..8).map(|_| customer.order(&address, "tok_ok"))).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 201).count(), 1);
    for reply in replies.iter().filter(|reply| reply.status != 201) {
        let code = reply.json["code"].as_str().unwrap_or_default();
        assert!(
            matches!(
                (reply.status, code),
                (409, "checkout-in-progress") | (422, "cart-empty")
            ),
            "{}",
            reply.text
        );
    }
    assert_eq!(
        customer
            .api
            .get(&format!("/api/products/{product}"))
            .await
            .expect(200)["stock"],
        99
    );
}

async fn a_blocked_customer_is_kept_out(shop: &ShopProcess) {
    let admin = Admin::of(shop).await;
    let product = admin.product("Not for the blocked", 900, 5).await;
    let customer = Customer::sign_up(shop).await;
    let address = customer.add_address().await;
    customer.put(&product, 1).await;
    admin
        .api
        .patch(
            &format!("/api/admin/users/{}", customer.id),
            json!({ "active": false }),
        )
        .await
        .expect(200);
    // At once, since checkout asks the users service itself; then everywhere, when the sessions service has heard of it.
    let reply = customer.order(&address, "tok_ok").await;
    reply.expect_problem(403, "user-blocked");
    emporium_test_kit::eventually("the session is blocked", 10, async || {
        (customer.api.get("/api/me").await.status == 403).then_some(())
    })
    .await;
    let reply = customer.order(&address, "tok_ok").await;
    reply.expect_problem(403, "user-blocked");
    let body = json!({ "email": customer.email, "password": "correct horse battery" });
    shop.visitor()
        .post("/api/sessions", body)
        .await
        .expect_problem(403, "user-blocked");
    let open = json!({ "active": true });
    let status = format!("/api/admin/users/{}", customer.id);
    admin.api.patch(&status, open).await.expect(200);
    emporium_test_kit::eventually("the session works again", 10, async || {
        (customer.api.get("/api/me").await.status == 200).then_some(())
    })
    .await;
}

async fn carts_of_visitors_are_merged_at_sign_in(shop: &ShopProcess) {
    let admin = Admin::of(shop).await;
    let (cup, plate) = (
        admin.product("Cup to merge", 500, 50).await,
        admin.product("Plate to merge", 600, 50).await,
    );
    let customer = Customer::sign_up(shop).await;
    customer.put(&cup, 2).await;
    let visitor = shop.visitor();
    let first = visitor
        .put(&format!("/api/cart/items/{cup}"), json!({ "quantity": 1 }))
        .await;
    let cart = first.headers["x-cart-id"].to_str().unwrap().to_owned();
    let with_cart = |method: &str, path: &str| visitor.request(method, path).header("x-cart-id", &cart);
    Reply::read(with_cart("PUT", &format!("/api/cart/items/{plate}")).json(&json!({ "quantity": 4 })))
        .await
        .expect(200);
    let body = json!({ "email": customer.email, "password": "correct horse battery" });
    Reply::read(with_cart("POST", "/api/sessions").json(&body))
        .await
        .expect(201);
    let mut lines = customer.cart().await;
    lines.sort();
    let mut expected = [(cup, 3), (plate, 4)];
    expected.sort();
    assert_eq!(lines, expected);
}

async fn nobody_sees_what_is_somebody_elses(shop: &ShopProcess) {
    let admin = Admin::of(shop).await;
    let product = admin.product("Private purchase", 900, 5).await;
    let (mine, theirs) = (Customer::sign_up(shop).await, Customer::sign_up(shop).await);
    let address = mine.add_address().await;
    mine.put(&product, 1).await;
    let order = text(&mine.order(&address, "tok_ok").await.expect(201)["id"]);
    theirs
        .api
        .get(&format!("/api/orders/{order}"))
        .await
        .expect_problem(404, "not-found");
    theirs
        .api
        .delete(&format!("/api/me/addresses/{address}"))
        .await
        .expect_problem(404, "not-found");
    theirs.put(&product, 1).await;
    theirs
        .order(&address, "tok_ok")
        .await
        .expect_problem(404, "not-found");
    shop.visitor()
        .get("/api/orders")
        .await
        .expect_problem(401, "sign-in-required");
    let forged = shop
        .visitor()
        .with_token("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    forged
        .get("/api/me")
        .await
        .expect_problem(401, "sign-in-required");
    // The services themselves let nobody in without their callers' tokens.
    for service in ["users", "sessions", "catalog", "carts", "orders", "payments"] {
        let direct = emporium_test_kit::Caller::new(
            &shop.url(service),
            emporium_service_kit::ServiceName::Users,
            None,
        );
        direct
            .get("/events")
            .await
            .status
            .eq(&401)
            .then_some(())
            .or((service == "sessions" || service == "carts").then_some(()))
            .unwrap();
    }
}

#[allow(clippy::too_many_lines)] // a table of cases
async fn bad_input_gets_problems_and_changes_nothing(shop: &ShopProcess) {
    let admin = Admin::of(shop).await;
    let product = admin.product("Target of bad input", 900, 5).await;
    let customer = Customer::sign_up(shop).await;
    let item = format!("/api/cart/items/{product}");
    let long = "x".repeat(10_000);
    let nasty = "'; DROP TABLE users_account; -- <script>alert(1)</script>";
    let cases: Vec<(&str, String, Value)> = vec![
        ("PUT", item.clone(), json!({ "quantity": -1 })),
        ("PUT", item.clone(), json!({ "quantity": 1_000_000_000_000_i64 })),
        ("PUT", item.clone(), json!({ "quantity": 1.5 })),
        ("PUT", item.clone(), json!({ "quantity": "two" })),
        ("PUT", item.clone(), json!({})),
        ("PUT", item.clone(), json!([1, 2, 3])),
        (
            "PUT",
            format!("/api/cart/items/{}", Uuid::new_v4()),
            json!({ "quantity": 1 }),
        ),
        (
            "PUT",
            "/api/cart/items/not-an-id".to_owned(),
            json!({ "quantity": 1 }),
        ),
        ("PATCH", "/api/me".to_owned(), json!({ "name": "a\u{0}b" })),
        ("PATCH", "/api/me".to_owned(), json!({ "name": long })),
        (
            "PATCH",
            "/api/me".to_owned(),
            json!({ "preferences": { "k": "a\u{0}b" } }),
        ),
        (
            "POST",
            "/api/me/addresses".to_owned(),
            json!({ "street": "", "city": "x", "postal_code": "y", "country": "Britain" }),
        ),
        (
            "POST",
            "/api/users".to_owned(),
            json!({ "email": nasty, "password": "long enough pw", "name": "x" }),
        ),
        (
            "POST",
            "/api/users".to_owned(),
            json!({ "email": "a@b.example", "password": "x", "name": "x" }),
        ),
        (
            "POST",
            "/api/sessions".to_owned(),
            json!({ "email": nasty, "password": nasty }),
        ),
        ("GET", format!("/api/products?q={long}"), Value::Null),
        ("GET", "/api/products?limit=0".to_owned(), Value::Null),
        ("GET", "/api/products?limit=100000".to_owned(), Value::Null),
        ("GET", "/api/products?limit=ten".to_owned(), Value::Null),
        ("GET", "/api/products?cursor=nonsense".to_owned(), Value::Null),
        ("GET", "/api/products?price_min=-5".to_owned(), Value::Null),
        (
            "GET",
            "/api/products?price_min=99999999999999999999".to_owned(),
            Value::Null,
        ),
        ("GET", "/api/products?sort=sideways".to_owned(), Value::Null),
        ("GET", "/api/products?q=%00".to_owned(), Value::Null),
        (
            "GET",
            "/api/orders/00000000-0000-0000-0000-000000000000".to_owned(),
            Value::Null,
        ),
        ("GET", "/api/nowhere".to_owned(), Value::Null),
        ("POST", "/api/products".to_owned(), json!({})),
        (
            "POST",
            "/api/orders".to_owned(),
            json!({ "address_id": "x", "payment_token": "tok_ok" }),
        ),
    ];
    for (method, path, body) in cases {
        let request = customer.api.request(method, &path);
        let reply = Reply::read(if body.is_null() {
            request
        } else {
            request.json(&body)
        })
        .await;
        assert!(
            (400..500).contains(&reply.status),
            "{method} {path:.80} {body:.80}: {} {}",
            reply.status,
            reply.text
        );
        assert_eq!(
            reply.content_type, "application/problem+json",
            "{method} {path:.80}: {}",
            reply.text
        );
    }
    for broken in ["{", "{\"quantity\": 1", "\u{0}", "null", "{\"quantity\":1}}"] {
        let request = customer
            .api
            .request("PUT", &item)
            .header("content-type", "application/json")
            .body(broken);
        Reply::read(request).await.expect_problem(400, "bad-json");
    }
    let huge = format!("{{\"quantity\":1,\"pad\":\"{}\"}}", "x".repeat(2_000_000));
    let request = customer
        .api
        .request("PUT", &item)
        .header("content-type", "application/json")
        .body(huge);
    Reply::read(request).await.expect_problem(413, "body-too-large");
    assert!(customer.cart().await.is_empty(), "nothing was changed");
    // Harmless text goes in and comes out as it is.
    customer
        .api
        .patch("/api/me", json!({ "name": nasty }))
        .await
        .expect(200);
    assert_eq!(customer.api.get("/api/me").await.expect(200)["name"], nasty);
    let found = customer
        .api
        .get("/api/products?q=%27%20OR%201%3D1%20--%20%3Cscript%3E")
        .await
        .expect(200);
    assert!(found["items"].is_array());
    customer.api.get("/api/products?q=%FF%FE").await.expect(200);
}

async fn two_carts_for_the_last_item(shop: &ShopProcess) {
    let admin = Admin::of(shop).await;
    let product = admin.product("The last one", 9_900, 1).await;
    let mut buyers = Vec::new();
    for _ in 0..2 {
        let customer = Customer::sign_up(shop).await;
        let address = customer.add_address().await;
        customer.put(&product, 1).await;
        buyers.push((customer, address));
    }
    let orders = futures::future::join_all(
        buyers
            .iter()
            .map(|(buyer, address)| buyer.order(address, "tok_ok")),
    )
    .await;
    let mut ends = Vec::new();
    for (reply, (buyer, _)) in orders.iter().zip(&buyers) {
        let id = reply.json["id"]
            .as_str()
            .unwrap_or_else(|| panic!("{}", reply.text));
        ends.push(text(&buyer.ended(id).await["status"]));
    }
    ends.sort();
    assert_eq!(ends, ["cancelled", "confirmed"]);
    assert_eq!(
        shop.visitor()
            .get(&format!("/api/products/{product}"))
            .await
            .expect(200)["stock"],
        0
    );
}
