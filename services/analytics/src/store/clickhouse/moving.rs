//! What the database is to the service, and what was written to while it was copied elsewhere.

use async_trait::async_trait;
use clickhouse::Row;
use emporium_moving::register::{Journal, Kept, Mark, Register};
use emporium_service_kit::{Clock, StoreError};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use super::client::ClickHouse;
use super::state::was_first;

/// After how many changes old versions are removed, and how many stay: more than anybody is behind.
const TRIMMED_EVERY: i64 = 1_000;

/// Standing and journal of a database.
pub struct ClickHouseMoving {
    server: ClickHouse,
    clock: Clock,
}

impl ClickHouseMoving {
    /// Of a database that has its tables.
    pub fn new(server: ClickHouse, clock: Clock) -> Self {
        Self { server, clock }
    }
}

#[derive(Row, Serialize)]
struct StandingRow {
    version: i64,
    #[serde(with = "clickhouse::serde::uuid")]
    writer: Uuid,
    standing: String,
    #[serde(with = "clickhouse::serde::time::datetime64::micros")]
    at: OffsetDateTime,
}

#[derive(Row, Deserialize)]
struct Newest {
    version: i64,
    standing: String,
}

#[async_trait]
impl Register for ClickHouseMoving {
    async fn load(&self) -> Result<Kept, StoreError> {
        let newest: Vec<Newest> = self
            .server
            .ask("SELECT version, standing FROM analytics_standing ORDER BY version DESC LIMIT 1")
            .rows()
            .await?;
        Ok(newest.into_iter().next().map_or_else(Kept::default, |row| Kept {
            version: row.version,
            text: Some(row.standing),
        }))
    }

    /// As the projection's state is swapped. A version that is not the next one of what is there was decided by something old.
    async fn swap(&self, version: i64, text: &str) -> Result<bool, StoreError> {
        if self.load().await?.version != version {
            return Ok(false);
        }
        let row = StandingRow {
            version: version + 1,
            writer: Uuid::new_v4(),
            standing: text.to_owned(),
            at: self.clock.now(),
        };
        let (writer, token) = (row.writer, format!("standing/{}", row.version));
        let written = self.server.insert("analytics_standing", &[row], &token).await;
        if !was_first(&self.server, "analytics_standing", version + 1, writer, written).await? {
            return Ok(false);
        }
        if version % TRIMMED_EVERY == 0 && version > 0 {
            self.server
                .ask("ALTER TABLE analytics_standing DELETE WHERE version < {before:Int64}")
                .param("before", version + 1 - TRIMMED_EVERY)
                .run("ALTER")
                .await?;
        }
        Ok(true)
    }
}

#[derive(Row, Serialize)]
struct JournalRow {
    key: String,
    noted: i64,
    forgotten: i64,
}

#[derive(Row, Deserialize)]
struct MarkRow {
    key: String,
    times: i64,
}

impl ClickHouseMoving {
    async fn add(&self, rows: &[JournalRow]) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let token = Uuid::new_v4().to_string();
        self.server.insert("analytics_journal", rows, &token).await
    }
}

#[async_trait]
impl Journal for ClickHouseMoving {
    async fn note(&self, keys: &[String]) -> Result<(), StoreError> {
        let row = |key: &String| JournalRow {
            key: key.clone(),
            noted: 1,
            forgotten: 0,
        };
        self.add(&keys.iter().map(row).collect::<Vec<_>>()).await
    }

    async fn noted(&self, max: usize) -> Result<Vec<Mark>, StoreError> {
        let rows: Vec<MarkRow> = self
            .server
            .ask(
                "SELECT key, sum(j.noted) AS times FROM analytics_journal AS j GROUP BY key
                 HAVING times > max(j.forgotten) ORDER BY key LIMIT {max:UInt64}",
            )
            .param("max", max)
            .long()
            .rows()
            .await?;
        let mark = |MarkRow { key, times }| Mark { key, times };
        Ok(rows.into_iter().map(mark).collect())
    }

    async fn forget(&self, marks: &[Mark]) -> Result<(), StoreError> {
        let row = |mark: &Mark| JournalRow {
            key: mark.key.clone(),
            noted: 0,
            forgotten: mark.times,
        };
        self.add(&marks.iter().map(row).collect::<Vec<_>>()).await
    }

    async fn count(&self) -> Result<i64, StoreError> {
        self.server
            .ask(
                "SELECT toInt64(count()) FROM (SELECT key FROM analytics_journal AS j GROUP BY key
                 HAVING sum(j.noted) > max(j.forgotten))",
            )
            .long()
            .one()
            .await
    }

    async fn clear(&self) -> Result<(), StoreError> {
        self.server
            .ask("TRUNCATE TABLE analytics_journal")
            .run("TRUNCATE")
            .await
    }
}
