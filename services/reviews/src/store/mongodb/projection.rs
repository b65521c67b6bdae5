//! The projection's two generations in this store: see [`control`] for how effects and changes of the state keep apart.
//!
//! A batch of events is applied in pieces that are transactions of a bounded size. Each event's claim commits with its effect, so
//! whoever applies the batch again after an error in the middle applies what is left. A batch that cannot be read is refused
//! before anything is written.

use std::collections::HashSet;

use async_trait::async_trait;
use emporium_event_bus::projection::{
    Comparison, Digest, Filling, Generation, ProjectionStore, State, Versioned,
};
use emporium_event_bus::{ApplyError, CloudEvent};
use emporium_service_kit::{Clock, StoreError};
use mongodb::bson::{Bson, Document, doc};
use std::sync::Arc;
use time::OffsetDateTime;
use uuid::Uuid;

use super::client::{LONG_ANSWER, Mongo, Try};
use super::codec::{binary, micros};
use super::error::Fault;
use super::schema::{self, INBOX};
use super::turns::Turns;
use super::tx::{Find, Tx, pieces};
use super::{compare, control, ratings};
use crate::changes::{Changes, KINDS};

/// Documents that are removed together.
const REMOVED: i64 = 1_000;

/// The projection `ratings`.
pub struct Ratings {
    pub(super) mongo: Mongo,
    pub(super) clock: Clock,
    pub(super) turns: Arc<Turns>,
}

/// A generation's claim of an event.
fn claim_key(place: i16, event: Uuid) -> Bson {
    let mut key = vec![u8::from(place == 1)];
    key.extend(event.as_bytes());
    binary(key)
}

/// The event of a claim.
pub fn claimed(document: &Document) -> Result<Uuid, StoreError> {
    let key = document.get_binary_generic("_id").map(|key| key.get(1..));
    let event = key.ok().flatten().and_then(|key| Uuid::from_slice(key).ok());
    event.ok_or_else(|| super::error::foreign("claim"))
}

/// Which of these events the generation has seen.
pub async fn seen(tx: &mut Tx, place: i16, events: &[Uuid]) -> Result<HashSet<Uuid>, Fault> {
    let keys = events.iter().map(|event| claim_key(place, *event));
    let found = tx.by_ids(INBOX, keys, Some(doc! { "_id": 1 })).await?;
    Ok(found.iter().map(claimed).collect::<Result<_, _>>()?)
}

/// Applies to a generation what it has not seen, and claims it as of the time beside it.
async fn apply_to(tx: &mut Tx, place: i16, events: &[(&CloudEvent, i64)]) -> Result<(), Fault> {
    let ids: Vec<Uuid> = events.iter().map(|(event, _)| event.id).collect();
    let mut known = seen(tx, place, &ids).await?;
    // Taken in, so that an event that comes twice in one batch counts once as well.
    let fresh: Vec<&(&CloudEvent, i64)> = events
        .iter()
        .filter(|(event, _)| known.insert(event.id))
        .collect();
    if fresh.is_empty() {
        return Ok(());
    }
    let claim = |(event, at): &&(&CloudEvent, i64)| {
        doc! { "_id": claim_key(place, event.id), "g": i32::from(place), "handled_at": *at }
    };
    tx.insert(INBOX, fresh.iter().map(claim).collect()).await?;
    let changes = read(fresh.iter().map(|(event, _)| *event)).map_err(Fault::Store)?;
    ratings::apply(tx, &changes, place).await
}

fn read<'a>(events: impl IntoIterator<Item = &'a CloudEvent>) -> Result<Changes, StoreError> {
    Changes::read(events).map_err(|error| StoreError::Data(error.into()))
}

/// Documents that an event may write: its claim, and one for each pair of a customer and a product, or for an author.
fn weight((event, _): &(&CloudEvent, i64)) -> usize {
    let pairs = read([*event]).map_or(0, |changes| changes.pairs.len());
    2 + pairs
}

/// The first id of a piece decides on its fence.
fn fence_of(events: &[(&CloudEvent, i64)]) -> Uuid {
    events.first().map_or(Uuid::nil(), |(event, _)| event.id)
}

impl Ratings {
    async fn try_apply(&self, at: Try, events: &[(&CloudEvent, i64)]) -> Result<(), Fault> {
        let mut tx = self.mongo.begin(at).await?;
        let state = control::for_effect(&mut tx).await?.state;
        control::touch(&mut tx, fence_of(events)).await?;
        for target in state.targets() {
            apply_to(&mut tx, target.place, events).await?;
        }
        tx.commit().await
    }

    /// One piece; the state has to be at `version` still, and is swapped with the last one.
    async fn try_fill(
        &self,
        at: Try,
        place: i16,
        events: &[(&CloudEvent, i64)],
        version: i64,
        next: Option<&State>,
    ) -> Result<bool, Fault> {
        let mut tx = self.mongo.begin(at).await?;
        if control::state(&mut tx).await?.version != version {
            tx.abort().await?;
            return Ok(false);
        }
        control::touch(&mut tx, fence_of(events)).await?;
        apply_to(&mut tx, place, events).await?;
        if let Some(next) = next
            && !control::keep(&mut tx, version, next).await?
        {
            tx.abort().await?;
            return Ok(false);
        }
        tx.commit().await?;
        Ok(true)
    }

    /// Removes some documents of a generation that nobody fills; false when there are none left, or when it is filled by now.
    async fn try_empty(
        &self,
        at: Try,
        generation: Generation,
        collection: &str,
        filter: &Document,
    ) -> Result<bool, Fault> {
        let mut tx = self.mongo.begin(at).await?;
        let state = control::state(&mut tx).await?.state;
        let find = Find::by(filter.clone()).limit(REMOVED).fields(doc! { "_id": 1 });
        let found = tx.find(collection, find).await?;
        if state.is_building() || state.other() != generation || found.is_empty() {
            tx.abort().await?;
            return Ok(false);
        }
        // Nobody begins to fill it before this commit.
        control::touch(&mut tx, Uuid::nil()).await?;
        remove(&mut tx, collection, found).await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn try_content(&self, at: Try, place: i16) -> Result<Vec<Digest>, Fault> {
        let mut tx = self.mongo.begin(at).await?;
        let content = compare::digests(&mut tx, place).await?;
        tx.abort().await?;
        Ok(content)
    }

    async fn try_reap(&self, at: Try, place: i16, before: i64) -> Result<u64, Fault> {
        let mut tx = self.mongo.begin(at).await?;
        let find = Find::by(doc! { "g": i32::from(place), "handled_at": { "$lt": before } })
            .limit(REMOVED)
            .fields(doc! { "_id": 1 });
        let found = tx.find(INBOX, find).await?;
        if found.is_empty() {
            tx.abort().await?;
            return Ok(0);
        }
        let removed = remove(&mut tx, INBOX, found).await?;
        tx.commit().await?;
        Ok(u64::try_from(removed).unwrap_or(0))
    }
}

async fn remove(tx: &mut Tx, collection: &str, found: Vec<Document>) -> Result<i64, Fault> {
    let ids = found
        .into_iter()
        .filter_map(|mut document| document.remove("_id"));
    tx.delete(collection, &ids.collect::<Vec<_>>()).await
}

#[async_trait]
impl ProjectionStore for Ratings {
    fn kinds(&self) -> &'static [&'static str] {
        KINDS
    }

    async fn load(&self) -> Result<Versioned, StoreError> {
        self.mongo.state().await
    }

    async fn swap(&self, version: i64, next: &State) -> Result<bool, StoreError> {
        self.mongo.swap(version, next).await
    }

    async fn apply(&self, events: &[&CloudEvent]) -> Result<(), ApplyError> {
        let changes = Changes::read(events.iter().copied())?;
        let products = changes.pairs.keys().map(|pair| pair.product_id);
        let (_turns, _) = self.mongo.turns(&self.turns, products, LONG_ANSWER).await?;
        let now = micros(self.clock.now());
        let events: Vec<(&CloudEvent, i64)> = events.iter().map(|event| (*event, now)).collect();
        for piece in pieces(&events, weight) {
            self.mongo
                .retried(Try::within(LONG_ANSWER), |at| self.try_apply(at, piece))
                .await?;
        }
        Ok(())
    }

    async fn fill(&self, filling: &Filling<'_>, version: i64, next: &State) -> Result<bool, ApplyError> {
        Changes::read(filling.events.iter().map(|(event, _)| *event))?;
        let now = micros(self.clock.now());
        let events: Vec<(&CloudEvent, i64)> = (filling.events.iter())
            .map(|(event, at)| (*event, micros(*at).min(now)))
            .collect();
        let mut pieces = pieces(&events, weight);
        let last = pieces.pop().unwrap_or_default();
        let place = filling.generation.place;
        let pieces = pieces.into_iter().map(|piece| (piece, None));
        for (piece, next) in pieces.chain([(last, Some(next))]) {
            let done = self
                .mongo
                .retried(Try::within(LONG_ANSWER), |at| {
                    self.try_fill(at, place, piece, version, next)
                })
                .await?;
            if !done {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn empty(&self, generation: Generation) -> Result<(), ApplyError> {
        let place = generation.place;
        let all = [
            (schema::standing(place), doc! {}),
            (schema::summary(place), doc! {}),
            (schema::author(place), doc! {}),
            (INBOX, doc! { "g": i32::from(place) }),
        ];
        for (collection, filter) in &all {
            while self
                .mongo
                .retried(Try::within(LONG_ANSWER), |at| {
                    self.try_empty(at, generation, collection, filter)
                })
                .await?
            {}
        }
        Ok(())
    }

    async fn seen(&self, generation: Generation, events: &[Uuid]) -> Result<Vec<Uuid>, ApplyError> {
        let find = Find::ids(events.iter().map(|event| claim_key(generation.place, *event)));
        let found = self.mongo.read(find.command(INBOX)).await?;
        Ok(found.iter().map(claimed).collect::<Result<_, _>>()?)
    }

    async fn content(&self, generation: Generation) -> Result<Vec<Digest>, ApplyError> {
        let work = |at| self.try_content(at, generation.place);
        Ok(self.mongo.retried(Try::within(LONG_ANSWER), work).await?)
    }

    async fn compare(
        &self,
        live: Generation,
        built: Generation,
        refused: &[Uuid],
        now: OffsetDateTime,
    ) -> Result<Option<Comparison>, ApplyError> {
        let work = |at| compare::compare(&self.mongo, at, [live.place, built.place], refused, now);
        Ok(self.mongo.retried(Try::within(LONG_ANSWER), work).await?)
    }

    async fn reap(&self, generation: Generation, before: OffsetDateTime) -> Result<u64, ApplyError> {
        let before = micros(before);
        let work = |at| self.try_reap(at, generation.place, before);
        Ok(self.mongo.retried(Try::within(LONG_ANSWER), work).await?)
    }
}
