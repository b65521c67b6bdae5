//! `/api/admin/monitoring/…`: how services and stores are doing. What a question may cost is bounded by the monitoring
//! service, whose 422 passes through; here only its length is.

use axum::Json;
use axum::extract::State;
use emporium_service_kit::extract::{Path, Query};
use emporium_service_kit::problem::ProblemDocument;
use emporium_service_kit::{Api, Page};
use garde::Validate;
use serde::Deserialize;
use utoipa_axum::routes;

use crate::app::App;
use crate::clients::monitoring::{Board, BoardName, MetricName, MetricRange, is_board_name};
use crate::error::Error;
use crate::identity::Administrator;

/// Parameters of a question; monitoring takes ten labels to keep and ten to leave out.
const PAIRS_MAX: usize = 32;
/// Characters of all names and values together.
const PAIRS_BYTES_MAX: usize = 8 * 1024;

pub fn routes() -> Api<App> {
    Api::default()
        .public(routes!(admin_metric_range))
        .public(routes!(admin_list_metrics))
        .public(routes!(admin_list_boards))
        .public(routes!(admin_get_board))
}

/// Parameters as they come: some of their names are made of labels' names.
#[derive(Debug, Deserialize, Validate)]
#[serde(transparent)]
struct Pairs(#[garde(custom(within_bounds))] Vec<(String, String)>);

#[allow(clippy::trivially_copy_pass_by_ref)] // garde's signature
fn within_bounds(pairs: &[(String, String)], _: &()) -> garde::Result {
    let bytes: usize = pairs.iter().map(|(name, value)| name.len() + value.len()).sum();
    if pairs.len() > PAIRS_MAX || bytes > PAIRS_BYTES_MAX {
        return Err(garde::Error::new(format!(
            "at most {PAIRS_MAX} parameters of {PAIRS_BYTES_MAX} bytes together"
        )));
    }
    Ok(())
}

/// How a metric went. Besides the parameters listed, `label.<name>=<value>` keeps only series with that label, and
/// `not.<name>=<value>` leaves those out.
#[utoipa::path(get, path = "/api/admin/monitoring/range", tag = "administration",
    security(("bearer" = []), ("cookie" = [])),
    params(
        ("metric" = Option<String>, Query, description = "The metric's name; it has to be there. A histogram's without _bucket, _sum or _count"),
        ("as" = Option<String>, Query, description = "`rate`, `increase`, `avg`, `min`, `max`, `sum`, `quantile(0.99)`; default: `avg` of a gauge, else `rate`"),
        ("from" = Option<String>, Query, description = "RFC 3339; default an hour before `to`"),
        ("to" = Option<String>, Query, description = "RFC 3339; default now"),
        ("step" = Option<i64>, Query, description = "Seconds; at most 1,000 steps; default: as it suits the span"),
        ("by" = Option<String>, Query, description = "Labels, separated by commas: series that have the same become one line"),
    ), responses(
    (status = 200, body = MetricRange),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`"),
    (status = 403, body = ProblemDocument, description = "`administrators-only`, `user-blocked`"),
    (status = 404, body = ProblemDocument, description = "`unknown-metric`"),
    (status = 422, body = ProblemDocument, description = "`invalid`, `not-for-this-kind`, `step-unsuitable` with `multiple_of_s`, \
        `too-many-series` with `found` and `max`, `too-much-work`")))]
async fn admin_metric_range(
    State(app): State<App>,
    _: Administrator,
    Query(Pairs(pairs)): Query<Pairs>,
) -> Result<Json<MetricRange>, Error> {
    Ok(Json(app.clients.monitoring.range(&pairs).await?))
}

/// The metrics that there are points of, at most 2,000.
#[utoipa::path(get, path = "/api/admin/monitoring/metrics", tag = "administration",
    security(("bearer" = []), ("cookie" = [])), responses(
    (status = 200, body = Page<MetricName>),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`"),
    (status = 403, body = ProblemDocument, description = "`administrators-only`, `user-blocked`")))]
async fn admin_list_metrics(
    State(app): State<App>,
    _: Administrator,
) -> Result<Json<Page<MetricName>>, Error> {
    Ok(Json(Page::whole(app.clients.monitoring.metric_names().await?)))
}

/// The boards that there are.
#[utoipa::path(get, path = "/api/admin/monitoring/boards", tag = "administration",
    security(("bearer" = []), ("cookie" = [])), responses(
    (status = 200, body = Page<BoardName>),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`"),
    (status = 403, body = ProblemDocument, description = "`administrators-only`, `user-blocked`")))]
async fn admin_list_boards(State(app): State<App>, _: Administrator) -> Result<Json<Page<BoardName>>, Error> {
    Ok(Json(Page::whole(app.clients.monitoring.boards().await?)))
}

/// A board: the questions that are asked most, put together.
#[utoipa::path(get, path = "/api/admin/monitoring/boards/{board}", tag = "administration",
    security(("bearer" = []), ("cookie" = [])),
    params(("board" = String, Path, description = "`services`, `stores`, `consumers`, `sagas`, `pools`, `events`"),
        ("from" = Option<String>, Query, description = "RFC 3339; default an hour before `to`"),
        ("to" = Option<String>, Query, description = "RFC 3339; default now"),
        ("step" = Option<i64>, Query, description = "Seconds; at most 1,000 steps; default: as it suits the span")),
    responses(
    (status = 200, body = Board),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`"),
    (status = 403, body = ProblemDocument, description = "`administrators-only`, `user-blocked`"),
    (status = 404, body = ProblemDocument, description = "`not-found`, `unknown-board`"),
    (status = 422, body = ProblemDocument, description = "`invalid`, `step-unsuitable` with `multiple_of_s`, `too-much-work`")))]
async fn admin_get_board(
    State(app): State<App>,
    _: Administrator,
    Path(board): Path<String>,
    Query(Pairs(pairs)): Query<Pairs>,
) -> Result<Json<Board>, Error> {
    if !is_board_name(&board) {
        return Err(Error::Unknown("board"));
    }
    Ok(Json(app.clients.monitoring.board(&board, &pairs).await?))
}
