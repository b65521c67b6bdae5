//! `/api/cart`: the asker's cart.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use emporium_service_kit::Api;
use emporium_service_kit::extract::{Body, Path};
use emporium_service_kit::problem::ProblemDocument;
use garde::Validate;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::activity::Did;
use crate::app::App;
use crate::cart::{self, Opened};
use crate::compose::CartView;
use crate::error::Error;
use crate::identity::Shopper;

/// The most of one product in a cart.
const QUANTITY_MAX: i64 = 999;

pub fn routes() -> Api<App> {
    Api::default()
        .public(routes!(get_cart))
        .public(routes!(set_cart_quantity, remove_from_cart))
}

/// How many.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Quantity {
    /// 0 to 999; 0 removes the product.
    #[garde(range(min = 0, max = QUANTITY_MAX))]
    #[schema(minimum = 0, maximum = 999)]
    quantity: i64,
}

type Shown = (HeaderMap, Option<Did>, Json<CartView>);
type Answer = Result<Shown, Error>;

fn answer(app: &App, opened: Opened) -> Shown {
    let mut headers = HeaderMap::new();
    opened.cookie.apply(&app.config, &mut headers);
    (headers, opened.did, Json(opened.view))
}

/// The cart with names and prices of now. Without the catalog it still answers, with products and quantities only.
#[utoipa::path(get, path = "/api/cart", tag = "cart",
    security((), ("bearer" = []), ("cookie" = [])),
    params(("X-Cart-Id" = Option<String>, Header, description = "The anonymous cart, for clients without cookies.")),
    responses(
    (status = 200, body = CartView),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`: a session was presented that is none"),
    (status = 403, body = ProblemDocument, description = "`user-blocked`")))]
async fn get_cart(State(app): State<App>, shopper: Shopper) -> Answer {
    let opened = cart::open(&app, &shopper).await?;
    Ok(answer(&app, opened))
}

/// Sets how many of a product are in the cart. Somebody without a cart gets one: its id comes back as the cookie `cart`
/// and the header `X-Cart-Id`.
#[utoipa::path(put, path = "/api/cart/items/{product_id}", tag = "cart", request_body = Quantity,
    security((), ("bearer" = []), ("cookie" = [])),
    params(("product_id" = Uuid, Path),
        ("X-Cart-Id" = Option<String>, Header, description = "The anonymous cart, for clients without cookies.")),
    responses(
    (status = 200, body = CartView),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`: a session was presented that is none"),
    (status = 403, body = ProblemDocument, description = "`user-blocked`"),
    (status = 404, body = ProblemDocument, description = "`not-found`: no such product"),
    (status = 409, body = ProblemDocument, description = "`product-archived`"),
    (status = 422, body = ProblemDocument, description = "`invalid`")))]
async fn set_cart_quantity(
    State(app): State<App>,
    shopper: Shopper,
    Path(product): Path<Uuid>,
    Body(body): Body<Quantity>,
) -> Answer {
    let opened = cart::set_quantity(&app, &shopper, product, body.quantity).await?;
    Ok(answer(&app, opened))
}

/// Removes a product from the cart; repeating changes nothing.
#[utoipa::path(delete, path = "/api/cart/items/{product_id}", tag = "cart",
    security((), ("bearer" = []), ("cookie" = [])),
    params(("product_id" = Uuid, Path),
        ("X-Cart-Id" = Option<String>, Header, description = "The anonymous cart, for clients without cookies.")),
    responses(
    (status = 200, body = CartView),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`: a session was presented that is none"),
    (status = 403, body = ProblemDocument, description = "`user-blocked`")))]
async fn remove_from_cart(State(app): State<App>, shopper: Shopper, Path(product): Path<Uuid>) -> Answer {
    let opened = cart::remove(&app, &shopper, product).await?;
    Ok(answer(&app, opened))
}
