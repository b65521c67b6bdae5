//! Reviews of the past: in transactions of several whole records each.
//!
//! A transaction of MongoDB should hold a thousand documents or so: what it has written stays in the cache until its end. One
//! record may have a thousand votes, so a chunk does not fit into one. A record always does.

use std::collections::HashSet;

use emporium_service_kit::StoreError;
use mongodb::bson::{Bson, doc};
use uuid::Uuid;

use super::client::{LONG_ANSWER, Try};
use super::codec::{self, Fields, micros};
use super::error::Fault;
use super::review::Kept;
use super::tx::{Find, pieces};
use super::write::vote_document;
use super::{MongoReviews, control, ratings, schema};
use crate::model::{Review, State};
use crate::store::{PastReview, past};

impl MongoReviews {
    pub(super) async fn load_past(&self, reviews: &[PastReview]) -> Result<u64, StoreError> {
        let mut ids = HashSet::new();
        let all: Vec<&PastReview> = reviews.iter().filter(|review| ids.insert(review.id)).collect();
        let mut loaded = 0;
        for piece in pieces(&all, |review| weight(review)) {
            let products = piece.iter().map(|review| review.draft.product_id);
            let (_turns, first) = self.mongo.turns(&self.turns, products, LONG_ANSWER).await?;
            loaded += self.mongo.retried(first, |at| self.try_load(at, piece)).await?;
        }
        Ok(loaded)
    }

    async fn try_load(&self, at: Try, reviews: &[&PastReview]) -> Result<u64, Fault> {
        let mut tx = self.mongo.begin(at).await?;
        let state = control::for_effect(&mut tx).await?.state;
        let new = new_ones(&mut tx, reviews).await?;
        let Some(first) = new.first() else {
            tx.abort().await?;
            return Ok(0);
        };
        control::touch(&mut tx, first.draft.product_id).await?;
        let now = micros(self.clock.now());
        let mut documents = Vec::with_capacity(new.len());
        let mut votes = Vec::new();
        for review in &new {
            documents.push(kept(review, now).document());
            let of_review = review.votes.iter();
            votes.extend(of_review.map(|(voter, helpful)| vote_document(review.id, *voter, *helpful)));
        }
        tx.insert(schema::REVIEW, documents).await?;
        tx.insert(schema::VOTE, votes).await?;
        // Of one review, each event is numbered after the one before.
        let events = past::events(&new)?.into_iter();
        let events: Vec<_> = events
            .map(|event| {
                let waiting = now + event.version - 1;
                (event, waiting)
            })
            .collect();
        self.outbox.store().write(&mut tx, &self.clock, &events).await?;
        let changes = past::changes(&new);
        for target in state.targets() {
            ratings::apply(&mut tx, &changes, target.place).await?;
        }
        tx.commit().await?;
        self.outbox.wake();
        Ok(new.len() as u64)
    }
}

/// The review, its standing and summary in two generations, its events, its votes.
fn weight(review: &PastReview) -> usize {
    6 + review.answers.len() + review.votes.len()
}

/// Those that are not there, by their id or by their customer and product; of several of one pair, the first.
async fn new_ones<'a>(
    tx: &mut super::tx::Tx,
    reviews: &[&'a PastReview],
) -> Result<Vec<&'a PastReview>, Fault> {
    let ids: Vec<Bson> = reviews.iter().map(|review| codec::id(review.id)).collect();
    let found = tx.by_ids(schema::REVIEW, ids, Some(doc! { "_id": 1 })).await?;
    let mut known = HashSet::<Uuid>::new();
    for document in found {
        known.insert(document.uuid("_id")?);
    }
    // All reviews of any of these products by any of these customers, by the index of both: one condition for each pair, joined by
    // `$or`, is a scan on some servers.
    let all = |id: fn(&PastReview) -> Uuid| -> Vec<Bson> {
        let ids: HashSet<Uuid> = reviews.iter().map(|review| id(review)).collect();
        ids.into_iter().map(codec::id).collect()
    };
    let (authors, products) = (
        all(|review| review.draft.author_id),
        all(|review| review.draft.product_id),
    );
    let by_both = doc! { "author_id": { "$in": authors }, "product_id": { "$in": products } };
    let find = Find::by(by_both).fields(doc! { "author_id": 1, "product_id": 1 });
    let mut taken = HashSet::<(Uuid, Uuid)>::new();
    for document in tx.find(schema::REVIEW, find).await? {
        taken.insert((document.uuid("author_id")?, document.uuid("product_id")?));
    }
    let is_new = |review: &&&PastReview| {
        !known.contains(&review.id) && taken.insert((review.draft.author_id, review.draft.product_id))
    };
    Ok(reviews.iter().filter(is_new).copied().collect())
}

fn kept(past: &PastReview, now: i64) -> Kept {
    let (draft, version) = (&past.draft, past.version());
    let votes = |wanted: bool| {
        let votes = past.votes.iter().filter(|(_, helpful)| *helpful == wanted);
        i64::try_from(votes.count()).unwrap_or(i64::MAX)
    };
    let review = Review {
        id: past.id,
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
        helpful: votes(true),
        unhelpful: votes(false),
        own_vote: None,
        answers: past.answers.clone(),
        version,
        created_at: past.created_at,
        updated_at: past.created_at,
    };
    let told_at = now + version - 1;
    Kept { review, told_at }
}
