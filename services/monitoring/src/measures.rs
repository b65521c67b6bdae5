//! What the service measures of its own work. It scrapes itself as well, so these are in its answers.

use emporium_service_kit::metrics::{self, Metrics};
use prometheus::{IntCounterVec, IntGauge, IntGaugeVec};

use crate::exposition::Exposition;

/// Counts of scrapes, and of what could not be kept.
#[derive(Clone)]
pub struct Measures {
    scrapes: IntCounterVec,
    left_out: IntCounterVec,
    series: IntGauge,
    pending: IntGaugeVec,
}

/// Label of series that were refused since there are as many as may be.
const TOO_MANY: &str = "too-many-series";

impl Measures {
    /// Registers them.
    pub fn new(registry: &Metrics) -> Self {
        let scrapes = metrics::counter(
            "emporium_monitoring_scrapes_total",
            "Scrapes, by service and what became of them.",
            &["target", "outcome"],
        );
        let left_out = metrics::counter(
            "emporium_monitoring_left_out_total",
            "Samples that could not be kept, by reason.",
            &["reason"],
        );
        let series = metrics::gauge("emporium_monitoring_series", "Series that are kept.");
        let pending = metrics::gauges(
            "emporium_monitoring_pending_rounds",
            "Rounds of scrapes that are not in the roll-ups yet.",
            &["tier"],
        );
        Self {
            scrapes: registry.register(scrapes),
            left_out: registry.register(left_out),
            series: registry.register(series),
            pending: registry.register(pending),
        }
    }

    /// A service was asked. `outcome` is of a closed list.
    pub fn scraped(&self, target: &str, outcome: &'static str) {
        self.scrapes.with_label_values(&[target, outcome]).inc();
    }

    /// What was left out of an answer.
    pub fn left_out(&self, given: &Exposition) {
        for (reason, count) in &given.left {
            self.left_out.with_label_values(&[reason.as_str()]).inc_by(*count);
        }
    }

    /// Series that were refused.
    pub fn refused(&self, count: u64) {
        self.left_out.with_label_values(&[TOO_MANY]).inc_by(count);
    }

    /// How many series there are.
    pub fn series(&self, count: usize) {
        self.series.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// How many rounds wait to be rolled up.
    pub fn pending(&self, tier: &str, rounds: i64) {
        self.pending.with_label_values(&[tier]).set(rounds);
    }
}
