//! What the metrics say of sagas.

use emporium_service_kit::metrics::{self, Metrics};
use time::Duration;

/// Counts and times of sagas.
pub struct Measures {
    ended: prometheus::IntCounterVec,
    seconds: prometheus::HistogramVec,
    owing: prometheus::IntGauge,
}

impl Measures {
    /// Registers them.
    pub fn new(registry: &Metrics) -> Self {
        let ended = metrics::counter(
            "emporium_orders_ended_total",
            "Orders that ended, by outcome.",
            &["outcome"],
        );
        let seconds = metrics::seconds(
            "emporium_orders_duration_seconds",
            "Time from placing an order to its end.",
            &["outcome"],
        );
        let owing = metrics::gauge(
            "emporium_orders_owing",
            "Ended orders that still owe something to another service.",
        );
        Self {
            ended: registry.register(ended),
            seconds: registry.register(seconds),
            owing: registry.register(owing),
        }
    }

    /// An order ended. `outcome` is `confirmed` or one of the reasons, a closed list.
    pub fn ended(&self, outcome: &str, took: Duration) {
        self.ended.with_label_values(&[outcome]).inc();
        self.seconds
            .with_label_values(&[outcome])
            .observe(took.as_seconds_f64());
    }

    /// How many ended orders owe something.
    pub fn owing(&self, count: i64) {
        self.owing.set(count);
    }
}
