//! The HTTP interface.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use emporium_service_kit::extract::{Body, Path};
use emporium_service_kit::problem::ProblemDocument;
use emporium_service_kit::{Api, Clock, ServiceName};
use utoipa::OpenApi;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::config::Terms;
use crate::error::Error;
use crate::model::{Cart, CartKey, CartKind, Lines, MergeRequest, PurchaseRequest, SetQuantity, StoredCart};
use crate::store::{CartStore, Moment, Purchase, SetLine};

/// What every handler works with.
#[derive(Clone)]
pub struct App {
    pub store: Arc<dyn CartStore>,
    pub clock: Clock,
    pub terms: Terms,
}

impl App {
    fn moment(&self, kind: CartKind) -> Moment {
        let now = self.clock.now();
        Moment {
            now,
            expires_at: now + self.terms.ttl(kind),
        }
    }
}

/// The cart as it is shown; one that does not exist is empty.
fn shown(key: CartKey, stored: Option<StoredCart>, at: Moment) -> Cart {
    let nothing = || StoredCart {
        revision: 0,
        lines: Lines::new(),
        updated_at: at.now,
        expires_at: at.expires_at,
    };
    Cart::of(key, stored.unwrap_or_else(nothing))
}

#[derive(OpenApi)]
#[openapi(info(
    title = "Emporium carts",
    description = "Anonymous and signed-in shopping carts, merged at sign-in, expiring by themselves."
))]
struct Document;

const GATEWAY: &[ServiceName] = &[ServiceName::Gateway];
const READERS: &[ServiceName] = &[ServiceName::Gateway, ServiceName::Orders];
const ORDERS: &[ServiceName] = &[ServiceName::Orders];

/// All routes, each with its callers.
pub fn api() -> Api<App> {
    Api::new(Document::openapi())
        .allow(READERS, routes!(get_cart))
        .allow(GATEWAY, routes!(delete_cart))
        .allow(GATEWAY, routes!(put_item, delete_item))
        .allow(GATEWAY, routes!(post_merge))
        .allow(ORDERS, routes!(post_purchase))
}

/// A cart; empty with revision 0 when nobody wrote to it or it expired.
#[utoipa::path(get, path = "/carts/{kind}/{id}",
    params(("kind" = CartKind, Path), ("id" = Uuid, Path)),
    responses((status = 200, body = Cart)))]
async fn get_cart(
    State(app): State<App>,
    Path((kind, id)): Path<(CartKind, Uuid)>,
) -> Result<Json<Cart>, Error> {
    let (key, at) = (CartKey { kind, id }, app.moment(kind));
    let stored = app.store.find(key, at.now).await?;
    Ok(Json(shown(key, stored, at)))
}

/// Takes everything out of a cart.
#[utoipa::path(delete, path = "/carts/{kind}/{id}",
    params(("kind" = CartKind, Path), ("id" = Uuid, Path)),
    responses((status = 204)))]
async fn delete_cart(
    State(app): State<App>,
    Path((kind, id)): Path<(CartKind, Uuid)>,
) -> Result<StatusCode, Error> {
    app.store.clear(CartKey { kind, id }, app.moment(kind)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sets the quantity of a product; 0 takes it out.
#[utoipa::path(put, path = "/carts/{kind}/{id}/items/{product_id}",
    params(("kind" = CartKind, Path), ("id" = Uuid, Path), ("product_id" = Uuid, Path)),
    request_body = SetQuantity,
    responses((status = 200, body = Cart), (status = 400, body = ProblemDocument, description = "`bad-json`"),
        (status = 422, body = ProblemDocument, description = "`invalid` outside 0 to 999, `cart-full` at 100 lines")))]
async fn put_item(
    State(app): State<App>,
    Path((kind, id, product_id)): Path<(CartKind, Uuid, Uuid)>,
    Body(body): Body<SetQuantity>,
) -> Result<Json<Cart>, Error> {
    // Validated to 0..=999.
    let quantity = u16::try_from(body.quantity).unwrap_or(0);
    if quantity == 0 {
        return remove(&app, CartKey { kind, id }, product_id).await;
    }
    let (key, at) = (CartKey { kind, id }, app.moment(kind));
    match app.store.set_line(key, product_id, quantity, at).await? {
        SetLine::Done(stored) => Ok(Json(Cart::of(key, stored))),
        SetLine::Full => Err(Error::CartFull),
    }
}

/// Takes a product out; changes nothing when it is not there.
#[utoipa::path(delete, path = "/carts/{kind}/{id}/items/{product_id}",
    params(("kind" = CartKind, Path), ("id" = Uuid, Path), ("product_id" = Uuid, Path)),
    responses((status = 200, body = Cart)))]
async fn delete_item(
    State(app): State<App>,
    Path((kind, id, product_id)): Path<(CartKind, Uuid, Uuid)>,
) -> Result<Json<Cart>, Error> {
    remove(&app, CartKey { kind, id }, product_id).await
}

async fn remove(app: &App, key: CartKey, product_id: Uuid) -> Result<Json<Cart>, Error> {
    let at = app.moment(key.kind);
    let stored = app.store.remove_line(key, product_id, at).await?;
    Ok(Json(shown(key, stored, at)))
}

/// Moves a visitor's cart into a customer's. Quantities add up to at most 999; at 100 lines the customer's own stay and
/// the visitor's newest come in; what is left out is in `dropped`. Repeating it changes nothing.
#[utoipa::path(post, path = "/carts/user/{id}/merge", params(("id" = Uuid, Path)), request_body = MergeRequest,
    responses((status = 200, body = Cart), (status = 400, body = ProblemDocument, description = "`bad-json`")))]
async fn post_merge(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    Body(body): Body<MergeRequest>,
) -> Result<Json<Cart>, Error> {
    let at = app.moment(CartKind::User);
    let merged = app.store.merge(id, body.anonymous_id, at).await?;
    let cart = shown(CartKey::user(id), merged.cart, at);
    Ok(Json(Cart {
        dropped: merged.dropped,
        ..cart
    }))
}

/// Takes bought units off a customer's cart, once a saga; what was added since stays.
#[utoipa::path(post, path = "/carts/user/{id}/purchases/{saga_id}",
    params(("id" = Uuid, Path), ("saga_id" = Uuid, Path)), request_body = PurchaseRequest,
    responses((status = 200, body = Cart), (status = 400, body = ProblemDocument, description = "`bad-json`"),
        (status = 422, body = ProblemDocument, description = "`invalid`")))]
async fn post_purchase(
    State(app): State<App>,
    Path((user_id, saga_id)): Path<(Uuid, Uuid)>,
    Body(body): Body<PurchaseRequest>,
) -> Result<Json<Cart>, Error> {
    let at = app.moment(CartKind::User);
    let purchase = Purchase {
        user_id,
        saga_id,
        quantities: body.quantities(),
        remembered_until: at.now + app.terms.purchase_memory,
    };
    let stored = app.store.take_purchase(&purchase, at).await?;
    Ok(Json(shown(CartKey::user(user_id), stored, at)))
}
