//! Hours as they are moved to another store: the same text from every one.
//!
//! A record is a metric in an hour, `hour:<second at which it begins>:<metric>`, and says of each series what every store knows
//! of an hour: of a gauge how many values there were, their sum, the least and the greatest; of a counter by how much it grew; of
//! a histogram how many observations there were in each bucket, and their sum. How values were distributed, and for which part
//! of the hour something is known, only some stores know: that is not moved.
//!
//! Numbers are written as the shortest text that is read as the same number, and as text, since not every reader of JSON reads
//! the same number. So nothing is rounded: each store keeps 64-bit numbers, and gives them back as they were.

use std::collections::BTreeMap;

use async_trait::async_trait;
use emporium_event_bus::projection::{Digest, Digester};
use emporium_moving::register::{Journal, Mark};
use emporium_moving::{Copied, Keys, Record};
use emporium_service_kit::StoreError;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;

use super::ledger::HOUR_S;
use crate::model::{Kind, Labels};

/// The kind of the keys.
pub const KIND: &str = "hour";
/// Keys that are copied at a time, about.
pub const PAGE: usize = 200;
/// Hours that are looked into for a page.
pub const HOURS_A_PAGE: usize = 24;
/// Labels that a Prometheus and its configuration add: a service's own ones of these names would not be told from them.
pub const ADDED: [&str; 4] = ["instance", "job", "le", "metric"];
/// What counters' names end with.
pub const COUNTERS: [&str; 3] = ["_total", "_count", "_sum"];

/// What names a record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HourKey {
    /// When the hour begins, in seconds since 1970.
    pub begin: i64,
    /// The metric.
    pub metric: String,
}

impl HourKey {
    /// As it is written.
    pub fn text(&self) -> String {
        format!("{KIND}:{}:{}", self.begin, self.metric)
    }

    /// Reads it.
    pub fn read(text: &str) -> Result<Self, StoreError> {
        let rest = text.strip_prefix(KIND).and_then(|rest| rest.strip_prefix(':'));
        let parts = rest.and_then(|rest| rest.split_once(':'));
        let key = parts.and_then(|(begin, metric)| {
            let begin = begin.parse().ok()?;
            let metric = metric.to_owned();
            Some(Self { begin, metric })
        });
        key.ok_or_else(|| StoreError::Failed(format!("{text:?} names no hour of a metric").into()))
    }

    /// When the hour begins.
    pub fn at(&self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(self.begin).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

/// The metrics that are wanted, by hour.
pub fn by_hour(keys: &[String]) -> Result<BTreeMap<i64, Vec<String>>, StoreError> {
    let mut hours: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    for key in keys {
        let key = HourKey::read(key)?;
        hours.entry(key.begin).or_default().push(key.metric);
    }
    Ok(hours)
}

/// A number that is written as text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exact(pub f64);

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

/// What is known of a series in an hour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Facts {
    /// Of a gauge.
    Gauge {
        /// How many values.
        samples: i64,
        /// Their sum.
        sum: Exact,
        /// The least.
        min: Exact,
        /// The greatest.
        max: Exact,
    },
    /// Of a counter: by how much it grew.
    Counter(Exact),
    /// Of a histogram.
    Histogram {
        /// The bounds of its buckets, without +Inf.
        bounds: Vec<Exact>,
        /// How many observations in each, the last one up to +Inf.
        buckets: Vec<i64>,
        /// Their sum.
        sum: Exact,
    },
}

impl Facts {
    /// What the series is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Gauge { .. } => Kind::Gauge,
            Self::Counter(_) => Kind::Counter,
            Self::Histogram { .. } => Kind::Histogram,
        }
    }

    fn bounds(&self) -> Vec<u64> {
        match self {
            Self::Histogram { bounds, .. } => bounds.iter().map(|bound| bound.0.to_bits()).collect(),
            _ => Vec::new(),
        }
    }

    fn is_finite(&self) -> bool {
        match self {
            Self::Gauge { sum, min, max, .. } => [sum, min, max].iter().all(|one| one.0.is_finite()),
            Self::Counter(one) | Self::Histogram { sum: one, .. } => one.0.is_finite(),
        }
    }

    /// Adds what another series says that cannot be told from this one elsewhere.
    fn add(&mut self, other: &Self) {
        match (self, other) {
            (
                Self::Gauge {
                    samples,
                    sum,
                    min,
                    max,
                },
                Self::Gauge {
                    samples: more,
                    sum: other_sum,
                    min: other_min,
                    max: other_max,
                },
            ) => {
                *samples += more;
                sum.0 += other_sum.0;
                min.0 = min.0.min(other_min.0);
                max.0 = max.0.max(other_max.0);
            }
            (Self::Counter(own), Self::Counter(more)) => own.0 += more.0,
            (
                Self::Histogram { buckets, sum, .. },
                Self::Histogram {
                    buckets: more,
                    sum: other,
                    ..
                },
            ) => {
                for (own, more) in buckets.iter_mut().zip(more) {
                    *own += more;
                }
                sum.0 += other.0;
            }
            _ => {}
        }
    }
}

/// A series in an hour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its labels.
    pub labels: Labels,
    /// What is known of it.
    pub facts: Facts,
}

/// The series of a metric in an hour, in one order.
#[derive(Default)]
pub struct Entries(BTreeMap<(Labels, Kind, Vec<u64>), Facts>);

impl Entries {
    /// Adds a series. Those that not every store can tell apart become one; labels without a value are none.
    pub fn add(&mut self, mut labels: Labels, facts: Facts) {
        labels.retain(|_, value| !value.is_empty());
        if !facts.is_finite() {
            return;
        }
        match self.0.entry((labels, facts.kind(), facts.bounds())) {
            std::collections::btree_map::Entry::Vacant(free) => {
                free.insert(facts);
            }
            std::collections::btree_map::Entry::Occupied(mut there) => there.get_mut().add(&facts),
        }
    }

    /// The record; `None` when there is no series.
    pub fn record(self, key: &HourKey) -> Result<Option<Record>, StoreError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let entries = self.0.into_iter();
        let entries: Vec<Entry> = entries
            .map(|((labels, ..), facts)| Entry { labels, facts })
            .collect();
        Ok(Some(Record {
            key: key.text(),
            content: serde_json::to_string(&entries).map_err(|error| StoreError::Failed(error.into()))?,
            expires_at: None,
        }))
    }
}

/// Reads the content of a record.
pub fn entries(record: &Record) -> Result<Vec<Entry>, StoreError> {
    serde_json::from_str(&record.content).map_err(|error| StoreError::Failed(error.into()))
}

/// Whether every store tells such a series from others, and what it is: Prometheus knows a metric's kind by its name alone.
pub fn is_portable(metric: &str, kind: Kind, labels: &Labels) -> bool {
    let ends = |end: &&str| metric.ends_with(*end);
    let is_named = match kind {
        Kind::Histogram => true,
        Kind::Counter => COUNTERS.iter().any(ends),
        Kind::Gauge => !COUNTERS.iter().any(ends) && !metric.ends_with("_bucket"),
    };
    is_named && !metric.contains(':') && !ADDED.iter().any(|name| labels.contains_key(*name))
}

/// Where a listing goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// In this hour
    pub hour: OffsetDateTime,
    /// behind this metric.
    pub after: String,
}

/// A store's hours, as a listing needs them.
#[async_trait]
pub trait Listed: Send + Sync {
    /// The metrics of an hour behind this one, in order.
    async fn metrics_of(&self, hour: OffsetDateTime, after: &str) -> Result<Vec<String>, StoreError>;

    /// The first hour with anything in it, of those from `from` on and before `to`: of some of them at once.
    async fn next_hour(
        &self,
        from: OffsetDateTime,
        to: OffsetDateTime,
    ) -> Result<Option<OffsetDateTime>, StoreError>;
}

/// A page of the keys of the hours from `first` on and before `end`.
pub async fn keys(
    store: &dyn Listed,
    (first, end): (OffsetDateTime, OffsetDateTime),
    after: Option<&str>,
    max: usize,
) -> Result<Keys, StoreError> {
    let mut cursor = match after {
        Some(text) => {
            let key = HourKey::read(text)?;
            Cursor {
                hour: key.at(),
                after: key.metric,
            }
        }
        None => Cursor {
            hour: first,
            after: String::new(),
        },
    };
    let mut page = Keys::default();
    for _ in 0..HOURS_A_PAGE {
        if cursor.hour >= end {
            return Ok(page);
        }
        let room = max.saturating_sub(page.keys.len()).max(1);
        let metrics = store.metrics_of(cursor.hour, &cursor.after).await?;
        let begin = cursor.hour.unix_timestamp();
        let many = metrics.len();
        page.keys.extend(
            metrics
                .into_iter()
                .take(room)
                .map(|metric| HourKey { begin, metric }.text()),
        );
        if many > room {
            page.next = page.keys.last().cloned();
            return Ok(page);
        }
        let next = cursor.hour + time::Duration::seconds(HOUR_S);
        let hour = if many == 0 && cursor.after.is_empty() {
            store.next_hour(next, end).await?.unwrap_or(end)
        } else {
            next
        };
        cursor = Cursor {
            hour,
            after: String::new(),
        };
        if page.keys.len() >= max {
            break;
        }
    }
    if cursor.hour < end {
        page.next = Some(
            HourKey {
                begin: cursor.hour.unix_timestamp(),
                metric: cursor.after,
            }
            .text(),
        );
    }
    Ok(page)
}

/// The digest of all hours, page by page: nothing is listed twice, so nothing has to be remembered.
pub async fn digests(records: &dyn Copied) -> Result<Vec<Digest>, StoreError> {
    let mut digester = Digester::default();
    let mut after = None;
    loop {
        let page = records.keys(after.as_deref(), PAGE).await?;
        for record in records.read(&page.keys).await? {
            digester.add(&format!("{}\u{1f}{}", record.key, record.content));
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(vec![digester.finish(KIND)]),
        }
    }
}

/// The journal of what nobody writes to: an hour that is over does not change.
pub struct NoJournal;

#[async_trait]
impl Journal for NoJournal {
    async fn note(&self, _: &[String]) -> Result<(), StoreError> {
        Ok(())
    }

    async fn noted(&self, _: usize) -> Result<Vec<Mark>, StoreError> {
        Ok(Vec::new())
    }

    async fn forget(&self, _: &[Mark]) -> Result<(), StoreError> {
        Ok(())
    }

    async fn count(&self) -> Result<i64, StoreError> {
        Ok(0)
    }

    async fn clear(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
