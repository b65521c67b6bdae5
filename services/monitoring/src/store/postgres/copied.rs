//! The hours in PostgreSQL as a move sees them.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use emporium_event_bus::projection::Digest;
use emporium_moving::{Copied, Keys, Record};
use emporium_service_kit::{Db, StoreError, Tx};
use sqlx::AssertSqlSafe;
use sqlx::types::Json;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::history::{levels_sql, observed_sql};
use super::partitions::{FORMS, Partitions, begins, table};
use super::rollup::{LevelRow, ObservedRow, write_histograms, write_levels};
use super::series::{Fresh, write_series};
use super::{Tier, kind_of};
use crate::model::{Kind, Labels, Series};
use crate::store::hours::{
    self, Entries, Exact, Facts, HourKey, Listed, PAGE, by_hour, digests, entries, is_portable,
};
use crate::store::ledger::{HOUR_S, Ledger, Role, hour_of};
use crate::summary::{Levels, Observations, Shape};

/// How much is looked at once for the next hour with anything in it, and removed at once.
const STRIDE: Duration = Duration::days(30);
/// How long emptying a table waits for whoever reads it.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '3s'";
/// All that was collected, and up to where: what is collected from here on begins with nothing to compare with, so nothing that
/// was counted before counts in it. Whoever writes just now is waited for, and writes nothing more under the number he has.
const FORGET: [&str; 4] = [
    "UPDATE monitoring_lease SET holder = NULL, until = NULL, round = round + 1",
    "TRUNCATE monitoring_level_raw, monitoring_histogram_raw, monitoring_level_minute, monitoring_histogram_minute,
        monitoring_level_hour, monitoring_histogram_hour",
    "DELETE FROM monitoring_round",
    "UPDATE monitoring_cursor SET round = (SELECT round FROM monitoring_lease)",
];

/// The metrics of an hour: those with a roll-up, and those with points that are in none yet.
const METRICS: &str = "
    SELECT DISTINCT metric COLLATE \"C\" FROM monitoring_series WHERE metric COLLATE \"C\" > $2 AND id IN (
        SELECT series FROM monitoring_level_hour WHERE at = $1
        UNION ALL SELECT series FROM monitoring_histogram_hour WHERE at = $1
        UNION ALL SELECT series FROM monitoring_level_raw WHERE at >= $1 AND at < $1 + interval '1 hour'
            AND round > (SELECT round FROM monitoring_cursor WHERE tier = 'hour')
        UNION ALL SELECT series FROM monitoring_histogram_raw WHERE at >= $1 AND at < $1 + interval '1 hour'
            AND round > (SELECT round FROM monitoring_cursor WHERE tier = 'hour'))
    ORDER BY 1";

/// The first moment of a roll-up, or of a point that is in none yet.
const NEXT: &str = "
    SELECT min(at) FROM (
        SELECT min(at) AS at FROM monitoring_level_hour WHERE at >= $1 AND at < $2
        UNION ALL SELECT min(at) FROM monitoring_histogram_hour WHERE at >= $1 AND at < $2
        UNION ALL SELECT min(at) FROM monitoring_level_raw WHERE at >= $1 AND at < $2
            AND round > (SELECT round FROM monitoring_cursor WHERE tier = 'hour')
        UNION ALL SELECT min(at) FROM monitoring_histogram_raw WHERE at >= $1 AND at < $2
            AND round > (SELECT round FROM monitoring_cursor WHERE tier = 'hour')) AS first";

/// A series with its number.
type Numbered = (i32, String, String, Json<Labels>, Option<Vec<f64>>);

/// The hours in a database.
pub struct PostgresHours {
    db: Db,
    ledger: Ledger,
    partitions: Partitions,
}

impl PostgresHours {
    /// Those of this database, of which the ledger says which ones are moved.
    pub fn new(db: Db, ledger: Ledger) -> Self {
        Self {
            db,
            ledger,
            partitions: Partitions::default(),
        }
    }

    /// The hours that are listed: those that are moved, and outside of a move all.
    async fn span(&self) -> Result<(OffsetDateTime, OffsetDateTime), StoreError> {
        match self.ledger.role().await? {
            Role::Source(brought) | Role::Target(brought) => Ok((brought.first_at, brought.own_since)),
            Role::None => {
                let end = hour_of(self.ledger.now()) + Duration::HOUR;
                let mut oldest = Vec::new();
                for tier in [Tier::Hour, Tier::Raw] {
                    for form in FORMS {
                        oldest.extend(begins(&self.db, form, tier).await?.first().copied());
                    }
                }
                let oldest = oldest.into_iter().min();
                let first = oldest.and_then(|begin| OffsetDateTime::from_unix_timestamp(begin).ok());
                Ok((first.map_or(end, hour_of), end))
            }
        }
    }

    async fn series_of(&self, metrics: &[String]) -> Result<HashMap<i32, Series>, StoreError> {
        let rows: Vec<Numbered> = sqlx::query_as(
            "SELECT id, metric, kind, labels, bounds FROM monitoring_series WHERE metric = ANY ($1)",
        )
        .bind(metrics)
        .fetch_all(&self.db)
        .await?;
        let series = rows.into_iter().map(|(id, metric, kind, Json(labels), bounds)| {
            let series = Series {
                metric,
                kind: kind_of(&kind),
                labels,
                bounds: bounds.unwrap_or_default(),
            };
            (id, series)
        });
        Ok(series
            .filter(|(_, series)| is_portable(&series.metric, series.kind, &series.labels))
            .collect())
    }

    async fn rows<R>(&self, sql: String, ids: &[i32], hour: OffsetDateTime) -> Result<Vec<R>, StoreError>
    where
        R: for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow> + Send + Unpin,
    {
        let rows = sqlx::query_as(AssertSqlSafe(sql))
            .bind(ids)
            .bind(hour)
            .bind(hour + Duration::HOUR)
            .bind(i64::MAX)
            .fetch_all(&self.db)
            .await?;
        Ok(rows)
    }

    /// The records of some metrics of an hour.
    async fn read_hour(&self, begin: i64, metrics: &[String]) -> Result<Vec<Record>, StoreError> {
        let series = self.series_of(metrics).await?;
        let key = |metric: &str| HourKey {
            begin,
            metric: metric.to_owned(),
        };
        let hour = key("").at();
        let mut found: BTreeMap<&str, Entries> = BTreeMap::new();
        let mut add = |series: &'_ Series, facts: Facts| {
            // One of those that were asked for.
            if let Some(metric) = metrics.iter().find(|metric| **metric == series.metric) {
                found.entry(metric).or_default().add(series.labels.clone(), facts);
            }
        };
        let ids = |is_histogram: bool| -> Vec<i32> {
            let own = series
                .iter()
                .filter(|(_, one)| (one.kind == Kind::Histogram) == is_histogram);
            own.map(|(id, _)| *id).collect()
        };
        let mut levels: BTreeMap<i32, Levels> = BTreeMap::new();
        let sql = levels_sql(Tier::Hour, false);
        for row in self.rows::<LevelRow>(sql, &ids(false), hour).await? {
            let (id, Some(one)) = (row.series, series.get(&row.series)) else {
                continue;
            };
            let row = row.levels(one.kind, false).map_err(StoreError::Failed)?;
            levels
                .entry(id)
                .or_insert_with(|| Levels::none(false))
                .merge(&row);
        }
        for (id, levels) in levels {
            if let Some((one, facts)) = series
                .get(&id)
                .and_then(|one| Some((one, facts_of(one.kind, &levels)?)))
            {
                add(one, facts);
            }
        }
        let mut seen: BTreeMap<i32, Observations> = BTreeMap::new();
        let sql = observed_sql(Tier::Hour);
        for row in self.rows::<ObservedRow>(sql, &ids(true), hour).await? {
            seen.entry(row.series).or_default().merge(&row.observations());
        }
        for (id, seen) in seen {
            let Some(one) = series.get(&id).filter(|_| !seen.is_empty()) else {
                continue;
            };
            let buckets = if seen.buckets.is_empty() {
                vec![0; one.bounds.len() + 1]
            } else {
                seen.buckets
            };
            let facts = Facts::Histogram {
                bounds: one.bounds.iter().copied().map(Exact).collect(),
                buckets,
                sum: Exact(seen.observed),
            };
            add(one, facts);
        }
        let records = found
            .into_iter()
            .filter_map(|(metric, entries)| entries.record(&key(metric)).transpose());
        records.collect()
    }

    /// Empties partitions of hours that end before this moment, and what lies before it in others.
    async fn remove_before(&self, end: OffsetDateTime) -> Result<(), StoreError> {
        let end_s = end.unix_timestamp();
        for form in FORMS {
            for begin in begins(&self.db, form, Tier::Hour).await? {
                let mut tx = self.db.begin().await?;
                sqlx::query(LOCK_TIMEOUT).execute(&mut tx).await?;
                let name = table(form, Tier::Hour);
                if begin + Tier::Hour.partition_s() <= end_s {
                    sqlx::query(AssertSqlSafe(format!("TRUNCATE {name}_{begin}")))
                        .execute(&mut tx)
                        .await?;
                } else if begin < end_s {
                    sqlx::query(AssertSqlSafe(format!("DELETE FROM {name}_{begin} WHERE at < $1")))
                        .bind(end)
                        .execute(&mut tx)
                        .await?;
                }
                tx.commit().await?;
            }
        }
        Ok(())
    }
}

/// What a roll-up of a gauge or a counter says that others know as well.
fn facts_of(kind: Kind, levels: &Levels) -> Option<Facts> {
    match kind {
        Kind::Counter => (!levels.is_empty()).then_some(Facts::Counter(Exact(levels.increase))),
        _ => (levels.samples > 0).then_some(Facts::Gauge {
            samples: levels.samples,
            sum: Exact(levels.sum),
            min: Exact(levels.min),
            max: Exact(levels.max),
        }),
    }
}

/// Rows that are put: by series and hour.
#[derive(Default)]
struct Rows {
    levels: BTreeMap<(i32, OffsetDateTime), Levels>,
    seen: BTreeMap<(i32, OffsetDateTime), Observations>,
}

impl Rows {
    /// What others do not say is written down as not known: how values are distributed, and which part of the hour it is of; the
    /// increase of an hour is that of the whole hour.
    fn add(&mut self, id: i32, hour: OffsetDateTime, facts: Facts) {
        let whole_us = HOUR_S * 1_000_000;
        match facts {
            Facts::Gauge {
                samples,
                sum,
                min,
                max,
            } => {
                // Equal as numbers: 0 and -0 are.
                #[allow(clippy::float_cmp)]
                let is_constant = min.0 == max.0;
                let levels = Levels {
                    samples,
                    sum: sum.0,
                    min: min.0,
                    max: max.0,
                    shape: if is_constant { Shape::Constant } else { Shape::Left },
                    ..Levels::none(true)
                };
                self.levels.insert((id, hour), levels);
            }
            Facts::Counter(increase) => {
                let levels = Levels {
                    increase: increase.0,
                    covered_us: whole_us,
                    ..Levels::none(true)
                };
                self.levels.insert((id, hour), levels);
            }
            Facts::Histogram { buckets, sum, .. } => {
                let is_any = buckets.iter().any(|count| *count != 0);
                let seen = Observations {
                    observed: sum.0,
                    covered_us: whole_us,
                    buckets: if is_any { buckets } else { Vec::new() },
                };
                self.seen.insert((id, hour), seen);
            }
        }
    }

    async fn write(self, tx: &mut Tx) -> Result<(), StoreError> {
        let keys = self.levels.keys().copied().unzip();
        write_levels(tx, Tier::Hour, &self.levels, keys).await?;
        let keys = self.seen.keys().copied().unzip();
        write_histograms(tx, Tier::Hour, &self.seen, keys).await
    }
}

#[async_trait]
impl Listed for PostgresHours {
    async fn metrics_of(&self, hour: OffsetDateTime, after: &str) -> Result<Vec<String>, StoreError> {
        let metrics = sqlx::query_scalar(METRICS)
            .bind(hour)
            .bind(after)
            .fetch_all(&self.db)
            .await?;
        Ok(metrics)
    }

    async fn next_hour(
        &self,
        from: OffsetDateTime,
        to: OffsetDateTime,
    ) -> Result<Option<OffsetDateTime>, StoreError> {
        let mut begin = from;
        while begin < to {
            let end = begin.saturating_add(STRIDE).min(to);
            let first: Option<OffsetDateTime> = sqlx::query_scalar(NEXT)
                .bind(begin)
                .bind(end)
                .fetch_one(&self.db)
                .await?;
            if let Some(first) = first {
                return Ok(Some(hour_of(first)));
            }
            begin = end;
        }
        Ok(None)
    }
}

#[async_trait]
impl Copied for PostgresHours {
    fn page(&self) -> usize {
        PAGE
    }

    async fn digests(&self) -> Result<Option<Vec<Digest>>, StoreError> {
        digests(self).await.map(Some)
    }

    async fn keys(&self, after: Option<&str>, max: usize) -> Result<Keys, StoreError> {
        hours::keys(self, self.span().await?, after, max).await
    }

    async fn read(&self, keys: &[String]) -> Result<Vec<Record>, StoreError> {
        let mut records = Vec::with_capacity(keys.len());
        for (begin, metrics) in by_hour(keys)? {
            records.extend(self.read_hour(begin, &metrics).await?);
        }
        Ok(records)
    }

    async fn put(&self, records: &[Record]) -> Result<(), StoreError> {
        let mut facts = Vec::new();
        let mut fresh: HashMap<Uuid, Fresh> = HashMap::new();
        for record in records {
            let key = HourKey::read(&record.key)?;
            for entry in entries(record)? {
                let bounds = match &entry.facts {
                    Facts::Histogram { bounds, .. } => bounds.iter().map(|bound| bound.0).collect(),
                    _ => Vec::new(),
                };
                let series = Series {
                    metric: key.metric.clone(),
                    kind: entry.facts.kind(),
                    labels: entry.labels,
                    bounds,
                };
                let fingerprint = series.fingerprint();
                facts.push((fingerprint, key.at(), entry.facts));
                let seen = fresh
                    .entry(fingerprint)
                    .or_insert_with(|| (fingerprint, series, key.at()));
                seen.2 = seen.2.max(key.at());
            }
        }
        let hours = facts.iter().map(|(_, hour, _)| *hour);
        self.partitions.ensure(&self.db, Tier::Hour, hours).await?;
        let mut tx = self.db.begin().await?;
        let fresh: Vec<Fresh> = fresh.into_values().collect();
        let numbers = write_series(&mut tx, &fresh).await?;
        let mut rows = Rows::default();
        for (fingerprint, hour, facts) in facts {
            if let Some(known) = numbers.get(&fingerprint) {
                rows.add(known.id, hour, facts);
            }
        }
        rows.write(&mut tx).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn remove(&self, keys: &[String]) -> Result<(), StoreError> {
        for (begin, metrics) in by_hour(keys)? {
            let metric = String::new();
            let hour = HourKey { begin, metric }.at();
            for form in FORMS {
                let sql = format!(
                    "DELETE FROM {} WHERE at = $1
                     AND series IN (SELECT id FROM monitoring_series WHERE metric = ANY ($2))",
                    table(form, Tier::Hour)
                );
                sqlx::query(AssertSqlSafe(sql))
                    .bind(hour)
                    .bind(&metrics)
                    .execute(&self.db)
                    .await?;
            }
        }
        Ok(())
    }

    /// When a move begins, everything goes; when it begins anew or ends, only what it has brought: what was collected since is
    /// this store's own.
    async fn clear(&self) -> Result<(), StoreError> {
        let (by, begun) = self.ledger.begun().await?;
        if let Some(brought) = begun {
            self.remove_before(brought.own_since).await?;
            return self.ledger.emptied(by, brought.own_since).await;
        }
        // Before it is emptied: what is collected from then on is of this hour, or later.
        let own_since = hour_of(self.ledger.now());
        let mut tx = self.db.begin().await?;
        sqlx::query(LOCK_TIMEOUT).execute(&mut tx).await?;
        for sql in FORGET {
            sqlx::query(sql).execute(&mut tx).await?;
        }
        tx.commit().await?;
        self.ledger.emptied(by, own_since).await
    }
}
