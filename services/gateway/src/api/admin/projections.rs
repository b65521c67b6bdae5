//! `/api/admin/projections`: what services keep of other services' events, how far each is behind, and what can be done.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use emporium_service_kit::Api;
use emporium_service_kit::extract::Path;
use emporium_service_kit::problem::ProblemDocument;
use utoipa_axum::routes;

use crate::administration::{self, ProjectionList, ProjectionView};
use crate::app::App;
use crate::clients::projections::Act;
use crate::error::Error;
use crate::identity::Administrator;

pub fn routes() -> Api<App> {
    Api::default()
        .public(routes!(admin_list_projections))
        .public(routes!(admin_get_projection))
        .public(routes!(admin_pause_projection))
        .public(routes!(admin_resume_projection))
        .public(routes!(admin_rebuild_projection))
}

/// Every consumer of events: what it does, its place and the bus's end, how far it is behind in events and milliseconds, as of
/// when its answers are, its dead letters, the rebuild under way and what came of the last one. A service that is away is named
/// in `degraded`.
#[utoipa::path(get, path = "/api/admin/projections", tag = "administration",
    security(("bearer" = []), ("cookie" = [])), responses(
    (status = 200, body = ProjectionList),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`"),
    (status = 403, body = ProblemDocument, description = "`administrators-only`, `user-blocked`")))]
async fn admin_list_projections(State(app): State<App>, _: Administrator) -> Json<ProjectionList> {
    Json(administration::projections(&app).await)
}

/// One of them.
#[utoipa::path(get, path = "/api/admin/projections/{name}", tag = "administration",
    security(("bearer" = []), ("cookie" = [])), params(("name" = String, Path)), responses(
    (status = 200, body = ProjectionView),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`"),
    (status = 403, body = ProblemDocument, description = "`administrators-only`, `user-blocked`"),
    (status = 404, body = ProblemDocument, description = "`not-found`")))]
async fn admin_get_projection(
    State(app): State<App>,
    _: Administrator,
    Path(name): Path<String>,
) -> Result<Json<ProjectionView>, Error> {
    administration::projection(&app, &name).await.map(Json)
}

/// Pauses a consumer in all processes: nothing more is delivered to it until it is resumed, after a restart either. Its events
/// wait on the bus.
#[utoipa::path(post, path = "/api/admin/projections/{name}/pause", tag = "administration",
    security(("bearer" = []), ("cookie" = [])), params(("name" = String, Path)), responses(
    (status = 200, body = ProjectionView),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`"),
    (status = 403, body = ProblemDocument, description = "`administrators-only`, `user-blocked`"),
    (status = 404, body = ProblemDocument, description = "`not-found`")))]
async fn admin_pause_projection(
    State(app): State<App>,
    _: Administrator,
    Path(name): Path<String>,
) -> Result<Json<ProjectionView>, Error> {
    administration::act(&app, &name, Act::Pause).await.map(Json)
}

/// Resumes a paused consumer, which then catches up.
#[utoipa::path(post, path = "/api/admin/projections/{name}/resume", tag = "administration",
    security(("bearer" = []), ("cookie" = [])), params(("name" = String, Path)), responses(
    (status = 200, body = ProjectionView),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`"),
    (status = 403, body = ProblemDocument, description = "`administrators-only`, `user-blocked`"),
    (status = 404, body = ProblemDocument, description = "`not-found`")))]
async fn admin_resume_projection(
    State(app): State<App>,
    _: Administrator,
    Path(name): Path<String>,
) -> Result<Json<ProjectionView>, Error> {
    administration::act(&app, &name, Act::Resume).await.map(Json)
}

/// Asks for a rebuild from the owners' histories, beside the live one; one that is under way goes on. `rebuild.id` becomes
/// `outcome.id` at its end, unless the bus asks for a rebuild meanwhile, whose id takes its place.
#[utoipa::path(post, path = "/api/admin/projections/{name}/rebuild", tag = "administration",
    security(("bearer" = []), ("cookie" = [])), params(("name" = String, Path)), responses(
    (status = 202, body = ProjectionView),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`"),
    (status = 403, body = ProblemDocument, description = "`administrators-only`, `user-blocked`"),
    (status = 404, body = ProblemDocument, description = "`not-found`"),
    (status = 409, body = ProblemDocument, description = "`not-rebuildable`")))]
async fn admin_rebuild_projection(
    State(app): State<App>,
    _: Administrator,
    Path(name): Path<String>,
) -> Result<(StatusCode, Json<ProjectionView>), Error> {
    let asked = administration::act(&app, &name, Act::Rebuild).await?;
    Ok((StatusCode::ACCEPTED, Json(asked)))
}
