//! The service with its settings, and events of orders, payments and products.
#![allow(dead_code)] // each test file uses its part

use emporium_analytics::{Config, OWNERS, build_with};
use emporium_event_bus::CloudEvent;
use emporium_service_kit::{Clock, Environment, ServiceName};
use emporium_test_kit::{Fed, Owners, event};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

/// Usual settings.
pub const USUAL: Config = Config {
    currency: emporium_service_kit::Currency::GBP,
    activity_days: 30,
    activity_per_day_max: 1_000,
};

/// The service, with these events in the owners' histories.
pub async fn start(clock: Clock, events: &[CloudEvent]) -> Fed {
    start_with(clock, USUAL, events).await
}

pub async fn start_with(clock: Clock, config: Config, events: &[CloudEvent]) -> Fed {
    let owners = Owners::start(&OWNERS).await;
    owners.write(events);
    let build = async |environment: &Environment| build_with(environment, config.clone()).await;
    Fed::start(ServiceName::Analytics, "analytics", owners, clock, build).await
}

fn moment(text: &str) -> OffsetDateTime {
    OffsetDateTime::parse(text, &Rfc3339).unwrap()
}

pub fn gbp(amount: i64) -> Value {
    json!({"amount": amount, "currency": "GBP"})
}

/// A confirmed order of one line.
pub fn confirmed(
    order: Uuid,
    customer: Option<Uuid>,
    placed_at: &str,
    country: &str,
    product: Uuid,
    amount: i64,
) -> CloudEvent {
    let data = json!({
        "order_id": order, "customer_id": customer, "status": "confirmed", "charges": [],
        "lines": [{"product_id": product, "quantity": 1, "unit_price": amount}], "total": gbp(amount),
        "placed_at": placed_at, "country": country, "reason": null, "source": "shop", "version": 1,
    });
    event("order.confirmed.v1", moment(placed_at), &data)
}

pub fn refunded(order: Option<Uuid>, at: &str, product: Uuid, amount: i64) -> CloudEvent {
    let data = json!({
        "refund_id": Uuid::now_v7(), "order_id": order, "customer_id": null, "amount": gbp(amount),
        "lines": [{"product_id": product, "quantity": 1, "unit_price": amount}], "version": 2,
    });
    event("order.refunded.v1", moment(at), &data)
}

pub fn paid(at: &str, amount: i64) -> CloudEvent {
    let saga = Uuid::now_v7();
    let data = json!({"saga_id": saga, "order_id": saga, "customer_id": null, "amount": gbp(amount), "reason": null, "version": 1});
    event("payment.succeeded.v1", moment(at), &data)
}

pub fn product(id: Uuid, category: &str, version: i64) -> CloudEvent {
    let data = json!({
        "id": id, "sku": "S-1", "name": "Lamp", "category": category, "brand": null, "version": version, "status": "active",
    });
    event("product.updated.v1", moment("2026-01-01T00:00:00Z"), &data)
}
