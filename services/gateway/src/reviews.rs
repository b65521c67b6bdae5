//! What customers think of products, joined with what readers want to know besides: how a product is rated, what it is
//! called, whether a review is the reader's own.

use std::collections::HashMap;

use emporium_service_kit::client::{Answer, CallError};
use emporium_service_kit::{ServiceName, ids};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::App;
use crate::clients::reviews::{Opinion, Review, ReviewFilter, ReviewPage, ReviewState, Summary, Votes};
use crate::compose::{kept, products};
use crate::error::Error;

/// The longest title, in characters, as the reviews service has it.
pub const TITLE_CHARS_MAX: usize = 120;
/// The longest text, in characters.
pub const TEXT_CHARS_MAX: usize = 8_000;
/// The most bytes of attributes, as compact JSON.
pub const ATTRIBUTES_BYTES_MAX: usize = 16 * 1024;

/// A review as somebody sees it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ReviewView {
    /// The review.
    #[serde(flatten)]
    pub review: Review,
    /// True for the asker's own.
    pub own: bool,
}

/// How a product is rated. Hidden reviews do not count.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct Rating {
    /// Visible reviews.
    pub count: i64,
    /// Mean rating, 1.0 to 5.0; null without reviews.
    pub average: Option<f64>,
    /// How many gave 1, 2, 3, 4 and 5.
    pub histogram: [i64; 5],
    /// How many of them are verified purchases.
    pub verified: i64,
}

impl From<&Summary> for Rating {
    fn from(summary: &Summary) -> Self {
        Self {
            count: summary.count,
            average: Some(summary.average),
            histogram: summary.histogram,
            verified: summary.verified,
        }
    }
}

/// A page of a product's reviews.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProductReviews {
    /// The reviews.
    pub items: Vec<ReviewView>,
    /// Pass as `cursor` to get the next page; null at the end. A filtered list's page may be empty and not the last.
    pub next_cursor: Option<String>,
    /// How the product is rated by all of its reviews; null when that could not be told.
    pub summary: Option<Rating>,
    /// What was bought and how authors are called is in it up to this moment; null while that is not known.
    #[serde(with = "time::serde::rfc3339::option")]
    pub as_of: Option<OffsetDateTime>,
    /// Services that could not add their part: `catalog` (whether there is such a product), `reviews` (the summary),
    /// `sessions` (who is asking, and so their own votes).
    pub degraded: Vec<&'static str>,
}

/// One of the asker's own reviews.
#[derive(Debug, Serialize, ToSchema)]
pub struct MyReview {
    /// The review.
    #[serde(flatten)]
    pub review: ReviewView,
    /// What the product is called now; null when the catalog is away.
    pub product_name: Option<String>,
}

/// A page of the asker's own reviews, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct MyReviewList {
    /// The reviews, hidden ones too.
    pub items: Vec<MyReview>,
    /// Pass as `cursor` to get the next page; null at the end.
    pub next_cursor: Option<String>,
    /// Services that could not add their part: `catalog`.
    pub degraded: Vec<&'static str>,
}

/// A review for administrators.
#[derive(Debug, Serialize, ToSchema)]
pub struct AdminReview {
    /// The review.
    #[serde(flatten)]
    pub review: Review,
    /// Who wrote it.
    pub author_id: Uuid,
    /// What the product is called now; null when the catalog is away.
    pub product_name: Option<String>,
}

/// A page of everybody's reviews, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct AdminReviewList {
    /// The reviews.
    pub items: Vec<AdminReview>,
    /// Pass as `cursor` to get the next page; null at the end.
    pub next_cursor: Option<String>,
    /// Services that could not add their part: `catalog`.
    pub degraded: Vec<&'static str>,
}

/// A product's reviews: 404 for a product that the catalog does not know.
pub async fn of_product(app: &App, product: Uuid, filter: &ReviewFilter) -> Result<ProductReviews, Error> {
    let (found, page, summary) = tokio::join!(
        app.clients.catalog.product(product),
        app.clients.reviews.of_product(product, filter),
        rating(app, product),
    );
    let mut degraded = Vec::new();
    if let Some(None) = kept(ServiceName::Catalog, found, &mut degraded) {
        return Err(Error::Unknown("product"));
    }
    let page = page?;
    Ok(ProductReviews {
        items: viewed(page.items, filter.viewer),
        next_cursor: page.next_cursor,
        summary: kept(ServiceName::Reviews, summary, &mut degraded),
        as_of: page.as_of,
        degraded,
    })
}

/// How a product is rated.
pub async fn rating(app: &App, product: Uuid) -> Result<Rating, CallError> {
    let found = app.clients.reviews.summaries(&[product]).await?;
    Ok(found.first().map(Rating::from).unwrap_or_default())
}

/// Reviews as this viewer sees them.
pub fn viewed(items: Vec<Review>, viewer: Option<Uuid>) -> Vec<ReviewView> {
    items.into_iter().map(|review| view(review, viewer)).collect()
}

fn view(review: Review, viewer: Option<Uuid>) -> ReviewView {
    ReviewView {
        own: viewer == Some(review.author_id),
        review,
    }
}

/// Posts a review. Only products that exist are reviewed, those that are not sold any more too.
pub async fn post(app: &App, product: Uuid, me: Uuid, opinion: &Opinion) -> Result<ReviewView, Error> {
    let (found, user) = tokio::join!(app.clients.catalog.product(product), app.clients.users.user(me));
    found?.ok_or(Error::Unknown("product"))?;
    // The reviews service learns names from events; this one is for the time until then.
    let user = kept(ServiceName::Users, user, &mut Vec::new()).flatten();
    let name = user.and_then(|user| plain_name(&user.name));
    let review = app
        .clients
        .reviews
        .post(product, me, name.as_deref(), opinion)
        .await?;
    Ok(view(review, Some(me)))
}

/// A name without what the reviews service refuses in texts: control characters, and those that turn the direction of what
/// follows. Whoever has such a name may write a review all the same.
fn plain_name(name: &str) -> Option<String> {
    let turns = |sign: char| matches!(sign, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}');
    let kept = name.chars().filter(|sign| !sign.is_control() && !turns(*sign));
    let name: String = kept.take(200).collect();
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

/// A review of this product, if the viewer sees it; 404 otherwise.
pub async fn find(
    app: &App,
    product: Uuid,
    id: Uuid,
    viewer: Option<Uuid>,
    moderator: bool,
) -> Result<ReviewView, Error> {
    let review = app.clients.reviews.review(id, viewer, moderator).await?;
    let review = review.filter(|review| review.product_id == product);
    review
        .map(|review| view(review, viewer))
        .ok_or(Error::Unknown("review"))
}

/// Changes one's own review, from the version that was read.
pub async fn edit(
    app: &App,
    (product, id): (Uuid, Uuid),
    me: Uuid,
    version: i64,
    opinion: &Opinion,
) -> Result<ReviewView, Error> {
    find(app, product, id, Some(me), false).await?;
    let review = app.clients.reviews.edit(id, me, version, opinion).await?;
    Ok(view(review, Some(me)))
}

/// Casts one's vote, or takes it back.
pub async fn vote(
    app: &App,
    (product, id): (Uuid, Uuid),
    me: Uuid,
    helpful: Option<bool>,
) -> Result<Votes, Error> {
    find(app, product, id, Some(me), false).await?;
    Ok(app.clients.reviews.vote(id, me, helpful).await?)
}

/// The seller's answer: one a review here, so sending it again changes it. 201 when it is new.
pub async fn answer(
    app: &App,
    (product, id): (Uuid, Uuid),
    me: Uuid,
    text: &str,
) -> Result<Answer<Review>, Error> {
    let review = find(app, product, id, Some(me), true).await?.review;
    let answer = review
        .answers
        .first()
        .map_or_else(|| answer_id(id), |there| there.id);
    Ok(app.clients.reviews.answer(id, answer, me, text).await?)
}

/// Takes the seller's answer back; without one, nothing changes.
pub async fn take_answer_back(app: &App, (product, id): (Uuid, Uuid), me: Uuid) -> Result<Review, Error> {
    let review = find(app, product, id, Some(me), true).await?.review;
    match review.answers.first() {
        Some(there) => Ok(app.clients.reviews.take_answer_back(id, there.id).await?),
        None => Ok(review),
    }
}

/// The id of a review's first answer: the same whoever sends it, so that two who answer at once give one answer.
fn answer_id(review: Uuid) -> Uuid {
    ids::derived(OffsetDateTime::UNIX_EPOCH, "answer", review.as_bytes())
}

/// A customer's own reviews with the products' names.
pub async fn of_author(app: &App, me: Uuid, page: &[(&str, String)]) -> Result<MyReviewList, Error> {
    let page = app.clients.reviews.of_author(me, page).await?;
    let (names, degraded) = names(app, &page).await;
    let items = viewed(page.items, Some(me)).into_iter();
    Ok(MyReviewList {
        items: items
            .map(|review| MyReview {
                product_name: names.get(&review.review.product_id).cloned(),
                review,
            })
            .collect(),
        next_cursor: page.next_cursor,
        degraded,
    })
}

/// Everybody's reviews with the products' names.
pub async fn newest(
    app: &App,
    state: ReviewState,
    page: &[(&str, String)],
) -> Result<AdminReviewList, Error> {
    let page = app.clients.reviews.newest(state, page).await?;
    let (names, degraded) = names(app, &page).await;
    let items = page.items.into_iter();
    Ok(AdminReviewList {
        items: items
            .map(|review| AdminReview {
                product_name: names.get(&review.product_id).cloned(),
                author_id: review.author_id,
                review,
            })
            .collect(),
        next_cursor: page.next_cursor,
        degraded,
    })
}

async fn names(app: &App, page: &ReviewPage) -> (HashMap<Uuid, String>, Vec<&'static str>) {
    let mut degraded = Vec::new();
    let ids = page.items.iter().map(|review| review.product_id).collect();
    let found = kept(ServiceName::Catalog, products(app, ids).await, &mut degraded);
    let found = found.unwrap_or_default().into_iter();
    (found.map(|(id, product)| (id, product.name)).collect(), degraded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_as_far_as_they_can_be_shown() {
        assert_eq!(plain_name(" Zoë O'Neill ").as_deref(), Some("Zoë O'Neill"));
        assert_eq!(plain_name("a\u{202E}b\nc").as_deref(), Some("abc"));
        assert_eq!(plain_name("\u{2066} \0"), None);
        assert_eq!(plain_name(&"x".repeat(300)).map(|name| name.len()), Some(200));
    }
}
