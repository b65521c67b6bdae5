//! What the recorder remembers between rounds: the numbers of the series, and each service's last scrape, which is what the
//! next one is compared with. It can be read back from the tables at any time, and is, whenever it is in doubt.

use std::collections::HashMap;

use emporium_service_kit::{Db, StoreError};
use time::{Date, OffsetDateTime};
use uuid::Uuid;

use super::notes::{LEFT_OUT, UP};
use crate::model::Value;

/// What one series adds in a scrape.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// In how much time, in microseconds; `None` when there is nothing to compare with.
    pub covered_us: Option<i64>,
    /// By how much.
    pub grown: Grown,
}

/// By how much a series grew.
#[derive(Debug, Clone, PartialEq)]
pub enum Grown {
    /// A gauge does not grow; or nothing is known.
    Unknown,
    /// A counter.
    By(f64),
    /// A histogram: in each bucket (not cumulative), and in its sum.
    Observed(Vec<i64>, f64),
}

/// A known series.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// Its number.
    pub id: i32,
    /// The day that is noted as the last one it was seen on.
    pub seen_on: Date,
}

/// A service's last scrape that brought readings.
#[derive(Debug, Clone)]
pub struct Previous {
    /// When.
    pub at: OffsetDateTime,
    /// What, by number of the series.
    pub values: HashMap<i32, Value>,
    /// Whether that was all that the service exported. A series that is new now then began with 0.
    pub is_complete: bool,
}

/// Everything that is remembered.
pub struct Memory {
    /// Number of the last round.
    pub round: i64,
    /// Series by fingerprint.
    pub series: HashMap<Uuid, Known>,
    /// Last scrapes by service.
    pub previous: HashMap<String, Previous>,
}

impl Memory {
    /// Reads everything back.
    pub async fn load(db: &Db, round: i64) -> Result<Self, StoreError> {
        let rows: Vec<(i32, Uuid, Date)> =
            sqlx::query_as("SELECT id, fingerprint, seen_on FROM monitoring_series")
                .fetch_all(db)
                .await?;
        let series = rows
            .into_iter()
            .map(|(id, fingerprint, seen_on)| (fingerprint, Known { id, seen_on }))
            .collect();
        Ok(Self {
            round,
            series,
            previous: last_scrapes(db).await?,
        })
    }
}

/// The last scrape of each service that was up, as far as raw points go back.
const LAST: &str = "
    SELECT DISTINCT ON (s.target) s.target, p.at, p.round
    FROM monitoring_series AS s JOIN monitoring_level_raw AS p ON p.series = s.id
    WHERE s.metric = $1 AND p.value = 1
    ORDER BY s.target, p.round DESC";

const LAST_LEVELS: &str = "
    SELECT s.target, s.metric, p.series, p.value
    FROM unnest($1::text[], $2::timestamptz[], $3::bigint[]) AS last (target, at, round)
    JOIN monitoring_series AS s ON s.target = last.target
    JOIN monitoring_level_raw AS p ON p.series = s.id AND p.at = last.at AND p.round = last.round";

const LAST_HISTOGRAMS: &str = "
    SELECT s.target, p.series, p.totals, p.total_sum
    FROM unnest($1::text[], $2::timestamptz[], $3::bigint[]) AS last (target, at, round)
    JOIN monitoring_series AS s ON s.target = last.target
    JOIN monitoring_histogram_raw AS p ON p.series = s.id AND p.at = last.at AND p.round = last.round";

/// When each service was up last, as far as raw points go back: these points are needed for as long as it may come back.
pub async fn last_moments(db: &Db) -> Result<Vec<OffsetDateTime>, StoreError> {
    let last: Vec<(String, OffsetDateTime, i64)> = sqlx::query_as(LAST).bind(UP).fetch_all(db).await?;
    Ok(last.into_iter().map(|(_, at, _)| at).collect())
}

async fn last_scrapes(db: &Db) -> Result<HashMap<String, Previous>, StoreError> {
    let last: Vec<(String, OffsetDateTime, i64)> = sqlx::query_as(LAST).bind(UP).fetch_all(db).await?;
    let mut previous: HashMap<String, Previous> = HashMap::new();
    let (mut targets, mut moments, mut rounds) = (Vec::new(), Vec::new(), Vec::new());
    for (target, at, round) in last {
        let nothing = Previous {
            at,
            values: HashMap::new(),
            is_complete: true,
        };
        previous.insert(target.clone(), nothing);
        targets.push(target);
        moments.push(at);
        rounds.push(round);
    }
    let levels: Vec<(String, String, i32, f64)> = sqlx::query_as(LAST_LEVELS)
        .bind(&targets)
        .bind(&moments)
        .bind(&rounds)
        .fetch_all(db)
        .await?;
    for (target, metric, series, value) in levels {
        let Some(scrape) = previous.get_mut(&target) else {
            continue;
        };
        if metric == LEFT_OUT {
            scrape.is_complete = value == 0.0;
        }
        scrape.values.insert(series, Value::Number(value));
    }
    let histograms: Vec<(String, i32, Vec<i64>, f64)> = sqlx::query_as(LAST_HISTOGRAMS)
        .bind(&targets)
        .bind(&moments)
        .bind(&rounds)
        .fetch_all(db)
        .await?;
    for (target, series, totals, sum) in histograms {
        if let Some(scrape) = previous.get_mut(&target) {
            scrape.values.insert(series, Value::Histogram { totals, sum });
        }
    }
    Ok(previous)
}

/// What a counter or a histogram adds since the scrape before.
///
/// The increase is what was really counted: a value below the one before means that the service began anew, so it counts from
/// 0; and so does a series that a complete scrape before did not have. Only of a service that was never scraped before nothing
/// is known. Where the clock was set back, the increase counts although it took no time.
pub fn step(previous: Option<&Previous>, id: i32, value: &Value, at: OffsetDateTime) -> Step {
    let unknown = Step {
        covered_us: None,
        grown: Grown::Unknown,
    };
    let Some(previous) = previous else {
        return unknown;
    };
    let covered_us = i64::try_from((at - previous.at).whole_microseconds().max(0)).unwrap_or(i64::MAX);
    let grown = match (previous.values.get(&id), value) {
        (None, _) if !previous.is_complete => return unknown,
        (Some(Value::Number(old)), Value::Number(new)) => {
            Grown::By(if new >= old { new - old } else { *new })
        }
        (Some(Value::Histogram { totals, sum: before }), Value::Histogram { totals: new, sum }) => {
            more_in(new, totals).map_or_else(
                || Grown::Observed(apart(new), *sum),
                |more| Grown::Observed(more, sum - before),
            )
        }
        (_, Value::Histogram { totals: new, sum }) => Grown::Observed(apart(new), *sum),
        (_, Value::Number(new)) => Grown::By(*new),
    };
    Step {
        covered_us: Some(covered_us),
        grown,
    }
}

/// Cumulative counts as counts of their own.
fn apart(totals: &[i64]) -> Vec<i64> {
    let below = std::iter::once(&0).chain(totals);
    totals
        .iter()
        .zip(below)
        .map(|(total, below)| total - below)
        .collect()
}

/// What was added to each bucket; `None` when one holds less than before, so that the service began anew.
fn more_in(new: &[i64], old: &[i64]) -> Option<Vec<i64>> {
    let more: Vec<i64> = apart(new)
        .iter()
        .zip(apart(old))
        .map(|(new, old)| new - old)
        .collect();
    (new.len() == old.len() && more.iter().all(|more| *more >= 0)).then_some(more)
}
