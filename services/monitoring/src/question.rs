//! What is asked of the history of a metric, and how it is answered.

use std::str::FromStr;

use time::{Duration, OffsetDateTime};

use crate::model::{Kind, Labels};
use crate::summary::{Levels, Observations};

/// Most steps of an answer.
pub const STEPS_MAX: i64 = 1_000;
/// The longest span that can be asked about, in days: a leap year.
pub const SPAN_DAYS_MAX: i64 = 366;
/// Most series of an answer.
pub const SERIES_MAX: usize = 100;
/// Most labels that an answer is asked for by, or that series are picked by.
pub const LABELS_MAX: usize = 10;

/// How the points of a step become one number.
///
/// | | gauge | counter | histogram |
/// |---|---|---|---|
/// | `rate` | – | increase per second | observations per second |
/// | `increase` | – | increase | observations |
/// | `avg` | mean of the values | mean of the rates from scrape to scrape | mean observation |
/// | `min`, `max` | of the values | of the rates from scrape to scrape | – |
/// | `sum` | of the values | of the rates from scrape to scrape | of what was observed |
/// | `quantile(q)` | of the values | of the rates from scrape to scrape | of the observations |
///
/// Where several series become one, `rate` and `increase` add up; everything else is of the points of all of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum As {
    /// Per second of the time for which something is known.
    Rate,
    /// In all.
    Increase,
    /// The mean.
    Avg,
    /// The least one.
    Min,
    /// The greatest one.
    Max,
    /// The sum.
    Sum,
    /// The quantile, 0 to 1.
    Quantile(f64),
}

/// The text is no way to read points.
#[derive(Debug, thiserror::Error)]
#[error("write rate, increase, avg, min, max, sum or quantile(0.99)")]
pub struct UnknownWay;

impl FromStr for As {
    type Err = UnknownWay;

    fn from_str(text: &str) -> Result<Self, UnknownWay> {
        Ok(match text {
            "rate" => Self::Rate,
            "increase" => Self::Increase,
            "avg" => Self::Avg,
            "min" => Self::Min,
            "max" => Self::Max,
            "sum" => Self::Sum,
            _ => {
                let inside = text
                    .strip_prefix("quantile(")
                    .and_then(|rest| rest.strip_suffix(')'));
                let q = inside.and_then(|q| q.trim().parse().ok());
                Self::Quantile(q.filter(|q| (0.0..=1.0).contains(q)).ok_or(UnknownWay)?)
            }
        })
    }
}

impl std::fmt::Display for As {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rate => f.write_str("rate"),
            Self::Increase => f.write_str("increase"),
            Self::Avg => f.write_str("avg"),
            Self::Min => f.write_str("min"),
            Self::Max => f.write_str("max"),
            Self::Sum => f.write_str("sum"),
            Self::Quantile(q) => write!(f, "quantile({q})"),
        }
    }
}

impl As {
    /// Whether a metric of this kind can be read so.
    pub fn fits(self, kind: Kind) -> bool {
        match kind {
            Kind::Gauge => !matches!(self, Self::Rate | Self::Increase),
            Kind::Counter => true,
            Kind::Histogram => !matches!(self, Self::Min | Self::Max),
        }
    }

    /// Whether each series is read by itself and the results are added up.
    pub fn adds_up(self) -> bool {
        matches!(self, Self::Rate | Self::Increase)
    }

    /// Reads gauges' or counters' points.
    pub fn of_levels(self, levels: &Levels) -> Option<f64> {
        let some = (levels.samples > 0).then_some(levels);
        let value = match self {
            Self::Rate => levels.rate(),
            Self::Increase => (!levels.is_empty()).then_some(levels.increase),
            Self::Avg => levels.mean(),
            Self::Min => some.map(|levels| levels.min),
            Self::Max => some.map(|levels| levels.max),
            Self::Sum => some.map(|levels| levels.sum),
            Self::Quantile(q) => levels.quantile(q),
        };
        value.filter(|value| value.is_finite())
    }

    /// Reads a histogram's points.
    pub fn of_observations(self, seen: &Observations, bounds: &[f64]) -> Option<f64> {
        let some = (!seen.is_empty()).then_some(seen);
        let value = match self {
            Self::Rate => seen.rate(),
            Self::Increase => some.map(|seen| crate::number::float(seen.count())),
            Self::Avg => seen.mean(),
            Self::Sum => some.map(|seen| seen.observed),
            Self::Quantile(q) => seen.quantile(q, bounds),
            Self::Min | Self::Max => None,
        };
        value.filter(|value| value.is_finite())
    }
}

/// A question about a metric's history.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// The metric's name.
    pub metric: String,
    /// Only series with these labels.
    pub labels: Labels,
    /// No series with one of these labels.
    pub without: Vec<(String, String)>,
    /// One line for each combination of these labels; `None`: for each series.
    pub by: Option<Vec<String>>,
    /// From when on.
    pub from: OffsetDateTime,
    /// Until when, at most [`SPAN_DAYS_MAX`] after `from`.
    pub to: OffsetDateTime,
    /// Length of a step, in seconds; `None`: as it suits. At most [`STEPS_MAX`] of them cover the span.
    pub step_s: Option<i64>,
    /// How points are read.
    pub how: As,
}

/// The steps of an answer: from multiples of the step (since 1970, in UTC) to the next ones, the end not included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// Where the first one begins.
    pub from: OffsetDateTime,
    /// How long each is, in seconds; at least 1.
    pub step_s: i64,
    /// How many there are: at most one more than [`STEPS_MAX`], where the span begins within a step.
    pub count: usize,
}

impl Windows {
    /// Those that cover a span.
    pub fn covering(from: OffsetDateTime, to: OffsetDateTime, step_s: i64) -> Self {
        let step_s = step_s.max(1);
        let first = from.unix_timestamp().div_euclid(step_s);
        let whole = to.unix_timestamp() + i64::from(to.microsecond() > 0);
        let last = whole.div_euclid(step_s) + i64::from(whole.rem_euclid(step_s) > 0);
        Self {
            from: OffsetDateTime::from_unix_timestamp(first * step_s).unwrap_or(from),
            step_s,
            count: usize::try_from(last - first).unwrap_or(0),
        }
    }

    /// Where the last one ends.
    pub fn to(&self) -> OffsetDateTime {
        let length = i64::try_from(self.count)
            .unwrap_or(i64::MAX)
            .saturating_mul(self.step_s);
        self.from.saturating_add(Duration::seconds(length))
    }

    /// In which one a moment lies.
    pub fn index(&self, at: OffsetDateTime) -> Option<usize> {
        let after_s = (at - self.from)
            .whole_microseconds()
            .div_euclid(1_000_000 * i128::from(self.step_s));
        usize::try_from(after_s).ok().filter(|index| *index < self.count)
    }
}

/// One line of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// What it is of.
    pub labels: Labels,
    /// One value a step; `None` where nothing is known.
    pub values: Vec<Option<f64>>,
}

/// The answer to a [`Question`].
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    /// What the metric measures.
    pub kind: Kind,
    /// The steps.
    pub windows: Windows,
    /// How far apart the points are that the answer was made of, in the store's words.
    pub resolution: &'static str,
    /// In the order of their labels; none of which nothing is known.
    pub lines: Vec<Line>,
}

/// How many steps of this length cover the span, an incomplete one included.
pub fn steps(from: OffsetDateTime, to: OffsetDateTime, step_s: i64) -> i64 {
    let span_us = (to - from).whole_microseconds().max(0);
    let step_us = i128::from(step_s.max(1)) * 1_000_000;
    i64::try_from((span_us + step_us - 1) / step_us).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ways_are_read_and_written() {
        for text in [
            "rate",
            "increase",
            "avg",
            "min",
            "max",
            "sum",
            "quantile(0.99)",
            "quantile(0)",
            "quantile(1)",
        ] {
            assert_eq!(text.parse::<As>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "Rate",
            "p99",
            "quantile",
            "quantile()",
            "quantile(2)",
            "quantile(-0.1)",
            "quantile(NaN)",
            "quantile(inf)",
            "quantile(0.5",
            "quantile(0.5))",
            "rate()",
        ] {
            assert!(text.parse::<As>().is_err(), "{text}");
        }
    }

    proptest! {
        /// The windows cover the span, and each moment of it lies in exactly the window that holds it.
        #[test]
        fn windows_cover_the_span(from_us in -10i64.pow(15)..10i64.pow(16), span_us in 0..10i64.pow(13),
            step_s in 10_000..100_000i64, part in 0.0..1.0f64)
        {
            let at = |us: i64| OffsetDateTime::from_unix_timestamp_nanos(i128::from(us) * 1_000).unwrap();
            let (from, to) = (at(from_us), at(from_us + span_us));
            let windows = Windows::covering(from, to, step_s);
            prop_assert!(windows.from <= from && windows.to() >= to);
            prop_assert!(from - windows.from < Duration::seconds(step_s));
            prop_assert!(windows.to() - to < Duration::seconds(step_s));
            #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
            let moment = at(from_us + (span_us as f64 * part * 0.999) as i64);
            if span_us > 0 {
                let index = windows.index(moment).unwrap();
                let begin = windows.from + Duration::seconds(step_s * i64::try_from(index).unwrap());
                prop_assert!(begin <= moment && moment < begin + Duration::seconds(step_s));
            }
            prop_assert_eq!(windows.index(windows.to()), None);
            prop_assert_eq!(windows.index(windows.from - Duration::microseconds(1)), None);
        }
    }
}
