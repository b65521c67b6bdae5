//! The outbox: events beside the reviews, written in the transaction of the change that they tell of.
//!
//! A new event waits: it has the time of writing in `waiting` and no position. Numbering takes the lock on the head's document by
//! changing it first, so its snapshot has all that was numbered before, gives the next positions in the order of waiting, and
//! commits. Whoever does it at the same time is refused (error 112). So positions become visible in order and without holes.
//! Of one review, a later event waits with a later time, whatever clocks say: the review keeps the last one.

use async_trait::async_trait;
use emporium_event_bus::NewEvent;
use emporium_event_bus::bus::Mark;
use emporium_event_bus::outbox::{Head, OutboxStore, Recorded, Stretch};
use emporium_service_kit::{Clock, StoreError};
use mongodb::bson::{Bson, Document, doc};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::client::{LONG_ANSWER, Mongo, Try};
use super::codec::{Fields, id, micros};
use super::error::{Fault, foreign};
use super::schema::{CONTROL, OUTBOX};
use super::tx::{Find, Tx};

/// The name of the head's document.
pub const HEAD: &str = "outbox";

/// The collection of events.
pub struct MongoOutbox {
    mongo: Mongo,
}

impl MongoOutbox {
    pub fn new(mongo: Mongo) -> Self {
        Self { mongo }
    }

    /// Writes events in the transaction of the change they tell of, each with its place in time.
    pub async fn write(&self, tx: &mut Tx, clock: &Clock, events: &[(NewEvent, i64)]) -> Result<(), Fault> {
        let recorded_at = micros(clock.now());
        let documents = events.iter().map(|(event, waiting)| {
            let mut document = doc! { "_id": id(event.id), "waiting": *waiting, "recorded_at": recorded_at, "type": event.kind,
                "subject": &event.subject, "version": event.version, "time": micros(event.time), "data": &event.data };
            if let Some(trace) = &event.traceparent {
                document.insert("traceparent", trace);
            }
            document
        });
        tx.insert(OUTBOX, documents.collect()).await
    }

    async fn head_document(&self) -> Result<Document, StoreError> {
        let find = Find::by(doc! { "_id": HEAD }).limit(1);
        let found = self.mongo.read(find.command(CONTROL)).await?.pop();
        found.ok_or_else(|| foreign("the outbox's head is missing"))
    }

    async fn try_number(&self, at: Try, max: i64) -> Result<i64, Fault> {
        let mut tx = self.mongo.begin(at).await?;
        let lock = doc! { "findAndModify": CONTROL, "query": { "_id": HEAD }, "update": { "$inc": { "turn": 1_i64 } } };
        let reply = tx.run(lock).await?;
        let head = reply.get_document("value").map_err(|_| foreign("head"))?;
        let sequenced = head.long("sequenced")?;
        let find = waiting().limit(max).fields(doc! { "_id": 1 });
        let found = tx.find(OUTBOX, find).await?;
        let Some(last) = found.len().checked_sub(1) else {
            tx.abort().await?;
            return Ok(0);
        };
        let mut changes = Vec::with_capacity(found.len());
        for (position, mut document) in (sequenced + 1..).zip(found) {
            let key = document.remove("_id").unwrap_or(Bson::Null);
            let give = doc! { "$set": { "position": position }, "$unset": { "waiting": 1 } };
            changes.push((doc! { "_id": key }, give));
        }
        let count = i64::try_from(last + 1).unwrap_or(i64::MAX);
        if tx.update(OUTBOX, changes, false).await? != count {
            return Err(Fault::again("events that wait"));
        }
        let set = doc! { "$set": { "sequenced": sequenced + count } };
        tx.update(CONTROL, vec![(doc! { "_id": HEAD }, set)], false)
            .await?;
        tx.commit().await?;
        Ok(count)
    }

    /// Numbered events of `(after, until]`.
    async fn between(&self, after: i64, until: i64) -> Result<Vec<Recorded>, StoreError> {
        if until <= after {
            return Ok(Vec::new());
        }
        let found = self.mongo.read(numbered(after, until).command(OUTBOX)).await?;
        found.iter().map(recorded).collect()
    }

    /// Changes the head in a transaction: nothing is written outside of one, beside those who are in one.
    async fn change(&self, filter: Document, set: Document) -> Result<(), StoreError> {
        let (filter, set) = (&filter, &set);
        self.mongo
            .retried(Try::within(LONG_ANSWER), |at| async move {
                let mut tx = self.mongo.begin(at).await?;
                tx.update(CONTROL, vec![(filter.clone(), set.clone())], false)
                    .await?;
                tx.commit().await
            })
            .await
    }
}

/// Events that wait, in their order.
pub fn waiting() -> Find {
    Find::by(doc! { "waiting": { "$gt": i64::MIN } }).sort(doc! { "waiting": 1, "_id": 1 })
}

/// A stretch of the history. Both ends are given: a range with one end and a limit is read to its end on some servers.
pub fn numbered(after: i64, until: i64) -> Find {
    Find::by(doc! { "position": { "$gt": after, "$lte": until } }).sort(doc! { "position": 1 })
}

/// Where on a bus publishing is, as the head has it.
pub fn bus_of(mark: &Mark) -> Document {
    doc! { "bus": id(mark.bus), "bus_event": id(mark.event), "bus_position": mark.position }
}

fn recorded(document: &Document) -> Result<Recorded, StoreError> {
    let data = document.text("data")?;
    Ok(Recorded {
        position: document.long("position")?,
        recorded_at: document
            .has("recorded_at")
            .then(|| document.time("recorded_at"))
            .transpose()?,
        id: document.uuid("_id")?,
        kind: document.text("type")?,
        subject: document.text("subject")?,
        version: document.long("version")?,
        time: document.time("time")?,
        traceparent: document.text_opt("traceparent")?,
        data: RawValue::from_string(data).map_err(|_| foreign("data"))?,
    })
}

fn head(document: &Document) -> Result<Head, StoreError> {
    let mark = if document.has("bus") {
        Some(Mark {
            bus: document.uuid("bus")?,
            event: if document.has("bus_event") {
                document.uuid("bus_event")?
            } else {
                Uuid::nil()
            },
            position: document.long_or_zero("bus_position")?,
        })
    } else {
        None
    };
    Ok(Head {
        sequenced: document.long("sequenced")?,
        published: document.long("published")?,
        mark,
    })
}

#[async_trait]
impl OutboxStore for MongoOutbox {
    async fn number(&self, max: i64) -> Result<i64, StoreError> {
        // What is committed is seen here, numbered or not: nothing waits, nothing is to be numbered.
        let some = waiting().limit(1).fields(doc! { "_id": 1 });
        if self.mongo.read(some.command(OUTBOX)).await?.is_empty() {
            return Ok(0);
        }
        self.mongo
            .retried(Try::within(LONG_ANSWER), |at| self.try_number(at, max))
            .await
    }

    async fn read(&self, after: i64, max: i64) -> Result<Stretch, StoreError> {
        let end = head(&self.head_document().await?)?.sequenced;
        let items = self.between(after, after.saturating_add(max).min(end)).await?;
        let end = if items.is_empty() { after } else { end };
        Ok(Stretch { items, end })
    }

    async fn unpublished(&self, max: i64, bytes: i64) -> Result<Vec<Recorded>, StoreError> {
        let head = self.head().await?;
        let until = head.published.saturating_add(max).min(head.sequenced);
        let mut items = self.between(head.published, until).await?;
        let (mut sum, mut fits) = (0, 0);
        for item in &items {
            if sum >= bytes {
                break;
            }
            sum += i64::try_from(item.data.get().len()).unwrap_or(i64::MAX);
            fits += 1;
        }
        items.truncate(fits);
        Ok(items)
    }

    async fn head(&self) -> Result<Head, StoreError> {
        head(&self.head_document().await?)
    }

    async fn published(&self, position: i64, mark: &Mark) -> Result<(), StoreError> {
        let mut set = bus_of(mark);
        set.insert("published", position);
        let set = doc! { "$set": set };
        let behind = doc! { "_id": HEAD, "published": { "$lt": position } };
        self.change(behind, set).await
    }

    async fn join_bus(&self, bus: Uuid) -> Result<(), StoreError> {
        let set = doc! { "$set": { "bus": id(bus) }, "$unset": { "bus_event": 1, "bus_position": 1 } };
        self.change(doc! { "_id": HEAD }, set).await
    }

    async fn waiting(&self) -> Result<i64, StoreError> {
        let head = self.head().await?;
        let count = doc! { "aggregate": OUTBOX, "cursor": {},
        "pipeline": [{ "$match": waiting().filter }, { "$count": "n" }] };
        let counted = self.mongo.read(count).await?.pop();
        let waiting = counted.map_or(0, |counted| super::shape::count(&counted));
        Ok(head.sequenced - head.published + waiting)
    }
}
