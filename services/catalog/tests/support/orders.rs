//! An orders service that has nothing but a history.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Json, Router};
use emporium_event_bus::event::CloudEvent;
use emporium_event_bus::history::{HistoryItem, HistoryPage, HistoryQuery};
use emporium_service_kit::Clock;
use emporium_test_kit::eventually;
use serde_json::json;
use time::OffsetDateTime;
use tokio::sync::watch;
use uuid::Uuid;

/// Orders on a page.
pub const PAGE: usize = 50;

pub struct Orders {
    pub url: String,
    events: Mutex<Vec<(CloudEvent, OffsetDateTime)>>,
    /// Where the last reader is.
    asked: Mutex<Option<usize>>,
    /// How often it was read to the end.
    reads: Mutex<usize>,
    /// Pages after this are not answered.
    held_from: watch::Sender<usize>,
}

impl Orders {
    pub async fn start() -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let orders = Arc::new(Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            events: Mutex::default(),
            asked: Mutex::default(),
            reads: Mutex::default(),
            held_from: watch::Sender::new(usize::MAX),
        });
        let app = Router::new()
            .route("/events", get(page))
            .with_state(orders.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        orders
    }

    /// One of long ago, of which the bus tells nothing any more.
    pub fn add(&self, order: CloudEvent) {
        let long_ago = Clock::System.now() - time::Duration::days(60);
        self.events.lock().unwrap().push((order, long_ago));
    }

    /// One of this moment, which comes by the bus too.
    pub fn add_now(&self, order: CloudEvent) {
        self.events.lock().unwrap().push((order, Clock::System.now()));
    }

    pub fn reads(&self) -> usize {
        *self.reads.lock().unwrap()
    }

    /// Leaves readers waiting who come so far.
    pub fn hold_from(&self, after: usize) {
        *self.asked.lock().unwrap() = None;
        self.held_from.send_replace(after);
    }

    /// Waits for a reader who has come so far; forgets that one.
    pub async fn asked_for(&self, after: usize) {
        eventually("the history is being read", 20, async || {
            self.asked.lock().unwrap().take_if(|asked| *asked == after)
        })
        .await;
    }

    /// Units of each product in all orders.
    pub fn units(&self) -> BTreeMap<Uuid, i64> {
        let mut units = BTreeMap::new();
        let events = self.events.lock().unwrap();
        for (product, quantity) in events.iter().flat_map(|(order, _)| lines(order)) {
            *units.entry(product).or_default() += quantity;
        }
        units
    }
}

async fn page(State(orders): State<Arc<Orders>>, Query(query): Query<HistoryQuery>) -> Json<HistoryPage> {
    let after = usize::try_from(query.after).unwrap();
    *orders.asked.lock().unwrap() = Some(after);
    let mut held = orders.held_from.subscribe();
    held.wait_for(|held_from| after < *held_from).await.unwrap();
    let events = orders.events.lock().unwrap();
    let positions = query.after + 1..;
    let items: Vec<HistoryItem> = positions
        .zip(events.iter().skip(after).take(PAGE))
        .map(|(position, (event, recorded_at))| HistoryItem {
            position,
            event: event.clone(),
            recorded_at: Some(*recorded_at),
        })
        .collect();
    let at_end = after + items.len() == events.len();
    *orders.reads.lock().unwrap() += usize::from(at_end);
    Json(HistoryPage {
        next_after: items.last().map_or(query.after, |item| item.position),
        items,
        at_end,
        end: i64::try_from(events.len()).ok(),
    })
}

/// A confirmed order of so many units of products.
pub fn order(lines: &[(Uuid, i64)]) -> CloudEvent {
    let id = Uuid::now_v7();
    let lines: Vec<_> = lines
        .iter()
        .map(|(product, quantity)| json!({"product_id": product, "quantity": quantity}))
        .collect();
    serde_json::from_value(json!({
        "specversion": "1.0", "id": id, "source": "/orders", "type": "order.confirmed.v1", "subject": id.to_string(),
        "time": "2025-01-01T00:00:00Z", "datacontenttype": "application/json", "aggregateversion": 3,
        "data": {"lines": lines}
    }))
    .unwrap()
}

fn lines(order: &CloudEvent) -> Vec<(Uuid, i64)> {
    let data: serde_json::Value = order.data().unwrap();
    let lines = data["lines"].as_array().unwrap().iter();
    lines
        .map(|line| {
            let product = line["product_id"].as_str().unwrap().parse().unwrap();
            (product, line["quantity"].as_i64().unwrap())
        })
        .collect()
}
