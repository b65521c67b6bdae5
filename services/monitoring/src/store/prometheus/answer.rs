//! What the server answers, and the lines that it becomes.

use std::collections::BTreeMap;

use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer};
use time::{Duration, OffsetDateTime};

use super::selector::HIDDEN;
use crate::model::Labels;
use crate::question::{Line, Windows};

/// The label with a metric's name.
pub const NAME: &str = "__name__";

/// The result of a range query, or of an instant one about a range.
#[derive(Debug, Deserialize)]
pub struct Matrix {
    /// One a series.
    pub result: Vec<Row>,
}

impl Matrix {
    /// How many points there are.
    pub fn points(&self) -> u64 {
        self.result.iter().map(|row| row.values.len() as u64).sum()
    }
}

/// A series with its points.
#[derive(Debug, Deserialize)]
pub struct Row {
    metric: Labels,
    values: Vec<(f64, Number)>,
}

impl Row {
    /// Its labels, without those that Prometheus adds.
    pub fn labels(&self) -> Labels {
        own(self.metric.clone())
    }

    /// Its labels as the server has them.
    pub fn labels_as_kept(&self) -> &Labels {
        &self.metric
    }

    /// Its points that are numbers, in the order of their time.
    pub fn points(&self) -> impl Iterator<Item = (OffsetDateTime, f64)> {
        let points = self.values.iter().filter(|(_, Number(value))| value.is_finite());
        points.map(|(seconds, Number(value))| (moment(*seconds), *value))
    }
}

/// Labels without those that Prometheus adds.
pub fn own(mut labels: Labels) -> Labels {
    labels.retain(|name, _| name != NAME && !HIDDEN.contains(&name.as_str()));
    labels
}

/// A value: a text in JSON, since JSON has no `NaN` and no `+Inf`.
#[derive(Debug, Clone, Copy)]
struct Number(f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Number;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number as text")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Number, E> {
                text.parse().map(Number).map_err(|_| E::custom("no number"))
            }
        }
        deserializer.deserialize_str(Text).map_err(D::Error::custom)
    }
}

/// Moments are of milliseconds.
#[allow(clippy::cast_possible_truncation)] // milliseconds of any year fit
fn moment(seconds: f64) -> OffsetDateTime {
    let ms = (seconds * 1_000.0).round() as i64;
    OffsetDateTime::UNIX_EPOCH.saturating_add(Duration::milliseconds(ms))
}

/// The lines of an answer, of one or two queries about different steps of it.
pub struct Lines {
    windows: Windows,
    lines: BTreeMap<Labels, Vec<Option<f64>>>,
}

impl Lines {
    /// None yet.
    pub fn of(windows: Windows) -> Self {
        Self {
            windows,
            lines: BTreeMap::new(),
        }
    }

    /// Adds an answer, whose points lie `late` after the ends of their steps, less than a step.
    pub fn add(&mut self, matrix: &Matrix, late: Duration) {
        let before = late + Duration::seconds(self.windows.step_s);
        for row in &matrix.result {
            let line = self.lines.entry(row.labels()).or_default();
            line.resize(self.windows.count, None);
            for (at, value) in row.points() {
                if let Some(step) = self.windows.index(at - before) {
                    line[step] = Some(value);
                }
            }
        }
    }

    /// Those of which something is known.
    pub fn finish(self) -> Vec<Line> {
        let lines = self
            .lines
            .into_iter()
            .map(|(labels, values)| Line { labels, values });
        lines
            .filter(|line| line.values.iter().any(Option::is_some))
            .collect()
    }
}
