//! Reviews of the past: a chunk of them in one transaction, in sets.

use std::collections::HashSet;

use emporium_service_kit::bulk::CopyRows;
use emporium_service_kit::db::BULK_STATEMENT_TIMEOUT;
use emporium_service_kit::{StoreError, Tx};
use sqlx::types::Json;
use uuid::Uuid;

use super::{PostgresReviews, ratings};
use crate::store::{PastReview, past};

/// Loads take turns, so that two of the same file do not get into each other's way.
const TURN: i64 = 0x7265_7669_6577_7321;

/// What is there already, by its id or by its customer and product, is left alone.
const INSERT: &str = "
    INSERT INTO reviews_review (id, product_id, author_id, author_name, rating, title, body, attributes, answers, helpful,
        unhelpful, version, created_at, updated_at)
    SELECT id, product_id, author_id, author_name, rating, title, body, attributes, answers, helpful, unhelpful, version,
        created_at, created_at
    FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::smallint[], $6::text[], $7::text[], $8::jsonb[],
        $9::jsonb[], $10::bigint[], $11::bigint[], $12::bigint[], $13::timestamptz[])
        AS n (id, product_id, author_id, author_name, rating, title, body, attributes, answers, helpful, unhelpful, version,
        created_at)
    ON CONFLICT DO NOTHING
    RETURNING id";

impl PostgresReviews {
    pub(super) async fn load_past(&self, reviews: &[PastReview]) -> Result<u64, StoreError> {
        let mut tx = self.db.begin().await?;
        // A chunk is bounded, but on a busy machine it may well take longer than a request's statement.
        tx.allow(BULK_STATEMENT_TIMEOUT).await?;
        sqlx::query("SELECT pg_advisory_xact_lock($1)")
            .bind(TURN)
            .execute(&mut tx)
            .await?;
        let generations = ratings::generations(&mut tx).await?;
        let new = insert(&mut tx, reviews).await?;
        if new.is_empty() {
            tx.rollback().await?;
            return Ok(0);
        }
        copy_votes(&mut tx, &new).await?;
        let changes = past::changes(&new);
        for generation in generations {
            ratings::apply(&changes, generation, &mut tx).await?;
        }
        let events = past::events(&new)?;
        self.outbox.write_bulk(&mut tx, &events).await?;
        tx.commit().await?;
        self.outbox.wake();
        Ok(new.len() as u64)
    }
}

/// Gives those that are new. Of records with the same id, the first one counts.
async fn insert<'a>(tx: &mut Tx, reviews: &'a [PastReview]) -> Result<Vec<&'a PastReview>, sqlx::Error> {
    let mut ids = HashSet::new();
    let reviews: Vec<&PastReview> = reviews.iter().filter(|review| ids.insert(review.id)).collect();
    let reviews = reviews.as_slice();
    let mut statement = sqlx::query_scalar(INSERT)
        .bind(column(reviews, |review| review.id))
        .bind(column(reviews, |review| review.draft.product_id))
        .bind(column(reviews, |review| review.draft.author_id))
        .bind(column(reviews, |review| review.draft.author_name.as_deref()))
        .bind(column(reviews, |review| review.draft.opinion.rating))
        .bind(column(reviews, |review| review.draft.opinion.title.as_str()))
        .bind(column(reviews, |review| review.draft.opinion.text.as_str()))
        .bind(column(reviews, |review| Json(&review.draft.opinion.attributes)))
        .bind(column(reviews, |review| Json(&review.answers)));
    for wanted in [true, false] {
        statement = statement.bind(column(reviews, |review| {
            let votes = review.votes.iter().filter(|(_, helpful)| *helpful == wanted);
            i64::try_from(votes.count()).unwrap_or(i64::MAX)
        }));
    }
    let new: Vec<Uuid> = statement
        .bind(column(reviews, PastReview::version))
        .bind(column(reviews, |review| review.created_at))
        .fetch_all(tx)
        .await?;
    let new: HashSet<Uuid> = new.into_iter().collect();
    let is_new = |review: &&PastReview| new.contains(&review.id);
    Ok(reviews.iter().copied().filter(is_new).collect())
}

fn column<'a, T>(reviews: &[&'a PastReview], field: impl Fn(&'a PastReview) -> T) -> Vec<T> {
    reviews.iter().map(|review| field(review)).collect()
}

async fn copy_votes(tx: &mut Tx, reviews: &[&PastReview]) -> Result<(), sqlx::Error> {
    let mut rows = CopyRows::default();
    for review in reviews {
        for (voter, helpful) in &review.votes {
            rows.plain(review.id).plain(voter).plain(helpful).end_row();
        }
    }
    if !rows.is_empty() {
        let sql = "COPY reviews_vote (review_id, voter_id, helpful) FROM STDIN";
        tx.copy_in(sql, rows.as_bytes()).await?;
    }
    Ok(())
}
