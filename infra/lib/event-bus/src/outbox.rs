//! The transactional outbox, which is also the owner's event history.
//!
//! A business transaction inserts its events without a position. Sequence numbers taken inside business transactions
//! would become visible out of order (a slow transaction commits a low number late, and a reader that has passed it
//! never sees it). So the relay numbers events only after they are committed: under a lock of its own, it gives the next positions to all unnumbered rows it can see, in the order of writing. Positions therefore become
//! visible in order, without holes that could still fill, and a late commit simply gets a later position. Rows of one
//! aggregate are written under its row lock, so among them the order of positions is the order of versions.
//!
//! The relay publishes to one bus. It notes which one, and its last event there, and the bus looks for that event before it
//! takes more. When it is missing (the bus lost its data, wholly or in part), or when this is another bus (the setting was
//! changed, or changed back), then events have not come by this bus. So every group there that is built from this history is
//! told to [rebuild](Bus::missed), and the relay goes on. Nothing is published twice for it, however long the history is.
//!
//! Where it is kept is an [`OutboxStore`]: PostgreSQL for most services. Numbering writes every row a second time. Bulk loads ([`Outbox::write_bulk`]) do without: they take that lock themselves,
//! last thing before they commit, and write their events with positions.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use emporium_service_kit::metrics::{self, Metrics};
use emporium_service_kit::{Db, Environment, ServiceName, StartError, StoreError};
use sqlx::migrate::Migrator;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::bus::{BATCH_BYTES, Bus, Mark};
use crate::event::CloudEvent;
use crate::history::{HistoryItem, HistoryPage};
use crate::pace::Pace;

mod postgres;
mod rows;
mod statements;
mod store;
pub use postgres::PostgresOutbox;
pub use store::{Head, OutboxStore, Recorded, Stretch};

/// Events numbered or published in one go.
const RELAY_BATCH: i64 = 1_000;
/// Rounds of numbering that one page waits for: as many as the longest page may need.
const PAGE_ROUNDS_MAX: i64 = crate::history::PAGE_MAX / RELAY_BATCH + 1;
/// How often the relay looks when nobody wakes it. Waking is a matter of latency; this is the guarantee.
const POLL: Duration = Duration::from_millis(500);

/// How often an idle relay asks whether the bus still has what it was given.
const CHECK_EVERY: Duration = Duration::from_secs(5);
/// Shortest time from one step to the next, so that events which come close together are published together.
const PACE: Duration = Duration::from_millis(20);

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/service");

/// A service's outbox, in PostgreSQL unless it says otherwise.
pub struct Outbox<S: ?Sized = PostgresOutbox> {
    store: Arc<S>,
    source: Arc<str>,
    wake: Arc<Notify>,
    lag: Arc<Lag>,
}

/// A service's outbox in any store, to be relayed and read; writing needs the store's own type.
pub type SharedOutbox = Outbox<dyn OutboxStore>;

impl<S: ?Sized> Clone for Outbox<S> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            source: self.source.clone(),
            wake: self.wake.clone(),
            lag: self.lag.clone(),
        }
    }
}

impl Outbox {
    /// The outbox of the environment's service; brings its tables (and the inbox) up to date.
    pub async fn open(environment: &Environment) -> Result<Self, StartError> {
        let service = environment.service;
        let db = environment.db()?;
        migrate(&db, service).await?;
        Ok(Self::over(PostgresOutbox::new(db, service.as_str()), environment))
    }
}

impl<S: OutboxStore + 'static> Outbox<S> {
    /// The outbox of the environment's service, in a store that is up to date.
    pub fn over(store: S, environment: &Environment) -> Self {
        Self {
            store: Arc::new(store),
            source: format!("/{}", environment.service).into(),
            wake: Arc::default(),
            lag: Arc::new(Lag {
                metrics: environment.metrics.clone(),
                gauge: OnceLock::new(),
            }),
        }
    }

    /// Where it is kept.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// The same, for those who do not care where it is kept.
    pub fn shared(&self) -> SharedOutbox {
        Outbox {
            store: self.store.clone(),
            source: self.source.clone(),
            wake: self.wake.clone(),
            lag: self.lag.clone(),
        }
    }
}

impl<S: OutboxStore + 'static> From<&Outbox<S>> for SharedOutbox {
    fn from(outbox: &Outbox<S>) -> Self {
        outbox.shared()
    }
}

impl From<&SharedOutbox> for SharedOutbox {
    fn from(outbox: &SharedOutbox) -> Self {
        outbox.clone()
    }
}

impl<S: OutboxStore + ?Sized> Outbox<S> {
    /// Tells the relay that there is something to publish. Call it after the commit; forgetting it costs latency only.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// The history after `after`, at most `limit` events.
    pub async fn page(&self, after: i64, limit: i64) -> Result<HistoryPage, StoreError> {
        // Numbering makes the page as fresh as the last commit, and is what makes "at the end" true. It is only needed
        // where the numbered events do not fill the page; a backlog is numbered as far as the page goes.
        let max = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut found = self.store.read(after, limit + 1).await?;
        let mut all_numbered = false;
        for _ in 0..PAGE_ROUNDS_MAX {
            if found.items.len() > max || all_numbered {
                break;
            }
            all_numbered = self.store.number(RELAY_BATCH).await? < RELAY_BATCH;
            found = self.store.read(after, limit + 1).await?;
        }
        let at_end = all_numbered && found.items.len() <= max;
        let end = found.end;
        let items = found.items.into_iter().take(max);
        let items: Vec<HistoryItem> = items.map(|recorded| recorded.item(&self.source)).collect();
        let next_after = items.last().map_or(after, |item| item.position);
        Ok(HistoryPage {
            items,
            next_after,
            at_end,
            end: Some(end),
        })
    }

    /// The position of the last event that was committed before.
    pub async fn end(&self) -> Result<i64, StoreError> {
        while self.store.number(RELAY_BATCH).await? >= RELAY_BATCH {}
        Ok(self.store.head().await?.sequenced)
    }

    /// The relay: numbers and publishes until told to stop. Several may run; each event is published at least once and in
    /// order, and the bus drops repetitions.
    pub async fn relay(self, bus: Arc<dyn Bus>, stop: CancellationToken) -> anyhow::Result<()> {
        // Stopping in the middle of a step is like a crash there: it publishes again, and the bus drops the repetition.
        tokio::select! {
            biased;
            () = stop.cancelled() => Ok(()),
            result = self.relay_for_ever(bus.as_ref()) => result,
        }
    }

    async fn relay_for_ever(&self, bus: &dyn Bus) -> anyhow::Result<()> {
        let (mut check_at, mut pace) = (Instant::now(), Pace::new(PACE));
        loop {
            pace.turn().await;
            if Instant::now() >= check_at {
                self.check(bus).await?;
                check_at = Instant::now() + CHECK_EVERY;
            }
            if self.relay_step(bus).await? == 0 {
                tokio::select! {
                    () = self.wake.notified() => {}
                    () = tokio::time::sleep(POLL) => {}
                }
            }
        }
    }

    /// One step of the relay: numbers a batch and publishes a batch, so that a backlog of unnumbered events does not hold up
    /// publishing; gives how many it published. Tests call it until it gives 0.
    pub async fn relay_step(&self, bus: &dyn Bus) -> anyhow::Result<usize> {
        self.store.number(RELAY_BATCH).await?;
        let batch = self.store.unpublished(RELAY_BATCH, BATCH_BYTES).await?;
        let Some(last) = batch.last().map(|recorded| recorded.position) else {
            self.lag.set(0);
            return Ok(0);
        };
        self.lag.set(i64::try_from(batch.len()).unwrap_or(i64::MAX));
        let events: Vec<CloudEvent> = (batch.into_iter())
            .map(|recorded| recorded.event(&self.source))
            .collect();
        let mark = self.publish(bus, &events).await?;
        self.store.published(last, &mark).await?;
        Ok(events.len())
    }

    /// Asks whether the bus has what it was given, and has groups rebuilt when not; true when it had. The relay does this
    /// before each batch and, when there is nothing to publish, every few seconds.
    pub async fn check(&self, bus: &dyn Bus) -> anyhow::Result<bool> {
        let head = self.store.head().await?;
        if head.mark.is_none() && head.published == 0 {
            return Ok(true); // nothing was published anywhere, so no bus can miss anything
        }
        let holds = match head.mark {
            Some(mark) => bus.publish(&[], Some(&mark)).await?.is_some(),
            None => false,
        };
        if !holds {
            self.bridge_gap(bus).await?;
        }
        Ok(holds)
    }

    async fn publish(&self, bus: &dyn Bus, events: &[CloudEvent]) -> anyhow::Result<Mark> {
        let head = self.store.head().await?;
        let mark = match head.mark {
            // Something was published by a version of this program that did not note where.
            None if head.published > 0 => self.bridge_gap(bus).await?,
            None => return appended(bus.publish(events, None).await?),
            Some(mark) => mark,
        };
        if let Some(mark) = bus.publish(events, Some(&mark)).await? {
            return Ok(mark);
        }
        let mark = self.bridge_gap(bus).await?;
        appended(bus.publish(events, Some(&mark)).await?)
    }

    /// The bus lacks events of this outbox: groups that read its history read it again. In this order, so that a crash in
    /// between does it once more. What is published from now on comes after their reading or is in it.
    async fn bridge_gap(&self, bus: &dyn Bus) -> anyhow::Result<Mark> {
        tracing::warn!(
            source = %self.source,
            "this event bus does not have what was published before: it is another one, or lost data; consumers read the history"
        );
        bus.missed(&self.source).await?;
        let mark = appended(bus.publish(&[], None).await?)?;
        self.store.join_bus(mark.bus).await?;
        Ok(mark)
    }

    /// How many committed events are not published yet.
    pub async fn unpublished(&self) -> Result<i64, StoreError> {
        self.store.waiting().await
    }
}

/// A bus that was just told to go on from here, or from nowhere, cannot miss anything.
fn appended(mark: Option<Mark>) -> anyhow::Result<Mark> {
    mark.ok_or_else(|| anyhow::anyhow!("the event bus lost data while this was published; trying again"))
}

/// Brings the outbox and inbox tables of a service up to date. [`Outbox::open`] does it too; a service that only consumes
/// calls this itself.
pub async fn migrate(db: &Db, service: ServiceName) -> Result<(), StartError> {
    db.migrate_for(service, "events", &MIGRATIONS)
        .await
        .map_err(|source| StartError::Migrate { service, source })
}

/// What waits to be published. It is told by who relays: a service may have opened other outboxes, of a store that it is moved to.
struct Lag {
    metrics: Metrics,
    gauge: OnceLock<prometheus::IntGauge>,
}

impl Lag {
    fn set(&self, waiting: i64) {
        let gauge = self.gauge.get_or_init(|| {
            self.metrics.register(metrics::gauge(
                "emporium_outbox_unpublished",
                "Events that wait to be published (at most a batch).",
            ))
        });
        gauge.set(waiting);
    }
}
