//! A query's parameters as a question.

use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use crate::error::Error;
use crate::exposition::{NAME_BYTES_MAX, VALUE_BYTES_MAX, is_label_name, is_metric_name};
use crate::model::Labels;
use crate::question::{As, LABELS_MAX, Question, SPAN_DAYS_MAX, STEPS_MAX, steps};

/// The span when none is asked for.
const SPAN: Duration = Duration::HOUR;

/// A question, and whether it says how points are to be read.
#[derive(Debug)]
pub struct Asked {
    pub question: Question,
    pub is_way_given: bool,
}

/// From when to when, in which steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub from: OffsetDateTime,
    pub to: OffsetDateTime,
    pub step_s: Option<i64>,
}

/// Parameters that may be given once.
#[derive(Default)]
struct Single {
    metric: Option<String>,
    how: Option<String>,
    from: Option<String>,
    to: Option<String>,
    step: Option<String>,
    by: Option<String>,
}

impl Single {
    fn slot(&mut self, name: &str) -> Option<&mut Option<String>> {
        Some(match name {
            "metric" => &mut self.metric,
            "as" => &mut self.how,
            "from" => &mut self.from,
            "to" => &mut self.to,
            "step" => &mut self.step,
            "by" => &mut self.by,
            _ => return None,
        })
    }

    /// Takes a parameter; gives it back when it is none of these.
    fn take(&mut self, name: String, value: String) -> Result<Option<(String, String)>, Error> {
        let Some(slot) = self.slot(&name) else {
            return Ok(Some((name, value)));
        };
        if slot.replace(value).is_some() {
            return Err(Error::invalid(&name, "must be given once"));
        }
        Ok(None)
    }

    fn span(&self, now: OffsetDateTime) -> Result<Span, Error> {
        let to = moment("to", self.to.as_deref())?.unwrap_or(now);
        let from = moment("from", self.from.as_deref())?.unwrap_or_else(|| to.saturating_sub(SPAN));
        if from >= to {
            return Err(Error::invalid("from", "must be before to"));
        }
        if to - from > Duration::days(SPAN_DAYS_MAX) {
            return Err(Error::invalid(
                "from",
                format!("must be at most {SPAN_DAYS_MAX} days before to"),
            ));
        }
        let step_s = self
            .step
            .as_deref()
            .map(|text| step(text, from, to))
            .transpose()?;
        Ok(Span { from, to, step_s })
    }
}

/// Years that times can be written in, asked for and kept; PostgreSQL and RFC 3339 agree on these.
const YEARS: std::ops::RangeInclusive<i32> = 1970..=9998;

fn moment(parameter: &str, text: Option<&str>) -> Result<Option<OffsetDateTime>, Error> {
    let read = |text| OffsetDateTime::parse(text, &Rfc3339).ok();
    let Some(text) = text else { return Ok(None) };
    read(text)
        .map(|at| at.to_offset(time::UtcOffset::UTC))
        .filter(|at| YEARS.contains(&at.year()))
        .map(Some)
        .ok_or_else(|| {
            Error::invalid(
                parameter,
                "write a time such as 2026-01-31T12:00:00Z, from 1970 to 9998",
            )
        })
}

fn step(text: &str, from: OffsetDateTime, to: OffsetDateTime) -> Result<i64, Error> {
    let longest_s = SPAN_DAYS_MAX * 86_400;
    let step_s = text
        .parse()
        .ok()
        .filter(|step_s| (1..=longest_s).contains(step_s));
    let step_s =
        step_s.ok_or_else(|| Error::invalid("step", format!("write whole seconds, 1 to {longest_s}")))?;
    let count = steps(from, to, step_s);
    if count > STEPS_MAX {
        return Err(Error::invalid(
            "step",
            format!("would make {count} steps; there may be {STEPS_MAX}"),
        ));
    }
    Ok(step_s)
}

/// Reads the parameters of a board.
pub fn span(pairs: Vec<(String, String)>, now: OffsetDateTime) -> Result<Span, Error> {
    let mut single = Single::default();
    for (name, value) in pairs {
        if !matches!(&*name, "from" | "to" | "step") {
            return Err(unknown(&name));
        }
        single.take(name, value)?;
    }
    single.span(now)
}

/// Reads the parameters of a question.
pub fn question(pairs: Vec<(String, String)>, now: OffsetDateTime) -> Result<Asked, Error> {
    let (mut single, mut labels, mut without) = (Single::default(), Labels::new(), Vec::new());
    for (name, value) in pairs {
        let Some((name, value)) = single.take(name, value)? else {
            continue;
        };
        if let Some(label) = name.strip_prefix("label.") {
            check_label("label.<name>", label, &value)?;
            if labels.insert(label.to_owned(), value).is_some() {
                return Err(Error::invalid("label.<name>", "must be given once a label"));
            }
        } else if let Some(label) = name.strip_prefix("not.") {
            check_label("not.<name>", label, &value)?;
            without.push((label.to_owned(), value));
        } else {
            return Err(unknown(&name));
        }
    }
    if labels.len().max(without.len()) > LABELS_MAX {
        return Err(Error::invalid(
            "label.<name>",
            format!("must be at most {LABELS_MAX}"),
        ));
    }
    let Span { from, to, step_s } = single.span(now)?;
    let metric = single.metric.unwrap_or_default();
    if metric.len() > NAME_BYTES_MAX || !is_metric_name(&metric) {
        return Err(Error::invalid(
            "metric",
            "write a metric's name, such as emporium_consumer_lag",
        ));
    }
    let how = single.how.as_deref().map(str::parse::<As>).transpose();
    let how = how.map_err(|problem| Error::invalid("as", problem.to_string()))?;
    let by = single.by.as_deref().map(by).transpose()?;
    Ok(Asked {
        question: Question {
            metric,
            labels,
            without,
            by,
            from,
            to,
            step_s,
            how: how.unwrap_or(As::Avg),
        },
        is_way_given: how.is_some(),
    })
}

fn check_label(parameter: &str, name: &str, value: &str) -> Result<(), Error> {
    if name.len() > NAME_BYTES_MAX || !is_label_name(name) {
        return Err(Error::invalid(parameter, "this is no label's name"));
    }
    if value.len() > VALUE_BYTES_MAX || value.chars().any(char::is_control) {
        return Err(Error::invalid(parameter, "no label has such a value"));
    }
    Ok(())
}

/// An empty list puts all series into one line.
fn by(text: &str) -> Result<Vec<String>, Error> {
    let names: Vec<String> = text
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    let is_name = |name: &String| name.len() <= NAME_BYTES_MAX && is_label_name(name);
    if names.len() > LABELS_MAX || !names.iter().all(is_name) {
        return Err(Error::invalid(
            "by",
            format!("write at most {LABELS_MAX} labels' names, separated by commas"),
        ));
    }
    Ok(names)
}

/// A name is shown only when it can be one.
fn unknown(name: &str) -> Error {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    let shown = if name.len() <= 64 && name.bytes().all(is_word) {
        name
    } else {
        "parameter"
    };
    Error::invalid(shown, "there is no such parameter")
}
