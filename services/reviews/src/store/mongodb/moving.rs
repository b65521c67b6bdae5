//! What this store is to the service while it is moved, and the journal of what is written to meanwhile.

use async_trait::async_trait;
use emporium_moving::register::{Journal, Kept, Mark, Register};
use emporium_service_kit::StoreError;
use mongodb::bson::{Bson, doc};

use super::client::{LONG_ANSWER, Mongo, Try};
use super::codec::Fields;
use super::control;
use super::error::Fault;
use super::schema::{CONTROL, JOURNAL};
use super::shape;
use super::tx::Find;

/// The name of the standing's document.
const STANDING: &str = "standing";
/// Keys of one transaction.
const MARKED: usize = 500;

/// Standing and journal.
pub struct MongoMoving {
    mongo: Mongo,
}

impl MongoMoving {
    /// Of a database that is up to date.
    pub fn new(mongo: Mongo) -> Self {
        Self { mongo }
    }

    async fn try_swap(&self, at: Try, version: i64, text: &str) -> Result<bool, Fault> {
        let mut tx = self.mongo.begin(at).await?;
        if !control::keep_text(&mut tx, STANDING, version, text).await? {
            tx.abort().await?;
            return Ok(false);
        }
        tx.commit().await?;
        Ok(true)
    }

    async fn try_note(&self, at: Try, keys: &[String]) -> Result<(), Fault> {
        let mut tx = self.mongo.begin(at).await?;
        let mark = |key: &String| (doc! { "_id": key }, doc! { "$inc": { "times": 1_i64 } });
        tx.update(JOURNAL, keys.iter().map(mark).collect(), true).await?;
        tx.commit().await
    }

    async fn try_clear(&self, at: Try, keys: &[Bson]) -> Result<(), Fault> {
        let mut tx = self.mongo.begin(at).await?;
        tx.delete(JOURNAL, keys).await?;
        tx.commit().await
    }

    async fn try_forget(&self, at: Try, marks: &[Mark]) -> Result<(), Fault> {
        let mut tx = self.mongo.begin(at).await?;
        let one = |mark: &Mark| doc! { "q": { "_id": &mark.key, "times": mark.times }, "limit": 1 };
        let deletes: Vec<_> = marks.iter().map(one).collect();
        tx.run(doc! { "delete": JOURNAL, "deletes": deletes }).await?;
        tx.commit().await
    }
}

#[async_trait]
impl Register for MongoMoving {
    async fn load(&self) -> Result<Kept, StoreError> {
        let Some(document) = self.mongo.latest(CONTROL, STANDING).await? else {
            return Ok(Kept::default());
        };
        Ok(Kept {
            version: document.long("revision")?,
            text: Some(document.text("state")?),
        })
    }

    async fn swap(&self, version: i64, text: &str) -> Result<bool, StoreError> {
        let work = |at| self.try_swap(at, version, text);
        self.mongo.retried(Try::within(LONG_ANSWER), work).await
    }
}

#[async_trait]
impl Journal for MongoMoving {
    /// In the order of keys, so that two writes with the same keys meet at the first one.
    async fn note(&self, keys: &[String]) -> Result<(), StoreError> {
        let mut keys = keys.to_vec();
        keys.sort_unstable();
        keys.dedup();
        for some in keys.chunks(MARKED) {
            let work = |at| self.try_note(at, some);
            self.mongo.retried(Try::within(LONG_ANSWER), work).await?;
        }
        Ok(())
    }

    async fn noted(&self, max: usize) -> Result<Vec<Mark>, StoreError> {
        let find = Find::by(doc! {})
            .sort(doc! { "_id": 1 })
            .limit(i64::try_from(max).unwrap_or(i64::MAX));
        let found = self.mongo.read(find.command(JOURNAL)).await?;
        found
            .iter()
            .map(|mark| {
                Ok(Mark {
                    key: mark.text("_id")?,
                    times: mark.long("times")?,
                })
            })
            .collect()
    }

    async fn forget(&self, marks: &[Mark]) -> Result<(), StoreError> {
        for some in marks.chunks(MARKED) {
            let work = |at| self.try_forget(at, some);
            self.mongo.retried(Try::within(LONG_ANSWER), work).await?;
        }
        Ok(())
    }

    async fn count(&self) -> Result<i64, StoreError> {
        let count = doc! { "aggregate": JOURNAL, "cursor": {}, "pipeline": [{ "$count": "n" }] };
        let counted = self.mongo.read(count).await?.pop();
        Ok(counted.map_or(0, |counted| shape::count(&counted)))
    }

    async fn clear(&self) -> Result<(), StoreError> {
        loop {
            let marks = self.noted(MARKED).await?;
            if marks.is_empty() {
                return Ok(());
            }
            let keys: Vec<Bson> = marks.into_iter().map(|mark| Bson::String(mark.key)).collect();
            let work = |at| self.try_clear(at, &keys);
            self.mongo.retried(Try::within(LONG_ANSWER), work).await?;
        }
    }
}
