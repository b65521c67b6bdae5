//! Posting, reading and editing a review.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use emporium_service_kit::extract::{Body, Path, Query};
use emporium_service_kit::garde;
use emporium_service_kit::problem::ProblemDocument;
use garde::Validate;
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use super::App;
use crate::error::Error;
use crate::listing::Viewer;
use crate::model::{EditReview, NewReview, Review};
use crate::store::{Draft, Edit, Edited, Posted};

/// Who looks.
#[derive(Debug, Clone, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ViewerQuery {
    /// The customer who looks: sees the own vote, and the own review when it is hidden.
    #[garde(skip)]
    viewer: Option<Uuid>,
    /// True for a moderator, who sees hidden reviews.
    #[serde(default)]
    #[garde(skip)]
    moderator: bool,
}

/// Posts a customer's review of a product. It shows at once. Whether the product exists is the caller's to know.
#[utoipa::path(post, path = "/products/{product_id}/reviews", params(("product_id" = Uuid, Path)), request_body = NewReview,
    responses((status = 201, body = Review), (status = 400, body = ProblemDocument, description = "`bad-json`"),
        (status = 409, body = ProblemDocument, description = "`already-reviewed`, with `review_id`"),
        (status = 413, body = ProblemDocument, description = "`body-too-large`"),
        (status = 422, body = ProblemDocument, description = "`invalid`")))]
pub async fn post_review(
    State(app): State<App>,
    Path(product_id): Path<Uuid>,
    Body(mut body): Body<NewReview>,
) -> Result<(StatusCode, Json<Review>), Error> {
    let draft = Draft {
        product_id,
        author_id: body.author_id,
        author_name: body.author_name.take(),
        opinion: body.into(),
    };
    match app.store.post(&draft).await? {
        Posted::Done(review) => Ok((StatusCode::CREATED, Json(*review))),
        Posted::Exists(id) => Err(Error::AlreadyReviewed(id)),
    }
}

/// A customer's own review of a product, hidden or not.
#[utoipa::path(get, path = "/products/{product_id}/reviews/by/{author_id}",
    params(("product_id" = Uuid, Path), ("author_id" = Uuid, Path)),
    responses((status = 200, body = Review), (status = 404, body = ProblemDocument, description = "`not-found`")))]
pub async fn get_own_review(
    State(app): State<App>,
    Path((product_id, author_id)): Path<(Uuid, Uuid)>,
) -> Result<Json<Review>, Error> {
    let found = app.store.find_own(product_id, author_id).await?;
    found.map(Json).ok_or(Error::Unknown)
}

/// A review, if the viewer sees it.
#[utoipa::path(get, path = "/reviews/{id}", params(("id" = Uuid, Path), ViewerQuery),
    responses((status = 200, body = Review), (status = 404, body = ProblemDocument, description = "`not-found`")))]
pub async fn get_review(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    Query(query): Query<ViewerQuery>,
) -> Result<Json<Review>, Error> {
    let viewer = Viewer {
        customer: query.viewer,
        moderator: query.moderator,
    };
    app.store.find(id, viewer).await?.map(Json).ok_or(Error::Unknown)
}

/// Changes what the author thinks. A hidden review stays hidden. Sending it again changes nothing.
#[utoipa::path(put, path = "/reviews/{id}", params(("id" = Uuid, Path)), request_body = EditReview,
    responses((status = 200, body = Review), (status = 400, body = ProblemDocument, description = "`bad-json`"),
        (status = 404, body = ProblemDocument, description = "`not-found`, also when it is somebody else's"),
        (status = 409, body = ProblemDocument, description = "`version-differs`, with `version`"),
        (status = 413, body = ProblemDocument, description = "`body-too-large`"),
        (status = 422, body = ProblemDocument, description = "`invalid`")))]
pub async fn put_review(
    State(app): State<App>,
    Path(review_id): Path<Uuid>,
    Body(body): Body<EditReview>,
) -> Result<Json<Review>, Error> {
    let edit = Edit {
        review_id,
        author_id: body.author_id,
        version: body.version,
        opinion: body.into(),
    };
    match app.store.edit(&edit).await? {
        Edited::Done(review) => Ok(Json(*review)),
        Edited::Missing => Err(Error::Unknown),
        Edited::Stale(version) => Err(Error::VersionDiffers(version)),
    }
}
