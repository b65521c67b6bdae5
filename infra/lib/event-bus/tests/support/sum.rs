//! A consumer for tests: adds up pings in a table.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use emporium_event_bus::history::{self, HistoryQuery};
use emporium_event_bus::{
    ApplyError, Bus, CloudEvent, ConsumerGroup, EventData, Outbox, StartAt, Transactional,
    TransactionalHandler, outbox,
};
use emporium_service_kit::auth::Secret;
use emporium_service_kit::client::Client;
use emporium_service_kit::extract::Query;
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::{Db, ServiceName, Tx};
use tokio::sync::{Notify, watch};

use super::place::Place;
use super::{Fixture, Ping, number};

/// How the consumer behaves.
#[derive(Clone)]
pub struct Sum {
    /// Refuses the number 13.
    pub strict: Arc<AtomicBool>,
    /// Whether it can be rebuilt.
    pub resettable: bool,
    /// While true, effects wait inside their transaction.
    pub closed: watch::Sender<bool>,
    /// Told of every event that has to wait.
    pub entered: Arc<Notify>,
}

impl Sum {
    pub fn new() -> Self {
        Self {
            strict: Arc::new(AtomicBool::new(true)),
            resettable: true,
            closed: watch::Sender::new(false),
            entered: Arc::default(),
        }
    }

    /// A group of this consumer.
    pub fn group(&self, fixture: &Fixture, bus: &Arc<dyn Bus>, start: StartAt) -> ConsumerGroup {
        let consumer = Transactional::new(fixture.db(), ServiceName::Users, "sum", self.clone());
        let metrics = Metrics::new(ServiceName::Users);
        ConsumerGroup::new(bus.clone(), "sum", Arc::new(consumer), start, &metrics)
    }
}

#[async_trait]
impl TransactionalHandler for Sum {
    fn kinds(&self) -> &'static [&'static str] {
        &[Ping::TYPE]
    }

    async fn handle(&self, event: &CloudEvent, tx: &mut Tx) -> Result<(), ApplyError> {
        if *self.closed.borrow() {
            self.entered.notify_one();
        }
        self.closed.subscribe().wait_for(|closed| !closed).await.unwrap();
        let number = number(event);
        sqlx::query("UPDATE total SET sum = sum + $1, count = count + 1")
            .bind(number)
            .execute(tx)
            .await?;
        if number == 13 && self.strict.load(Ordering::SeqCst) {
            return Err(ApplyError::Rejected("thirteen".to_owned()));
        }
        Ok(())
    }

    fn can_reset(&self) -> bool {
        self.resettable
    }

    async fn reset(&self, tx: &mut Tx) -> Result<(), ApplyError> {
        sqlx::query("UPDATE total SET sum = 0, count = 0")
            .execute(tx)
            .await?;
        Ok(())
    }
}

pub struct Setup {
    pub fixture: Fixture,
    pub bus: Arc<dyn Bus>,
    pub group: ConsumerGroup,
    pub sum: Sum,
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
    sqlx::raw_sql("CREATE TABLE total (sum bigint, count bigint); INSERT INTO total VALUES (0, 0)")
        .execute(&db)
        .await
        .unwrap();
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
    let sum = Sum::new();
    let group = sum.group(&fixture, &bus, StartAt::End);
    group.join().await.unwrap();
    Setup {
        fixture,
        bus,
        group,
        sum,
    }
}

/// Sum and count.
pub async fn total(db: &Db) -> (i64, i64) {
    sqlx::query_as("SELECT sum, count FROM total")
        .fetch_one(db)
        .await
        .unwrap()
}

pub async fn drain(group: &ConsumerGroup) {
    while group.step().await.unwrap() > 0 {}
}

/// A server with the history in `outbox`, as a start for groups.
pub async fn owner(outbox: Outbox) -> StartAt {
    let serve = move |query: Query<HistoryQuery>| {
        let outbox = outbox.clone();
        async move { history::serve_page(&outbox, query).await }
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
