//! What the metrics say of sagas.

use emporium_service_kit::metrics::{self, Metrics};
use time::Duration;

/// Counts and times of sagas.
pub struct Measures {
    ended: prometheus::IntCounterVec,
    seconds: prometheus::HistogramVec,
    owing: prometheus::IntGauge,
    sagas: prometheus::IntGaugeVec,
}

/// The steps at which a saga is not over.
const STEPS: [&str; 7] = [
    "reserve",
    "points",
    "charge",
    "await",
    "commit",
    "settle",
    "compensate",
];
/// Those of them at which the order has ended, and owes something to another service.
const OWING: [&str; 2] = ["settle", "compensate"];

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
        let sagas = metrics::gauges(
            "emporium_orders_sagas",
            "Sagas under way, by the step that is to be done next.",
            &["step"],
        );
        Self {
            ended: registry.register(ended),
            seconds: registry.register(seconds),
            owing: registry.register(owing),
            sagas: registry.register(sagas),
        }
    }

    /// An order ended. `outcome` is `confirmed` or one of the reasons, a closed list.
    pub fn ended(&self, outcome: &str, took: Duration) {
        self.ended.with_label_values(&[outcome]).inc();
        self.seconds
            .with_label_values(&[outcome])
            .observe(took.as_seconds_f64());
    }

    /// How many sagas are at each step; at steps that are not named there are none.
    pub fn steps(&self, counts: &[(String, i64)]) {
        let at = |step: &str| {
            counts
                .iter()
                .filter(|(at, _)| at == step)
                .map(|(_, count)| count)
                .sum()
        };
        for step in STEPS {
            self.sagas.with_label_values(&[step]).set(at(step));
        }
        self.owing.set(OWING.into_iter().map(at).sum());
    }
}
