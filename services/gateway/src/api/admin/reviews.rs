//! `/api/admin/reviews`: everybody's reviews, hiding and showing them.

use axum::Json;
use axum::extract::State;
use emporium_service_kit::extract::{Body, Path, Query};
use emporium_service_kit::problem::ProblemDocument;
use emporium_service_kit::{Api, PageQuery, validate};
use garde::Validate;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;
use uuid::Uuid;

use crate::api::query::pairs;
use crate::app::App;
use crate::clients::reviews::{Review, ReviewState};
use crate::error::Error;
use crate::identity::Administrator;
use crate::reviews::{self, AdminReviewList};

pub fn routes() -> Api<App> {
    Api::default()
        .public(routes!(admin_list_reviews))
        .public(routes!(admin_moderate_review))
}

/// Which reviews.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct StateQuery {
    /// `visible` (default): those that readers see; `hidden`: those that they do not.
    #[serde(default)]
    #[garde(skip)]
    #[param(inline, required = false)]
    state: ReviewState,
}

/// A decision about a review.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Moderation {
    /// Whether readers see it from now on.
    #[garde(skip)]
    state: ReviewState,
    /// Why it is hidden, for its author, 1 to 500 characters. Needed with `hidden`, refused with `visible`.
    #[garde(inner(length(chars, max = 500)), custom(validate::text_opt))]
    #[schema(max_length = 500)]
    reason: Option<String>,
}

/// Everybody's reviews, newest first, with the products' names.
#[utoipa::path(get, path = "/api/admin/reviews", tag = "administration",
    security(("bearer" = []), ("cookie" = [])), params(StateQuery, PageQuery), responses(
    (status = 200, body = AdminReviewList),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`"),
    (status = 403, body = ProblemDocument, description = "`administrators-only`, `user-blocked`")))]
async fn admin_list_reviews(
    State(app): State<App>,
    _: Administrator,
    Query(which): Query<StateQuery>,
    Query(page): Query<PageQuery>,
) -> Result<Json<AdminReviewList>, Error> {
    Ok(Json(reviews::newest(&app, which.state, &pairs(&page)).await?))
}

/// Hides a review from readers, with a reason that its author sees, or shows it again. Repeating changes nothing.
#[utoipa::path(put, path = "/api/admin/reviews/{id}/moderation", tag = "administration", request_body = Moderation,
    security(("bearer" = []), ("cookie" = [])), params(("id" = Uuid, Path)), responses(
    (status = 200, body = Review),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`"),
    (status = 403, body = ProblemDocument, description = "`administrators-only`, `user-blocked`"),
    (status = 404, body = ProblemDocument, description = "`not-found`"),
    (status = 422, body = ProblemDocument, description = "`invalid`")))]
async fn admin_moderate_review(
    State(app): State<App>,
    _: Administrator,
    Path(id): Path<Uuid>,
    Body(body): Body<Moderation>,
) -> Result<Json<Review>, Error> {
    let reason = body.reason.as_deref();
    Ok(Json(app.clients.reviews.moderate(id, body.state, reason).await?))
}
