//! The events that the service consumes. It owns none.

use std::sync::Arc;

use async_trait::async_trait;
use emporium_event_bus::projection::Generations;
use emporium_event_bus::{ApplyError, CloudEvent, Consumer};
use emporium_service_kit::Clock;
use emporium_service_kit::client::Client;
use serde::Deserialize;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::rebuild::Comparer;
use crate::store::{SessionStore, Standing};

/// The event that tells whether a user is blocked.
pub const UPDATED: &str = "user.updated.v1";

/// What this service reads of `user.updated.v1`, and of `user.registered.v1`.
#[derive(Deserialize)]
pub struct UserUpdated {
    /// The user.
    pub id: Uuid,
    /// False when blocked.
    pub active: bool,
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
    comparer: Comparer,
}

impl Blocker {
    /// Marks in `store`, whose sessions live for `lifetime` at most; `users` has the history.
    pub fn new(store: Arc<dyn SessionStore>, clock: Clock, lifetime: Duration, users: Client) -> Self {
        Self {
            comparer: Comparer::new(store.clone(), clock.clone(), lifetime, users),
            store,
            clock,
            lifetime,
        }
    }
}

/// What these events tell, without those from before `oldest` and those that tell nothing of it.
pub fn standings_of(events: &[&CloudEvent], oldest: OffsetDateTime) -> Result<Vec<Standing>, ApplyError> {
    let wanted = events
        .iter()
        .filter(|event| event.kind == UPDATED && event.time >= oldest);
    wanted
        .map(|event| {
            let user: UserUpdated = event.data()?;
            Ok(Standing {
                user_id: user.id,
                version: event.aggregateversion,
                blocked: !user.active,
            })
        })
        .collect()
}

#[async_trait]
impl Consumer for Blocker {
    fn kinds(&self) -> &'static [&'static str] {
        &[UPDATED]
    }

    /// Registrations tell who there is, for finding news in the store that there never was.
    fn kinds_of_history(&self) -> &'static [&'static str] {
        &["user.registered.v1", UPDATED]
    }

    /// There is no second one: marks are compared with the histories, and mended; see [`Comparer`].
    fn generations(&self) -> Option<&dyn Generations> {
        Some(&self.comparer)
    }

    async fn apply(&self, events: &[&CloudEvent]) -> Result<(), ApplyError> {
        let standings = standings_of(events, self.clock.now() - self.lifetime)?;
        let marked = self.store.set_blocked(&standings).await?;
        if marked > 0 {
            tracing::info!(sessions = marked, "marked as blocked, or not any more");
        }
        Ok(())
    }
}
