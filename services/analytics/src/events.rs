//! The events that the service consumes, as facts. It owns none.
//!
//! Readers are tolerant: they name the fields they need and pass over the rest, so a v1 that gains fields is read as before.

use std::collections::HashMap;

use emporium_event_bus::{ApplyError, CloudEvent};
use emporium_service_kit::Money;
use emporium_service_kit::bulk::micros;
use serde::Deserialize;
use time::OffsetDateTime;
use uuid::Uuid;

/// The event types it cares for.
pub const KINDS: &[&str] = &[
    "order.placed.v1",
    "order.confirmed.v1",
    "order.cancelled.v1",
    "order.refunded.v1",
    "payment.succeeded.v1",
    "payment.declined.v1",
    "payment.voided.v1",
    "payment.refunded.v1",
    "product.created.v1",
    "product.updated.v1",
    "product.archived.v1",
];

/// What an order's event says.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Order {
    /// The order.
    pub order_id: Uuid,
    /// The customer; none for guests.
    pub customer_id: Option<Uuid>,
    /// What was ordered.
    pub lines: Vec<Line>,
    /// Lines and charges together.
    pub total: Money,
    /// When it was placed.
    #[serde(with = "time::serde::rfc3339")]
    pub placed_at: OffsetDateTime,
    /// Where it goes; `""` is as good as nothing.
    pub country: Option<String>,
}

/// A line of an order or a refund.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Line {
    /// The product.
    pub product_id: Uuid,
    /// How many.
    pub quantity: i64,
    /// The price of one, in minor units.
    pub unit_price: i64,
}

/// What `order.refunded.v1` says; its time is the refund's.
#[derive(Debug, Clone, PartialEq)]
pub struct Refund {
    /// The refund.
    pub refund_id: Uuid,
    /// The order, where it is known.
    pub order_id: Option<Uuid>,
    /// When.
    pub at: OffsetDateTime,
    /// How much.
    pub amount: Money,
    /// What came back.
    pub lines: Vec<Line>,
}

#[derive(Deserialize)]
struct RefundData {
    refund_id: Uuid,
    order_id: Option<Uuid>,
    amount: Money,
    lines: Vec<Line>,
}

/// What became of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The money was taken.
    Succeeded,
    /// The provider refused.
    Declined,
    /// It was given up.
    Voided,
    /// It was given back.
    Refunded,
}

/// What a payment's event says; its time is the ledger's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payment {
    /// What became of it.
    pub outcome: Outcome,
    /// When.
    pub at: OffsetDateTime,
    /// How much.
    pub amount: Money,
}

#[derive(Deserialize)]
struct PaymentData {
    amount: Money,
}

/// What a product's event says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Product {
    /// The product.
    pub id: Uuid,
    /// Its version.
    pub version: i64,
    /// Its stock-keeping unit.
    pub sku: String,
    /// Its name.
    pub name: String,
    /// The slug of its category.
    pub category: String,
    /// Its brand.
    pub brand: Option<String>,
}

/// A batch of events, sorted by what they are about.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// Checkouts begun.
    pub placed: Vec<Order>,
    /// Orders confirmed.
    pub confirmed: Vec<Order>,
    /// Orders that came to nothing.
    pub cancelled: Vec<Order>,
    /// Money given back, as orders says.
    pub refunds: Vec<Refund>,
    /// Payments.
    pub payments: Vec<Payment>,
    /// Products, each once, at its newest version.
    pub products: Vec<Product>,
}

impl Facts {
    /// Reads events; the error says which cannot be read.
    pub fn of(events: &[&CloudEvent]) -> Result<Self, ApplyError> {
        let mut facts = Self::default();
        for event in events {
            facts
                .read(event)
                .map_err(|error| ApplyError::Rejected(format!("{} {}: {error}", event.kind, event.id)))?;
        }
        facts.products = newest(std::mem::take(&mut facts.products));
        Ok(facts)
    }

    fn read(&mut self, event: &CloudEvent) -> Result<(), serde_json::Error> {
        match event.kind.as_str() {
            "order.placed.v1" => self.placed.push(order(event)?),
            "order.confirmed.v1" => self.confirmed.push(order(event)?),
            "order.cancelled.v1" => self.cancelled.push(order(event)?),
            "order.refunded.v1" => self.refunds.push(refund(event)?),
            "payment.succeeded.v1" => self.payments.push(payment(event, Outcome::Succeeded)?),
            "payment.declined.v1" => self.payments.push(payment(event, Outcome::Declined)?),
            "payment.voided.v1" => self.payments.push(payment(event, Outcome::Voided)?),
            "payment.refunded.v1" => self.payments.push(payment(event, Outcome::Refunded)?),
            "product.created.v1" | "product.updated.v1" | "product.archived.v1" => {
                self.products.push(event.data()?);
            }
            // Not one of `KINDS`: nobody delivers it.
            _ => {}
        }
        Ok(())
    }
}

/// Times are cut to what a database keeps, as their owners cut theirs: so that no instant is on another day here.
fn order(event: &CloudEvent) -> Result<Order, serde_json::Error> {
    let mut order: Order = event.data()?;
    order.placed_at = micros(order.placed_at);
    Ok(order)
}

fn refund(event: &CloudEvent) -> Result<Refund, serde_json::Error> {
    let data: RefundData = event.data()?;
    Ok(Refund {
        refund_id: data.refund_id,
        order_id: data.order_id,
        at: micros(event.time),
        amount: data.amount,
        lines: data.lines,
    })
}

fn payment(event: &CloudEvent, outcome: Outcome) -> Result<Payment, serde_json::Error> {
    let data: PaymentData = event.data()?;
    Ok(Payment {
        outcome,
        at: micros(event.time),
        amount: data.amount,
    })
}

fn newest(products: Vec<Product>) -> Vec<Product> {
    let mut newest: HashMap<Uuid, Product> = HashMap::new();
    for product in products {
        let newer = newest
            .get(&product.id)
            .is_none_or(|known| known.version < product.version);
        if newer {
            newest.insert(product.id, product);
        }
    }
    newest.into_values().collect()
}
