//! What a move copies from store to store: reviews with their answers, votes, and the outbox, which is the service's history.
//! Here it is the same for every store, over the few statements of [`Rows`].
//!
//! - **Reviews and votes** are records with marks of their own, in which counts, versions and times are as they were.
//! - **The outbox is a log**: events are copied in the order of their positions, those that had none get one first, so nothing
//!   waits in the copy. Whatever was committed before a listing is in it, so nobody marks events: a piece of the log is copied
//!   from where the copy ends. The bus' mark and how far publishing is go with it, so the relay goes on where it was.
//! - **The projection is built** in the other store from the histories of orders, users and reviews, as in a rebuild. Verbs write
//!   ratings to the projection of the store that serves, without waiting for their events to come back; in the copy the log does
//!   that: an event that is put changes ratings there in the transaction that puts it. Only a newer version of a review counts, so
//!   it makes no difference which way a rating came first, by the log, the history or the bus, nor how often.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use emporium_event_bus::OutboxStore;
use emporium_event_bus::bus::Mark;
use emporium_event_bus::outbox::Recorded;
use emporium_moving::{Copied, Keys, Record};
use emporium_service_kit::StoreError;
use uuid::Uuid;

use crate::changes::Changes;
use crate::model::Review;

mod content;
mod key;

#[cfg(test)]
pub(super) use content::canonical;
pub(super) use key::RecordKey;

/// Where the service's events come from.
const SOURCE: &str = "/reviews";
/// Events that are numbered at a time.
const NUMBERED: i64 = 1_000;

/// A vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Vote {
    pub review_id: Uuid,
    pub voter_id: Uuid,
    pub helpful: bool,
}

/// How far publishing is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Published {
    pub position: i64,
    pub mark: Option<Mark>,
}

/// Keys by what they name.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub reviews: Vec<Uuid>,
    /// Author and product.
    pub pairs: Vec<(Uuid, Uuid)>,
    /// Review and voter.
    pub votes: Vec<(Uuid, Uuid)>,
    pub positions: Vec<i64>,
    pub head: bool,
}

impl Wanted {
    fn read(keys: &[String]) -> Result<Self, StoreError> {
        let mut wanted = Self::default();
        for key in keys {
            match RecordKey::read(key)? {
                RecordKey::Review(id) => wanted.reviews.push(id),
                RecordKey::Own(author, product) => wanted.pairs.push((author, product)),
                RecordKey::Vote(review, voter) => wanted.votes.push((review, voter)),
                RecordKey::Event(position) => wanted.positions.push(position),
                RecordKey::Head => wanted.head = true,
            }
        }
        wanted.positions.sort_unstable();
        Ok(wanted)
    }
}

/// Records to be put, in the order in which they are put: a vote comes after its review, the head after its events.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Without what is joined when one is read.
    pub reviews: Vec<Review>,
    pub votes: Vec<Vote>,
    /// In the order of their positions.
    pub events: Vec<Recorded>,
    pub head: Option<Published>,
}

impl Batch {
    fn read(records: &[Record]) -> Result<Self, StoreError> {
        let mut batch = Self::default();
        for Record { key, content, .. } in records {
            match RecordKey::read(key)? {
                RecordKey::Review(id) => batch.reviews.push(content::to_review(id, content)?),
                RecordKey::Vote(review_id, voter_id) => batch.votes.push(Vote {
                    review_id,
                    voter_id,
                    helpful: content::to_vote(content)?,
                }),
                RecordKey::Event(position) => batch.events.push(content::to_event(position, content)?),
                RecordKey::Head => batch.head = Some(content::to_head(content)?),
                RecordKey::Own(..) => return Err(key::foreign(key)),
            }
        }
        batch.events.sort_unstable_by_key(|event| event.position);
        Ok(batch)
    }
}

/// What events of the log change in the projection.
pub(super) fn changes<'a>(events: impl IntoIterator<Item = &'a Recorded>) -> Result<Changes, StoreError> {
    let events: Vec<_> = events
        .into_iter()
        .map(|event| event.clone().event(SOURCE))
        .collect();
    Changes::read(&events).map_err(|error| StoreError::Data(error.into()))
}

/// The statements that a store has for it. Each verb may be repeated.
#[async_trait]
pub(super) trait Rows: Send + Sync {
    /// Its outbox.
    fn log(&self) -> &dyn OutboxStore;

    /// Ids of reviews after this one, in their order.
    async fn review_ids(&self, after: Uuid, max: usize) -> Result<Vec<Uuid>, StoreError>;

    /// Reviews and voters of votes after this one, in their order.
    async fn vote_ids(&self, after: (Uuid, Uuid), max: usize) -> Result<Vec<(Uuid, Uuid)>, StoreError>;

    /// Reviews, by their ids and by their authors and products, without what is joined.
    async fn reviews(&self, wanted: &Wanted) -> Result<Vec<Review>, StoreError>;

    /// Votes.
    async fn votes(&self, wanted: &Wanted) -> Result<Vec<Vote>, StoreError>;

    /// Puts records in the place of what is there. An event that is put counts in the projection as its verb did, and numbering
    /// goes on after the last one.
    async fn put_batch(&self, batch: &Batch) -> Result<(), StoreError>;

    /// Removes reviews and votes.
    async fn remove_rows(&self, wanted: &Wanted) -> Result<(), StoreError>;

    /// Empties everything, the projection included.
    async fn clear_all(&self) -> Result<(), StoreError>;
}

/// The records of a store.
pub(super) struct ReviewRecords(pub Arc<dyn Rows>);

impl ReviewRecords {
    /// A page of one kind, and where the next one begins.
    async fn page(
        &self,
        after: RecordKey,
        max: usize,
    ) -> Result<(Vec<RecordKey>, Option<RecordKey>), StoreError> {
        let (keys, then): (Vec<RecordKey>, Option<RecordKey>) = match after {
            RecordKey::Review(after) => {
                let ids = self.0.review_ids(after, max).await?;
                let keys = ids.into_iter().map(RecordKey::Review).collect();
                (keys, Some(RecordKey::Vote(Uuid::nil(), Uuid::nil())))
            }
            RecordKey::Vote(review, voter) => {
                let ids = self.0.vote_ids((review, voter), max).await?;
                let key = |(review, voter)| RecordKey::Vote(review, voter);
                (ids.into_iter().map(key).collect(), Some(RecordKey::Event(0)))
            }
            RecordKey::Event(after) => {
                let end = self.end().await?;
                let last = end.min(after.saturating_add(i64::try_from(max).unwrap_or(i64::MAX)));
                let keys = (after + 1..=last).map(RecordKey::Event).collect();
                return Ok((
                    keys,
                    Some(if last < end {
                        RecordKey::Event(last)
                    } else {
                        RecordKey::Head
                    }),
                ));
            }
            RecordKey::Head => return Ok((vec![RecordKey::Head], None)),
            RecordKey::Own(..) => return Err(key::foreign(&after.text())),
        };
        match keys.last() {
            Some(last) if keys.len() >= max => {
                let last = *last;
                Ok((keys, Some(last)))
            }
            _ => Ok((keys, then)),
        }
    }

    /// The last position, when all that was committed before has one.
    async fn end(&self) -> Result<i64, StoreError> {
        let log = self.0.log();
        while log.number(NUMBERED).await? >= NUMBERED {}
        Ok(log.head().await?.sequenced)
    }

    async fn published(&self) -> Result<Option<Published>, StoreError> {
        let head = self.0.log().head().await?;
        let published = Published {
            position: head.published,
            mark: head.mark,
        };
        Ok(Some(published).filter(|head| head.position > 0 || head.mark.is_some()))
    }

    /// Events at these positions, which ascend.
    async fn events(&self, positions: &[i64]) -> Result<Vec<Recorded>, StoreError> {
        let mut events = Vec::with_capacity(positions.len());
        for run in positions.chunk_by(|one, next| one + 1 == *next) {
            let [first, .., last] = *run else {
                if let [only] = *run {
                    events.extend(self.stretch(only, only).await?);
                }
                continue;
            };
            events.extend(self.stretch(first, last).await?);
        }
        Ok(events)
    }

    async fn stretch(&self, first: i64, last: i64) -> Result<Vec<Recorded>, StoreError> {
        let found = self.0.log().read(first - 1, last - first + 1).await?;
        Ok(found
            .items
            .into_iter()
            .filter(|event| event.position <= last)
            .collect())
    }
}

#[async_trait]
impl Copied for ReviewRecords {
    /// The kinds one after the other, each in its order. What is copied last has everything that is committed by then.
    async fn keys(&self, after: Option<&str>, max: usize) -> Result<Keys, StoreError> {
        let after = after.map(RecordKey::read).transpose()?;
        let mut next = Some(after.unwrap_or(RecordKey::Review(Uuid::nil())));
        let mut keys = Vec::new();
        while let Some(after) = next {
            if keys.len() >= max {
                break;
            }
            let (some, then) = self.page(after, max - keys.len()).await?;
            keys.extend(some.into_iter().map(RecordKey::text));
            next = then;
        }
        let next = next.map(RecordKey::text);
        Ok(Keys { keys, next })
    }

    async fn read(&self, keys: &[String]) -> Result<Vec<Record>, StoreError> {
        let wanted = Wanted::read(keys)?;
        let mut records = Vec::with_capacity(keys.len());
        let mut found = HashSet::new();
        for review in self.0.reviews(&wanted).await? {
            // By its id, and by its author and product as well.
            if found.insert(review.id) {
                records.push(content::of_review(review)?);
            }
        }
        for vote in self.0.votes(&wanted).await? {
            records.push(content::of_vote(&vote)?);
        }
        for event in self.events(&wanted.positions).await? {
            records.push(content::of_event(&event)?);
        }
        if wanted.head
            && let Some(head) = self.published().await?
        {
            records.push(content::of_head(&head)?);
        }
        Ok(records)
    }

    async fn put(&self, records: &[Record]) -> Result<(), StoreError> {
        self.0.put_batch(&Batch::read(records)?).await
    }

    async fn remove(&self, keys: &[String]) -> Result<(), StoreError> {
        let wanted = Wanted::read(keys)?;
        if !wanted.reviews.is_empty() || !wanted.votes.is_empty() {
            self.0.remove_rows(&wanted).await?;
        }
        // Nobody removes events, nor how far they were published.
        Ok(())
    }

    async fn clear(&self) -> Result<(), StoreError> {
        self.0.clear_all().await
    }

    async fn log_end(&self) -> Result<Option<String>, StoreError> {
        let end = self.0.log().head().await?.sequenced;
        Ok(Some(RecordKey::Event(end).text()))
    }
}
