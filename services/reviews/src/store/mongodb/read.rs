//! Reading: each verb is one transaction, so that what a review shows is of one moment and of one generation.

use std::collections::HashMap;

use emporium_service_kit::StoreError;
use mongodb::bson::{Document, doc};
use uuid::Uuid;

use super::client::{ANSWER, Try};
use super::codec::{self, Fields};
use super::error::Fault;
use super::review::{Kept, vote_key};
use super::tx::{Find, Tx};
use super::{MongoReviews, control, ratings, schema};
use crate::changes::{Pair, Standing};
use crate::listing::{NewestReviews, Viewer, Which};
use crate::model::{Review, State, Summary};

/// Adds to kept reviews what the projection and the viewer's votes say.
pub async fn present(tx: &mut Tx, kept: Vec<Kept>, viewer: Viewer, live: i16) -> Result<Vec<Review>, Fault> {
    let mut reviews: Vec<Review> = kept.into_iter().map(|kept| kept.review).collect();
    if reviews.is_empty() {
        return Ok(reviews);
    }
    let standings = ratings::standings(tx, reviews.iter().map(pair), live).await?;
    let names = ratings::names(tx, reviews.iter().map(|review| review.author_id), live).await?;
    let votes = own_votes(tx, &reviews, viewer).await?;
    for review in &mut reviews {
        let standing = standings.get(&pair(review));
        review.verified = standing.is_some_and(Standing::verified);
        if let Some(author) = names.get(&review.author_id) {
            review.author_name = author.active.then(|| author.name.clone());
        }
        review.own_vote = votes.get(&review.id).copied();
    }
    Ok(reviews)
}

fn pair(review: &Review) -> Pair {
    Pair {
        customer_id: review.author_id,
        product_id: review.product_id,
    }
}

async fn own_votes(tx: &mut Tx, reviews: &[Review], viewer: Viewer) -> Result<HashMap<Uuid, bool>, Fault> {
    let Some(voter) = viewer.customer else {
        return Ok(HashMap::new());
    };
    let find = Find::ids(reviews.iter().map(|review| vote_key(review.id, voter)));
    let mut votes = HashMap::new();
    for document in tx.find(schema::VOTE, find).await? {
        votes.insert(document.uuid("review_id")?, document.truth("helpful")?);
    }
    Ok(votes)
}

/// Reviews of documents.
pub fn kept(documents: &[Document]) -> Result<Vec<Kept>, StoreError> {
    documents.iter().map(Kept::read).collect()
}

impl MongoReviews {
    /// Runs a read in a transaction of its own, which is then left without a trace.
    pub(super) async fn find_reviews(&self, find: Find, viewer: Viewer) -> Result<Vec<Review>, StoreError> {
        self.mongo
            .retried(Try::within(ANSWER), |at| self.try_find(at, find.clone(), viewer))
            .await
    }

    async fn try_find(&self, at: Try, find: Find, viewer: Viewer) -> Result<Vec<Review>, Fault> {
        let mut tx = self.mongo.begin(at).await?;
        let live = control::state(&mut tx).await?.state.live().place;
        let found = kept(&tx.find(schema::REVIEW, find).await?)?;
        let reviews = present(&mut tx, found, viewer, live).await?;
        tx.abort().await?;
        Ok(reviews)
    }

    pub(super) async fn one_review(&self, id: Uuid, viewer: Viewer) -> Result<Option<Review>, StoreError> {
        let find = Find::by(doc! { "_id": codec::id(id) }).limit(1);
        let found = self.find_reviews(find, viewer).await?.pop();
        Ok(found.filter(|review| viewer.sees(review.author_id, review.state)))
    }

    pub(super) async fn own_review(&self, product: Uuid, author: Uuid) -> Result<Option<Review>, StoreError> {
        let find = Find::by(by_pair(product, author)).limit(1);
        let mut found = self.find_reviews(find, Viewer::customer(author)).await?;
        Ok(found.pop())
    }

    pub(super) async fn newest_reviews(&self, page: &NewestReviews) -> Result<Vec<Review>, StoreError> {
        self.find_reviews(newest(page), Viewer::default()).await
    }

    pub(super) async fn product_summaries(&self, products: &[Uuid]) -> Result<Vec<Summary>, StoreError> {
        if products.is_empty() {
            return Ok(Vec::new());
        }
        self.mongo
            .retried(Try::within(ANSWER), |at| self.try_summaries(at, products))
            .await
    }

    async fn try_summaries(&self, at: Try, products: &[Uuid]) -> Result<Vec<Summary>, Fault> {
        let mut tx = self.mongo.begin(at).await?;
        let live = control::state(&mut tx).await?.state.live().place;
        let find = Find::ids(products.iter().copied().map(codec::id));
        let found = tx.find(schema::summary(live), find).await?;
        tx.abort().await?;
        let mut summaries = Vec::with_capacity(found.len());
        for document in &found {
            let (product, counts) = ratings::counts(document)?;
            summaries.extend(Summary::of(product, counts.histogram, counts.verified));
        }
        Ok(summaries)
    }
}

/// A customer's review of a product.
pub fn by_pair(product: Uuid, author: Uuid) -> Document {
    doc! { "author_id": codec::id(author), "product_id": codec::id(product) }
}

/// A list of the newest.
pub fn newest(page: &NewestReviews) -> Find {
    let mut filter = match page.which {
        Which::By(author) => doc! { "author_id": codec::id(author) },
        Which::In(state) => doc! { "hidden": state == State::Hidden },
    };
    if let Some(before) = page.before {
        filter.insert("_id", doc! { "$lt": codec::id(before) });
    }
    Find::by(filter)
        .sort(doc! { "_id": -1 })
        .limit(i64::from(page.max))
}
