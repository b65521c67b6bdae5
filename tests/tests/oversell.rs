//! 1,000 buyers for 100 units: exactly 100 are sold, and everything adds up.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use emporium_service_kit::ServiceName;
use emporium_service_kit::auth::Secret;
use emporium_test_kit::Caller;
use emporium_test_kit::http::Reply;
use emporium_tests::{Admin, Options, ShopProcess};
use futures::StreamExt;
use serde_json::{Value, json};
use uuid::Uuid;

const PROGRAM: &str = env!("CARGO_BIN_EXE_shop-under-test");
const BUYERS: usize = 1_000;
const UNITS: i64 = 100;
const AT_ONCE: usize = 100;

/// Calls a service in the gateway's name: signing up a thousand people would mostly measure password hashing.
fn service(shop: &ShopProcess, name: ServiceName) -> Caller {
    let text = std::fs::read_to_string(shop.path().join("keys.json")).unwrap();
    let keys: Value = serde_json::from_str(&text).unwrap();
    let secret = Secret::new(keys["secrets"]["gateway"].as_str().unwrap());
    Caller::new(&shop.url(name.as_str()), name, Some(&secret))
}

fn operator(shop: &ShopProcess, name: ServiceName) -> Caller {
    let text = std::fs::read_to_string(shop.path().join("keys.json")).unwrap();
    let keys: Value = serde_json::from_str(&text).unwrap();
    let secret = Secret::new(keys["secrets"]["operator"].as_str().unwrap());
    Caller::new(&shop.url(name.as_str()), name, Some(&secret))
}

fn buyers() -> Vec<(Uuid, Uuid, Value)> {
    (0..BUYERS)
        .map(|n| {
            let (user, address) = (Uuid::now_v7(), Uuid::now_v7());
            let record = json!({
                "id": user, "email": format!("buyer-{n}-{}@customers.example", user.simple()), "name": format!("Buyer {n}"),
                "origin": "generated", "name_invented": true, "created_at": "2026-01-01T00:00:00Z", "preferences": {},
                "points": 0, "password": null,
                "addresses": [{ "id": address, "street": "1 Way", "city": "York", "postal_code": "YO1 7HH", "country": "GB", "is_default": true }]
            });
            (user, address, record)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_buyers_for_a_hundred_units() {
    let shop = ShopProcess::start(PROGRAM, &Options::default()).await;
    let admin = Admin::of(&shop).await;
    let product = admin.product("The thing everybody wants", 1_000, UNITS).await;
    let buyers = buyers();
    let records: Vec<Value> = buyers.iter().map(|(_, _, record)| record.clone()).collect();
    let loaded = operator(&shop, ServiceName::Users)
        .bulk("/bulk/users", &records)
        .await
        .expect(200);
    assert_eq!(loaded["loaded"], BUYERS);
    let (carts, orders) = (
        service(&shop, ServiceName::Carts),
        service(&shop, ServiceName::Orders),
    );
    let replies: Vec<Reply> = futures::stream::iter(buyers.iter().map(|(user, address, _)| {
        let (carts, orders, product) = (carts.clone(), orders.clone(), product.clone());
        async move {
            let item = format!("/carts/user/{user}/items/{product}");
            carts.put(&item, json!({ "quantity": 1 })).await.expect(200);
            checkout(&orders, user, address).await
        }
    }))
    .buffer_unordered(AT_ONCE)
    .collect()
    .await;
    let mut confirmed = 0;
    for reply in &replies {
        assert!(
            matches!(reply.status, 201 | 202),
            "{} {}",
            reply.status,
            reply.text
        );
        let status = ended(&orders, reply).await;
        confirmed += i64::from(status == "confirmed");
    }
    assert_eq!(confirmed, UNITS, "exactly as many as there were");
    let stock: (i64, i64) =
        sqlx::query_as("SELECT on_hand::bigint, reserved::bigint FROM catalog_stock WHERE product_id = $1")
            .bind(product.parse::<Uuid>().unwrap())
            .fetch_one(&shop.db("catalog"))
            .await
            .unwrap();
    assert_eq!(stock, (0, 0));
    let sql = "SELECT count(*) FROM payments_charge WHERE state = 'succeeded'";
    let charged: i64 = sqlx::query_scalar(sql)
        .fetch_one(&shop.db("payments"))
        .await
        .unwrap();
    assert_eq!(charged, UNITS, "as many charges as sales");
}

async fn checkout(orders: &Caller, user: &Uuid, address: &Uuid) -> Reply {
    let body = json!({ "address_id": address, "payment_token": "tok_ok" });
    let key = Uuid::new_v4().to_string();
    for _ in 0..50 {
        let path = format!("/customers/{user}/orders");
        let request = orders
            .request("POST", &path)
            .header("idempotency-key", &key)
            .json(&body);
        let reply = Reply::read(request).await;
        // Under such a rush a service may say "try again"; the same key makes that safe.
        if reply.status != 503 && reply.json["code"] != "request-in-progress" {
            return reply;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("the checkout was never taken");
}

async fn ended(orders: &Caller, reply: &Reply) -> String {
    let id = reply.json["id"].as_str().unwrap();
    emporium_test_kit::eventually("the order ends", 60, async || {
        let order = orders.get(&format!("/orders/{id}")).await;
        let status = order.json["status"].as_str().unwrap_or_default().to_owned();
        matches!(status.as_str(), "confirmed" | "cancelled").then_some(status)
    })
    .await
}
