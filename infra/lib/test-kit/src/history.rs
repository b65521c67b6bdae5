//! Services that are nothing but a history of events: what a projection is made from, where the real owners are not wanted.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Json, Router};
use emporium_event_bus::CloudEvent;
use emporium_event_bus::history::{HistoryItem, HistoryPage, HistoryQuery};
use emporium_service_kit::ServiceName;

/// Owners of events. Each answers `GET /events` to anybody, and nothing else, until the test's runtime ends.
pub struct Owners(Vec<(ServiceName, Arc<Owner>)>);

impl Owners {
    /// Starts them with empty histories, on free ports.
    pub async fn start(names: &[ServiceName]) -> Self {
        let mut owners = Vec::new();
        for name in names {
            owners.push((*name, Owner::start().await));
        }
        Self(owners)
    }

    /// Where they are.
    pub fn peers(&self) -> Vec<(ServiceName, String)> {
        self.0
            .iter()
            .map(|(name, owner)| (*name, owner.url.clone()))
            .collect()
    }

    /// Writes each event down, in the history of the owner that it is from. Nobody is told: publish them on the bus for that.
    pub fn write(&self, events: &[CloudEvent]) {
        for event in events {
            let owner = self.0.iter().find(|(name, _)| event.source == format!("/{name}"));
            let (_, owner) = owner.expect("the event's owner is there");
            let mut events = owner.events.lock().unwrap_or_else(PoisonError::into_inner);
            events.push(event.clone());
        }
    }
}

struct Owner {
    url: String,
    events: Mutex<Vec<CloudEvent>>,
}

impl Owner {
    async fn start() -> Arc<Self> {
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
}

async fn page(State(owner): State<Arc<Owner>>, Query(query): Query<HistoryQuery>) -> Json<HistoryPage> {
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
