//! Running a service: listener, layers, background tasks, graceful end.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt;
use axum::{Json, Router, routing};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument;

use crate::environment::{Environment, Service, StartError};
use crate::trace::TraceContext;
use crate::{Problem, auth};

/// The largest body that a handler reads into memory, in bytes. Bulk interfaces stream and are not bound by it.
pub const BODY_BYTES_MAX: usize = 256 * 1024;
/// How long a request may take. Bulk interfaces are not bound by it.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// How many requests a service works on at once; more are refused with 503.
pub const IN_FLIGHT_MAX: i64 = 1_024;
/// How long a stopping service waits for requests and tasks.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// A running service.
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    shutdown: CancellationToken,
    server: JoinHandle<()>,
    tasks: TaskTracker,
    service: &'static str,
}

impl Running {
    /// Stops taking requests, lets those under way end, stops the background tasks. Bounded by [`DRAIN_TIMEOUT`].
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.tasks.close();
        let service = self.service;
        let drained = tokio::time::timeout(DRAIN_TIMEOUT, async {
            if let Err(error) = self.server.await {
                tracing::error!(service, %error, "server ended badly");
            }
            self.tasks.wait().await;
        })
        .await;
        if drained.is_err() {
            tracing::warn!(service, "stopped before everything was drained");
        }
    }
}

/// Binds `address`, with an error that says what to do.
pub async fn listen(address: &str) -> Result<TcpListener, StartError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| StartError::Listen {
            address: address.to_owned(),
            source,
        })
}

/// Starts a built service on a bound listener.
pub fn start(environment: &Environment, service: Service, listener: TcpListener) -> std::io::Result<Running> {
    let address = listener.local_addr()?;
    let name = environment.service.as_str();
    let tasks = TaskTracker::new();
    for (task, make) in service.tasks.clone() {
        tasks.spawn(supervise(name, task, make, environment.shutdown.clone()));
    }
    let app = app(environment, service);
    let stop = environment.shutdown.clone();
    let listener = listener.tap_io(|socket| {
        let _ = socket.set_nodelay(true);
    });
    let server = tokio::spawn(async move {
        let served = axum::serve(listener, app)
            .with_graceful_shutdown(stop.cancelled_owned())
            .await;
        if let Err(error) = served {
            tracing::error!(service = name, %error, "server failed");
        }
    });
    Ok(Running {
        address,
        shutdown: environment.shutdown.clone(),
        server,
        tasks,
        service: name,
    })
}

/// The whole application of a service: its routes and what every service serves, behind the common layers.
pub fn app(environment: &Environment, service: Service) -> Router {
    let checks = service.checks;
    let (router, document) = service.router.split_for_parts();
    let edge = Edge {
        environment: environment.clone(),
    };
    let ready = edge.clone();
    let metrics = edge.clone();
    let document: std::sync::Arc<str> = serde_json::to_string(&document).unwrap_or_default().into();
    router
        .route(
            "/openapi.json",
            routing::get(move || async move {
                (
                    [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))],
                    document.to_string(),
                )
            }),
        )
        .route(
            "/health/live",
            routing::get(|| async { Json(serde_json::json!({ "status": "ok" })) }),
        )
        .route(
            "/health/ready",
            routing::get(move || readiness(ready.clone(), checks.clone())),
        )
        .route(
            "/metrics",
            routing::get(move || async move { render_metrics(&metrics) }),
        )
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(
            environment.callers.clone(),
            auth::identify,
        ))
        .layer(CatchPanicLayer::custom(|_| {
            tracing::error!("a handler panicked");
            Problem::internal().into_response()
        }))
        .layer(middleware::from_fn_with_state(edge, observe))
}

#[derive(Clone)]
struct Edge {
    environment: Environment,
}

/// Outermost layer: bounds, trace context, metrics and one log line a failed request.
async fn observe(State(edge): State<Edge>, request: Request, next: Next) -> Response {
    let metrics = &edge.environment.metrics;
    if metrics.in_flight.get() >= IN_FLIGHT_MAX {
        return Problem::unavailable("overloaded", "Too many requests at once; try again.").into_response();
    }
    let _guard = InFlight::enter(&metrics.in_flight);
    let started = Instant::now();
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("unmatched".to_owned(), |p| p.as_str().to_owned());
    let context = request
        .headers()
        .get("traceparent")
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse::<TraceContext>().ok())
        .map_or_else(TraceContext::root, TraceContext::child);
    let span = tracing::info_span!(
        "request", service = edge.environment.service.as_str(), %method, %route, trace_id = context.trace_id()
    );
    let answer = context
        .scope(bounded(&route, next.run(request)))
        .instrument(span.clone())
        .await;
    let status = answer.status();
    if status.is_server_error() {
        span.in_scope(|| tracing::warn!(status = status.as_u16(), "request failed"));
    }
    metrics
        .requests
        .with_label_values(&[method_label(&method), &route, status_label(status)])
        .observe(started.elapsed().as_secs_f64());
    answer
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
fn method_label(method: &axum::http::Method) -> &'static str {
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
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn render_metrics(edge: &Edge) -> Response {
    if let Some(db) = &edge.environment.db {
        db.record_pool();
    }
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], edge.environment.metrics.render()).into_response()
}

type Checks = Vec<(
    &'static str,
    std::sync::Arc<dyn Fn() -> CheckFuture + Send + Sync>,
)>;
type CheckFuture = futures::future::BoxFuture<'static, Result<(), String>>;

async fn readiness(edge: Edge, checks: Checks) -> Response {
    let mut failed = serde_json::Map::new();
    if edge.environment.shutdown.is_cancelled() {
        failed.insert("shutdown".into(), "stopping".into());
    }
    if let Some(db) = &edge.environment.db
        && let Err(error) = db.ping().await
    {
        tracing::warn!(%error, "database does not answer");
        failed.insert("database".into(), "does not answer".into());
    }
    for (name, check) in checks {
        if let Err(reason) = check().await {
            failed.insert(name.into(), reason.into());
        }
    }
    if failed.is_empty() {
        return Json(serde_json::json!({ "status": "ready" })).into_response();
    }
    Problem::unavailable("not-ready", "Not ready yet.")
        .with("checks", failed)
        .into_response()
}

/// Runs a background task for as long as the service runs, starting it again (after 1 s, 2 s, … 30 s) when it ends badly.
async fn supervise(
    service: &'static str,
    task: &'static str,
    make: std::sync::Arc<dyn Fn() -> futures::future::BoxFuture<'static, anyhow::Result<()>> + Send + Sync>,
    stop: CancellationToken,
) {
    let span = tracing::info_span!("task", service, task);
    let mut pause = Duration::from_secs(1);
    while !stop.is_cancelled() {
        let started = Instant::now();
        match tokio::spawn(make().instrument(span.clone())).await {
            Ok(Ok(())) if stop.is_cancelled() => return,
            Ok(Ok(())) => tracing::warn!(service, task, "task ended early; starting it again"),
            Ok(Err(error)) => tracing::warn!(service, task, %error, "task failed; starting it again"),
            Err(error) => tracing::error!(service, task, %error, "task panicked; starting it again"),
        }
        if started.elapsed() > Duration::from_mins(1) {
            pause = Duration::from_secs(1);
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(Duration::from_secs(30)),
        }
    }
}
