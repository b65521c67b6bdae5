//! Reviews, votes and the outbox's rows, to be moved from here or to here.

use async_trait::async_trait;
use emporium_event_bus::OutboxStore;
use emporium_service_kit::db::BULK_STATEMENT_TIMEOUT;
use emporium_service_kit::{StoreError, Tx};
use sqlx::FromRow;
use sqlx::types::Json;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{PostgresReviews, ratings};
use crate::attributes::Attributes;
use crate::model::{Answer, Review, State};
use crate::store::copied::{Batch, Rows, Vote, Wanted, changes};

const REVIEW_IDS: &str = "SELECT id FROM reviews_review WHERE id > $1 ORDER BY id LIMIT $2";

const VOTE_IDS: &str = "
    SELECT review_id, voter_id FROM reviews_vote WHERE (review_id, voter_id) > ($1, $2)
    ORDER BY review_id, voter_id LIMIT $3";

const REVIEWS: &str = "
    SELECT id, product_id, author_id, author_name, rating, title, body, attributes, answers, hidden, hidden_reason, helpful,
        unhelpful, version, created_at, updated_at
    FROM reviews_review WHERE id = ANY ($1)
    UNION ALL
    SELECT id, product_id, author_id, author_name, rating, title, body, attributes, answers, hidden, hidden_reason, helpful,
        unhelpful, version, created_at, updated_at
    FROM unnest($2::uuid[], $3::uuid[]) AS wanted (author_id, product_id) JOIN reviews_review USING (author_id, product_id)";

const VOTES: &str = "
    SELECT v.review_id, v.voter_id, v.helpful
    FROM unnest($1::uuid[], $2::uuid[]) AS wanted (review_id, voter_id) JOIN reviews_vote AS v USING (review_id, voter_id)";

const PUT_REVIEWS: &str = "
    INSERT INTO reviews_review (id, product_id, author_id, author_name, rating, title, body, attributes, answers, hidden,
        hidden_reason, helpful, unhelpful, version, created_at, updated_at)
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::smallint[], $6::text[], $7::text[], $8::jsonb[],
        $9::jsonb[], $10::boolean[], $11::text[], $12::bigint[], $13::bigint[], $14::bigint[], $15::timestamptz[],
        $16::timestamptz[])
    ON CONFLICT (id) DO UPDATE SET product_id = excluded.product_id, author_id = excluded.author_id,
        author_name = excluded.author_name, rating = excluded.rating, title = excluded.title, body = excluded.body,
        attributes = excluded.attributes, answers = excluded.answers, hidden = excluded.hidden,
        hidden_reason = excluded.hidden_reason, helpful = excluded.helpful, unhelpful = excluded.unhelpful,
        version = excluded.version, created_at = excluded.created_at, updated_at = excluded.updated_at";

/// A listing of votes may be at a vote whose review was posted after the listing of reviews had ended. Both were marked then, and
/// marks are copied in the order of keys: the vote comes again, after its review.
const PUT_VOTES: &str = "
    INSERT INTO reviews_vote (review_id, voter_id, helpful)
    SELECT v.review_id, v.voter_id, v.helpful
    FROM unnest($1::uuid[], $2::uuid[], $3::boolean[]) AS v (review_id, voter_id, helpful)
    WHERE EXISTS (SELECT FROM reviews_review AS r WHERE r.id = v.review_id)
    ON CONFLICT (review_id, voter_id) DO UPDATE SET helpful = excluded.helpful";

const REMOVE_VOTES: &str = "
    DELETE FROM reviews_vote AS v USING unnest($1::uuid[], $2::uuid[]) AS gone (review_id, voter_id)
    WHERE v.review_id = gone.review_id AND v.voter_id = gone.voter_id";

/// What the projection was made of here is made anew after it.
const CLEAR: &str =
    "TRUNCATE reviews_review, reviews_vote, reviews_standing, reviews_summary, reviews_author, reviews_inbox";

#[derive(FromRow)]
struct ReviewRow {
    id: Uuid,
    product_id: Uuid,
    author_id: Uuid,
    author_name: Option<String>,
    rating: i16,
    title: String,
    body: String,
    attributes: Json<Attributes>,
    answers: Json<Vec<Answer>>,
    hidden: bool,
    hidden_reason: Option<String>,
    helpful: i64,
    unhelpful: i64,
    version: i64,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
}

impl From<ReviewRow> for Review {
    fn from(row: ReviewRow) -> Self {
        Self {
            id: row.id,
            product_id: row.product_id,
            author_id: row.author_id,
            author_name: row.author_name,
            rating: row.rating,
            title: row.title,
            text: row.body,
            attributes: row.attributes.0,
            state: State::of(!row.hidden),
            hidden_reason: row.hidden_reason,
            verified: false,
            helpful: row.helpful,
            unhelpful: row.unhelpful,
            own_vote: None,
            answers: row.answers.0,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

fn column<'a, R, T>(rows: &'a [R], field: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(field).collect()
}

fn rows(max: usize) -> i64 {
    i64::try_from(max).unwrap_or(i64::MAX)
}

async fn put_reviews(tx: &mut Tx, reviews: &[Review]) -> Result<(), sqlx::Error> {
    sqlx::query(PUT_REVIEWS)
        .bind(column(reviews, |review| review.id))
        .bind(column(reviews, |review| review.product_id))
        .bind(column(reviews, |review| review.author_id))
        .bind(column(reviews, |review| review.author_name.as_deref()))
        .bind(column(reviews, |review| review.rating))
        .bind(column(reviews, |review| review.title.as_str()))
        .bind(column(reviews, |review| review.text.as_str()))
        .bind(column(reviews, |review| Json(&review.attributes)))
        .bind(column(reviews, |review| Json(&review.answers)))
        .bind(column(reviews, |review| review.state == State::Hidden))
        .bind(column(reviews, |review| review.hidden_reason.as_deref()))
        .bind(column(reviews, |review| review.helpful))
        .bind(column(reviews, |review| review.unhelpful))
        .bind(column(reviews, |review| review.version))
        .bind(column(reviews, |review| review.created_at))
        .bind(column(reviews, |review| review.updated_at))
        .execute(tx)
        .await?;
    Ok(())
}

async fn put_votes(tx: &mut Tx, votes: &[Vote]) -> Result<(), sqlx::Error> {
    sqlx::query(PUT_VOTES)
        .bind(column(votes, |vote| vote.review_id))
        .bind(column(votes, |vote| vote.voter_id))
        .bind(column(votes, |vote| vote.helpful))
        .execute(tx)
        .await?;
    Ok(())
}

#[async_trait]
impl Rows for PostgresReviews {
    fn log(&self) -> &dyn OutboxStore {
        self.outbox.store()
    }

    async fn review_ids(&self, after: Uuid, max: usize) -> Result<Vec<Uuid>, StoreError> {
        let ids = sqlx::query_scalar(REVIEW_IDS).bind(after).bind(rows(max));
        Ok(ids.fetch_all(&self.db).await?)
    }

    async fn vote_ids(&self, after: (Uuid, Uuid), max: usize) -> Result<Vec<(Uuid, Uuid)>, StoreError> {
        let ids = sqlx::query_as(VOTE_IDS)
            .bind(after.0)
            .bind(after.1)
            .bind(rows(max));
        Ok(ids.fetch_all(&self.db).await?)
    }

    async fn reviews(&self, wanted: &Wanted) -> Result<Vec<Review>, StoreError> {
        if wanted.reviews.is_empty() && wanted.pairs.is_empty() {
            return Ok(Vec::new());
        }
        let found: Vec<ReviewRow> = sqlx::query_as(REVIEWS)
            .bind(&wanted.reviews)
            .bind(column(&wanted.pairs, |(author, _)| *author))
            .bind(column(&wanted.pairs, |(_, product)| *product))
            .fetch_all(&self.db)
            .await?;
        Ok(found.into_iter().map(Review::from).collect())
    }

    async fn votes(&self, wanted: &Wanted) -> Result<Vec<Vote>, StoreError> {
        if wanted.votes.is_empty() {
            return Ok(Vec::new());
        }
        let found: Vec<(Uuid, Uuid, bool)> = sqlx::query_as(VOTES)
            .bind(column(&wanted.votes, |(review, _)| *review))
            .bind(column(&wanted.votes, |(_, voter)| *voter))
            .fetch_all(&self.db)
            .await?;
        let vote = |(review_id, voter_id, helpful)| Vote {
            review_id,
            voter_id,
            helpful,
        };
        Ok(found.into_iter().map(vote).collect())
    }

    /// One transaction, with locks in the order of a load.
    async fn put_batch(&self, batch: &Batch) -> Result<(), StoreError> {
        let changes = changes(&batch.events)?;
        let mut tx = self.db.begin().await?;
        tx.allow(BULK_STATEMENT_TIMEOUT).await?;
        let generations = ratings::generations(&mut tx).await?;
        if !batch.reviews.is_empty() {
            put_reviews(&mut tx, &batch.reviews).await?;
        }
        if !batch.votes.is_empty() {
            put_votes(&mut tx, &batch.votes).await?;
        }
        for generation in generations {
            ratings::apply(&changes, generation, &mut tx).await?;
        }
        let outbox = self.outbox.store();
        outbox.restore(&mut tx, &batch.events).await?;
        if let Some(head) = &batch.head {
            outbox
                .restore_head(&mut tx, head.position, head.mark.as_ref())
                .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    async fn remove_rows(&self, wanted: &Wanted) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        sqlx::query("DELETE FROM reviews_review WHERE id = ANY ($1)")
            .bind(&wanted.reviews)
            .execute(&mut tx)
            .await?;
        sqlx::query(REMOVE_VOTES)
            .bind(column(&wanted.votes, |(review, _)| *review))
            .bind(column(&wanted.votes, |(_, voter)| *voter))
            .execute(&mut tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    async fn clear_all(&self) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        tx.allow(BULK_STATEMENT_TIMEOUT).await?;
        sqlx::query(CLEAR).execute(&mut tx).await?;
        self.outbox.store().clear(&mut tx).await?;
        tx.commit().await?;
        Ok(())
    }
}
