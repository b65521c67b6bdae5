//! Consumer groups: claim, apply, acknowledge; inbox in the effect's transaction; dead letters after bounded retries.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use emporium_service_kit::Clock;
use emporium_service_kit::client::Client;
use emporium_service_kit::metrics::Metrics;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::bus::{Bus, BusError, Capability};
use crate::event::CloudEvent;
use crate::inbox;
use crate::pace::Pace;
use crate::projection::BuildError;

mod apply;
mod beside;
mod deliver;
mod rebuild;
mod routes;
mod status;
pub use apply::{ApplyError, Consumer};
pub use beside::Unit;
pub use rebuild::RebuildError;
pub use routes::{
    DeadLetterList, DeadLetterQuery, list_dead_letters, rebuild_projection, replay_dead_letter,
};
pub(crate) use routes::{accept_rebuild, away, store_away};
use status::Tracker;
pub use status::{GroupState, GroupStatus};

/// Large, since what many events of a batch change is written once; payloads that are large end it earlier.
const BATCH: u16 = 2_000;
/// A bulk load: in each of two steps at least so many events, as close together as [`FLOOD_EACH`] or closer. Who is at the end
/// then waits [`LINGER`] for more of it, which makes larger batches, so that what many of its events change is not written again
/// and again.
const FLOOD: usize = 500;
/// More than 8,000 events a second. The number alone would not do: a busy shop's events of one [`LINGER`] are as many, and who
/// once lingered would do so for ever. Nor would one step: after a pause of the relay or the disk it is as dense.
const FLOOD_EACH: Duration = Duration::from_micros(125);
const LINGER: Duration = Duration::from_millis(250);
/// How long a group stands still after its member was killed. A member that lives renews it, however long a batch takes.
const LEASE: Duration = Duration::from_secs(5);
/// How long to wait for a wake-up; polling after it is the guarantee.
const POLL: Duration = Duration::from_secs(1);
/// Shortest time from one step to the next, so that events which come close together are applied together: each step ends with
/// commits, and those of every group come out of the time of the orders they follow. The first event after a pause is applied at
/// once.
const PACE: Duration = Duration::from_millis(60);
/// How often old rows of the inbox are removed.
const REAP_EVERY: Duration = Duration::from_hours(1);
/// How long a resumed group may stand still: a group that is paused is looked at so often.
const POLL_PAUSED: Duration = Duration::from_millis(100);
/// How often an event is tried before it becomes a dead letter.
pub const ATTEMPTS_MAX: i32 = 5;

/// Where a group begins that is not on the bus yet.
#[derive(Clone)]
pub enum StartAt {
    /// Only what comes from now on matters. When the shop moves to another bus, or the bus loses its data, such a group
    /// begins at that moment and misses what was under way.
    End,
    /// First the whole histories of these owners, then the bus from the position recorded before reading them. Such a group
    /// gets everything these owners ever say, whatever happens to the bus. Its consumer has to have
    /// [generations](Consumer::generations), which the histories are read into.
    Histories(Vec<Client>),
}

/// A consumer group member: runs a consumer on the bus.
pub struct ConsumerGroup {
    bus: Arc<dyn Bus>,
    name: String,
    member: Uuid,
    lease: Duration,
    pub(crate) consumer: Arc<dyn Consumer>,
    start: StartAt,
    /// The bus's end as it was last seen.
    seen: AtomicI64,
    /// Whether the group is known to be built from all the histories of `start`.
    complete: AtomicBool,
    status: Tracker,
    /// Who this is when it builds a generation beside the live one.
    rebuilder: Uuid,
    rebuild_wanted: Notify,
    /// The bus's end after so many events of the histories were read for a rebuild.
    read_until: tokio::sync::Mutex<Option<(Uuid, i64, i64)>>,
    rebuild_error: Mutex<Option<String>>,
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
        Self {
            bus,
            name: name.to_owned(),
            member: Uuid::new_v4(),
            lease: LEASE,
            consumer,
            start,
            seen: AtomicI64::new(0),
            complete: AtomicBool::new(false),
            status: Tracker::new(name, metrics),
            rebuilder: Uuid::new_v4(),
            rebuild_wanted: Notify::new(),
            read_until: tokio::sync::Mutex::default(),
            rebuild_error: Mutex::default(),
        }
    }

    /// The same with another lease than five seconds: how long the group stands still after this member was killed.
    #[must_use]
    pub fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// The same with the clock by which its status tells the time.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.status.set_clock(clock);
        self
    }

    /// How the group stands, as this member saw it at its last step: while it runs, at most about a second ago. Asks nobody.
    pub fn status(&self) -> GroupStatus {
        self.status.status()
    }

    /// Pauses the group, for all its members; see [`Bus::set_paused`].
    pub async fn pause(&self) -> Result<(), BusError> {
        self.set_paused(true).await
    }

    /// Takes a pause back. Members go on within a tenth of a second.
    pub async fn resume(&self) -> Result<(), BusError> {
        self.set_paused(false).await
    }

    async fn set_paused(&self, paused: bool) -> Result<(), BusError> {
        self.bus.set_paused(&self.name, paused).await?;
        self.status.set_paused(paused);
        Ok(())
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
            never = self.rebuild_for_ever() => match never {},
        };
        self.release().await;
        result
    }

    async fn consume(&self) -> anyhow::Result<()> {
        let mut reap_at = Instant::now();
        let (mut pace, mut was_flood) = (Pace::new(PACE), false);
        loop {
            let since = pace.turn().await;
            let moved = match self.step().await {
                Err(error) if lease_lost(&error) => {
                    tracing::info!(group = self.name, %error, "going on when it is free");
                    0
                }
                result => result?,
            };
            if moved == 0 && self.status.is_paused() {
                tokio::time::sleep(POLL_PAUSED).await;
            } else if moved == 0 {
                self.bus.wait(self.seen.load(Ordering::Relaxed), POLL).await;
            }
            let is_flood = is_flood(moved, since);
            if is_flood && was_flood && moved < usize::from(BATCH) {
                tokio::time::sleep(LINGER).await;
            }
            was_flood = is_flood;
            if Instant::now() >= reap_at && !self.reap().await {
                reap_at = Instant::now() + REAP_EVERY;
            }
        }
    }

    /// Takes and applies one batch; gives how many positions it moved past. Tests call it until it gives 0.
    pub async fn step(&self) -> anyhow::Result<usize> {
        let moved = self.try_step().await;
        match &moved {
            Err(error) if !lease_lost(error) => self.status.failed(error),
            _ => self.status.worked(),
        }
        moved
    }

    async fn try_step(&self) -> anyhow::Result<usize> {
        let asked = self.status.now();
        // Reading comes first: a group that has nothing to do writes nothing.
        let Some(progress) = self.progress_or_build().await? else {
            // Another member builds it: nothing that happens on the bus is of interest before it is done.
            self.seen.store(i64::MAX, Ordering::Relaxed);
            return Ok(0);
        };
        self.seen.store(progress.end, Ordering::Relaxed);
        self.status.saw(progress, asked);
        if self.status.letters_are_due() {
            self.status
                .set_letters(self.bus.waiting_letters(&self.name).await?);
        }
        if progress.lag == 0 || progress.paused {
            return Ok(0);
        }
        let kinds = self.consumer.kinds();
        let claimed = self
            .bus
            .claim(&self.name, self.member, kinds, i64::from(BATCH), self.lease)
            .await?;
        let Some(batch) = claimed else { return Ok(0) };
        if !batch.deliveries.is_empty() {
            let events: Vec<&CloudEvent> = batch.deliveries.iter().map(|delivery| &delivery.event).collect();
            self.holding(self.deliver(&events)).await?;
        }
        // What nobody wants and positions that stay empty are passed once and not looked at for ever.
        self.bus.acknowledge(&self.name, self.member, &batch).await?;
        let ordered = !self.bus.lacks().contains(&Capability::Ordered);
        self.status.passed(batch.passed, ordered);
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
        if let Some(generations) = self.consumer.generations()
            && let Err(error) = generations.release(self.rebuilder).await
        {
            tracing::warn!(group = self.name, %error, "rebuild not given back; its lease runs out");
        }
    }

    /// Asks the bus how the group stands; with the bus away, what was known stays.
    pub(crate) async fn look(&self) {
        let looked = async {
            let asked = self.status.now();
            match self.bus.progress(&self.name).await? {
                Some(progress) => self.status.saw(progress, asked),
                None => self.saw_building().await?,
            }
            self.status
                .set_letters(self.bus.waiting_letters(&self.name).await?);
            Ok::<_, BusError>(())
        };
        if let Err(error) = looked.await {
            tracing::warn!(group = self.name, %error, "the bus does not tell how the group stands");
        }
    }

    async fn saw_building(&self) -> Result<(), BusError> {
        self.status.saw_building(self.bus.is_paused(&self.name).await?);
        Ok(())
    }

    /// The status; a group that goes on while a rebuild is made beside it counts as rebuilding.
    pub(crate) fn status_with(&self, rebuild: bool) -> GroupStatus {
        let mut status = self.status();
        if rebuild && status.state == GroupState::Running {
            status.state = GroupState::Rebuilding;
        }
        status
    }

    pub(crate) fn rebuild_error(&self) -> Option<String> {
        self.rebuild_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set_rebuild_error(&self, error: Option<String>) {
        *self.rebuild_error.lock().unwrap_or_else(PoisonError::into_inner) = error;
    }

    /// Removes a batch of old rows from the inbox; true when there may be more.
    async fn reap(&self) -> bool {
        match self.consumer.reap(inbox::KEPT).await {
            Ok(removed) => removed >= inbox::REAP_BATCH.unsigned_abs(),
            Err(error) => {
                tracing::warn!(group = self.name, %error, "inbox not cleaned; trying again later");
                false
            }
        }
    }
}

/// Whether so many events, which came within `since`, are many and close together.
fn is_flood(moved: usize, since: Duration) -> bool {
    let closest = u32::try_from(moved).map_or(Duration::MAX, |moved| FLOOD_EACH * moved);
    moved >= FLOOD && since < closest
}

fn lease_lost(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(BusError::LeaseLost(_)))
        || matches!(error.downcast_ref(), Some(BuildError::Lost))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_shop_is_no_flood() {
        // 10,000 events a second.
        assert!(is_flood(600, PACE));
        assert!(is_flood(3_000, Duration::from_millis(300)));
        assert!(!is_flood(499, PACE));
        // 3,500 a second, of one lingering.
        assert!(!is_flood(1_100, LINGER + PACE));
    }
}
