//! How often the shop's services asked their stores and each other, from their `/metrics`.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::http::Api;
use crate::process::Shop;

/// Counts of all services together, up to now or within a measurement.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Counters {
    /// Store calls, transaction control included.
    pub store_calls: f64,
    /// Seconds waited for the store, waiting for a free connection included.
    pub store_s: f64,
    /// Calls of one service to another.
    pub service_calls: f64,
}

impl Counters {
    /// Reads them.
    pub fn read(shop: &Shop) -> anyhow::Result<Self> {
        let mut sum = Self::default();
        for url in shop.urls.values() {
            let text = Api::open(url)?.text("GET /metrics", "")?;
            sum.store_calls += total(&text, "emporium_store_call_duration_seconds_count");
            sum.store_s += total(&text, "emporium_store_call_duration_seconds_sum");
            sum.service_calls += total(&text, "emporium_client_call_duration_seconds_count");
        }
        Ok(sum)
    }

    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        Self {
            store_calls: self.store_calls + other.store_calls,
            store_s: self.store_s + other.store_s,
            service_calls: self.service_calls + other.service_calls,
        }
    }

    /// What was added since `before`.
    pub fn since(self, before: Self) -> Self {
        Self {
            store_calls: self.store_calls - before.store_calls,
            store_s: self.store_s - before.store_s,
            service_calls: self.service_calls - before.service_calls,
        }
    }
}

/// The sum of a metric over all its labels.
fn total(text: &str, name: &str) -> f64 {
    let values = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let begins = rest.starts_with('{') || rest.starts_with(' ');
        begins
            .then(|| rest.rsplit(' ').next()?.parse::<f64>().ok())
            .flatten()
    });
    values.sum()
}

/// Mean time of each kind of call of each service since its start, in milliseconds, for finding out where time goes.
pub fn calls_ms(shop: &Shop) -> anyhow::Result<BTreeMap<String, (f64, f64)>> {
    const NAME: &str = "emporium_client_call_duration_seconds";
    let mut calls = BTreeMap::new();
    for (service, url) in &shop.urls {
        let text = Api::open(url)?.text("GET /metrics", "")?;
        for line in text.lines().filter_map(|line| line.strip_prefix(NAME)) {
            let Some((labels, value)) = line.rsplit_once(' ') else {
                continue;
            };
            let Ok(value) = value.parse::<f64>() else { continue };
            let label = |name: &str| labels.split(&format!("{name}=\"")).nth(1)?.split('"').next();
            let (Some(callee), Some(method)) = (label("callee"), label("method")) else {
                continue;
            };
            let entry: &mut (f64, f64) = calls.entry(format!("{service} → {callee} {method}")).or_default();
            if labels.starts_with("_count") {
                entry.0 += value;
            } else if labels.starts_with("_sum") {
                entry.1 += value * 1e3;
            }
        }
    }
    Ok(calls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_summed_over_its_labels_and_not_mixed_up_with_others() {
        let text = "# HELP a_count x\na_count{b=\"c d\"} 2\na_count{b=\"e\"} 3.5\na_counts{b=\"e\"} 100\na_count 1\n";
        assert!((total(text, "a_count") - 6.5).abs() < 1e-9);
    }
}
