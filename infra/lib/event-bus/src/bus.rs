//! The bus: transport between services. It may trim what every group has read; histories stay with their owners.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::report::ServerFacts;
use emporium_service_kit::store::REMEDY;
use emporium_service_kit::stores::EVENTS;
use emporium_service_kit::{Environment, StartError, StoreError, StoreSetting};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::event::CloudEvent;

mod capability;
pub mod postgres;
pub mod redis;
mod report;

pub use capability::Capability;
pub use report::EventsReport;

/// How long a dead letter stays after it was replayed. Shorter than [`crate::inbox::KEPT`], so that replaying it twice
/// always meets its row in the inbox. Letters that were not replayed stay until they are.
pub const DEAD_LETTER_KEPT: Duration = Duration::from_hours(7 * 24);

/// Batches of events end when their payloads, as they are stored, come to this many bytes; one event they have always.
pub const BATCH_BYTES: i64 = 4 << 20;

/// Dead letters that are counted at most: counting is to be cheap.
pub const LETTERS_COUNTED_MAX: i64 = 10_000;

/// What can go wrong with the bus.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The setting cannot be used.
    #[error("EMPORIUM_EVENTS: {0}")]
    Setting(String),
    /// The bus's store failed or is away.
    #[error("event bus: {0}")]
    Store(#[from] StoreError),
    /// The bus's tables cannot be brought up to date.
    #[error("event bus: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// An event cannot be written or read as JSON.
    #[error("event bus: {0}")]
    Json(#[from] serde_json::Error),
    /// Another member of the group took over, so this one must not go on.
    #[error("the consumer group {0} was taken over by another member")]
    LeaseLost(String),
    /// As many dead letters wait for their replay as the adapter keeps. None is dropped, so the group stands still.
    #[error("the consumer group {0} has as many dead letters as the bus keeps; replay them")]
    LettersFull(String),
}

impl From<sqlx::Error> for BusError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// An event with its place on the bus.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Position on the bus; grows, may have holes that stay empty.
    pub position: i64,
    /// The event.
    pub event: CloudEvent,
}

/// What a member took. It is acknowledged as a whole or not at all.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Events of the wanted types, in the order of positions; with an adapter that lacks [`Capability::Ordered`], perhaps
    /// older than what the group has been given before.
    pub deliveries: Vec<Delivery>,
    /// The last position it reaches: that of the last event, or a further one when nothing that is wanted comes next.
    pub position: i64,
    /// How many positions the group passes with it, those of events that nobody wants included.
    pub passed: i64,
}

/// How far a group has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Everything up to and with this position is acknowledged.
    pub position: i64,
    /// The last position that can be read.
    pub end: i64,
    /// Positions that are not acknowledged yet.
    pub lag: i64,
    /// How long the first event that is not acknowledged has been on the bus, by the bus's own clock; zero when there is none.
    pub waited: Duration,
    /// Whether nobody gets the group's events, as an operator said.
    pub paused: bool,
}

/// Where a publisher is on a bus: the last event it appended there. By it the bus can tell whether it still has all that
/// this publisher ever gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Which bus: every bus has an id, made with its data and lost with it.
    pub bus: Uuid,
    /// The event; nil when nothing was appended yet.
    pub event: Uuid,
    /// Its position; 0 when nothing was appended yet.
    pub position: i64,
}

/// An event that a group could not apply.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DeadLetter {
    /// For replaying it.
    pub id: i64,
    /// The group that failed.
    pub group: String,
    /// The event.
    pub event: CloudEvent,
    /// What went wrong the last time.
    pub error: String,
    /// How often it was tried.
    pub attempts: i32,
    /// When it was put aside.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// When it was replayed, if it was.
    #[serde(with = "time::serde::rfc3339::option")]
    pub replayed_at: Option<OffsetDateTime>,
}

/// A bus adapter. Delivery is at least once.
///
/// # Adding an adapter
///
/// Write one file, or a folder, named after the store; give [`open_at`] an arm for its scheme; and add one line to
/// `tests/contract/main.rs`, which runs the whole suite on it. What it cannot give it names in [`Bus::lacks`]: the suite then
/// tests the difference, and reports show it.
#[async_trait]
pub trait Bus: Send + Sync {
    /// The store's name in reports: `postgresql`, `redis`.
    fn adapter(&self) -> &'static str;

    /// What it cannot give.
    fn lacks(&self) -> &'static [Capability];

    /// What its server says of itself.
    async fn facts(&self) -> Result<ServerFacts, StoreError>;

    /// Appends events in this order, all or none; an event that is on the bus already is left out. With `after`, the bus first
    /// sees whether it has what its publisher appended before: `None` when not, and then nothing is appended. Without events
    /// it only looks.
    async fn publish(&self, events: &[CloudEvent], after: Option<&Mark>) -> Result<Option<Mark>, BusError>;

    /// Appends events without looking back.
    async fn append(&self, events: &[CloudEvent]) -> Result<(), BusError> {
        self.publish(events, None).await.map(|_| ())
    }

    /// Says that events of `source` have not come by this bus, so that every group that is built from that source's history
    /// has to be built again, and takes these groups from whoever holds them. From here on nobody gets their events until a
    /// member has [begun](Bus::begin_rebuild) and [finished](Bus::finish_rebuild). Only the source itself may say so.
    async fn missed(&self, source: &str) -> Result<(), BusError>;

    /// The last position that can be read.
    async fn end(&self) -> Result<i64, BusError>;

    /// How far a group has got; `None` when there is no such group or it is being rebuilt.
    async fn progress(&self, group: &str) -> Result<Option<Progress>, BusError>;

    /// The position of [`Bus::progress`].
    async fn group_position(&self, group: &str) -> Result<Option<i64>, BusError> {
        Ok(self.progress(group).await?.map(|progress| progress.position))
    }

    /// Makes a group that goes on after `position`, or moves it there, taking it from whoever holds it: what a member is
    /// applying just now can no longer be acknowledged ([`BusError::LeaseLost`]), so it cannot undo the move.
    async fn set_group(&self, group: &str, position: i64) -> Result<(), BusError>;

    /// Removes a group for good, so that it no longer keeps events from being trimmed. Its dead letters stay. A member that
    /// still runs makes it anew.
    async fn remove_group(&self, group: &str) -> Result<(), BusError>;

    /// Says that nobody gets the group's events from here on, or takes that back. It is kept with the group: every member in
    /// every process minds it, and after a restart too. What a member has by then it may go on with and acknowledge; what it
    /// leaves behind waits. A rebuild that is under way ends, another one [begins](Bus::begin_rebuild) when the group is
    /// resumed. Nothing happens to an unknown group.
    async fn set_paused(&self, group: &str, paused: bool) -> Result<(), BusError>;

    /// Whether the group is paused, also while it is being rebuilt.
    async fn is_paused(&self, group: &str) -> Result<bool, BusError>;

    /// Makes a new group, or takes one that [missed](Bus::missed) events, whose building was left half done, or that was built
    /// without one of `sources`, for `member` to build from the histories of `sources` (such as `/users`); notes the bus's end
    /// and gives it. `None` when another member is at it or the group needs no building or is paused. Of several members that
    /// join at once, one gets it.
    async fn begin_rebuild(
        &self,
        group: &str,
        member: Uuid,
        lease: Duration,
        sources: &[String],
    ) -> Result<Option<i64>, BusError>;

    /// Says that the group is built, so that members can go on after the position noted when it began;
    /// [`BusError::LeaseLost`] when `member` holds it no more.
    async fn finish_rebuild(&self, group: &str, member: Uuid) -> Result<(), BusError>;

    /// Keeps other members away, from the group or from what `member` took of it, for another `lease`;
    /// [`BusError::LeaseLost`] when `member` holds it no more.
    async fn renew(&self, group: &str, member: Uuid, lease: Duration) -> Result<(), BusError>;

    /// Takes the group's next events of the types `kinds` for `member`, at most `max` and about [`BATCH_BYTES`] of them, and
    /// keeps other members away from them for `lease`. First come those that `member` took before and did not acknowledge.
    /// `None` when the group is paused or being rebuilt, does not exist or, with an adapter that lacks [`Capability::Parallel`],
    /// another member holds it.
    async fn claim(
        &self,
        group: &str,
        member: Uuid,
        kinds: &[&str],
        max: i64,
        lease: Duration,
    ) -> Result<Option<Batch>, BusError>;

    /// Notes that the group is done with this batch; [`BusError::LeaseLost`], and nothing is noted, when `member` holds it no
    /// more.
    async fn acknowledge(&self, group: &str, member: Uuid, batch: &Batch) -> Result<(), BusError>;

    /// Gives back what `member` holds, so that another one can go on with it at once.
    async fn release(&self, group: &str, member: Uuid) -> Result<(), BusError>;

    /// Puts an event aside that could not be applied; one that was replayed before counts as not replayed again.
    async fn dead_letter(
        &self,
        group: &str,
        event: &CloudEvent,
        error: &str,
        attempts: i32,
    ) -> Result<(), BusError>;

    /// The group's dead letters after `after`, oldest first.
    async fn dead_letters(&self, group: &str, after: i64, limit: i64) -> Result<Vec<DeadLetter>, BusError>;

    /// How many of the group's dead letters wait for their replay; more than [`LETTERS_COUNTED_MAX`] are not counted.
    async fn waiting_letters(&self, group: &str) -> Result<i64, BusError>;

    /// One dead letter of the group.
    async fn find_dead_letter(&self, group: &str, id: i64) -> Result<Option<DeadLetter>, BusError>;

    /// Notes that a dead letter was replayed.
    async fn mark_replayed(&self, group: &str, id: i64) -> Result<(), BusError>;

    /// Waits until there may be something after the position `seen`, at most `timeout`. A hint: it may return early or late.
    async fn wait(&self, seen: i64, timeout: Duration);

    /// Removes events older than `age` that every group has acknowledged, and dead letters `letters` after their replay, in
    /// short steps; gives how many events. Without a group nobody has acknowledged anything.
    async fn trim_both(&self, age: Duration, letters: Duration) -> Result<u64, BusError>;

    /// [`Bus::trim_both`] with [`DEAD_LETTER_KEPT`].
    async fn trim(&self, age: Duration) -> Result<u64, BusError> {
        self.trim_both(age, DEAD_LETTER_KEPT).await
    }
}

/// Opens the bus that the environment's URL names; its scheme picks the adapter.
pub async fn open(environment: &Environment) -> Result<Arc<dyn Bus>, BusError> {
    let Some(url) = environment.events_url.as_deref() else {
        return Err(BusError::Setting(format!(
            "missing, and the {} service needs the event bus; give a postgres:// or redis:// URL",
            environment.service
        )));
    };
    open_at(url, environment.metrics.clone()).await
}

/// Opens the bus at this URL.
pub async fn open_at(url: &str, metrics: Metrics) -> Result<Arc<dyn Bus>, BusError> {
    let setting = StoreSetting::new(EVENTS, Some(url));
    match setting.scheme().as_str() {
        "postgres" => Ok(Arc::new(postgres::PostgresBus::connect(url, metrics).await?)),
        "redis" => Ok(Arc::new(
            redis::RedisBus::connect(url, redis::NAMESPACE, metrics).await?,
        )),
        scheme => Err(BusError::Setting(format!(
            "there is no event bus for {scheme:?}; use a postgres:// or redis:// URL"
        ))),
    }
}

impl BusError {
    /// Of a server that cannot be used, for a reason that says what to do about it or not.
    fn unusable(error: &dyn std::fmt::Display, tells_remedy: bool) -> Self {
        Self::Setting(if tells_remedy {
            error.to_string()
        } else {
            format!("the event bus's store cannot be used: {error}; {REMEDY}")
        })
    }

    /// As the reason why a service cannot start: one line that names the setting once.
    pub fn into_start_error(self) -> StartError {
        let problem = match self {
            Self::Setting(problem) => problem,
            Self::Store(_) | Self::Migrate(_) => format!("{self}; {REMEDY}"),
            other => other.to_string(),
        };
        StartError::BadSetting {
            setting: EVENTS.to_owned(),
            problem,
        }
    }
}
