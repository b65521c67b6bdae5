//! A service that is nothing but a history of events: what a projection is made from, where the real owner is not wanted.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Json, Router};
use emporium_event_bus::CloudEvent;
use emporium_event_bus::history::{HistoryItem, HistoryPage, HistoryQuery};

/// An owner of events that answers `GET /events` to anybody, and nothing else. It ends with the test's runtime.
pub struct HistoryOwner {
    /// Where it is.
    pub url: String,
    events: Mutex<Vec<CloudEvent>>,
}

impl HistoryOwner {
    /// Starts with an empty history, on a free port.
    pub async fn start() -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let owner = Arc::new(Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            events: Mutex::default(),
        });
        let app = Router::new()
            .route("/events", get(page))
            .with_state(owner.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        owner
    }

    /// Writes an event down. Nobody is told: publish it on the bus for that.
    pub fn write(&self, event: &CloudEvent) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.push(event.clone());
    }
}

async fn page(
    State(owner): State<Arc<HistoryOwner>>,
    Query(query): Query<HistoryQuery>,
) -> Json<HistoryPage> {
    let events = owner.events.lock().unwrap_or_else(PoisonError::into_inner);
    let after = usize::try_from(query.after).unwrap();
    let limit = usize::try_from(query.limit).unwrap();
    let items: Vec<HistoryItem> = (query.after + 1..)
        .zip(events.iter().skip(after).take(limit))
        .map(|(position, event)| HistoryItem {
            position,
            event: event.clone(),
            recorded_at: Some(event.time),
        })
        .collect();
    Json(HistoryPage {
        next_after: items.last().map_or(query.after, |item| item.position),
        at_end: after + items.len() == events.len(),
        end: i64::try_from(events.len()).ok(),
        items,
    })
}
