//! Where sessions are kept, and the failed logins.
//!
//! # Adding an adapter
//!
//! 1. Write `store/<name>.rs` with a type that implements [`SessionStore`]. The verbs are what the service does, so an
//!    adapter is free in its layout: a row a session ([`postgres`]), or a hash and a few scripts ([`redis`]). Its errors
//!    become [`StoreError`]s, whose causes may be of any client. What its server cannot promise it lists in
//!    [`SessionStore::lacks`].
//! 2. Let [`open_side`] make it for its URL scheme: one more arm;
//!    [`StoreSetting`](emporium_service_kit::StoreSetting) has the URL and the errors for it. What moves it to another store
//!    and back is in `store/<name>/records.rs`; `store/record.rs` says what a record is.
//! 3. Add one line to the end of `store/contract.rs`, and one to that of `store/contract/outages.rs`: the whole suite,
//!    model-based test included, then runs against it.
//!
//! What every adapter has to keep, and the suite checks:
//!
//! - **Each verb is atomic**, also between several instances of the service.
//! - **Time is a parameter.** A session whose `expires_at` is not after `now` does not exist, whether it was removed already
//!   or not. A store's own expiry may take the place of [`SessionStore::reap`], but does not replace that comparison: its
//!   clock is another one.
//! - **Look-ups mostly read**: they write only when [`crate::model::slid`] says so, and never bring back an ended session.
//! - **A marker counts only where it was taken.** Two stores number revocations each in their own way, so a login that took
//!   its marker in one and would begin in another, to which the data was moved meanwhile, is verified anew ([`Opening`]).
//! - **Acknowledged means durable**: no unlogged tables. Where the server's settings promise less, the adapter says so by
//!   [`SessionStore::lacks`], which the service logs at its start and shows in its report.
//! - **News is remembered for a lifetime.** The version of a user's newest news counts for as long as a session may live
//!   after it was noted; older news does not come here ([`crate::config::Config::lifetime_s`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use emporium_moving::postgres::PostgresMoving;
use emporium_moving::redis::RedisMoving;
use emporium_moving::register::{Journal, Register};
use emporium_moving::{Copied, Moving, Side};
use emporium_service_kit::redis::REDIS;
use emporium_service_kit::report::{Opened, Server};
use emporium_service_kit::store::POSTGRES;
use emporium_service_kit::stores::SESSIONS_STORE;
use emporium_service_kit::{Environment, Lack, StartError, StoreError};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::config::{Sliding, Throttle};
use crate::model::{Session, slid};
use crate::token::{Hash, TokenHash};

mod capability;
#[cfg(test)]
mod contract;
mod gated;
pub mod postgres;
mod record;
pub mod redis;

pub use capability::Capability;

/// What the keys of a store begin with that others may share.
const NAMESPACE: &str = "sessions";
/// Users that [`SessionStore::standings`] is asked of at once.
pub const STANDINGS_MAX: usize = 500;
/// How long an attempt counts whose outcome never came, because its process or its caller went away. Longer than a
/// request may take.
pub const PENDING_MAX: Duration = Duration::seconds(45);

/// One opening of a store by this process; no two are alike, even of the same store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Opening(u64);

impl Opening {
    /// For a store that was opened just now.
    pub fn new() -> Self {
        static OPENED: AtomicU64 = AtomicU64::new(0);
        Self(OPENED.fetch_add(1, Ordering::Relaxed))
    }
}

impl Default for Opening {
    fn default() -> Self {
        Self::new()
    }
}

/// How many revocations (blocks, and log-outs everywhere) there were at some moment, as the store counts them in which it was
/// taken; grows there, and says nothing anywhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Marker {
    of: Opening,
    number: i64,
}

impl Marker {
    /// A number of the store that was opened so.
    pub fn new(of: Opening, number: i64) -> Self {
        Self { of, number }
    }

    /// The number, for the store that gave it; `None` for any other.
    pub fn number(self, of: Opening) -> Option<i64> {
        (self.of == of).then_some(self.number)
    }
}

/// How long things count, for what moves them: they are not moved any longer than that.
#[derive(Debug, Clone, Copy)]
pub struct Spans {
    /// No session lives longer.
    pub lifetime: Duration,
    /// Failed logins count so long.
    pub window: Duration,
}

/// An attempt to log in that may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// When it was admitted.
    pub at: OffsetDateTime,
    /// The revocations before it. With `at` it identifies the attempt among those of the same address; an adapter may give
    /// several the same, and need not tell them apart.
    pub marker: Marker,
}

/// Whether an attempt may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It may; [`SessionStore::settle`] has to follow.
    Granted(Attempt),
    /// That depends on attempts under way: ask again in a moment.
    Busy,
    /// Too many have failed.
    Refused {
        /// When the next one may be made.
        until: OffsetDateTime,
    },
}

/// Whether a session has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// It has.
    Yes,
    /// It has not: the user was blocked, or logged out everywhere, since the marker was taken; or may have been, because the
    /// marker is another store's.
    RevokedMeanwhile,
}

/// A session whose expiry was moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slid {
    /// Where to; further than asked for when somebody else was faster.
    pub expires_at: OffsetDateTime,
    /// Whether its user is blocked.
    pub blocked: bool,
}

/// Whether a user is blocked, as an event told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Who.
    pub user_id: Uuid,
    /// The user's version that the event tells of; positive. 0 where no event has told anything.
    pub version: i64,
    /// True when blocked.
    pub blocked: bool,
}

/// What is noted of a user, and wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Correction {
    /// What was found; its version is positive.
    pub found: Standing,
    /// What is right, of the same user.
    pub right: Standing,
}

/// A store of sessions; the module's documentation says what an adapter has to keep.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Lets an attempt to log in begin, unless failures within the window and attempts under way reach the maximum. The
    /// check and the note of the attempt are one step, so that many guesses at once cannot slip through together.
    async fn admit(
        &self,
        email: Hash,
        now: OffsetDateTime,
        throttle: &Throttle,
    ) -> Result<Admission, StoreError>;

    /// Ends an attempt: one that `failed` counts within the window from `now` on, others do not count any more.
    async fn settle(
        &self,
        email: Hash,
        attempt: Attempt,
        failed: bool,
        now: OffsetDateTime,
        throttle: &Throttle,
    ) -> Result<(), StoreError>;

    /// Begins a session, which is not marked, unless the user was blocked or logged out everywhere after `marker` was taken.
    /// At most `per_user_max` sessions
    /// of the user are left that have not expired: those that began first end.
    async fn begin(&self, session: &Session, marker: Marker, per_user_max: u32) -> Result<Begun, StoreError>;

    /// The session with that token, marked or not; `None` when there is none or it has expired.
    async fn find(&self, token: TokenHash, now: OffsetDateTime) -> Result<Option<Session>, StoreError>;

    /// Moves a session's expiry to `target`, never back; gives expiry and mark as they are then, `None` when there is no such
    /// session any more.
    async fn slide(
        &self,
        token: TokenHash,
        now: OffsetDateTime,
        target: OffsetDateTime,
    ) -> Result<Option<Slid>, StoreError>;

    /// The session with that token, marked or not, its expiry moved if that is due; `None` when there is none or it has
    /// expired.
    async fn look_up(
        &self,
        token: TokenHash,
        now: OffsetDateTime,
        sliding: Sliding,
    ) -> Result<Option<Session>, StoreError> {
        sliding_look_up(self, token, now, sliding).await
    }

    /// Ends the session with that token, if there is one.
    async fn end(&self, token: TokenHash) -> Result<(), StoreError>;

    /// Ends all sessions of these users, those that begin with an older marker included; gives how many there were.
    async fn end_all(&self, user_ids: &[Uuid]) -> Result<u64, StoreError>;

    /// Marks all sessions of these users as blocked, or takes the mark off; gives how many it changed. Of each user only the
    /// newest version counts, and only when it is newer than every one that came before: what comes late or again changes
    /// nothing. A block that counts is a revocation too: no session of the user begins with an older marker. Users without
    /// sessions are noted as well, since their logins may be under way. Atomic a user; several users may become so one after
    /// the other.
    async fn set_blocked(&self, standings: &[Standing]) -> Result<u64, StoreError>;

    /// What is noted of these users, who are not more than [`STANDINGS_MAX`]: one of each, in their order; version 0 where nothing
    /// is, or where it is forgotten.
    async fn standings(&self, user_ids: &[Uuid]) -> Result<Vec<Standing>, StoreError>;

    /// Corrects what is noted of these users, each at most once, as long as it is what was found: news that comes meanwhile stays.
    /// Sessions are marked, or not any more, and logins under way end, as by news. Gives how many users it corrected. Atomic a
    /// user.
    async fn correct(&self, corrections: &[Correction]) -> Result<u64, StoreError>;

    /// The one note that the store keeps for whoever compares it with the users' history; any text.
    async fn note(&self) -> Result<Option<String>, StoreError>;

    /// Puts a note in the place of `before`; false, and nothing is done, when that is not there. No two notes may be alike.
    async fn swap_note(&self, before: Option<&str>, after: &str) -> Result<bool, StoreError>;

    /// Removes expired sessions and attempts, at most `max` of each, and gives how many. It may leave the youngest of them
    /// for another hour. A store that forgets by itself has nothing to do here.
    async fn reap(&self, now: OffsetDateTime, max: u32) -> Result<u64, StoreError>;

    /// Fails when the store does not answer.
    async fn ping(&self) -> Result<(), StoreError>;

    /// What this store cannot promise, as its server was set up when it was opened.
    fn lacks(&self) -> &[Capability];
}

/// Finds a session, and slides it if that is due.
async fn sliding_look_up<S: SessionStore + ?Sized>(
    store: &S,
    token: TokenHash,
    now: OffsetDateTime,
    sliding: Sliding,
) -> Result<Option<Session>, StoreError> {
    let Some(mut session) = store.find(token, now).await? else {
        return Ok(None);
    };
    if let Some(target) = slid(session.expires_at, session.ends_at, now, sliding) {
        // Nothing when it was ended since the reading above. It may also have been marked since.
        let Some(moved) = store.slide(token, now, target).await? else {
            return Ok(None);
        };
        (session.expires_at, session.blocked) = (moved.expires_at, moved.blocked);
    }
    Ok(Some(session))
}

/// Opens the store that the settings name, or the service's own database when they name none, with what moves it to another
/// one.
pub async fn open(environment: &Environment, spans: Spans) -> Result<Moving<dyn SessionStore>, StartError> {
    Moving::open(environment, SESSIONS_STORE, move |environment| {
        open_side(environment, spans)
    })
    .await
}

/// The store behind the gate of a move.
pub fn gated(moving: &Moving<dyn SessionStore>) -> Arc<dyn SessionStore> {
    Arc::new(gated::GatedSessions(moving.gate()))
}

/// Opens the store that the environment's setting names. The URL's scheme picks the adapter.
pub async fn open_side(environment: Environment, spans: Spans) -> Result<Side<dyn SessionStore>, StartError> {
    let setting = environment.stores.setting(SESSIONS_STORE);
    let clock = environment.clock.clone();
    match setting.scheme().as_str() {
        POSTGRES => {
            let db = setting.postgres(&environment).await?;
            let not_migrated = |error| setting.not_migrated(&environment, error);
            let store = postgres::PostgresSessions::open(db.clone()).await;
            let opened = opened(Arc::new(store.map_err(not_migrated)?), db.clone());
            let moves = PostgresMoving::open(db.clone(), environment.service).await;
            let moves = Arc::new(moves.map_err(not_migrated)?);
            let records = Arc::new(postgres::PostgresRecords::new(db, clock, spans));
            Ok(side(opened, setting.address(), records, moves))
        }
        REDIS => {
            let redis = setting.redis(&environment).await?;
            let store = redis::RedisSessions::open(redis.clone(), NAMESPACE, spans.lifetime).await;
            let store = Arc::new(store.map_err(|error| setting.failed(&environment, error))?);
            let moves = Arc::new(RedisMoving::new(redis.clone(), NAMESPACE));
            let records = Arc::new(redis::RedisRecords::new(store.clone(), clock, spans));
            Ok(side(opened(store, redis), setting.address(), records, moves))
        }
        _ => Err(setting.unknown_scheme(&[POSTGRES, REDIS])),
    }
}

/// Everything that the store keeps is copied: nobody else has it.
fn side(
    opened: Opened<dyn SessionStore>,
    address: String,
    records: Arc<dyn Copied>,
    moves: Arc<impl Register + Journal + 'static>,
) -> Side<dyn SessionStore> {
    Side::of(opened, address, moves.clone()).copying(records, moves)
}

fn opened(
    store: Arc<impl SessionStore + 'static>,
    server: impl Server + 'static,
) -> Opened<dyn SessionStore> {
    let lacks: Vec<Lack> = store.lacks().iter().map(|lack| lack.lack()).collect();
    Opened::new(store, server, SESSIONS_STORE, lacks)
}
