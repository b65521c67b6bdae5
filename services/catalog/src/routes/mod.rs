//! The HTTP interface.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use emporium_event_bus::ConsumerGroup;
use emporium_event_bus::bus::DeadLetter;
use emporium_event_bus::consumer::{self, DeadLetterList, DeadLetterQuery};
use emporium_event_bus::history::{self, HistoryPage, HistoryQuery};
use emporium_service_kit::extract::{Path, Query};
use emporium_service_kit::{Api, Problem, ServiceName};
use utoipa::OpenApi;
use utoipa_axum::routes;

use crate::indexer::Indexer;
use crate::indexer::report::ReindexState;
use crate::search::choice::Search;
use crate::store::Store;

mod bulk;
mod lists;
mod products;
mod reservations;

/// What every handler works with.
#[derive(Clone)]
pub struct App {
    pub store: Store,
    pub search: Search,
    pub sales: Arc<ConsumerGroup>,
}

#[derive(OpenApi)]
#[openapi(info(
    title = "Emporium catalog",
    description = "Products, categories, search, stock and reservations."
))]
struct Document;

const GATEWAY: &[ServiceName] = &[ServiceName::Gateway];
const READERS: &[ServiceName] = &[ServiceName::Gateway, ServiceName::Carts, ServiceName::Orders];
const ORDERS: &[ServiceName] = &[ServiceName::Orders];
const OPERATOR: &[ServiceName] = &[ServiceName::Operator];
const KEEPERS: &[ServiceName] = &[ServiceName::Gateway, ServiceName::Operator];

/// All routes, each with its callers.
pub fn api() -> Api<App> {
    Api::new(Document::openapi())
        .allow(KEEPERS, routes!(lists::list_products))
        .allow(GATEWAY, routes!(products::post_product))
        .allow(
            GATEWAY,
            routes!(
                products::get_product,
                products::patch_product,
                products::delete_product
            ),
        )
        .allow(READERS, routes!(products::batch_products))
        .allow(GATEWAY, routes!(products::post_stock))
        .allow(GATEWAY, routes!(lists::suggest))
        .allow(GATEWAY, routes!(lists::list_categories))
        .allow(
            ORDERS,
            routes!(reservations::put_reservation, reservations::delete_reservation),
        )
        .allow(ORDERS, routes!(reservations::extend_reservation))
        .allow(ORDERS, routes!(reservations::commit_reservation))
        .allow(OPERATOR, routes!(bulk::load_products))
        .allow(OPERATOR, routes!(bulk::load_adjustments))
        .allow(OPERATOR, routes!(get_reindex, post_reindex))
        .allow(&ServiceName::ALL, routes!(get_events))
        .allow(KEEPERS, routes!(post_rebuild))
        .allow(KEEPERS, routes!(get_dead_letters))
        .allow(KEEPERS, routes!(replay_dead_letter))
}

/// The event history, in pages.
#[utoipa::path(get, path = "/events", params(HistoryQuery), responses((status = 200, body = HistoryPage)))]
async fn get_events(
    State(app): State<App>,
    query: Query<HistoryQuery>,
) -> Result<Json<HistoryPage>, Problem> {
    history::serve_page(&app.store.outbox, query).await
}

/// Events of other services that could not be applied.
#[utoipa::path(get, path = "/dead-letters", params(DeadLetterQuery), responses((status = 200, body = DeadLetterList)))]
async fn get_dead_letters(
    State(app): State<App>,
    query: Query<DeadLetterQuery>,
) -> Result<Json<DeadLetterList>, Problem> {
    consumer::list_dead_letters(&app.sales, query).await
}

/// Applies one of them again.
#[utoipa::path(post, path = "/dead-letters/{id}/replay", params(("id" = i64, Path)),
    responses((status = 200, body = DeadLetter), (status = 404, description = "`not-found`"),
              (status = 409, description = "`still-rejected`")))]
async fn replay_dead_letter(
    State(app): State<App>,
    Path(id): Path<i64>,
) -> Result<Json<DeadLetter>, Problem> {
    consumer::replay_dead_letter(&app.sales, id).await
}

/// Counts popularity anew, from the history of orders.
#[utoipa::path(post, path = "/rebuild", responses((status = 202, description = "A running member does it."), (status = 409, description = "`not-rebuildable`")))]
async fn post_rebuild(State(app): State<App>) -> Result<StatusCode, Problem> {
    consumer::rebuild_projection(&app.sales).await
}

/// How the search index outside the database stands, and how far its building is.
#[utoipa::path(get, path = "/search/reindex", responses((status = 200, body = ReindexState),
    (status = 409, description = "`not-rebuildable`: search is in the service's own database")))]
async fn get_reindex(State(app): State<App>) -> Result<Json<ReindexState>, Problem> {
    let state = indexer(&app)?.state().await?;
    Ok(Json(state))
}

/// Builds the search index anew from the products, while the old one serves.
#[utoipa::path(post, path = "/search/reindex", responses((status = 202, description = "A running instance does it.", body = ReindexState),
    (status = 409, description = "`not-rebuildable`: search is in the service's own database")))]
async fn post_reindex(State(app): State<App>) -> Result<(StatusCode, Json<ReindexState>), Problem> {
    let state = indexer(&app)?.want().await?;
    Ok((StatusCode::ACCEPTED, Json(state)))
}

fn indexer(app: &App) -> Result<Indexer, Problem> {
    app.search.indexer().ok_or_else(|| {
        Problem::conflict(
            "not-rebuildable",
            "Search is in the service's own database, where it changes with the products.",
        )
    })
}
