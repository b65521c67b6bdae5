//! `/api/admin/orders` and `/api/admin/ledger`: everybody's orders, the provider's callback, the books.

use axum::Json;
use axum::extract::State;
use emporium_service_kit::Api;
use emporium_service_kit::extract::{Body, Path, Query};
use emporium_service_kit::problem::ProblemDocument;
use garde::Validate;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::api::orders::OrderQuery;
use crate::app::App;
use crate::clients::payments::{Charge, Ledger, Outcome};
use crate::compose::{self, AdminOrderDetail, AdminOrderList};
use crate::error::Error;
use crate::identity::Administrator;

pub fn routes() -> Api<App> {
    Api::default()
        .public(routes!(admin_list_orders))
        .public(routes!(admin_get_order))
        .public(routes!(admin_payment_callback))
        .public(routes!(admin_ledger))
}

/// What the simulated payment provider says about an open charge.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Callback {
    /// `succeeded` or `declined`.
    #[garde(skip)]
    outcome: Outcome,
}

/// Everybody's orders, newest first, with the customer's name and e-mail address and the products' present names.
#[utoipa::path(get, path = "/api/admin/orders", tag = "administration",
    security(("bearer" = []), ("cookie" = [])), params(OrderQuery), responses(
    (status = 200, body = AdminOrderList),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`"),
    (status = 403, body = ProblemDocument, description = "`administrators-only`, `user-blocked`")))]
async fn admin_list_orders(
    State(app): State<App>,
    _: Administrator,
    Query(query): Query<OrderQuery>,
) -> Result<Json<AdminOrderList>, Error> {
    Ok(Json(compose::admin_orders(&app, &query.into()).await?))
}

/// One order with its customer, its charge and its timeline.
#[utoipa::path(get, path = "/api/admin/orders/{id}", tag = "administration",
    security(("bearer" = []), ("cookie" = [])), params(("id" = Uuid, Path)), responses(
    (status = 200, body = AdminOrderDetail),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`"),
    (status = 403, body = ProblemDocument, description = "`administrators-only`, `user-blocked`"),
    (status = 404, body = ProblemDocument, description = "`not-found`")))]
async fn admin_get_order(
    State(app): State<App>,
    _: Administrator,
    Path(id): Path<Uuid>,
) -> Result<Json<AdminOrderDetail>, Error> {
    Ok(Json(compose::admin_order(&app, id).await?))
}

/// Plays the payment provider's callback for a charge that waits for it (`tok_later`); repeating changes nothing.
#[utoipa::path(post, path = "/api/admin/orders/{id}/payment-callback", tag = "administration",
    request_body = Callback,
    security(("bearer" = []), ("cookie" = [])), params(("id" = Uuid, Path)), responses(
    (status = 200, body = Charge),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`"),
    (status = 403, body = ProblemDocument, description = "`administrators-only`, `user-blocked`"),
    (status = 404, body = ProblemDocument, description = "`not-found`: nothing was charged")))]
async fn admin_payment_callback(
    State(app): State<App>,
    _: Administrator,
    Path(id): Path<Uuid>,
    Body(body): Body<Callback>,
) -> Result<Json<Charge>, Error> {
    Ok(Json(app.clients.payments.call_back(id, body.outcome).await?))
}

/// The ledger: the sum of every account. Together they are zero.
#[utoipa::path(get, path = "/api/admin/ledger", tag = "administration",
    security(("bearer" = []), ("cookie" = [])), responses(
    (status = 200, body = Ledger),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`"),
    (status = 403, body = ProblemDocument, description = "`administrators-only`, `user-blocked`")))]
async fn admin_ledger(State(app): State<App>, _: Administrator) -> Result<Json<Ledger>, Error> {
    Ok(Json(app.clients.payments.ledger().await?))
}
