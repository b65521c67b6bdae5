//! Which series a question is about, in PromQL.

use std::fmt::Write;

use crate::exposition::is_label_name;
use crate::question::Question;

/// Labels that Prometheus and its configuration add: no answer has them, and no question can be about them.
pub use crate::store::hours::ADDED as HIDDEN;

/// How label values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    /// As they are: for the server.
    Given,
    /// As `?`: for spans.
    Masked,
}

/// The matchers of a question's labels, between braces; `None` when no series can have such labels.
pub fn matchers(question: &Question, values: Values) -> Option<String> {
    let mut text = String::new();
    for (name, value) in &question.labels {
        // To Prometheus an empty label is none.
        if !is_own(name) || value.is_empty() {
            return None;
        }
        put(&mut text, name, "=", value, values);
    }
    let without = question.without.iter();
    for (name, value) in without.filter(|(name, value)| is_own(name) && !value.is_empty()) {
        put(&mut text, name, "!=", value, values);
    }
    Some(text)
}

/// Whether services' series can have this label.
fn is_own(name: &str) -> bool {
    is_label_name(name) && !HIDDEN.contains(&name)
}

fn put(text: &mut String, name: &str, sign: &str, value: &str, values: Values) {
    let value = match values {
        Values::Given => quoted(value),
        Values::Masked => "\"?\"".to_owned(),
    };
    let comma = if text.is_empty() { "" } else { "," };
    // Writing to a string does not fail.
    let _ = write!(text, "{comma}{name}{sign}{value}");
}

/// As a string of PromQL, <https://prometheus.io/docs/prometheus/latest/querying/basics/#string-literals>.
fn quoted(value: &str) -> String {
    let mut text = String::with_capacity(value.len() + 2);
    text.push('"');
    for sign in value.chars() {
        match sign {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
    text.push('"');
    text
}

/// What series are put together by, `le` as well where buckets are to stay apart: `by (a, b)`, or without what Prometheus adds.
pub fn grouping(by: Option<&[String]>, keeps_le: bool) -> String {
    let Some(by) = by else {
        let le = if keeps_le { "" } else { ", le" };
        return format!("without (instance, job, metric{le})");
    };
    let names = by.iter().map(String::as_str).filter(|name| is_own(name));
    let names: Vec<&str> = names.chain(keeps_le.then_some("le")).collect();
    format!("by ({})", names.join(", "))
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;
    use crate::question::As;

    fn question(labels: &[(&str, &str)], without: &[(&str, &str)]) -> Question {
        let owned = |pair: &(&str, &str)| (pair.0.to_owned(), pair.1.to_owned());
        Question {
            metric: "m".to_owned(),
            labels: labels.iter().map(owned).collect(),
            without: without.iter().map(owned).collect(),
            by: None,
            from: OffsetDateTime::UNIX_EPOCH,
            to: OffsetDateTime::UNIX_EPOCH,
            step_s: None,
            how: As::Avg,
        }
    }

    #[test]
    fn values_end_no_string_and_spans_show_none() {
        let question = question(
            &[("route", "/x\"} or up{a=\"\\\n")],
            &[("service", "secret"), ("job", "x"), ("a", "")],
        );
        assert_eq!(
            matchers(&question, Values::Given).unwrap(),
            "route=\"/x\\\"} or up{a=\\\"\\\\\\n\",service!=\"secret\""
        );
        assert_eq!(
            matchers(&question, Values::Masked).unwrap(),
            "route=\"?\",service!=\"?\""
        );
    }

    #[test]
    fn labels_that_no_series_has_pick_none() {
        for label in [("job", "x"), ("le", "1"), ("a b", "x"), ("a", ""), ("a\"", "x")] {
            assert_eq!(
                matchers(&question(&[label], &[]), Values::Given),
                None,
                "{label:?}"
            );
        }
    }

    #[test]
    fn lines_are_by_labels_of_services() {
        let names = ["service".to_owned(), "job".to_owned(), "a}".to_owned()];
        assert_eq!(grouping(Some(&names), false), "by (service)");
        assert_eq!(grouping(Some(&names), true), "by (service, le)");
        assert_eq!(grouping(Some(&[]), false), "by ()");
        assert_eq!(grouping(None, false), "without (instance, job, metric, le)");
        assert_eq!(grouping(None, true), "without (instance, job, metric)");
    }
}
