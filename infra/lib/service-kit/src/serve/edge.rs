//! What every service has at its edge: bounds, trace context, metrics, log lines, health.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{IN_FLIGHT_MAX, REQUEST_TIMEOUT};
use crate::environment::{CheckMaker, Environment};
use crate::metrics::Metrics;
use crate::trace::TraceContext;
use crate::{Db, Problem, ServiceName};

/// What the edge works with; cloned for every request, so it is one pointer.
#[derive(Clone)]
pub(super) struct Edge(Arc<Inner>);

struct Inner {
    service: ServiceName,
    db: Option<Db>,
    metrics: Metrics,
    shutdown: CancellationToken,
    checks: Vec<(&'static str, CheckMaker)>,
}

impl Edge {
    pub(super) fn new(environment: &Environment, checks: Vec<(&'static str, CheckMaker)>) -> Self {
        Self(Arc::new(Inner {
            service: environment.service,
            db: environment.db.clone(),
            metrics: environment.metrics.clone(),
            shutdown: environment.shutdown.clone(),
            checks,
        }))
    }
}

/// Outermost layer: bounds, trace context, metrics and one log line a failed request.
pub(super) async fn observe(State(edge): State<Edge>, request: Request, next: Next) -> Response {
    let (inner, started) = (edge.0, Instant::now());
    let method = request.method().clone();
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map_or("unmatched", MatchedPath::as_str);
    let context = context_of(&request);
    let guard = InFlight::enter(&inner.metrics.0.in_flight);
    let answer = if guard.is_one_too_many() && !is_for_operators(route) {
        Problem::unavailable("overloaded", "Too many requests at once; try again.").into_response()
    } else {
        let span = tracing::info_span!("request", service = inner.service.as_str(), %method, route);
        context
            .scope(bounded(route, next.run(request)))
            .instrument(span)
            .await
    };
    let status = answer.status();
    if status.is_server_error() {
        tracing::warn!(
            service = inner.service.as_str(), %method, route, status = status.as_u16(),
            trace_id = context.trace_id(), "request failed"
        );
    }
    inner
        .metrics
        .0
        .requests
        .with_label_values(&[method_label(&method), route, status_label(status)])
        .observe(started.elapsed().as_secs_f64());
    answer
}

fn context_of(request: &Request) -> TraceContext {
    let header = request
        .headers()
        .get("traceparent")
        .and_then(|value| value.to_str().ok());
    header
        .and_then(|text| text.parse::<TraceContext>().ok())
        .map_or_else(TraceContext::root, TraceContext::child)
}

/// Whoever watches a service has to get through when it is busy.
fn is_for_operators(route: &str) -> bool {
    matches!(
        route,
        "/health/live" | "/health/ready" | "/metrics" | "/openapi.json"
    )
}

async fn bounded(route: &str, work: impl Future<Output = Response>) -> Response {
    if route.starts_with("/bulk/") {
        return work.await;
    }
    tokio::time::timeout(REQUEST_TIMEOUT, work)
        .await
        .unwrap_or_else(|_| {
            Problem::new(
                StatusCode::GATEWAY_TIMEOUT,
                "timed-out",
                "The answer took too long.",
            )
            .into_response()
        })
}

/// A closed list, since clients may invent methods.
fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        _ => "OTHER",
    }
}

fn status_label(status: StatusCode) -> &'static str {
    match status.as_u16() / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}

struct InFlight(prometheus::IntGauge);

impl InFlight {
    fn enter(gauge: &prometheus::IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }

    fn is_one_too_many(&self) -> bool {
        self.0.get() > i64::from(IN_FLIGHT_MAX)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Answers `GET /metrics`.
pub(super) fn render_metrics(edge: &Edge) -> Response {
    if let Some(db) = &edge.0.db {
        db.record_pool();
    }
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], edge.0.metrics.render()).into_response()
}

/// Answers `GET /health/ready`.
pub(super) async fn readiness(edge: Edge) -> Response {
    let mut failed = serde_json::Map::new();
    if edge.0.shutdown.is_cancelled() {
        failed.insert("shutdown".into(), "stopping".into());
    }
    if let Some(db) = &edge.0.db
        && let Err(error) = db.ping().await
    {
        tracing::warn!(%error, "database does not answer");
        failed.insert("database".into(), "does not answer".into());
    }
    for (name, check) in &edge.0.checks {
        if let Err(reason) = check().await {
            failed.insert((*name).into(), reason.into());
        }
    }
    if failed.is_empty() {
        return Json(serde_json::json!({ "status": "ready" })).into_response();
    }
    Problem::unavailable("not-ready", "Not ready yet.")
        .with("checks", failed)
        .into_response()
}
