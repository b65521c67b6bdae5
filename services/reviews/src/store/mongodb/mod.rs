//! Reviews in MongoDB: one document a review, with its free part and its answers in it.
//!
//! What lists are sorted by are fields with an index that has the order. The free part is laid out once more as facets, by which
//! lists are filtered. Votes are documents of their own, since a review may have any number of them. What comes from events is
//! in collections of two generations and is added when a review is read.
//!
//! Every verb is one transaction in a snapshot, acknowledged when it is in the journal of a majority. Verbs that get into each
//! other's way are tried again, here and nowhere else. `docs/src/stores/mongodb.md` has every command, and ADR 20 the reasons.

use std::sync::Arc;

use async_trait::async_trait;
use emporium_event_bus::projection::StoredProjection;
use emporium_event_bus::{Consumer, HistoryPage, Outbox, OutboxStore};
use emporium_service_kit::report::Lack;
use emporium_service_kit::{Clock, Environment, StoreError};
use uuid::Uuid;

use super::{AnswerDraft, Answered, Draft, Edit, Edited, Moderation, PastReview, Posted, ReviewStore, Voted};
use crate::listing::{Found, NewestReviews, ProductReviews, Viewer};
use crate::model::{Review, Summary};

mod client;
mod codec;
mod compare;
mod connect;
mod control;
mod error;
mod facets;
mod list;
mod load;
mod moving;
mod outbox;
mod projection;
mod ratings;
mod read;
mod review;
mod rows;
mod schema;
mod shape;
mod turns;
mod tx;
mod write;

pub use client::{MONGODB, Mongo};
pub use connect::ConnectError;
pub(super) use moving::MongoMoving;
pub use outbox::MongoOutbox;

use projection::Ratings;
use turns::Turns;

/// The MongoDB adapter.
pub struct MongoReviews {
    mongo: Mongo,
    outbox: Outbox<MongoOutbox>,
    clock: Clock,
    turns: Arc<Turns>,
    projection: Arc<StoredProjection<Ratings>>,
}

impl MongoReviews {
    /// Opens the store at this URL and brings it up to date; gives the outbox of its events as well.
    pub async fn open(
        url: &str,
        environment: &Environment,
    ) -> Result<(Self, Outbox<MongoOutbox>), ConnectError> {
        let mongo = connect::open(url, environment).await?;
        let outbox = Outbox::over(MongoOutbox::new(mongo.clone()), environment);
        let (clock, turns) = (environment.clock.clone(), Arc::new(Turns::new()));
        let ratings = Ratings {
            mongo: mongo.clone(),
            clock: clock.clone(),
            turns: turns.clone(),
        };
        let store = Self {
            mongo,
            outbox: outbox.clone(),
            projection: StoredProjection::new(ratings, clock.clone()),
            clock,
            turns,
        };
        Ok((store, outbox))
    }

    /// The server, to tell about.
    pub fn server(&self) -> Mongo {
        self.mongo.clone()
    }

    /// What it lacks here.
    pub fn lacks(&self) -> Vec<Lack> {
        let sorted = Lack::new(
            "long lists",
            "this server is not MongoDB: it sorts all of a product's reviews for each page of them, so pages of products with \
             thousands of reviews are slow",
        );
        if self.mongo.is_mongodb() {
            Vec::new()
        } else {
            vec![sorted]
        }
    }
}

#[async_trait]
impl ReviewStore for MongoReviews {
    async fn post(&self, draft: &Draft) -> Result<Posted, StoreError> {
        self.post_review(draft).await
    }

    async fn edit(&self, edit: &Edit) -> Result<Edited, StoreError> {
        self.edit_review(edit).await
    }

    async fn vote(
        &self,
        review_id: Uuid,
        voter_id: Uuid,
        helpful: Option<bool>,
    ) -> Result<Voted, StoreError> {
        self.cast_vote(review_id, voter_id, helpful).await
    }

    async fn answer(&self, draft: &AnswerDraft) -> Result<Answered, StoreError> {
        self.give_answer(draft).await
    }

    async fn take_answer_back(&self, review_id: Uuid, answer_id: Uuid) -> Result<Option<Review>, StoreError> {
        self.drop_answer(review_id, answer_id).await
    }

    async fn moderate(&self, review_id: Uuid, moderation: &Moderation) -> Result<Option<Review>, StoreError> {
        self.decide(review_id, moderation).await
    }

    async fn load(&self, reviews: &[PastReview]) -> Result<u64, StoreError> {
        self.load_past(reviews).await
    }

    async fn find(&self, review_id: Uuid, viewer: Viewer) -> Result<Option<Review>, StoreError> {
        self.one_review(review_id, viewer).await
    }

    async fn find_own(&self, product_id: Uuid, author_id: Uuid) -> Result<Option<Review>, StoreError> {
        self.own_review(product_id, author_id).await
    }

    async fn of_product(&self, page: &ProductReviews) -> Result<Found, StoreError> {
        self.product_reviews(page).await
    }

    async fn newest(&self, page: &NewestReviews) -> Result<Vec<Review>, StoreError> {
        self.newest_reviews(page).await
    }

    async fn summaries(&self, products: &[Uuid]) -> Result<Vec<Summary>, StoreError> {
        self.product_summaries(products).await
    }

    async fn history(&self, after: i64, max: i64) -> Result<HistoryPage, StoreError> {
        self.outbox.page(after, max).await
    }

    fn outbox(&self) -> &dyn OutboxStore {
        self.outbox.store()
    }

    fn projection(&self) -> Arc<dyn Consumer> {
        self.projection.clone()
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.mongo.ping().await
    }
}

#[cfg(test)]
pub(super) mod tests;
