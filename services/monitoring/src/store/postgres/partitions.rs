//! Partitions by time: made as they are needed, dropped when they are old.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Mutex, PoisonError};

use emporium_service_kit::{Db, StoreError};
use sqlx::AssertSqlSafe;
use time::{Duration, OffsetDateTime};

use super::memory::last_moments;
use super::tier::{Tier, floor};

/// What is kept of gauges and counters, and of histograms, are tables of their own.
pub const FORMS: [&str; 2] = ["level", "histogram"];
/// Most partitions of a table that go at once: a clock that leaps ahead for a moment must not take all the past with it.
const DROPPED_MAX: usize = 2;
/// How long dropping waits for whoever reads the table; it is tried again later.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '1s'";
/// Lets one process at a time make partitions: `IF NOT EXISTS` does not keep two from making the same one.
const ONE_AT_A_TIME: &str = "SELECT pg_advisory_xact_lock(hashtext('monitoring_partitions'))";

/// Partitions that are known to be there.
#[derive(Default)]
pub struct Partitions {
    known: Mutex<HashSet<(Tier, i64)>>,
}

/// Name of a table.
pub fn table(form: &str, tier: Tier) -> String {
    format!("monitoring_{form}_{}", tier.as_str())
}

fn literal(second: i64) -> String {
    // Whole seconds of a `timestamptz`, whatever the session's time zone.
    let at = OffsetDateTime::from_unix_timestamp(second).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (year, month, day) = at.to_calendar_date();
    let (hour, minute, second) = at.to_hms();
    format!(
        "{year:04}-{:02}-{day:02} {hour:02}:{minute:02}:{second:02}+00",
        u8::from(month)
    )
}

impl Partitions {
    /// Sees that points of a tier at these moments have their partitions. Not the time between them: after a clock that leapt
    /// (or a machine that began in 1970) that may be half a century.
    pub async fn ensure(
        &self,
        db: &Db,
        tier: Tier,
        moments: impl IntoIterator<Item = OffsetDateTime> + Send,
    ) -> Result<(), StoreError> {
        let begins: BTreeSet<i64> = moments
            .into_iter()
            .map(|at| floor(at, tier.partition_s()).unix_timestamp())
            .collect();
        for begin in begins {
            if !self.is_known(tier, begin) {
                make(db, tier, begin).await?;
                self.note(tier, begin);
            }
        }
        Ok(())
    }

    /// Drops what is older than its tier is kept for, a few partitions at a time; of raw points, only what is in all
    /// roll-ups and is no service's last scrape, which its next one is compared with. Gives how many went.
    pub async fn drop_old(&self, db: &Db, now: OffsetDateTime) -> Result<usize, StoreError> {
        let mut dropped = 0;
        let last = last_moments(db).await?;
        for tier in Tier::ALL {
            let edge = now.saturating_sub(tier.kept()).unix_timestamp();
            for form in FORMS {
                let mut old = begins(db, form, tier).await?;
                old.retain(|begin| {
                    let end = begin + tier.partition_s();
                    let is_last = |at: &OffsetDateTime| (*begin..end).contains(&at.unix_timestamp());
                    end <= edge && !(tier == Tier::Raw && last.iter().any(is_last))
                });
                old.truncate(DROPPED_MAX);
                for begin in old {
                    if tier == Tier::Raw && is_needed(db, begin, begin + tier.partition_s()).await? {
                        continue;
                    }
                    self.forget(tier, begin);
                    dropped += usize::from(drop_one(db, form, tier, begin).await?);
                }
            }
        }
        Ok(dropped)
    }

    fn is_known(&self, tier: Tier, begin: i64) -> bool {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(&(tier, begin))
    }

    fn note(&self, tier: Tier, begin: i64) {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert((tier, begin));
    }

    fn forget(&self, tier: Tier, begin: i64) {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&(tier, begin));
    }
}

async fn make(db: &Db, tier: Tier, begin: i64) -> Result<(), StoreError> {
    let mut tx = db.begin().await?;
    sqlx::query(ONE_AT_A_TIME).execute(&mut tx).await?;
    for form in FORMS {
        let table = table(form, tier);
        let (from, to) = (literal(begin), literal(begin + tier.partition_s()));
        let sql = format!(
            "CREATE TABLE IF NOT EXISTS {table}_{begin} PARTITION OF {table} FOR VALUES FROM ('{from}') TO ('{to}')"
        );
        sqlx::query(AssertSqlSafe(sql)).execute(&mut tx).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// When the partitions of a table begin, in seconds since 1970, the oldest first. Their names say it.
pub(super) async fn begins(db: &Db, form: &str, tier: Tier) -> Result<Vec<i64>, StoreError> {
    let table = table(form, tier);
    let names: Vec<String> = sqlx::query_scalar(
        "SELECT child.relname::text FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid
         WHERE inhparent = $1::regclass AND child.relkind = 'r'",
    )
    .bind(&table)
    .fetch_all(db)
    .await?;
    let prefix = format!("{table}_");
    let mut begins: Vec<i64> = names
        .iter()
        .filter_map(|name| name.strip_prefix(&prefix)?.parse().ok())
        .collect();
    begins.sort_unstable();
    Ok(begins)
}

/// Whether raw points of this time are not in all roll-ups yet.
async fn is_needed(db: &Db, begin: i64, end: i64) -> Result<bool, StoreError> {
    let needed = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM monitoring_round
         WHERE round > (SELECT min(round) FROM monitoring_cursor)
           AND last_at >= to_timestamp($1) AND first_at < to_timestamp($2))",
    )
    .bind(crate::number::float(begin))
    .bind(crate::number::float(end))
    .fetch_one(db)
    .await?;
    Ok(needed)
}

/// False when somebody reads it just now, or it is gone already.
async fn drop_one(db: &Db, form: &str, tier: Tier, begin: i64) -> Result<bool, StoreError> {
    let mut tx = db.begin().await?;
    sqlx::query(LOCK_TIMEOUT).execute(&mut tx).await?;
    let sql = format!("DROP TABLE IF EXISTS {}_{begin}", table(form, tier));
    match sqlx::query(AssertSqlSafe(sql))
        .execute(&mut tx)
        .await
        .map_err(StoreError::from)
    {
        Ok(_) => {}
        Err(StoreError::Unavailable(reason)) => {
            tracing::info!(%reason, "an old partition is dropped later");
            return Ok(false);
        }
        Err(error) => return Err(error),
    }
    tx.commit().await?;
    Ok(true)
}

/// How long ahead partitions are made, so that recording seldom waits for one.
pub fn ahead(tier: Tier) -> Duration {
    Duration::seconds(tier.partition_s() / 2)
}
