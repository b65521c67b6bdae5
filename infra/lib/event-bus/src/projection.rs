//! Projections with two generations: rebuilt beside the live one, compared with it, then switched.
//!
//! A projection is what a service keeps of other services' events. Its tables hold two generations, 0 and 1. One is *live*:
//! queries read it, and a consumer group applies events to it. The other one is empty, old, or being *built*.
//!
//! ```text
//! wanted ─► clearing ─► reading ─────────────► comparing ──► switched, with an outcome
//!           the other   histories fill it;     until both hold the same events in one snapshot:
//!           one is      living events go       digests of both, then what differs
//!           emptied     to both
//! ```
//!
//! Why nothing is lost and nothing counts twice:
//!
//! - Every generation has an inbox of its own, `<projection>/<generation>`. An event is claimed there in the transaction of
//!   its effect, so in each generation it counts once, whether it comes from a history or from the bus, or from both.
//! - Every effect holds the projection's row in share mode, and every change of that row waits for those effects and is seen
//!   by the next. So from one moment on all events are applied to both generations; what was applied before that moment was
//!   published before, so it was numbered before, so the history that is read from then on has it.
//! - A place in each history is noted in the transaction that fills the generation up to there. Whoever dies in the middle
//!   is followed by another member, which goes on from that place, or begins again from an empty generation.
//! - A rebuild has an id, and whoever works on it has a lease. All that it writes is written under both, so one that was
//!   replaced writes nothing more.
//!
//! The two are compared when the group has acknowledged what was on the bus after the reading, and the live one has every
//! event of the other one that was written down more than a moment ([`PUBLISHED_WITHIN`]) ago, or never will: what it lost is a
//! difference. Rows of the inbox are removed after [`inbox::KEPT`](crate::inbox::KEPT), so that only rows of the
//! last [`COMPARED`] are looked at; histories tell when an event was written down, and that time is noted with its claim.
//!
//! The rebuilt generation is right by definition, so it becomes the live one even when they differ; the [`Outcome`] says
//! exactly what differs, and the log warns.
//!
//! When the bus itself asks for it (the group is new there, or the bus lost events), no events are delivered meanwhile and
//! there is nothing to compare: the other generation is built from the histories and switched, while the live one can be read
//! as it was.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use emporium_service_kit::StoreError;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::consumer::ApplyError;
use crate::history::HistoryItem;

mod comparing;
mod content;
mod postgres;
mod routes;
mod state;
mod stored;
mod table;
pub use comparing::EventDifferences;
pub use content::{Digester, RowText, differences};
pub use postgres::{GenerationHandler, PostgresProjection, generations};
pub use routes::{ProjectionList, ProjectionStatus, Projections};
pub use state::{Generation, State};
pub use stored::{Filling, ProjectionStore, StoredProjection, Versioned};
pub use table::{Digest, Table};

/// Events that were written down longer ago are not looked for in the inboxes. A day less than rows are kept, since clocks
/// differ and removing takes its time.
pub const COMPARED: Duration = Duration::from_hours(29 * 24);
/// How long an event may take from the owner's history to the bus, and from there to the live generation, before it counts as
/// lacking: what was written down longer ago is told as a difference and not waited for, since it may never come.
pub const PUBLISHED_WITHIN: Duration = Duration::from_mins(1);
/// Differences that an outcome lists.
pub const DIFFERENCES_MAX: usize = 100;

/// Who asked for a rebuild.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// An operator.
    Operator,
    /// The bus: the group is new there, or events did not come by it.
    Bus,
}

/// What a rebuild is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// It has not begun yet, or empties the generation.
    Wanted,
    /// Histories are read.
    Reading,
    /// The live generation has to catch up with it; then both are compared.
    Comparing,
}

impl Phase {
    /// Of a rebuild whose generation is being built or not, with these places in the histories.
    fn of(building: bool, cursors: &BTreeMap<String, Cursor>) -> Self {
        match cursors.values().all(|cursor| cursor.done) {
            _ if !building => Self::Wanted,
            false => Self::Reading,
            true => Self::Comparing,
        }
    }
}

/// How far one owner's history was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Everything up to and with this position is applied.
    pub after: i64,
    /// The last position, if the owner told.
    pub end: Option<i64>,
    /// Whether the end was reached: what comes later comes by the bus.
    pub done: bool,
}

/// A rebuild that is wanted or under way.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Rebuild {
    /// Which one.
    pub id: Uuid,
    /// Who asked for it.
    pub cause: Cause,
    /// What it is at.
    pub phase: Phase,
    /// Since when.
    #[serde(with = "time::serde::rfc3339")]
    pub started_at: OffsetDateTime,
    /// Events of the histories that were read.
    pub events: i64,
    /// How many there are, as far as all owners have told; it grows while the shop is open.
    pub total: Option<i64>,
    /// Why it does not go on just now; it is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// By owner, such as `/orders`.
    #[serde(skip)]
    pub cursors: BTreeMap<String, Cursor>,
}

/// One table of both generations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Compared {
    /// Its name.
    pub table: String,
    /// Rows of the generation that was live.
    pub rows_live: i64,
    /// Rows of the one that was built.
    pub rows_rebuilt: i64,
    /// Whether the digests are equal.
    pub equal: bool,
    /// The digest of the generation that was live: equal for equal sets of rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest_live: Option<String>,
    /// The digest of the one that was built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest_rebuilt: Option<String>,
}

/// What comparing two generations in one snapshot gave.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// The tables.
    pub tables: Vec<Compared>,
    /// What differs, in words; at most [`DIFFERENCES_MAX`] lines, the last of which says if there is more.
    pub differences: Vec<String>,
    /// Everything on the bus up to and with this position was in both, or put aside.
    pub position: Option<i64>,
}

impl Comparison {
    /// Whether nothing differs.
    pub fn equal(&self) -> bool {
        self.differences.is_empty() && self.tables.iter().all(|table| table.equal)
    }
}

/// What came of a rebuild.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Outcome {
    /// Which rebuild.
    pub id: Uuid,
    /// Who asked for it.
    pub cause: Cause,
    /// When it began.
    #[serde(with = "time::serde::rfc3339")]
    pub started_at: OffsetDateTime,
    /// When the generations were switched.
    #[serde(with = "time::serde::rfc3339")]
    pub finished_at: OffsetDateTime,
    /// Events of the histories that were read.
    pub events: i64,
    /// Whether both generations were equal, compared in one snapshot; absent when the bus had asked for the rebuild, since the
    /// live one lacked events then.
    pub equal: Option<bool>,
    /// What was compared.
    pub tables: Vec<Compared>,
    /// What differed, in words.
    pub differences: Vec<String>,
    /// The position at which they were compared: everything on the bus up to and with it was in both, or put aside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<i64>,
}

impl Outcome {
    /// The rebuild as it was when it was asked for.
    pub(crate) fn as_wanted(&self) -> Rebuild {
        Rebuild {
            id: self.id,
            cause: self.cause,
            phase: Phase::Wanted,
            started_at: self.started_at,
            events: 0,
            total: None,
            error: None,
            cursors: BTreeMap::new(),
        }
    }
}

/// How a projection stands.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The generation that is read.
    pub live: i16,
    /// The rebuild that is wanted or under way.
    pub rebuild: Option<Rebuild>,
    /// What came of the last one.
    pub outcome: Option<Outcome>,
}

/// Who works on which rebuild: whatever is written for it is written under these.
#[derive(Debug, Clone, Copy)]
pub struct Work {
    /// The rebuild.
    pub rebuild: Uuid,
    /// Who works.
    pub member: Uuid,
    /// How long others keep away when nothing more is heard of the member.
    pub lease: Duration,
}

/// A piece of a history that is applied in one go.
#[derive(Debug)]
pub struct Piece<'a> {
    /// Whose, such as `/orders`.
    pub owner: &'a str,
    /// The events that the projection wants of it.
    pub items: &'a [&'a HistoryItem],
    /// How many events were read for it.
    pub events: i64,
    /// Where the history was read to with it.
    pub cursor: Cursor,
}

/// Why building a generation cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Another member or another rebuild has taken its place.
    #[error("the rebuild was taken over")]
    Lost,
    /// The store is away, or refuses an event.
    #[error(transparent)]
    Apply(#[from] ApplyError),
}

impl From<StoreError> for BuildError {
    fn from(error: StoreError) -> Self {
        Self::Apply(error.into())
    }
}

impl From<sqlx::Error> for BuildError {
    fn from(error: sqlx::Error) -> Self {
        Self::Apply(error.into())
    }
}

/// The two generations of a projection in some store. [`PostgresProjection`] is the one in PostgreSQL; other stores implement
/// [`ProjectionStore`], and [`StoredProjection`] makes this of it.
#[async_trait]
pub trait Generations: Send + Sync {
    /// How it stands.
    async fn standing(&self) -> Result<Standing, ApplyError>;

    /// The content of the live generation, table by table, in one order and with one digest wherever the projection is kept. Of
    /// one moment, if nothing is applied meanwhile.
    async fn content(&self) -> Result<Vec<Digest>, ApplyError>;

    /// Notes that a rebuild is wanted; gives the id of that one, or of the one that is wanted or under way already.
    async fn want(&self) -> Result<Uuid, ApplyError>;

    /// Takes the rebuild for a member, or takes it once more; `None` when there is none or another member is at it.
    async fn take(&self, member: Uuid, lease: Duration) -> Result<Option<Rebuild>, ApplyError>;

    /// Voids what is wanted or under way and makes another rebuild in its place, for the bus and for this member.
    async fn replace(&self, member: Uuid, lease: Duration) -> Result<Work, ApplyError>;

    /// Keeps others away for another lease.
    async fn renew(&self, work: &Work) -> Result<(), BuildError>;

    /// Lets others go on at once.
    async fn release(&self, member: Uuid) -> Result<(), ApplyError>;

    /// Empties the generation that is not live, with all that was claimed for it. When this returns, all events are applied to
    /// both; `owners` are those whose histories will be read.
    async fn begin(&self, work: &Work, owners: &[String]) -> Result<(), BuildError>;

    /// Applies what the generation has not seen, and notes the cursor, in one go.
    async fn fill(&self, work: &Work, piece: &Piece<'_>) -> Result<(), BuildError>;

    /// Which of these events the generation has seen. It keeps all that it has seen until it is live.
    async fn has_seen(&self, work: &Work, events: &[Uuid]) -> Result<Vec<Uuid>, BuildError>;

    /// Compares both in one snapshot; `None` while the live one lacks events that the other one has and that were written down
    /// within [`PUBLISHED_WITHIN`]. Older ones are a difference. Those in `refused` were put aside as dead letters (and may have
    /// been replayed since) and are not waited for.
    async fn compare(&self, work: &Work, refused: &[Uuid]) -> Result<Option<Comparison>, BuildError>;

    /// Makes the generation the live one; `comparison` is what became of it, if it was compared. Whoever died in the middle of this
    /// is followed by another member, to whom [`Generations::compare`] gives the same comparison.
    async fn switch(&self, work: &Work, comparison: Option<&Comparison>) -> Result<Outcome, BuildError>;
}
