//! What orders does with other services' events: keeps its copy of users, wakes sagas that wait for their charge.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use emporium_event_bus::{ApplyError, CloudEvent, Consumer, inbox};
use emporium_service_kit::{Clock, Db, ServiceName};
use serde::Deserialize;
use uuid::Uuid;

use crate::peers::User;
use crate::saga::Driver;
use crate::store::{customers, due};

/// The consumer group, and the name in the inbox.
pub const GROUP: &str = "orders";

/// Applies a batch of events in one transaction with their claims in the inbox.
pub struct OrdersConsumer {
    /// The private database.
    pub db: Db,
    /// Where time comes from.
    pub clock: Clock,
    /// Told that sagas are due.
    pub driver: Driver,
}

#[derive(Deserialize)]
struct PaymentData {
    saga_id: Uuid,
}

#[async_trait]
impl Consumer for OrdersConsumer {
    fn kinds(&self) -> &'static [&'static str] {
        &[
            "user.registered.v1",
            "user.updated.v1",
            "payment.succeeded.v1",
            "payment.declined.v1",
        ]
    }

    async fn apply(&self, events: &[&CloudEvent]) -> Result<(), ApplyError> {
        let mut tx = self.db.begin().await?;
        let ids: Vec<Uuid> = events.iter().map(|event| event.id).collect();
        let fresh = inbox::claim(&mut tx, ServiceName::Orders, GROUP, &ids).await?;
        let fresh: Vec<&CloudEvent> = events
            .iter()
            .copied()
            .filter(|event| fresh.contains(&event.id))
            .collect();
        let users = newest_users(&fresh)?;
        customers::store(&mut tx, &users, self.clock.now()).await?;
        let paid = payments(&fresh)?;
        let woken = if paid.is_empty() {
            0
        } else {
            due::wake(&mut tx, &paid, self.clock.now()).await?
        };
        tx.commit().await?;
        if woken > 0 {
            self.driver.wake();
        }
        Ok(())
    }

    fn can_reset(&self) -> bool {
        true
    }

    /// Empties the copy of users. Sagas that wait for a charge look for it by themselves, too.
    async fn reset(&self) -> Result<(), ApplyError> {
        let mut tx = self.db.begin().await?;
        inbox::reset(&mut tx, ServiceName::Orders, GROUP).await?;
        customers::forget_all(&mut tx).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn unfinished_reset(&self) -> Result<Option<Uuid>, ApplyError> {
        Ok(inbox::unfinished_reset(&self.db, ServiceName::Orders, GROUP).await?)
    }

    async fn rebuilt(&self, reset: Uuid) -> Result<bool, ApplyError> {
        Ok(inbox::rebuilt(&self.db, ServiceName::Orders, GROUP, reset).await?)
    }

    async fn reap(&self, age: Duration) -> Result<u64, ApplyError> {
        Ok(inbox::reap(&self.db, ServiceName::Orders, GROUP, age).await?)
    }
}

/// Each user once, at the newest version; older versions add nothing.
fn newest_users(events: &[&CloudEvent]) -> Result<Vec<User>, ApplyError> {
    let mut newest: HashMap<Uuid, User> = HashMap::new();
    for event in events.iter().filter(|event| event.kind.starts_with("user.")) {
        let user: User = event.data()?;
        let older = newest
            .get(&user.id)
            .is_none_or(|known| known.version <= user.version);
        if older {
            newest.insert(user.id, user);
        }
    }
    Ok(newest.into_values().collect())
}

fn payments(events: &[&CloudEvent]) -> Result<Vec<Uuid>, ApplyError> {
    let mut ids = Vec::new();
    for event in events.iter().filter(|event| event.kind.starts_with("payment.")) {
        ids.push(event.data::<PaymentData>()?.saga_id);
    }
    Ok(ids)
}
