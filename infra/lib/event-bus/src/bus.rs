//! The bus: transport between services. It may trim what every group has read; histories stay with their owners.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use emporium_service_kit::{Environment, StartError};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::event::CloudEvent;

pub mod postgres;

/// How long a dead letter stays after it was replayed. Shorter than [`crate::inbox::KEPT`], so that replaying it twice
/// always meets its row in the inbox. Letters that were not replayed stay until they are.
pub const DEAD_LETTER_KEPT: Duration = Duration::from_hours(7 * 24);

/// Batches of events end when their payloads, as they are stored, come to this many bytes; one event they have always.
pub const BATCH_BYTES: i64 = 4 << 20;

/// What can go wrong with the bus.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The setting cannot be used.
    #[error("EMPORIUM_EVENTS: {0}")]
    Setting(String),
    /// The bus's store failed or is away.
    #[error("event bus: {0}")]
    Store(#[from] sqlx::Error),
    /// The bus's tables cannot be brought up to date.
    #[error("event bus: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// An event cannot be written or read as JSON.
    #[error("event bus: {0}")]
    Json(#[from] serde_json::Error),
    /// Another member of the group took over, so this one must not go on.
    #[error("the consumer group {0} was taken over by another member")]
    LeaseLost(String),
}

/// An event with its place on the bus.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Position on the bus; grows, may have holes that stay empty.
    pub position: i64,
    /// The event.
    pub event: CloudEvent,
}

/// What a member took.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Events of the wanted types, in the order of positions.
    pub deliveries: Vec<Delivery>,
    /// Where the group is when they are done: at the last of them, or further when nothing that is wanted comes next.
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

/// A bus adapter. Delivery is at least once and, within a group, in the order of positions.
#[async_trait]
pub trait Bus: Send + Sync {
    /// Appends events in this order; an event whose id is there already is left out.
    async fn append(&self, events: &[CloudEvent]) -> Result<(), BusError>;

    /// The last position that can be read.
    async fn end(&self) -> Result<i64, BusError>;

    /// How far a group has got; `None` when there is no such group or it is being rebuilt.
    async fn group_position(&self, group: &str) -> Result<Option<i64>, BusError>;

    /// Makes a group that goes on after `position`, or moves it there, taking it from whoever holds it: what a member is
    /// applying just now can no longer be acknowledged ([`BusError::LeaseLost`]), so it cannot undo the move.
    async fn set_group(&self, group: &str, position: i64) -> Result<(), BusError>;

    /// Says that the group has to be rebuilt, and takes it from whoever holds it. From here on nobody gets its events until
    /// a member has [begun](Bus::begin_rebuild) and [finished](Bus::finish_rebuild). Nothing happens to an unknown group.
    async fn request_rebuild(&self, group: &str) -> Result<(), BusError>;

    /// Makes a new group, or takes one whose rebuild was requested or left half done, for `member` to build; notes the bus's
    /// end and gives it. `None` when another member is at it or the group needs no building. Of several members that join at
    /// once, one gets it.
    async fn begin_rebuild(
        &self,
        group: &str,
        member: Uuid,
        lease: Duration,
    ) -> Result<Option<i64>, BusError>;

    /// Says that the group is built, so that members can go on after the position noted when it began;
    /// [`BusError::LeaseLost`] when `member` holds it no more.
    async fn finish_rebuild(&self, group: &str, member: Uuid) -> Result<(), BusError>;

    /// Keeps other members away for another `lease`; [`BusError::LeaseLost`] when `member` holds the group no more.
    async fn renew(&self, group: &str, member: Uuid, lease: Duration) -> Result<(), BusError>;

    /// Takes the group's next events of the types `kinds` for `member`, at most `max` and about [`BATCH_BYTES`] of them, and
    /// keeps other members away for `lease`. `None` when another member holds the group or it is being rebuilt.
    async fn claim(
        &self,
        group: &str,
        member: Uuid,
        kinds: &[&str],
        max: i64,
        lease: Duration,
    ) -> Result<Option<Batch>, BusError>;

    /// Notes that the group is done up to and with `position`; [`BusError::LeaseLost`] when `member` holds it no more.
    async fn acknowledge(&self, group: &str, member: Uuid, position: i64) -> Result<(), BusError>;

    /// Gives the group back, so that another member can go on at once.
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

    /// One dead letter of the group.
    async fn find_dead_letter(&self, group: &str, id: i64) -> Result<Option<DeadLetter>, BusError>;

    /// Notes that a dead letter was replayed.
    async fn mark_replayed(&self, group: &str, id: i64) -> Result<(), BusError>;

    /// Waits until there may be something new, at most `timeout`. A hint: it may return early or late.
    async fn wait(&self, timeout: Duration);

    /// Removes events older than `age` that every group has passed, and dead letters [`DEAD_LETTER_KEPT`] after their
    /// replay, in short transactions; gives how many events.
    async fn trim(&self, age: Duration) -> Result<u64, BusError>;
}

/// Opens the bus that the environment's URL names; its scheme picks the adapter.
pub async fn open(environment: &Environment) -> Result<Arc<dyn Bus>, BusError> {
    let Some(url) = environment.events_url.as_deref() else {
        return Err(BusError::Setting(format!(
            "missing, and the {} service needs the event bus; give a postgres:// URL",
            environment.service
        )));
    };
    match url.split_once(':').map(|(scheme, _)| scheme) {
        Some("postgres" | "postgresql") => Ok(Arc::new(
            postgres::PostgresBus::connect(url, environment.metrics.clone()).await?,
        )),
        scheme => Err(BusError::Setting(format!(
            "there is no event bus for {:?}; use a postgres:// URL",
            scheme.unwrap_or_default()
        ))),
    }
}

impl BusError {
    /// As the reason why a service cannot start: one line that names the setting once.
    pub fn into_start_error(self) -> StartError {
        let problem = match self {
            Self::Setting(problem) => problem,
            other => other.to_string(),
        };
        StartError::BadSetting {
            setting: "EMPORIUM_EVENTS".to_owned(),
            problem,
        }
    }
}
