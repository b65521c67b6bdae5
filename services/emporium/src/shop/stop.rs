//! The end of the shop, within one deadline: container engines and service managers kill after ten seconds.

use std::time::Duration;

use emporium_service_kit::ServiceName;
use emporium_service_kit::serve::Running;
use futures::FutureExt;
use futures::future::{BoxFuture, join, join_all, ready};
use tokio::time::{Instant, timeout_at};

use super::Shop;
use crate::provision::{self, Target};
use crate::terminal::note;
use crate::{Error, running};

// From the signal on. Whoever is done earlier makes room for the next.

/// Nobody watches any more.
const UNWATCHED: Duration = Duration::from_secs(1);
/// The gateway has answered what came in, as long as nobody waits for a slow checkout.
const ANSWERED: Duration = Duration::from_secs(3);
/// Orders has told those who wait for a checkout to look again later, and its running sagas have come to a commit.
const SAGAS_REST: Duration = Duration::from_secs(6);
/// The other services are drained.
const DRAINED: Duration = Duration::from_secs(7);
/// The connections to the databases are closed.
const DISCONNECTED: Duration = Duration::from_millis(7_500);
/// The database server has written everything.
const STOPPED: Duration = Duration::from_secs(9);

impl Shop {
    /// Drains and stops: monitoring first, which would tell of all others that they are down, then the gateway, so that nothing
    /// new comes in, then orders with its running sagas, then the
    /// rest, at last the database server.
    pub async fn stop(self) -> Result<(), Error> {
        let begun = Instant::now();
        self.dir.remove(running::FILE);
        self.shutdown.cancel();
        // The server writes most of what it has to while the services drain: on the first run that can be seconds' work.
        let early = tokio::spawn(provision::checkpoint(&Target::new(&self.server, &self.keys)));
        stop_services(self.services, begun).await;
        let disconnected = async {
            if let Some(trimmer) = self.trimmer {
                let _ = trimmer.await;
            }
            join_all(self.pools.iter().map(|db| db.pool().close())).await;
        };
        if timeout_at(begun + DISCONNECTED, disconnected).await.is_err() {
            tracing::warn!("stopped before every connection was closed");
        }
        let pid = self.server.pid();
        let stopped = timeout_at(begun + STOPPED, self.server.stop_async()).await;
        early.abort();
        if stopped.is_err() {
            note(format_args!(
                "PostgreSQL (process {pid}) is still writing and ends by itself; the next start waits for it."
            ));
        }
        stopped.unwrap_or(Ok(())).map_err(Error::from)
    }
}

async fn stop_services(services: Vec<(ServiceName, Running)>, begun: Instant) {
    let (mut monitoring, mut gateway, mut orders, mut others) = (None, None, None, Vec::new());
    for (name, running) in services {
        match name {
            ServiceName::Monitoring => monitoring = Some(running),
            ServiceName::Gateway => gateway = Some(running),
            ServiceName::Orders => orders = Some(running),
            _ => others.push(running),
        }
    }
    let monitoring = stop_until(begun + UNWATCHED, monitoring).await;
    // A checkout that is still waited for is answered when orders is told to stop; then the gateway can end as well.
    let gateway = stop_until(begun + ANSWERED, gateway).await;
    let rested = timeout_at(begun + SAGAS_REST, join(gateway, stop_one(orders))).await;
    let others = join_all(others.into_iter().map(Running::stop));
    let drained = timeout_at(begun + DRAINED, join(monitoring, others)).await;
    if rested.is_err() || drained.is_err() {
        tracing::warn!("stopped before everything was drained; what was under way goes on at the next start");
    }
}

/// Tells a service to stop and waits until then at most; gives what is left to wait for.
async fn stop_until(end: Instant, running: Option<Running>) -> BoxFuture<'static, ()> {
    let mut stopping = stop_one(running).boxed();
    match timeout_at(end, &mut stopping).await {
        Ok(()) => ready(()).boxed(),
        Err(_) => stopping,
    }
}

async fn stop_one(running: Option<Running>) {
    if let Some(running) = running {
        running.stop().await;
    }
}
