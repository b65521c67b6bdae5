//! What services keep of other services' events: each such service has one consumer group a projection, and serves how it
//! stands. Which service a projection belongs to is told by its name: `reviews.ratings` is one of `reviews`.

use emporium_service_kit::client::{CallError, Client};
use emporium_service_kit::{Problem, ServiceName};
use futures::future::join_all;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Items, READ_TIMEOUT};

/// The longest name of a projection, in bytes.
const NAME_BYTES_MAX: usize = 100;

/// Client of every service that consumes events.
#[derive(Clone)]
pub struct Consumers(Vec<Client>);

/// What a consumer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ConsumerState {
    /// It applies events as they come.
    Running,
    /// Nothing is delivered to it until it is resumed.
    Paused,
    /// It is being filled from the owners' histories.
    Rebuilding,
    /// It cannot go on just now, and tries again.
    Failing,
    /// Something this gateway does not know yet.
    #[serde(other)]
    Other,
}

/// How a projection stands, and the consumer group that keeps it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Projection {
    /// Its name, which is the group's too.
    pub name: String,
    /// What the consumer does.
    pub state: ConsumerState,
    /// What went wrong the last time, while it is failing.
    #[serde(default)]
    pub error: Option<String>,
    /// Everything on the bus up to and with this position is applied; null while it is being filled.
    pub position: Option<i64>,
    /// The bus's last position.
    pub end: Option<i64>,
    /// How many positions lie between the two.
    pub lag_events: Option<i64>,
    /// How long the first event that is not applied has waited, in milliseconds.
    pub lag_ms: Option<i64>,
    /// Everything that was published before this moment is applied, or put aside as a dead letter.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub as_of: Option<OffsetDateTime>,
    /// Events that could not be applied and wait for their replay.
    pub dead_letters: i64,
    /// Whether it can be rebuilt from the owners' histories. That happens beside the live one, with a comparison at its end.
    pub rebuildable: bool,
    /// The rebuild that is wanted or under way.
    #[serde(default)]
    pub rebuild: Option<Rebuild>,
    /// What came of the last one.
    #[serde(default)]
    pub outcome: Option<RebuildOutcome>,
}

/// What a rebuild is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RebuildPhase {
    /// It has not begun yet.
    Wanted,
    /// Histories are read.
    Reading,
    /// Both generations are compared as soon as they hold the same events.
    Comparing,
    /// Something this gateway does not know yet.
    #[serde(other)]
    Other,
}

/// A rebuild that is wanted or under way.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Rebuild {
    /// Which one.
    pub id: Uuid,
    /// What it is at.
    pub phase: RebuildPhase,
    /// Since when.
    #[serde(with = "time::serde::rfc3339")]
    pub started_at: OffsetDateTime,
    /// Events of the histories that were read.
    pub events: i64,
    /// How many there are, as far as their owners have told.
    pub total: Option<i64>,
    /// Why it does not go on just now.
    #[serde(default)]
    pub error: Option<String>,
}

/// What came of a rebuild.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RebuildOutcome {
    /// Which rebuild.
    pub id: Uuid,
    /// When it began.
    #[serde(with = "time::serde::rfc3339")]
    pub started_at: OffsetDateTime,
    /// When the rebuilt generation became the live one.
    #[serde(with = "time::serde::rfc3339")]
    pub finished_at: OffsetDateTime,
    /// Events of the histories that were read.
    pub events: i64,
    /// Whether both generations were equal; null when the bus had asked for the rebuild, so that there was nothing to compare.
    pub equal: Option<bool>,
    /// What was compared.
    pub tables: Vec<ComparedTable>,
    /// What differed, in words.
    pub differences: Vec<String>,
}

/// A table of both generations.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ComparedTable {
    /// Its name.
    pub table: String,
    /// Rows of the generation that was live.
    pub rows_live: i64,
    /// Rows of the one that was built.
    pub rows_rebuilt: i64,
    /// Whether the digests are equal.
    pub equal: bool,
}

/// An event that was put aside.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DeadLetter {
    /// For replaying it.
    pub id: i64,
    /// The CloudEvent.
    pub event: Value,
    /// What went wrong the last time.
    pub error: String,
    /// How often it was tried.
    pub attempts: i32,
    /// When it was put aside.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// When it was replayed, if it was.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub replayed_at: Option<OffsetDateTime>,
}

/// What an administrator does with a consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Nothing more is delivered.
    Pause,
    /// It goes on.
    Resume,
    /// It is filled from the owners' histories.
    Rebuild,
}

impl Act {
    fn word(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Rebuild => "rebuild",
        }
    }
}

impl Projection {
    /// True while it is being rebuilt: beside the live one, or for the bus.
    pub fn is_rebuilding(&self) -> bool {
        self.rebuild.is_some() || self.state == ConsumerState::Rebuilding
    }
}

impl Consumers {
    pub(super) fn new(clients: impl Iterator<Item = Client>) -> Self {
        Self(clients.collect())
    }

    /// All projections of all services, asked at once, and each service's own failure.
    pub async fn list(&self) -> Vec<(ServiceName, Result<Vec<Projection>, CallError>)> {
        join_all(self.0.iter().map(|client| async {
            let call = client.get("/projections").timeout(READ_TIMEOUT);
            let list = call.send::<Items<Projection>>().await;
            (client.callee(), list.map(|list| list.items))
        }))
        .await
    }

    /// One of them, with its service. Problems: 404.
    pub async fn one(&self, name: &str) -> Result<(ServiceName, Projection), CallError> {
        let client = self.of(name)?;
        let call = client.get(format!("/projections/{name}")).timeout(READ_TIMEOUT);
        Ok((client.callee(), call.send().await?))
    }

    /// Pauses, resumes or rebuilds it; repeating changes nothing. Problems: 404, 409 `not-rebuildable`.
    pub async fn act(&self, name: &str, act: Act) -> Result<(ServiceName, Projection), CallError> {
        let client = self.of(name)?;
        let call = client.post(format!("/projections/{name}/{}", act.word()));
        Ok((client.callee(), call.idempotent().send().await?))
    }

    /// Up to `limit` dead letters after the id `after`, oldest first. Problems: 404.
    pub async fn dead_letters(
        &self,
        name: &str,
        after: i64,
        limit: u32,
    ) -> Result<Vec<DeadLetter>, CallError> {
        let query = [("after", after), ("limit", i64::from(limit))];
        let call = self.of(name)?.get(format!("/projections/{name}/dead-letters"));
        let call = call.query(&query).timeout(READ_TIMEOUT);
        call.send::<Items<DeadLetter>>().await.map(|list| list.items)
    }

    /// Applies one again. Problems: 404, 409 `still-rejected` with the reason.
    pub async fn replay(&self, name: &str, id: i64) -> Result<DeadLetter, CallError> {
        let path = format!("/projections/{name}/dead-letters/{id}/replay");
        self.of(name)?.post(path).idempotent().send().await
    }

    /// The service that a projection belongs to by its name. A name that cannot be one goes into no address.
    fn of(&self, name: &str) -> Result<&Client, CallError> {
        let is_part =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
        let is_name = name.len() <= NAME_BYTES_MAX
            && name
                .split('.')
                .all(|part| !part.is_empty() && part.bytes().all(is_part));
        let service = name.split('.').next().unwrap_or_default();
        let found = self.0.iter().find(|client| client.callee().as_str() == service);
        found.filter(|_| is_name).ok_or_else(|| CallError::Problem {
            callee: ServiceName::Gateway,
            problem: Box::new(Problem::not_found("There is no such projection.")),
        })
    }
}
