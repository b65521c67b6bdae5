//! An owner of events: its outbox, its relay and its history, as in its service; without the service.
//!
//! The rows of orders and payments themselves are not written: it is events that are measured.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use emporium_event_bus::history::serve_page;
use emporium_event_bus::{NewEvent, Outbox};
use emporium_service_kit::{Db, Environment};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// One of them.
pub struct Owner {
    /// Where it serves its history.
    pub url: String,
    db: Db,
    outbox: Outbox,
    relay: JoinHandle<anyhow::Result<()>>,
    server: JoinHandle<std::io::Result<()>>,
}

impl Owner {
    /// Makes its tables and starts its relay and its history.
    pub async fn start(environment: &Environment) -> anyhow::Result<Self> {
        let outbox = Outbox::open(environment).await?;
        let bus = emporium_event_bus::open(environment).await?;
        let relay = tokio::spawn(outbox.clone().relay(bus, environment.shutdown.clone()));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let history = Arc::new(outbox.clone());
        let page = get(move |query| {
            let history = history.clone();
            async move { serve_page(&history, query).await }
        });
        let stop = environment.shutdown.clone();
        let served = axum::serve(listener, Router::new().route("/events", page))
            .with_graceful_shutdown(async move { stop.cancelled().await });
        Ok(Self {
            url,
            db: environment.db()?,
            outbox,
            relay,
            server: tokio::spawn(served.into_future()),
        })
    }

    /// Writes events in a transaction of their own, and wakes the relay.
    pub async fn write(&self, events: &[NewEvent]) -> anyhow::Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        let mut tx = self.db.begin().await?;
        self.outbox.write(&mut tx, events).await?;
        tx.commit().await?;
        self.outbox.wake();
        Ok(())
    }

    /// Events that are not on the bus yet. Fails when the relay has ended.
    pub async fn unpublished(&self) -> anyhow::Result<i64> {
        anyhow::ensure!(!self.relay.is_finished(), "a relay has ended");
        Ok(self.outbox.unpublished().await?)
    }

    /// Waits for its tasks, which end when the environment is shut down.
    pub async fn end(self) {
        let _ = self.relay.await;
        self.server.abort();
        self.db.pool().close().await;
    }
}
