//! Consumer groups: claim, apply, acknowledge; inbox in the effect's transaction; dead letters after bounded retries.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use emporium_service_kit::client::Client;
use emporium_service_kit::metrics::Metrics;
use prometheus::{IntCounter, IntGauge, Opts};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::bus::{Bus, BusError, DeadLetter};
use crate::event::CloudEvent;
use crate::inbox;
use crate::pace::Pace;

mod apply;
mod rebuild;
mod routes;
pub use apply::{ApplyError, Consumer, Transactional, TransactionalHandler};
pub use rebuild::RebuildError;
pub use routes::{
    DeadLetterList, DeadLetterQuery, list_dead_letters, rebuild_projection, replay_dead_letter,
};

/// Large, since what many events of a batch change is written once; payloads that are large end it earlier.
const BATCH: i64 = 2_000;
/// Who has moved past so many events and was at the end with that, is in the middle of a bulk load. Waiting [`LINGER`] for more
/// of it makes larger batches, so that what many of its events change is not written again and again.
const FLOOD: std::ops::Range<usize> = 500..2_000;
const LINGER: Duration = Duration::from_millis(250);
/// How long a group stands still after its member was killed. A member that lives renews it, however long a batch takes.
const LEASE: Duration = Duration::from_secs(5);
/// How long to wait for a wake-up; polling after it is the guarantee.
const POLL: Duration = Duration::from_secs(1);
/// Shortest time from one step to the next, so that events which come close together are applied together.
const PACE: Duration = Duration::from_millis(20);
/// How often old rows of the inbox are removed.
const REAP_EVERY: Duration = Duration::from_hours(1);
/// How long to wait after each try but the last one, in milliseconds.
const RETRY_AFTER: [u64; 4] = [50, 200, 500, 1_000];
/// Characters of a reason that a dead letter keeps.
const REASON_MAX: usize = 4_000;
/// How often an event is tried before it becomes a dead letter.
pub const ATTEMPTS_MAX: i32 = 5;

/// Where a group begins that is not on the bus yet.
#[derive(Clone)]
pub enum StartAt {
    /// Only what comes from now on matters. When the shop moves to another bus, or the bus loses its data, such a group
    /// begins at that moment and misses what was under way.
    End,
    /// First the whole histories of these owners, then the bus from the position recorded before reading them. Such a group
    /// gets everything these owners ever say, whatever happens to the bus.
    Histories(Vec<Client>),
}

/// A consumer group member: runs a consumer on the bus.
pub struct ConsumerGroup {
    bus: Arc<dyn Bus>,
    name: String,
    member: Uuid,
    lease: Duration,
    consumer: Arc<dyn Consumer>,
    start: StartAt,
    /// The bus's end as it was last seen.
    seen: AtomicI64,
    /// Whether the group is known to be built from all the histories of `start`.
    complete: AtomicBool,
    lag: IntGauge,
    dead: IntCounter,
}

impl ConsumerGroup {
    /// A member of the group `name`. A service may have several groups; their metrics carry `group="<name>"`.
    pub fn new(
        bus: Arc<dyn Bus>,
        name: &str,
        consumer: Arc<dyn Consumer>,
        start: StartAt,
        metrics: &Metrics,
    ) -> Self {
        let (lag, dead) = measures(name);
        Self {
            bus,
            name: name.to_owned(),
            member: Uuid::new_v4(),
            lease: LEASE,
            consumer,
            start,
            seen: AtomicI64::new(0),
            complete: AtomicBool::new(false),
            lag: metrics.register(lag),
            dead: metrics.register(dead),
        }
    }

    /// The same with another lease than five seconds: how long the group stands still after this member was killed.
    #[must_use]
    pub fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// The group's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Consumes until told to stop, then gives the group back, as it does when it fails. Stopping drops what is under way,
    /// which is like a crash at that moment: the events come again.
    pub async fn run(&self, stop: CancellationToken) -> anyhow::Result<()> {
        let result = tokio::select! {
            biased;
            () = stop.cancelled() => Ok(()),
            result = self.consume() => result,
        };
        self.release().await;
        result
    }

    async fn consume(&self) -> anyhow::Result<()> {
        let mut reap_at = Instant::now();
        let mut pace = Pace::new(PACE);
        loop {
            pace.turn().await;
            let moved = match self.step().await {
                Err(error) if lease_lost(&error) => {
                    tracing::info!(group = self.name, %error, "going on when it is free");
                    0
                }
                result => result?,
            };
            if moved == 0 {
                self.bus.wait(self.seen.load(Ordering::Relaxed), POLL).await;
            } else if FLOOD.contains(&moved) {
                tokio::time::sleep(LINGER).await;
            }
            if Instant::now() >= reap_at && !self.reap().await {
                reap_at = Instant::now() + REAP_EVERY;
            }
        }
    }

    /// Takes and applies one batch; gives how many positions it moved past. Tests call it until it gives 0.
    pub async fn step(&self) -> anyhow::Result<usize> {
        // Reading comes first: a group that has nothing to do writes nothing.
        let Some(progress) = self.progress_or_build().await? else {
            // Another member builds it: nothing that happens on the bus is of interest before it is done.
            self.seen.store(i64::MAX, Ordering::Relaxed);
            return Ok(0);
        };
        self.seen.store(progress.end, Ordering::Relaxed);
        self.lag.set(progress.lag);
        if progress.lag == 0 {
            return Ok(0);
        }
        let kinds = self.consumer.kinds();
        let claimed = self
            .bus
            .claim(&self.name, self.member, kinds, BATCH, self.lease)
            .await?;
        let Some(batch) = claimed else { return Ok(0) };
        if !batch.deliveries.is_empty() {
            let events: Vec<&CloudEvent> = batch.deliveries.iter().map(|delivery| &delivery.event).collect();
            self.holding(self.deliver(&events)).await?;
        }
        // What nobody wants and positions that stay empty are passed once and not looked at for ever.
        self.bus.acknowledge(&self.name, self.member, &batch).await?;
        self.lag.set((progress.lag - batch.passed).max(0));
        Ok(usize::try_from(batch.passed).unwrap_or(0))
    }

    /// Works while the lease is kept in the background; gives up the work when the group was lost.
    async fn holding<T>(&self, work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
        tokio::select! {
            biased;
            done = work => done,
            lost = self.keep_lease() => Err(lost.into()),
        }
    }

    async fn keep_lease(&self) -> BusError {
        loop {
            tokio::time::sleep(self.lease / 3).await;
            match self.bus.renew(&self.name, self.member, self.lease).await {
                Ok(()) => {}
                Err(lost @ BusError::LeaseLost(_)) => return lost,
                // Without the bus nobody else can take the group either; if somebody does later, the end is fenced.
                Err(error) => tracing::warn!(group = self.name, %error, "lease not renewed"),
            }
        }
    }

    async fn release(&self) {
        if let Err(error) = self.bus.release(&self.name, self.member).await {
            tracing::warn!(group = self.name, %error, "group not given back; its lease runs out");
        }
    }

    /// Removes a batch of old rows from the inbox; true when there may be more. Without a reset, a consumer that reads
    /// histories needs all of them: see [`inbox`].
    async fn reap(&self) -> bool {
        if matches!(self.start, StartAt::Histories(_)) && !self.consumer.can_reset() {
            return false;
        }
        match self.consumer.reap(inbox::KEPT).await {
            Ok(removed) => removed >= inbox::REAP_BATCH.unsigned_abs(),
            Err(error) => {
                tracing::warn!(group = self.name, %error, "inbox not cleaned; trying again later");
                false
            }
        }
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
        let mut waits = RETRY_AFTER.into_iter().map(Duration::from_millis);
        loop {
            let reason = match self.consumer.apply(&[event]).await {
                Ok(()) => return Ok(()),
                Err(ApplyError::Unavailable(reason)) => anyhow::bail!("{reason}"),
                Err(ApplyError::Rejected(reason)) => reason,
            };
            let Some(wait) = waits.next() else {
                tracing::error!(group = self.name, event = %event.id, reason, "dead letter");
                self.bus
                    .dead_letter(&self.name, event, &shortened(reason), ATTEMPTS_MAX)
                    .await?;
                self.dead.inc();
                return Ok(());
            };
            tokio::time::sleep(wait).await;
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

/// A reason may quote the payload; what a letter keeps is bounded, and says so.
fn shortened(mut reason: String) -> String {
    if let Some((end, _)) = reason.char_indices().nth(REASON_MAX) {
        reason.truncate(end);
        reason.push_str(" … (cut)");
    }
    reason
}

fn lease_lost(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(BusError::LeaseLost(_)))
}

/// The group's name is a constant label of its own metrics, so that the groups of one service share the metrics' names.
#[allow(clippy::expect_used)] // names are constants: a bad one is found by the first test that makes a group
fn measures(group: &str) -> (IntGauge, IntCounter) {
    let lag = Opts::new(
        "emporium_consumer_lag",
        "Positions between the bus's end and the group.",
    );
    let dead = Opts::new("emporium_dead_letters_total", "Events put aside.");
    (
        IntGauge::with_opts(lag.const_label("group", group)).expect("a valid gauge"),
        IntCounter::with_opts(dead.const_label("group", group)).expect("a valid counter"),
    )
}
