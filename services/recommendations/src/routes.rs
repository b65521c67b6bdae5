//! The HTTP interface.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use emporium_event_bus::ConsumerGroup;
use emporium_service_kit::extract::{Body, Path, Query};
use emporium_service_kit::{Api, Problem, ServiceName};
use garde::Validate;
use serde::Deserialize;
use time::OffsetDateTime;
use utoipa::{IntoParams, OpenApi, ToSchema};
use utoipa_axum::routes;
use uuid::Uuid;

use crate::model::{CART_MAX, LIMIT_MAX, Scope, Shelf};
use crate::shelves::{Kind, Shelves};
use crate::store::{Made, RecommendationStore};

/// Length of a shelf when nothing is asked for.
const LIMIT_USUAL: u32 = 10;

/// What every handler works with.
#[derive(Clone)]
pub struct App {
    pub store: Arc<dyn RecommendationStore>,
    pub shelves: Arc<Shelves>,
    pub group: Arc<ConsumerGroup>,
}

#[derive(OpenApi)]
#[openapi(info(
    title = "Emporium recommendations",
    description = "What goods are bought with, who may want what, what many buy: made from orders' and the catalog's events."
))]
struct Document;

const READERS: &[ServiceName] = &[ServiceName::Gateway, ServiceName::Operator];

/// All routes, each with its callers.
pub fn api() -> Api<App> {
    Api::new(Document::openapi())
        .allow(READERS, routes!(get_also_bought))
        .allow(READERS, routes!(get_bought_together))
        .allow(READERS, routes!(post_bought_together))
        .allow(READERS, routes!(get_for_you))
        .allow(READERS, routes!(get_buy_again))
        .allow(READERS, routes!(get_popular))
}

/// `?limit=` of a shelf.
#[derive(Debug, Clone, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
struct ShelfQuery {
    /// How many, 1 to 50; 10 when absent.
    #[garde(range(min = 1, max = LIMIT_MAX))]
    #[param(minimum = 1, maximum = 50)]
    limit: Option<u32>,
}

/// `?limit=&scope=` of a customer's shelf.
#[derive(Debug, Clone, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
struct ForYouQuery {
    /// How many, 1 to 50; 10 when absent.
    #[garde(range(min = 1, max = LIMIT_MAX))]
    #[param(minimum = 1, maximum = 50)]
    limit: Option<u32>,
    /// `new` when absent.
    #[serde(default)]
    #[garde(skip)]
    #[param(inline)]
    scope: Scope,
}

/// A cart.
#[derive(Debug, Clone, Deserialize, Validate, ToSchema)]
struct Cart {
    /// Its products, 1 to 100. Of more than 50 different ones the first 50 are looked for.
    #[garde(length(min = 1, max = CART_MAX))]
    #[schema(min_items = 1, max_items = 100)]
    product_ids: Vec<Uuid>,
    /// How many suggestions, 1 to 50; 10 when absent.
    #[garde(range(min = 1, max = LIMIT_MAX))]
    #[schema(minimum = 1, maximum = 50)]
    limit: Option<u32>,
}

fn length(limit: Option<u32>) -> usize {
    limit.unwrap_or(LIMIT_USUAL) as usize
}

impl App {
    /// The moment that answers are of. It is taken before they are made, so they may have more, and never less.
    fn as_of(&self) -> Option<OffsetDateTime> {
        self.group.status().as_of
    }

    async fn shelf(&self, kind: Kind, limit: Option<u32>) -> Result<Json<Shelf>, Problem> {
        let shelf = self.shelves.get(kind, length(limit), || self.as_of()).await?;
        Ok(Json(shelf))
    }
}

fn shelf(made: Made, as_of: Option<OffsetDateTime>) -> Json<Shelf> {
    Json(Shelf {
        items: made.items,
        as_of,
    })
}

/// Customers who bought this product also bought these, in the same orders. Empty for a product that nobody bought.
#[utoipa::path(get, path = "/products/{id}/also-bought", params(("id" = Uuid, Path), ShelfQuery),
    responses((status = 200, body = Shelf), (status = 422, description = "`invalid`: a bad limit")))]
async fn get_also_bought(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    Query(query): Query<ShelfQuery>,
) -> Result<Json<Shelf>, Problem> {
    app.shelf(Kind::AlsoBought(id), query.limit).await
}

/// What was bought together with this product more often than once.
#[utoipa::path(get, path = "/products/{id}/bought-together", params(("id" = Uuid, Path), ShelfQuery),
    responses((status = 200, body = Shelf), (status = 422, description = "`invalid`: a bad limit")))]
async fn get_bought_together(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    Query(query): Query<ShelfQuery>,
) -> Result<Json<Shelf>, Problem> {
    app.shelf(Kind::BoughtTogether(id), query.limit).await
}

/// What was bought together with the products of a cart more often than once; none of the cart's own.
#[utoipa::path(post, path = "/bought-together", request_body = Cart,
    responses((status = 200, body = Shelf), (status = 422, description = "`invalid`: a bad limit, no products or too many")))]
async fn post_bought_together(
    State(app): State<App>,
    Body(cart): Body<Cart>,
) -> Result<Json<Shelf>, Problem> {
    let as_of = app.as_of();
    let made = app
        .store
        .bought_together(&cart.product_ids, length(cart.limit))
        .await?;
    Ok(shelf(made, as_of))
}

/// What the customer may want, each with the reason; for somebody who bought nothing, what is popular.
#[utoipa::path(get, path = "/customers/{id}/for-you", params(("id" = Uuid, Path), ForYouQuery),
    responses((status = 200, body = Shelf), (status = 422, description = "`invalid`: a bad limit")))]
async fn get_for_you(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    Query(query): Query<ForYouQuery>,
) -> Result<Json<Shelf>, Problem> {
    app.shelf(Kind::ForYou(id, query.scope), query.limit).await
}

/// What the customer may want again: bought before, neither in the last week of orders nor given back.
#[utoipa::path(get, path = "/customers/{id}/buy-again", params(("id" = Uuid, Path), ShelfQuery),
    responses((status = 200, body = Shelf), (status = 422, description = "`invalid`: a bad limit")))]
async fn get_buy_again(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    Query(query): Query<ShelfQuery>,
) -> Result<Json<Shelf>, Problem> {
    let as_of = app.as_of();
    let made = app.store.buy_again(id, length(query.limit)).await?;
    Ok(shelf(made, as_of))
}

/// What many buy these days.
#[utoipa::path(get, path = "/popular", params(ShelfQuery),
    responses((status = 200, body = Shelf), (status = 422, description = "`invalid`: a bad limit")))]
async fn get_popular(
    State(app): State<App>,
    Query(query): Query<ShelfQuery>,
) -> Result<Json<Shelf>, Problem> {
    app.shelf(Kind::Popular, query.limit).await
}
