//! What a projection in PostgreSQL does with events, and to which generations.

use async_trait::async_trait;
use emporium_service_kit::{ServiceName, Tx};

use super::Statements;
use crate::consumer::ApplyError;
use crate::event::CloudEvent;
use crate::projection::{Digest, Table};

/// What a projection does with events, inside the transaction that also claims them in the inbox.
///
/// Every table has a column `generation smallint`, with which its primary key begins, and is partitioned by it: see
/// [`Table`]. Queries read `WHERE generation = (SELECT live FROM <service>_projections WHERE projection = '<name>')`.
#[async_trait]
pub trait GenerationHandler: Send + Sync {
    /// The event types it cares for; all of owners whose histories the group reads.
    fn kinds(&self) -> &'static [&'static str];

    /// The tables, all of them.
    fn tables(&self) -> &'static [Table];

    /// Applies events that this generation has never seen, in this order, to this generation alone.
    ///
    /// Apply the batch as sets: one statement a kind of change (`unnest`), not one an event. Write rows in the order of their
    /// keys: on a bus with parallel members several of these run at once, and would get into a deadlock otherwise. The result
    /// must not depend on the order of events, or only by their versions: a history and the bus bring them differently.
    async fn handle(&self, events: &[&CloudEvent], generation: i16, tx: &mut Tx) -> Result<(), ApplyError>;

    /// Empties a generation.
    async fn empty(&self, generation: i16, tx: &mut Tx) -> Result<(), ApplyError> {
        for table in self.tables() {
            table.empty(generation, tx).await?;
        }
        Ok(())
    }

    /// The content of a generation.
    async fn digest(&self, generation: i16, tx: &mut Tx) -> Result<Vec<Digest>, ApplyError> {
        let mut digests = Vec::new();
        for table in self.tables() {
            digests.push(table.digest(generation, tx).await?);
        }
        Ok(digests)
    }

    /// What differs between two generations, at most `max` lines for people.
    async fn differences(
        &self,
        old: i16,
        new: i16,
        max: usize,
        tx: &mut Tx,
    ) -> Result<Vec<String>, ApplyError> {
        let mut lines = Vec::new();
        for table in self.tables() {
            let left = max - lines.len();
            lines.extend(table.differences(old, new, left, tx).await?);
        }
        Ok(lines)
    }

    /// Brings over to where it is read what differs between the generations, and says whether there is more; for those whose live
    /// content is also kept, or told, elsewhere than in a generation of the tables. Called before the switch, in a transaction of
    /// its own each time, until there is no more. No effect is under way meanwhile; those that come between two of these
    /// transactions are applied to both generations, so what was brought over stays equal.
    async fn bring_over(&self, live: i16, built: i16, tx: &mut Tx) -> Result<bool, ApplyError> {
        let _ = (live, built, tx);
        Ok(false)
    }
}

/// The generations that an effect of `service` on this projection is to be applied to, the live one first; write them in this order,
/// as the consumer does. Nobody begins a rebuild or switches before the transaction has ended.
pub async fn generations(
    tx: &mut Tx,
    service: ServiceName,
    projection: &str,
) -> Result<Vec<i16>, sqlx::Error> {
    let (live, building): (i16, bool) = sqlx::query_as(Statements::new(service).share())
        .bind(projection)
        .fetch_one(tx)
        .await?;
    Ok(if building {
        vec![live, 1 - live]
    } else {
        vec![live]
    })
}
