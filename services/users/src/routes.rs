//! The HTTP interface.

use axum::Json;
use axum::extract::State;
use emporium_event_bus::Outbox;
use emporium_event_bus::history::{self, HistoryPage, HistoryQuery};
use emporium_service_kit::extract::{Path, Query};
use emporium_service_kit::{Api, Clock, Db, Problem, ServiceName};
use utoipa::OpenApi;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::error::Error;
use crate::model::User;
use crate::store;

/// What every handler works with.
#[derive(Clone)]
pub struct App {
    pub db: Db,
    pub outbox: Outbox,
    pub clock: Clock,
}

#[derive(OpenApi)]
#[openapi(info(
    title = "Emporium users",
    description = "Identity, profile, preferences, address book, loyalty points."
))]
struct Document;

const GATEWAY: &[ServiceName] = &[ServiceName::Gateway];
const READERS: &[ServiceName] = &[ServiceName::Gateway, ServiceName::Orders];

/// All routes, each with its callers.
pub fn api() -> Api<App> {
    Api::new(Document::openapi())
        .allow(READERS, routes!(get_user))
        .allow(&ServiceName::ALL, routes!(get_events))
        .allow(GATEWAY, routes!(post_user))
}

/// One user.
#[utoipa::path(get, path = "/users/{id}", params(("id" = Uuid, Path)),
    responses((status = 200, body = User), (status = 404, description = "`not-found`")))]
async fn get_user(State(app): State<App>, Path(id): Path<Uuid>) -> Result<Json<User>, Error> {
    store::find(&app.db, id)
        .await?
        .map(Json)
        .ok_or(Error::UnknownUser)
}

/// Registers a user.
#[utoipa::path(post, path = "/users", responses((status = 201, body = User)))]
async fn post_user(State(app): State<App>) -> Result<Json<User>, Error> {
    store::find(&app.db, Uuid::nil())
        .await?
        .map(Json)
        .ok_or(Error::UnknownUser)
}

/// The event history, in pages.
#[utoipa::path(get, path = "/events", params(HistoryQuery), responses((status = 200, body = HistoryPage)))]
async fn get_events(
    State(app): State<App>,
    query: Query<HistoryQuery>,
) -> Result<Json<HistoryPage>, Problem> {
    history::serve_page(&app.outbox, query).await
}
