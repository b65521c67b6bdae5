//! The orders service: checkout and order history.

use std::str::FromStr;
use std::time::Duration;

use emporium_service_kit::client::{Answer, CallError, Client};
use emporium_service_kit::{Money, Page};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{READ_TIMEOUT, found};

/// How long the orders service may take to answer a checkout. It answers 202 well before that when the saga goes on.
const CHECKOUT_TIMEOUT: Duration = Duration::from_secs(20);

/// Client of the orders service.
#[derive(Clone)]
pub struct Orders(Client);

/// An order. Its lines, prices and addresses are snapshots: they stay as they were when it was placed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Order {
    /// Its id.
    pub id: Uuid,
    /// The number that people use.
    #[serde(default)]
    pub number: String,
    /// Who placed it; absent for guests. Not shown: customers see their own orders only.
    #[serde(skip_serializing)]
    pub customer_id: Option<Uuid>,
    /// Where it came from: `shop`, `seed` or `online-retail`. For administrators.
    #[serde(default, skip_serializing)]
    pub source: String,
    /// Its identity there, such as an invoice's number. For administrators.
    #[serde(default, skip_serializing)]
    pub reference: Option<String>,
    /// How far the checkout is.
    pub status: OrderStatus,
    /// How far the delivery is.
    pub fulfilment: Fulfilment,
    /// What was bought.
    pub lines: Vec<OrderLine>,
    /// Postage, discounts and the like.
    #[serde(default)]
    pub charges: Vec<OrderCharge>,
    /// The sum of lines and charges.
    pub total: Money,
    /// How much was given back.
    pub refunded: Money,
    /// Where it goes.
    pub shipping_address: Option<AddressSnapshot>,
    /// Whom it is billed to.
    pub billing_address: Option<AddressSnapshot>,
    /// When it was placed.
    #[serde(with = "time::serde::rfc3339")]
    pub placed_at: OffsetDateTime,
    /// When it last changed.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
    /// Why it was cancelled.
    pub reason: Option<String>,
    /// Loyalty points it earns.
    #[serde(default)]
    pub points: i64,
    /// What happened, step by step; only when one order is asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timeline: Vec<TimelineEntry>,
}

/// How far a checkout is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OrderStatus {
    /// Written down; nothing is reserved yet.
    Pending,
    /// The stock is held.
    Reserved,
    /// The charge succeeded.
    Paid,
    /// Done.
    Confirmed,
    /// Ended without a sale; everything was given back.
    Cancelled,
}

impl OrderStatus {
    const ALL: [Self; 5] = [
        Self::Pending,
        Self::Reserved,
        Self::Paid,
        Self::Confirmed,
        Self::Cancelled,
    ];

    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Reserved => "reserved",
            Self::Paid => "paid",
            Self::Confirmed => "confirmed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl FromStr for OrderStatus {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or("status must be pending, reserved, paid, confirmed or cancelled")
    }
}

/// How far a delivery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Fulfilment {
    /// Not sent.
    None,
    /// On its way.
    Shipped,
    /// Arrived.
    Delivered,
    /// Came back.
    Returned,
}

/// A line of an order.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct OrderLine {
    /// The product.
    pub product_id: Uuid,
    /// Its article number then.
    #[serde(default)]
    pub sku: String,
    /// Its name then.
    pub name: String,
    /// How many.
    pub quantity: i64,
    /// What one cost then.
    pub unit_price: Money,
    /// Quantity times price.
    pub line_total: Money,
}

/// Something on the bill besides products.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct OrderCharge {
    /// `postage`, `discount`, `fee`, `manual` or `adjustment`.
    pub kind: String,
    /// What to show.
    pub name: String,
    /// Negative for discounts.
    pub amount: Money,
}

/// An address as it was when the order was placed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AddressSnapshot {
    /// Street and number.
    #[serde(default)]
    pub street: Option<String>,
    /// Town or city.
    #[serde(default)]
    pub city: Option<String>,
    /// Postal code.
    #[serde(default)]
    pub postal_code: Option<String>,
    /// ISO 3166 alpha-2 code; some imported orders know no more than this.
    #[serde(default)]
    pub country: Option<String>,
}

/// A step of the checkout.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TimelineEntry {
    /// Such as `reserve-stock`.
    pub step: String,
    /// Such as `done`.
    pub state: String,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// More about it.
    #[serde(default)]
    pub detail: Option<String>,
}

/// A checkout.
#[derive(Debug, Clone, Serialize)]
pub struct Checkout {
    /// Where it goes: an entry of the customer's address book.
    pub address_id: Uuid,
    /// Whom to bill, when that is another entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub billing_address_id: Option<Uuid>,
    /// The payment provider's token.
    pub payment_token: String,
    /// The total that the customer agreed to; another one is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_total: Option<Money>,
}

/// Which orders, and which page of them.
#[derive(Debug, Clone, Default, Serialize)]
pub struct OrderFilter {
    /// Only those of this status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<OrderStatus>,
    /// Where to go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// The page size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

impl Orders {
    pub(super) fn new(client: Client) -> Self {
        Self(client)
    }

    /// Places an order: 201 when the checkout ended, 202 while it goes on. Not tried again here: whoever holds the key
    /// repeats it. Problems: 403 `user-blocked`, 404 (address), 409 `prices-moved`, `request-in-progress`,
    /// `checkout-in-progress`, 422 `cart-empty`, `idempotency-key-reused`.
    pub async fn place(
        &self,
        customer: Uuid,
        checkout: &Checkout,
        idempotency_key: &str,
    ) -> Result<Answer<Order>, CallError> {
        self.0
            .post(format!("/customers/{customer}/orders"))
            .json(checkout)
            .header("idempotency-key", idempotency_key)
            .timeout(CHECKOUT_TIMEOUT)
            .answer()
            .await
    }

    /// A customer's orders, newest first.
    pub async fn of_customer(&self, customer: Uuid, filter: &OrderFilter) -> Result<Page<Order>, CallError> {
        let call = self.0.get(format!("/customers/{customer}/orders")).query(filter);
        call.timeout(READ_TIMEOUT).send().await
    }

    /// One order with its timeline, if it is this customer's.
    pub async fn order_of_customer(&self, customer: Uuid, id: Uuid) -> Result<Option<Order>, CallError> {
        let call = self.0.get(format!("/customers/{customer}/orders/{id}"));
        found(call.timeout(READ_TIMEOUT).send().await)
    }

    /// Everybody's orders, newest first.
    pub async fn all(&self, filter: &OrderFilter) -> Result<Page<Order>, CallError> {
        let call = self.0.get("/orders").query(filter);
        call.timeout(READ_TIMEOUT).send().await
    }

    /// One order with its timeline, whoever placed it.
    pub async fn order(&self, id: Uuid) -> Result<Option<Order>, CallError> {
        found(
            self.0
                .get(format!("/orders/{id}"))
                .timeout(READ_TIMEOUT)
                .send()
                .await,
        )
    }
}
