//! The events that the service consumes. It owns none.

use std::sync::Arc;

use async_trait::async_trait;
use emporium_event_bus::{ApplyError, CloudEvent, Consumer};
use serde::Deserialize;
use uuid::Uuid;

use crate::store::SessionStore;

/// What this service reads of `user.updated.v1`.
#[derive(Deserialize)]
struct UserUpdated {
    id: Uuid,
    active: bool,
}

/// Ends all sessions of users who were blocked.
///
/// No inbox: revoking twice is like revoking once. An event that is delivered again after the user was unblocked costs that
/// user one more log-in, and nothing else.
pub struct Revoker {
    store: Arc<dyn SessionStore>,
}

impl Revoker {
    /// Revokes in `store`.
    pub fn new(store: Arc<dyn SessionStore>) -> Self {
        Self { store }
    }
}

#[async_trait]
impl Consumer for Revoker {
    fn kinds(&self) -> &'static [&'static str] {
        &["user.updated.v1"]
    }

    async fn apply(&self, events: &[&CloudEvent]) -> Result<(), ApplyError> {
        let mut blocked = Vec::new();
        for event in events {
            let user: UserUpdated = event.data()?;
            if !user.active {
                blocked.push(user.id);
            }
        }
        if !blocked.is_empty() {
            let ended = self.store.end_all(&blocked).await?;
            tracing::info!(users = blocked.len(), ended, "sessions of blocked users ended");
        }
        Ok(())
    }
}
