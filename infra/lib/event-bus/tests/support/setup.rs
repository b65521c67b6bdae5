//! What the tests of consumers begin with: a service's database and a bus, a group, an owner of events.

use std::sync::Arc;

use async_trait::async_trait;
use emporium_event_bus::history::{self, HistoryQuery};
use emporium_event_bus::{
    ApplyError, Bus, CloudEvent, Consumer, ConsumerGroup, EventData, Outbox, StartAt, outbox,
};
use emporium_service_kit::ServiceName;
use emporium_service_kit::auth::Secret;
use emporium_service_kit::client::Client;
use emporium_service_kit::extract::Query;
use emporium_service_kit::metrics::Metrics;

use super::place::Place;
use super::sums::{Sums, make_tables};
use super::{Fixture, Ping};

pub struct Setup {
    pub fixture: Fixture,
    pub bus: Arc<dyn Bus>,
    pub group: ConsumerGroup,
    pub sums: Sums,
}

/// A fixture with the consumer's tables.
pub async fn fixture() -> Fixture {
    with_tables(Fixture::new().await).await
}

/// The same with a bus there.
pub async fn fixture_on(place: Place) -> Fixture {
    with_tables(Fixture::on(place).await).await
}

async fn with_tables(fixture: Fixture) -> Fixture {
    let db = fixture.db();
    outbox::migrate(&db, ServiceName::Users).await.unwrap();
    make_tables(&db).await;
    fixture
}

/// A group that has joined at the bus's end.
pub async fn setup() -> Setup {
    joined(fixture().await).await
}

/// The same with a bus there.
pub async fn setup_on(place: Place) -> Setup {
    joined(fixture_on(place).await).await
}

async fn joined(fixture: Fixture) -> Setup {
    let bus = fixture.bus().await;
    let sums = Sums::new();
    let group = sums.group(&fixture, &bus, StartAt::End).await;
    group.join().await.unwrap();
    Setup {
        fixture,
        bus,
        group,
        sums,
    }
}

pub async fn drain(group: &ConsumerGroup) {
    while group.step().await.unwrap() > 0 {}
}

/// A consumer without generations, which does nothing.
pub struct Plain;

impl Plain {
    /// A group of it.
    pub fn group(bus: &Arc<dyn Bus>, start: StartAt) -> ConsumerGroup {
        let metrics = Metrics::new(ServiceName::Users);
        ConsumerGroup::new(bus.clone(), "plain", Arc::new(Self), start, &metrics)
    }
}

#[async_trait]
impl Consumer for Plain {
    fn kinds(&self) -> &'static [&'static str] {
        &[Ping::TYPE]
    }

    async fn apply(&self, _: &[&CloudEvent]) -> Result<(), ApplyError> {
        Ok(())
    }
}

/// A server with the history in `outbox`, as a start for groups.
pub async fn owner(outbox: Outbox) -> StartAt {
    owner_in_pages(outbox, i64::MAX).await
}

/// The same, in pages of at most `page` events.
pub async fn owner_in_pages(outbox: Outbox, page: i64) -> StartAt {
    let serve = move |Query(mut query): Query<HistoryQuery>| {
        let outbox = outbox.clone();
        async move {
            query.limit = query.limit.min(page);
            history::serve_page(&outbox, Query(query)).await
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client(&format!("http://{}", listener.local_addr().unwrap()));
    let app = axum::Router::new().route("/events", axum::routing::get(serve));
    tokio::spawn(async move { axum::serve(listener, app).await });
    StartAt::Histories(vec![client])
}

pub fn client(base: &str) -> Client {
    let metrics = Metrics::new(ServiceName::Users);
    Client::new(
        ServiceName::Orders,
        ServiceName::Users,
        base,
        &Secret::generate(),
        metrics,
    )
}
