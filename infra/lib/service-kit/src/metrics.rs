//! Each service's own metrics registry, in Prometheus text format. A registry is a value, not a global: in one process
//! every service still has its own `/metrics`.

use std::sync::Arc;
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

use crate::ServiceName;

const STORE: &str = "postgresql";
const SECONDS: [f64; 13] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

/// What a statement does: a closed list, so that its counters are looked up once and not at every statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Select,
    Insert,
    Update,
    Delete,
    With,
    Merge,
    Copy,
    Begin,
    Commit,
    Other,
}

impl Operation {
    pub(crate) const ALL: [Self; 10] = [
        Self::Select,
        Self::Insert,
        Self::Update,
        Self::Delete,
        Self::With,
        Self::Merge,
        Self::Copy,
        Self::Begin,
        Self::Commit,
        Self::Other,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Select => "SELECT",
            Self::Insert => "INSERT",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::With => "WITH",
            Self::Merge => "MERGE",
            Self::Copy => "COPY",
            Self::Begin => "BEGIN",
            Self::Commit => "COMMIT",
            Self::Other => "OTHER",
        }
    }
}

/// The metrics that every service has, and the registry for its own. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    registry: Registry,
    pub(crate) requests: HistogramVec,
    pub(crate) in_flight: IntGauge,
    pub(crate) client_calls: HistogramVec,
    pub(crate) pool: IntGaugeVec,
    pub(crate) pool_max: IntGauge,
    statements: Vec<Statement>,
    calls: StoreCalls,
}

/// What is measured of every call to a store, by `store` and `operation`.
struct StoreCalls {
    duration: HistogramVec,
    rows: IntCounterVec,
    errors: IntCounterVec,
}

struct Statement {
    duration: Histogram,
    rows: IntCounter,
    errors: IntCounter,
}

impl Metrics {
    /// A registry for one service; every metric carries `service="<name>"`.
    pub fn new(service: ServiceName) -> Self {
        let labels = [("service".to_owned(), service.as_str().to_owned())].into();
        let registry = Registry::new_custom(None, Some(labels)).unwrap_or_default();
        let operation = ["store", "operation"];
        let duration = add(
            &registry,
            seconds(
                "emporium_store_call_duration_seconds",
                "Time of a call to a store.",
                &operation,
            ),
        );
        let rows = add(
            &registry,
            counter(
                "emporium_store_rows_total",
                "Rows returned by a store.",
                &operation,
            ),
        );
        let errors = add(
            &registry,
            counter("emporium_store_errors_total", "Failed store calls.", &operation),
        );
        let statement = |operation: Operation| {
            let labels = [STORE, operation.as_str()];
            Statement {
                duration: duration.with_label_values(&labels),
                rows: rows.with_label_values(&labels),
                errors: errors.with_label_values(&labels),
            }
        };
        let call = ["callee", "method", "outcome"];
        let (requests, calls) = (
            "emporium_http_request_duration_seconds",
            "emporium_client_call_duration_seconds",
        );
        Self(Arc::new(Inner {
            requests: add(
                &registry,
                seconds(
                    requests,
                    "Time to answer a request.",
                    &["method", "route", "status"],
                ),
            ),
            in_flight: add(
                &registry,
                gauge("emporium_http_requests_in_flight", "Requests being answered."),
            ),
            client_calls: add(
                &registry,
                seconds(calls, "Time of a call to another service.", &call),
            ),
            pool: add(
                &registry,
                gauges("emporium_pool_connections", "PostgreSQL connections.", &["state"]),
            ),
            pool_max: add(
                &registry,
                gauge(
                    "emporium_pool_connections_max",
                    "PostgreSQL connections that there may be.",
                ),
            ),
            statements: Operation::ALL.into_iter().map(statement).collect(),
            calls: StoreCalls {
                duration,
                rows,
                errors,
            },
            registry,
        }))
    }

    /// Adds a service's own metric and hands it back. A second metric of the same name is a bug, so it is logged.
    pub fn register<C: Collector + Clone + 'static>(&self, metric: C) -> C {
        add(&self.0.registry, metric)
    }

    /// Everything in Prometheus text format 0.0.4.
    pub fn render(&self) -> String {
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.0.registry.gather(), &mut text) {
            tracing::error!(%error, "metrics not rendered");
        }
        String::from_utf8(text).unwrap_or_default()
    }

    /// A call to a store other than PostgreSQL; see [`crate::observe`]. Both labels come from closed lists.
    pub(crate) fn other_store_call(
        &self,
        labels: [&'static str; 2],
        took: Duration,
        rows: u64,
        failed: bool,
    ) {
        let calls = &self.0.calls;
        calls
            .duration
            .with_label_values(&labels)
            .observe(took.as_secs_f64());
        calls.rows.with_label_values(&labels).inc_by(rows);
        if failed {
            calls.errors.with_label_values(&labels).inc();
        }
    }

    pub(crate) fn store_call(&self, operation: Operation, took: Duration, rows: u64, failed: bool) {
        let statement = &self.0.statements[operation as usize];
        statement.duration.observe(took.as_secs_f64());
        statement.rows.inc_by(rows);
        if failed {
            statement.errors.inc();
        }
    }
}

fn add<C: Collector + Clone + 'static>(registry: &Registry, metric: C) -> C {
    if let Err(error) = registry.register(Box::new(metric.clone())) {
        tracing::error!(%error, "metric not registered");
    }
    metric
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
