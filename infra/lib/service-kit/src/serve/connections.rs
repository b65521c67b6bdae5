//! The accept loop: a bounded number of connections, a bounded time for a request's head, and an end that no idle or
//! half-sent connection can hold up.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::IN_FLIGHT_MAX;

/// Connections a service holds at once; others wait in the system's queue. More than it works on, so that those beyond
/// get their 503 and whoever watches the service gets through.
const CONNECTIONS_MAX: usize = IN_FLIGHT_MAX as usize + 256;
/// The most bytes of a request's head, and of a connection's buffer. Bounded with the connections, so is their memory.
const HEAD_BYTES_MAX: usize = 128 * 1024;
/// How long a client may take to send a request's head; also how long a connection may idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long to wait after the system refused a connection (out of file descriptors).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// When connections are to end.
#[derive(Clone)]
pub(super) struct Ends {
    /// Take no new connections, answer what has come, close what is idle.
    pub stop: CancellationToken,
    /// Close everything.
    pub abort: CancellationToken,
}

/// Accepts connections until told to stop. Their tasks are tracked by `tasks`.
pub(super) async fn accept(listener: TcpListener, app: Router, ends: Ends, tasks: TaskTracker) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let next = async {
            let permit = permits.clone().acquire_owned().await.ok()?;
            match listener.accept().await {
                Ok((socket, _)) => Some((socket, permit)),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    None
                }
            }
        };
        tokio::select! {
            () = ends.stop.cancelled() => return,
            accepted = next => {
                if let Some((socket, permit)) = accepted {
                    tasks.spawn(serve(socket, app.clone(), ends.clone(), permit));
                }
            }
        }
    }
}

async fn serve(socket: TcpStream, app: Router, ends: Ends, _permit: OwnedSemaphorePermit) {
    // Small answers must not wait for more to send with them.
    let _ = socket.set_nodelay(true);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(socket), TowerToHyperService::new(app));
    tokio::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = ends.stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        _ = connection => {}
        () = ends.abort.cancelled() => {}
    }
}
