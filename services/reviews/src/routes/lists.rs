//! Lists of reviews, and summaries of ratings.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use emporium_service_kit::extract::{Path, Query};
use emporium_service_kit::page::{LIMIT_DEFAULT, LIMIT_MAX};
use emporium_service_kit::problem::ProblemDocument;
use emporium_service_kit::{Page, PageQuery, Problem, garde};
use garde::Validate;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::App;
use crate::attributes::AttributeFilter;
use crate::error::Error;
use crate::listing::{LOOK_MAX, NewestReviews, Place, ProductReviews, Sort, Viewer, Which};
use crate::model::{Review, State as Shown, Summary};

/// Products whose summaries are asked for at once.
const SUMMARIES_MAX: usize = 100;
/// As many ids as that with commas between them, and some more, so that too many are counted and not cut.
const IDS_CHARS_MAX: usize = 8_000;

/// Which of a product's reviews are wanted.
#[derive(Debug, Clone, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// `helpful` when absent.
    #[serde(default)]
    #[garde(skip)]
    sort: Sort,
    /// Only those with this rating, 1 to 5.
    #[garde(inner(range(min = 1, max = 5)))]
    #[param(minimum = 1, maximum = 5)]
    rating: Option<i16>,
    /// `true`: only those with the mark of a verified purchase; `false`: only those without.
    #[garde(skip)]
    verified: Option<bool>,
    /// The customer who looks, whose own votes are shown.
    #[garde(skip)]
    viewer: Option<Uuid>,
    /// Where to go on, from the page before; belongs to its sort.
    #[garde(inner(length(max = 1024)))]
    cursor: Option<String>,
    /// How many items, 1 to 100; 20 when absent.
    #[garde(inner(range(min = 1, max = LIMIT_MAX)))]
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

/// A page of reviews.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReviewPage {
    /// The reviews.
    items: Vec<Review>,
    /// Pass as `cursor` to get the next page; null at the end. A filtered list's page may have few items, or none, and still
    /// have a next one.
    next_cursor: Option<String>,
    /// What orders and users said before this moment is in marks and names; null before the first time they were read.
    #[serde(with = "time::serde::rfc3339::option")]
    as_of: Option<OffsetDateTime>,
}

impl ReviewPage {
    fn new(page: Page<Review>, as_of: Option<OffsetDateTime>) -> Json<Self> {
        Json(Self {
            items: page.items,
            next_cursor: page.next_cursor,
            as_of,
        })
    }
}

/// A product's visible reviews. A review whose votes or rating change while somebody pages may come twice or be left out; no
/// other is. A page of a filtered list looks at 2,000 reviews at most, so it may be short, or empty, before the list ends:
/// `next_cursor` says where looking goes on.
#[utoipa::path(get, path = "/products/{product_id}/reviews",
    params(("product_id" = Uuid, Path), ListQuery,
        ("attribute" = Option<Vec<String>>, Query, description = "`path:value`, where the path has dots between its keys and a \
            list on it stands for its items; repeatable, at most 5, all have to fit")),
    responses((status = 200, body = ReviewPage),
        (status = 400, body = ProblemDocument, description = "`bad-cursor`, `bad-query`"),
        (status = 422, body = ProblemDocument, description = "`invalid`")))]
pub async fn list_product_reviews(
    State(app): State<App>,
    Path(product_id): Path<Uuid>,
    Query(query): Query<ListQuery>,
    axum::extract::Query(all): axum::extract::Query<Vec<(String, String)>>,
) -> Result<Json<ReviewPage>, Error> {
    let parameters = all.into_iter().filter(|(name, _)| name == "attribute");
    let parameters: Vec<String> = parameters.map(|(_, value)| value).collect();
    let wanted = ProductReviews {
        product_id,
        sort: query.sort,
        rating: query.rating,
        verified: query.verified,
        attributes: AttributeFilter::read_all(&parameters)?,
        viewer: Viewer {
            customer: query.viewer,
            moderator: false,
        },
        after: Place::read(query.cursor.as_deref(), query.sort)?,
        max: query.limit.unwrap_or(LIMIT_DEFAULT),
        look: LOOK_MAX,
    };
    let (as_of, found) = dated(|| app.as_of(), app.store.of_product(&wanted)).await;
    let found = found?;
    let page = Page {
        items: found.items,
        next_cursor: found.next.map(|place| place.write()),
    };
    Ok(ReviewPage::new(page, as_of))
}

/// All reviews of an author, the newest first, hidden ones included.
#[utoipa::path(get, path = "/authors/{author_id}/reviews", params(("author_id" = Uuid, Path), PageQuery),
    responses((status = 200, body = ReviewPage),
        (status = 400, body = ProblemDocument, description = "`bad-cursor`, `bad-query`"),
        (status = 422, body = ProblemDocument, description = "`invalid`")))]
pub async fn list_author_reviews(
    State(app): State<App>,
    Path(author_id): Path<Uuid>,
    Query(page): Query<PageQuery>,
) -> Result<Json<ReviewPage>, Error> {
    newest(&app, Which::By(author_id), &page).await
}

/// Which reviews moderators want.
#[derive(Debug, Clone, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct StateQuery {
    /// Those that readers see, or those that they do not.
    #[garde(skip)]
    state: Shown,
}

/// The newest reviews of all products, for moderators.
#[utoipa::path(get, path = "/reviews", params(StateQuery, PageQuery),
    responses((status = 200, body = ReviewPage),
        (status = 400, body = ProblemDocument, description = "`bad-cursor`, `bad-query`"),
        (status = 422, body = ProblemDocument, description = "`invalid`")))]
pub async fn list_newest_reviews(
    State(app): State<App>,
    Query(StateQuery { state }): Query<StateQuery>,
    Query(page): Query<PageQuery>,
) -> Result<Json<ReviewPage>, Error> {
    newest(&app, Which::In(state), &page).await
}

async fn newest(app: &App, which: Which, page: &PageQuery) -> Result<Json<ReviewPage>, Error> {
    let wanted = NewestReviews {
        which,
        before: page.position()?,
        max: page.limit() + 1,
    };
    let (as_of, items) = dated(|| app.as_of(), app.store.newest(&wanted)).await;
    let page = Page::from_surplus(items?, page.limit(), |review| review.id);
    Ok(ReviewPage::new(page, as_of))
}

/// `?ids=`
#[derive(Debug, Clone, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SummariesQuery {
    /// Ids of products with commas between them, at most 100.
    #[garde(length(max = IDS_CHARS_MAX))]
    ids: String,
}

impl SummariesQuery {
    fn products(&self) -> Result<Vec<Uuid>, Problem> {
        let invalid = |message: &str| Problem::invalid([("ids".to_owned(), message.to_owned())]);
        let ids = self.ids.split(',').filter(|id| !id.is_empty());
        let ids: Result<BTreeSet<Uuid>, _> = ids.map(str::parse).collect();
        let ids = ids.map_err(|_| invalid("must be UUIDs with commas between them"))?;
        if ids.len() > SUMMARIES_MAX {
            return Err(invalid("must be at most 100"));
        }
        Ok(ids.into_iter().collect())
    }
}

/// How products are rated.
#[derive(Debug, Serialize, ToSchema)]
pub struct SummaryList {
    /// One for each product that has visible reviews; others are left out.
    items: Vec<Summary>,
    /// What orders said before this moment is in the verified shares; null before the first time they were read.
    #[serde(with = "time::serde::rfc3339::option")]
    as_of: Option<OffsetDateTime>,
}

/// How products are rated, for a list of them. Reviews count at once; their marks follow orders' events.
#[utoipa::path(get, path = "/summaries", params(SummariesQuery),
    responses((status = 200, body = SummaryList),
        (status = 400, body = ProblemDocument, description = "`bad-query`"),
        (status = 422, body = ProblemDocument, description = "`invalid`")))]
pub async fn list_summaries(
    State(app): State<App>,
    Query(query): Query<SummariesQuery>,
) -> Result<Json<SummaryList>, Error> {
    let products = query.products()?;
    let (as_of, items) = dated(|| app.as_of(), app.store.summaries(&products)).await;
    Ok(Json(SummaryList { items: items?, as_of }))
}

/// What is read, with a moment that was over before it was read: whatever was published until then is in it.
async fn dated<M, T>(moment: impl FnOnce() -> M, read: impl Future<Output = T>) -> (M, T) {
    let moment = moment();
    (moment, read.await)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    /// An event that is applied while a list is read is not promised to be in it.
    #[tokio::test]
    async fn an_answer_is_dated_before_it_is_read() {
        let applied = Cell::new(1);
        let (dated, read) = super::dated(|| applied.get(), async {
            let read = applied.get();
            applied.set(2);
            read
        })
        .await;
        assert!(dated <= read, "{dated} is promised, {read} is there");
    }
}
