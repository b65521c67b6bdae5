//! Each service's own metrics registry, in Prometheus text format. A registry is a value, not a global: in one process
//! every service still has its own `/metrics`.

use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::ServiceName;

const SECONDS: [f64; 13] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

/// The metrics that every service has, and the registry for its own.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    pub(crate) requests: HistogramVec,
    pub(crate) in_flight: IntGauge,
    pub(crate) store_calls: HistogramVec,
    pub(crate) store_errors: IntCounterVec,
    pub(crate) store_rows: IntCounterVec,
    pub(crate) client_calls: HistogramVec,
    pub(crate) pool: IntGaugeVec,
}

impl Metrics {
    /// A registry for one service; every metric carries `service="<name>"`.
    pub fn new(service: ServiceName) -> Self {
        let labels = [("service".to_owned(), service.as_str().to_owned())].into();
        let registry = Registry::new_custom(None, Some(labels)).unwrap_or_default();
        let metrics = Self {
            requests: seconds(
                "emporium_http_request_duration_seconds",
                "Time to answer a request.",
                &["method", "route", "status"],
            ),
            in_flight: gauge("emporium_http_requests_in_flight", "Requests being answered."),
            store_calls: seconds(
                "emporium_store_call_duration_seconds",
                "Time of a call to a store.",
                &["store", "operation"],
            ),
            store_errors: counter(
                "emporium_store_errors_total",
                "Failed store calls.",
                &["store", "operation"],
            ),
            store_rows: counter(
                "emporium_store_rows_total",
                "Rows returned by a store.",
                &["store", "operation"],
            ),
            client_calls: seconds(
                "emporium_client_call_duration_seconds",
                "Time of a call to another service.",
                &["callee", "method", "outcome"],
            ),
            pool: gauges(
                "emporium_pool_connections",
                "Store connections.",
                &["store", "state"],
            ),
            registry,
        };
        metrics.register(metrics.requests.clone());
        metrics.register(metrics.in_flight.clone());
        metrics.register(metrics.store_calls.clone());
        metrics.register(metrics.store_errors.clone());
        metrics.register(metrics.store_rows.clone());
        metrics.register(metrics.client_calls.clone());
        metrics.register(metrics.pool.clone());
        metrics
    }

    /// Adds a service's own metric and hands it back. A second metric of the same name is a bug, so it is logged.
    pub fn register<C: Collector + Clone + 'static>(&self, metric: C) -> C {
        if let Err(error) = self.registry.register(Box::new(metric.clone())) {
            tracing::error!(%error, "metric not registered");
        }
        metric
    }

    /// Everything in Prometheus text format 0.0.4.
    pub fn render(&self) -> String {
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "metrics not rendered");
        }
        String::from_utf8(text).unwrap_or_default()
    }

    pub(crate) fn store_call(&self, store: &str, operation: &str, took: Duration, rows: u64, failed: bool) {
        let labels = [store, operation];
        self.store_calls
            .with_label_values(&labels)
            .observe(took.as_secs_f64());
        self.store_rows.with_label_values(&labels).inc_by(rows);
        if failed {
            self.store_errors.with_label_values(&labels).inc();
        }
    }
}

/// A counter; the metric's name and labels are constants of the program.
pub fn counter(name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    valid(IntCounterVec::new(Opts::new(name, help), labels))
}

/// A gauge with labels.
pub fn gauges(name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    valid(IntGaugeVec::new(Opts::new(name, help), labels))
}

/// A gauge without labels.
pub fn gauge(name: &str, help: &str) -> IntGauge {
    valid(IntGauge::new(name, help))
}

/// A histogram of seconds.
pub fn seconds(name: &str, help: &str, labels: &[&str]) -> HistogramVec {
    valid(HistogramVec::new(
        HistogramOpts::new(name, help).buckets(SECONDS.to_vec()),
        labels,
    ))
}

/// Metric definitions are constants: a bad one is found by the first test that starts a service.
#[allow(clippy::expect_used)]
fn valid<T>(metric: Result<T, prometheus::Error>) -> T {
    metric.expect("metric names and labels are valid constants")
}
