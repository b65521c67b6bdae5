//! What orders does with other services' events: keeps its copy of users, wakes sagas that wait for their charge.

use std::time::Duration;

use async_trait::async_trait;
use emporium_event_bus::projection::Generations;
use emporium_event_bus::{ApplyError, CloudEvent, Consumer, PostgresProjection, inbox};
use emporium_service_kit::{Clock, Db, ServiceName};
use serde::Deserialize;
use uuid::Uuid;

use crate::saga::Driver;
use crate::store::customers::{self, Customers};
use crate::store::due;

/// The consumer group, the projection that it keeps, and the name of payments' events in the inbox.
pub const GROUP: &str = "orders";

/// Users' events go to the copy of users, which can be rebuilt beside itself; payments' events wake sagas, once each.
pub struct OrdersConsumer {
    /// The private database.
    pub db: Db,
    /// Where time comes from.
    pub clock: Clock,
    /// Told that sagas are due.
    pub driver: Driver,
    /// The copy of users.
    pub customers: PostgresProjection<Customers>,
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

    /// In two transactions, each with its claims: what only one of them did before a crash is passed over by it next time.
    async fn apply(&self, events: &[&CloudEvent]) -> Result<(), ApplyError> {
        let (users, payments): (Vec<&CloudEvent>, Vec<&CloudEvent>) = events
            .iter()
            .partition(|event| customers::KINDS.contains(&&*event.kind));
        if !users.is_empty() {
            self.customers.apply(&users).await?;
        }
        if !payments.is_empty() {
            self.wake(&payments).await?;
        }
        Ok(())
    }

    async fn reap(&self, age: Duration) -> Result<u64, ApplyError> {
        let users = self.customers.reap(age).await?;
        let payments = inbox::reap(&self.db, ServiceName::Orders, GROUP, age).await?;
        // The greater one, since it tells whether there may be more.
        Ok(users.max(payments))
    }

    /// Of the copy of users. Sagas that wait for a charge look for it by themselves, too.
    fn generations(&self) -> Option<&dyn Generations> {
        Some(&self.customers)
    }
}

impl OrdersConsumer {
    async fn wake(&self, events: &[&CloudEvent]) -> Result<(), ApplyError> {
        let mut tx = self.db.begin().await?;
        let ids: Vec<Uuid> = events.iter().map(|event| event.id).collect();
        let fresh = inbox::claim(&mut tx, ServiceName::Orders, GROUP, &ids).await?;
        let paid = events
            .iter()
            .filter(|event| fresh.contains(&event.id))
            .map(|event| Ok(event.data::<PaymentData>()?.saga_id))
            .collect::<Result<Vec<_>, ApplyError>>()?;
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
}
