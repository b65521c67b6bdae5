//! What the service counts of itself.

use emporium_service_kit::metrics::{self, Metrics};

use crate::model::Recorded;

/// Counters of activities.
#[derive(Clone)]
pub struct Measures {
    activities: prometheus::IntCounterVec,
}

impl Measures {
    /// Registers them.
    pub fn new(metrics: &Metrics) -> Self {
        let activities = metrics::counter(
            "emporium_analytics_activities_total",
            "Activities of visitors by what became of them.",
            &["outcome"],
        );
        Self {
            activities: metrics.register(activities),
        }
    }

    /// Counts a batch.
    pub fn recorded(&self, recorded: &Recorded) {
        for (outcome, count) in [
            ("recorded", recorded.recorded),
            ("repeated", recorded.repeated),
            ("out_of_time", recorded.out_of_time),
            ("over_limit", recorded.over_limit),
        ] {
            let counter = self.activities.with_label_values(&[outcome]);
            counter.inc_by(u64::try_from(count).unwrap_or_default());
        }
    }
}
