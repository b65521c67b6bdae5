//! The projection: effects, generations, claims. An effect reads the state under its lock and holds the lock until its commit is
//! visible, so no generation begins, and none is switched, beside it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use emporium_event_bus::projection::{
    Comparison, Digest, Filling, Generation, ProjectionStore, State, Versioned,
};
use emporium_event_bus::{ApplyError, CloudEvent};
use emporium_service_kit::{Clock, StoreError};
use neo4rs::BoltType;
use time::OffsetDateTime;
use uuid::Uuid;

use super::client::{Neo4j, Statement};
use super::moments::Moments;
use super::rows::{CountRow, IdRow, at, ids};
use super::write::Item;
use super::{compare, control, statements as cypher, write};
use crate::events::KINDS;

/// How long an effect may take: two thousand events for two generations, on a slow machine, after others that hold the lock.
const EFFECT_TIMEOUT: Duration = Duration::from_secs(45);
/// How long a step of the generations may take; it waits for effects.
const STATE_TIMEOUT: Duration = Duration::from_secs(20);
/// Rows that are removed in a transaction: what it changes is in the server's memory until it commits.
const REMOVED_MAX: i64 = 2_000;
/// Claims that are removed in one go.
const REAPED_MAX: i64 = 10_000;

/// The projection of one shop.
#[derive(Clone)]
pub(super) struct Feed {
    pub client: Neo4j,
    pub clock: Clock,
    /// The shop.
    pub name: Arc<str>,
    /// Its number.
    pub shop: i64,
}

impl Feed {
    fn build(&self, generation: Generation) -> i64 {
        control::build(self.shop, generation)
    }

    /// Removes by a statement until it finds nothing more.
    async fn remove(&self, statement: &'static Statement, build: i64) -> Result<(), ApplyError> {
        loop {
            let removed = self.remove_some(statement, build).await;
            match removed {
                Ok(0) => return Ok(()),
                // Another member empties it as well: what it removed is gone.
                Ok(_) | Err(StoreError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn remove_some(&self, statement: &'static Statement, build: i64) -> Result<u64, StoreError> {
        let parameters = [("build", build.into()), ("max", REMOVED_MAX.into())];
        let removed: Option<CountRow> = self
            .client
            .transaction(EFFECT_TIMEOUT, move |tx| {
                Box::pin(async move { tx.row(statement, parameters).await })
            })
            .await?;
        Ok(removed.map_or(0, |row| row.count))
    }
}

#[async_trait]
impl ProjectionStore for Feed {
    fn kinds(&self) -> &'static [&'static str] {
        KINDS
    }

    async fn load(&self) -> Result<Versioned, StoreError> {
        let name = self.name.clone();
        self.client
            .transaction(STATE_TIMEOUT, |tx| {
                Box::pin(async move { control::state(tx, &name).await })
            })
            .await
    }

    async fn swap(&self, version: i64, next: &State) -> Result<bool, StoreError> {
        let (name, shop, next) = (self.name.clone(), self.shop, next.clone());
        self.client
            .transaction(STATE_TIMEOUT, move |tx| {
                Box::pin(async move {
                    let before = control::locked_state(tx, &name).await?;
                    if before.version != version {
                        return Ok(false);
                    }
                    control::put_state(tx, &name, shop, &before, &next).await?;
                    Ok(true)
                })
            })
            .await
    }

    async fn apply(&self, events: &[&CloudEvent]) -> Result<(), ApplyError> {
        let now = self.clock.now();
        let items: Vec<Item> = events.iter().map(|&event| item(event, now)).collect();
        let feed = self.clone();
        self.client
            .transaction(EFFECT_TIMEOUT, move |tx| {
                Box::pin(async move {
                    let state = control::locked_state(tx, &feed.name).await?.state;
                    let mut changed = false;
                    for generation in state.targets() {
                        changed |= write::apply(tx, feed.build(generation), &items).await?;
                    }
                    if changed {
                        control::next_moment(tx, &feed.name, feed.build(state.live())).await?;
                    }
                    Ok(())
                })
            })
            .await
    }

    async fn fill(&self, filling: &Filling<'_>, version: i64, next: &State) -> Result<bool, ApplyError> {
        let items: Vec<Item> = filling
            .events
            .iter()
            .map(|(event, at)| item(event, *at))
            .collect();
        let (feed, next, build) = (self.clone(), next.clone(), self.build(filling.generation));
        self.client
            .transaction(EFFECT_TIMEOUT, move |tx| {
                Box::pin(async move {
                    let before = control::locked_state(tx, &feed.name).await?;
                    if before.version != version {
                        return Ok(false);
                    }
                    let changed = write::apply(tx, build, &items).await?;
                    control::put_state(tx, &feed.name, feed.shop, &before, &next).await?;
                    if changed {
                        control::next_filled(tx, &feed.name).await?;
                    }
                    Ok(true)
                })
            })
            .await
    }

    async fn empty(&self, generation: Generation) -> Result<(), ApplyError> {
        let build = self.build(generation);
        for statement in [
            &cypher::REMOVE_BASKETS,
            &cypher::REMOVE_RETURNS,
            &cypher::REMOVE_CLAIMS,
            &cypher::REMOVE_GOODS,
        ] {
            self.remove(statement, build).await?;
        }
        Ok(())
    }

    async fn seen(&self, generation: Generation, events: &[Uuid]) -> Result<Vec<Uuid>, ApplyError> {
        let parameters: [(&str, BoltType); 2] = [
            ("build", self.build(generation).into()),
            ("events", ids(events.iter().copied())),
        ];
        let seen: Vec<IdRow> = self
            .client
            .transaction::<_, StoreError, _>(STATE_TIMEOUT, move |tx| {
                Box::pin(async move { tx.rows(&cypher::CLAIMED, parameters).await })
            })
            .await?;
        Ok(seen.into_iter().map(|row| row.id.0).collect())
    }

    async fn content(&self, generation: Generation) -> Result<Vec<Digest>, ApplyError> {
        let build = self.build(generation);
        let read = self.client.transaction(compare::COMPARE_TIMEOUT, move |tx| {
            Box::pin(async move { compare::digests(tx, build).await })
        });
        Ok(read.await?)
    }

    async fn compare(
        &self,
        live: Generation,
        built: Generation,
        refused: &[Uuid],
        now: OffsetDateTime,
    ) -> Result<Option<Comparison>, ApplyError> {
        let pair = compare::Pair {
            live: self.build(live),
            built: self.build(built),
            refused: refused.to_vec(),
            now,
        };
        let moments = Moments {
            client: self.client.clone(),
            clock: self.clock.clone(),
            name: self.name.clone(),
        };
        Ok(compare::compare(&moments, Arc::new(pair)).await?)
    }

    async fn reap(&self, generation: Generation, before: OffsetDateTime) -> Result<u64, ApplyError> {
        let parameters: [(&str, BoltType); 3] = [
            ("build", self.build(generation).into()),
            ("before", at(before).into()),
            ("max", REAPED_MAX.into()),
        ];
        let removed: Option<CountRow> = self
            .client
            .transaction::<_, StoreError, _>(STATE_TIMEOUT, move |tx| {
                Box::pin(async move { tx.row(&cypher::REAP, parameters).await })
            })
            .await?;
        Ok(removed.map_or(0, |row| row.count))
    }
}

fn item(event: &CloudEvent, at: OffsetDateTime) -> Item {
    Item {
        event: event.clone(),
        at,
    }
}
