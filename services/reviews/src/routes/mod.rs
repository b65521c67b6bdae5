//! The HTTP interface. Callers are trusted with who asks: the gateway has looked at the session.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use emporium_event_bus::history::{HistoryPage, HistoryQuery};
use emporium_event_bus::{ConsumerGroup, Projections};
use emporium_service_kit::extract::Query;
use emporium_service_kit::{Api, ServiceName};
use time::OffsetDateTime;
use utoipa::OpenApi;
use utoipa_axum::routes;

use crate::error::Error;
use crate::store::ReviewStore;

mod below;
mod bulk;
mod lists;
mod reviews;

/// What every handler works with.
#[derive(Clone)]
pub struct App {
    pub store: Arc<dyn ReviewStore>,
    /// Keeps summaries, marks and names.
    pub ratings: Arc<ConsumerGroup>,
}

impl App {
    /// Up to when the events of orders and users are in what is read.
    fn as_of(&self) -> Option<OffsetDateTime> {
        self.ratings.status().as_of
    }
}

#[derive(OpenApi)]
#[openapi(info(
    title = "Emporium reviews",
    description = "Ratings and texts of products, with votes, answers and moderation. All texts are plain text: whoever shows \
                   them escapes them."
))]
struct Document;

const GATEWAY: &[ServiceName] = &[ServiceName::Gateway];
const KEEPERS: &[ServiceName] = &[ServiceName::Gateway, ServiceName::Operator];
const OPERATOR: &[ServiceName] = &[ServiceName::Operator];

/// All routes, each with its callers.
pub fn api(ratings: &Arc<ConsumerGroup>) -> Api<App> {
    Api::new(Document::openapi())
        .allow(
            GATEWAY,
            routes!(reviews::post_review, lists::list_product_reviews),
        )
        .allow(GATEWAY, routes!(reviews::get_own_review))
        .allow(KEEPERS, routes!(lists::list_newest_reviews))
        .allow(GATEWAY, routes!(reviews::get_review, reviews::put_review))
        .allow(GATEWAY, routes!(below::put_vote, below::delete_vote))
        .allow(GATEWAY, routes!(below::put_answer, below::delete_answer))
        .allow(KEEPERS, routes!(below::put_moderation))
        .allow(GATEWAY, routes!(lists::list_author_reviews))
        .allow(KEEPERS, routes!(lists::list_summaries))
        .allow(OPERATOR, routes!(bulk::bulk_reviews))
        .allow(&ServiceName::ALL, routes!(get_events))
        .merge(Projections::of([ratings]).api())
}

/// The event history, in pages.
#[utoipa::path(get, path = "/events", params(HistoryQuery), responses((status = 200, body = HistoryPage)))]
async fn get_events(
    State(app): State<App>,
    Query(query): Query<HistoryQuery>,
) -> Result<Json<HistoryPage>, Error> {
    Ok(Json(app.store.history(query.after, query.limit).await?))
}
