//! Where sessions are kept, and the failed logins.
//!
//! # Adding an adapter
//!
//! 1. Write `store/<name>.rs` with a type that implements [`SessionStore`]. The verbs are what the service does, so an
//!    adapter is free in its layout: on Redis a session would be a hash under its token's hash with a native time to live, a
//!    user's sessions a sorted set by the login's time, an account (number of its last revocation, version) a hash, attempts
//!    a sorted set an address, the marker a counter, and `admit`, `settle`, `begin`, `end_all` and `set_blocked` (a user) one
//!    Lua script each. Its errors become [`StoreError`]s, whose causes may be of any
//!    client.
//! 2. Let [`open`] make it for its URL scheme: one more arm; [`StoreSetting`] has the URL and the errors for it.
//! 3. Add one line to the end of `store/contract.rs`: the whole suite, model-based test included, then runs against it.
//!
//! What every adapter has to keep, and the suite checks:
//!
//! - **Each verb is atomic**, also between several instances of the service.
//! - **Time is a parameter.** A session whose `expires_at` is not after `now` does not exist, whether it was removed already
//!   or not. A store's own expiry may take the place of [`SessionStore::reap`], but does not replace that comparison: its
//!   clock is another one.
//! - **Look-ups mostly read**: they write only when [`crate::model::slid`] says so, and never bring back an ended session.
//! - **Acknowledged means durable**: no unlogged tables; on Redis, `appendfsync always`, or a documented window of loss.

use std::sync::Arc;

use async_trait::async_trait;
use emporium_service_kit::store::POSTGRES;
use emporium_service_kit::{Environment, StartError, StoreError, StoreSetting};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::config::{Sliding, Throttle};
use crate::model::Session;
use crate::token::Hash;

#[cfg(test)]
mod contract;
mod postgres;

const SETTING: &str = "EMPORIUM_SESSIONS_STORE";
/// How long an attempt counts whose outcome never came, because its process or its caller went away. Longer than a
/// request may take.
pub const PENDING_MAX: Duration = Duration::seconds(45);

/// How many revocations (blocks, and log-outs everywhere) there were at some moment; grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Marker(pub i64);

/// An attempt to log in that may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// When it was admitted; identifies it among those of the same address.
    pub at: OffsetDateTime,
    /// The revocations before it.
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
    /// It has not: the user was blocked, or logged out everywhere, since the marker was taken.
    RevokedMeanwhile,
}

/// Whether a user is blocked, as an event told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Who.
    pub user_id: Uuid,
    /// The user's version that the event tells of; positive.
    pub version: i64,
    /// True when blocked.
    pub blocked: bool,
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

    /// The session with that token, marked or not, its expiry moved if that is due; `None` when there is none or it has
    /// expired.
    async fn look_up(
        &self,
        token: Hash,
        now: OffsetDateTime,
        sliding: Sliding,
    ) -> Result<Option<Session>, StoreError>;

    /// Ends the session with that token, if there is one.
    async fn end(&self, token: Hash) -> Result<(), StoreError>;

    /// Ends all sessions of these users, those that begin with an older marker included; gives how many there were.
    async fn end_all(&self, user_ids: &[Uuid]) -> Result<u64, StoreError>;

    /// Marks all sessions of these users as blocked, or takes the mark off; gives how many it changed. Of each user only the
    /// newest version counts, and only when it is newer than every one that came before: what comes late or again changes
    /// nothing. A block that counts is a revocation too: no session of the user begins with an older marker. Users without
    /// sessions are noted as well, since their logins may be under way. Atomic a user; several users may become so one after
    /// the other.
    async fn set_blocked(&self, standings: &[Standing]) -> Result<u64, StoreError>;

    /// Removes expired sessions and attempts, at most `max` of each, and gives how many. It may leave the youngest of them
    /// for another hour. A store that forgets by itself has nothing to do here.
    async fn reap(&self, now: OffsetDateTime, max: u32) -> Result<u64, StoreError>;

    /// Fails when the store does not answer.
    async fn ping(&self) -> Result<(), StoreError>;
}

/// Opens the store that `url` names, or the service's own database when there is none. The scheme picks the adapter.
pub async fn open(url: Option<&str>, environment: &Environment) -> Result<Arc<dyn SessionStore>, StartError> {
    let setting = StoreSetting::new(SETTING, url);
    match setting.scheme().as_str() {
        POSTGRES => {
            let opened = postgres::PostgresSessions::open(setting.postgres(environment)?).await;
            let store = opened.map_err(|error| setting.not_migrated(environment, error))?;
            Ok(Arc::new(store))
        }
        _ => Err(setting.unknown_scheme(&[POSTGRES])),
    }
}
