//! A projection with two generations for tests: sums and counts of pings by writer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use emporium_event_bus::projection::{Generations, Standing};
use emporium_event_bus::{
    ApplyError, Bus, CloudEvent, ConsumerGroup, EventData, GenerationHandler, Outbox, PostgresProjection,
    StartAt, Table,
};
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::{Db, ServiceName, Tx};
use tokio::sync::{Notify, watch};

use super::place::Place;
use super::setup::{fixture_on, owner_in_pages};
use super::{Fixture, Ping};

/// The projection, its group and its tables.
pub const NAME: &str = "sums";

/// Sum and count by writer.
pub type Content = BTreeMap<i64, (i64, i64)>;

/// What it does with events, and how it behaves.
#[derive(Clone)]
pub struct Sums {
    /// Refuses the number 13.
    pub strict: Arc<AtomicBool>,
    /// While true, effects wait inside their transaction.
    pub closed: watch::Sender<bool>,
    /// Told of every effect that has to wait.
    pub entered: Arc<Notify>,
}

impl Sums {
    /// One that refuses the number 13.
    pub fn new() -> Self {
        Self {
            strict: Arc::new(AtomicBool::new(true)),
            closed: watch::Sender::new(false),
            entered: Arc::default(),
        }
    }

    /// The projection that it is, as another process opens it.
    pub async fn projection(&self, db: Db) -> PostgresProjection<Self> {
        self.named(NAME, db).await
    }

    /// The same under another name.
    pub async fn named(&self, name: &str, db: Db) -> PostgresProjection<Self> {
        PostgresProjection::open(db, ServiceName::Users, name, self.clone())
            .await
            .unwrap()
    }

    /// A group of this consumer.
    pub async fn group(&self, fixture: &Fixture, bus: &Arc<dyn Bus>, start: StartAt) -> ConsumerGroup {
        let consumer = Arc::new(self.projection(fixture.db()).await);
        let metrics = Metrics::new(ServiceName::Users);
        ConsumerGroup::new(bus.clone(), NAME, consumer, start, &metrics)
    }
}

#[async_trait]
impl GenerationHandler for Sums {
    fn kinds(&self) -> &'static [&'static str] {
        &[Ping::TYPE]
    }

    fn tables(&self) -> &'static [Table] {
        &[Table {
            name: "users_sum",
            key: &["writer"],
            values: &["total", "number"],
        }]
    }

    async fn handle(&self, events: &[&CloudEvent], generation: i16, tx: &mut Tx) -> Result<(), ApplyError> {
        if *self.closed.borrow() {
            self.entered.notify_one();
        }
        self.closed.subscribe().wait_for(|closed| !closed).await.unwrap();
        let pings: Vec<Ping> = events
            .iter()
            .map(|event| event.data())
            .collect::<Result<_, _>>()?;
        let pairs: Vec<_> = pings.iter().map(|ping| (ping.writer, ping.number)).collect();
        let added = added(&pairs);
        sqlx::query(
            "INSERT INTO users_sum AS s (generation, writer, total, number)
             SELECT $1, * FROM unnest($2::bigint[], $3::bigint[], $4::bigint[])
             ON CONFLICT (generation, writer) DO UPDATE SET total = s.total + excluded.total,
               number = s.number + excluded.number",
        )
        .bind(generation)
        .bind(added.keys().copied().collect::<Vec<_>>())
        .bind(added.values().map(|sum| sum.0).collect::<Vec<_>>())
        .bind(added.values().map(|sum| sum.1).collect::<Vec<_>>())
        .execute(tx)
        .await?;
        // After the effect, which has to be undone.
        if pings.iter().any(|ping| ping.number == 13) && self.strict.load(Ordering::SeqCst) {
            return Err(ApplyError::Rejected("thirteen".to_owned()));
        }
        Ok(())
    }
}

/// Makes its tables.
pub async fn make_tables(db: &Db) {
    sqlx::raw_sql(
        "CREATE TABLE users_sum (generation smallint NOT NULL, writer bigint NOT NULL, total bigint NOT NULL,
           number bigint NOT NULL, PRIMARY KEY (generation, writer)) PARTITION BY LIST (generation);
         CREATE TABLE users_sum_g0 PARTITION OF users_sum FOR VALUES IN (0);
         CREATE TABLE users_sum_g1 PARTITION OF users_sum FOR VALUES IN (1)",
    )
    .execute(db)
    .await
    .unwrap();
}

/// Sum and count of all writers, as a query of the service reads them.
pub async fn total(db: &Db) -> (i64, i64) {
    sqlx::query_as(
        "SELECT coalesce(sum(total), 0)::bigint, coalesce(sum(number), 0)::bigint FROM users_sum
         WHERE generation = (SELECT live FROM users_projections WHERE projection = 'sums')",
    )
    .fetch_one(db)
    .await
    .unwrap()
}

/// An owner's outbox, a bus, and the tables of the projection, all in one database but the bus.
pub struct World {
    pub fixture: Fixture,
    pub bus: Arc<dyn Bus>,
    pub outbox: Outbox,
    pub start: StartAt,
    pub sums: Sums,
}

impl World {
    /// With nothing written yet. The history is served in pages of at most `page` events, and 13 is a number as any other.
    pub async fn on(place: Place, page: i64) -> Self {
        let fixture = fixture_on(place).await;
        let outbox = fixture.outbox().await;
        let sums = Sums::new();
        sums.strict.store(false, Ordering::SeqCst);
        Self {
            bus: fixture.bus().await,
            start: owner_in_pages(outbox.clone(), page).await,
            sums,
            outbox,
            fixture,
        }
    }

    pub fn db(&self) -> Db {
        self.fixture.db()
    }

    pub async fn projection(&self) -> PostgresProjection<Sums> {
        self.sums.projection(self.db()).await
    }

    /// A member, as in another process.
    pub async fn member(&self, lease: Duration) -> ConsumerGroup {
        self.member_on(&self.bus, lease).await
    }

    pub async fn member_on(&self, bus: &Arc<dyn Bus>, lease: Duration) -> ConsumerGroup {
        let group = self.sums.group(&self.fixture, bus, self.start.clone()).await;
        group.with_lease(lease)
    }

    /// Writes pings of writers in one transaction.
    pub async fn write(&self, pings: &[(i64, i64)]) {
        let events: Vec<_> = pings
            .iter()
            .map(|(writer, number)| Ping::of(*writer, *number))
            .collect();
        let mut tx = self.db().begin().await.unwrap();
        self.outbox.write(&mut tx, &events).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Publishes all that was written.
    pub async fn relay(&self) {
        while self.outbox.relay_step(self.bus.as_ref()).await.unwrap() > 0 {}
    }

    /// What a query of the service reads.
    pub async fn content(&self) -> Content {
        let rows: Vec<(i64, i64, i64)> = sqlx::query_as(
            "SELECT writer, total, number FROM users_sum
             WHERE generation = (SELECT live FROM users_projections WHERE projection = 'sums')",
        )
        .fetch_all(&self.db())
        .await
        .unwrap();
        rows.into_iter()
            .map(|(writer, total, number)| (writer, (total, number)))
            .collect()
    }

    pub async fn standing(&self) -> Standing {
        self.projection().await.standing().await.unwrap()
    }

    pub async fn run_sql(&self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(&self.db()).await.unwrap();
    }
}

/// What was written, added up.
pub fn added(pings: &[(i64, i64)]) -> Content {
    let mut sums = Content::new();
    for (writer, number) in pings {
        let sum = sums.entry(*writer).or_default();
        *sum = (sum.0 + number, sum.1 + 1);
    }
    sums
}
