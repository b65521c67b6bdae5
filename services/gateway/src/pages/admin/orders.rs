//! `/admin/orders`: everybody's orders with customer and products, composed from three services.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use emporium_service_kit::Money;
use emporium_service_kit::extract::{Form, Path};
use serde::Deserialize;
use uuid::Uuid;

use crate::app::App;
use crate::clients::orders::{OrderFilter, OrderStatus};
use crate::clients::payments::{ChargeState, Outcome};
use crate::compose::{self, AdminOrder, AdminOrderDetail, OrderCustomer};
use crate::error::Error;
use crate::pages::chrome::{Chrome, Notice, Visitor};
use crate::pages::errors::part;
use crate::pages::form::hidden;
use crate::pages::orders::{Bill, number, running};
use crate::pages::params::{Params, link};
use crate::pages::timeline::{self, Moment, Status, Step};
use crate::pages::{personal, see_other};

const PAGE_SIZE: u32 = 50;
/// Products of an order that the list shows; imported orders have hundreds.
const PRODUCTS_MAX: usize = 6;
const STATUSES: [&str; 5] = ["pending", "reserved", "paid", "confirmed", "cancelled"];

#[derive(Template)]
#[template(path = "admin/orders.html")]
struct AdminOrdersPage {
    pub chrome: Chrome,
    pub tabs: Vec<Tab>,
    pub rows: Vec<Row>,
    pub next_href: Option<String>,
}

/// A status to filter by.
pub(in crate::pages) struct Tab {
    pub href: String,
    pub label: String,
    pub selected: bool,
}

/// An order in the list.
pub(in crate::pages) struct Row {
    pub id: Uuid,
    pub number: String,
    pub placed: Moment,
    pub customer: Option<OrderCustomer>,
    pub guest: bool,
    pub products: Vec<(i64, String)>,
    /// How many more there are.
    pub more: usize,
    pub total: Money,
    pub status: Status,
}

/// `GET /admin/orders`.
pub async fn list(State(app): State<App>, visitor: Visitor, params: Params) -> Result<Response, Error> {
    visitor.administrator()?;
    let asked = params.get("status").unwrap_or("pending");
    let filter = OrderFilter {
        // An unknown word means all of them, as the page then shows.
        status: hidden(asked),
        cursor: params.get("cursor").map(str::to_owned),
        limit: Some(PAGE_SIZE),
    };
    let (mut chrome, orders) =
        tokio::join!(Chrome::of(&app, &visitor), compose::admin_orders(&app, &filter),);
    let orders = orders?;
    chrome.notices.extend(missing(&orders.degraded));
    let next = orders.next_cursor.as_deref();
    let page = AdminOrdersPage {
        chrome,
        tabs: tabs(filter.status),
        rows: orders.items.into_iter().map(row).collect(),
        next_href: next.map(|cursor| link("/admin/orders", [("status", asked), ("cursor", cursor)])),
    };
    Ok(personal(StatusCode::OK, &page))
}

/// Says which services' parts are missing.
fn missing(degraded: &[&'static str]) -> Vec<Notice> {
    let notice = |service: &&str| {
        Notice::warning(format!(
            "{} does not answer just now; what it adds is missing below.",
            part(service)
        ))
    };
    degraded.iter().map(notice).collect()
}

fn tabs(selected: Option<OrderStatus>) -> Vec<Tab> {
    let selected = selected.map_or("all", OrderStatus::as_str);
    STATUSES
        .into_iter()
        .chain(["all"])
        .map(|status| Tab {
            href: link("/admin/orders", [("status", status)]),
            label: status.to_owned(),
            selected: status == selected,
        })
        .collect()
}

fn row(order: AdminOrder) -> Row {
    Row {
        id: order.id,
        number: number(&order.number, order.id),
        placed: Moment::new(order.placed_at),
        guest: order.customer_id.is_none(),
        customer: order.customer,
        status: timeline::status(order.status, order.fulfilment, order.reason.as_deref()),
        more: order.lines.len().saturating_sub(PRODUCTS_MAX),
        products: order
            .lines
            .into_iter()
            .take(PRODUCTS_MAX)
            .map(|line| (line.line.quantity, line.current_name.unwrap_or(line.line.name)))
            .collect(),
        total: order.total,
    }
}

#[derive(Template)]
#[template(path = "admin/order.html")]
struct AdminOrderPage {
    chrome: Chrome,
    number: String,
    placed: Moment,
    status: Status,
    steps: Vec<Step>,
    running: bool,
    customer: Option<OrderCustomer>,
    guest: bool,
    id: Uuid,
    state: OrderStatus,
    bill: Bill,
    charge: Option<&'static str>,
    /// True while the provider's answer can be played.
    open: bool,
}

/// `GET /admin/orders/{id}`.
pub async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<Uuid>,
    params: Params,
) -> Result<Response, Error> {
    visitor.administrator()?;
    let (chrome, order) = tokio::join!(Chrome::of(&app, &visitor), compose::admin_order(&app, id));
    let page = detail(chrome.noting(params.get("note")), order?);
    Ok(personal(StatusCode::OK, &page))
}

fn detail(mut chrome: Chrome, detail: AdminOrderDetail) -> AdminOrderPage {
    chrome.notices.extend(missing(&detail.degraded));
    let order = detail.order;
    AdminOrderPage {
        chrome,
        number: number(&order.number, order.id),
        placed: Moment::new(order.placed_at),
        status: timeline::status(order.status, order.fulfilment, order.reason.as_deref()),
        steps: timeline::steps(&order.timeline, order.status, order.points),
        running: running(order.status),
        guest: order.customer_id.is_none(),
        customer: order.customer,
        open: detail
            .charge
            .as_ref()
            .is_some_and(|charge| charge.state == ChargeState::Open),
        charge: detail.charge.map(|charge| timeline::charge(charge.state)),
        id: order.id,
        state: order.status,
        bill: Bill {
            lines: order.lines.into_iter().map(|line| line.line).collect(),
            charges: order.charges,
            total: order.total,
            refunded: order.refunded,
            reviewable: false,
        },
    }
}

/// The simulated provider's answer.
#[derive(Deserialize)]
pub struct CallbackForm {
    #[serde(default)]
    outcome: String,
}

/// `POST /admin/orders/{id}/payment-callback`: plays the provider's answer to a payment that comes later.
pub async fn call_back(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<Uuid>,
    Form(form): Form<CallbackForm>,
) -> Result<Response, Error> {
    visitor.administrator()?;
    let outcome: Outcome = hidden(&form.outcome).ok_or(Error::Unknown("outcome"))?;
    app.clients.payments.call_back(id, outcome).await?;
    Ok(see_other(&link(
        &format!("/admin/orders/{id}"),
        [("note", "called-back")],
    )))
}
