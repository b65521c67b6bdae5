//! Reviews in PostgreSQL: one row a review, with its free part and its answers as `jsonb`.
//!
//! What lists are sorted by are columns, each with an index that has the order; filters look through a bounded stretch of it
//! (`read`). Votes are rows of their own, since a review may have any number of them, and one statement counts them in the
//! review. What comes from events is not in these rows: it is joined from the projection's live generation when a review is
//! read, by its key, so switching generations switches every mark and name at once.

use std::sync::Arc;

use async_trait::async_trait;
use emporium_event_bus::projection::PostgresProjection;
use emporium_event_bus::{Consumer, HistoryPage, Outbox, OutboxStore};
use emporium_service_kit::{Clock, Db, Environment, StartError, StoreError};
use sqlx::migrate::{MigrateError, Migrator};
use uuid::Uuid;

use super::{
    AnswerDraft, Answered, Draft, Edit, Edited, Moderation, PROJECTION, PastReview, Posted, ReviewStore,
    Voted,
};
use crate::listing::{Found, NewestReviews, ProductReviews, Viewer};
use crate::model::{Review, Summary};

mod filter;
mod load;
mod ratings;
mod read;
mod rows;
mod write;

use ratings::Ratings;

static MIGRATIONS: Migrator = sqlx::migrate!();

/// The PostgreSQL adapter.
pub struct PostgresReviews {
    db: Db,
    outbox: Outbox,
    clock: Clock,
    projection: Arc<PostgresProjection<Ratings>>,
}

impl PostgresReviews {
    /// Makes the tables, or brings them up to date.
    pub async fn migrate(db: &Db) -> Result<(), MigrateError> {
        db.migrate(&MIGRATIONS, "reviews").await
    }

    /// Opens the store in a database that has its tables, which is also the environment's, where the outbox is; gives the
    /// outbox as well.
    pub async fn open(db: Db, environment: &Environment) -> Result<(Self, Outbox), StartError> {
        let service = environment.service;
        let outbox = Outbox::open(environment).await?;
        let projection = PostgresProjection::open(db.clone(), service, PROJECTION, Ratings)
            .await
            .map_err(|error| StartError::Migrate {
                service,
                source: error.into(),
            })?;
        let store = Self {
            db,
            outbox: outbox.clone(),
            clock: environment.clock.clone(),
            projection: Arc::new(projection),
        };
        Ok((store, outbox))
    }
}

#[async_trait]
impl ReviewStore for PostgresReviews {
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
        let found = read::review(&self.db, review_id, viewer).await?;
        Ok(found.filter(|review| viewer.sees(review.author_id, review.state)))
    }

    async fn find_own(&self, product_id: Uuid, author_id: Uuid) -> Result<Option<Review>, StoreError> {
        read::own(&self.db, product_id, author_id).await
    }

    async fn of_product(&self, page: &ProductReviews) -> Result<Found, StoreError> {
        read::of_product(&self.db, page).await
    }

    async fn newest(&self, page: &NewestReviews) -> Result<Vec<Review>, StoreError> {
        read::newest(&self.db, page).await
    }

    async fn summaries(&self, products: &[Uuid]) -> Result<Vec<Summary>, StoreError> {
        read::summaries(&self.db, products).await
    }

    async fn history(&self, after: i64, max: i64) -> Result<HistoryPage, StoreError> {
        Ok(self.outbox.page(after, max).await?)
    }

    fn outbox(&self) -> &dyn OutboxStore {
        self.outbox.store()
    }

    fn projection(&self) -> Arc<dyn Consumer> {
        self.projection.clone()
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(self.db.ping().await?)
    }
}

#[cfg(test)]
pub(super) mod tests;
