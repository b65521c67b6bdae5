//! Listing and replaying dead letters and asking for a rebuild over HTTP; each consuming service mounts them.

use std::sync::Arc;

use axum::Json;
use axum::http::StatusCode;
use emporium_service_kit::Problem;
use emporium_service_kit::extract::Query;
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{ApplyError, ConsumerGroup, RebuildError};
use crate::bus::{BusError, DeadLetter};

/// `?after=&limit=` of the dead letters.
#[derive(Debug, Clone, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DeadLetterQuery {
    /// The id after which to read.
    #[serde(default)]
    #[garde(range(min = 0))]
    pub after: i64,
    /// How many, 1 to 100; 20 when absent.
    #[serde(default = "limit_default")]
    #[garde(range(min = 1, max = 100))]
    pub limit: i64,
}

fn limit_default() -> i64 {
    20
}

/// Dead letters, oldest first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DeadLetterList {
    /// The letters.
    pub items: Vec<DeadLetter>,
}

/// Answers `GET /dead-letters`.
pub async fn list_dead_letters(
    group: &ConsumerGroup,
    Query(query): Query<DeadLetterQuery>,
) -> Result<Json<DeadLetterList>, Problem> {
    let items = group
        .bus
        .dead_letters(&group.name, query.after, query.limit)
        .await
        .map_err(|e| away(&e))?;
    Ok(Json(DeadLetterList { items }))
}

/// Answers `POST /dead-letters/{id}/replay`: 409 with the reason when it still cannot be applied.
pub async fn replay_dead_letter(group: &Arc<ConsumerGroup>, id: i64) -> Result<Json<DeadLetter>, Problem> {
    let find = || async {
        group
            .bus
            .find_dead_letter(&group.name, id)
            .await
            .map_err(|e| away(&e))
    };
    let unknown = || Problem::not_found("There is no such dead letter.");
    let letter = find().await?.ok_or_else(unknown)?;
    match group.replay(&letter).await {
        Ok(()) => find().await?.map(Json).ok_or_else(unknown),
        Err(ApplyError::Rejected(reason)) => Err(Problem::conflict("still-rejected", reason)),
        Err(error @ ApplyError::Unavailable(_)) => Err(store_away(&error)),
    }
}

pub(crate) fn store_away(error: &ApplyError) -> Problem {
    tracing::warn!(%error, "a consumer's store not available");
    Problem::unavailable(
        "store-unavailable",
        "The consumer's store does not answer just now.",
    )
}

/// Answers `POST /rebuild`: 202 when a running member will rebuild the projection or is at it, 409 when the consumer cannot
/// be rebuilt.
pub async fn rebuild_projection(group: &ConsumerGroup) -> Result<StatusCode, Problem> {
    accept_rebuild(group).await.map(|_| StatusCode::ACCEPTED)
}

/// The id of the rebuild that was asked for, or why there will be none.
pub(crate) async fn accept_rebuild(group: &ConsumerGroup) -> Result<Uuid, Problem> {
    match group.request_rebuild().await {
        Ok(id) => Ok(id),
        Err(error @ RebuildError::Unsupported(_)) => {
            Err(Problem::conflict("not-rebuildable", error.to_string()))
        }
        Err(RebuildError::Store(error)) => Err(store_away(&error)),
    }
}

pub(crate) fn away(error: &BusError) -> Problem {
    tracing::warn!(%error, "event bus not available");
    Problem::unavailable("bus-unavailable", "The event bus does not answer just now.")
}
