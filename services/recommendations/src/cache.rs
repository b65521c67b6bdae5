//! Shelves that were made before.
//!
//! A cache is a place for text by key, with an expiry; whether what it has still holds is decided by [`crate::shelves`],
//! which compares stamps. So a cache may lose anything at any time, and one that is away makes shelves slower and nothing
//! else. To add one, implement [`Cache`] and give it to [`crate::shelves::Shelves::new`].

use async_trait::async_trait;
use emporium_service_kit::{Db, StoreError};
use time::OffsetDateTime;

/// A shelf as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The stamp of its subject when it was made.
    pub stamp: String,
    /// JSON.
    pub shelf: String,
}

/// A place for shelves.
#[async_trait]
pub trait Cache: Send + Sync {
    /// What is kept under the key and has not expired.
    async fn get(&self, key: &str, now: OffsetDateTime) -> Result<Option<Kept>, StoreError>;

    /// Keeps it until then, in place of what was there.
    async fn put(&self, key: &str, kept: &Kept, expires_at: OffsetDateTime) -> Result<(), StoreError>;

    /// Removes what has expired, at most `max`; gives how many.
    async fn reap(&self, now: OffsetDateTime, max: u32) -> Result<u64, StoreError>;
}

/// A cache in the service's own PostgreSQL: a table that is not logged, so it is empty after a crash.
pub struct PostgresCache(Db);

impl PostgresCache {
    /// In a database that has the service's tables.
    pub fn new(db: Db) -> Self {
        Self(db)
    }
}

#[async_trait]
impl Cache for PostgresCache {
    async fn get(&self, key: &str, now: OffsetDateTime) -> Result<Option<Kept>, StoreError> {
        let found: Option<(String, String)> = sqlx::query_as(
            "SELECT stamp, shelf::text FROM recommendations_cache WHERE key = $1 AND expires_at > $2",
        )
        .bind(key)
        .bind(now)
        .fetch_optional(&self.0)
        .await?;
        Ok(found.map(|(stamp, shelf)| Kept { stamp, shelf }))
    }

    async fn put(&self, key: &str, kept: &Kept, expires_at: OffsetDateTime) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO recommendations_cache (key, stamp, shelf, expires_at) VALUES ($1, $2, $3::jsonb, $4)
             ON CONFLICT (key) DO UPDATE
             SET stamp = excluded.stamp, shelf = excluded.shelf, expires_at = excluded.expires_at",
        )
        .bind(key)
        .bind(&kept.stamp)
        .bind(&kept.shelf)
        .bind(expires_at)
        .execute(&self.0)
        .await?;
        Ok(())
    }

    async fn reap(&self, now: OffsetDateTime, max: u32) -> Result<u64, StoreError> {
        let removed = sqlx::query(
            "DELETE FROM recommendations_cache WHERE key IN
               (SELECT key FROM recommendations_cache WHERE expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
        )
        .bind(now)
        .bind(i64::from(max))
        .execute(&self.0)
        .await?;
        Ok(removed.rows_affected())
    }
}

/// No cache: every shelf is made anew.
pub struct NoCache;

#[async_trait]
impl Cache for NoCache {
    async fn get(&self, _: &str, _: OffsetDateTime) -> Result<Option<Kept>, StoreError> {
        Ok(None)
    }

    async fn put(&self, _: &str, _: &Kept, _: OffsetDateTime) -> Result<(), StoreError> {
        Ok(())
    }

    async fn reap(&self, _: OffsetDateTime, _: u32) -> Result<u64, StoreError> {
        Ok(0)
    }
}
