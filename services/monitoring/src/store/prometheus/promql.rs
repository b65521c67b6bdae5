//! The expressions that answer questions: each row of the table at [`As`] in PromQL. How exact each is: the documentation's
//! chapter about this store.

use super::selector::grouping;
use crate::model::Kind;
use crate::question::{As, Question};

/// Where the points are that an expression is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// As they were scraped.
    Raw,
    /// What the recording rules made of an hour.
    Hour,
}

impl Tier {
    /// As in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Hour => "hour",
        }
    }
}

/// A question whose kind is known, on the way to be asked.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The question.
    pub question: &'a Question,
    /// What its metric measures.
    pub kind: Kind,
    /// The matchers of its labels: as they are, or masked.
    pub matchers: &'a str,
}

/// What ranges are like.
#[derive(Debug, Clone, Copy)]
pub struct Ranges {
    /// Which points.
    pub tier: Tier,
    /// Length of a step, in seconds.
    pub step_s: i64,
    /// How far before a step the point may be that its first increase begins with, in seconds.
    pub look_back_s: i64,
    /// Whether the server has `anchored` ranges.
    pub is_exact: bool,
    /// Whether a range leaves out a point at its very beginning. Where not, it has to be a millisecond shorter.
    pub is_left_open: bool,
}

impl Ranges {
    fn step(self) -> String {
        if self.is_left_open {
            format!("{}s", self.step_s)
        } else {
            format!("{}ms", self.step_s * 1_000 - 1)
        }
    }
}

/// Whether PromQL answers this: it has no word for the points of several series together, nor for rates from point to point.
/// What it does not answer is made of the points themselves.
pub fn is_answered(kind: Kind, how: As) -> bool {
    match kind {
        Kind::Gauge => !matches!(how, As::Quantile(_)),
        Kind::Counter => how.adds_up(),
        Kind::Histogram => true,
    }
}

/// The expression whose value at the end of a step answers a question about the step. Only for what [`is_answered`].
pub fn expression(asked: Asked<'_>, ranges: Ranges) -> String {
    let by = grouping(asked.question.by.as_deref(), false);
    let together = |operator: &str, what: String| format!("{operator} {by} ({what})");
    let sum = |part: &str| together("sum", increase(asked, part, ranges));
    match (asked.kind, asked.question.how) {
        (Kind::Gauge, As::Min) => together("min", over(asked, "min", ranges)),
        (Kind::Gauge, As::Max) => together("max", over(asked, "max", ranges)),
        (Kind::Gauge, As::Sum) => together("sum", over(asked, "sum", ranges)),
        (Kind::Gauge, _) => {
            let (sum, count) = (over(asked, "sum", ranges), over(asked, "count", ranges));
            format!("{} / {}", together("sum", sum), together("sum", count))
        }
        (Kind::Counter, As::Rate) => format!("{} / {}", sum(""), ranges.step_s),
        (Kind::Counter, _) => sum(""),
        (Kind::Histogram, As::Rate) => format!("{} / {}", sum("_count"), ranges.step_s),
        (Kind::Histogram, As::Sum) => sum("_sum"),
        (Kind::Histogram, As::Avg) => format!("{} / {}", sum("_sum"), sum("_count")),
        (Kind::Histogram, As::Quantile(q)) => {
            let by = grouping(asked.question.by.as_deref(), true);
            let buckets = grown(asked, "_bucket", ranges);
            format!("histogram_quantile({q}, sum {by} ({buckets}))")
        }
        (Kind::Histogram, _) => sum("_count"),
    }
}

/// All points of a question's series in the last so many seconds: an instant query gives them as they are.
pub fn points(asked: Asked<'_>, span_s: i64) -> String {
    format!("{}[{span_s}s]", selector(asked, ""))
}

/// The series of one part of a metric.
pub fn selector(asked: Asked<'_>, part: &str) -> String {
    format!("{}{part}{{{}}}", asked.question.metric, asked.matchers)
}

/// Those of what the rules recorded of it.
fn recorded(asked: Asked<'_>, part: &str, what: &str) -> String {
    let comma = if asked.matchers.is_empty() { "" } else { "," };
    let (metric, matchers) = (&asked.question.metric, asked.matchers);
    format!("hour:{what}{{metric=\"{metric}{part}\"{comma}{matchers}}}")
}

/// Of each series of a gauge: least, greatest, sum or count of its points in a step.
fn over(asked: Asked<'_>, what: &str, ranges: Ranges) -> String {
    let step = ranges.step();
    match (ranges.tier, what) {
        (Tier::Raw, _) => format!("{what}_over_time({}[{step}])", selector(asked, "")),
        // Counts of hours add up.
        (Tier::Hour, "count") => format!("sum_over_time({}[{step}])", recorded(asked, "", what)),
        (Tier::Hour, _) => format!("{what}_over_time({}[{step}])", recorded(asked, "", what)),
    }
}

/// By how much each series grew in a step.
fn grown(asked: Asked<'_>, part: &str, ranges: Ranges) -> String {
    let step = ranges.step();
    match ranges.tier {
        Tier::Hour => format!("sum_over_time({}[{step}])", recorded(asked, part, "increase")),
        Tier::Raw => {
            let anchored = if ranges.is_exact { " anchored" } else { "" };
            format!("increase({}[{step}]{anchored})", selector(asked, part))
        }
    }
}

/// The same, but nothing where there is nothing to compare with: of a series' first point the server says that it grew by 0.
fn increase(asked: Asked<'_>, part: &str, ranges: Ranges) -> String {
    let grown = grown(asked, part, ranges);
    if ranges.tier == Tier::Hour || !ranges.is_exact {
        return grown;
    }
    let (step, series) = (ranges.step(), selector(asked, part));
    let before = format!(
        "last_over_time({series}[{}s] offset {}s)",
        ranges.look_back_s, ranges.step_s
    );
    format!("({grown} and (count_over_time({series}[{step}]) > 1 or {before}))")
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;

    const RANGES: Ranges = Ranges {
        tier: Tier::Raw,
        step_s: 60,
        look_back_s: 300,
        is_exact: true,
        is_left_open: true,
    };

    fn text(kind: Kind, how: As, ranges: Ranges) -> String {
        let question = Question {
            metric: "m".to_owned(),
            labels: [].into(),
            without: Vec::new(),
            by: Some(vec!["service".to_owned()]),
            from: OffsetDateTime::UNIX_EPOCH,
            to: OffsetDateTime::UNIX_EPOCH,
            step_s: None,
            how,
        };
        let asked = Asked {
            question: &question,
            kind,
            matchers: "a!=\"?\"",
        };
        expression(asked, ranges)
    }

    #[test]
    fn each_question_has_its_expression() {
        let hours = Ranges {
            tier: Tier::Hour,
            step_s: 7_200,
            ..RANGES
        };
        let old = Ranges {
            is_exact: false,
            is_left_open: false,
            ..RANGES
        };
        for (kind, how, ranges, wanted) in [
            (
                Kind::Gauge,
                As::Max,
                RANGES,
                "max by (service) (max_over_time(m{a!=\"?\"}[60s]))",
            ),
            (
                Kind::Gauge,
                As::Avg,
                old,
                "sum by (service) (sum_over_time(m{a!=\"?\"}[59999ms])) / sum by (service) (count_over_time(m{a!=\"?\"}[59999ms]))",
            ),
            (
                Kind::Counter,
                As::Rate,
                RANGES,
                "sum by (service) ((increase(m{a!=\"?\"}[60s] anchored) and (count_over_time(m{a!=\"?\"}[60s]) > 1 or \
                 last_over_time(m{a!=\"?\"}[300s] offset 60s)))) / 60",
            ),
            (
                Kind::Counter,
                As::Increase,
                old,
                "sum by (service) (increase(m{a!=\"?\"}[59999ms]))",
            ),
            (
                Kind::Histogram,
                As::Quantile(0.5),
                RANGES,
                "histogram_quantile(0.5, sum by (service, le) (increase(m_bucket{a!=\"?\"}[60s] anchored)))",
            ),
            (
                Kind::Histogram,
                As::Sum,
                hours,
                "sum by (service) (sum_over_time(hour:increase{metric=\"m_sum\",a!=\"?\"}[7200s]))",
            ),
            (
                Kind::Gauge,
                As::Avg,
                hours,
                "sum by (service) (sum_over_time(hour:sum{metric=\"m\",a!=\"?\"}[7200s])) / sum by (service) \
                 (sum_over_time(hour:count{metric=\"m\",a!=\"?\"}[7200s]))",
            ),
        ] {
            assert_eq!(text(kind, how, ranges), wanted);
        }
    }
}
