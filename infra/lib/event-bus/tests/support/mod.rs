//! What the tests of the event bus share.
#![allow(clippy::unwrap_used, dead_code)]

pub mod sum;

use std::sync::Arc;
use std::time::Duration;

use emporium_event_bus::bus::Delivery;
use emporium_event_bus::bus::postgres::PostgresBus;
use emporium_event_bus::history::HistoryItem;
use emporium_event_bus::{Bus, CloudEvent, EventData, NewEvent, Outbox};
use emporium_service_kit::auth::{Callers, Secret};
use emporium_service_kit::config::database_options;
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::{Clock, Db, Environment, ServiceName};
use emporium_test_kit::{TestDatabase, TestPostgres, service};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// A payload for tests.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ping {
    pub writer: i64,
    pub number: i64,
}

impl EventData for Ping {
    const TYPE: &'static str = "test.ping.v1";
}

impl Ping {
    pub fn event(number: i64) -> NewEvent {
        Self::of(0, number)
    }

    pub fn of(writer: i64, number: i64) -> NewEvent {
        NewEvent::now(&Clock::System, Uuid::nil(), number, &Self { writer, number }).unwrap()
    }
}

/// A service's database and a bus.
pub struct Fixture {
    pub environment: Environment,
    bus: TestDatabase,
}

impl Fixture {
    pub async fn new() -> Self {
        let database = TestPostgres::get().await.empty_database().await;
        let bus = service::bus_database().await;
        let metrics = Metrics::new(ServiceName::Users);
        let environment = Environment {
            service: ServiceName::Users,
            db: Some(Db::connect(
                database_options(&database.url).unwrap(),
                20,
                metrics.clone(),
            )),
            events_url: Some(bus.url.clone()),
            stores: emporium_service_kit::StoreUrls::default(),
            peers: [].into(),
            secret: Secret::generate(),
            callers: Callers::default(),
            clock: Clock::System,
            metrics,
            shutdown: CancellationToken::new(),
        };
        Self { environment, bus }
    }

    pub fn db(&self) -> Db {
        self.environment.db.clone().unwrap()
    }

    pub async fn outbox(&self) -> Outbox {
        Outbox::open(&self.environment).await.unwrap()
    }

    pub async fn bus(&self) -> Arc<dyn Bus> {
        Arc::new(
            PostgresBus::connect(&self.bus.url, Metrics::new(ServiceName::Users))
                .await
                .unwrap(),
        )
    }

    /// The bus's database, to look behind its interface.
    pub fn bus_db(&self) -> Db {
        let options = database_options(&self.bus.url).unwrap();
        Db::connect(options, 2, Metrics::new(ServiceName::Users))
    }

    /// Writes pings in one transaction.
    pub async fn write(&self, outbox: &Outbox, numbers: impl IntoIterator<Item = i64>) {
        let events: Vec<_> = numbers.into_iter().map(Ping::event).collect();
        let mut tx = self.db().begin().await.unwrap();
        outbox.write(&mut tx, &events).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// The numbers of all pings on the bus, in the order of positions.
    pub async fn bus_numbers(&self) -> Vec<i64> {
        let db = self.bus_db();
        let sql = "SELECT (data->>'number')::bigint FROM bus_log ORDER BY position";
        sqlx::query_scalar(sql).fetch_all(&db).await.unwrap()
    }
}

/// The pings that a member gets; none when it does not get the group.
pub async fn claim(
    bus: &Arc<dyn Bus>,
    group: &str,
    member: Uuid,
    max: i64,
    lease: Duration,
) -> Vec<Delivery> {
    let batch = bus.claim(group, member, &[Ping::TYPE], max, lease).await.unwrap();
    batch.map(|batch| batch.deliveries).unwrap_or_default()
}

pub fn numbers(items: &[HistoryItem]) -> Vec<i64> {
    items.iter().map(|item| number(&item.event)).collect()
}

pub fn number(event: &CloudEvent) -> i64 {
    event.data::<Ping>().unwrap().number
}

/// A finished event, as it travels.
pub fn travelling(number: i64) -> CloudEvent {
    serde_json::from_value(serde_json::json!({
        "specversion": "1.0", "id": Uuid::new_v4(), "source": "/users", "type": Ping::TYPE, "subject": Uuid::nil(),
        "time": "2026-01-01T00:00:00Z", "datacontenttype": "application/json", "aggregateversion": number,
        "data": { "writer": 0, "number": number }
    }))
    .unwrap()
}
