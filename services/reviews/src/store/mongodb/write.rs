//! Changing reviews: each verb is one transaction that reads the review, decides by the rules that all stores share, and writes
//! review, event and summaries.
//!
//! What was read is what is written: the review's document is replaced only at the version it was read at, and the server refuses
//! a transaction whose documents somebody else has changed since its snapshot. Then the whole verb is tried again.

use emporium_service_kit::{StoreError, ids};
use mongodb::bson::doc;
use uuid::Uuid;

use super::client::{ANSWER, Try};
use super::codec::{self, Fields, micros};
use super::error::{Fault, foreign};
use super::review::{Kept, vote_key};
use super::tx::{Find, Tx};
use super::{MongoReviews, control, ratings, read, schema};
use crate::changes::Changes;
use crate::events::AnswerChange;
use crate::listing::Viewer;
use crate::model::{Review, State, Votes};
use crate::store::change::{Told, TooMany, answered};
use crate::store::{AnswerDraft, Answered, Draft, Edit, Edited, Moderation, Posted, Voted};

/// The review by this id, in this transaction.
async fn by_id(tx: &mut Tx, id: Uuid) -> Result<Option<Kept>, Fault> {
    let found = tx.one(schema::REVIEW, doc! { "_id": codec::id(id) }).await?;
    Ok(found.as_ref().map(Kept::read).transpose()?)
}

impl MongoReviews {
    pub(super) async fn post_review(&self, draft: &Draft) -> Result<Posted, StoreError> {
        let products = [draft.product_id];
        let (_turn, first) = self.mongo.turns(&self.turns, products, ANSWER).await?;
        self.mongo.retried(first, |at| self.try_post(at, draft)).await
    }

    async fn try_post(&self, at: Try, draft: &Draft) -> Result<Posted, Fault> {
        let mut tx = self.mongo.begin(at).await?;
        let there = tx
            .one(schema::REVIEW, read::by_pair(draft.product_id, draft.author_id))
            .await?;
        if let Some(there) = there {
            tx.abort().await?;
            return Ok(Posted::Exists(there.uuid("_id")?));
        }
        let now = self.clock.now();
        let review = Review {
            id: ids::new(&self.clock),
            product_id: draft.product_id,
            author_id: draft.author_id,
            author_name: draft.author_name.clone(),
            rating: draft.opinion.rating,
            title: draft.opinion.title.clone(),
            text: draft.opinion.text.clone(),
            attributes: draft.opinion.attributes.clone(),
            state: State::Visible,
            hidden_reason: None,
            verified: false,
            helpful: 0,
            unhelpful: 0,
            own_vote: None,
            answers: Vec::new(),
            version: 1,
            created_at: now,
            updated_at: now,
        };
        let kept = Kept { review, told_at: 0 };
        let viewer = Viewer::customer(draft.author_id);
        let review = self.conclude(tx, kept, viewer, Told::Posted).await?;
        Ok(Posted::Done(Box::new(review)))
    }

    /// The products whose turn a change of a review is to wait for. Asked before: a transaction that waits has an old snapshot.
    async fn product_of(&self, review_id: Uuid) -> Result<Option<Uuid>, StoreError> {
        let find = Find::by(doc! { "_id": codec::id(review_id) }).fields(doc! { "product_id": 1 });
        let found = self.mongo.read(find.limit(1).command(schema::REVIEW)).await?;
        found.first().map(|review| review.uuid("product_id")).transpose()
    }

    pub(super) async fn edit_review(&self, edit: &Edit) -> Result<Edited, StoreError> {
        let product = self.product_of(edit.review_id).await?;
        let (_turn, first) = self.mongo.turns(&self.turns, product, ANSWER).await?;
        self.mongo.retried(first, |at| self.try_edit(at, edit)).await
    }

    async fn try_edit(&self, at: Try, edit: &Edit) -> Result<Edited, Fault> {
        let mut tx = self.mongo.begin(at).await?;
        let found = by_id(&mut tx, edit.review_id).await?;
        let Some(mut kept) = found.filter(|kept| kept.review.author_id == edit.author_id) else {
            tx.abort().await?;
            return Ok(Edited::Missing);
        };
        let (review, opinion, viewer) = (&mut kept.review, &edit.opinion, Viewer::customer(edit.author_id));
        let says = review.rating == opinion.rating
            && review.title == opinion.title
            && review.text == opinion.text
            && review.attributes == opinion.attributes;
        if says {
            let review = unchanged(tx, kept, viewer).await?;
            return Ok(Edited::Done(Box::new(review)));
        }
        if review.version != edit.version {
            let version = review.version;
            tx.abort().await?;
            return Ok(Edited::Stale(version));
        }
        review.rating = opinion.rating;
        review.title.clone_from(&opinion.title);
        review.text.clone_from(&opinion.text);
        review.attributes.clone_from(&opinion.attributes);
        review.updated_at = self.clock.now();
        review.version += 1;
        let review = self.conclude(tx, kept, viewer, Told::Changed).await?;
        Ok(Edited::Done(Box::new(review)))
    }

    pub(super) async fn cast_vote(
        &self,
        review_id: Uuid,
        voter_id: Uuid,
        helpful: Option<bool>,
    ) -> Result<Voted, StoreError> {
        // A review that many vote on is one document.
        let (_turn, first) = self.mongo.turns(&self.turns, [review_id], ANSWER).await?;
        self.mongo
            .retried(first, |at| self.try_vote(at, review_id, voter_id, helpful))
            .await
    }

    async fn try_vote(
        &self,
        at: Try,
        review_id: Uuid,
        voter_id: Uuid,
        helpful: Option<bool>,
    ) -> Result<Voted, Fault> {
        let mut tx = self.mongo.begin(at).await?;
        let refused = match by_id(&mut tx, review_id).await? {
            Some(kept) if kept.review.author_id == voter_id => Some(Voted::Own),
            Some(kept) if kept.review.state == State::Visible => None,
            _ => Some(Voted::Missing),
        };
        if let Some(refused) = refused {
            tx.abort().await?;
            return Ok(refused);
        }
        let before = replace_vote(&mut tx, review_id, voter_id, helpful).await?;
        let count = |vote: Option<bool>, side: bool| i64::from(vote == Some(side));
        let more = count(helpful, true) - count(before, true);
        let against = count(helpful, false) - count(before, false);
        let change = doc! { "findAndModify": schema::REVIEW, "query": { "_id": codec::id(review_id) }, "new": true,
        "update": { "$inc": { "helpful": more, "unhelpful": against, "score": more - against } },
        "fields": { "helpful": 1, "unhelpful": 1 } };
        let reply = tx.run(change).await?;
        let counted = reply
            .get_document("value")
            .map_err(|_| Fault::again("the review"))?;
        let votes = Votes {
            helpful: counted.long("helpful")?,
            unhelpful: counted.long("unhelpful")?,
            own_vote: helpful,
        };
        tx.commit().await?;
        Ok(Voted::Done(votes))
    }

    pub(super) async fn give_answer(&self, draft: &AnswerDraft) -> Result<Answered, StoreError> {
        let first = Try::within(ANSWER);
        self.mongo.retried(first, |at| self.try_answer(at, draft)).await
    }

    async fn try_answer(&self, at: Try, draft: &AnswerDraft) -> Result<Answered, Fault> {
        let mut tx = self.mongo.begin(at).await?;
        let Some(mut kept) = by_id(&mut tx, draft.review_id).await? else {
            tx.abort().await?;
            return Ok(Answered::Missing);
        };
        let change = match answered(&mut kept.review.answers, draft, self.clock.now()) {
            Ok(Some(change)) => change,
            Ok(None) => {
                let review = unchanged(tx, kept, Viewer::MODERATOR).await?;
                return Ok(Answered::Done(Box::new(review), false));
            }
            Err(TooMany) => {
                tx.abort().await?;
                return Ok(Answered::Full);
            }
        };
        kept.review.version += 1;
        let told = Told::Answered(draft.answer_id, change);
        let review = self.conclude(tx, kept, Viewer::MODERATOR, told).await?;
        Ok(Answered::Done(Box::new(review), change == AnswerChange::Added))
    }

    pub(super) async fn drop_answer(
        &self,
        review_id: Uuid,
        answer_id: Uuid,
    ) -> Result<Option<Review>, StoreError> {
        let first = Try::within(ANSWER);
        self.mongo
            .retried(first, |at| self.try_drop(at, review_id, answer_id))
            .await
    }

    async fn try_drop(&self, at: Try, review_id: Uuid, answer_id: Uuid) -> Result<Option<Review>, Fault> {
        let mut tx = self.mongo.begin(at).await?;
        let Some(mut kept) = by_id(&mut tx, review_id).await? else {
            tx.abort().await?;
            return Ok(None);
        };
        let before = kept.review.answers.len();
        kept.review.answers.retain(|answer| answer.id != answer_id);
        if kept.review.answers.len() == before {
            return unchanged(tx, kept, Viewer::MODERATOR).await.map(Some);
        }
        kept.review.version += 1;
        let told = Told::Answered(answer_id, AnswerChange::Removed);
        let review = self.conclude(tx, kept, Viewer::MODERATOR, told);
        review.await.map(Some)
    }

    pub(super) async fn decide(
        &self,
        review_id: Uuid,
        moderation: &Moderation,
    ) -> Result<Option<Review>, StoreError> {
        let product = self.product_of(review_id).await?;
        let (_turn, first) = self.mongo.turns(&self.turns, product, ANSWER).await?;
        self.mongo
            .retried(first, |at| self.try_decide(at, review_id, moderation))
            .await
    }

    async fn try_decide(
        &self,
        at: Try,
        review_id: Uuid,
        moderation: &Moderation,
    ) -> Result<Option<Review>, Fault> {
        let mut tx = self.mongo.begin(at).await?;
        let Some(mut kept) = by_id(&mut tx, review_id).await? else {
            tx.abort().await?;
            return Ok(None);
        };
        let (state, reason) = match moderation {
            Moderation::Show => (State::Visible, None),
            Moderation::Hide(reason) => (State::Hidden, Some(reason.clone())),
        };
        let review = &mut kept.review;
        if review.state == state && review.hidden_reason == reason {
            return unchanged(tx, kept, Viewer::MODERATOR).await.map(Some);
        }
        (review.state, review.hidden_reason) = (state, reason);
        review.version += 1;
        let review = self.conclude(tx, kept, Viewer::MODERATOR, Told::of(moderation));
        review.await.map(Some)
    }

    /// Ends a change: review, event, summaries, commit. Gives the review as it is now.
    async fn conclude(
        &self,
        mut tx: Tx,
        mut kept: Kept,
        viewer: Viewer,
        told: Told,
    ) -> Result<Review, Fault> {
        let state = control::for_effect(&mut tx).await?.state;
        let waiting = kept.tell(micros(self.clock.now()));
        let event = told.event(&kept.review, &self.clock)?;
        self.outbox
            .store()
            .write(&mut tx, &self.clock, &[(event, waiting)])
            .await?;
        write_review(&mut tx, &kept).await?;
        if told.counts() {
            control::touch(&mut tx, kept.review.product_id).await?;
            let changes = Changes::of(&kept.review);
            for target in state.targets() {
                ratings::apply(&mut tx, &changes, target.place).await?;
            }
        }
        let review = one(read::present(&mut tx, vec![kept], viewer, state.live().place).await?)?;
        tx.commit().await?;
        self.outbox.wake();
        Ok(review)
    }
}

/// Inserts the first version; replaces the one before each later one.
async fn write_review(tx: &mut Tx, kept: &Kept) -> Result<(), Fault> {
    let document = kept.document();
    if kept.review.version == 1 {
        return tx.insert(schema::REVIEW, vec![document]).await;
    }
    let before = doc! { "_id": codec::id(kept.review.id), "version": kept.review.version - 1 };
    match tx.update(schema::REVIEW, vec![(before, document)], false).await? {
        1 => Ok(()),
        _ => Err(Fault::again("the review")),
    }
}

/// Ends a transaction that found nothing to change.
async fn unchanged(mut tx: Tx, kept: Kept, viewer: Viewer) -> Result<Review, Fault> {
    let live = control::state(&mut tx).await?.state.live().place;
    let review = one(read::present(&mut tx, vec![kept], viewer, live).await?)?;
    tx.abort().await?;
    Ok(review)
}

fn one(mut reviews: Vec<Review>) -> Result<Review, StoreError> {
    reviews.pop().ok_or_else(|| foreign("a review"))
}

/// Writes a vote or takes it back; gives the one that was there.
async fn replace_vote(
    tx: &mut Tx,
    review_id: Uuid,
    voter_id: Uuid,
    helpful: Option<bool>,
) -> Result<Option<bool>, Fault> {
    let key = doc! { "_id": vote_key(review_id, voter_id) };
    let before = tx.one(schema::VOTE, key.clone()).await?;
    let before = before.map(|vote| vote.truth("helpful")).transpose()?;
    match helpful {
        _ if before == helpful => {}
        Some(helpful) => {
            let vote = vote_document(review_id, voter_id, helpful);
            tx.update(schema::VOTE, vec![(key, vote)], true).await?;
        }
        None => {
            tx.delete(schema::VOTE, &[vote_key(review_id, voter_id)]).await?;
        }
    }
    Ok(before)
}

/// A vote.
pub fn vote_document(review_id: Uuid, voter_id: Uuid, helpful: bool) -> mongodb::bson::Document {
    doc! { "_id": vote_key(review_id, voter_id), "review_id": codec::id(review_id), "voter_id": codec::id(voter_id),
    "helpful": helpful }
}
