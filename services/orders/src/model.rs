//! The shapes that the service speaks and keeps.

use emporium_service_kit::{Currency, Money, validate};
use garde::Validate;
use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// How far an order has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum Status {
    /// Placed; or waiting for a payment that comes later (`reason` says `awaiting-payment`).
    Pending,
    /// The stock is reserved.
    Reserved,
    /// The charge succeeded.
    Paid,
    /// It will be delivered; never cancelled from here on.
    Confirmed,
    /// Nothing was or will be bought; `reason` says why.
    Cancelled,
}

impl Status {
    /// True when the order's fate is settled.
    pub fn ended(self) -> bool {
        matches!(self, Self::Confirmed | Self::Cancelled)
    }
}

/// Where the goods are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum Fulfilment {
    /// Not sent.
    None,
    /// On their way.
    Shipped,
    /// With the customer.
    Delivered,
    /// Sent back.
    Returned,
}

/// Where an order came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[sqlx(type_name = "text", rename_all = "kebab-case")]
pub enum Source {
    /// A checkout in this shop.
    Shop,
    /// Generated sample data.
    Seed,
    /// The imported gift shop.
    OnlineRetail,
}

/// What a charge of an order is for, besides its lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ChargeKind {
    /// Postage and carriage.
    Postage,
    /// A discount; its amount is negative.
    Discount,
    /// A fee of a bank or a marketplace.
    Fee,
    /// Entered by hand.
    Manual,
    /// A correction.
    Adjustment,
}

impl ChargeKind {
    /// As the database has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Postage => "postage",
            Self::Discount => "discount",
            Self::Fee => "fee",
            Self::Manual => "manual",
            Self::Adjustment => "adjustment",
        }
    }
}

/// An address as it was when the order was placed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Address {
    /// Street and number.
    pub street: String,
    /// City or town.
    pub city: String,
    /// Postal code; may be empty where a country has none.
    pub postal_code: String,
    /// ISO 3166 alpha-2.
    pub country: String,
}

/// An order.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Order {
    /// The order's id, which is also its saga's.
    pub id: Uuid,
    /// For people: `E-100001`, or the number it had where it was imported from.
    pub number: String,
    /// Null for a guest's order.
    pub customer_id: Option<Uuid>,
    /// How far it has come.
    pub status: Status,
    /// Where the goods are.
    pub fulfilment: Fulfilment,
    /// What was ordered.
    pub lines: Vec<OrderLine>,
    /// Postage, discounts and the like.
    pub charges: Vec<OrderCharge>,
    /// Lines and charges together.
    pub total: Money,
    /// What was given back.
    pub refunded: Money,
    /// Where it goes.
    pub shipping_address: Option<Address>,
    /// Who pays.
    pub billing_address: Option<Address>,
    /// When it was placed.
    #[serde(with = "time::serde::rfc3339")]
    pub placed_at: OffsetDateTime,
    /// When its status changed last.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
    /// Why it was cancelled, or what it waits for.
    pub reason: Option<String>,
    /// Where it came from.
    pub source: Source,
    /// Its identity there, such as an invoice number.
    pub reference: Option<String>,
    /// Loyalty points: one for each whole unit of the currency in `total`.
    pub points: i64,
    /// The saga so far; only where one order is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeline: Option<Vec<TimelineEntry>>,
    /// Grows with each change.
    #[serde(skip)]
    pub version: i64,
}

/// A line of an order, as it was when the order was placed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct OrderLine {
    /// The product.
    pub product_id: Uuid,
    /// Its stock-keeping unit.
    pub sku: String,
    /// Its name.
    pub name: String,
    /// How many.
    pub quantity: i64,
    /// Price of one.
    pub unit_price: Money,
    /// Price of all.
    pub line_total: Money,
}

/// An amount of an order that is not a product's.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct OrderCharge {
    /// What for.
    pub kind: ChargeKind,
    /// As it was called.
    pub name: String,
    /// Negative amounts reduce the total.
    pub amount: Money,
}

/// A step of the checkout, as it happened.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TimelineEntry {
    /// `place`, `reserve-stock`, `add-points`, `charge`, `commit-stock`, `confirm`, `confirm-points`, `clear-cart`,
    /// `cancel`, `void-charge`, `cancel-points` or `release-stock`.
    pub step: String,
    /// `done`, `refused`, `waiting` or `unanswered`.
    pub state: String,
    /// When it was known.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// More, for people.
    pub detail: Option<String>,
}

/// `POST /customers/{customer_id}/orders`. Unknown members are refused: a client that sends a price should hear of it.
#[derive(Debug, Clone, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckoutRequest {
    /// Where it goes: one of the customer's addresses.
    #[garde(skip)]
    pub address_id: Uuid,
    /// Who pays, when it is another address.
    #[garde(skip)]
    pub billing_address_id: Option<Uuid>,
    /// From the payment provider.
    #[garde(length(chars, max = 200), custom(validate::filled_line))]
    pub payment_token: String,
    /// What the customer saw as the total; another one is refused.
    #[garde(skip)]
    pub expected_total: Option<Money>,
}

/// What orders knows of a customer.
#[derive(Debug, Clone, Serialize, Deserialize, sqlx::FromRow, ToSchema)]
pub struct CustomerCopy {
    /// The user's id.
    pub id: Uuid,
    /// As the user wants to be called.
    pub name: String,
    /// E-mail address.
    pub email: String,
    /// False when blocked.
    pub active: bool,
    /// The user's version that this copy is of.
    pub version: i64,
    /// When it was brought up to date.
    #[serde(with = "time::serde::rfc3339")]
    pub last_synced_at: OffsetDateTime,
}

/// An order as its statement gives it.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct OrderRow {
    pub id: Uuid,
    number: String,
    customer_id: Option<Uuid>,
    status: Status,
    fulfilment: Fulfilment,
    currency: String,
    total: i64,
    points: i64,
    shipping_address: Option<Json<Address>>,
    billing_address: Option<Json<Address>>,
    placed_at: OffsetDateTime,
    updated_at: OffsetDateTime,
    reason: Option<String>,
    source: Source,
    reference: Option<String>,
    version: i64,
    lines: Json<Vec<LineRow>>,
    charges: Json<Vec<ChargeRow>>,
    refunded: i64,
    timeline: Option<Json<Vec<TimelineEntry>>>,
}

/// A line as the database has it: amounts in the order's currency.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LineRow {
    pub product_id: Uuid,
    pub sku: String,
    pub name: String,
    pub quantity: i64,
    pub unit_price: i64,
}

/// A charge as the database has it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ChargeRow {
    pub kind: ChargeKind,
    pub name: String,
    pub amount: i64,
}

impl From<OrderRow> for Order {
    fn from(row: OrderRow) -> Self {
        // The table's CHECK allows nothing else.
        let currency: Currency = row.currency.parse().unwrap_or(Currency::GBP);
        let money = |amount| Money::new(amount, currency);
        let line = |line: LineRow| OrderLine {
            product_id: line.product_id,
            sku: line.sku,
            name: line.name,
            quantity: line.quantity,
            unit_price: money(line.unit_price),
            // Checked when it was written.
            line_total: money(line.unit_price.saturating_mul(line.quantity)),
        };
        let charge = |charge: ChargeRow| OrderCharge {
            kind: charge.kind,
            name: charge.name,
            amount: money(charge.amount),
        };
        Self {
            id: row.id,
            number: row.number,
            customer_id: row.customer_id,
            status: row.status,
            fulfilment: row.fulfilment,
            lines: row.lines.0.into_iter().map(line).collect(),
            charges: row.charges.0.into_iter().map(charge).collect(),
            total: money(row.total),
            refunded: money(row.refunded),
            shipping_address: row.shipping_address.map(|address| address.0),
            billing_address: row.billing_address.map(|address| address.0),
            placed_at: row.placed_at,
            updated_at: row.updated_at,
            reason: row.reason,
            source: row.source,
            reference: row.reference,
            points: row.points,
            timeline: row.timeline.map(|entries| entries.0),
            version: row.version,
        }
    }
}
