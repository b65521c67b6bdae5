//! The expressions that answer questions: each row of the table at [`As`] in PromQL. How exact each is: the documentation's
//! chapter about this store.

use super::copied::{brought_by, own};
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

/// The end of a step for which the server has collected by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Own {
    /// Which points.
    pub tier: Tier,
    /// How long it is, in seconds.
    pub part_s: i64,
}

/// The beginning of a step of which a move has brought the hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    /// Which of those that there are.
    pub generation: i32,
    /// How long it is, in seconds.
    pub part_s: i64,
}

/// What ranges are like.
#[derive(Debug, Clone, Copy)]
pub struct Ranges {
    /// What of a step the server has by itself, if anything.
    pub own: Option<Own>,
    /// What of it was brought, if anything.
    pub moved: Option<Moved>,
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
    fn range(self, part_s: i64) -> String {
        if self.is_left_open {
            format!("{part_s}s")
        } else {
            format!("{}ms", part_s * 1_000 - 1)
        }
    }

    /// Of hours: which, in which range, and how long before the end of the step that ends.
    fn hours(self) -> impl Iterator<Item = (String, String, String)> {
        let moved = self.moved.map(|moved| {
            let after_s = self.step_s - moved.part_s;
            let offset = if after_s > 0 {
                format!(" offset {after_s}s")
            } else {
                String::new()
            };
            (brought_by(moved.generation), self.range(moved.part_s), offset)
        });
        let own_hours = self.own.filter(|part| part.tier == Tier::Hour);
        let own_hours = own_hours.map(|part| (own(), self.range(part.part_s), String::new()));
        moved.into_iter().chain(own_hours)
    }

    /// The part that is answered from points as they were scraped, in seconds.
    fn points(self) -> Option<i64> {
        self.own
            .filter(|part| part.tier == Tier::Raw)
            .map(|part| part.part_s)
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

/// Those of what the rules recorded of it, or a move brought: `origin` says which.
pub fn recorded(asked: Asked<'_>, part: &str, what: &str, origin: &str) -> String {
    let comma = if asked.matchers.is_empty() { "" } else { "," };
    let (metric, matchers) = (&asked.question.metric, asked.matchers);
    format!("hour:{what}{{metric=\"{metric}{part}\",{origin}{comma}{matchers}}}")
}

/// Of each series of a gauge: least, greatest, sum or count of its points in a step.
fn over(asked: Asked<'_>, what: &str, ranges: Ranges) -> String {
    // Counts of hours add up.
    let pooled = if what == "count" { "sum" } else { what };
    let hours = ranges.hours().map(|(origin, range, offset)| {
        let hours = recorded(asked, "", what, &origin);
        format!("{pooled}_over_time({hours}[{range}]{offset})")
    });
    let points = ranges.points().map(|part_s| {
        let range = ranges.range(part_s);
        format!("{what}_over_time({}[{range}])", selector(asked, ""))
    });
    either(hours.chain(points))
}

/// All of these series: those of hours that were brought have a job of their own, so none of them is another one of them.
fn either(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<String>>().join(" or ")
}

/// By how much each series grew in a part of a step that is answered from hours.
fn hours_grown(asked: Asked<'_>, part: &str, ranges: Ranges) -> impl Iterator<Item = String> {
    ranges.hours().map(move |(origin, range, offset)| {
        let hours = recorded(asked, part, "increase", &origin);
        format!("sum_over_time({hours}[{range}]{offset})")
    })
}

fn points_grown(asked: Asked<'_>, part: &str, ranges: Ranges, part_s: i64) -> String {
    let anchored = if ranges.is_exact { " anchored" } else { "" };
    let range = ranges.range(part_s);
    format!("increase({}[{range}]{anchored})", selector(asked, part))
}

/// By how much each series grew in a step.
fn grown(asked: Asked<'_>, part: &str, ranges: Ranges) -> String {
    let points = ranges.points();
    let points = points.map(|part_s| points_grown(asked, part, ranges, part_s));
    either(hours_grown(asked, part, ranges).chain(points))
}

/// The same, but nothing where there is nothing to compare with: of a series' first point the server says that it grew by 0.
fn increase(asked: Asked<'_>, part: &str, ranges: Ranges) -> String {
    let Some(part_s) = ranges.points().filter(|_| ranges.is_exact) else {
        return grown(asked, part, ranges);
    };
    let (range, series) = (ranges.range(part_s), selector(asked, part));
    let before = format!(
        "last_over_time({series}[{}s] offset {part_s}s)",
        ranges.look_back_s
    );
    let grown = points_grown(asked, part, ranges, part_s);
    let points = format!("({grown} and (count_over_time({series}[{range}]) > 1 or {before}))");
    either(hours_grown(asked, part, ranges).chain([points]))
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;

    const RANGES: Ranges = Ranges {
        own: Some(Own {
            tier: Tier::Raw,
            part_s: 60,
        }),
        moved: None,
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
            own: Some(Own {
                tier: Tier::Hour,
                part_s: 7_200,
            }),
            step_s: 7_200,
            ..RANGES
        };
        let moved = Ranges {
            own: None,
            moved: Some(Moved {
                generation: 3,
                part_s: 7_200,
            }),
            ..hours
        };
        let both = Ranges {
            own: Some(Own {
                tier: Tier::Raw,
                part_s: 3_600,
            }),
            moved: Some(Moved {
                generation: 3,
                part_s: 3_600,
            }),
            ..hours
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
                "sum by (service) (sum_over_time(hour:increase{metric=\"m_sum\",job!~\"emporium-moved-.*\",a!=\"?\"}[7200s]))",
            ),
            (
                Kind::Gauge,
                As::Max,
                moved,
                "max by (service) (max_over_time(hour:max{metric=\"m\",job=\"emporium-moved-3\",a!=\"?\"}[7200s]))",
            ),
            (
                Kind::Counter,
                As::Increase,
                both,
                "sum by (service) (sum_over_time(hour:increase{metric=\"m\",job=\"emporium-moved-3\",a!=\"?\"}[3600s] offset 3600s) or \
                 (increase(m{a!=\"?\"}[3600s] anchored) and (count_over_time(m{a!=\"?\"}[3600s]) > 1 or \
                 last_over_time(m{a!=\"?\"}[300s] offset 3600s))))",
            ),
            (
                Kind::Gauge,
                As::Avg,
                hours,
                "sum by (service) (sum_over_time(hour:sum{metric=\"m\",job!~\"emporium-moved-.*\",a!=\"?\"}[7200s])) / sum by (service) \
                 (sum_over_time(hour:count{metric=\"m\",job!~\"emporium-moved-.*\",a!=\"?\"}[7200s]))",
            ),
        ] {
            assert_eq!(text(kind, how, ranges), wanted);
        }
    }
}
