//! The HTTP interface.

mod accounts;
mod addresses;
mod bulk;
mod credentials;
mod points;

use axum::Json;
use axum::extract::State;
use emporium_event_bus::history::{self, HistoryPage, HistoryQuery};
use emporium_service_kit::extract::Query;
use emporium_service_kit::{Api, Problem, ServiceName};
use utoipa::OpenApi;
use utoipa_axum::routes;

use crate::passwords::Passwords;
use crate::store::Store;

/// What every handler works with.
#[derive(Clone)]
pub struct App {
    /// The service's data.
    pub store: Store,
    /// Hashes passwords.
    pub passwords: Passwords,
}

#[derive(OpenApi)]
#[openapi(info(
    title = "Emporium users",
    description = "Identity, profile, preferences, address book, loyalty points."
))]
struct Document;

const GATEWAY: &[ServiceName] = &[ServiceName::Gateway];
const READERS: &[ServiceName] = &[ServiceName::Gateway, ServiceName::Orders];
const SESSIONS: &[ServiceName] = &[ServiceName::Sessions];
const ORDERS: &[ServiceName] = &[ServiceName::Orders];
const OPERATOR: &[ServiceName] = &[ServiceName::Operator];

/// All routes, each with its callers.
pub fn api() -> Api<App> {
    Api::new(Document::openapi())
        .allow(GATEWAY, routes!(accounts::list_users))
        .allow(GATEWAY, routes!(accounts::post_user))
        .allow(READERS, routes!(accounts::get_user))
        .allow(READERS, routes!(accounts::batch_users))
        .allow(GATEWAY, routes!(accounts::patch_user))
        .allow(GATEWAY, routes!(accounts::patch_status))
        .allow(SESSIONS, routes!(credentials::verify))
        .allow(OPERATOR, routes!(credentials::put_administrator))
        .allow(READERS, routes!(addresses::list_addresses))
        .allow(GATEWAY, routes!(addresses::post_address))
        .allow(READERS, routes!(addresses::get_address))
        .allow(
            GATEWAY,
            routes!(addresses::put_address, addresses::delete_address),
        )
        .allow(GATEWAY, routes!(addresses::put_default))
        .allow(ORDERS, routes!(points::put_points))
        .allow(ORDERS, routes!(points::confirm))
        .allow(ORDERS, routes!(points::cancel))
        .allow(OPERATOR, routes!(bulk::bulk_users))
        .allow(&ServiceName::ALL, routes!(get_events))
}

/// The event history, in pages.
#[utoipa::path(get, path = "/events", params(HistoryQuery), responses((status = 200, body = HistoryPage)))]
async fn get_events(
    State(app): State<App>,
    query: Query<HistoryQuery>,
) -> Result<Json<HistoryPage>, Problem> {
    history::serve_page(&app.store.outbox, query).await
}
