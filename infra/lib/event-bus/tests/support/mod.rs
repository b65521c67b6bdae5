//! What the tests of the event bus share.
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code)]

pub mod place;
pub mod random;
pub mod setup;
pub mod sums;

use std::sync::Arc;
use std::time::Duration;

use emporium_event_bus::bus::{Batch, Delivery};
use emporium_event_bus::history::HistoryItem;
use emporium_event_bus::{Bus, CloudEvent, EventData, NewEvent, Outbox};
use emporium_service_kit::auth::{Callers, Secret};
use emporium_service_kit::config::database_options;
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::{Clock, Db, Environment, ServiceName};
use emporium_test_kit::{TestPostgres, connect};
use place::Place;
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
    pub place: Place,
}

impl Fixture {
    /// With a bus on PostgreSQL.
    pub async fn new() -> Self {
        Self::on(Place::postgres().await).await
    }

    /// With a bus there.
    pub async fn on(place: Place) -> Self {
        let database = TestPostgres::get().await.empty_database().await;
        let metrics = Metrics::new(ServiceName::Users);
        let environment = Environment {
            service: ServiceName::Users,
            db: Some(Db::connect(
                database_options(&database.url).unwrap(),
                20,
                metrics.clone(),
            )),
            events_url: Some(place.url().to_owned()),
            stores: emporium_service_kit::StoreUrls::default(),
            peers: [].into(),
            secret: Secret::generate(),
            callers: Callers::default(),
            clock: Clock::System,
            metrics,
            shutdown: CancellationToken::new(),
        };
        Self { environment, place }
    }

    pub fn db(&self) -> Db {
        self.environment.db.clone().unwrap()
    }

    pub async fn outbox(&self) -> Outbox {
        Outbox::open(&self.environment).await.unwrap()
    }

    pub async fn bus(&self) -> Arc<dyn Bus> {
        self.place.bus().await
    }

    /// The bus's database, to look behind its interface.
    pub fn bus_db(&self) -> Db {
        connect(self.place.url(), ServiceName::Users, 2)
    }

    /// Writes pings in one transaction.
    pub async fn write(&self, outbox: &Outbox, numbers: impl IntoIterator<Item = i64>) {
        let events: Vec<_> = numbers.into_iter().map(Ping::event).collect();
        let mut tx = self.db().begin().await.unwrap();
        outbox.write(&mut tx, &events).await.unwrap();
        tx.commit().await.unwrap();
    }
}

/// The numbers of all pings on the bus, in the order of positions.
pub async fn bus_numbers(bus: &Arc<dyn Bus>) -> Vec<i64> {
    bus.set_group("look", 0).await.unwrap();
    let (member, mut found) = (Uuid::new_v4(), Vec::new());
    while bus.progress("look").await.unwrap().unwrap().lag > 0 {
        let batch = take(bus, "look", member, 10_000, Duration::from_secs(30)).await;
        found.extend(batch.deliveries.iter().map(|delivery| number(&delivery.event)));
        bus.acknowledge("look", member, &batch).await.unwrap();
    }
    bus.remove_group("look").await.unwrap();
    found
}

/// Makes a group that was built from these histories, or builds it anew, and has it go on after `position`.
pub async fn built_from(bus: &Arc<dyn Bus>, group: &str, sources: &[String], position: i64) {
    let builder = Uuid::new_v4();
    let begun = bus
        .begin_rebuild(group, builder, Duration::from_secs(30), sources)
        .await;
    assert!(begun.unwrap().is_some());
    bus.finish_rebuild(group, builder).await.unwrap();
    bus.set_group(group, position).await.unwrap();
}

/// What a member gets, which has to be something.
pub async fn take(bus: &Arc<dyn Bus>, group: &str, member: Uuid, max: i64, lease: Duration) -> Batch {
    let batch = bus.claim(group, member, &[Ping::TYPE], max, lease).await.unwrap();
    batch.expect("the member gets the group")
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
