//! The service with its settings, and events of orders and products.
#![allow(dead_code)] // each test file uses its part

use emporium_event_bus::CloudEvent;
use emporium_recommendations::{Config, OWNERS, build_with};
use emporium_service_kit::{Clock, Environment, ServiceName};
use emporium_test_kit::{Fed, Owners, event};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::datetime;
use uuid::Uuid;

/// The service, with these events in the owners' histories, and a cache.
pub async fn start(events: &[CloudEvent]) -> Fed {
    start_with(600, events).await
}

pub async fn start_with(cache_seconds: u64, events: &[CloudEvent]) -> Fed {
    let owners = Owners::start(&OWNERS).await;
    owners.write(events);
    let build = async |environment: &Environment| build_with(environment, Config { cache_seconds }).await;
    let (name, clock) = (ServiceName::Recommendations, Clock::System);
    Fed::start(name, "recommendations", owners, clock, build).await
}

/// How many shelves came from there.
pub async fn shelves(shop: &Fed, source: &str) -> u64 {
    let metrics = shop.service.anonymous().get("/metrics").await.text;
    let line = metrics.lines().find(|line| {
        line.starts_with("emporium_recommendations_shelves_total")
            && line.contains(&format!("source=\"{source}\""))
    });
    line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

/// A confirmed order.
pub fn confirmed(customer: Option<Uuid>, placed_at: &str, goods: &[Uuid]) -> CloudEvent {
    let lines: Vec<Value> = goods
        .iter()
        .map(|good| json!({"product_id": good, "quantity": 1, "unit_price": 250}))
        .collect();
    let data = json!({
        "order_id": Uuid::now_v7(), "customer_id": customer, "status": "confirmed", "charges": [], "lines": lines,
        "total": {"amount": 250, "currency": "GBP"}, "placed_at": placed_at, "country": "GB", "reason": null,
        "source": "shop", "version": 1,
    });
    let at = OffsetDateTime::parse(placed_at, &Rfc3339).unwrap();
    event("order.confirmed.v1", at, &data)
}

pub fn product(id: Uuid, version: i64, status: &str) -> CloudEvent {
    let data = json!({"id": id, "sku": "S-1", "name": "Lamp", "category": "lamps", "brand": null, "version": version, "status": status});
    event("product.updated.v1", datetime!(2024-01-01 0:00 UTC), &data)
}

/// Ids of a shelf.
pub fn ids(shelf: &Value) -> Vec<Uuid> {
    let items = shelf["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| serde_json::from_value(item["product_id"].clone()).unwrap())
        .collect()
}
