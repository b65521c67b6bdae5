//! The connection to one server.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use ::redis::{Client, RedisError, cmd};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::CONNECT_TIMEOUT;

/// How often a connection that was refused is made anew, at most.
const RENEW_EVERY: Duration = Duration::from_secs(1);

/// A connection that opens itself again. The driver's manager does so when the network fails; when the server *refuses*
/// (the password was changed, there are too many clients), it keeps the refusal for ever, so this makes a new one.
pub(super) struct Single {
    client: Client,
    config: ConnectionManagerConfig,
    manager: RwLock<ConnectionManager>,
    looked_at: Mutex<Option<Instant>>,
    refused: AtomicBool,
}

impl Single {
    pub(super) async fn open(client: Client, config: ConnectionManagerConfig) -> Result<Self, RedisError> {
        let manager = ConnectionManager::new_with_config(client.clone(), config.clone()).await?;
        Ok(Self {
            client,
            config,
            manager: RwLock::new(manager),
            looked_at: Mutex::new(None),
            refused: AtomicBool::new(false),
        })
    }

    /// The connection as it is now.
    pub(super) fn manager(&self) -> ConnectionManager {
        self.manager
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// After an error: true when it is the connection's, because not even a ping gets through. Then the connection is made
    /// anew, by one caller at a time and not at every error.
    pub(super) async fn is_refused(&self) -> bool {
        if let Ok(mut looked_at) = self.looked_at.try_lock()
            && looked_at.is_none_or(|before| before.elapsed() >= RENEW_EVERY)
        {
            *looked_at = Some(Instant::now());
            let ping = cmd("PING");
            let answered = ping.query_async::<()>(&mut self.manager()).await;
            self.refused.store(answered.is_err(), Ordering::Relaxed);
            if answered.is_err() {
                self.renew().await;
            }
        }
        self.refused.load(Ordering::Relaxed)
    }

    async fn renew(&self) {
        let opened = ConnectionManager::new_with_config(self.client.clone(), self.config.clone());
        if let Ok(Ok(opened)) = timeout(CONNECT_TIMEOUT, opened).await {
            tracing::info!("a connection to Redis that was refused is open again");
            self.refused.store(false, Ordering::Relaxed);
            *self.manager.write().unwrap_or_else(PoisonError::into_inner) = opened;
        }
    }
}
