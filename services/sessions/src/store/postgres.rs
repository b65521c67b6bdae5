//! Sessions in PostgreSQL: a row a session, found by the primary key. Logged tables: unlogged ones are emptied after a crash
//! of PostgreSQL, which would log everybody out and forget who may not log in.

use async_trait::async_trait;
use emporium_service_kit::{Db, StoreError};
use sqlx::FromRow;
use sqlx::migrate::{MigrateError, Migrator};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    Admission, Attempt, Begun, Capability, Correction, Marker, Opening, PENDING_MAX, SessionStore, Slid,
    Standing,
};
use crate::config::Throttle;
use crate::model::{Role, Session};
use crate::token::{Hash, TokenHash};

mod news;
mod records;

pub(super) use records::PostgresRecords;

static MIGRATIONS: Migrator = sqlx::migrate!();

/// The PostgreSQL adapter.
pub struct PostgresSessions {
    db: Db,
    opening: Opening,
}

#[derive(FromRow)]
struct Row {
    user_id: Uuid,
    role: Role,
    began_at: OffsetDateTime,
    expires_at: OffsetDateTime,
    ends_at: OffsetDateTime,
    blocked: bool,
}

/// The row's lock makes check and note one step. `$3`: failures count from here; `$4`: pending attempts count from here.
const ADMIT: &str = "
    INSERT INTO sessions_attempt AS a (email_hash, failed_at, pending_at, expires_at)
    VALUES ($1, '{}', ARRAY[$2::timestamptz], $5)
    ON CONFLICT (email_hash) DO UPDATE SET
        failed_at = ARRAY(SELECT at FROM unnest(a.failed_at) AS at WHERE at > $3 ORDER BY at),
        pending_at = ARRAY(SELECT at FROM unnest(a.pending_at) AS at WHERE at > $4 ORDER BY at) || $2::timestamptz,
        expires_at = greatest(a.expires_at, excluded.expires_at)
    WHERE (SELECT count(*) FROM unnest(a.failed_at) AS at WHERE at > $3)
        + (SELECT count(*) FROM unnest(a.pending_at) AS at WHERE at > $4) < $6
    RETURNING (SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM sessions_revocation)";

/// Takes one pending attempt of that time out, not all of them.
const SETTLE: &str = "
    UPDATE sessions_attempt SET
        pending_at = coalesce(
            pending_at[: array_position(pending_at, $2) - 1] || pending_at[array_position(pending_at, $2) + 1 :],
            pending_at),
        failed_at = CASE WHEN $3 THEN failed_at || $4 ELSE failed_at END,
        expires_at = greatest(expires_at, $5)
    WHERE email_hash = $1";

/// Logins and revocations of one user queue on the account's row, which is read in its newest version under its lock. A
/// login that comes first has committed its session before the revocation deletes or marks; one that comes second sees the
/// revocation's number.
const LOCK_ACCOUNT: &str = "
    INSERT INTO sessions_account AS a (user_id) VALUES ($1)
    ON CONFLICT (user_id) DO UPDATE SET revocation = a.revocation
    RETURNING revocation";

/// A statement of its own, whose snapshot is taken with the account's lock held, so that it sees every session of the user.
/// `$7`: how many of them may stay. They are named by their key, since a use meanwhile moves a row (`ctid`).
const BEGIN: &str = "
    WITH surplus AS (
        DELETE FROM sessions_session WHERE token_hash = ANY (ARRAY(
            SELECT token_hash FROM sessions_session WHERE user_id = $2 AND expires_at > $4
            ORDER BY began_at DESC OFFSET $7))
    )
    INSERT INTO sessions_session (token_hash, user_id, role, began_at, expires_at, ends_at)
    VALUES ($1, $2, $3, $4, $5, $6)";

/// In the order of ids, so that two of them cannot wait for each other.
const NUMBER_REVOCATIONS: &str = "
    INSERT INTO sessions_account AS a (user_id, revocation)
    SELECT user_id, nextval('sessions_revocation')
    FROM (SELECT DISTINCT unnest($1::uuid[]) AS user_id ORDER BY user_id) AS users
    ON CONFLICT (user_id) DO UPDATE SET revocation = greatest(a.revocation, excluded.revocation)";

/// Notes what is newer than what was noted, and gives whom that changes; a block takes a number too. The newest of each user,
/// in the order of ids, as above.
const NOTE_STANDINGS: &str = "
    INSERT INTO sessions_account AS a (user_id, revocation, version, blocked)
    SELECT user_id, CASE WHEN blocked THEN nextval('sessions_revocation') ELSE 0 END, version, blocked
    FROM (SELECT DISTINCT ON (user_id) user_id, version, blocked
        FROM unnest($1::uuid[], $2::bigint[], $3::boolean[]) AS told (user_id, version, blocked)
        ORDER BY user_id, version DESC) AS newest
    ON CONFLICT (user_id) DO UPDATE SET revocation = greatest(a.revocation, excluded.revocation),
        version = excluded.version, blocked = excluded.blocked, forgotten_at = NULL
    WHERE a.version < excluded.version
    RETURNING user_id, blocked";

/// A statement of its own, whose snapshot is taken with the accounts' locks held. Sessions that are marked as they should be
/// are not written.
const MARK_SESSIONS: &str = "
    UPDATE sessions_session AS s SET blocked = told.blocked
    FROM unnest($1::uuid[], $2::boolean[]) AS told (user_id, blocked)
    WHERE s.user_id = told.user_id AND s.blocked <> told.blocked";

/// Whole hours that have passed, so that the index gives only rows to remove. The rows are locked and therefore stay where
/// they are, so their addresses (`ctid`) name them safely, and the deletion needs no join whose plan could become a scan.
const REAP_SESSIONS: &str = "
    DELETE FROM sessions_session WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM sessions_session WHERE expires_hour < date_trunc('hour', $1 AT TIME ZONE 'UTC')
        ORDER BY expires_hour LIMIT $2 FOR UPDATE SKIP LOCKED))";

const REAP_ATTEMPTS: &str = "
    DELETE FROM sessions_attempt WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM sessions_attempt WHERE expires_at <= $1
        ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED))";

impl PostgresSessions {
    /// Brings the tables up to date.
    pub async fn open(db: Db) -> Result<Self, MigrateError> {
        db.migrate(&MIGRATIONS, "sessions").await?;
        Ok(Self {
            db,
            opening: Opening::new(),
        })
    }

    /// Why an attempt was not admitted.
    async fn refusal(
        &self,
        email: Hash,
        now: OffsetDateTime,
        throttle: &Throttle,
    ) -> Result<Admission, StoreError> {
        let failed_at: Option<Vec<OffsetDateTime>> =
            sqlx::query_scalar("SELECT failed_at FROM sessions_attempt WHERE email_hash = $1")
                .bind(email.0)
                .fetch_optional(&self.db)
                .await?;
        let mut counting = failed_at.unwrap_or_default();
        counting.retain(|at| *at > now - throttle.window);
        counting.sort();
        // The next attempt may be made when less than the maximum count, so when this one does no more.
        let deciding = counting.iter().rev().nth(usize::from(throttle.failures_max) - 1);
        Ok(deciding.map_or(Admission::Busy, |at| Admission::Refused {
            until: *at + throttle.window,
        }))
    }
}

#[async_trait]
impl SessionStore for PostgresSessions {
    async fn admit(
        &self,
        email: Hash,
        now: OffsetDateTime,
        throttle: &Throttle,
    ) -> Result<Admission, StoreError> {
        let marker: Option<i64> = sqlx::query_scalar(ADMIT)
            .bind(email.0)
            .bind(now)
            .bind(now - throttle.window)
            .bind(now - PENDING_MAX)
            .bind(now + PENDING_MAX)
            .bind(i64::from(throttle.failures_max))
            .fetch_optional(&self.db)
            .await?;
        match marker {
            Some(marker) => Ok(Admission::Granted(Attempt {
                at: now,
                marker: Marker::new(self.opening, marker),
            })),
            None => self.refusal(email, now, throttle).await,
        }
    }

    async fn settle(
        &self,
        email: Hash,
        attempt: Attempt,
        failed: bool,
        now: OffsetDateTime,
        throttle: &Throttle,
    ) -> Result<(), StoreError> {
        let kept_until = if failed { now + throttle.window } else { now };
        sqlx::query(SETTLE)
            .bind(email.0)
            .bind(attempt.at)
            .bind(failed)
            .bind(now)
            .bind(kept_until)
            .execute(&self.db)
            .await?;
        Ok(())
    }

    async fn begin(&self, session: &Session, marker: Marker, per_user_max: u32) -> Result<Begun, StoreError> {
        let Some(number) = marker.number(self.opening) else {
            return Ok(Begun::RevokedMeanwhile);
        };
        let mut tx = self.db.begin().await?;
        let revocation: i64 = sqlx::query_scalar(LOCK_ACCOUNT)
            .bind(session.user_id)
            .fetch_one(&mut tx)
            .await?;
        if revocation > number {
            return Ok(Begun::RevokedMeanwhile);
        }
        sqlx::query(BEGIN)
            .bind(session.token.hash.0)
            .bind(session.user_id)
            .bind(session.role)
            .bind(session.began_at)
            .bind(session.expires_at)
            .bind(session.ends_at)
            .bind(i64::from(per_user_max.saturating_sub(1)))
            .execute(&mut tx)
            .await?;
        tx.commit().await?;
        Ok(Begun::Yes)
    }

    async fn find(&self, token: TokenHash, now: OffsetDateTime) -> Result<Option<Session>, StoreError> {
        let found: Option<Row> = sqlx::query_as(
            "SELECT user_id, role, began_at, expires_at, ends_at, blocked FROM sessions_session
             WHERE token_hash = $1 AND expires_at > $2",
        )
        .bind(token.hash.0)
        .bind(now)
        .fetch_optional(&self.db)
        .await?;
        Ok(found.map(|row| row.session(token)))
    }

    async fn slide(
        &self,
        token: TokenHash,
        now: OffsetDateTime,
        target: OffsetDateTime,
    ) -> Result<Option<Slid>, StoreError> {
        let moved: Option<(OffsetDateTime, bool)> = sqlx::query_as(
            "UPDATE sessions_session SET expires_at = greatest(expires_at, $3)
             WHERE token_hash = $1 AND expires_at > $2 RETURNING expires_at, blocked",
        )
        .bind(token.hash.0)
        .bind(now)
        .bind(target)
        .fetch_optional(&self.db)
        .await?;
        Ok(moved.map(|(expires_at, blocked)| Slid { expires_at, blocked }))
    }

    async fn end(&self, token: TokenHash) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM sessions_session WHERE token_hash = $1")
            .bind(token.hash.0)
            .execute(&self.db)
            .await?;
        Ok(())
    }

    async fn end_all(&self, user_ids: &[Uuid]) -> Result<u64, StoreError> {
        let mut tx = self.db.begin().await?;
        sqlx::query(NUMBER_REVOCATIONS)
            .bind(user_ids)
            .execute(&mut tx)
            .await?;
        // A statement of its own, whose snapshot is taken with the accounts' locks held.
        let done = sqlx::query("DELETE FROM sessions_session WHERE user_id = ANY ($1)")
            .bind(user_ids)
            .execute(&mut tx)
            .await?;
        tx.commit().await?;
        Ok(done.rows_affected())
    }

    async fn set_blocked(&self, standings: &[Standing]) -> Result<u64, StoreError> {
        let users: Vec<Uuid> = standings.iter().map(|told| told.user_id).collect();
        let versions: Vec<i64> = standings.iter().map(|told| told.version).collect();
        let blocked: Vec<bool> = standings.iter().map(|told| told.blocked).collect();
        let mut tx = self.db.begin().await?;
        let changed: Vec<(Uuid, bool)> = sqlx::query_as(NOTE_STANDINGS)
            .bind(users)
            .bind(versions)
            .bind(blocked)
            .fetch_all(&mut tx)
            .await?;
        let (users, blocked): (Vec<Uuid>, Vec<bool>) = changed.into_iter().unzip();
        let marked = sqlx::query(MARK_SESSIONS)
            .bind(users)
            .bind(blocked)
            .execute(&mut tx)
            .await?;
        tx.commit().await?;
        Ok(marked.rows_affected())
    }

    async fn standings(&self, user_ids: &[Uuid]) -> Result<Vec<Standing>, StoreError> {
        news::standings(&self.db, user_ids).await
    }

    async fn correct(&self, corrections: &[Correction]) -> Result<u64, StoreError> {
        news::correct(&self.db, corrections).await
    }

    async fn note(&self) -> Result<Option<String>, StoreError> {
        news::note(&self.db).await
    }

    async fn swap_note(&self, before: Option<&str>, after: &str) -> Result<bool, StoreError> {
        news::swap_note(&self.db, before, after).await
    }

    async fn reap(&self, now: OffsetDateTime, max: u32) -> Result<u64, StoreError> {
        let mut removed = 0;
        for statement in [REAP_SESSIONS, REAP_ATTEMPTS] {
            let done = sqlx::query(statement)
                .bind(now)
                .bind(i64::from(max))
                .execute(&self.db)
                .await?;
            removed += done.rows_affected();
        }
        Ok(removed)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(self.db.ping().await?)
    }

    fn lacks(&self) -> &[Capability] {
        &[]
    }
}

impl Row {
    fn session(self, token: TokenHash) -> Session {
        Session {
            token,
            user_id: self.user_id,
            role: self.role,
            began_at: self.began_at,
            expires_at: self.expires_at,
            ends_at: self.ends_at,
            blocked: self.blocked,
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
