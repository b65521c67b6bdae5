//! `/api/orders`: checkout and order history.

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, StatusCode, header};
use emporium_service_kit::extract::{Body, Path, Query, idempotency_key};
use emporium_service_kit::page::LIMIT_MAX;
use emporium_service_kit::problem::ProblemDocument;
use emporium_service_kit::{Api, Money, Page, validate};
use garde::Validate;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;
use uuid::Uuid;

use super::query::blank_is_absent;
use crate::activity::Did;
use crate::app::App;
use crate::clients::orders::{Checkout, Order, OrderFilter, OrderStatus};
use crate::error::Error;
use crate::identity::SignedIn;

pub fn routes() -> Api<App> {
    Api::default()
        .public(routes!(place_order, list_orders))
        .public(routes!(get_order))
}

/// A checkout of what is in the cart. Prices are the catalog's; nobody sends any.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOrder {
    /// Where it goes: an entry of one's address book.
    #[garde(skip)]
    address_id: Uuid,
    /// Whom to bill, when that is another entry.
    #[garde(skip)]
    billing_address_id: Option<Uuid>,
    /// The payment provider's token; `tok_ok` for tests.
    #[garde(length(chars, min = 1, max = 255), custom(validate::filled_line))]
    payment_token: String,
    /// The total one agreed to: when prices moved since, nothing is ordered.
    #[garde(skip)]
    expected_total: Option<Money>,
}

/// The `Idempotency-Key` of a checkout; 400 without one.
pub struct Key(String);

impl<S: Send + Sync> FromRequestParts<S> for Key {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        idempotency_key(&parts.headers)?
            .map(Self)
            .ok_or(Error::IdempotencyKeyRequired)
    }
}

/// Which orders, and which page of them.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OrderQuery {
    /// Only those of this status.
    #[serde(default, deserialize_with = "blank_is_absent")]
    #[garde(skip)]
    status: Option<OrderStatus>,
    /// Where to go on, from the page before.
    #[serde(default, deserialize_with = "blank_is_absent")]
    #[garde(inner(length(max = 1024)), custom(validate::line_opt))]
    cursor: Option<String>,
    /// How many orders, 1 to 100; 20 when absent.
    #[serde(default, deserialize_with = "blank_is_absent")]
    #[garde(inner(range(min = 1, max = LIMIT_MAX)))]
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

impl From<OrderQuery> for OrderFilter {
    fn from(query: OrderQuery) -> Self {
        Self {
            status: query.status,
            cursor: query.cursor,
            limit: query.limit,
        }
    }
}

/// Buys what is in the cart. Repeating a request with its key gives the first answer again, status and body.
#[utoipa::path(post, path = "/api/orders", tag = "orders", request_body = NewOrder,
    security(("bearer" = []), ("cookie" = [])),
    params(("Idempotency-Key" = String, Header, description = "1 to 255 visible ASCII characters; a new one for each checkout.")),
    responses(
    (status = 201, body = Order, description = "The checkout ended: `confirmed` or `cancelled`.",
        headers(("Location" = String))),
    (status = 202, body = Order, description = "The checkout goes on; ask `Location` how it ends.",
        headers(("Location" = String))),
    (status = 400, body = ProblemDocument, description = "`idempotency-key-required`, `bad-idempotency-key`, `bad-json`"),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`"),
    (status = 403, body = ProblemDocument, description = "`user-blocked`"),
    (status = 404, body = ProblemDocument, description = "`not-found`: no such address"),
    (status = 409, body = ProblemDocument,
        description = "`prices-moved`, `request-in-progress`, `checkout-in-progress`"),
    (status = 422, body = ProblemDocument, description = "`cart-empty`, `idempotency-key-reused`, `invalid`")))]
async fn place_order(
    State(app): State<App>,
    SignedIn(me): SignedIn,
    Key(key): Key,
    Body(body): Body<NewOrder>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Did, Json<Order>), Error> {
    let checkout = Checkout {
        address_id: body.address_id,
        billing_address_id: body.billing_address_id,
        payment_token: body.payment_token,
        expected_total: body.expected_total,
    };
    let answer = app.clients.orders.place(me.user_id, &checkout, &key).await?;
    let location = format!("/api/orders/{}", answer.body.id);
    let did = Did::checkout().by(Some(&me));
    Ok((
        answer.status,
        [(header::LOCATION, location)],
        did,
        Json(answer.body),
    ))
}

/// One's own orders, newest first.
#[utoipa::path(get, path = "/api/orders", tag = "orders", security(("bearer" = []), ("cookie" = [])),
    params(OrderQuery), responses(
    (status = 200, body = Page<Order>),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`")))]
async fn list_orders(
    State(app): State<App>,
    SignedIn(me): SignedIn,
    Query(query): Query<OrderQuery>,
) -> Result<Json<Page<Order>>, Error> {
    Ok(Json(
        app.clients.orders.of_customer(me.user_id, &query.into()).await?,
    ))
}

/// One of one's own orders, with its timeline.
#[utoipa::path(get, path = "/api/orders/{id}", tag = "orders", security(("bearer" = []), ("cookie" = [])),
    params(("id" = Uuid, Path)), responses(
    (status = 200, body = Order),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`"),
    (status = 404, body = ProblemDocument, description = "`not-found`")))]
async fn get_order(
    State(app): State<App>,
    SignedIn(me): SignedIn,
    Path(id): Path<Uuid>,
) -> Result<Json<Order>, Error> {
    let order = app.clients.orders.order_of_customer(me.user_id, id).await?;
    order.map(Json).ok_or(Error::Unknown("order"))
}
