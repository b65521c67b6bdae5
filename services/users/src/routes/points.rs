//! Loyalty points of checkouts. Every step can be repeated.

use axum::Json;
use axum::extract::State;
use emporium_service_kit::extract::{Body, Path};
use garde::Validate;
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::App;
use crate::error::Error;
use crate::model::Points;

/// The most points of one checkout; nine thousand million of these fit an account.
pub const POINTS_MAX: i64 = 1_000_000_000;

/// Points to set aside.
#[derive(Deserialize, Validate, ToSchema)]
pub struct PointsRequest {
    /// Whose.
    #[garde(skip)]
    user_id: Uuid,
    /// How many.
    #[garde(range(min = 0, max = POINTS_MAX))]
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    points: i64,
}

/// Sets points aside for a checkout.
#[utoipa::path(put, path = "/points/{saga_id}", params(("saga_id" = Uuid, Path)), request_body = PointsRequest, responses(
    (status = 200, body = Points), (status = 404, description = "`not-found`: no such user"),
    (status = 409, description = "`points-cancelled`, `points-differ`"), (status = 422, description = "`invalid`")))]
pub async fn put_points(
    State(app): State<App>,
    Path(saga_id): Path<Uuid>,
    Body(asked): Body<PointsRequest>,
) -> Result<Json<Points>, Error> {
    Ok(Json(
        app.store.add_points(saga_id, asked.user_id, asked.points).await?,
    ))
}

/// Makes a checkout's points count.
#[utoipa::path(post, path = "/points/{saga_id}/confirm", params(("saga_id" = Uuid, Path)), responses(
    (status = 200, body = Points), (status = 404, description = "`not-found`"),
    (status = 409, description = "`points-cancelled`")))]
pub async fn confirm(State(app): State<App>, Path(saga_id): Path<Uuid>) -> Result<Json<Points>, Error> {
    Ok(Json(app.store.confirm_points(saga_id).await?))
}

/// Ends a checkout's points, whatever they were: pending, confirmed or not there yet.
#[utoipa::path(post, path = "/points/{saga_id}/cancel", params(("saga_id" = Uuid, Path)),
    responses((status = 200, body = Points)))]
pub async fn cancel(State(app): State<App>, Path(saga_id): Path<Uuid>) -> Result<Json<Points>, Error> {
    Ok(Json(app.store.cancel_points(saga_id).await?))
}
