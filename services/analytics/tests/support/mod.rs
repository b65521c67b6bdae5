//! The service on a real database and a real bus. The owners of events are played: the end-to-end tests have the real ones.
#![allow(dead_code)] // each test file uses its part

use std::sync::Arc;

use emporium_analytics::Config;
use emporium_event_bus::CloudEvent;
use emporium_service_kit::{Clock, Environment, ServiceName};
use emporium_test_kit::{Caller, HistoryOwner, Keys, TestService, eventually};
use serde_json::{Value, json};
use uuid::Uuid;

/// The service and those around it.
pub struct Shop {
    pub analytics: TestService,
    pub gateway: Caller,
    pub operator: Caller,
    owners: Vec<(ServiceName, Arc<HistoryOwner>)>,
}

/// Usual settings.
pub const USUAL: Config = Config {
    currency: emporium_service_kit::Currency::GBP,
    activity_days: 30,
    activity_per_day_max: 1_000,
};

impl Shop {
    /// Starts with these events in the owners' histories.
    pub async fn start(clock: Clock, events: &[CloudEvent]) -> Self {
        Self::start_with(clock, USUAL, events).await
    }

    pub async fn start_with(clock: Clock, config: Config, events: &[CloudEvent]) -> Self {
        let mut owners = Vec::new();
        for name in emporium_analytics::OWNERS {
            owners.push((name, HistoryOwner::start().await));
        }
        for event in events {
            owner(&owners, event).write(event);
        }
        let peers: Vec<_> = owners
            .iter()
            .map(|(name, owner)| (*name, owner.url.clone()))
            .collect();
        let build = async |environment: &Environment| {
            emporium_analytics::build_with(environment, config.clone()).await
        };
        let analytics =
            TestService::start(ServiceName::Analytics, &Keys::default(), &peers, clock, build).await;
        let shop = Self {
            gateway: analytics.as_caller(ServiceName::Gateway),
            operator: analytics.as_caller(ServiceName::Operator),
            analytics,
            owners,
        };
        shop.projection("running", |status| status["state"] == "running")
            .await;
        shop
    }

    /// An owner writes events down, and its relay publishes them.
    pub async fn publish(&self, events: &[CloudEvent]) {
        for event in events {
            owner(&self.owners, event).write(event);
        }
        let bus = emporium_event_bus::open(&self.analytics.environment)
            .await
            .unwrap();
        bus.append(events).await.unwrap();
    }

    /// Waits until the projection's status is as wanted, and gives it.
    pub async fn projection(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        eventually(what, 150, async || {
            let status = self.operator.get("/projections/analytics").await;
            (status.status == 200 && wanted(&status.json)).then_some(status.json)
        })
        .await
    }

    /// Waits until everything that was published is applied.
    pub async fn caught_up(&self) -> Value {
        let bus = emporium_event_bus::open(&self.analytics.environment)
            .await
            .unwrap();
        let end = bus.end().await.unwrap();
        let there = |status: &Value| status["position"].as_i64() >= Some(end) && status["lag_events"] == 0;
        self.projection("all events are applied", there).await
    }
}

fn owner<'a>(owners: &'a [(ServiceName, Arc<HistoryOwner>)], event: &CloudEvent) -> &'a HistoryOwner {
    let (_, owner) = owners
        .iter()
        .find(|(name, _)| event.source == format!("/{name}"))
        .unwrap();
    owner
}

/// An event as its owner makes it.
pub fn event(source: &str, kind: &str, time: &str, data: &Value) -> CloudEvent {
    serde_json::from_value(json!({
        "specversion": "1.0", "id": Uuid::now_v7(), "source": source, "type": kind, "subject": Uuid::now_v7(), "time": time,
        "datacontenttype": "application/json", "aggregateversion": 1, "data": data,
    }))
    .unwrap()
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
    event("/orders", "order.confirmed.v1", placed_at, &data)
}

pub fn refunded(order: Option<Uuid>, at: &str, product: Uuid, amount: i64) -> CloudEvent {
    let data = json!({
        "refund_id": Uuid::now_v7(), "order_id": order, "customer_id": null, "amount": gbp(amount),
        "lines": [{"product_id": product, "quantity": 1, "unit_price": amount}], "version": 2,
    });
    event("/orders", "order.refunded.v1", at, &data)
}

pub fn paid(at: &str, amount: i64) -> CloudEvent {
    let saga = Uuid::now_v7();
    let data = json!({"saga_id": saga, "order_id": saga, "customer_id": null, "amount": gbp(amount), "reason": null, "version": 1});
    event("/payments", "payment.succeeded.v1", at, &data)
}

pub fn product(id: Uuid, category: &str, version: i64) -> CloudEvent {
    let data = json!({
        "id": id, "sku": "S-1", "name": "Lamp", "category": category, "brand": null, "version": version, "status": "active",
    });
    event("/catalog", "product.updated.v1", "2026-01-01T00:00:00Z", &data)
}
