//! Answers questions.

use std::collections::HashMap;

use emporium_service_kit::Db;
use futures::TryStreamExt;
use sqlx::AssertSqlSafe;
use sqlx::types::Json;
use time::OffsetDateTime;

use super::Tier;
use super::partitions::table;
use super::plan::plan;
use super::rollup::{LevelRow, ObservedRow};
use crate::error::Error;
use crate::model::{Kind, Labels};
use crate::question::{As, History, Line, Question, Windows};
use crate::store::folding::{Folding, Part};
use crate::store::grouping::{self, MATCHED_MAX, too_many};

/// Most rows that an answer may be made of.
const ROWS_MAX: i64 = 1_000_000;
/// Nothing is read when there could be so many: series seldom have all the points that they could.
const ROWS_POSSIBLE_MAX: i64 = 4 * ROWS_MAX;
/// Most steps, over all lines, for which sketches are held in memory at once.
const SKETCHES_MAX: usize = 20_000;

/// The series that a question is about, and the lines they make.
struct Matched {
    kind: Kind,
    /// Number of each series' line.
    line_of: HashMap<i32, usize>,
    /// Labels and bounds of each line.
    lines: Vec<(Labels, Vec<f64>)>,
}

/// Answers a question about a metric of this kind. Before `own_since` there are only hours.
pub async fn answer(
    db: &Db,
    question: &Question,
    kind: Kind,
    now: OffsetDateTime,
    own_since: Option<OffsetDateTime>,
) -> Result<History, Error> {
    let (tier, windows) = plan(question, now, own_since)?;
    let matched = matched(db, question, kind, &windows).await?;
    let lines = if matched.line_of.is_empty() {
        Vec::new()
    } else {
        check_work(&matched, question.how, tier, &windows)?;
        read(db, matched, question.how, tier, windows).await?
    };
    Ok(History {
        kind,
        windows,
        resolution: tier.as_str(),
        lines,
    })
}

async fn matched(db: &Db, question: &Question, kind: Kind, windows: &Windows) -> Result<Matched, Error> {
    if !question.how.fits(kind) {
        let how = question.how;
        return Err(Error::NotForKind { kind, how });
    }
    let (names, values): (Vec<&str>, Vec<&str>) = question
        .without
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .unzip();
    let series: Vec<(i32, Json<Labels>, Option<Vec<f64>>)> = sqlx::query_as(
        "SELECT id, labels, bounds FROM monitoring_series
         WHERE metric = $1 AND kind = $2 AND labels @> $3 AND seen_on >= $4
           AND NOT EXISTS (SELECT FROM unnest($6::text[], $7::text[]) AS unwanted (name, value)
                           WHERE labels ->> unwanted.name = unwanted.value)
         ORDER BY labels::text, id LIMIT $5",
    )
    .bind(&question.metric)
    .bind(kind.as_str())
    .bind(Json(&question.labels))
    .bind(windows.from.date())
    .bind(i64::try_from(MATCHED_MAX + 1).unwrap_or(i64::MAX))
    .bind(names)
    .bind(values)
    .fetch_all(db)
    .await?;
    if series.len() > MATCHED_MAX {
        return Err(too_many(series.len(), MATCHED_MAX));
    }
    into_lines(kind, series, question.by.as_deref())
}

/// The lines that series make.
fn into_lines(
    kind: Kind,
    series: Vec<(i32, Json<Labels>, Option<Vec<f64>>)>,
    by: Option<&[String]>,
) -> Result<Matched, Error> {
    let series = series
        .into_iter()
        .map(|(id, Json(labels), bounds)| (id, labels, bounds.unwrap_or_default()));
    let places = grouping::into_lines(series, by)?;
    let mut matched = Matched {
        kind,
        line_of: HashMap::new(),
        lines: Vec::new(),
    };
    for (line, ((labels, bits), ids)) in places.into_iter().enumerate() {
        matched.line_of.extend(ids.into_iter().map(|id| (id, line)));
        matched
            .lines
            .push((labels, bits.into_iter().map(f64::from_bits).collect()));
    }
    Ok(matched)
}

/// Refuses what would clearly be too much before anything is read; of raw points, reading tells.
fn check_work(matched: &Matched, how: As, tier: Tier, windows: &Windows) -> Result<(), Error> {
    let span_s = (windows.to() - windows.from).whole_seconds();
    let series = i64::try_from(matched.line_of.len()).unwrap_or(i64::MAX);
    let rows = (span_s / tier.length_s()).saturating_mul(series);
    let cells = matched.lines.len() * windows.count;
    let is_sketched = matches!(how, As::Quantile(_)) && matched.kind != Kind::Histogram;
    if (tier != Tier::Raw && rows > ROWS_POSSIBLE_MAX) || (is_sketched && cells > SKETCHES_MAX) {
        return Err(Error::TooMuchWork);
    }
    Ok(())
}

async fn read(db: &Db, matched: Matched, how: As, tier: Tier, windows: Windows) -> Result<Vec<Line>, Error> {
    let kind = matched.kind;
    let is_sketched = matches!(how, As::Quantile(_));
    if kind == Kind::Histogram {
        let sql = observed_sql(tier);
        let part = |row: ObservedRow| Ok((row.series, row.at, row.observations()));
        return fold(db, sql, matched, how, windows, part).await;
    }
    let part = move |row: LevelRow| {
        let (series, at) = (row.series, row.at);
        let levels = row
            .levels(kind, is_sketched)
            .map_err(emporium_service_kit::StoreError::Failed)?;
        Ok((series, at, levels))
    };
    fold(db, levels_sql(tier, is_sketched), matched, how, windows, part).await
}

async fn fold<R, P>(
    db: &Db,
    sql: String,
    matched: Matched,
    how: As,
    windows: Windows,
    part: impl Fn(R) -> Result<(i32, OffsetDateTime, P), Error>,
) -> Result<Vec<Line>, Error>
where
    P: Part,
    R: for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow> + Send + Unpin,
{
    let Matched { line_of, lines, .. } = matched;
    let numbers: Vec<i32> = line_of.keys().copied().collect();
    let mut folding = Folding::new(how, windows, lines);
    let mut rows = sqlx::query_as::<_, R>(AssertSqlSafe(sql))
        .bind(numbers)
        .bind(windows.from)
        .bind(windows.to())
        .bind(ROWS_MAX + 1)
        .fetch(db);
    let mut count = 0;
    while let Some(row) = rows.try_next().await? {
        count += 1;
        if count > ROWS_MAX {
            return Err(Error::TooMuchWork);
        }
        let (series, at, part) = part(row)?;
        if let Some(line) = line_of.get(&series) {
            folding.add(series, *line, at, part);
        }
    }
    Ok(folding.finish())
}

/// Raw points after the tier's cursor, or all of them. A raw point has no number of samples: that tells it from a roll-up.
fn raw(columns: &str, form: &str, tier: Tier) -> String {
    let after = match tier {
        Tier::Raw => String::new(),
        _ => format!(
            "AND round > (SELECT round FROM monitoring_cursor WHERE tier = '{}')",
            tier.as_str()
        ),
    };
    let table = table(form, Tier::Raw);
    format!("SELECT {columns} FROM {table} WHERE series = ANY ($1) AND at >= $2 AND at < $3 {after}")
}

/// Roll-ups and the points that are not in them yet, in one statement: it sees each point in one of the two places.
fn whole(rolled: &str, unrolled: &str, form: &str, tier: Tier) -> String {
    let unrolled = raw(unrolled, form, tier);
    let all = match tier {
        Tier::Raw => unrolled,
        _ => format!(
            "SELECT {rolled} FROM {} WHERE series = ANY ($1) AND at >= $2 AND at < $3 UNION ALL {unrolled}",
            table(form, tier)
        ),
    };
    format!("SELECT * FROM ({all}) AS point ORDER BY series LIMIT $4")
}

/// The hours, minutes or points of gauges and counters: `$1` series, `$2` from, `$3` to, `$4` at most.
pub(super) fn levels_sql(tier: Tier, is_sketched: bool) -> String {
    let sketch = if is_sketched {
        "sketch"
    } else {
        "NULL::bytea AS sketch"
    };
    let rolled = format!("series, at, samples, sum, min, max, increase, covered_us, {sketch}");
    let unrolled = "series, at, NULL::bigint AS samples, value AS sum, value AS min, value AS max, increase, covered_us, \
                    NULL::bytea AS sketch";
    whole(&rolled, unrolled, "level", tier)
}

/// The same of histograms.
pub(super) fn observed_sql(tier: Tier) -> String {
    let columns = "series, at, observed, covered_us, buckets";
    whole(columns, columns, "histogram", tier)
}
