//! What a consumer is, what can go wrong with it, and the one whose effect is in PostgreSQL.

use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;
use emporium_service_kit::{Db, ServiceName, StoreError, Tx};
use uuid::Uuid;

use crate::event::CloudEvent;
use crate::inbox;
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

    /// Applies the events in this order, all or none.
    async fn apply(&self, events: &[&CloudEvent]) -> Result<(), ApplyError>;

    /// Whether [`Consumer::reset`] works. A group that starts from histories can only be rebuilt when it does.
    fn can_reset(&self) -> bool {
        false
    }

    /// Puts the projection back to where no event has been applied, and forgets which were, in one transaction (see
    /// [`inbox::reset`]). Called before histories are read.
    async fn reset(&self) -> Result<(), ApplyError> {
        Err(no_reset())
    }

    /// The last reset whose rebuild has not ended, whichever bus that was for: then what there is, is not whole.
    /// [`inbox::unfinished_reset`] tells it for those with an inbox.
    async fn unfinished_reset(&self) -> Result<Option<Uuid>, ApplyError> {
        Ok(None)
    }

    /// The rebuild after this reset has ended; false when there was another reset meanwhile. [`inbox::rebuilt`] notes it.
    async fn rebuilt(&self, reset: Uuid) -> Result<bool, ApplyError> {
        let _ = reset;
        Ok(true)
    }

    /// The two generations behind it, if it is a projection of that kind ([`crate::projection`]). It is never reset: the group
    /// builds the other generation and switches.
    fn generations(&self) -> Option<&dyn Generations> {
        None
    }

    /// Forgets some of the events it has applied longer than `age` ago; gives how many. [`inbox::reap`] does it for those
    /// with an inbox.
    async fn reap(&self, age: Duration) -> Result<u64, ApplyError> {
        let _ = age;
        Ok(0)
    }
}

fn no_reset() -> ApplyError {
    ApplyError::Rejected("this consumer cannot be reset".to_owned())
}

/// What a [`Transactional`] consumer does with one event, inside the transaction that also claims it in the inbox.
#[async_trait]
pub trait TransactionalHandler: Send + Sync {
    /// The event types it cares for.
    fn kinds(&self) -> &'static [&'static str];

    /// Applies one event that was never applied before. Compare versions: an older one may come after a newer one.
    async fn handle(&self, event: &CloudEvent, tx: &mut Tx) -> Result<(), ApplyError>;

    /// Whether [`TransactionalHandler::reset`] works.
    fn can_reset(&self) -> bool {
        false
    }

    /// Empties the projection, inside the transaction that also forgets its events in the inbox.
    async fn reset(&self, tx: &mut Tx) -> Result<(), ApplyError> {
        let _ = tx;
        Err(no_reset())
    }
}

/// A consumer whose effect is in PostgreSQL: claims `(consumer, event id)` in the inbox and applies the events in one
/// transaction.
pub struct Transactional<H> {
    db: Db,
    service: ServiceName,
    group: String,
    handler: H,
}

impl<H: TransactionalHandler> Transactional<H> {
    /// Uses the inbox table of `service`.
    pub fn new(db: Db, service: ServiceName, group: &str, handler: H) -> Self {
        Self {
            db,
            service,
            group: group.to_owned(),
            handler,
        }
    }
}

#[async_trait]
impl<H: TransactionalHandler> Consumer for Transactional<H> {
    fn kinds(&self) -> &'static [&'static str] {
        self.handler.kinds()
    }

    async fn apply(&self, events: &[&CloudEvent]) -> Result<(), ApplyError> {
        let mut tx = self.db.begin().await?;
        let ids: Vec<Uuid> = events.iter().map(|event| event.id).collect();
        let claimed = inbox::claim(&mut tx, self.service, &self.group, &ids).await?;
        let mut claimed: HashSet<Uuid> = claimed.into_iter().collect();
        for event in events {
            // Taken out, so that an event that comes twice in one batch counts once as well.
            if claimed.remove(&event.id) {
                self.handler.handle(event, &mut tx).await?;
            }
        }
        tx.commit().await?;
        Ok(())
    }

    fn can_reset(&self) -> bool {
        self.handler.can_reset()
    }

    async fn reset(&self) -> Result<(), ApplyError> {
        let mut tx = self.db.begin().await?;
        inbox::reset(&mut tx, self.service, &self.group).await?;
        self.handler.reset(&mut tx).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn unfinished_reset(&self) -> Result<Option<Uuid>, ApplyError> {
        Ok(inbox::unfinished_reset(&self.db, self.service, &self.group).await?)
    }

    async fn rebuilt(&self, reset: Uuid) -> Result<bool, ApplyError> {
        Ok(inbox::rebuilt(&self.db, self.service, &self.group, reset).await?)
    }

    async fn reap(&self, age: Duration) -> Result<u64, ApplyError> {
        Ok(inbox::reap(&self.db, self.service, &self.group, age).await?)
    }
}
