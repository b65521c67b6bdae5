//! The HTTP interface.

mod bulk;
mod charges;

use axum::Json;
use axum::extract::State;
use emporium_event_bus::history::{self, HistoryPage, HistoryQuery};
use emporium_service_kit::days::DaysQuery;
use emporium_service_kit::extract::Query;
use emporium_service_kit::{Api, Problem, ServiceName};
use utoipa::OpenApi;
use utoipa_axum::routes;

use crate::error::Error;
use crate::model::LedgerBalance;
use crate::payments::Payments;
use crate::store::{DAYS_MAX, Totals};

#[derive(OpenApi)]
#[openapi(info(
    title = "Emporium payments",
    description = "Charges and refunds in a double-entry ledger, and a simulated payment provider."
))]
struct Document;

const GATEWAY: &[ServiceName] = &[ServiceName::Gateway];
const ORDERS: &[ServiceName] = &[ServiceName::Orders];
const BOTH: &[ServiceName] = &[ServiceName::Gateway, ServiceName::Orders];
const OPERATOR: &[ServiceName] = &[ServiceName::Operator];

/// All routes, each with its callers.
pub fn api() -> Api<Payments> {
    Api::new(Document::openapi())
        .allow(ORDERS, routes!(charges::put_charge))
        .allow(BOTH, routes!(charges::get_charge))
        .allow(ORDERS, routes!(charges::void_charge))
        .allow(BOTH, routes!(charges::post_refund))
        .allow(GATEWAY, routes!(charges::provider_callback))
        .allow(GATEWAY, routes!(get_balance))
        .allow(OPERATOR, routes!(bulk::bulk_payments))
        .allow(OPERATOR, routes!(get_totals))
        .allow(&ServiceName::ALL, routes!(get_events))
}

/// The ledger's balance. All accounts of a currency together sum to zero.
#[utoipa::path(get, path = "/ledger/balance", responses((status = 200, body = LedgerBalance)))]
async fn get_balance(State(payments): State<Payments>) -> Result<Json<LedgerBalance>, Error> {
    Ok(Json(payments.store.ledger_balance().await?))
}

/// What the ledger has by day: what reconciling compares. Both dates are needed, at most 366 days.
#[utoipa::path(get, path = "/totals", params(DaysQuery), responses((status = 200, body = Totals),
    (status = 422, description = "`invalid`: bad or missing dates, too many days; `range-too-large`: more than 20,000 rows")))]
async fn get_totals(
    State(payments): State<Payments>,
    Query(query): Query<DaysQuery>,
) -> Result<Json<Totals>, Problem> {
    let days = query.given(DAYS_MAX)?;
    Ok(Json(payments.store.totals(days).await?))
}

/// The event history, in pages.
#[utoipa::path(get, path = "/events", params(HistoryQuery), responses((status = 200, body = HistoryPage)))]
async fn get_events(
    State(payments): State<Payments>,
    query: Query<HistoryQuery>,
) -> Result<Json<HistoryPage>, Problem> {
    history::serve_page(&payments.store.outbox, query).await
}
