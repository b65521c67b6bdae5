//! Writes what the scraper brings.

use std::collections::HashMap;
use std::time::Duration;

use emporium_service_kit::{Db, StoreError, Tx};
use time::OffsetDateTime;
use tokio::sync::Mutex;
use uuid::Uuid;

use super::memory::{Grown, Known, Memory, Previous, Step, step};
use super::notes::about;
use super::partitions::Partitions;
use super::rows::Rows;
use super::series::{Numbered, number};
use super::tier::Tier;
use crate::config::Config;
use crate::measures::Measures;
use crate::model::{Kind, Scrape};

/// A lease lasts this many periods, so that a slow round does not lose it, and at least [`LEASE_MIN`].
const LEASE_PERIODS: u32 = 3;
const LEASE_MIN: Duration = Duration::from_secs(15);
/// By how much the clocks of two machines may differ. A lease that lies further ahead is of a clock that was wrong.
const SKEW_MAX: time::Duration = time::Duration::MINUTE;
/// Series that nobody has exported for so long have no roll-ups any more.
const FORGET_AFTER: time::Duration = time::Duration::days(crate::question::SPAN_DAYS_MAX + 31);
/// Most series that are forgotten, and rounds whose moments are, at once.
const TENDED_MAX: i64 = 1_000;

/// What became of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// It is written.
    Done {
        /// Its number.
        round: i64,
        /// How many points.
        points: u64,
        /// How many series were refused, since there are as many as may be.
        refused: u64,
    },
    /// Another process scrapes: nothing is written.
    NotMine,
}

/// Writes rounds of scrapes to PostgreSQL, under a lease: one process at a time.
pub struct Recorder {
    pub(super) db: Db,
    me: Uuid,
    lease: Duration,
    series_max: usize,
    memory: Mutex<Option<Memory>>,
    pub(super) partitions: Partitions,
    pub(super) measures: Measures,
}

impl Recorder {
    /// A recorder with an identity of its own, on tables that are up to date.
    pub fn new(db: Db, config: &Config, measures: Measures) -> Self {
        let period = config.period().unwrap_or_default();
        Self {
            db,
            me: Uuid::new_v4(),
            lease: LEASE_MIN.max(period * LEASE_PERIODS),
            series_max: usize::try_from(config.series_max).unwrap_or(usize::MAX),
            memory: Mutex::default(),
            partitions: Partitions::default(),
            measures,
        }
    }

    /// What the service measures of its own work.
    pub fn measures(&self) -> &Measures {
        &self.measures
    }

    /// Takes or keeps the lease; false when another process has it. A lease that lies further ahead than one can is of a
    /// clock that was wrong, and does not count.
    pub async fn take(&self, now: OffsetDateTime) -> Result<bool, StoreError> {
        let lease: time::Duration = self.lease.try_into().unwrap_or(time::Duration::HOUR);
        let until = now.saturating_add(lease);
        let round: Option<i64> = sqlx::query_scalar(
            "UPDATE monitoring_lease SET holder = $1, until = $2
             WHERE holder IS NULL OR holder = $1 OR until <= $3 OR until > $4
             RETURNING round",
        )
        .bind(self.me)
        .bind(until)
        .bind(now)
        .bind(until.saturating_add(lease + SKEW_MAX))
        .fetch_optional(&self.db)
        .await?;
        let mut memory = self.memory.lock().await;
        let Some(round) = round else {
            *memory = None;
            return Ok(false);
        };
        if memory.as_ref().is_none_or(|memory| memory.round != round) {
            *memory = None;
            let read = Memory::load(&self.db, round).await?;
            self.measures.series(read.series.len());
            *memory = Some(read);
        }
        Ok(true)
    }

    /// Gives the lease back, so that another process need not wait until it runs out.
    pub async fn release(&self) -> Result<(), StoreError> {
        *self.memory.lock().await = None;
        sqlx::query("UPDATE monitoring_lease SET holder = NULL, until = NULL WHERE holder = $1")
            .bind(self.me)
            .execute(&self.db)
            .await?;
        Ok(())
    }

    /// Writes a round, as a whole or not at all.
    pub async fn record(&self, scrapes: &[Scrape], now: OffsetDateTime) -> Result<Recorded, StoreError> {
        if !self.take(now).await? {
            return Ok(Recorded::NotMine);
        }
        let Some((first_at, last_at)) = span_of(scrapes) else {
            return Ok(Recorded::NotMine);
        };
        let moments: Vec<OffsetDateTime> = scrapes.iter().map(|scrape| scrape.at).collect();
        self.partitions.ensure(&self.db, Tier::Raw, moments).await?;
        let mut slot = self.memory.lock().await;
        // Out of the slot while it is written: when that fails, nobody knows what was committed, and it is read back.
        let Some(mut memory) = slot.take() else {
            return Ok(Recorded::NotMine);
        };
        let mut tx = self.db.begin().await?;
        let Some(round) = next_round(&mut tx, self.me, memory.round).await? else {
            return Ok(Recorded::NotMine);
        };
        sqlx::query("INSERT INTO monitoring_round (round, first_at, last_at) VALUES ($1, $2, $3)")
            .bind(round)
            .bind(first_at)
            .bind(last_at)
            .execute(&mut tx)
            .await?;
        let known = number(&mut tx, &memory, scrapes, self.series_max).await?;
        let refused = known.refused.values().sum();
        let mut rows = Rows::of_round(round);
        let previous = gather(&mut rows, &memory, &known, scrapes);
        let points = rows.write(&mut tx).await?;
        tx.commit().await?;
        memory.round = round;
        memory.series.extend(known.new);
        memory.previous.extend(previous);
        self.measures.series(memory.series.len());
        self.measures.refused(refused);
        *slot = Some(memory);
        Ok(Recorded::Done {
            round,
            points,
            refused,
        })
    }

    /// Makes partitions ahead of time, drops old ones, forgets what is not needed any more; each in small bites.
    pub async fn tend(&self, now: OffsetDateTime) -> Result<(), StoreError> {
        for tier in Tier::ALL {
            let ahead = now.saturating_add(super::partitions::ahead(tier));
            self.partitions.ensure(&self.db, tier, [now, ahead]).await?;
        }
        let dropped = self.partitions.drop_old(&self.db, now).await?;
        if dropped > 0 {
            tracing::debug!(dropped, "old partitions dropped");
        }
        sqlx::query(
            "DELETE FROM monitoring_round WHERE round IN (
                SELECT round FROM monitoring_round WHERE round <= (SELECT min(round) FROM monitoring_cursor)
                ORDER BY round LIMIT $1)",
        )
        .bind(TENDED_MAX)
        .execute(&self.db)
        .await?;
        self.forget_series(now).await
    }

    async fn forget_series(&self, now: OffsetDateTime) -> Result<(), StoreError> {
        let mut slot = self.memory.lock().await;
        // Only by who scrapes: nobody else may take away a number that it remembers.
        let Some(memory) = slot.as_mut() else {
            return Ok(());
        };
        let forgotten: Vec<Uuid> = sqlx::query_scalar(
            "DELETE FROM monitoring_series WHERE id IN (
                SELECT id FROM monitoring_series WHERE seen_on < $1 ORDER BY seen_on LIMIT $2)
             AND EXISTS (SELECT FROM monitoring_lease WHERE holder = $3 AND round = $4)
             RETURNING fingerprint",
        )
        .bind(now.saturating_sub(FORGET_AFTER).date())
        .bind(TENDED_MAX)
        .bind(self.me)
        .bind(memory.round)
        .fetch_all(&self.db)
        .await?;
        for fingerprint in &forgotten {
            memory.series.remove(fingerprint);
        }
        Ok(())
    }
}

/// All points of the round as rows; gives the scrapes that the next ones are compared with.
fn gather(
    rows: &mut Rows,
    memory: &Memory,
    known: &Numbered,
    scrapes: &[Scrape],
) -> HashMap<String, Previous> {
    let mut previous = HashMap::new();
    for scrape in scrapes {
        let refused = known.refused.get(&scrape.target).copied().unwrap_or_default();
        let before = memory.previous.get(&scrape.target);
        let mut values = HashMap::new();
        let notes = about(scrape, refused);
        for reading in scrape.readings.iter().flatten().chain(&notes) {
            let fingerprint = reading.series.fingerprint();
            let number = known
                .new
                .get(&fingerprint)
                .or_else(|| memory.series.get(&fingerprint));
            let Some(Known { id, .. }) = number else {
                continue;
            };
            let step = match reading.series.kind {
                Kind::Gauge => Step {
                    covered_us: None,
                    grown: Grown::Unknown,
                },
                Kind::Counter | Kind::Histogram => step(before, *id, &reading.value, scrape.at),
            };
            rows.add(*id, scrape.at, &reading.value, &step);
            values.insert(*id, reading.value.clone());
        }
        if scrape.readings.is_some() {
            let is_complete = scrape.left_out + refused == 0;
            previous.insert(
                scrape.target.clone(),
                Previous {
                    at: scrape.at,
                    values,
                    is_complete,
                },
            );
        }
    }
    previous
}

fn span_of(scrapes: &[Scrape]) -> Option<(OffsetDateTime, OffsetDateTime)> {
    let moments = scrapes.iter().map(|scrape| scrape.at);
    moments.clone().min().zip(moments.max())
}

/// Takes the next number; `None` when somebody else has the lease, or had it in between.
async fn next_round(tx: &mut Tx, me: Uuid, last: i64) -> Result<Option<i64>, StoreError> {
    let round = sqlx::query_scalar(
        "UPDATE monitoring_lease SET round = round + 1 WHERE holder = $1 AND round = $2 RETURNING round",
    )
    .bind(me)
    .bind(last)
    .fetch_optional(tx)
    .await?;
    Ok(round)
}
