//! What a consumer is, and what can go wrong with it.

use std::time::Duration;

use async_trait::async_trait;
use emporium_service_kit::StoreError;

use crate::event::CloudEvent;
use crate::projection::Generations;

/// Why events could not be applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The consumer's own store or a service it needs is away or not in order: try again later, lose nothing.
    #[error("{0}")]
    Unavailable(String),
    /// This event cannot be applied: after bounded retries it becomes a dead letter.
    #[error("{0}")]
    Rejected(String),
}

/// Only what is certainly the event's fault is rejected: data that the store's types or constraints refuse (SQLSTATE
/// classes 22 and 23). Any other fault of a store would hit every event alike, and so puts none aside.
impl From<StoreError> for ApplyError {
    fn from(error: StoreError) -> Self {
        if error.is_refusal() {
            Self::Rejected(error.to_string())
        } else {
            Self::Unavailable(error.to_string())
        }
    }
}

impl From<sqlx::Error> for ApplyError {
    fn from(error: sqlx::Error) -> Self {
        StoreError::from(error).into()
    }
}

impl From<serde_json::Error> for ApplyError {
    fn from(error: serde_json::Error) -> Self {
        Self::Rejected(format!("unreadable payload: {error}"))
    }
}

/// Applies events to something. Events come at least once; applying twice must be like applying once.
#[async_trait]
pub trait Consumer: Send + Sync {
    /// The event types it cares for; others are passed over.
    fn kinds(&self) -> &'static [&'static str];

    /// Those of histories that a [generation](Consumer::generations) is built from: the same, unless comparing takes more.
    fn kinds_of_history(&self) -> &'static [&'static str] {
        self.kinds()
    }

    /// Applies the events in this order. Returns when the effects of all of them are there to stay and are seen. After an error
    /// some may be there: of each event all of its effect or nothing, noted with it, so that the same events again add what is
    /// missing. In a store with transactions of any size it is all events or none.
    async fn apply(&self, events: &[&CloudEvent]) -> Result<(), ApplyError>;

    /// The two generations behind it, if it is a [projection](crate::projection): the group builds the other one from histories
    /// and switches. A consumer without them can neither start from histories nor be rebuilt.
    fn generations(&self) -> Option<&dyn Generations> {
        None
    }

    /// Forgets some of the events it has applied longer than `age` ago; gives how many. [`inbox::reap`](crate::inbox::reap)
    /// does it for those with an inbox.
    async fn reap(&self, age: Duration) -> Result<u64, ApplyError> {
        let _ = age;
        Ok(0)
    }
}
