//! Running a service: listener, layers, background tasks, graceful end.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, header};
use axum::response::IntoResponse;
use axum::{Json, Router, middleware, routing};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument;

use crate::environment::{Environment, Service, StartError, TaskMaker};
use crate::metrics::Metrics;
use crate::{Problem, auth};

mod connections;
mod edge;
mod stores;
use connections::Ends;
use edge::Edge;

/// The largest body that a handler reads into memory, in bytes. Bulk interfaces stream and are not bound by it.
pub const BODY_BYTES_MAX: usize = 256 * 1024;
/// How long a request may take. Bulk interfaces are not bound by it.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// How many requests a service works on at once; more are refused with 503.
pub const IN_FLIGHT_MAX: u32 = 1_024;
/// The longest pause before a background task that failed is started again: a store that is back is not kept waiting.
pub const RESTART_PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long a stopping service waits for requests and tasks.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(8);

/// How long the last answers may take to leave, once all are given.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// A running service.
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    service: &'static str,
    metrics: Metrics,
    ends: Ends,
    connections: TaskTracker,
    tasks: TaskTracker,
}

impl Running {
    /// Stops taking requests, lets those under way end, stops the background tasks, closes what is left. Bounded by
    /// [`DRAIN_TIMEOUT`].
    pub async fn stop(self) {
        self.ends.stop.cancel();
        self.tasks.close();
        self.connections.close();
        let drained = tokio::time::timeout(DRAIN_TIMEOUT, async {
            self.requests_answered().await;
            self.tasks.wait().await;
        })
        .await;
        if drained.is_err() {
            tracing::warn!(service = self.service, "stopped before everything was drained");
        }
        // An answer is given before it is written: a large one may still be on its way.
        let _ = tokio::time::timeout(FLUSH_TIMEOUT, self.connections.wait()).await;
        self.ends.abort.cancel();
        self.connections.wait().await;
    }

    /// Until every connection is closed, or none has a request under way (half-sent ones are nobody's request yet).
    async fn requests_answered(&self) {
        const LOOK_AGAIN: Duration = Duration::from_millis(20);
        loop {
            tokio::select! {
                () = self.connections.wait() => return,
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
            if self.metrics.0.in_flight.get() == 0 {
                return;
            }
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
    let (tasks, connections) = (TaskTracker::new(), TaskTracker::new());
    for (task, make) in service.tasks.clone() {
        tasks.spawn(supervise(name, task, make, environment.shutdown.clone()));
    }
    let ends = Ends {
        stop: environment.shutdown.clone(),
        abort: CancellationToken::new(),
    };
    let app = app(environment, service);
    connections.spawn(connections::accept(
        listener,
        app,
        ends.clone(),
        connections.clone(),
    ));
    Ok(Running {
        address,
        service: name,
        metrics: environment.metrics.clone(),
        ends,
        connections,
        tasks,
    })
}

/// The whole application of a service: its routes and what every service serves, behind the common layers.
pub fn app(environment: &Environment, service: Service) -> Router {
    let (router, document) = service.router.split_for_parts();
    let stores = stores::routes(environment, service.stores);
    let edge = Edge::new(environment, service.checks);
    let (ready, metrics) = (edge.clone(), edge.clone());
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
            routing::get(move || edge::readiness(ready.clone())),
        )
        .route(
            "/metrics",
            routing::get(move || async move { edge::render_metrics(&metrics) }),
        )
        .merge(stores)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(
            environment.callers.clone(),
            auth::identify,
        ))
        .layer(CatchPanicLayer::custom(|_| {
            tracing::error!("a handler panicked");
            Problem::internal().into_response()
        }))
        .layer(middleware::from_fn_with_state(edge, edge::observe))
}

/// Runs a background task for as long as the service runs, starting it again (after 1 s, 2 s, 4 s, then
/// [`RESTART_PAUSE_MAX`]) when it ends badly.
async fn supervise(service: &'static str, task: &'static str, make: TaskMaker, stop: CancellationToken) {
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
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(RESTART_PAUSE_MAX),
        }
    }
}
