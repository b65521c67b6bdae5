//! `/api/admin/dead-letters/{name}`: events that a consumer could not apply.

use axum::Json;
use axum::extract::State;
use emporium_service_kit::extract::{Path, Query};
use emporium_service_kit::page::encode_cursor;
use emporium_service_kit::problem::ProblemDocument;
use emporium_service_kit::{Api, Page, PageQuery};
use garde::Validate;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::routes;

use crate::administration::{self, Replays};
use crate::app::App;
use crate::clients::projections::DeadLetter;
use crate::error::Error;
use crate::identity::Administrator;

pub fn routes() -> Api<App> {
    Api::default()
        .public(routes!(admin_list_dead_letters))
        .public(routes!(admin_replay_dead_letters))
        .public(routes!(admin_replay_dead_letter))
}

/// What a consumer could not apply, oldest first; `name` is one of `GET /api/admin/projections`.
#[utoipa::path(get, path = "/api/admin/dead-letters/{name}", tag = "administration",
    security(("bearer" = []), ("cookie" = [])), params(("name" = String, Path), PageQuery), responses(
    (status = 200, body = Page<DeadLetter>),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`"),
    (status = 403, body = ProblemDocument, description = "`administrators-only`, `user-blocked`"),
    (status = 404, body = ProblemDocument, description = "`not-found`: not a consumer")))]
async fn admin_list_dead_letters(
    State(app): State<App>,
    _: Administrator,
    Path(name): Path<String>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<DeadLetter>>, Error> {
    let after: i64 = query.position()?.unwrap_or(0).max(0);
    let limit = query.limit();
    let items = app.clients.consumers.dead_letters(&name, after, limit).await?;
    // A full page may be the last one; the next is empty then.
    let full = items.len() >= limit as usize;
    let next_cursor = items.last().filter(|_| full).map(|last| encode_cursor(&last.id));
    Ok(Json(Page { items, next_cursor }))
}

/// Where replaying begins.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
struct ReplayQuery {
    /// Only dead letters with a higher id: `next_after` of the answer before. All of them without it.
    #[garde(skip)]
    after: Option<i64>,
}

/// Applies again what a consumer could not apply, the oldest hundred of them that wait. When the answer has `next_after`,
/// the same request with that as `after` goes on with the following ones.
#[utoipa::path(post, path = "/api/admin/dead-letters/{name}/replay", tag = "administration",
    security(("bearer" = []), ("cookie" = [])), params(("name" = String, Path), ReplayQuery), responses(
    (status = 200, body = Replays),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`"),
    (status = 403, body = ProblemDocument, description = "`administrators-only`, `user-blocked`"),
    (status = 404, body = ProblemDocument, description = "`not-found`: not a consumer")))]
async fn admin_replay_dead_letters(
    State(app): State<App>,
    _: Administrator,
    Path(name): Path<String>,
    Query(query): Query<ReplayQuery>,
) -> Result<Json<Replays>, Error> {
    let after = query.after.unwrap_or(0).max(0);
    administration::replay_all(&app, &name, after).await.map(Json)
}

/// Applies one again.
#[utoipa::path(post, path = "/api/admin/dead-letters/{name}/{id}/replay", tag = "administration",
    security(("bearer" = []), ("cookie" = [])),
    params(("name" = String, Path), ("id" = i64, Path)), responses(
    (status = 200, body = DeadLetter),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`"),
    (status = 403, body = ProblemDocument, description = "`administrators-only`, `user-blocked`"),
    (status = 404, body = ProblemDocument, description = "`not-found`"),
    (status = 409, body = ProblemDocument, description = "`still-rejected`, with the reason")))]
async fn admin_replay_dead_letter(
    State(app): State<App>,
    _: Administrator,
    Path((name, id)): Path<(String, i64)>,
) -> Result<Json<DeadLetter>, Error> {
    Ok(Json(app.clients.consumers.replay(&name, id).await?))
}
