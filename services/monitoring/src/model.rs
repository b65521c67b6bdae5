//! What is kept: series, and the readings that a scrape brings.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// Labels of a series by name, without the metric's own name.
pub type Labels = BTreeMap<String, String>;

/// The label that names the service, whatever the service says of itself.
pub const SERVICE: &str = "service";

/// What a metric measures, as `# TYPE` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A value that goes up and down.
    Gauge,
    /// A count that only grows, and begins anew with its process.
    Counter,
    /// Counts of observations by size, which only grow.
    Histogram,
}

impl Kind {
    /// As in answers and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Histogram => "histogram",
        }
    }
}

/// What there are points of.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The metric's name.
    pub metric: String,
    /// What it measures.
    pub kind: Kind,
    /// Its labels.
    pub labels: Labels,
    /// Upper bounds of a histogram's buckets in ascending order, without +Inf; empty for anything else.
    pub bounds: Vec<f64>,
}

impl Series {
    /// What identifies it: the first half of a SHA-256. Every part is preceded by its length, so that no two series give
    /// the same bytes.
    pub fn fingerprint(&self) -> Uuid {
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        part(self.kind.as_str().as_bytes());
        part(self.metric.as_bytes());
        for (name, value) in &self.labels {
            part(name.as_bytes());
            part(value.as_bytes());
        }
        // After the labels comes an odd part, so that a bound cannot be taken for one.
        part(b"");
        for bound in &self.bounds {
            part(&bound.to_be_bytes());
        }
        let digest = hash.finalize();
        let mut half = [0; 16];
        half.copy_from_slice(&digest[..16]);
        Uuid::from_bytes(half)
    }
}

/// The value of a series in a scrape.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Of a gauge or a counter; finite.
    Number(f64),
    /// Of a histogram.
    Histogram {
        /// How many observations were at most as large as each bound, the last one +Inf: never descending.
        totals: Vec<i64>,
        /// Their sum; finite.
        sum: f64,
    },
}

/// A series with its value in a scrape.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Of what.
    pub series: Series,
    /// How much.
    pub value: Value,
}

/// What became of asking one service for its metrics.
#[derive(Debug, Clone, PartialEq)]
pub struct Scrape {
    /// The service.
    pub target: String,
    /// When it was asked.
    pub at: OffsetDateTime,
    /// How long it took, in seconds.
    pub took_s: f64,
    /// What it said; `None` when there was no answer, or none that can be read.
    pub readings: Option<Vec<Reading>>,
    /// How many samples of the answer were left out, since they cannot be kept.
    pub left_out: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(labels: &[(&str, &str)], bounds: &[f64]) -> Series {
        Series {
            metric: "m".to_owned(),
            kind: Kind::Histogram,
            labels: labels
                .iter()
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
                .collect(),
            bounds: bounds.to_vec(),
        }
    }

    #[test]
    fn different_series_have_different_fingerprints() {
        let all = [
            series(&[], &[]),
            series(&[("a", "b")], &[]),
            series(&[("a", "bc")], &[]),
            series(&[("ab", "c")], &[]),
            series(&[("a", "b"), ("c", "d")], &[]),
            series(&[("a", "b")], &[1.0]),
            series(&[("a", "b")], &[1.0, 2.0]),
            Series {
                kind: Kind::Gauge,
                ..series(&[], &[])
            },
            Series {
                metric: "n".to_owned(),
                ..series(&[], &[])
            },
        ];
        for (n, one) in all.iter().enumerate() {
            for (m, other) in all.iter().enumerate() {
                assert_eq!(
                    one.fingerprint() == other.fingerprint(),
                    n == m,
                    "{one:?} {other:?}"
                );
            }
        }
    }
}
