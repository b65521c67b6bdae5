//! Shelves in the service's own PostgreSQL, in tables that are not logged: they are empty after a crash.

use async_trait::async_trait;
use emporium_service_kit::{Db, StoreError};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Cache, Kept, SHELVES_MAX};

/// A cache in a table.
pub struct PostgresCache {
    db: Db,
    max: usize,
}

impl PostgresCache {
    /// In a database that has the service's tables.
    pub fn new(db: Db) -> Self {
        Self { db, max: SHELVES_MAX }
    }

    /// The same with room for so many shelves.
    #[cfg(test)]
    pub(super) fn with_max(db: Db, max: usize) -> Self {
        Self { db, max }
    }
}

/// Expired shelves and turns; then, of more shelves than there may be, those that expire first, which were made first.
const REAP: &str = "
    WITH expired AS (
        DELETE FROM recommendations_cache WHERE key IN
            (SELECT key FROM recommendations_cache WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED)
        RETURNING 1
    ), turns AS (
        DELETE FROM recommendations_cache_turn WHERE key IN
            (SELECT key FROM recommendations_cache_turn WHERE until <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)
        RETURNING 1
    ), beyond AS (
        DELETE FROM recommendations_cache WHERE key IN
            (SELECT key FROM recommendations_cache WHERE expires_at > $1 ORDER BY expires_at
             LIMIT least($2, greatest(0, (SELECT count(*) FROM recommendations_cache WHERE expires_at > $1) - $3))
             FOR UPDATE SKIP LOCKED)
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM expired) + (SELECT count(*) FROM turns) + (SELECT count(*) FROM beyond)";

#[async_trait]
impl Cache for PostgresCache {
    async fn get(&self, key: &str, now: OffsetDateTime) -> Result<Option<Kept>, StoreError> {
        let found: Option<(String, String)> = sqlx::query_as(
            "SELECT stamp, shelf::text FROM recommendations_cache WHERE key = $1 AND expires_at > $2",
        )
        .bind(key)
        .bind(now)
        .fetch_optional(&self.db)
        .await?;
        Ok(found.map(|(stamp, shelf)| Kept { stamp, shelf }))
    }

    async fn put(
        &self,
        key: &str,
        kept: &Kept,
        _: OffsetDateTime,
        expires_at: OffsetDateTime,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO recommendations_cache (key, stamp, shelf, expires_at) VALUES ($1, $2, $3::jsonb, $4)
             ON CONFLICT (key) DO UPDATE
             SET stamp = excluded.stamp, shelf = excluded.shelf, expires_at = excluded.expires_at",
        )
        .bind(key)
        .bind(&kept.stamp)
        .bind(&kept.shelf)
        .bind(expires_at)
        .execute(&self.db)
        .await?;
        Ok(())
    }

    async fn take_turn(
        &self,
        key: &str,
        who: Uuid,
        now: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "INSERT INTO recommendations_cache_turn AS t (key, who, until) VALUES ($1, $2, $4)
             ON CONFLICT (key) DO UPDATE SET who = excluded.who, until = excluded.until
             WHERE t.who = excluded.who OR t.until <= $3",
        )
        .bind(key)
        .bind(who)
        .bind(now)
        .bind(until)
        .execute(&self.db)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    async fn end_turn(&self, key: &str, who: Uuid) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM recommendations_cache_turn WHERE key = $1 AND who = $2")
            .bind(key)
            .bind(who)
            .execute(&self.db)
            .await?;
        Ok(())
    }

    async fn reap(&self, now: OffsetDateTime, max: u32) -> Result<u64, StoreError> {
        let removed: i64 = sqlx::query_scalar(REAP)
            .bind(now)
            .bind(i64::from(max))
            .bind(i64::try_from(self.max).unwrap_or(i64::MAX))
            .fetch_one(&self.db)
            .await?;
        Ok(removed.unsigned_abs())
    }
}
