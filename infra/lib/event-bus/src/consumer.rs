//! Consumer groups: claim, apply, acknowledge; inbox in the effect's transaction; dead letters after bounded retries.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use emporium_service_kit::client::Client;
use emporium_service_kit::metrics::{self, Metrics};
use emporium_service_kit::{Db, ServiceName, StoreError, Tx};
use sqlx::AssertSqlSafe;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::bus::{Bus, BusError, DeadLetter};
use crate::event::CloudEvent;
use crate::history;

mod routes;
pub use routes::{DeadLetterList, DeadLetterQuery, list_dead_letters, replay_dead_letter};

const BATCH: i64 = 200;
const LEASE: Duration = Duration::from_secs(30);
/// How long to wait for a wake-up; polling after it is the guarantee.
const POLL: Duration = Duration::from_secs(1);
/// How often an event is tried before it becomes a dead letter.
pub const ATTEMPTS_MAX: i32 = 5;

/// Why events could not be applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The consumer's own store or a service it needs is away: try again later, lose nothing.
    #[error("{0}")]
    Unavailable(String),
    /// This event cannot be applied: after bounded retries it becomes a dead letter.
    #[error("{0}")]
    Rejected(String),
}

impl From<StoreError> for ApplyError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) | StoreError::Conflict(_) => Self::Unavailable(error.to_string()),
            _ => Self::Rejected(error.to_string()),
        }
    }
}

impl From<sqlx::Error> for ApplyError {
    fn from(error: sqlx::Error) -> Self {
        StoreError::from(error).into()
    }
}

impl From<serde_json::Error> for ApplyError {
    fn from(error: serde_json::Error) -> Self {
        Self::Rejected(format!("unreadable payload: {error}"))
    }
}

/// Applies events to something. Events come at least once; applying twice must be like applying once.
#[async_trait]
pub trait Consumer: Send + Sync {
    /// The event types it cares for; others are passed over.
    fn kinds(&self) -> &'static [&'static str];

    /// Applies the events in this order, all or none.
    async fn apply(&self, events: &[&CloudEvent]) -> Result<(), ApplyError>;
}

/// What a [`Transactional`] consumer does with one event, inside the transaction that also claims it in the inbox.
#[async_trait]
pub trait TransactionalHandler: Send + Sync {
    /// The event types it cares for.
    fn kinds(&self) -> &'static [&'static str];

    /// Applies one event that was never applied before. Compare versions: an older one may come after a newer one.
    async fn handle(&self, event: &CloudEvent, tx: &mut Tx) -> Result<(), ApplyError>;
}

/// A consumer whose effect is in PostgreSQL: claims `(consumer, event id)` in the inbox and applies the event in one
/// transaction.
pub struct Transactional<H> {
    db: Db,
    group: String,
    claim: String,
    handler: H,
}

impl<H: TransactionalHandler> Transactional<H> {
    /// Uses the inbox table of `service`.
    pub fn new(db: Db, service: ServiceName, group: &str, handler: H) -> Self {
        let claim = format!(
            "INSERT INTO {service}_inbox (consumer, event_id) VALUES ($1, $2) ON CONFLICT DO NOTHING"
        );
        Self {
            db,
            group: group.to_owned(),
            claim,
            handler,
        }
    }
}

#[async_trait]
impl<H: TransactionalHandler> Consumer for Transactional<H> {
    fn kinds(&self) -> &'static [&'static str] {
        self.handler.kinds()
    }

    async fn apply(&self, events: &[&CloudEvent]) -> Result<(), ApplyError> {
        let mut tx = self.db.begin().await?;
        for event in events {
            let claimed = sqlx::query(AssertSqlSafe(self.claim.clone()))
                .bind(&self.group)
                .bind(event.id)
                .execute(&mut tx)
                .await?;
            if claimed.rows_affected() == 1 {
                self.handler.handle(event, &mut tx).await?;
            }
        }
        tx.commit().await?;
        Ok(())
    }
}

/// Where a group begins that is not on the bus yet.
#[derive(Clone)]
pub enum StartAt {
    /// Only what comes from now on matters.
    End,
    /// First the whole histories of these owners, then the bus from the position recorded before reading them.
    Histories(Vec<Client>),
}

/// A consumer group member: runs a consumer on the bus.
pub struct ConsumerGroup {
    bus: Arc<dyn Bus>,
    name: String,
    member: Uuid,
    consumer: Arc<dyn Consumer>,
    start: StartAt,
    lag: prometheus::IntGauge,
    dead: prometheus::IntCounter,
}

impl ConsumerGroup {
    /// A member of the group `name`.
    pub fn new(
        bus: Arc<dyn Bus>,
        name: &str,
        consumer: Arc<dyn Consumer>,
        start: StartAt,
        metrics: &Metrics,
    ) -> Self {
        let lag = metrics.register(metrics::gauge(
            "emporium_consumer_lag",
            "Positions between the bus's end and the group.",
        ));
        let dead = metrics
            .register(metrics::counter(
                "emporium_dead_letters_total",
                "Events put aside.",
                &["group"],
            ))
            .with_label_values(&[name]);
        Self {
            bus,
            name: name.to_owned(),
            member: Uuid::new_v4(),
            consumer,
            start,
            lag,
            dead,
        }
    }

    /// Consumes until told to stop.
    pub async fn run(&self, stop: CancellationToken) -> anyhow::Result<()> {
        self.join().await?;
        while !stop.is_cancelled() {
            let moved = self.step().await?;
            if moved == 0 {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = self.bus.wait(POLL) => {}
                }
            }
        }
        self.bus.release(&self.name, self.member).await?;
        Ok(())
    }

    /// Makes the group if it is new: reads the histories first, if it starts from them.
    pub async fn join(&self) -> anyhow::Result<()> {
        if self.bus.group_position(&self.name).await?.is_none() {
            self.rebuild().await?;
        }
        Ok(())
    }

    /// Reads the owners' histories from their start and joins the bus at the position recorded before. What is on the bus
    /// by then is in a history, since owners number events before they publish them.
    pub async fn rebuild(&self) -> anyhow::Result<()> {
        let position = self.bus.end().await?;
        if let StartAt::Histories(owners) = &self.start {
            for owner in owners {
                self.read_history(owner).await?;
            }
        }
        self.bus.set_group(&self.name, position).await?;
        Ok(())
    }

    async fn read_history(&self, owner: &Client) -> anyhow::Result<()> {
        let mut after = 0;
        loop {
            let page = history::fetch_page(owner, after).await?;
            let events: Vec<&CloudEvent> = page.items.iter().map(|item| &item.event).collect();
            self.deliver(&events).await?;
            if page.at_end {
                return Ok(());
            }
            after = page.next_after;
        }
    }

    /// Takes and applies one batch; gives how many events it moved past. Tests call it until it gives 0.
    pub async fn step(&self) -> anyhow::Result<usize> {
        let deliveries = self.bus.claim(&self.name, self.member, BATCH, LEASE).await?;
        let Some(last) = deliveries.last().map(|delivery| delivery.position) else {
            self.note_lag().await?;
            return Ok(0);
        };
        let events: Vec<&CloudEvent> = deliveries.iter().map(|delivery| &delivery.event).collect();
        self.deliver(&events).await?;
        self.bus.acknowledge(&self.name, self.member, last).await?;
        self.note_lag().await?;
        Ok(deliveries.len())
    }

    async fn note_lag(&self) -> Result<(), BusError> {
        let (end, at) = (
            self.bus.end().await?,
            self.bus.group_position(&self.name).await?.unwrap_or(0),
        );
        self.lag.set(end - at);
        Ok(())
    }

    /// The whole batch in one go; when that fails, one by one, so that one bad event does not hold up the others.
    async fn deliver(&self, events: &[&CloudEvent]) -> anyhow::Result<()> {
        let kinds = self.consumer.kinds();
        let wanted: Vec<&CloudEvent> = events
            .iter()
            .copied()
            .filter(|e| kinds.contains(&&*e.kind))
            .collect();
        if wanted.is_empty() {
            return Ok(());
        }
        match self.consumer.apply(&wanted).await {
            Ok(()) => return Ok(()),
            Err(ApplyError::Unavailable(reason)) => anyhow::bail!("{reason}"),
            Err(ApplyError::Rejected(reason)) => {
                tracing::info!(group = self.name, reason, "batch not applied; going one by one");
            }
        }
        for event in wanted {
            self.deliver_one(event).await?;
        }
        Ok(())
    }

    async fn deliver_one(&self, event: &CloudEvent) -> anyhow::Result<()> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            match self.consumer.apply(&[event]).await {
                Ok(()) => return Ok(()),
                Err(ApplyError::Unavailable(reason)) => anyhow::bail!("{reason}"),
                Err(ApplyError::Rejected(reason)) if attempts >= ATTEMPTS_MAX => {
                    tracing::error!(group = self.name, event = %event.id, reason, "dead letter");
                    self.bus.dead_letter(&self.name, event, &reason, attempts).await?;
                    self.dead.inc();
                    return Ok(());
                }
                Err(ApplyError::Rejected(_)) => {
                    tokio::time::sleep(Duration::from_millis(20) * attempts.unsigned_abs()).await;
                }
            }
        }
    }

    /// Applies a dead letter again and notes that; the error says why it still cannot be applied.
    pub async fn replay(&self, letter: &DeadLetter) -> Result<(), ApplyError> {
        self.consumer.apply(&[&letter.event]).await?;
        self.bus
            .mark_replayed(&self.name, letter.id)
            .await
            .map_err(|error| ApplyError::Unavailable(error.to_string()))
    }
}
