//! Orders' own copy of the users it needs: a projection with two generations.

use std::collections::HashMap;

use async_trait::async_trait;
use emporium_event_bus::{ApplyError, CloudEvent, GenerationHandler, Table, projection};
use emporium_service_kit::{Clock, Db, ServiceName, Tx};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::consumer::GROUP;
use crate::model::CustomerCopy;
use crate::peers::User;

/// The event types that it is made from.
pub const KINDS: &[&str] = &["user.registered.v1", "user.updated.v1"];

/// Applies users' events to a generation.
pub struct Customers {
    /// Where time comes from.
    pub clock: Clock,
}

#[async_trait]
impl GenerationHandler for Customers {
    fn kinds(&self) -> &'static [&'static str] {
        KINDS
    }

    /// Names and addresses as hashes: what differs is shown to people and kept.
    fn tables(&self) -> &'static [Table] {
        &[Table {
            name: "orders_customer",
            key: &["id"],
            values: &["version", "active", "md5(name)", "md5(email)"],
        }]
    }

    async fn handle(&self, events: &[&CloudEvent], generation: i16, tx: &mut Tx) -> Result<(), ApplyError> {
        let users = newest(events)?;
        write(tx, generation, &users, self.clock.now()).await?;
        Ok(())
    }
}

/// Each user once, at the newest version; older versions add nothing.
fn newest(events: &[&CloudEvent]) -> Result<Vec<User>, ApplyError> {
    let mut newest: HashMap<Uuid, User> = HashMap::new();
    for event in events {
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

/// One copy.
pub async fn find(db: &Db, id: Uuid) -> Result<Option<CustomerCopy>, sqlx::Error> {
    sqlx::query_as(
        "SELECT id, name, email, active, version, last_synced_at FROM orders_customer_copy WHERE id = $1",
    )
    .bind(id)
    .fetch_optional(db)
    .await
}

/// Notes a user who was asked for since the copy was not there yet, as an effect does: in the live generation, then in the one
/// that is being built. That is what the user's events come to as well, so generations that have caught up are equal.
pub async fn store(db: &Db, user: User, now: OffsetDateTime) -> Result<(), sqlx::Error> {
    let mut tx = db.begin().await?;
    let users = [user];
    for generation in projection::generations(&mut tx, ServiceName::Orders, GROUP).await? {
        write(&mut tx, generation, &users, now).await?;
    }
    tx.commit().await
}

/// Brings copies up to date. `users` holds each user once; an older version never overwrites a newer one.
async fn write(tx: &mut Tx, generation: i16, users: &[User], now: OffsetDateTime) -> Result<(), sqlx::Error> {
    if users.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO orders_customer AS c (generation, id, name, email, active, version, last_synced_at)
         SELECT $1, id, name, email, active, version, $7
         FROM unnest($2::uuid[], $3::text[], $4::text[], $5::boolean[], $6::bigint[]) AS u (id, name, email, active, version)
         ORDER BY id
         ON CONFLICT (generation, id) DO UPDATE
         SET name = excluded.name, email = excluded.email, active = excluded.active, version = excluded.version,
             last_synced_at = excluded.last_synced_at
         WHERE c.version <= excluded.version",
    )
    .bind(generation)
    .bind(users.iter().map(|u| u.id).collect::<Vec<_>>())
    .bind(users.iter().map(|u| u.name.as_str()).collect::<Vec<_>>())
    .bind(users.iter().map(|u| u.email.as_str()).collect::<Vec<_>>())
    .bind(users.iter().map(|u| u.active).collect::<Vec<_>>())
    .bind(users.iter().map(|u| u.version).collect::<Vec<_>>())
    .bind(now)
    .execute(tx)
    .await?;
    Ok(())
}
