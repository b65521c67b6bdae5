//! Changing reviews: each verb is one transaction, in which the review's row is locked first (after the projection's, shared),
//! and which writes the event and the summary too.

use emporium_service_kit::{StoreError, Tx, ids};
use sqlx::FromRow;
use sqlx::types::Json;
use uuid::Uuid;

use super::{PostgresReviews, ratings, read};
use crate::attributes::Attributes;
use crate::changes::Changes;
use crate::events::AnswerChange;
use crate::listing::Viewer;
use crate::model::{Answer, Opinion, Review, Votes};
use crate::store::change::{Told, TooMany, answered};
use crate::store::{AnswerDraft, Answered, Draft, Edit, Edited, Moderation, Posted, Voted};

const INSERT: &str = "
    INSERT INTO reviews_review (id, product_id, author_id, author_name, rating, title, body, attributes, created_at, updated_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)
    ON CONFLICT ON CONSTRAINT reviews_review_once DO NOTHING";

const LOCK: &str = "
    SELECT author_id, rating, title, body, attributes, answers, hidden, hidden_reason, version
    FROM reviews_review WHERE id = $1 FOR UPDATE";

const EDIT: &str = "
    UPDATE reviews_review SET rating = $2, title = $3, body = $4, attributes = $5, version = version + 1, updated_at = $6
    WHERE id = $1";

const ANSWER: &str = "UPDATE reviews_review SET answers = $2, version = version + 1 WHERE id = $1";

const MODERATE: &str =
    "UPDATE reviews_review SET hidden = $2, hidden_reason = $3, version = version + 1 WHERE id = $1";

/// The review's row is locked, so the vote that was there stays what it is until both are written.
const VOTE: &str = "
    WITH before AS (
        SELECT helpful FROM reviews_vote WHERE review_id = $1 AND voter_id = $2
    ), cast_vote AS (
        INSERT INTO reviews_vote (review_id, voter_id, helpful) SELECT $1, $2, $3 WHERE $3 IS NOT NULL
        ON CONFLICT (review_id, voter_id) DO UPDATE SET helpful = excluded.helpful
    ), taken_back AS (
        DELETE FROM reviews_vote WHERE review_id = $1 AND voter_id = $2 AND $3 IS NULL
    )
    UPDATE reviews_review SET
        helpful = helpful + coalesce($3, false)::int - coalesce((SELECT helpful FROM before), false)::int,
        unhelpful = unhelpful + (NOT coalesce($3, true))::int - (NOT coalesce((SELECT helpful FROM before), true))::int
    WHERE id = $1
    RETURNING helpful, unhelpful";

#[derive(FromRow)]
struct Locked {
    author_id: Uuid,
    rating: i16,
    title: String,
    body: String,
    attributes: Json<Attributes>,
    answers: Json<Vec<Answer>>,
    hidden: bool,
    hidden_reason: Option<String>,
    version: i64,
}

impl Locked {
    fn says(&self, opinion: &Opinion) -> bool {
        self.rating == opinion.rating
            && self.title == opinion.title
            && self.body == opinion.text
            && self.attributes.0 == opinion.attributes
    }

    fn is_after(&self, moderation: &Moderation) -> bool {
        match moderation {
            Moderation::Show => !self.hidden,
            Moderation::Hide(reason) => self.hidden && self.hidden_reason.as_deref() == Some(reason),
        }
    }
}

async fn lock(tx: &mut Tx, id: Uuid) -> Result<Option<Locked>, sqlx::Error> {
    sqlx::query_as(LOCK).bind(id).fetch_optional(tx).await
}

impl PostgresReviews {
    pub(super) async fn post_review(&self, draft: &Draft) -> Result<Posted, StoreError> {
        let (id, now) = (ids::new(&self.clock), self.clock.now());
        let mut tx = self.db.begin().await?;
        let generations = ratings::generations(&mut tx).await?;
        let inserted = sqlx::query(INSERT)
            .bind(id)
            .bind(draft.product_id)
            .bind(draft.author_id)
            .bind(&draft.author_name)
            .bind(draft.opinion.rating)
            .bind(&draft.opinion.title)
            .bind(&draft.opinion.text)
            .bind(Json(&draft.opinion.attributes))
            .bind(now)
            .execute(&mut tx)
            .await?;
        if inserted.rows_affected() == 0 {
            let sql = "SELECT id FROM reviews_review WHERE author_id = $1 AND product_id = $2";
            let there: Uuid = sqlx::query_scalar(sql)
                .bind(draft.author_id)
                .bind(draft.product_id)
                .fetch_one(&mut tx)
                .await?;
            tx.rollback().await?;
            return Ok(Posted::Exists(there));
        }
        let viewer = Viewer::customer(draft.author_id);
        let review = self.conclude(tx, &generations, id, viewer, Told::Posted).await?;
        Ok(Posted::Done(Box::new(review)))
    }

    pub(super) async fn edit_review(&self, edit: &Edit) -> Result<Edited, StoreError> {
        let mut tx = self.db.begin().await?;
        let generations = ratings::generations(&mut tx).await?;
        let viewer = Viewer::customer(edit.author_id);
        let locked = lock(&mut tx, edit.review_id).await?;
        let Some(locked) = locked.filter(|locked| locked.author_id == edit.author_id) else {
            tx.rollback().await?;
            return Ok(Edited::Missing);
        };
        if locked.says(&edit.opinion) {
            let review = unchanged(tx, edit.review_id, viewer).await?;
            return Ok(Edited::Done(Box::new(review)));
        }
        if locked.version != edit.version {
            tx.rollback().await?;
            return Ok(Edited::Stale(locked.version));
        }
        sqlx::query(EDIT)
            .bind(edit.review_id)
            .bind(edit.opinion.rating)
            .bind(&edit.opinion.title)
            .bind(&edit.opinion.text)
            .bind(Json(&edit.opinion.attributes))
            .bind(self.clock.now())
            .execute(&mut tx)
            .await?;
        let review = self
            .conclude(tx, &generations, edit.review_id, viewer, Told::Changed)
            .await?;
        Ok(Edited::Done(Box::new(review)))
    }

    pub(super) async fn cast_vote(
        &self,
        review_id: Uuid,
        voter_id: Uuid,
        helpful: Option<bool>,
    ) -> Result<Voted, StoreError> {
        let mut tx = self.db.begin().await?;
        let refused = match lock(&mut tx, review_id).await? {
            Some(locked) if locked.author_id == voter_id => Some(Voted::Own),
            Some(locked) if !locked.hidden => None,
            _ => Some(Voted::Missing),
        };
        if let Some(refused) = refused {
            tx.rollback().await?;
            return Ok(refused);
        }
        let (count, against): (i64, i64) = sqlx::query_as(VOTE)
            .bind(review_id)
            .bind(voter_id)
            .bind(helpful)
            .fetch_one(&mut tx)
            .await?;
        tx.commit().await?;
        Ok(Voted::Done(Votes {
            helpful: count,
            unhelpful: against,
            own_vote: helpful,
        }))
    }

    pub(super) async fn give_answer(&self, draft: &AnswerDraft) -> Result<Answered, StoreError> {
        let mut tx = self.db.begin().await?;
        let generations = ratings::generations(&mut tx).await?;
        let Some(locked) = lock(&mut tx, draft.review_id).await? else {
            tx.rollback().await?;
            return Ok(Answered::Missing);
        };
        let Json(mut answers) = locked.answers;
        let change = match answered(&mut answers, draft, self.clock.now()) {
            Ok(Some(change)) => change,
            Ok(None) => {
                let review = unchanged(tx, draft.review_id, Viewer::MODERATOR).await?;
                return Ok(Answered::Done(Box::new(review), false));
            }
            Err(TooMany) => {
                tx.rollback().await?;
                return Ok(Answered::Full);
            }
        };
        write_answers(&mut tx, draft.review_id, &answers).await?;
        let told = Told::Answered(draft.answer_id, change);
        let review = self
            .conclude(tx, &generations, draft.review_id, Viewer::MODERATOR, told)
            .await?;
        Ok(Answered::Done(Box::new(review), change == AnswerChange::Added))
    }

    pub(super) async fn drop_answer(
        &self,
        review_id: Uuid,
        answer_id: Uuid,
    ) -> Result<Option<Review>, StoreError> {
        let mut tx = self.db.begin().await?;
        let generations = ratings::generations(&mut tx).await?;
        let Some(locked) = lock(&mut tx, review_id).await? else {
            tx.rollback().await?;
            return Ok(None);
        };
        let Json(mut answers) = locked.answers;
        let before = answers.len();
        answers.retain(|answer| answer.id != answer_id);
        if answers.len() == before {
            return Ok(Some(unchanged(tx, review_id, Viewer::MODERATOR).await?));
        }
        write_answers(&mut tx, review_id, &answers).await?;
        let told = Told::Answered(answer_id, AnswerChange::Removed);
        let review = self.conclude(tx, &generations, review_id, Viewer::MODERATOR, told);
        Ok(Some(review.await?))
    }

    pub(super) async fn decide(
        &self,
        review_id: Uuid,
        moderation: &Moderation,
    ) -> Result<Option<Review>, StoreError> {
        let mut tx = self.db.begin().await?;
        let generations = ratings::generations(&mut tx).await?;
        let Some(locked) = lock(&mut tx, review_id).await? else {
            tx.rollback().await?;
            return Ok(None);
        };
        if locked.is_after(moderation) {
            return Ok(Some(unchanged(tx, review_id, Viewer::MODERATOR).await?));
        }
        let reason = match moderation {
            Moderation::Show => None,
            Moderation::Hide(reason) => Some(reason),
        };
        let told = Told::of(moderation);
        sqlx::query(MODERATE)
            .bind(review_id)
            .bind(reason.is_some())
            .bind(reason)
            .execute(&mut tx)
            .await?;
        let review = self.conclude(tx, &generations, review_id, Viewer::MODERATOR, told);
        Ok(Some(review.await?))
    }

    /// Ends a change: event, summary, commit. Gives the review as it is now.
    async fn conclude(
        &self,
        mut tx: Tx,
        generations: &[i16],
        id: Uuid,
        viewer: Viewer,
        told: Told,
    ) -> Result<Review, StoreError> {
        let review = present(&mut tx, id, viewer).await?;
        let event = told.event(&review, &self.clock)?;
        self.outbox.write(&mut tx, &[event]).await?;
        if told.counts() {
            let changes = Changes::of(&review);
            for generation in generations {
                ratings::apply(&changes, *generation, &mut tx).await?;
            }
        }
        tx.commit().await?;
        self.outbox.wake();
        Ok(review)
    }
}

/// The review of this transaction, which is there.
async fn present(tx: &mut Tx, id: Uuid, viewer: Viewer) -> Result<Review, StoreError> {
    let review = read::review(tx, id, viewer).await?;
    review.ok_or_else(|| StoreError::Failed("a review is gone that this transaction has locked".into()))
}

/// Ends a transaction that found nothing to change.
async fn unchanged(mut tx: Tx, id: Uuid, viewer: Viewer) -> Result<Review, StoreError> {
    let review = present(&mut tx, id, viewer).await?;
    tx.rollback().await?;
    Ok(review)
}

async fn write_answers(tx: &mut Tx, id: Uuid, answers: &[Answer]) -> Result<(), sqlx::Error> {
    sqlx::query(ANSWER)
        .bind(id)
        .bind(Json(answers))
        .execute(tx)
        .await?;
    Ok(())
}
