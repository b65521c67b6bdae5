//! The store behind the gate of a move: which adapter serves may change while the service works.

use std::sync::Arc;

use async_trait::async_trait;
use emporium_event_bus::outbox::OutboxStore;
use emporium_event_bus::{Consumer, HistoryPage, Outbox, SharedOutbox};
use emporium_moving::{Gate, MovedProjection};
use emporium_service_kit::{Environment, StoreError};
use uuid::Uuid;

use super::copied::RecordKey;
use super::{AnswerDraft, Answered, Draft, Edit, Edited, Moderation, PastReview, Posted, ReviewStore, Voted};
use crate::listing::{Found, NewestReviews, ProductReviews, Viewer};
use crate::model::{Review, Summary};

mod outbox;

pub use outbox::GatedOutbox;

/// Any adapter, and another one after a move.
pub struct GatedReviews {
    gate: Gate<dyn ReviewStore>,
    outbox: Outbox<GatedOutbox>,
    projection: Arc<MovedProjection<dyn ReviewStore>>,
}

fn review(id: Uuid) -> Vec<String> {
    vec![RecordKey::Review(id).text()]
}

impl GatedReviews {
    /// The store behind this gate.
    pub fn new(gate: Gate<dyn ReviewStore>, environment: &Environment) -> Result<Self, StoreError> {
        Ok(Self {
            outbox: Outbox::over(GatedOutbox(gate.clone()), environment),
            projection: MovedProjection::new(gate.clone())?,
            gate,
        })
    }

    /// The outbox, to be relayed.
    pub fn relayed(&self) -> SharedOutbox {
        self.outbox.shared()
    }

    /// A write. The events that it may have written are for the relay, which listens to this outbox.
    async fn write<T, R>(
        &self,
        keys: impl FnOnce() -> Vec<String>,
        work: impl FnOnce(Arc<dyn ReviewStore>) -> R,
    ) -> Result<T, StoreError>
    where
        R: Future<Output = Result<T, StoreError>>,
    {
        let done = self.gate.write(keys, work).await;
        self.outbox.wake();
        done
    }
}

#[async_trait]
impl ReviewStore for GatedReviews {
    /// Which id a review got whose posting failed half-way, nobody knows here: it is marked by who posted what.
    async fn post(&self, draft: &Draft) -> Result<Posted, StoreError> {
        let keys = || vec![RecordKey::Own(draft.author_id, draft.product_id).text()];
        self.write(keys, |store| async move { store.post(draft).await })
            .await
    }

    async fn edit(&self, edit: &Edit) -> Result<Edited, StoreError> {
        let keys = || review(edit.review_id);
        self.write(keys, |store| async move { store.edit(edit).await })
            .await
    }

    async fn vote(
        &self,
        review_id: Uuid,
        voter_id: Uuid,
        helpful: Option<bool>,
    ) -> Result<Voted, StoreError> {
        let keys = || {
            let vote = RecordKey::Vote(review_id, voter_id);
            vec![RecordKey::Review(review_id).text(), vote.text()]
        };
        let work =
            |store: Arc<dyn ReviewStore>| async move { store.vote(review_id, voter_id, helpful).await };
        // Votes have no events.
        self.gate.write(keys, work).await
    }

    async fn answer(&self, draft: &AnswerDraft) -> Result<Answered, StoreError> {
        let keys = || review(draft.review_id);
        self.write(keys, |store| async move { store.answer(draft).await })
            .await
    }

    async fn take_answer_back(&self, review_id: Uuid, answer_id: Uuid) -> Result<Option<Review>, StoreError> {
        let work =
            |store: Arc<dyn ReviewStore>| async move { store.take_answer_back(review_id, answer_id).await };
        self.write(|| review(review_id), work).await
    }

    async fn moderate(&self, review_id: Uuid, moderation: &Moderation) -> Result<Option<Review>, StoreError> {
        let work = |store: Arc<dyn ReviewStore>| async move { store.moderate(review_id, moderation).await };
        self.write(|| review(review_id), work).await
    }

    async fn load(&self, reviews: &[PastReview]) -> Result<u64, StoreError> {
        let keys = || {
            let of_one = |past: &PastReview| {
                let id = past.id;
                let votes = past.votes.iter();
                let votes = votes.map(move |(voter, _)| RecordKey::Vote(id, *voter).text());
                std::iter::once(RecordKey::Review(id).text())
                    .chain(votes)
                    .collect::<Vec<_>>()
            };
            reviews.iter().flat_map(of_one).collect()
        };
        self.write(keys, |store| async move { store.load(reviews).await })
            .await
    }

    async fn find(&self, review_id: Uuid, viewer: Viewer) -> Result<Option<Review>, StoreError> {
        let ask = |store: Arc<dyn ReviewStore>| async move { store.find(review_id, viewer).await };
        self.gate.read(ask).await
    }

    async fn find_own(&self, product_id: Uuid, author_id: Uuid) -> Result<Option<Review>, StoreError> {
        let ask = |store: Arc<dyn ReviewStore>| async move { store.find_own(product_id, author_id).await };
        self.gate.read(ask).await
    }

    async fn of_product(&self, page: &ProductReviews) -> Result<Found, StoreError> {
        self.gate
            .read(|store| async move { store.of_product(page).await })
            .await
    }

    async fn newest(&self, page: &NewestReviews) -> Result<Vec<Review>, StoreError> {
        self.gate
            .read(|store| async move { store.newest(page).await })
            .await
    }

    /// In the order of products: stores give them in orders of their own, which says nothing.
    async fn summaries(&self, products: &[Uuid]) -> Result<Vec<Summary>, StoreError> {
        let ask = |store: Arc<dyn ReviewStore>| async move {
            let mut summaries = store.summaries(products).await?;
            summaries.sort_unstable_by_key(|summary| summary.product_id);
            Ok(summaries)
        };
        self.gate.read(ask).await
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
        self.gate.here().store.ping().await
    }
}
