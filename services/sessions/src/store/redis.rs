//! Sessions in Redis or Valkey: a hash a session, found by its token's hash, with a time to live of its own. Works on one
//! server and on a Redis Cluster alike.
//!
//! # Keys
//!
//! `<p>` is the user's [`Partition`], as four hexadecimal digits; the braces make it the hash tag, so all keys of a user are
//! in one slot, and a script changes them as one. The token says the partition, so a look-up finds the slot without the user.
//! Times are microseconds since the Unix epoch; each key is forgotten a minute after its time (`SKEW`).
//!
//! | key | type | holds | forgotten at |
//! |---|---|---|---|
//! | `sessions:{<p>}:session:<hash of the token>` | hash | user, role, login, expiry, end, mark | the session's expiry |
//! | `sessions:{<p>}:logins:<user>` | sorted set | hashes of the tokens, by login | the last session's end |
//! | `sessions:{<p>}:account:<user>` | hash | stamp of the last revocation; version and mark of the last news | a lifetime and a day after the last news |
//! | `sessions:{<hash of the address>}:failures` | sorted set | failed logins, by time | the window's end |
//! | `sessions:{<hash of the address>}:attempts` | sorted set | logins under way, by time | 45 s after the last one |
//! | `sessions:stamp` | string | the last stamp | never |
//! | `sessions:rebuild` | string | how comparing blocks with the users' history stands | never |
//!
//! # Round trips
//!
//! A look-up is one `HMGET`; once a step (a minute) and session, a script then slides the expiry. Ending a session is one
//! `DEL`: the entry in `logins` stays, and goes when the set is full or forgotten. Every other verb is one script, and
//! admissions and revocations take a stamp before. No verb reads more than the sessions of one user, of which there are at
//! most `per_user_max`.
//!
//! # Logins and revocations that race
//!
//! A block, or a log-out everywhere, and a login meet in two slots: that of the stamps, and that of the user. No session may
//! be left that was verified before the revocation.
//!
//! 1. A login takes a stamp *m*, then has the password verified, then runs `begin.lua` in the user's slot. A revocation takes
//!    a stamp *n*, then runs `end_all.lua` or `set_blocked.lua` in the user's slot, which keeps the greatest *n* in the
//!    account and treats every session that is there. Stamps grow (`stamp.lua`), and scripts of one slot run one by one.
//! 2. Say the revocation began after the login had its stamp: *m* < *n*. If its script runs first, `begin.lua` finds *n* > *m*
//!    and refuses. If `begin.lua` runs first, the revocation's script finds the session. Either way none is left.
//! 3. Say it began before: *n* < *m*. Then the verification came after it. A block had been decided by the users service
//!    before its event came here, so the verification knew of it: either the login was refused, or the user has been unblocked
//!    since, and if the block's script still finds the session, the unblocking's takes the mark off. A log-out everywhere that
//!    comes second ends the new session too, which is as if it had come second altogether.
//! 4. `begin.lua` refuses stamps that are older than an hour, and accounts are kept for longer than that: a
//!    process that slept between verification and beginning cannot miss a revocation that was forgotten.
//! 5. Stamps grow also when the last one is lost: they follow the server's clock. They grow also when that clock is set back:
//!    the last one is kept. Only both at once, within one login, could let a session through.
//!
//! # Doubt
//!
//! The kit sends a call once more when the connection was lost, so each script may run twice; each says why that does no
//! harm. A revocation of several users is atomic a user; one that failed in the middle is repeated by the caller.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use emporium_service_kit::redis::{Invocation, Promise};
use emporium_service_kit::{Redis, StoreError};
use futures::{StreamExt, TryStreamExt, stream};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{
    Admission, Attempt, Begun, Capability, Correction, Marker, Opening, PENDING_MAX, SessionStore, Slid,
    Standing,
};
use crate::config::Throttle;
use crate::model::Session;
use crate::token::{Hash, Partition, TokenHash};
use keys::Keys;
use row::{FIELDS, Found, from_micros, micros, role_name};
use scripts::{ADMIT, BEGIN, CORRECT, END_ALL, NOTE, SET_BLOCKED, SETTLE, SLIDE, STAMP};

mod keys;
mod records;
mod row;
mod scripts;

pub(super) use records::RedisRecords;

/// How far the clocks of a service and of its Redis may be apart: keys live so much longer than what they hold, and whether
/// that still counts is decided by the service's clock alone.
const SKEW: Duration = Duration::minutes(1);
/// How old a login's stamp may be. A login takes seconds.
const STAMP_AGE_MAX: Duration = Duration::hours(1);
/// How much longer than a lifetime news of a user is remembered; also how long a revocation is at least.
const REMEMBERED_LONGER: Duration = Duration::days(1);
const _: () = assert!(REMEMBERED_LONGER.whole_hours() > STAMP_AGE_MAX.whole_hours());
/// Users of one call that are served at the same time.
const USERS_AT_ONCE: usize = 16;

/// The Redis adapter.
#[derive(Debug)]
pub struct RedisSessions {
    redis: Redis,
    keys: Keys,
    opening: Opening,
    /// How long news of a user is remembered.
    remembered: Duration,
    lacks: Vec<Capability>,
}

impl RedisSessions {
    /// Asks the server what it can promise. Keys begin with `namespace`; no session may live longer than `lifetime`.
    pub async fn open(redis: Redis, namespace: &str, lifetime: Duration) -> Result<Self, StoreError> {
        let lacks = redis.promises().await?.lacking().map(capability).collect();
        Ok(Self {
            redis,
            keys: Keys::new(namespace),
            opening: Opening::new(),
            remembered: lifetime + REMEMBERED_LONGER,
            lacks,
        })
    }

    async fn stamp(&self) -> Result<i64, StoreError> {
        self.redis
            .run(&Invocation::of(&STAMP).key(self.keys.stamp()))
            .await
    }

    async fn admit_as(
        &self,
        stamp: i64,
        email: Hash,
        now: OffsetDateTime,
        throttle: &Throttle,
    ) -> Result<Admission, StoreError> {
        let run = Invocation::of(&ADMIT)
            .key(self.keys.failures(email))
            .key(self.keys.attempts(email))
            .arg(stamp)
            .arg(micros(now))
            .arg(micros(now - throttle.window))
            .arg(micros(now - PENDING_MAX))
            .arg(throttle.failures_max)
            .arg(forgotten_at(now + PENDING_MAX));
        let (outcome, deciding): (i64, i64) = self.redis.run(&run).await?;
        Ok(match (outcome, from_micros(deciding)) {
            (1, _) => Admission::Granted(Attempt {
                at: now,
                marker: Marker::new(self.opening, stamp),
            }),
            (2, Some(failure)) => Admission::Refused {
                until: failure + throttle.window,
            },
            _ => Admission::Busy,
        })
    }

    /// Runs one script for each of these users, some at a time, and adds up what they give.
    async fn each_user<'a, T>(
        &self,
        users: impl IntoIterator<Item = T>,
        script: impl Fn(T) -> Invocation<'a>,
    ) -> Result<u64, StoreError> {
        stream::iter(users)
            .map(|user| {
                let run = script(user);
                async move { self.redis.run::<u64>(&run).await }
            })
            .buffer_unordered(USERS_AT_ONCE)
            .try_fold(0, |sum, count| async move { Ok(sum + count) })
            .await
    }

    /// Account and sessions of a user, and what precedes the key of a session.
    fn of_user<'a>(&self, run: Invocation<'a>, user_id: Uuid) -> Invocation<'a> {
        run.key(self.keys.account(user_id)).key(self.keys.logins(user_id))
    }
}

#[async_trait]
impl SessionStore for RedisSessions {
    async fn admit(
        &self,
        email: Hash,
        now: OffsetDateTime,
        throttle: &Throttle,
    ) -> Result<Admission, StoreError> {
        // First, so that nothing is noted of an attempt that gets none.
        let stamp = self.stamp().await?;
        self.admit_as(stamp, email, now, throttle).await
    }

    async fn settle(
        &self,
        email: Hash,
        attempt: Attempt,
        failed: bool,
        now: OffsetDateTime,
        throttle: &Throttle,
    ) -> Result<(), StoreError> {
        // One that was admitted by another store came here under another name, and is found by its time.
        let (name, admitted_at) = match attempt.marker.number(self.opening) {
            Some(stamp) => (stamp.to_string(), String::new()),
            None => (Uuid::new_v4().to_string(), micros(attempt.at).to_string()),
        };
        let run = Invocation::of(&SETTLE)
            .key(self.keys.failures(email))
            .key(self.keys.attempts(email))
            .arg(name)
            .arg(i64::from(failed))
            .arg(micros(now))
            .arg(throttle.failures_max)
            .arg(forgotten_at(now + throttle.window))
            .arg(admitted_at);
        self.redis.run(&run).await
    }

    async fn begin(&self, session: &Session, marker: Marker, per_user_max: u32) -> Result<Begun, StoreError> {
        let Some(stamp) = marker.number(self.opening) else {
            return Ok(Begun::RevokedMeanwhile);
        };
        let run = Invocation::of(&BEGIN).key(self.keys.session(session.token));
        let run = self
            .of_user(run, session.user_id)
            .arg(stamp)
            .arg(i64::try_from(STAMP_AGE_MAX.whole_microseconds()).unwrap_or(i64::MAX))
            .arg(keys::text(session.token.hash))
            .arg(self.keys.session_prefix(session.token.partition))
            .arg(session.user_id.hyphenated().to_string())
            .arg(role_name(session.role))
            .arg(micros(session.began_at))
            .arg(micros(session.expires_at))
            .arg(micros(session.ends_at))
            .arg(per_user_max.saturating_sub(1))
            .arg(forgotten_at(session.expires_at))
            .arg(forgotten_at(session.ends_at));
        let begun: bool = self.redis.run(&run).await?;
        Ok(if begun {
            Begun::Yes
        } else {
            Begun::RevokedMeanwhile
        })
    }

    async fn find(&self, token: TokenHash, now: OffsetDateTime) -> Result<Option<Session>, StoreError> {
        let mut fields = redis::cmd("HMGET");
        fields.arg(self.keys.session(token)).arg(&FIELDS);
        let Found(found) = self.redis.command("HMGET", &fields).await?;
        let session = found.map(|row| row.session(token));
        Ok(session.filter(|session| session.expires_at > now))
    }

    async fn slide(
        &self,
        token: TokenHash,
        now: OffsetDateTime,
        target: OffsetDateTime,
    ) -> Result<Option<Slid>, StoreError> {
        let run = Invocation::of(&SLIDE)
            .key(self.keys.session(token))
            .arg(micros(now))
            .arg(micros(target))
            .arg(forgotten_at(target));
        let moved: Option<(i64, Option<u8>)> = self.redis.run(&run).await?;
        Ok(moved.map(|(expires_at, mark)| Slid {
            expires_at: from_micros(expires_at).unwrap_or(target),
            blocked: mark.is_some(),
        }))
    }

    async fn end(&self, token: TokenHash) -> Result<(), StoreError> {
        let mut command = redis::cmd("DEL");
        command.arg(self.keys.session(token));
        self.redis.command("DEL", &command).await
    }

    async fn end_all(&self, user_ids: &[Uuid]) -> Result<u64, StoreError> {
        let users: BTreeSet<Uuid> = user_ids.iter().copied().collect();
        if users.is_empty() {
            return Ok(0);
        }
        // One for all of them: it has to be greater than those of the logins before, no more.
        let stamp = self.stamp().await?;
        self.each_user(users, |user| {
            self.of_user(Invocation::of(&END_ALL), user)
                .arg(stamp)
                .arg(self.keys.session_prefix(Partition::of(user)))
                .arg(millis(REMEMBERED_LONGER))
        })
        .await
    }

    async fn set_blocked(&self, standings: &[Standing]) -> Result<u64, StoreError> {
        let mut newest: BTreeMap<Uuid, Standing> = BTreeMap::new();
        for told in standings {
            let known = newest.entry(told.user_id).or_insert(*told);
            if known.version < told.version {
                *known = *told;
            }
        }
        let stamp = if newest.values().any(|told| told.blocked) {
            self.stamp().await?
        } else {
            0
        };
        self.each_user(newest.into_values(), |told| {
            self.of_user(Invocation::of(&SET_BLOCKED), told.user_id)
                .arg(told.version)
                .arg(i64::from(told.blocked))
                .arg(stamp)
                .arg(self.keys.session_prefix(Partition::of(told.user_id)))
                .arg(millis(self.remembered))
        })
        .await
    }

    async fn standings(&self, user_ids: &[Uuid]) -> Result<Vec<Standing>, StoreError> {
        stream::iter(user_ids.iter().copied())
            .map(|user_id| async move {
                let mut fields = redis::cmd("HMGET");
                fields
                    .arg(self.keys.account(user_id))
                    .arg(&["version", "blocked"]);
                let (version, blocked): (Option<i64>, Option<u8>) =
                    self.redis.command("HMGET", &fields).await?;
                Ok(Standing {
                    user_id,
                    version: version.unwrap_or(0),
                    blocked: blocked == Some(1),
                })
            })
            .buffered(USERS_AT_ONCE)
            .try_collect()
            .await
    }

    async fn correct(&self, corrections: &[Correction]) -> Result<u64, StoreError> {
        if corrections.is_empty() {
            return Ok(0);
        }
        let stamp = self.stamp().await?;
        self.each_user(corrections.iter().copied(), |wrong| {
            let user_id = wrong.found.user_id;
            self.of_user(Invocation::of(&CORRECT), user_id)
                .arg(wrong.found.version)
                .arg(i64::from(wrong.found.blocked))
                .arg(wrong.right.version)
                .arg(i64::from(wrong.right.blocked))
                .arg(stamp)
                .arg(self.keys.session_prefix(Partition::of(user_id)))
                .arg(millis(self.remembered))
        })
        .await
    }

    async fn note(&self) -> Result<Option<String>, StoreError> {
        let mut command = redis::cmd("GET");
        command.arg(self.keys.note());
        self.redis.command("GET", &command).await
    }

    async fn swap_note(&self, before: Option<&str>, after: &str) -> Result<bool, StoreError> {
        let run = Invocation::of(&NOTE)
            .key(self.keys.note())
            .arg(before.unwrap_or_default().to_owned())
            .arg(after.to_owned());
        self.redis.run(&run).await
    }

    /// Nothing to do: every key is forgotten by itself.
    async fn reap(&self, _: OffsetDateTime, _: u32) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.redis.ping().await
    }

    fn lacks(&self) -> &[Capability] {
        &self.lacks
    }
}

/// What sessions lack on a server that does not promise this.
fn capability(promise: Promise) -> Capability {
    match promise {
        Promise::SurvivesRestart => Capability::SurvivesRestart,
        Promise::SurvivesPowerLoss => Capability::SurvivesPowerLoss,
        Promise::SurvivesFailover => Capability::SurvivesFailover,
        Promise::KeepsWhenFull => Capability::KeepsWhenFull,
    }
}

/// When a key may be forgotten whose content counts until `at`, in milliseconds since the Unix epoch.
fn forgotten_at(at: OffsetDateTime) -> i64 {
    micros(at + SKEW) / 1_000
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.whole_milliseconds()).unwrap_or(i64::MAX)
}

#[cfg(test)]
pub(super) mod tests;
