//! Reservations, for the checkout saga.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use emporium_service_kit::extract::{Body, Path, Query};
use emporium_service_kit::problem::ProblemDocument;
use garde::Validate;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::App;
use crate::error::Error;
use crate::model::{ExtendRequest, Reservation, ReservationRequest};

/// Reserves all lines or none, for at most 24 hours. The same request again gives the same answer.
#[utoipa::path(put, path = "/reservations/{saga_id}", params(("saga_id" = Uuid, Path)), request_body = ReservationRequest,
    responses((status = 200, body = Reservation),
              (status = 409, description = "`out-of-stock` with `unavailable`, `reservation-released`, `reservation-gone`, `reservation-differs`", body = ProblemDocument),
              (status = 422, description = "`invalid`", body = ProblemDocument)))]
pub async fn put_reservation(
    State(app): State<App>,
    Path(saga_id): Path<Uuid>,
    Body(request): Body<ReservationRequest>,
) -> Result<Json<Reservation>, Error> {
    app.store.hold(saga_id, &request).await.map(Json)
}

/// How to end a reservation.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ReleaseQuery {
    /// What to do when the units have left: `keep` (409) or `return` (they are put back).
    #[serde(default)]
    #[garde(skip)]
    committed: Committed,
}

/// What to do with units that have left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Committed {
    /// Refuse.
    #[default]
    Keep,
    /// Put them back.
    Return,
}

/// Gives the stock back. An unknown reservation leaves a tombstone, so that a late request to hold is refused.
#[utoipa::path(delete, path = "/reservations/{saga_id}", params(("saga_id" = Uuid, Path), ReleaseQuery),
    responses((status = 204), (status = 409, description = "`reservation-committed`", body = ProblemDocument)))]
pub async fn delete_reservation(
    State(app): State<App>,
    Path(saga_id): Path<Uuid>,
    Query(query): Query<ReleaseQuery>,
) -> Result<StatusCode, Error> {
    app.store
        .release(saga_id, query.committed == Committed::Return)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Keeps the stock longer.
#[utoipa::path(post, path = "/reservations/{saga_id}/extend", params(("saga_id" = Uuid, Path)), request_body = ExtendRequest,
    responses((status = 200, body = Reservation), (status = 404, description = "`not-found`", body = ProblemDocument),
              (status = 409, description = "`reservation-gone`", body = ProblemDocument)))]
pub async fn extend_reservation(
    State(app): State<App>,
    Path(saga_id): Path<Uuid>,
    Body(request): Body<ExtendRequest>,
) -> Result<Json<Reservation>, Error> {
    app.store.extend(saga_id, request.expires_at).await.map(Json)
}

/// The reserved units leave for good. Repeating this changes nothing.
#[utoipa::path(post, path = "/reservations/{saga_id}/commit", params(("saga_id" = Uuid, Path)),
    responses((status = 200, body = Reservation), (status = 404, description = "`not-found`", body = ProblemDocument),
              (status = 409, description = "`reservation-gone`", body = ProblemDocument)))]
pub async fn commit_reservation(
    State(app): State<App>,
    Path(saga_id): Path<Uuid>,
) -> Result<Json<Reservation>, Error> {
    app.store.commit(saga_id).await.map(Json)
}
