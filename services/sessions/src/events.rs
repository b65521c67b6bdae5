//! The events that the service consumes. It owns none.

use std::sync::Arc;

use async_trait::async_trait;
use emporium_event_bus::{ApplyError, CloudEvent, Consumer};
use emporium_service_kit::Clock;
use serde::Deserialize;
use time::Duration;
use uuid::Uuid;

use crate::store::{SessionStore, Standing};

/// What this service reads of `user.updated.v1`.
#[derive(Deserialize)]
struct UserUpdated {
    id: Uuid,
    active: bool,
}

/// Marks the sessions of users who were blocked, and takes the mark off when they are unblocked.
///
/// No inbox: the store notes each user's version, so an event that comes again, or too late, changes nothing, not even an
/// old block that is delivered after the user was unblocked. A store need not note it for ever: news that is older than a
/// session may become concerns no session, since those that there were have ended and those that there are were verified
/// after it. Such news is passed over.
pub struct Blocker {
    store: Arc<dyn SessionStore>,
    clock: Clock,
    lifetime: Duration,
}

impl Blocker {
    /// Marks in `store`, whose sessions live for `lifetime` at most.
    pub fn new(store: Arc<dyn SessionStore>, clock: Clock, lifetime: Duration) -> Self {
        Self {
            store,
            clock,
            lifetime,
        }
    }
}

#[async_trait]
impl Consumer for Blocker {
    fn kinds(&self) -> &'static [&'static str] {
        &["user.updated.v1"]
    }

    async fn apply(&self, events: &[&CloudEvent]) -> Result<(), ApplyError> {
        let oldest = self.clock.now() - self.lifetime;
        let standings = events
            .iter()
            .filter(|event| event.time >= oldest)
            .map(|event| {
                let user: UserUpdated = event.data()?;
                Ok(Standing {
                    user_id: user.id,
                    version: event.aggregateversion,
                    blocked: !user.active,
                })
            })
            .collect::<Result<Vec<_>, ApplyError>>()?;
        let marked = self.store.set_blocked(&standings).await?;
        if marked > 0 {
            tracing::info!(sessions = marked, "marked as blocked, or not any more");
        }
        Ok(())
    }
}
