//! Which metrics there are, and what each measures: told by names alone, as naming conventions have them
//! (<https://prometheus.io/docs/practices/naming/>). What services say of their metrics' types the server keeps only while
//! it scrapes them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::client::{CallError, Client, LIST_TIMEOUT, LOOK_TIMEOUT, Request};
use super::copied::brought_by;
use crate::exposition::is_metric_name;
use crate::model::Kind;
use crate::store::Metric;
use crate::store::hours::COUNTERS;

/// What the names of a histogram's parts end with; the first one tells that there is a histogram.
const PARTS: [&str; 3] = ["_bucket", "_count", "_sum"];

/// What a metric of this name measures, given whether it, and a histogram with this name, are there.
pub(super) fn kind_of(name: &str, is_there: impl Fn(&str) -> bool) -> Option<Kind> {
    if is_there(&format!("{name}_bucket")) {
        return Some(Kind::Histogram);
    }
    let of_histogram = |end: &&str| {
        let whole = name.strip_suffix(*end);
        whole.is_some_and(|whole| is_there(&format!("{whole}_bucket")))
    };
    if !is_there(name) || PARTS.iter().any(of_histogram) {
        return None;
    }
    let is_counter = COUNTERS.iter().any(|end| name.ends_with(end));
    Some(if is_counter { Kind::Counter } else { Kind::Gauge })
}

/// What a metric measures; `None` when nobody exports it, and no hour of it was brought here by a move (`brought` is the last
/// one). Names with a colon are those of rules.
pub async fn kind(client: &Client, metric: &str, brought: Option<i32>) -> Result<Option<Kind>, CallError> {
    if !is_metric_name(metric) || metric.contains(':') {
        return Ok(None);
    }
    let wholes = PARTS.iter().filter_map(|end| metric.strip_suffix(end));
    let names: Vec<String> = wholes
        .chain([metric])
        .map(|name| format!("{name}_bucket"))
        .chain([metric.to_owned()])
        .collect();
    let names = names.join("|");
    let path = "api/v1/label/__name__/values";
    let mut found = values(client, path, &format!("{{__name__=~\"{names}\"}}")).await?;
    if let Some(generation) = brought {
        let job = brought_by(generation);
        let text = format!("{{__name__=~\"hour:(count|increase)\",metric=~\"{names}\",{job}}}");
        found.append(&mut values(client, "api/v1/label/metric/values", &text).await?);
    }
    Ok(kind_of(metric, |name| found.contains(name)))
}

/// The values of a label of these series.
async fn values(client: &Client, path: &str, text: &str) -> Result<BTreeSet<String>, CallError> {
    let request = Request {
        operation: "label_values",
        path,
        parameters: &[("match[]", text.to_owned())],
        text,
        timeout: LOOK_TIMEOUT,
    };
    client
        .ask(request, |found: &BTreeSet<_>| found.len() as u64)
        .await
}

/// A series, as far as it is needed to count it.
#[derive(Deserialize)]
struct Named {
    #[serde(rename = "__name__")]
    name: String,
    /// Of which metric it is, where it is one of the rules' names.
    metric: Option<String>,
    le: Option<String>,
}

/// All metrics by name, the first `limit` of them. A histogram is counted by its last buckets. A metric of which there are both
/// points and hours that a move has brought has as many series as the more of them have.
pub async fn list(client: &Client, limit: usize, brought: Option<i32>) -> Result<Vec<Metric>, CallError> {
    let mut counts = counted(&series(client, "{__name__=~\"[^:]+\"}").await?);
    if let Some(generation) = brought {
        let job = brought_by(generation);
        let text = format!("{{__name__=~\"hour:(count|increase)\",{job}}}");
        let mut hours = series(client, &text).await?;
        for series in &mut hours {
            series.name = series.metric.take().unwrap_or_default();
        }
        for (name, count) in counted(&hours) {
            let most = counts.entry(name).or_default();
            *most = count.max(*most);
        }
    }
    Ok(listed(&counts, limit))
}

async fn series(client: &Client, text: &str) -> Result<Vec<Named>, CallError> {
    let request = Request {
        operation: "series",
        path: "api/v1/series",
        parameters: &[("match[]", text.to_owned())],
        text,
        timeout: LIST_TIMEOUT,
    };
    client.ask(request, |found: &Vec<_>| found.len() as u64).await
}

/// How many series there are of each name.
fn counted(found: &[Named]) -> BTreeMap<String, i64> {
    let mut counts: BTreeMap<String, i64> = BTreeMap::new();
    for series in found {
        let is_one = series.le.as_deref().is_none_or(|le| le == "+Inf");
        *counts.entry(series.name.clone()).or_default() += i64::from(is_one);
    }
    counts
}

fn listed(counts: &BTreeMap<String, i64>, limit: usize) -> Vec<Metric> {
    let wholes = counts.keys().filter_map(|name| name.strip_suffix("_bucket"));
    let names: BTreeSet<&str> = wholes.chain(counts.keys().map(String::as_str)).collect();
    let metric = |name: &&str| {
        let kind = kind_of(name, |name| counts.contains_key(name))?;
        let counted = match kind {
            Kind::Histogram => counts.get(&format!("{name}_bucket")),
            _ => counts.get(*name),
        };
        Some(Metric {
            name: (*name).to_owned(),
            kind,
            series: counted.copied().unwrap_or_default(),
        })
    };
    names.iter().filter_map(metric).take(limit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_kind() {
        let there = [
            "h_bucket",
            "h_sum",
            "h_count",
            "s_sum",
            "s_count",
            "s",
            "c_total",
            "g",
            "x_bucket_count",
        ];
        let kind = |name: &str| kind_of(name, |name| there.contains(&name));
        for (name, wanted) in [
            ("h", Some(Kind::Histogram)),
            ("h_bucket", None),
            ("h_sum", None),
            ("h_count", None),
            ("s", Some(Kind::Gauge)),
            ("s_sum", Some(Kind::Counter)),
            ("c_total", Some(Kind::Counter)),
            ("c", None),
            ("g", Some(Kind::Gauge)),
            ("x_bucket_count", Some(Kind::Counter)),
        ] {
            assert_eq!(kind(name), wanted, "{name}");
        }
    }

    #[test]
    fn histograms_are_counted_once() {
        let series = |name: &str, le: Option<&str>| Named {
            name: name.to_owned(),
            metric: None,
            le: le.map(str::to_owned),
        };
        let found = [
            series("h_bucket", Some("1")),
            series("h_bucket", Some("+Inf")),
            series("h_sum", None),
            series("h_count", None),
            series("g", None),
            series("g", None),
        ];
        let listed = |limit| {
            let metrics = listed(&counted(&found), limit).into_iter();
            metrics
                .map(|it| (it.name, it.kind, it.series))
                .collect::<Vec<_>>()
        };
        let g = ("g".to_owned(), Kind::Gauge, 2);
        assert_eq!(listed(9), [g.clone(), ("h".to_owned(), Kind::Histogram, 1)]);
        assert_eq!(listed(1), [g]);
    }
}
