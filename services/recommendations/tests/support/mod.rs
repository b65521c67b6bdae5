//! The service on a real database and a real bus. The owners of events are played: the end-to-end tests have the real ones.
#![allow(dead_code)] // each test file uses its part

use std::sync::Arc;

use emporium_event_bus::CloudEvent;
use emporium_recommendations::Config;
use emporium_service_kit::{Clock, Environment, ServiceName};
use emporium_test_kit::{Caller, HistoryOwner, Keys, TestService, eventually};
use serde_json::{Value, json};
use uuid::Uuid;

/// The service and those around it.
pub struct Shop {
    pub service: TestService,
    pub gateway: Caller,
    pub operator: Caller,
    owners: Vec<(ServiceName, Arc<HistoryOwner>)>,
}

impl Shop {
    /// Starts with these events in the owners' histories, and a cache.
    pub async fn start(events: &[CloudEvent]) -> Self {
        Self::start_with(600, events).await
    }

    pub async fn start_with(cache_seconds: u64, events: &[CloudEvent]) -> Self {
        let mut owners = Vec::new();
        for name in emporium_recommendations::OWNERS {
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
            emporium_recommendations::build_with(environment, Config { cache_seconds }).await
        };
        let clock = Clock::System;
        let name = ServiceName::Recommendations;
        let service = TestService::start(name, &Keys::default(), &peers, clock, build).await;
        let shop = Self {
            gateway: service.as_caller(ServiceName::Gateway),
            operator: service.as_caller(ServiceName::Operator),
            service,
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
        let bus = emporium_event_bus::open(&self.service.environment).await.unwrap();
        bus.append(events).await.unwrap();
    }

    /// Waits until the projection's status is as wanted, and gives it.
    pub async fn projection(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        eventually(what, 300, async || {
            let status = self.operator.get("/projections/recommendations").await;
            (status.status == 200 && wanted(&status.json)).then_some(status.json)
        })
        .await
    }

    /// Waits until everything that was published is applied.
    pub async fn caught_up(&self) -> Value {
        let bus = emporium_event_bus::open(&self.service.environment).await.unwrap();
        let end = bus.end().await.unwrap();
        let there = |status: &Value| status["position"].as_i64() >= Some(end) && status["lag_events"] == 0;
        self.projection("all events are applied", there).await
    }

    /// How many shelves came from there.
    pub async fn shelves(&self, source: &str) -> u64 {
        let metrics = self.service.anonymous().get("/metrics").await.text;
        let line = metrics.lines().find(|line| {
            line.starts_with("emporium_recommendations_shelves_total")
                && line.contains(&format!("source=\"{source}\""))
        });
        line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
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
    event("/orders", "order.confirmed.v1", placed_at, &data)
}

pub fn product(id: Uuid, version: i64, status: &str) -> CloudEvent {
    let data = json!({"id": id, "sku": "S-1", "name": "Lamp", "category": "lamps", "brand": null, "version": version, "status": status});
    event("/catalog", "product.updated.v1", "2024-01-01T00:00:00Z", &data)
}

/// Ids of a shelf.
pub fn ids(shelf: &Value) -> Vec<Uuid> {
    let items = shelf["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| serde_json::from_value(item["product_id"].clone()).unwrap())
        .collect()
}
