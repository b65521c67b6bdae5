//! `/api/products/{id}/reviews` and `/api/me/reviews`: what customers think of products, votes, the seller's answers.

use axum::Json;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderName, StatusCode, header};
use emporium_service_kit::extract::{Body, Path, Query};
use emporium_service_kit::problem::ProblemDocument;
use emporium_service_kit::{Api, PageQuery, ServiceName, validate};
use garde::Validate;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::router::UtoipaMethodRouterExt;
use utoipa_axum::routes;
use uuid::Uuid;

use super::review_query::ReviewQuery;
use crate::REVIEW_BYTES_MAX;
use crate::app::App;
use crate::clients::reviews::{Opinion, Review, Votes};
use crate::error::Error;
use crate::identity::{Administrator, Onlooker, SignedIn};
use crate::reviews::{self, MyReviewList, ProductReviews, ReviewView, TEXT_CHARS_MAX, TITLE_CHARS_MAX};

pub fn routes() -> Api<App> {
    let room = DefaultBodyLimit::max(REVIEW_BYTES_MAX);
    Api::default()
        .public(routes!(list_reviews, post_review).layer(room))
        .public(routes!(get_review, edit_review).layer(room))
        .public(routes!(vote, take_vote_back))
        .public(routes!(answer_review, take_answer_back))
        .public(routes!(list_my_reviews))
}

/// A review.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewReview {
    /// 1 to 5, a whole number.
    #[garde(range(min = 1, max = 5))]
    #[schema(minimum = 1, maximum = 5)]
    rating: i64,
    /// One line of plain text, 1 to 120 characters.
    #[garde(length(chars, max = TITLE_CHARS_MAX), custom(validate::filled_line))]
    #[schema(max_length = 120)]
    title: String,
    /// Plain text, 1 to 8,000 characters. Whoever shows it escapes it.
    #[garde(length(chars, min = 1, max = TEXT_CHARS_MAX), custom(validate::text))]
    #[schema(max_length = 8000)]
    text: String,
    /// Any JSON object: at most 16 KiB, 5 levels, 64 keys, 256 values. By custom `pros` and `cons` are lists of texts, `photos`
    /// is a list of `{"caption"}`, and what matters in the product's category has names of its own.
    #[serde(default)]
    #[garde(skip)]
    attributes: Map<String, Value>,
}

/// An edited review, whole.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EditedReview {
    /// The version that was read. When the review has moved on, nothing is changed.
    #[garde(range(min = 1))]
    version: i64,
    /// 1 to 5, a whole number.
    #[garde(range(min = 1, max = 5))]
    #[schema(minimum = 1, maximum = 5)]
    rating: i64,
    /// One line of plain text, 1 to 120 characters.
    #[garde(length(chars, max = TITLE_CHARS_MAX), custom(validate::filled_line))]
    #[schema(max_length = 120)]
    title: String,
    /// Plain text, 1 to 8,000 characters.
    #[garde(length(chars, min = 1, max = TEXT_CHARS_MAX), custom(validate::text))]
    #[schema(max_length = 8000)]
    text: String,
    /// As for a new review; what is left out is gone.
    #[serde(default)]
    #[garde(skip)]
    attributes: Map<String, Value>,
}

impl From<EditedReview> for Opinion {
    fn from(edited: EditedReview) -> Self {
        Self {
            rating: edited.rating,
            title: edited.title,
            text: edited.text,
            attributes: edited.attributes,
        }
    }
}

/// A vote.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Vote {
    /// Whether the review helped.
    #[garde(skip)]
    helpful: bool,
}

/// The seller's answer.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SellersAnswer {
    /// Plain text, 1 to 4,000 characters.
    #[garde(length(chars, min = 1, max = 4_000), custom(validate::text))]
    #[schema(max_length = 4000)]
    text: String,
}

/// A product's reviews, and how it is rated. Hidden reviews are not among them. A page of a filtered list looks at 2,000 reviews
/// at most, so it may be short, or empty, before the list ends: `next_cursor` says where looking goes on.
#[utoipa::path(get, path = "/api/products/{id}/reviews", tag = "reviews",
    security((), ("bearer" = []), ("cookie" = [])),
    params(("id" = Uuid, Path), ReviewQuery), responses(
    (status = 200, body = ProductReviews),
    (status = 400, body = ProblemDocument, description = "`bad-query`, `bad-cursor`"),
    (status = 404, body = ProblemDocument, description = "`not-found`: no such product"),
    (status = 422, body = ProblemDocument, description = "`invalid`")))]
async fn list_reviews(
    State(app): State<App>,
    onlooker: Onlooker,
    Path(id): Path<Uuid>,
    query: ReviewQuery,
) -> Result<Json<ProductReviews>, Error> {
    let filter = query.into_filter(onlooker.user_id());
    let mut list = reviews::of_product(&app, id, &filter).await?;
    if onlooker.sessions_away {
        list.degraded.push(ServiceName::Sessions.as_str());
    }
    Ok(Json(list))
}

/// Posts a review; each customer has one a product. It shows at once, with a mark when the product was bought here.
#[utoipa::path(post, path = "/api/products/{id}/reviews", tag = "reviews", request_body = NewReview,
    security(("bearer" = []), ("cookie" = [])), params(("id" = Uuid, Path)), responses(
    (status = 201, body = ReviewView, headers(("Location" = String))),
    (status = 400, body = ProblemDocument, description = "`bad-json`"),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`"),
    (status = 404, body = ProblemDocument, description = "`not-found`: no such product"),
    (status = 409, body = ProblemDocument, description = "`already-reviewed`, with `review_id`"),
    (status = 422, body = ProblemDocument, description = "`invalid`")))]
async fn post_review(
    State(app): State<App>,
    SignedIn(me): SignedIn,
    Path(id): Path<Uuid>,
    Body(body): Body<NewReview>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<ReviewView>), Error> {
    let opinion = Opinion {
        rating: body.rating,
        title: body.title,
        text: body.text,
        attributes: body.attributes,
    };
    let posted = reviews::post(&app, id, me.user_id, &opinion).await?;
    let location = format!("/api/products/{id}/reviews/{}", posted.review.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(posted)))
}

/// One review. A hidden one is there for its author only.
#[utoipa::path(get, path = "/api/products/{id}/reviews/{review_id}", tag = "reviews",
    security((), ("bearer" = []), ("cookie" = [])),
    params(("id" = Uuid, Path), ("review_id" = Uuid, Path)), responses(
    (status = 200, body = ReviewView),
    (status = 404, body = ProblemDocument, description = "`not-found`")))]
async fn get_review(
    State(app): State<App>,
    onlooker: Onlooker,
    Path((id, review)): Path<(Uuid, Uuid)>,
) -> Result<Json<ReviewView>, Error> {
    let viewer = onlooker.user_id();
    Ok(Json(reviews::find(&app, id, review, viewer, false).await?))
}

/// Changes one's own review. A hidden one stays hidden. Sending the same again changes nothing.
#[utoipa::path(put, path = "/api/products/{id}/reviews/{review_id}", tag = "reviews", request_body = EditedReview,
    security(("bearer" = []), ("cookie" = [])),
    params(("id" = Uuid, Path), ("review_id" = Uuid, Path)), responses(
    (status = 200, body = ReviewView),
    (status = 400, body = ProblemDocument, description = "`bad-json`"),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`"),
    (status = 404, body = ProblemDocument, description = "`not-found`, also when it is somebody else's"),
    (status = 409, body = ProblemDocument, description = "`version-differs`, with `version`"),
    (status = 422, body = ProblemDocument, description = "`invalid`")))]
async fn edit_review(
    State(app): State<App>,
    SignedIn(me): SignedIn,
    Path(ids): Path<(Uuid, Uuid)>,
    Body(body): Body<EditedReview>,
) -> Result<Json<ReviewView>, Error> {
    let version = body.version;
    let edited = reviews::edit(&app, ids, me.user_id, version, &body.into()).await?;
    Ok(Json(edited))
}

/// Says whether a review helped; sending another vote changes it.
#[utoipa::path(put, path = "/api/products/{id}/reviews/{review_id}/vote", tag = "reviews", request_body = Vote,
    security(("bearer" = []), ("cookie" = [])),
    params(("id" = Uuid, Path), ("review_id" = Uuid, Path)), responses(
    (status = 200, body = Votes),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`"),
    (status = 403, body = ProblemDocument, description = "`own-review`"),
    (status = 404, body = ProblemDocument, description = "`not-found`")))]
async fn vote(
    State(app): State<App>,
    SignedIn(me): SignedIn,
    Path(ids): Path<(Uuid, Uuid)>,
    Body(body): Body<Vote>,
) -> Result<Json<Votes>, Error> {
    Ok(Json(
        reviews::vote(&app, ids, me.user_id, Some(body.helpful)).await?,
    ))
}

/// Takes one's vote back; without one, nothing changes.
#[utoipa::path(delete, path = "/api/products/{id}/reviews/{review_id}/vote", tag = "reviews",
    security(("bearer" = []), ("cookie" = [])),
    params(("id" = Uuid, Path), ("review_id" = Uuid, Path)), responses(
    (status = 200, body = Votes),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`"),
    (status = 403, body = ProblemDocument, description = "`own-review`"),
    (status = 404, body = ProblemDocument, description = "`not-found`")))]
async fn take_vote_back(
    State(app): State<App>,
    SignedIn(me): SignedIn,
    Path(ids): Path<(Uuid, Uuid)>,
) -> Result<Json<Votes>, Error> {
    Ok(Json(reviews::vote(&app, ids, me.user_id, None).await?))
}

/// Gives the seller's answer to a review, or changes it. For administrators.
#[utoipa::path(put, path = "/api/products/{id}/reviews/{review_id}/answer", tag = "reviews",
    request_body = SellersAnswer, security(("bearer" = []), ("cookie" = [])),
    params(("id" = Uuid, Path), ("review_id" = Uuid, Path)), responses(
    (status = 201, body = Review, description = "The answer is new."),
    (status = 200, body = Review),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`"),
    (status = 403, body = ProblemDocument, description = "`administrators-only`, `user-blocked`"),
    (status = 404, body = ProblemDocument, description = "`not-found`"),
    (status = 422, body = ProblemDocument, description = "`invalid`")))]
async fn answer_review(
    State(app): State<App>,
    Administrator(me): Administrator,
    Path(ids): Path<(Uuid, Uuid)>,
    Body(body): Body<SellersAnswer>,
) -> Result<(StatusCode, Json<Review>), Error> {
    let answered = reviews::answer(&app, ids, me.user_id, &body.text).await?;
    Ok((answered.status, Json(answered.body)))
}

/// Takes the seller's answer back; without one, nothing changes. For administrators.
#[utoipa::path(delete, path = "/api/products/{id}/reviews/{review_id}/answer", tag = "reviews",
    security(("bearer" = []), ("cookie" = [])),
    params(("id" = Uuid, Path), ("review_id" = Uuid, Path)), responses(
    (status = 200, body = Review),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`"),
    (status = 403, body = ProblemDocument, description = "`administrators-only`, `user-blocked`"),
    (status = 404, body = ProblemDocument, description = "`not-found`")))]
async fn take_answer_back(
    State(app): State<App>,
    Administrator(me): Administrator,
    Path(ids): Path<(Uuid, Uuid)>,
) -> Result<Json<Review>, Error> {
    Ok(Json(reviews::take_answer_back(&app, ids, me.user_id).await?))
}

/// One's own reviews, newest first, hidden ones too.
#[utoipa::path(get, path = "/api/me/reviews", tag = "reviews", security(("bearer" = []), ("cookie" = [])),
    params(PageQuery), responses(
    (status = 200, body = MyReviewList),
    (status = 400, body = ProblemDocument, description = "`bad-cursor`"),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`"),
    (status = 422, body = ProblemDocument, description = "`invalid`")))]
async fn list_my_reviews(
    State(app): State<App>,
    SignedIn(me): SignedIn,
    Query(page): Query<PageQuery>,
) -> Result<Json<MyReviewList>, Error> {
    let page = super::query::pairs(&page);
    Ok(Json(reviews::of_author(&app, me.user_id, &page).await?))
}
