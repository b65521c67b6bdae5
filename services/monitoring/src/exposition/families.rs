//! Histograms, put together from their parts.

use std::collections::HashMap;

use super::line::Sample;
use super::{BUCKETS_MAX, Exposition, Left};
use crate::model::{Kind, Labels, Reading, Series, Value};
use crate::number;

/// The label that holds a bucket's upper bound.
const BOUND: &str = "le";

/// Which part of a histogram a sample is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// How many observations were at most as large as its bound.
    Bucket,
    /// The sum of all.
    Sum,
    /// How many there were.
    Count,
}

/// What a sample is.
pub enum Role<'a> {
    /// A series of its own.
    Alone(Kind),
    /// A part of the histogram with this name.
    Part(&'a str, Part),
}

/// By its name and what `# TYPE` lines say. What no line speaks of is taken for a gauge: for those every question has an
/// answer. Of a summary the quantiles are gauges, and sum and count are counters.
pub fn role<'a>(name: &'a str, kinds: &HashMap<&str, &str>) -> Role<'a> {
    let is = |base: &str, kind: &str| kinds.get(base) == Some(&kind);
    for (suffix, part) in [
        ("_bucket", Part::Bucket),
        ("_sum", Part::Sum),
        ("_count", Part::Count),
    ] {
        let Some(base) = name.strip_suffix(suffix) else {
            continue;
        };
        if is(base, "histogram") {
            return Role::Part(base, part);
        }
        if is(base, "summary") && part != Part::Bucket {
            return Role::Alone(Kind::Counter);
        }
    }
    let kind = if is(name, "counter") {
        Kind::Counter
    } else {
        Kind::Gauge
    };
    Role::Alone(kind)
}

/// The parts of one histogram as they come.
#[derive(Default)]
struct Parts {
    /// Bound and cumulative count.
    buckets: Vec<(f64, f64)>,
    sum: Option<f64>,
    count: Option<f64>,
    is_broken: bool,
}

/// Histograms by name and labels (without the bound), in the order of the text.
#[derive(Default)]
pub struct Histograms {
    places: HashMap<(String, Labels), usize>,
    parts: Vec<(String, Labels, Parts)>,
}

impl Histograms {
    /// Adds a part.
    pub fn add(&mut self, family: &str, part: Part, mut sample: Sample) {
        let bound = (part == Part::Bucket)
            .then(|| sample.labels.remove(BOUND))
            .flatten();
        let key = (family.to_owned(), sample.labels);
        let place = *self.places.entry(key.clone()).or_insert_with(|| {
            self.parts.push((key.0, key.1, Parts::default()));
            self.parts.len() - 1
        });
        let parts = &mut self.parts[place].2;
        match part {
            Part::Sum => parts.sum = Some(sample.value),
            Part::Count => parts.count = Some(sample.value),
            Part::Bucket => match bound.and_then(|text| text.parse::<f64>().ok()) {
                Some(bound) if !bound.is_nan() => parts.buckets.push((bound, sample.value)),
                _ => parts.is_broken = true,
            },
        }
    }

    /// Puts them together.
    pub fn finish(self, given: &mut Exposition) {
        for (metric, labels, parts) in self.parts {
            let Some((bounds, totals, sum)) = parts.whole() else {
                given.leave(Left::Histogram);
                continue;
            };
            given.readings.push(Reading {
                series: Series {
                    metric,
                    kind: Kind::Histogram,
                    labels,
                    bounds,
                },
                value: Value::Histogram { totals, sum },
            });
        }
    }
}

impl Parts {
    /// Bounds, cumulative counts and sum; `None` when the parts do not make a histogram.
    fn whole(mut self) -> Option<(Vec<f64>, Vec<i64>, f64)> {
        let sum = self.sum.filter(|sum| sum.is_finite())?;
        if self.is_broken {
            return None;
        }
        self.buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
        if self.buckets.last().is_none_or(|(bound, _)| bound.is_finite()) {
            self.buckets.push((f64::INFINITY, self.count?));
        }
        if self.buckets.len() > BUCKETS_MAX {
            return None;
        }
        let totals: Option<Vec<i64>> = self
            .buckets
            .iter()
            .map(|(_, total)| number::count(*total))
            .collect();
        let totals = totals.filter(|totals| totals.is_sorted())?;
        let mut bounds: Vec<f64> = self.buckets.into_iter().map(|(bound, _)| bound).collect();
        bounds.pop();
        let is_ascending =
            bounds.windows(2).all(|pair| pair[0] < pair[1]) && bounds.iter().all(|b| b.is_finite());
        is_ascending.then_some((bounds, totals, sum))
    }
}
