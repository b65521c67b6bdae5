//! Sales: `order.confirmed.v1` makes products popular, once.
#![allow(clippy::unwrap_used)]

use emporium_event_bus::event::CloudEvent;
use emporium_event_bus::{Bus, open};
use emporium_service_kit::{Clock, ServiceName};
use emporium_test_kit::{Caller, Keys, TestService, eventually};
use serde_json::{Value, json};
use uuid::Uuid;

async fn start() -> TestService {
    TestService::start(
        ServiceName::Catalog,
        &Keys::default(),
        &[],
        Clock::System,
        emporium_catalog::build,
    )
    .await
}

fn order(lines: &Value) -> CloudEvent {
    let id = Uuid::now_v7();
    serde_json::from_value(json!({
        "specversion": "1.0", "id": id, "source": "/orders", "type": "order.confirmed.v1", "subject": id.to_string(),
        "time": "2025-01-01T00:00:00Z", "datacontenttype": "application/json", "aggregateversion": 3,
        "data": {"order_id": id, "customer_id": null, "status": "confirmed", "lines": lines, "unheard_of": {"a": 1}}
    }))
    .unwrap()
}

async fn create(gateway: &Caller, name: &str) -> String {
    let body =
        json!({"sku": name, "name": name, "category": "things", "price": {"amount": 5, "currency": "GBP"}});
    let product = gateway.post("/products", body).await.expect(201);
    product["id"].as_str().unwrap().to_owned()
}

/// Waits until the group has read what is on the bus.
async fn read_all(catalog: &TestService, bus: &dyn Bus) {
    eventually("the group has read everything", 10, async || {
        let end = bus.end().await.unwrap();
        (bus.group_position("catalog").await.unwrap() == Some(end)).then_some(())
    })
    .await;
    let _ = catalog;
}

async fn popularity(gateway: &Caller, id: &str) -> i64 {
    let product = gateway.get(&format!("/products/{id}")).await.expect(200);
    product["popularity"].as_i64().unwrap()
}

#[tokio::test]
async fn each_order_counts_once_however_often_it_comes() {
    let catalog = start().await;
    let gateway = catalog.as_caller(ServiceName::Gateway);
    let bus = open(&catalog.environment).await.unwrap();
    eventually("the group has joined", 10, async || {
        bus.group_position("catalog").await.unwrap()
    })
    .await;
    let (rare, common) = (create(&gateway, "rare").await, create(&gateway, "common").await);
    let line = |id: &str, quantity: i64| json!({"product_id": id, "quantity": quantity, "unit_price": 5});
    let mut orders: Vec<CloudEvent> = (0..250).map(|_| order(&json!([line(&common, 2)]))).collect();
    orders.push(order(&json!([
        line(&rare, 1),
        line(&common, 1),
        line(&Uuid::new_v4().to_string(), 4)
    ])));
    orders.push(order(&json!([line(&rare, -5)])));
    bus.append(&orders).await.unwrap();
    read_all(&catalog, bus.as_ref()).await;
    assert_eq!(
        (
            popularity(&gateway, &rare).await,
            popularity(&gateway, &common).await
        ),
        (1, 501)
    );
    // The group goes back to the start, as after a lost position: nothing is counted again.
    bus.set_group("catalog", 0).await.unwrap();
    read_all(&catalog, bus.as_ref()).await;
    assert_eq!(
        (
            popularity(&gateway, &rare).await,
            popularity(&gateway, &common).await
        ),
        (1, 501)
    );
    let list = gateway.get("/products").await.expect(200);
    assert_eq!(list["items"][0]["id"], *common, "popular first");
    catalog.stop().await;
}

#[tokio::test]
async fn an_unreadable_order_is_put_aside_and_holds_up_no_other() {
    let catalog = start().await;
    let (gateway, operator) = (
        catalog.as_caller(ServiceName::Gateway),
        catalog.as_caller(ServiceName::Operator),
    );
    let bus = open(&catalog.environment).await.unwrap();
    eventually("the group has joined", 10, async || {
        bus.group_position("catalog").await.unwrap()
    })
    .await;
    let id = create(&gateway, "thing").await;
    let good = || order(&json!([{"product_id": id, "quantity": 1}]));
    bus.append(&[good(), order(&json!("lines")), good()])
        .await
        .unwrap();
    read_all(&catalog, bus.as_ref()).await;
    assert_eq!(popularity(&gateway, &id).await, 2);
    let letters = operator.get("/dead-letters").await.expect(200);
    assert_eq!(letters["items"].as_array().unwrap().len(), 1);
    let letter = letters["items"][0]["id"].as_i64().unwrap();
    operator
        .post(&format!("/dead-letters/{letter}/replay"), json!({}))
        .await
        .expect_problem(409, "still-rejected");
    catalog.stop().await;
}
