//! Standing and journal in PostgreSQL: two tables with the service's prefix.

use async_trait::async_trait;
use emporium_service_kit::{Db, ServiceName, StoreError};
use sqlx::AssertSqlSafe;
use sqlx::migrate::{MigrateError, Migrator};

use crate::register::{Journal, Kept, Mark, Register};

static MIGRATIONS: Migrator = sqlx::migrate!();

/// Standing and journal of a service in a database.
#[derive(Clone)]
pub struct PostgresMoving {
    db: Db,
    prefix: ServiceName,
}

impl PostgresMoving {
    /// Brings the tables up to date.
    pub async fn open(db: Db, service: ServiceName) -> Result<Self, MigrateError> {
        db.migrate_for(service, "moving", &MIGRATIONS).await?;
        Ok(Self { db, prefix: service })
    }

    fn sql(&self, text: &str) -> AssertSqlSafe<String> {
        AssertSqlSafe(text.replace("{prefix}", self.prefix.as_str()))
    }
}

#[async_trait]
impl Register for PostgresMoving {
    async fn load(&self) -> Result<Kept, StoreError> {
        let kept: Option<(i64, String)> =
            sqlx::query_as(self.sql("SELECT version, standing FROM {prefix}_move_standing"))
                .fetch_optional(&self.db)
                .await?;
        Ok(kept.map_or_else(Kept::default, |(version, text)| Kept {
            version,
            text: Some(text),
        }))
    }

    async fn swap(&self, version: i64, text: &str) -> Result<bool, StoreError> {
        let sql = match version {
            0 => {
                "INSERT INTO {prefix}_move_standing (version, standing) VALUES ($1 + 1, $2) ON CONFLICT DO NOTHING"
            }
            _ => "UPDATE {prefix}_move_standing SET version = $1 + 1, standing = $2 WHERE version = $1",
        };
        let done = sqlx::query(self.sql(sql))
            .bind(version)
            .bind(text)
            .execute(&self.db)
            .await?;
        Ok(done.rows_affected() > 0)
    }
}

#[async_trait]
impl Journal for PostgresMoving {
    /// In the order of keys, so that two writes with the same keys queue instead of getting into a deadlock.
    async fn note(&self, keys: &[String]) -> Result<(), StoreError> {
        sqlx::query(self.sql(
            "INSERT INTO {prefix}_move_journal AS j (key)
             SELECT DISTINCT key FROM unnest($1::text[]) AS k (key) ORDER BY key
             ON CONFLICT (key) DO UPDATE SET times = j.times + 1",
        ))
        .bind(keys)
        .execute(&self.db)
        .await?;
        Ok(())
    }

    async fn noted(&self, max: usize) -> Result<Vec<Mark>, StoreError> {
        let rows: Vec<(String, i64)> =
            sqlx::query_as(self.sql("SELECT key, times FROM {prefix}_move_journal ORDER BY key LIMIT $1"))
                .bind(i64::try_from(max).unwrap_or(i64::MAX))
                .fetch_all(&self.db)
                .await?;
        Ok(rows.into_iter().map(|(key, times)| Mark { key, times }).collect())
    }

    async fn forget(&self, marks: &[Mark]) -> Result<(), StoreError> {
        let keys: Vec<&str> = marks.iter().map(|mark| mark.key.as_str()).collect();
        let times: Vec<i64> = marks.iter().map(|mark| mark.times).collect();
        sqlx::query(self.sql(
            "DELETE FROM {prefix}_move_journal AS j USING unnest($1::text[], $2::bigint[]) AS seen (key, times)
             WHERE j.key = seen.key AND j.times = seen.times",
        ))
        .bind(keys)
        .bind(times)
        .execute(&self.db)
        .await?;
        Ok(())
    }

    async fn count(&self) -> Result<i64, StoreError> {
        Ok(
            sqlx::query_scalar(self.sql("SELECT count(*) FROM {prefix}_move_journal"))
                .fetch_one(&self.db)
                .await?,
        )
    }

    async fn clear(&self) -> Result<(), StoreError> {
        sqlx::query(self.sql("TRUNCATE {prefix}_move_journal"))
            .execute(&self.db)
            .await?;
        Ok(())
    }
}
