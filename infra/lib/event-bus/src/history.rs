//! Owners' event histories, read in pages: what a projection is rebuilt from before it joins the bus.

use emporium_service_kit::Problem;
use emporium_service_kit::client::{CallError, Client};
use emporium_service_kit::extract::Query;
use garde::Validate;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use crate::event::CloudEvent;
use crate::outbox::{Outbox, OutboxStore};

/// Events a page may have.
pub const PAGE_MAX: i64 = 1_000;

/// One event of a history.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct HistoryItem {
    /// Position in the owner's history, from 1, growing.
    pub position: i64,
    /// The event.
    pub event: CloudEvent,
    /// When the owner wrote it down, by the owner's clock; for imported history that is long after the event's `time`.
    // `None` for what was written down before owners noted that.
    #[serde(
        default,
        with = "time::serde::rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub recorded_at: Option<OffsetDateTime>,
}

/// A page of a history.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct HistoryPage {
    /// Events in the order of their positions.
    pub items: Vec<HistoryItem>,
    /// Pass as `after` to go on.
    pub next_after: i64,
    /// True when there was nothing further at the time of reading.
    pub at_end: bool,
    /// The history's last position at the time of reading, to tell progress by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<i64>,
}

/// `?after=&limit=` of a history.
#[derive(Debug, Clone, Serialize, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct HistoryQuery {
    /// The position after which to read; 0 or absent from the start.
    #[serde(default)]
    #[garde(range(min = 0))]
    pub after: i64,
    /// How many, 1 to 1,000; 100 when absent.
    #[serde(default = "limit_default")]
    #[garde(range(min = 1, max = PAGE_MAX))]
    pub limit: i64,
}

fn limit_default() -> i64 {
    100
}

/// Answers `GET /events` of an owner.
pub async fn serve_page<S: OutboxStore + ?Sized>(
    outbox: &Outbox<S>,
    Query(query): Query<HistoryQuery>,
) -> Result<axum::Json<HistoryPage>, Problem> {
    Ok(axum::Json(outbox.page(query.after, query.limit).await?))
}

/// Reads the next page of another service's history.
pub async fn fetch_page(owner: &Client, after: i64) -> Result<HistoryPage, CallError> {
    owner
        .get("/events")
        .query(&HistoryQuery {
            after,
            limit: PAGE_MAX,
        })
        .send()
        .await
}
