//! The API against a real PostgreSQL.
#![allow(clippy::unwrap_used, clippy::too_many_lines)]

mod support;

use emporium_service_kit::{Clock, ServiceName};
use emporium_test_kit::{Keys, TestService};
use futures::future::join_all;
use serde_json::{Value, json};
use support::{create, format, gateway, mug, start};
use uuid::Uuid;

#[tokio::test]
async fn callers_need_a_token_on_the_routes_list() {
    let catalog = start().await;
    let path = format!("/products/{}", Uuid::new_v4());
    catalog
        .anonymous()
        .get(&path)
        .await
        .expect_problem(401, "service-token-required");
    let allowed: [(&str, &str, &[ServiceName]); 7] = [
        ("GET", "/products", &[ServiceName::Gateway, ServiceName::Operator]),
        (
            "POST",
            "/products/batch",
            &[ServiceName::Gateway, ServiceName::Carts, ServiceName::Orders],
        ),
        ("GET", "/suggest", &[ServiceName::Gateway]),
        (
            "PUT",
            "/reservations/0190a0a0-0000-7000-8000-000000000000",
            &[ServiceName::Orders],
        ),
        ("POST", "/bulk/products", &[ServiceName::Operator]),
        (
            "GET",
            "/dead-letters",
            &[ServiceName::Gateway, ServiceName::Operator],
        ),
        ("GET", "/events", &ServiceName::ALL),
    ];
    for (method, path, callers) in allowed {
        for caller in ServiceName::ALL {
            let answer =
                emporium_test_kit::Reply::read(catalog.as_caller(caller).request(method, path)).await;
            assert_eq!(
                answer.status != 403,
                callers.contains(&caller),
                "{caller} {method} {path}"
            );
        }
    }
    gateway(&catalog)
        .get(&path)
        .await
        .expect_problem(404, "not-found");
    catalog.anonymous().get("/health/ready").await.expect(200);
    catalog.stop().await;
}

#[tokio::test]
async fn a_product_lives_and_is_archived() {
    let catalog = start().await;
    let gateway = gateway(&catalog);
    let id = create(&gateway, "MUG-1", 0).await;
    let path = format!("/products/{id}");
    let made = gateway.get(&path).await.expect(200);
    assert_eq!(made["category"], "kitchen-dining");
    assert_eq!(made["category_name"], "Kitchen & Dining");
    assert_eq!(made["price"], json!({"amount": 1250, "currency": "GBP"}));
    assert_eq!(made["attributes"]["volume_ml"], 350);
    assert_eq!(
        (&made["in_stock"], &made["stock"], &made["version"]),
        (&json!(false), &json!(0), &json!(1))
    );
    assert_eq!(
        (&made["source"], &made["status"]),
        (&json!("admin"), &json!("active"))
    );
    gateway
        .post("/products", mug("MUG-1"))
        .await
        .expect_problem(409, "sku-taken");
    let patch = json!({"price": {"amount": 999, "currency": "GBP"}, "brand": null, "category": "sale"});
    let patched = gateway.patch(&path, &patch).await.expect(200);
    assert_eq!(
        (
            &patched["price"]["amount"],
            &patched["brand"],
            &patched["category_name"]
        ),
        (&json!(999), &Value::Null, &json!("Sale"))
    );
    assert_eq!(
        (&patched["version"], &patched["name"]),
        (&json!(2), &json!("Blue mug"))
    );
    let again = gateway.patch(&path, &patch).await.expect(200);
    assert_eq!(again["version"], 2, "what changes nothing is no change");
    create(&gateway, "MUG-2", 0).await;
    gateway
        .patch(&path, json!({"sku": "MUG-2"}))
        .await
        .expect_problem(409, "sku-taken");
    assert_eq!(gateway.get("/products?q=mug").await.expect(200)["total"], 2);
    let archived = gateway.delete(&path).await.expect(200);
    assert_eq!(
        (&archived["status"], &archived["version"]),
        (&json!("archived"), &json!(3))
    );
    assert_eq!(gateway.delete(&path).await.expect(200)["version"], 3);
    gateway
        .patch(&path, json!({"name": "X"}))
        .await
        .expect_problem(409, "product-archived");
    assert_eq!(
        gateway.get("/products?q=mug").await.expect(200)["total"],
        1,
        "never listed"
    );
    assert_eq!(gateway.get(&path).await.expect(200)["status"], "archived");
    let batch = json!({"ids": [id, Uuid::new_v4(), id]});
    let items = gateway.post("/products/batch", batch).await.expect(200);
    assert_eq!(items["items"].as_array().unwrap().len(), 1);
    let types = event_types(&catalog, &id).await;
    assert_eq!(
        types,
        ["product.created.v1", "product.updated.v1", "product.archived.v1"]
    );
    catalog.stop().await;
}

async fn event_types(catalog: &TestService, id: &str) -> Vec<String> {
    let page = catalog
        .as_caller(ServiceName::Orders)
        .get("/events?limit=1000")
        .await
        .expect(200);
    let items = page["items"].as_array().unwrap();
    let mine = items.iter().filter(|item| item["event"]["subject"] == *id);
    mine.map(|item| item["event"]["type"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn stock_changes_once_a_key_and_never_below_zero() {
    let catalog = start().await;
    let gateway = gateway(&catalog);
    let id = create(&gateway, "MUG-1", 0).await;
    let path = format!("/products/{id}/stock");
    let with_key = |key: &str, delta: i64| {
        let request = gateway
            .request("POST", &path)
            .header("idempotency-key", key)
            .json(&json!({"delta": delta}));
        emporium_test_kit::Reply::read(request)
    };
    let answers = join_all((0..20).map(|_| with_key("once", 10))).await;
    for answer in answers {
        assert_eq!(answer.expect(200)["stock"], 10);
    }
    with_key("once", 11)
        .await
        .expect_problem(422, "idempotency-key-reused");
    let problem = gateway
        .post(&path, json!({"delta": -11}))
        .await
        .expect_problem(409, "stock-negative");
    assert_eq!(problem["available"], 10);
    let less = gateway
        .post(&path, json!({"delta": -10, "reason": "broken"}))
        .await
        .expect(200);
    assert_eq!((&less["stock"], &less["in_stock"]), (&json!(0), &json!(false)));
    gateway
        .post(
            &format!("/products/{}/stock", Uuid::new_v4()),
            json!({"delta": 1}),
        )
        .await
        .expect_problem(404, "not-found");
    let changes =
        join_all((0..30).map(|n| gateway.post(&path, json!({"delta": if n % 3 == 0 { 2 } else { -1 }}))))
            .await;
    let moved: i64 = changes
        .iter()
        .enumerate()
        .filter(|(_, answer)| answer.status == 200)
        .map(|(n, _)| if n % 3 == 0 { 2 } else { -1 })
        .sum();
    let now = gateway.get(&format!("/products/{id}")).await.expect(200);
    assert_eq!(now["stock"].as_i64().unwrap(), moved);
    catalog.stop().await;
}

#[tokio::test]
async fn reservations_answer_as_agreed() {
    let catalog = start().await;
    let (gateway, orders) = (gateway(&catalog), catalog.as_caller(ServiceName::Orders));
    let id = create(&gateway, "MUG-1", 5).await;
    let soon = format(time::Duration::minutes(10));
    let hold =
        |quantity: i64| json!({"lines": [{"product_id": id, "quantity": quantity}], "expires_at": soon});
    let path = |saga: Uuid| format!("/reservations/{saga}");
    let saga = Uuid::now_v7();
    let held = orders.put(&path(saga), hold(3)).await.expect(200);
    assert_eq!(
        (&held["state"], &held["lines"][0]["quantity"]),
        (&json!("held"), &json!(3))
    );
    assert_eq!(orders.put(&path(saga), hold(3)).await.expect(200), held);
    orders
        .put(&path(saga), hold(2))
        .await
        .expect_problem(409, "reservation-differs");
    let short = orders
        .put(&path(Uuid::now_v7()), hold(3))
        .await
        .expect_problem(409, "out-of-stock");
    assert_eq!(
        short["unavailable"],
        json!([{"product_id": id, "requested": 3, "available": 2}])
    );
    let later = format(time::Duration::hours(1));
    let extended = orders
        .post(&format!("{}/extend", path(saga)), json!({"expires_at": later}))
        .await
        .expect(200);
    assert_ne!(extended["expires_at"], held["expires_at"]);
    for _ in 0..2 {
        let committed = orders
            .post(&format!("{}/commit", path(saga)), json!({}))
            .await
            .expect(200);
        assert_eq!(committed["state"], "committed");
    }
    orders
        .delete(&path(saga))
        .await
        .expect_problem(409, "reservation-committed");
    orders
        .post(&format!("{}/extend", path(saga)), json!({"expires_at": later}))
        .await
        .expect_problem(409, "reservation-gone");
    let unknown = Uuid::now_v7();
    orders
        .post(&format!("{}/commit", path(unknown)), json!({}))
        .await
        .expect_problem(404, "not-found");
    for _ in 0..2 {
        assert_eq!(orders.delete(&path(unknown)).await.status, 204);
    }
    orders
        .put(&path(unknown), hold(1))
        .await
        .expect_problem(409, "reservation-released");
    orders
        .post(&format!("{}/commit", path(unknown)), json!({}))
        .await
        .expect_problem(409, "reservation-gone");
    let mine = event_types(&catalog, &id).await;
    assert_eq!(
        mine,
        [
            "product.created.v1",
            "stock.changed.v1",
            "stock.changed.v1",
            "stock.changed.v1"
        ]
    );
    catalog.stop().await;
}

#[tokio::test]
async fn expired_reservations_give_their_stock_back() {
    let clock = Clock::manual(time::macros::datetime!(2025-06-01 12:00 UTC));
    let catalog = TestService::start(
        ServiceName::Catalog,
        &Keys::default(),
        &[],
        clock.clone(),
        emporium_catalog::build,
    )
    .await;
    let (gateway, orders) = (gateway(&catalog), catalog.as_caller(ServiceName::Orders));
    let id = create(&gateway, "MUG-1", 1).await;
    let body =
        json!({"lines": [{"product_id": id, "quantity": 1}], "expires_at": "2025-06-01T13:05:00+01:00"});
    let saga = format!("/reservations/{}", Uuid::now_v7());
    let held = orders.put(&saga, &body).await.expect(200);
    assert_eq!(held["expires_at"], "2025-06-01T12:05:00Z");
    assert_eq!(
        gateway.get("/products?in_stock=true").await.expect(200)["items"],
        json!([])
    );
    clock.advance(time::Duration::minutes(5));
    orders
        .post(&format!("{saga}/commit"), json!({}))
        .await
        .expect_problem(409, "reservation-gone");
    let path = format!("/products/{id}");
    emporium_test_kit::eventually("the stock is back", 5, async || {
        (gateway.get(&path).await.expect(200)["stock"] == 1).then_some(())
    })
    .await;
    orders.put(&saga, &body).await.expect_problem(422, "invalid");
    catalog.stop().await;
}

/// A list asks the index first and the products a moment later.
#[tokio::test]
async fn a_product_archived_between_index_and_answer_is_not_listed() {
    let catalog = start().await;
    let gateway = gateway(&catalog);
    let (gone, kept) = (
        create(&gateway, "MUG-1", 1).await,
        create(&gateway, "MUG-2", 1).await,
    );
    sqlx::query("UPDATE catalog_stock SET archived = true WHERE product_id = $1::uuid")
        .bind(&gone)
        .execute(&catalog.db())
        .await
        .unwrap();
    for path in ["/products", "/products?q=mug"] {
        let items = gateway.get(path).await.expect(200)["items"].clone();
        let ids: Vec<&Value> = items.as_array().unwrap().iter().map(|item| &item["id"]).collect();
        assert_eq!(ids, [&json!(kept)], "{path}");
    }
    catalog.stop().await;
}

#[tokio::test]
async fn lists_page_filter_and_refuse_foreign_cursors() {
    let catalog = start().await;
    let gateway = gateway(&catalog);
    for n in 0..7 {
        create(&gateway, &format!("MUG-{n}"), n % 2).await;
    }
    let mut path = "/products?limit=3&attr=colour:blue&attr=volume_ml:350".to_owned();
    let mut seen = Vec::new();
    loop {
        let page = gateway.get(&path).await.expect(200);
        assert_eq!((&page["total"], &page["degraded"]), (&json!(7), &json!([])));
        seen.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["in_stock"].as_bool().unwrap()),
        );
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/products?limit=3&attr=colour:blue&attr=volume_ml:350&cursor={cursor}");
        gateway
            .get(&format!("/products?sort=name&cursor={cursor}"))
            .await
            .expect_problem(400, "bad-cursor");
    }
    assert_eq!(
        seen,
        [true, true, true, false, false, false, false],
        "in stock first"
    );
    let found = gateway.get("/products?q=blu%20mgu").await.expect(200);
    assert_eq!(
        (&found["corrected_query"], &found["total"]),
        (&json!("blue mug"), &json!(7))
    );
    assert_eq!(
        found["facets"]["brand"],
        json!([{"value": "Potteries", "name": "Potteries", "count": 7}])
    );
    let none = gateway
        .get("/products?category=none&price_min=9223372036854775807")
        .await
        .expect(200);
    assert_eq!((&none["total"], &none["items"]), (&json!(0), &json!([])));
    let categories = gateway.get("/categories").await.expect(200);
    assert_eq!(
        categories,
        json!({"items": [{"slug": "kitchen-dining", "name": "Kitchen & Dining", "count": 7}], "next_cursor": null})
    );
    let suggestions = gateway.get("/suggest?q=blu&limit=2").await.expect(200);
    assert_eq!(suggestions["items"][0]["kind"], "product");
    catalog.stop().await;
}
