//! Reviews, votes and the outbox's events, to be moved from here or to here: in transactions of a bounded size each.

use std::collections::HashSet;

use async_trait::async_trait;
use emporium_event_bus::OutboxStore;
use emporium_event_bus::outbox::Recorded;
use emporium_service_kit::StoreError;
use mongodb::bson::{Bson, Document, doc};
use uuid::Uuid;

use super::client::{LONG_ANSWER, Try};
use super::codec::{self, Fields, micros};
use super::error::Fault;
use super::outbox::{HEAD, bus_of};
use super::review::{Kept, vote_key};
use super::schema::{self, CONTROL, INBOX, OUTBOX, REVIEW, VOTE};
use super::tx::{Find, KEYS, Tx, pieces};
use super::write::vote_document;
use super::{MongoReviews, control, ratings, read};
use crate::model::Review;
use crate::store::copied::{Batch, Published, Rows, Vote, Wanted, changes};

/// Documents that are removed together.
const REMOVED: i64 = 1_000;

/// A record of a batch.
#[derive(Clone, Copy)]
enum Item<'a> {
    Review(&'a Review),
    Vote(&'a Vote),
    Event(&'a Recorded),
    Head(&'a Published),
}

fn items(batch: &Batch) -> Vec<Item<'_>> {
    let reviews = batch.reviews.iter().map(Item::Review);
    let votes = batch.votes.iter().map(Item::Vote);
    let events = batch.events.iter().map(Item::Event);
    let head = batch.head.iter().map(Item::Head);
    reviews.chain(votes).chain(events).chain(head).collect()
}

/// Documents that a record writes: an event its own, and a standing and a summary in two generations.
fn weight(item: &Item<'_>) -> usize {
    match item {
        Item::Event(_) => 5,
        _ => 1,
    }
}

/// A review as it is kept. Nothing waits to be numbered where it is put, so its next event may wait at any time.
fn kept(review: &Review) -> Document {
    let kept = Kept {
        review: review.clone(),
        told_at: 0,
    };
    kept.document()
}

fn event_document(event: &Recorded) -> Document {
    let mut document = doc! { "_id": codec::id(event.id), "position": event.position, "type": &event.kind,
    "subject": &event.subject, "version": event.version, "time": micros(event.time), "data": event.data.get() };
    if let Some(at) = event.recorded_at {
        document.insert("recorded_at", micros(at));
    }
    if let Some(trace) = &event.traceparent {
        document.insert("traceparent", trace);
    }
    document
}

/// Puts documents in the place of those with their keys. What is new is inserted: that is three times as fast as replacing what
/// may not be there.
async fn replace(tx: &mut Tx, collection: &str, documents: Vec<Document>) -> Result<(), Fault> {
    let key = |document: &Document| document.get("_id").cloned().unwrap_or(Bson::Null);
    let keys = documents.iter().map(key);
    let found = tx.by_ids(collection, keys, Some(doc! { "_id": 1 })).await?;
    let there: HashSet<String> = found.iter().map(|document| key(document).to_string()).collect();
    let (old, new): (Vec<Document>, Vec<Document>) = documents
        .into_iter()
        .partition(|document| there.contains(&key(document).to_string()));
    tx.insert(collection, new).await?;
    let changes = old
        .into_iter()
        .map(|document| (doc! { "_id": key(&document) }, document));
    tx.update(collection, changes.collect(), false).await?;
    Ok(())
}

impl MongoReviews {
    async fn try_put(&self, at: Try, items: &[Item<'_>]) -> Result<(), Fault> {
        let mut tx = self.mongo.begin(at).await?;
        let (mut reviews, mut votes, mut events) = (Vec::new(), Vec::new(), Vec::new());
        let mut head = None;
        for item in items {
            match item {
                Item::Review(review) => reviews.push(kept(review)),
                Item::Vote(vote) => votes.push(vote_document(vote.review_id, vote.voter_id, vote.helpful)),
                Item::Event(event) => events.push(*event),
                Item::Head(published) => head = Some(*published),
            }
        }
        replace(&mut tx, REVIEW, reviews).await?;
        replace(&mut tx, VOTE, votes).await?;
        if let Some(last) = events.last() {
            append(&mut tx, &events, last.position).await?;
        }
        if let Some(head) = head {
            let change = if let Some(mark) = &head.mark {
                let mut set = bus_of(mark);
                set.insert("published", head.position);
                doc! { "$set": set }
            } else {
                doc! { "$set": { "published": head.position },
                "$unset": { "bus": 1, "bus_event": 1, "bus_position": 1 } }
            };
            tx.update(CONTROL, vec![(doc! { "_id": HEAD }, change)], false)
                .await?;
        }
        tx.commit().await
    }

    async fn try_remove(&self, at: Try, collection: &str, ids: &[Bson]) -> Result<(), Fault> {
        let mut tx = self.mongo.begin(at).await?;
        tx.delete(collection, ids).await?;
        tx.commit().await
    }

    /// Removes some documents; false when there are none left.
    async fn try_clear(&self, at: Try, collection: &str) -> Result<bool, Fault> {
        let mut tx = self.mongo.begin(at).await?;
        let find = Find::by(doc! {}).limit(REMOVED).fields(doc! { "_id": 1 });
        let mut found = tx.find(collection, find).await?;
        let ids: Vec<Bson> = found.iter_mut().filter_map(|one| one.remove("_id")).collect();
        if ids.is_empty() {
            tx.abort().await?;
            return Ok(false);
        }
        tx.delete(collection, &ids).await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn try_reset(&self, at: Try) -> Result<(), Fault> {
        let mut tx = self.mongo.begin(at).await?;
        let change = doc! { "$set": { "sequenced": 0_i64, "published": 0_i64 },
        "$unset": { "bus": 1, "bus_event": 1, "bus_position": 1 } };
        tx.update(CONTROL, vec![(doc! { "_id": HEAD }, change)], false)
            .await?;
        tx.commit().await
    }

    /// Keys of a collection after this one, in their order.
    async fn ids_after(
        &self,
        collection: &str,
        after: Bson,
        max: usize,
    ) -> Result<Vec<Document>, StoreError> {
        let find = Find::by(doc! { "_id": { "$gt": after } })
            .sort(doc! { "_id": 1 })
            .limit(i64::try_from(max).unwrap_or(i64::MAX));
        let fields = if collection == VOTE {
            doc! { "review_id": 1, "voter_id": 1 }
        } else {
            doc! { "_id": 1 }
        };
        self.mongo.read(find.fields(fields).command(collection)).await
    }

    async fn documents(&self, collection: &str, ids: Vec<Bson>) -> Result<Vec<Document>, StoreError> {
        let mut found = Vec::with_capacity(ids.len());
        for some in ids.chunks(KEYS) {
            let find = Find::ids(some.iter().cloned());
            found.append(&mut self.mongo.read(find.command(collection)).await?);
        }
        Ok(found)
    }
}

/// Events of another outbox, and what their verbs have changed in the projection.
async fn append(tx: &mut Tx, events: &[&Recorded], last: i64) -> Result<(), Fault> {
    let state = control::for_effect(tx).await?.state;
    let changes = changes(events.iter().copied())?;
    if let Some(pair) = changes.pairs.keys().next() {
        control::touch(tx, pair.product_id).await?;
        for target in state.targets() {
            ratings::apply(tx, &changes, target.place).await?;
        }
    }
    replace(
        tx,
        OUTBOX,
        events.iter().map(|event| event_document(event)).collect(),
    )
    .await?;
    let end = doc! { "$max": { "sequenced": last } };
    tx.update(CONTROL, vec![(doc! { "_id": HEAD }, end)], false)
        .await?;
    Ok(())
}

#[async_trait]
impl Rows for MongoReviews {
    fn log(&self) -> &dyn OutboxStore {
        self.outbox.store()
    }

    async fn review_ids(&self, after: Uuid, max: usize) -> Result<Vec<Uuid>, StoreError> {
        let found = self.ids_after(REVIEW, codec::id(after), max).await?;
        found.iter().map(|review| review.uuid("_id")).collect()
    }

    async fn vote_ids(&self, after: (Uuid, Uuid), max: usize) -> Result<Vec<(Uuid, Uuid)>, StoreError> {
        let found = self.ids_after(VOTE, vote_key(after.0, after.1), max).await?;
        found
            .iter()
            .map(|vote| Ok((vote.uuid("review_id")?, vote.uuid("voter_id")?)))
            .collect()
    }

    async fn reviews(&self, wanted: &Wanted) -> Result<Vec<Review>, StoreError> {
        let ids = wanted.reviews.iter().copied().map(codec::id).collect();
        let mut found = self.documents(REVIEW, ids).await?;
        for (author, product) in &wanted.pairs {
            let find = Find::by(read::by_pair(*product, *author)).limit(1);
            found.append(&mut self.mongo.read(find.command(REVIEW)).await?);
        }
        found
            .iter()
            .map(|document| Ok(Kept::read(document)?.review))
            .collect()
    }

    async fn votes(&self, wanted: &Wanted) -> Result<Vec<Vote>, StoreError> {
        let ids = wanted
            .votes
            .iter()
            .map(|(review, voter)| vote_key(*review, *voter));
        let found = self.documents(VOTE, ids.collect()).await?;
        let vote = |vote: &Document| {
            Ok(Vote {
                review_id: vote.uuid("review_id")?,
                voter_id: vote.uuid("voter_id")?,
                helpful: vote.truth("helpful")?,
            })
        };
        found.iter().map(vote).collect()
    }

    /// In pieces, one after the other: events come in the order of their positions, and what is missing after an error is a piece
    /// at the end.
    async fn put_batch(&self, batch: &Batch) -> Result<(), StoreError> {
        let products = changes(&batch.events)?.pairs.into_keys();
        let products = products.map(|pair| pair.product_id);
        let (_turns, _) = self.mongo.turns(&self.turns, products, LONG_ANSWER).await?;
        for piece in pieces(&items(batch), weight) {
            let work = |at| self.try_put(at, piece);
            self.mongo.retried(Try::within(LONG_ANSWER), work).await?;
        }
        Ok(())
    }

    async fn remove_rows(&self, wanted: &Wanted) -> Result<(), StoreError> {
        let reviews = wanted.reviews.iter().copied().map(codec::id).collect();
        let votes = wanted
            .votes
            .iter()
            .map(|(review, voter)| vote_key(*review, *voter));
        for (collection, ids) in [(REVIEW, reviews), (VOTE, votes.collect::<Vec<_>>())] {
            if !ids.is_empty() {
                let work = |at| self.try_remove(at, collection, &ids);
                self.mongo.retried(Try::within(LONG_ANSWER), work).await?;
            }
        }
        Ok(())
    }

    async fn clear_all(&self) -> Result<(), StoreError> {
        let generations = [0, 1].map(|place| {
            [
                schema::standing(place),
                schema::summary(place),
                schema::author(place),
            ]
        });
        let all = [REVIEW, VOTE, OUTBOX, INBOX]
            .into_iter()
            .chain(generations.concat());
        for collection in all {
            let work = |at| self.try_clear(at, collection);
            while self.mongo.retried(Try::within(LONG_ANSWER), work).await? {}
        }
        self.mongo
            .retried(Try::within(LONG_ANSWER), |at| self.try_reset(at))
            .await
    }
}
