//! The HTTP interface.

use std::sync::Arc;

use axum::Json;
use axum::body::Body as RawBody;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use emporium_event_bus::Outbox;
use emporium_event_bus::bus::DeadLetter;
use emporium_event_bus::consumer::{self, ConsumerGroup, DeadLetterList, DeadLetterQuery};
use emporium_event_bus::history::{self, HistoryPage, HistoryQuery};
use emporium_service_kit::bulk::BulkSummary;
use emporium_service_kit::days::DaysQuery;
use emporium_service_kit::extract::{Body, Path, Query, idempotency_key};
use emporium_service_kit::{Api, Clock, Db, Page, PageQuery, Problem, ServiceName};
use garde::Validate;
use serde::Deserialize;
use utoipa::{IntoParams, OpenApi};
use utoipa_axum::routes;
use uuid::Uuid;

use crate::bulk;
use crate::checkout::{Checkout, FirstAnswer};
use crate::error::Error;
use crate::model::{CheckoutRequest, CustomerCopy, Order, Status};
use crate::peers::Peers;
use crate::store::totals::{self, Totals};
use crate::store::{self, Filter, Position, customers};

/// What every handler works with.
#[derive(Clone)]
pub struct App {
    pub db: Db,
    pub outbox: Outbox,
    pub clock: Clock,
    pub peers: Peers,
    pub checkout: Checkout,
    pub group: Arc<ConsumerGroup>,
}

#[derive(OpenApi)]
#[openapi(info(
    title = "Emporium orders",
    description = "Orders, order history, address and price snapshots, and the checkout saga."
))]
struct Document;

const GATEWAY: &[ServiceName] = &[ServiceName::Gateway];
const OPERATOR: &[ServiceName] = &[ServiceName::Operator];
const CARETAKERS: &[ServiceName] = &[ServiceName::Gateway, ServiceName::Operator];

/// All routes, each with its callers.
pub fn api() -> Api<App> {
    Api::new(Document::openapi())
        .allow(GATEWAY, routes!(post_order, list_customer_orders))
        .allow(GATEWAY, routes!(get_customer_order))
        .allow(GATEWAY, routes!(list_orders))
        .allow(GATEWAY, routes!(get_order))
        .allow(GATEWAY, routes!(get_customer_copy))
        .allow(OPERATOR, routes!(post_bulk))
        .allow(OPERATOR, routes!(get_totals))
        .allow(&ServiceName::ALL, routes!(get_events))
        .allow(CARETAKERS, routes!(get_dead_letters))
        .allow(CARETAKERS, routes!(post_rebuild))
        .allow(CARETAKERS, routes!(post_replay))
}

/// Places an order: the customer's cart as it is, at the prices of now. Answers when the order ended, or with 202 when it
/// takes longer. The `Idempotency-Key` belongs to the customer and lasts 24 hours; the first answer is replayed.
#[utoipa::path(post, path = "/customers/{customer_id}/orders",
    params(("customer_id" = Uuid, Path), ("Idempotency-Key" = String, Header, description = "1 to 255 visible ASCII characters")),
    request_body = CheckoutRequest,
    responses(
        (status = 201, body = Order, description = "it ended: `confirmed` or `cancelled`"),
        (status = 202, body = Order, description = "it runs, or waits for a payment; `Location` says where to look"),
        (status = 400, description = "`idempotency-key-missing`, `bad-idempotency-key`, `bad-json`"),
        (status = 403, description = "`user-blocked`"),
        (status = 404, description = "`not-found`: customer or address"),
        (status = 409, description = "`prices-moved` with `total`, `product-unavailable` with `unavailable`, `request-in-progress`, `checkout-in-progress`"),
        (status = 422, description = "`invalid`, `cart-empty`, `total-not-acceptable`, `idempotency-key-reused`"),
        (status = 503, description = "a service that is needed does not answer; nothing was ordered")))]
async fn post_order(
    State(app): State<App>,
    Path(customer_id): Path<Uuid>,
    headers: HeaderMap,
    Body(request): Body<CheckoutRequest>,
) -> Result<FirstAnswer, Problem> {
    let key = idempotency_key(&headers)?.ok_or(Error::KeyMissing)?;
    Ok(app.checkout.answer(customer_id, key, request).await?)
}

/// `?status=&cursor=&limit=` of the order lists.
#[derive(Debug, Clone, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
struct OrderQuery {
    /// Only orders that have come this far.
    #[garde(skip)]
    status: Option<Status>,
    /// Where to go on, from the page before.
    #[garde(length(max = 1024))]
    cursor: Option<String>,
    /// How many items, 1 to 100; 20 when absent.
    #[garde(range(min = 1, max = 100))]
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

async fn page(app: &App, customer_id: Option<Uuid>, query: OrderQuery) -> Result<Json<Page<Order>>, Problem> {
    let paging = PageQuery {
        cursor: query.cursor,
        limit: query.limit,
    };
    let after: Option<Position> = paging.position()?;
    let filter = Filter {
        customer_id,
        status: query.status,
    };
    let surplus = i64::from(paging.limit()) + 1;
    let orders = store::list(&app.db, filter, after, surplus)
        .await
        .map_err(Error::from)?;
    Ok(Json(Page::from_surplus(orders, paging.limit(), store::position)))
}

/// A customer's orders, newest first.
#[utoipa::path(get, path = "/customers/{customer_id}/orders", params(("customer_id" = Uuid, Path), OrderQuery),
    responses((status = 200, body = Page<Order>), (status = 400, description = "`bad-cursor`, `bad-query`")))]
async fn list_customer_orders(
    State(app): State<App>,
    Path(customer_id): Path<Uuid>,
    Query(query): Query<OrderQuery>,
) -> Result<Json<Page<Order>>, Problem> {
    page(&app, Some(customer_id), query).await
}

/// One of a customer's orders, with its timeline.
#[utoipa::path(get, path = "/customers/{customer_id}/orders/{id}", params(("customer_id" = Uuid, Path), ("id" = Uuid, Path)),
    responses((status = 200, body = Order), (status = 404, description = "`not-found`: unknown, or another customer's")))]
async fn get_customer_order(
    State(app): State<App>,
    Path((customer_id, id)): Path<(Uuid, Uuid)>,
) -> Result<Json<Order>, Error> {
    store::find(&app.db, id)
        .await?
        .filter(|order| order.customer_id == Some(customer_id))
        .map(Json)
        .ok_or(Error::UnknownOrder)
}

/// Everybody's orders, newest first: for administrators.
#[utoipa::path(get, path = "/orders", params(OrderQuery),
    responses((status = 200, body = Page<Order>), (status = 400, description = "`bad-cursor`, `bad-query`")))]
async fn list_orders(
    State(app): State<App>,
    Query(query): Query<OrderQuery>,
) -> Result<Json<Page<Order>>, Problem> {
    page(&app, None, query).await
}

/// One order, with its timeline: for administrators.
#[utoipa::path(get, path = "/orders/{id}", params(("id" = Uuid, Path)),
    responses((status = 200, body = Order), (status = 404, description = "`not-found`")))]
async fn get_order(State(app): State<App>, Path(id): Path<Uuid>) -> Result<Json<Order>, Error> {
    store::find(&app.db, id)
        .await?
        .map(Json)
        .ok_or(Error::UnknownOrder)
}

/// Orders' own copy of a user; filled from the users API when it is not there yet.
#[utoipa::path(get, path = "/customer-copies/{id}", params(("id" = Uuid, Path)),
    responses((status = 200, body = CustomerCopy), (status = 404, description = "`not-found`"),
        (status = 503, description = "there is no copy yet and users does not answer")))]
async fn get_customer_copy(
    State(app): State<App>,
    Path(id): Path<Uuid>,
) -> Result<Json<CustomerCopy>, Error> {
    if let Some(copy) = customers::find(&app.db, id).await? {
        return Ok(Json(copy));
    }
    let user = app.peers.user(id).await?.ok_or(Error::UnknownCustomer)?;
    customers::store(&app.db, user, app.clock.now()).await?;
    customers::find(&app.db, id)
        .await?
        .map(Json)
        .ok_or(Error::UnknownCustomer)
}

/// Loads orders and refunds from elsewhere, one JSON record a line.
#[utoipa::path(post, path = "/bulk/orders",
    request_body(content = inline(bulk::Record), content_type = "application/x-ndjson"),
    responses((status = 200, body = BulkSummary), (status = 413, description = "`record-too-large`")))]
async fn post_bulk(State(app): State<App>, body: RawBody) -> Result<Json<BulkSummary>, Problem> {
    bulk::load(&app.db, &app.outbox, body).await.map(Json)
}

/// What confirmed orders and refunds come to by day: what reconciling compares. Both dates are needed, at most 366 days.
#[utoipa::path(get, path = "/totals", params(DaysQuery), responses((status = 200, body = Totals),
    (status = 422, description = "`invalid`: bad or missing dates, too many days; `range-too-large`: more than 20,000 rows")))]
async fn get_totals(State(app): State<App>, Query(query): Query<DaysQuery>) -> Result<Json<Totals>, Problem> {
    let days = query.given(totals::DAYS_MAX)?;
    totals::totals(&app.db, days).await.map(Json)
}

/// The event history, in pages.
#[utoipa::path(get, path = "/events", params(HistoryQuery), responses((status = 200, body = HistoryPage)))]
async fn get_events(
    State(app): State<App>,
    query: Query<HistoryQuery>,
) -> Result<Json<HistoryPage>, Problem> {
    history::serve_page(&app.outbox, query).await
}

/// Events that orders could not apply, oldest first.
#[utoipa::path(get, path = "/dead-letters", params(DeadLetterQuery), responses((status = 200, body = DeadLetterList)))]
async fn get_dead_letters(
    State(app): State<App>,
    query: Query<DeadLetterQuery>,
) -> Result<Json<DeadLetterList>, Problem> {
    consumer::list_dead_letters(&app.group, query).await
}

/// Applies a dead letter again.
#[utoipa::path(post, path = "/dead-letters/{id}/replay", params(("id" = i64, Path)),
    responses((status = 200, body = DeadLetter), (status = 404, description = "`not-found`"), (status = 409, description = "`still-rejected`")))]
async fn post_replay(State(app): State<App>, Path(id): Path<i64>) -> Result<Json<DeadLetter>, Problem> {
    consumer::replay_dead_letter(&app.group, id).await
}

/// Rebuilds what orders keeps of other services' events, from their owners' histories.
#[utoipa::path(post, path = "/rebuild", responses((status = 202, description = "A running member does it."), (status = 409, description = "`not-rebuildable`")))]
async fn post_rebuild(State(app): State<App>) -> Result<StatusCode, Problem> {
    consumer::rebuild_projection(&app.group).await
}
