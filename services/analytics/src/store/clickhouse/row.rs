//! Events as rows of the one table that is written.

use clickhouse::Row;
use emporium_event_bus::{ApplyError, CloudEvent};
use emporium_service_kit::Money;
use serde::Serialize;
use time::OffsetDateTime;
use time::macros::datetime;
use uuid::Uuid;

use crate::events::{Facts, Line, Order, Outcome, Payment, Product, Refund};

/// What `DateTime64` keeps; it would clamp others in silence.
const FIRST: OffsetDateTime = datetime!(1900-01-01 00:00 UTC);
const END: OffsetDateTime = datetime!(2299-12-31 00:00 UTC);
/// An order's identity is its id under one of these, so that it is nobody's event's.
const ORDER: u128 = 0x6f72_6465_7200_0000_0000_0000_0000_0001;
const REFUND: u128 = 0x7265_6675_6e64_0000_0000_0000_0000_0002;

/// A row of `analytics_event`, in the order of its columns.
#[derive(Debug, Clone, Row, Serialize)]
pub(super) struct EventRow {
    pub build: i64,
    pub block: u64,
    #[serde(with = "clickhouse::serde::uuid")]
    pub writer: Uuid,
    #[serde(with = "clickhouse::serde::time::datetime64::micros")]
    pub noted_at: OffsetDateTime,
    #[serde(with = "clickhouse::serde::uuid")]
    pub event_id: Uuid,
    pub kind: &'static str,
    #[serde(with = "clickhouse::serde::uuid")]
    pub subject: Uuid,
    pub identity: u128,
    #[serde(with = "clickhouse::serde::time::datetime64::micros")]
    pub at: OffsetDateTime,
    pub currency: String,
    pub country: String,
    #[serde(with = "clickhouse::serde::uuid::option")]
    pub order_id: Option<Uuid>,
    #[serde(with = "clickhouse::serde::uuid::option")]
    pub customer_id: Option<Uuid>,
    pub amount: i64,
    pub lines: i64,
    pub units: i64,
    #[serde(with = "clickhouse::serde::uuid_vec")]
    pub products: Vec<Uuid>,
    pub quantities: Vec<i64>,
    pub prices: Vec<i64>,
    pub version: i64,
    pub sku: String,
    pub name: String,
    pub category: String,
    pub brand: Option<String>,
}

impl EventRow {
    /// A row that is about nothing yet.
    pub(super) fn of_kind(kind: &'static str, event_id: Uuid, noted_at: OffsetDateTime) -> Self {
        Self {
            build: 0,
            block: 0,
            writer: Uuid::nil(),
            noted_at,
            event_id,
            kind,
            subject: Uuid::nil(),
            identity: 0,
            at: OffsetDateTime::UNIX_EPOCH,
            currency: String::new(),
            country: String::new(),
            order_id: None,
            customer_id: None,
            amount: 0,
            lines: 0,
            units: 0,
            products: Vec::new(),
            quantities: Vec::new(),
            prices: Vec::new(),
            version: 0,
            sku: String::new(),
            name: String::new(),
            category: String::new(),
            brand: None,
        }
    }

    /// The row of an event that was written down at `noted_at`; of one that is about nothing here, a row that only claims it.
    pub(super) fn of(event: &CloudEvent, noted_at: OffsetDateTime) -> Result<Self, ApplyError> {
        let facts = Facts::of(&[event])?;
        let row = Self::of_kind("repeated", event.id, noted_at);
        let row = if let Some(order) = facts.placed.first() {
            Ok(row.begun("placed", order))
        } else if let Some(order) = facts.cancelled.first() {
            Ok(row.begun("cancelled", order))
        } else if let Some(order) = facts.confirmed.first() {
            row.confirmed(order)
        } else if let Some(refund) = facts.refunds.first() {
            Ok(row.refunded(refund))
        } else if let Some(payment) = facts.payments.first() {
            Ok(row.paid(payment))
        } else if let Some(product) = facts.products.first() {
            Ok(row.product(product))
        } else {
            Ok(row)
        };
        let row = row.and_then(Self::in_range);
        row.map_err(|problem| ApplyError::Rejected(format!("{} {}: {problem}", event.kind, event.id)))
    }

    fn in_range(self) -> Result<Self, &'static str> {
        if FIRST <= self.at && self.at < END {
            Ok(self)
        } else {
            Err("its time is before 1900 or after 2299, which ClickHouse does not keep")
        }
    }

    fn money(mut self, money: Money) -> Self {
        money.currency.as_str().clone_into(&mut self.currency);
        self.amount = money.amount;
        self
    }

    fn begun(mut self, kind: &'static str, order: &Order) -> Self {
        self.kind = kind;
        self.subject = order.order_id;
        self.at = order.placed_at;
        self.country = order.country.clone().unwrap_or_default();
        self.money(order.total)
    }

    fn confirmed(self, order: &Order) -> Result<Self, &'static str> {
        let mut row = self.begun("confirmed", order).sold(&order.lines);
        row.identity = order.order_id.as_u128() ^ ORDER;
        row.customer_id = order.customer_id;
        row.lines = i64::try_from(order.lines.len()).unwrap_or(i64::MAX);
        let mut quantities = order.lines.iter().map(|line| line.quantity);
        row.units = quantities
            .try_fold(0_i64, i64::checked_add)
            .ok_or("its units are beyond 64 bits")?;
        Ok(row)
    }

    fn sold(mut self, lines: &[Line]) -> Self {
        for line in lines {
            self.products.push(line.product_id);
            self.quantities.push(line.quantity);
            self.prices.push(line.unit_price);
        }
        self
    }

    fn refunded(mut self, refund: &Refund) -> Self {
        self.kind = "refunded";
        self.subject = refund.refund_id;
        self.identity = refund.refund_id.as_u128() ^ REFUND;
        self.order_id = refund.order_id;
        self.at = refund.at;
        self.money(refund.amount).sold(&refund.lines)
    }

    fn paid(mut self, payment: &Payment) -> Self {
        self.kind = match payment.outcome {
            Outcome::Succeeded => "succeeded",
            Outcome::Declined => "declined",
            Outcome::Voided => "voided",
            Outcome::Refunded => "returned",
        };
        self.at = payment.at;
        self.money(payment.amount)
    }

    fn product(mut self, product: &Product) -> Self {
        self.kind = "product";
        self.subject = product.id;
        self.version = product.version;
        self.sku.clone_from(&product.sku);
        self.name.clone_from(&product.name);
        self.category.clone_from(&product.category);
        self.brand.clone_from(&product.brand);
        self
    }

    /// The same event, of an order or a refund that another one told of: it is only claimed.
    pub(super) fn repeated(self) -> Self {
        Self::of_kind("repeated", self.event_id, self.noted_at)
    }
}
