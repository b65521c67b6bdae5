//! Points in PostgreSQL.
//!
//! Raw points, minutes and hours are tables of their own, partitioned by time: what is old goes by dropping a partition, never
//! by deleting rows. The points of each round of scrapes are one transaction with a number; the roll-ups of a tier are made
//! from the rounds after its cursor, in the transaction that moves the cursor. So each point is in each tier exactly once, and
//! a question is answered from the roll-ups and the raw points after the cursor, in one statement: from all that was recorded.

use async_trait::async_trait;
use emporium_service_kit::{Db, StoreError};
use sqlx::migrate::{MigrateError, Migrator};
use time::OffsetDateTime;

use super::ledger::Ledger;
use super::{Capability, Metric, MonitoringStore};
use crate::error::Error;
use crate::model::Kind;
use crate::question::{History, Question};

mod batch;
mod copied;
mod history;
mod memory;
mod notes;
mod partitions;
mod plan;
mod recorder;
mod rollup;
mod rows;
mod series;
mod tier;

pub use copied::PostgresHours;
pub use notes::RESERVED;
pub use recorder::{Recorded, Recorder};
pub use tier::Tier;

static MIGRATIONS: Migrator = sqlx::migrate!();

/// The PostgreSQL adapter.
pub struct PostgresMonitoring {
    db: Db,
    /// Says which hours were moved here; `None`: none.
    ledger: Option<Ledger>,
}

impl PostgresMonitoring {
    /// Brings the tables up to date.
    pub async fn open(db: Db) -> Result<Self, MigrateError> {
        db.migrate(&MIGRATIONS, "monitoring").await?;
        Ok(Self { db, ledger: None })
    }

    /// The same, into which a move may have brought hours.
    #[must_use]
    pub fn with_ledger(self, ledger: Ledger) -> Self {
        let ledger = Some(ledger);
        Self { ledger, ..self }
    }
}

/// A kind as it stands in the database, whose constraint admits no other.
fn kind_of(text: &str) -> Kind {
    match text {
        "counter" => Kind::Counter,
        "histogram" => Kind::Histogram,
        _ => Kind::Gauge,
    }
}

#[async_trait]
impl MonitoringStore for PostgresMonitoring {
    async fn metrics(&self, limit: usize) -> Result<Vec<Metric>, StoreError> {
        let rows: Vec<(String, String, i64)> = sqlx::query_as(
            "SELECT metric, (array_agg(kind ORDER BY seen_on DESC, id DESC))[1], count(*) FROM monitoring_series
             GROUP BY metric ORDER BY metric COLLATE \"C\" LIMIT $1",
        )
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&self.db)
        .await?;
        let metric = |(name, kind, series): (String, String, i64)| Metric {
            name,
            kind: kind_of(&kind),
            series,
        };
        Ok(rows.into_iter().map(metric).collect())
    }

    async fn kind(&self, metric: &str) -> Result<Option<Kind>, StoreError> {
        let kind: Option<String> = sqlx::query_scalar(
            "SELECT kind FROM monitoring_series WHERE metric = $1 ORDER BY seen_on DESC, id DESC LIMIT 1",
        )
        .bind(metric)
        .fetch_optional(&self.db)
        .await?;
        Ok(kind.as_deref().map(kind_of))
    }

    async fn history(&self, question: &Question, now: OffsetDateTime) -> Result<History, Error> {
        let kind = self.kind(&question.metric).await?.ok_or(Error::UnknownMetric)?;
        let brought = match &self.ledger {
            Some(ledger) => ledger.brought().await?,
            None => None,
        };
        let own_since = brought.map(|brought| brought.own_since);
        history::answer(&self.db, question, kind, now, own_since).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(self.db.ping().await?)
    }

    fn lacks(&self) -> &[Capability] {
        &[]
    }
}

#[cfg(test)]
pub(super) mod tests;
