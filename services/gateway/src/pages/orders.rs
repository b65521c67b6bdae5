//! `/orders` and `/orders/{id}`: one's own orders, and how each came about.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use emporium_service_kit::client::CallError;
use emporium_service_kit::extract::Path;
use emporium_service_kit::{Money, Page};
use uuid::Uuid;

use crate::app::App;
use crate::clients::orders::{AddressSnapshot, Order, OrderCharge, OrderFilter, OrderLine, OrderStatus};
use crate::clients::payments::Charge;
use crate::error::Error;
use crate::pages::addresses::Place;
use crate::pages::chrome::{Chrome, Notice, Visitor};
use crate::pages::params::{Params, link};
use crate::pages::shelves::{self, Shelf};
use crate::pages::timeline::{self, Moment, Status, Step};
use crate::pages::{part, personal};

const PAGE_SIZE: u32 = 20;

#[derive(Template)]
#[template(path = "orders.html")]
struct OrdersPage {
    pub chrome: Chrome,
    pub rows: Vec<Row>,
    pub answered: bool,
    pub first_href: Option<String>,
    pub next_href: Option<String>,
    /// On the first page only.
    pub again: Option<Shelf>,
}

/// An order in a list.
pub(super) struct Row {
    pub href: String,
    pub number: String,
    pub placed: Moment,
    pub status: Status,
    pub summary: String,
    pub total: Money,
}

/// `GET /orders`.
pub async fn list(State(app): State<App>, visitor: Visitor, params: Params) -> Result<Response, Error> {
    let me = visitor.signed_in()?.user_id;
    let cursor = params.get("cursor");
    let filter = OrderFilter {
        status: None,
        cursor: cursor.map(str::to_owned),
        limit: Some(PAGE_SIZE),
    };
    let again = async {
        match cursor {
            None => Some(shelves::buy_again(&app, me).await),
            Some(_) => None,
        }
    };
    let (mut chrome, orders, again) = tokio::join!(
        Chrome::of(&app, &visitor),
        app.clients.orders.of_customer(me, &filter),
        again,
    );
    let (status, orders) = match orders {
        Ok(orders) => (StatusCode::OK, Some(orders)),
        Err(error) => {
            let status = answered(&error)?;
            chrome.notices.push(Notice::warning(
                "Your orders cannot be shown just now. They are safe; please try again in a moment.",
            ));
            (status, None)
        }
    };
    let page = OrdersPage {
        again,
        ..page(chrome, orders, cursor.is_some())
    };
    Ok(personal(status, &page))
}

/// What a refused list means: a refusal is the reader's (an unreadable cursor); all else is a service that is away.
fn answered(error: &CallError) -> Result<StatusCode, Error> {
    match error {
        CallError::Problem { problem, .. } if problem.status.is_client_error() => {
            Err(Error::Request((**problem).clone()))
        }
        _ => {
            tracing::warn!(%error, "orders cannot be shown");
            Ok(StatusCode::SERVICE_UNAVAILABLE)
        }
    }
}

fn page(chrome: Chrome, orders: Option<Page<Order>>, later: bool) -> OrdersPage {
    let answered = orders.is_some();
    let orders = orders.unwrap_or(Page {
        items: Vec::new(),
        next_cursor: None,
    });
    OrdersPage {
        chrome,
        rows: orders.items.iter().map(row).collect(),
        answered,
        first_href: later.then(|| "/orders".to_owned()),
        next_href: orders
            .next_cursor
            .map(|cursor| link("/orders", [("cursor", cursor.as_str())])),
        again: None,
    }
}

fn row(order: &Order) -> Row {
    Row {
        href: format!("/orders/{}", order.id),
        number: number(&order.number, order.id),
        placed: Moment::day(order.placed_at),
        status: timeline::status(order.status, order.fulfilment, order.reason.as_deref()),
        summary: summary(order),
        total: order.total,
    }
}

/// The order's number; its id when it has none.
pub(super) fn number(number: &str, id: Uuid) -> String {
    if number.is_empty() {
        id.to_string()
    } else {
        number.to_owned()
    }
}

fn summary(order: &Order) -> String {
    let Some(first) = order.lines.first() else {
        return String::new();
    };
    match order.lines.len() {
        1 => first.name.clone(),
        2 => format!("{} and one more", first.name),
        n => format!("{} and {} more", first.name, n - 1),
    }
}

#[derive(Template)]
#[template(path = "order.html")]
struct OrderPage {
    pub chrome: Chrome,
    pub number: String,
    pub id: Uuid,
    pub state: OrderStatus,
    pub points: i64,
    pub bill: Bill,
    pub placed: Moment,
    pub status: Status,
    pub steps: Vec<Step>,
    /// True while the checkout goes on, so that the page looks again.
    pub running: bool,
    pub shipping: Option<Place>,
    pub billing: Option<Place>,
    pub payment: Payment,
    pub thanks: bool,
}

/// What was bought and what it cost.
pub(super) struct Bill {
    pub lines: Vec<OrderLine>,
    pub charges: Vec<OrderCharge>,
    pub total: Money,
    pub refunded: Money,
    /// Whether the reader has bought it all, and so may review it as a buyer.
    pub reviewable: bool,
}

/// What the payments service says.
pub(super) enum Payment {
    /// Nothing was charged.
    None,
    /// It does not answer.
    Unknown,
    /// A charge.
    Charge {
        words: &'static str,
        refunded: Option<Money>,
    },
}

impl From<Option<Charge>> for Payment {
    fn from(charge: Option<Charge>) -> Self {
        charge.map_or(Self::None, |charge| Self::Charge {
            words: timeline::charge(charge.state),
            refunded: Some(charge.refunded).filter(|refunded| refunded.amount != 0),
        })
    }
}

/// `GET /orders/{id}`.
pub async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<Uuid>,
    params: Params,
) -> Result<Response, Error> {
    let me = visitor.signed_in()?.user_id;
    let (chrome, order, charge) = tokio::join!(
        Chrome::of(&app, &visitor),
        app.clients.orders.order_of_customer(me, id),
        part("payment", app.clients.payments.charge(id)),
    );
    let order = order?.ok_or(Error::Unknown("order"))?;
    let page = OrderPage {
        chrome: chrome.noting(params.get("note")),
        thanks: params.get("note") == Some("placed") && order.status != OrderStatus::Cancelled,
        number: number(&order.number, order.id),
        placed: Moment::new(order.placed_at),
        status: timeline::status(order.status, order.fulfilment, order.reason.as_deref()),
        steps: timeline::steps(&order.timeline, order.status, order.points),
        running: running(order.status),
        shipping: order.shipping_address.as_ref().map(snapshot),
        billing: order.billing_address.as_ref().map(snapshot),
        payment: charge.map_or(Payment::Unknown, Payment::from),
        id: order.id,
        state: order.status,
        points: order.points,
        bill: Bill {
            lines: order.lines,
            charges: order.charges,
            total: order.total,
            refunded: order.refunded,
            reviewable: order.status == OrderStatus::Confirmed,
        },
    };
    Ok(personal(StatusCode::OK, &page))
}

/// True while the checkout goes on.
pub(super) fn running(status: OrderStatus) -> bool {
    !matches!(status, OrderStatus::Confirmed | OrderStatus::Cancelled)
}

/// An address as it was when the order was placed.
pub(super) fn snapshot(address: &AddressSnapshot) -> Place {
    Place::from_parts([
        address.street.as_deref(),
        address.city.as_deref(),
        address.postal_code.as_deref(),
        address.country.as_deref(),
    ])
}
