//! A page of a product's list.
//!
//! An order is read from its index in two pieces: reviews of the place's own rank with smaller ids, and those of the ranks after
//! it. One condition with `$or` would say the same, and be answered by a scan on some servers.
//!
//! With a filter, a page first reads the ranks and ids of its stretch, which are in the index, and then looks at these reviews in
//! chunks until it is full. So what fits costs what is looked at, however few reviews fit, and whatever changes meanwhile, the next
//! page begins where this one has stopped looking: it is all one snapshot.

use std::collections::HashMap;

use mongodb::bson::{Bson, Document, doc};
use uuid::Uuid;

use super::client::{ANSWER, Try};
use super::codec::{self, Fields};
use super::error::Fault;
use super::review::Kept;
use super::tx::{Find, Tx};
use super::{MongoReviews, control, facets, ratings, read, schema};
use crate::changes::{Pair, Standing};
use crate::listing::{Found, Place, ProductReviews, RATING_TURNED, Sort};
use emporium_service_kit::StoreError;

/// Reviews of a stretch that are looked at together.
const CHUNK: usize = 250;

/// The field that an order goes by, and its direction in the index.
fn rank(sort: Sort) -> (&'static str, i32) {
    match sort {
        Sort::Helpful => ("score", -1),
        Sort::New => ("created_at", -1),
        Sort::RatingHigh => ("rating", -1),
        Sort::RatingLow => ("rating", 1),
    }
}

/// A rank as the field has it.
fn value(sort: Sort, rank: i64) -> Bson {
    // Made-up cursors have any rank; ratings are few.
    let rating = |rank: i64| Bson::Int32(i32::try_from(rank.clamp(-9, 9)).unwrap_or(0));
    match sort {
        Sort::Helpful | Sort::New => Bson::Int64(rank),
        Sort::RatingHigh => rating(rank),
        Sort::RatingLow => rating(i64::from(RATING_TURNED).saturating_sub(rank)),
    }
}

/// The pieces of an order in which a page is, the first one first.
pub fn pieces(page: &ProductReviews) -> Vec<Find> {
    let (field, direction) = rank(page.sort);
    let mut all = doc! { "product_id": codec::id(page.product_id), "hidden": false };
    let sort = doc! { field: direction, "_id": -1 };
    let rating = page.rating.filter(|_| page.sort.is_by_rating()).map(i32::from);
    let Some(place) = page.after else {
        if let Some(rating) = rating {
            all.insert("rating", rating);
        }
        return vec![Find::by(all).sort(sort)];
    };
    let at = value(page.sort, place.rank);
    let beyond = if direction < 0 { "$lt" } else { "$gt" };
    let mut same = all.clone();
    same.insert(field, at.clone());
    same.insert("_id", doc! { "$lt": codec::id(place.id) });
    all.insert(field, doc! { beyond: at.clone() });
    let (same, after) = (Find::by(same).sort(sort.clone()), Find::by(all).sort(sort));
    match rating {
        None => vec![same, after],
        // Only one rank is asked for: the place is in it, or the list has not come to it yet, or has passed it.
        Some(rating) if Bson::Int32(rating) == at => vec![same],
        Some(rating) if comes_after(page.sort, rating, &at) => {
            let mut one = after;
            one.filter.insert("rating", rating);
            vec![one]
        }
        Some(_) => Vec::new(),
    }
}

/// Whether an order by rating comes to this one after that of a place.
fn comes_after(sort: Sort, rating: i32, at: &Bson) -> bool {
    let at = at.as_i32().unwrap_or_default();
    if sort == Sort::RatingLow {
        rating > at
    } else {
        rating < at
    }
}

impl MongoReviews {
    pub(super) async fn product_reviews(&self, page: &ProductReviews) -> Result<Found, StoreError> {
        self.mongo
            .retried(Try::within(ANSWER), |at| self.try_list(at, page))
            .await
    }

    async fn try_list(&self, at: Try, page: &ProductReviews) -> Result<Found, Fault> {
        let mut tx = self.mongo.begin(at).await?;
        let live = control::state(&mut tx).await?.state.live().place;
        let (mut kept, last) = if looks_through(page) {
            look_through(&mut tx, page, live).await?
        } else {
            (along(&mut tx, page).await?, None)
        };
        let max = page.max as usize;
        let is_full = kept.len() > max;
        kept.truncate(max);
        let items = read::present(&mut tx, kept, page.viewer, live).await?;
        tx.abort().await?;
        let shown = items.last().map(|review| Place::of(review, page.sort));
        Ok(Found {
            next: if is_full { shown } else { last },
            items,
        })
    }
}

/// Whether reviews are read that may not fit.
fn looks_through(page: &ProductReviews) -> bool {
    let rating = page.rating.is_some() && !page.sort.is_by_rating();
    rating || page.verified.is_some() || !page.attributes.is_empty()
}

/// The documents of an order, at most so many.
async fn of_order(
    tx: &mut Tx,
    page: &ProductReviews,
    max: usize,
    fields: Option<Document>,
) -> Result<Vec<Document>, Fault> {
    let mut found = Vec::new();
    for mut piece in pieces(page) {
        let left = max.saturating_sub(found.len());
        if left == 0 {
            break;
        }
        piece.fields.clone_from(&fields);
        let piece = piece.limit(i64::try_from(left).unwrap_or(i64::MAX));
        found.extend(tx.find(schema::REVIEW, piece).await?);
    }
    Ok(found)
}

/// A page without filters, with one review more than it has, if there is one.
async fn along(tx: &mut Tx, page: &ProductReviews) -> Result<Vec<Kept>, Fault> {
    let found = of_order(tx, page, page.max as usize + 1, None).await?;
    Ok(read::kept(&found)?)
}

/// Looks at a stretch for what fits; gives it, at most one more than the page has, and the stretch's last place when others follow.
async fn look_through(
    tx: &mut Tx,
    page: &ProductReviews,
    live: i16,
) -> Result<(Vec<Kept>, Option<Place>), Fault> {
    let look = page.look.max(page.max).max(1) as usize;
    let field = rank(page.sort).0;
    let found = of_order(tx, page, look + 1, Some(doc! { field: 1, "_id": 1 })).await?;
    let last = (found.len() > look)
        .then(|| place(&found[look - 1], page.sort))
        .transpose()?;
    let ids = found.iter().take(look).map(|document| document.uuid("_id"));
    let ids = ids.collect::<Result<Vec<Uuid>, _>>()?;
    let mut fitting = Vec::new();
    for chunk in ids.chunks(CHUNK) {
        fitting.extend(fit(tx, page, chunk, live).await?);
        if fitting.len() > page.max as usize {
            break;
        }
    }
    fitting.truncate(page.max as usize + 1);
    let mut by_id = HashMap::new();
    let all = Find::ids(fitting.iter().copied().map(codec::id));
    for kept in read::kept(&tx.find(schema::REVIEW, all).await?)? {
        by_id.insert(kept.review.id, kept);
    }
    let kept = fitting.iter().filter_map(|id| by_id.remove(id)).collect();
    Ok((kept, last))
}

fn place(document: &Document, sort: Sort) -> Result<Place, StoreError> {
    let rank = match sort {
        Sort::Helpful => document.long("score")?,
        Sort::New => document.long("created_at")?,
        Sort::RatingHigh => document.int("rating")?.into(),
        Sort::RatingLow => i64::from(RATING_TURNED) - i64::from(document.int("rating")?),
    };
    Ok(Place {
        sort,
        rank,
        id: document.uuid("_id")?,
    })
}

/// What fits of these reviews, as far as their documents say. They are the product's; MongoDB goes by their ids.
pub fn fitting(page: &ProductReviews, ids: &[Uuid]) -> Find {
    let mut find = Find::ids(ids.iter().copied().map(codec::id));
    find.filter.insert("product_id", codec::id(page.product_id));
    find.filter.insert("hidden", false);
    if let Some(rating) = page.rating {
        find.filter.insert("rating", i32::from(rating));
    }
    let conditions = facets::conditions(&page.attributes);
    if !conditions.is_empty() {
        find.filter.insert("$and", conditions);
    }
    find
}

/// Those that fit, in the order in which they are given.
async fn fit(tx: &mut Tx, page: &ProductReviews, ids: &[Uuid], live: i16) -> Result<Vec<Uuid>, Fault> {
    let find = fitting(page, ids).fields(doc! { "author_id": 1 });
    let mut authors = HashMap::new();
    for document in tx.find(schema::REVIEW, find).await? {
        authors.insert(document.uuid("_id")?, document.uuid("author_id")?);
    }
    let mut fitting: Vec<Uuid> = ids
        .iter()
        .copied()
        .filter(|id| authors.contains_key(id))
        .collect();
    if let Some(verified) = page.verified {
        let pair = |id: &Uuid| Pair {
            customer_id: authors.get(id).copied().unwrap_or_default(),
            product_id: page.product_id,
        };
        let standings = ratings::standings(tx, fitting.iter().map(pair), live).await?;
        let is_verified = |id: &Uuid| standings.get(&pair(id)).is_some_and(Standing::verified);
        fitting.retain(|id| is_verified(id) == verified);
    }
    Ok(fitting)
}
