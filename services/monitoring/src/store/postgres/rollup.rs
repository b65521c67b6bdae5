//! Roll-ups: rounds after a tier's cursor, merged into its minutes or hours.

use std::collections::BTreeMap;

use emporium_service_kit::{StoreError, Tx};
use sqlx::{AssertSqlSafe, FromRow};
use time::OffsetDateTime;

use super::batch::{Batch, moments_of, next_batch, pending, series_of};
use super::partitions::table;
use super::{Recorder, Tier, kind_of};
use crate::model::Kind;
use crate::sketch::{Sketch, Unreadable};
use crate::summary::{Levels, Observations, Shape};

/// Stands for a sketch where it is not known how values are distributed: an hour that was moved here.
const UNKNOWN: &[u8] = &[];
/// So many series are rolled up at a time: the rows of a batch of rounds of them fit into memory.
const SERIES_A_TIME: usize = 500;

/// A roll-up, or (without `samples`) a raw point, of a gauge or a counter.
#[derive(FromRow)]
pub struct LevelRow {
    pub series: i32,
    pub at: OffsetDateTime,
    samples: Option<i64>,
    sum: f64,
    min: f64,
    max: f64,
    increase: Option<f64>,
    covered_us: Option<i64>,
    sketch: Option<Vec<u8>>,
}

/// A roll-up or a raw point of a histogram.
#[derive(FromRow)]
pub struct ObservedRow {
    pub series: i32,
    pub at: OffsetDateTime,
    observed: Option<f64>,
    covered_us: Option<i64>,
    buckets: Option<Vec<i64>>,
}

impl LevelRow {
    /// What it stands for. `is_sketched`: whether its distribution is wanted (and was read).
    pub fn levels(
        self,
        kind: Kind,
        is_sketched: bool,
    ) -> Result<Levels, emporium_service_kit::store::StoreCause> {
        let mut levels = match (self.samples, kind) {
            (None, Kind::Counter) => self.covered_us.map_or_else(
                || Levels::none(true),
                |covered_us| Levels::of_counter(self.increase.unwrap_or_default(), covered_us),
            ),
            (None, _) => Levels::of_gauge(self.sum),
            (Some(samples), _) => Levels {
                samples,
                sum: self.sum,
                min: self.min,
                max: self.max,
                shape: shape(self.sketch.as_deref())?,
                increase: self.increase.unwrap_or_default(),
                covered_us: self.covered_us.unwrap_or_default(),
            },
        };
        if !is_sketched {
            levels.shape = Shape::Left;
        }
        Ok(levels)
    }
}

fn shape(sketch: Option<&[u8]>) -> Result<Shape, Unreadable> {
    match sketch {
        None => Ok(Shape::Constant),
        Some(UNKNOWN) => Ok(Shape::Left),
        Some(bytes) => Ok(Shape::Sketched(Box::new(Sketch::decode(bytes)?))),
    }
}

impl ObservedRow {
    /// What it stands for.
    pub fn observations(self) -> Observations {
        Observations {
            observed: self.observed.unwrap_or_default(),
            covered_us: self.covered_us.unwrap_or_default(),
            buckets: self.buckets.unwrap_or_default(),
        }
    }
}

impl Recorder {
    /// Rolls up what is due, at most some rounds at a time; gives how many rounds it was. Whoever calls it may be killed at any
    /// moment, and others may call it at the same time: the cursor moves with what is written.
    pub async fn roll_up(&self, tier: Tier, now: OffsetDateTime) -> Result<i64, StoreError> {
        let due_before = tier.due_before(now);
        let mut tx = self.db.begin().await?;
        let Some(batch) = next_batch(&mut tx, tier, due_before, false).await? else {
            self.measures
                .pending(tier.as_str(), pending(&mut tx, tier).await?);
            return Ok(0);
        };
        let moments = moments_of(&mut tx, batch).await?;
        tx.rollback().await?;
        let begins = moments.into_iter().map(|at| tier.begin(at));
        self.partitions.ensure(&self.db, tier, begins).await?;
        let mut tx = self.db.begin().await?;
        // Looked at again, and held: somebody else may have been quicker.
        let Some(batch) = next_batch(&mut tx, tier, due_before, true).await? else {
            return Ok(0);
        };
        let ids = series_of(&mut tx, batch).await?;
        for some in ids.chunks(SERIES_A_TIME) {
            roll_levels(&mut tx, tier, batch, some).await?;
            roll_histograms(&mut tx, tier, batch, some).await?;
        }
        sqlx::query("UPDATE monitoring_cursor SET round = $2 WHERE tier = $1")
            .bind(tier.as_str())
            .bind(batch.upto)
            .execute(&mut tx)
            .await?;
        self.measures
            .pending(tier.as_str(), pending(&mut tx, tier).await?);
        tx.commit().await?;
        Ok(batch.rounds)
    }
}

type Key = (i32, OffsetDateTime);

/// Series, kind, moment, value, increase, time covered.
type RawLevel = (i32, String, OffsetDateTime, f64, Option<f64>, Option<i64>);

async fn roll_levels(tx: &mut Tx, tier: Tier, batch: Batch, ids: &[i32]) -> Result<(), StoreError> {
    let rows: Vec<RawLevel> = sqlx::query_as(
        "SELECT p.series, s.kind, p.at, p.value, p.increase, p.covered_us
         FROM monitoring_level_raw AS p JOIN monitoring_series AS s ON s.id = p.series
         WHERE p.series = ANY ($1) AND p.round > $2 AND p.round <= $3 AND p.at >= $4 AND p.at <= $5
         ORDER BY p.series, p.round",
    )
    .bind(ids)
    .bind(batch.after)
    .bind(batch.upto)
    .bind(batch.first_at)
    .bind(batch.last_at)
    .fetch_all(&mut *tx)
    .await?;
    let mut sums: BTreeMap<Key, Levels> = BTreeMap::new();
    for (series, kind, at, value, increase, covered_us) in rows {
        let point = LevelRow {
            series,
            at,
            samples: None,
            sum: value,
            min: value,
            max: value,
            increase,
            covered_us,
            sketch: None,
        };
        let levels = point.levels(kind_of(&kind), true).map_err(StoreError::Failed)?;
        let sum = sums
            .entry((series, tier.begin(at)))
            .or_insert_with(|| Levels::none(true));
        sum.merge(&levels);
    }
    sums.retain(|_, sum| !sum.is_empty());
    let (series, moments) = keys(&sums);
    let sql = format!(
        "SELECT series, at, samples, sum, min, max, increase, covered_us, sketch FROM {} AS old
         JOIN unnest($1::int[], $2::timestamptz[]) AS new (series, at) USING (series, at)",
        table("level", tier)
    );
    let old: Vec<LevelRow> = sqlx::query_as(AssertSqlSafe(sql))
        .bind(&series)
        .bind(&moments)
        .fetch_all(&mut *tx)
        .await?;
    for row in old {
        let key = (row.series, row.at);
        let mut whole = row.levels(Kind::Gauge, true).map_err(StoreError::Failed)?;
        if let Some(sum) = sums.get_mut(&key) {
            whole.merge(sum);
            *sum = whole;
        }
    }
    write_levels(tx, tier, &sums, (series, moments)).await
}

/// Writes roll-ups in the place of those that are there; `keys` are those of `sums`.
pub(super) async fn write_levels(
    tx: &mut Tx,
    tier: Tier,
    sums: &BTreeMap<Key, Levels>,
    keys: (Vec<i32>, Vec<OffsetDateTime>),
) -> Result<(), StoreError> {
    if sums.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "INSERT INTO {} (series, at, samples, sum, min, max, increase, covered_us, sketch)
         SELECT * FROM unnest($1::int[], $2::timestamptz[], $3::bigint[], $4::float8[], $5::float8[], $6::float8[],
            $7::float8[], $8::bigint[], $9::bytea[])
         ON CONFLICT (series, at) DO UPDATE SET samples = excluded.samples, sum = excluded.sum, min = excluded.min,
            max = excluded.max, increase = excluded.increase, covered_us = excluded.covered_us,
            sketch = excluded.sketch",
        table("level", tier)
    );
    let column = |read: fn(&Levels) -> f64| sums.values().map(read).collect::<Vec<f64>>();
    let sketch = |levels: &Levels| match &levels.shape {
        Shape::Sketched(sketch) => Some(sketch.encode()),
        Shape::Constant => None,
        Shape::Left => Some(UNKNOWN.to_vec()),
    };
    sqlx::query(AssertSqlSafe(sql))
        .bind(keys.0)
        .bind(keys.1)
        .bind(sums.values().map(|levels| levels.samples).collect::<Vec<i64>>())
        .bind(column(|levels| levels.sum))
        .bind(column(|levels| levels.min))
        .bind(column(|levels| levels.max))
        .bind(column(|levels| levels.increase))
        .bind(
            sums.values()
                .map(|levels| levels.covered_us)
                .collect::<Vec<i64>>(),
        )
        .bind(sums.values().map(sketch).collect::<Vec<Option<Vec<u8>>>>())
        .execute(tx)
        .await?;
    Ok(())
}

async fn roll_histograms(tx: &mut Tx, tier: Tier, batch: Batch, ids: &[i32]) -> Result<(), StoreError> {
    let rows: Vec<ObservedRow> = sqlx::query_as(
        "SELECT series, at, observed, covered_us, buckets FROM monitoring_histogram_raw
         WHERE series = ANY ($1) AND round > $2 AND round <= $3 AND at >= $4 AND at <= $5
         ORDER BY series, round",
    )
    .bind(ids)
    .bind(batch.after)
    .bind(batch.upto)
    .bind(batch.first_at)
    .bind(batch.last_at)
    .fetch_all(&mut *tx)
    .await?;
    let mut sums: BTreeMap<Key, Observations> = BTreeMap::new();
    for row in rows {
        let key = (row.series, tier.begin(row.at));
        sums.entry(key).or_default().merge(&row.observations());
    }
    sums.retain(|_, sum| !sum.is_empty());
    let (series, moments) = keys(&sums);
    let sql = format!(
        "SELECT series, at, observed, covered_us, buckets FROM {} AS old
         JOIN unnest($1::int[], $2::timestamptz[]) AS new (series, at) USING (series, at)",
        table("histogram", tier)
    );
    let old: Vec<ObservedRow> = sqlx::query_as(AssertSqlSafe(sql))
        .bind(&series)
        .bind(&moments)
        .fetch_all(&mut *tx)
        .await?;
    for row in old {
        let key = (row.series, row.at);
        let mut whole = row.observations();
        if let Some(sum) = sums.get_mut(&key) {
            whole.merge(sum);
            *sum = whole;
        }
    }
    write_histograms(tx, tier, &sums, (series, moments)).await
}

/// The same of histograms.
pub(super) async fn write_histograms(
    tx: &mut Tx,
    tier: Tier,
    sums: &BTreeMap<Key, Observations>,
    keys: (Vec<i32>, Vec<OffsetDateTime>),
) -> Result<(), StoreError> {
    if sums.is_empty() {
        return Ok(());
    }
    // Arrays of arrays are none to PostgreSQL unless all have one length, so the inner ones go as texts.
    let sql = format!(
        "INSERT INTO {} (series, at, observed, covered_us, buckets)
         SELECT series, at, observed, covered_us, buckets::bigint[]
         FROM unnest($1::int[], $2::timestamptz[], $3::float8[], $4::bigint[], $5::text[])
            AS new (series, at, observed, covered_us, buckets)
         ON CONFLICT (series, at) DO UPDATE SET observed = excluded.observed, covered_us = excluded.covered_us,
            buckets = excluded.buckets",
        table("histogram", tier)
    );
    let buckets = |seen: &Observations| {
        let counts: Vec<String> = seen.buckets.iter().map(ToString::to_string).collect();
        (!counts.is_empty()).then(|| format!("{{{}}}", counts.join(",")))
    };
    sqlx::query(AssertSqlSafe(sql))
        .bind(keys.0)
        .bind(keys.1)
        .bind(sums.values().map(|seen| seen.observed).collect::<Vec<f64>>())
        .bind(sums.values().map(|seen| seen.covered_us).collect::<Vec<i64>>())
        .bind(sums.values().map(buckets).collect::<Vec<Option<String>>>())
        .execute(tx)
        .await?;
    Ok(())
}

fn keys<P>(sums: &BTreeMap<Key, P>) -> (Vec<i32>, Vec<OffsetDateTime>) {
    sums.keys().copied().unzip()
}
