//! The hours in a Prometheus as a move sees them: those that its rules make, and those that a move has brought, which are the
//! same series under a job of their own. Nothing can be removed, so each time when they are to be brought anew, the job has
//! another name, and what is of an earlier one is nobody's any more.

use std::collections::BTreeMap;

use async_trait::async_trait;
use emporium_event_bus::projection::Digest;
use emporium_moving::{Copied, Keys, Record};
use emporium_service_kit::StoreError;
use time::{Duration, OffsetDateTime};

use super::answer::{Matrix, NAME, Row};
use super::client::{LOOK_TIMEOUT, Request};
use super::names::kind_of;
use super::remote_write::Point;
use super::{PrometheusMonitoring, RULES_LATE, TICK, seconds};
use crate::exposition::is_metric_name;
use crate::model::{Kind, Labels};
use crate::number::{count, float};
use crate::store::hours::{
    self, ADDED, Entries, Exact, Facts, HourKey, Listed, PAGE, by_hour, digests, entries,
};
use crate::store::ledger::{Brought, HOUR_S, Ledger, Role, hour_of};

/// What the jobs of copied hours begin with.
pub const MOVED: &str = "emporium-moved";
/// What the server notes of each scrape of a service that the list of targets names; of others, such as itself, it has no such label.
const SCRAPED: &str = "up{service!=\"\"}";
/// Points that are written at once.
const WRITTEN_MAX: usize = 2_000;
/// How much is looked at once for the next hour with anything in it, and for the first own scrape.
const STRIDE: Duration = Duration::days(10);
/// Within that time from an hour's end on the rules may not have made all of it.
const RULES_DONE: Duration = Duration::seconds(120);

/// The job of hours that were brought when the store was emptied for the so-manieth time.
pub fn job(generation: i32) -> String {
    format!("{MOVED}-{generation}")
}

/// The matcher of the hours that a move has brought.
pub fn brought_by(generation: i32) -> String {
    format!("job=\"{}\"", job(generation))
}

/// The matcher of the hours that the server's rules have made.
pub fn own() -> String {
    format!("job!~\"{MOVED}-.*\"")
}

/// The hours of a server.
pub struct PrometheusHours {
    store: PrometheusMonitoring,
    ledger: Ledger,
}

impl PrometheusHours {
    /// Those of this server, of which the ledger says which ones are moved.
    pub fn new(store: PrometheusMonitoring, ledger: Ledger) -> Self {
        Self { store, ledger }
    }

    /// The hours that are moved. Outside of a move there are none: a move throws nothing away here.
    async fn span(&self) -> Result<Option<Brought>, StoreError> {
        match self.ledger.role().await? {
            Role::None => Ok(None),
            Role::Target(brought) => Ok(Some(brought)),
            Role::Source(brought) => {
                if self.ledger.now() < brought.own_since + RULES_DONE {
                    let text = "the rules make the last hour within two minutes after it; waiting for that";
                    return Err(StoreError::Unavailable(text.into()));
                }
                Ok(Some(brought))
            }
        }
    }

    /// The matcher of what answers questions about this hour.
    async fn origin(&self, hour: OffsetDateTime) -> Result<String, StoreError> {
        let brought = if let Role::Target(brought) = self.ledger.role().await? {
            Some(brought)
        } else {
            let brought = self.ledger.brought().await?;
            brought.filter(|brought| hour < brought.own_since)
        };
        Ok(brought.map_or_else(own, |brought| brought_by(brought.generation)))
    }

    async fn query(
        &self,
        query: &str,
        masked: &str,
        when: &[(&'static str, String)],
    ) -> Result<Matrix, StoreError> {
        let mut parameters = vec![("query", query.to_owned())];
        parameters.extend_from_slice(when);
        let is_range = when.len() > 1;
        let request = Request {
            operation: if is_range { "query_range" } else { "query" },
            path: if is_range {
                "api/v1/query_range"
            } else {
                "api/v1/query"
            },
            parameters: &parameters,
            text: masked,
            timeout: LOOK_TIMEOUT,
        };
        Ok(self.store.client.evaluate(request, Matrix::points).await?)
    }

    /// The points of an hour, those that the rules have made after it among them.
    async fn points(&self, hour: OffsetDateTime, matchers: &str) -> Result<Vec<Row>, StoreError> {
        let at = hour + Duration::HOUR + RULES_LATE;
        let query = format!(
            "{{__name__=~\"hour:.+\",{},{matchers}}}[1h]",
            self.origin(hour).await?
        );
        let when = [("time", seconds(at))];
        let masked = "{__name__=~\"hour:.+\",metric=~\"?\"}[1h]";
        Ok(self.query(&query, masked, &when).await?.result)
    }

    /// The ends of the hours of this span in which there is anything of what the expression selects.
    async fn known(
        &self,
        selected: &str,
        from: OffsetDateTime,
        to: OffsetDateTime,
        late: Duration,
    ) -> Result<Vec<OffsetDateTime>, StoreError> {
        let query = format!("group(last_over_time({selected}[1h]))");
        let when = [
            ("start", seconds(from + Duration::HOUR + late)),
            ("end", seconds(to + late)),
            ("step", HOUR_S.to_string()),
        ];
        let matrix = self.query(&query, &query, &when).await?;
        let rows = matrix.result.iter().flat_map(Row::points);
        Ok(rows.map(|(at, _)| at - late).collect())
    }

    /// Since when the server has scraped without an hour's absence, to the hour; the present one where it has not.
    async fn own_since(&self) -> Result<OffsetDateTime, StoreError> {
        let present = hour_of(self.ledger.now());
        let oldest = present.saturating_sub(Duration::days(crate::question::SPAN_DAYS_MAX));
        let mut since = present;
        let mut to = present;
        while to > oldest {
            let from = to.saturating_sub(STRIDE).max(oldest);
            let mut ends = self.known(SCRAPED, from, to, -TICK).await?;
            ends.sort_unstable();
            while ends.last() == Some(&since) {
                ends.pop();
                since -= Duration::HOUR;
            }
            if since > from {
                break;
            }
            to = from;
        }
        Ok(since)
    }
}

/// The labels of a point that is written, in the order of their names.
fn series(name: &str, metric: &str, labels: &Labels, added: &[(&str, &str)]) -> Vec<(String, String)> {
    let all = [("__name__", name), ("metric", metric)];
    let all = all
        .iter()
        .chain(added)
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let mut all: Vec<(String, String)> = all.chain(labels.clone()).collect();
    all.sort();
    all
}

/// A bound as the server spells those that it scrapes: a whole number has a fraction.
fn bound(le: f64) -> String {
    if le.fract() == 0.0 {
        format!("{le:.1}")
    } else {
        le.to_string()
    }
}

/// The points that say this of a metric's series. They have the last moment of their hour.
fn points_of(key: &HourKey, labels: &Labels, facts: &Facts, job: &str) -> Vec<Point> {
    let at = key.at() + Duration::HOUR - TICK;
    let metric = key.metric.as_str();
    let moved = ("job", job);
    let point = |series, value| Point { series, at, value };
    match facts {
        Facts::Gauge {
            samples,
            sum,
            min,
            max,
        } => [
            ("hour:count", float(*samples)),
            ("hour:sum", sum.0),
            ("hour:min", min.0),
            ("hour:max", max.0),
        ]
        .into_iter()
        .map(|(name, value)| point(series(name, metric, labels, &[moved]), value))
        .collect(),
        Facts::Counter(increase) => {
            vec![point(
                series("hour:increase", metric, labels, &[moved]),
                increase.0,
            )]
        }
        Facts::Histogram { bounds, buckets, sum } => {
            // Histograms that differ by their bounds alone stay apart.
            let bounds: Vec<String> = bounds.iter().map(|le| bound(le.0)).collect();
            let apart = ("instance", bounds.join(" "));
            let apart = (apart.0, apart.1.as_str());
            let part = |end: &str, le: Option<&str>, value: f64| {
                let mut added = vec![moved, apart];
                added.extend(le.map(|le| ("le", le)));
                point(
                    series("hour:increase", &format!("{metric}{end}"), labels, &added),
                    value,
                )
            };
            let mut total = 0;
            let mut all = Vec::with_capacity(buckets.len() + 2);
            let bounds = bounds.iter().map(String::as_str).chain(["+Inf"]);
            for (le, more) in bounds.zip(buckets) {
                total += more;
                all.push(part("_bucket", Some(le), float(total)));
            }
            all.push(part("_count", None, float(total)));
            all.push(part("_sum", None, sum.0));
            all
        }
    }
}

/// What is told of a series: by what was recorded of it, and its bound.
type Parts = BTreeMap<(String, String), f64>;

/// The records of an hour's points. `is_wanted`: of which metrics.
fn records(rows: &[Row], begin: i64, wanted: &[String]) -> Result<Vec<Record>, StoreError> {
    // By metric (with its end, where it is a histogram's), then by series.
    let mut found: BTreeMap<String, BTreeMap<Labels, Parts>> = BTreeMap::new();
    for row in rows {
        let mut labels = row.labels_as_kept().clone();
        let (Some(name), Some(metric)) = (labels.remove(NAME), labels.remove("metric")) else {
            continue;
        };
        let Some((_, value)) = row.points().last() else {
            continue;
        };
        let le = labels.remove("le").unwrap_or_default();
        let what = name.trim_start_matches("hour:").to_owned();
        let of = found.entry(metric).or_default();
        of.entry(labels).or_default().insert((what, le), value);
    }
    let mut records = Vec::new();
    for metric in wanted {
        let mut all = Entries::default();
        let is_there = |name: &str| found.contains_key(name);
        match kind_of(metric, is_there) {
            Some(Kind::Histogram) => {
                let sums = found.get(&format!("{metric}_sum"));
                for (labels, parts) in found.get(&format!("{metric}_bucket")).into_iter().flatten() {
                    let sum = sums.and_then(|sums| sums.get(labels));
                    let sum = sum.and_then(increase).unwrap_or_default();
                    if let Some(facts) = histogram(parts, sum) {
                        all.add(plain(labels), facts);
                    }
                }
            }
            Some(kind) => {
                for (labels, parts) in found.get(metric).into_iter().flatten() {
                    let facts = match kind {
                        Kind::Counter => increase(parts).map(|grown| Facts::Counter(Exact(grown))),
                        _ => gauge(parts),
                    };
                    if let Some(facts) = facts {
                        all.add(plain(labels), facts);
                    }
                }
            }
            None => {}
        }
        let metric = metric.clone();
        records.extend(all.record(&HourKey { begin, metric })?);
    }
    Ok(records)
}

/// A series' labels as its service has them.
fn plain(labels: &Labels) -> Labels {
    let own = labels.iter().filter(|(name, _)| !ADDED.contains(&name.as_str()));
    own.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn part(parts: &Parts, what: &str) -> Option<f64> {
    parts.get(&(what.to_owned(), String::new())).copied()
}

fn increase(parts: &Parts) -> Option<f64> {
    part(parts, "increase")
}

fn gauge(parts: &Parts) -> Option<Facts> {
    let samples = count(part(parts, "count")?.round()).filter(|samples| *samples > 0)?;
    Some(Facts::Gauge {
        samples,
        sum: Exact(part(parts, "sum")?),
        min: Exact(part(parts, "min")?),
        max: Exact(part(parts, "max")?),
    })
}

/// Increases by bound as counts of their own. The server tells of each bucket by itself that it began anew, and servers that
/// estimate tell of parts of an observation: so that no bucket has fewer than none, and each a whole number.
fn histogram(parts: &Parts, sum: f64) -> Option<Facts> {
    let mut totals = Vec::with_capacity(parts.len());
    for ((_, le), total) in parts {
        totals.push((le.parse::<f64>().ok()?, *total));
    }
    totals.sort_by(|one, other| one.0.total_cmp(&other.0));
    if totals.last().is_none_or(|(le, _)| *le != f64::INFINITY) {
        return None;
    }
    let mut below = 0;
    let mut buckets = Vec::with_capacity(totals.len());
    for (_, total) in &totals {
        let total = count(total.round()).unwrap_or(below).max(below);
        buckets.push(total - below);
        below = total;
    }
    totals.pop();
    Some(Facts::Histogram {
        bounds: totals.iter().map(|(le, _)| Exact(*le)).collect(),
        buckets,
        sum: Exact(sum),
    })
}

/// The metrics that series of these names are of.
fn metrics_of(names: &std::collections::BTreeSet<String>) -> Vec<String> {
    let wholes = names.iter().filter_map(|name| name.strip_suffix("_bucket"));
    let all: std::collections::BTreeSet<&str> = wholes.chain(names.iter().map(String::as_str)).collect();
    let is_there = |name: &str| names.contains(name);
    all.into_iter()
        .filter(|name| kind_of(name, is_there).is_some())
        .map(str::to_owned)
        .collect()
}

#[async_trait]
impl Listed for PrometheusHours {
    async fn metrics_of(&self, hour: OffsetDateTime, after: &str) -> Result<Vec<String>, StoreError> {
        let origin = self.origin(hour).await?;
        let query = format!(
            "group by (metric) (last_over_time({{__name__=~\"hour:(count|increase)\",{origin}}}[1h]))"
        );
        let at = seconds(hour + Duration::HOUR + RULES_LATE);
        // A range of one step, since its answer has the form of all others here.
        let when = [("start", at.clone()), ("end", at), ("step", HOUR_S.to_string())];
        let matrix = self.query(&query, &query, &when).await?;
        let names = matrix
            .result
            .iter()
            .filter_map(|row| row.labels_as_kept().get("metric").cloned())
            .collect();
        let mut metrics = metrics_of(&names);
        metrics.retain(|metric| metric.as_str() > after && is_metric_name(metric));
        Ok(metrics)
    }

    async fn next_hour(
        &self,
        from: OffsetDateTime,
        to: OffsetDateTime,
    ) -> Result<Option<OffsetDateTime>, StoreError> {
        let mut begin = from;
        while begin < to {
            // Where what was brought ends, the server's own hours begin.
            let mut end = begin.saturating_add(STRIDE).min(to);
            if let Some(brought) = self.ledger.brought().await?
                && begin < brought.own_since
            {
                end = end.min(brought.own_since);
            }
            let selected = format!(
                "{{__name__=~\"hour:(count|increase)\",{}}}",
                self.origin(begin).await?
            );
            let ends = self.known(&selected, begin, end, RULES_LATE).await?;
            if let Some(first) = ends.into_iter().min() {
                return Ok(Some(first - Duration::HOUR));
            }
            begin = end;
        }
        Ok(None)
    }
}

#[async_trait]
impl Copied for PrometheusHours {
    fn page(&self) -> usize {
        PAGE
    }

    async fn digests(&self) -> Result<Option<Vec<Digest>>, StoreError> {
        digests(self).await.map(Some)
    }

    async fn keys(&self, after: Option<&str>, max: usize) -> Result<Keys, StoreError> {
        match self.span().await? {
            Some(brought) => hours::keys(self, (brought.first_at, brought.own_since), after, max).await,
            None => Ok(Keys::default()),
        }
    }

    async fn read(&self, keys: &[String]) -> Result<Vec<Record>, StoreError> {
        let mut read = Vec::with_capacity(keys.len());
        for (begin, mut metrics) in by_hour(keys)? {
            // Others are no names, and stand in no expression.
            metrics.retain(|metric| is_metric_name(metric));
            let metric = String::new();
            let hour = HourKey { begin, metric }.at();
            let matchers = format!("metric=~\"(?:{})(?:_bucket|_sum)?\"", metrics.join("|"));
            let rows = self.points(hour, &matchers).await?;
            read.extend(records(&rows, begin, &metrics)?);
        }
        Ok(read)
    }

    async fn put(&self, records: &[Record]) -> Result<(), StoreError> {
        let Role::Target(brought) = self.ledger.role().await? else {
            let text = "the store is not being filled, so nothing is written to it";
            return Err(StoreError::Failed(text.into()));
        };
        let job = job(brought.generation);
        let mut points = Vec::new();
        for record in records {
            let key = HourKey::read(&record.key)?;
            for entry in entries(record)? {
                points.extend(points_of(&key, &entry.labels, &entry.facts, &job));
            }
            if points.len() >= WRITTEN_MAX {
                self.store.write(&std::mem::take(&mut points)).await?;
            }
        }
        self.store.write(&points).await
    }

    /// The server cannot forget. What was put and is not in the other store any more makes them differ, and then all is brought
    /// anew.
    async fn remove(&self, _: &[String]) -> Result<(), StoreError> {
        Ok(())
    }

    /// What was brought counts no more.
    async fn clear(&self) -> Result<(), StoreError> {
        let (by, begun) = self.ledger.begun().await?;
        let own_since = match begun {
            Some(brought) => brought.own_since,
            None => self.own_since().await?,
        };
        self.ledger.emptied(by, own_since).await
    }
}
