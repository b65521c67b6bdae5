//! The events that the service consumes, as facts. It owns none.
//!
//! Readers are tolerant: they name the fields they need and pass over the rest, so a v1 that gains fields is read as before.

use std::collections::BTreeMap;

use emporium_event_bus::{ApplyError, CloudEvent};
use emporium_service_kit::bulk::micros;
use serde::Deserialize;
use time::OffsetDateTime;
use uuid::Uuid;

/// The event types it cares for. A confirmed order is never cancelled, so `order.cancelled.v1` is not among them.
pub const KINDS: &[&str] = &[
    "order.confirmed.v1",
    "order.refunded.v1",
    "product.created.v1",
    "product.updated.v1",
    "product.archived.v1",
];

#[derive(Deserialize)]
struct OrderData {
    order_id: Uuid,
    customer_id: Option<Uuid>,
    lines: Vec<Line>,
    #[serde(with = "time::serde::rfc3339")]
    placed_at: OffsetDateTime,
}

#[derive(Deserialize)]
struct RefundData {
    customer_id: Option<Uuid>,
    lines: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    product_id: Uuid,
    quantity: i64,
    unit_price: i64,
}

/// A confirmed order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The order.
    pub order_id: Uuid,
    /// The customer; none for guests.
    pub customer_id: Option<Uuid>,
    /// When it was placed.
    pub at: OffsetDateTime,
    /// Its goods and how many units of each. Lines without a quantity or a price (gifts, samples) are nobody's choice and not
    /// among them; postage and the like are charges and no lines.
    pub goods: BTreeMap<Uuid, i64>,
}

/// Units that a customer gave back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    /// The customer.
    pub customer_id: Uuid,
    /// The goods and how many units of each.
    pub goods: BTreeMap<Uuid, i64>,
}

/// What a product's event says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Product {
    /// The product.
    pub id: Uuid,
    /// Its version.
    pub version: i64,
    /// Whether it is sold.
    pub active: bool,
}

#[derive(Deserialize)]
struct ProductData {
    id: Uuid,
    version: i64,
    status: String,
}

/// A batch of events, sorted by what they are about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Orders confirmed, each once, by id, and only those with goods.
    pub orders: BTreeMap<Uuid, Order>,
    /// Units given back by known customers.
    pub refunds: Vec<Refund>,
    /// Products, each once, at its newest version.
    pub products: BTreeMap<Uuid, Product>,
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
        Ok(facts)
    }

    fn read(&mut self, event: &CloudEvent) -> Result<(), serde_json::Error> {
        match event.kind.as_str() {
            "order.confirmed.v1" => self.confirmed(&event.data()?),
            "order.refunded.v1" => self.refunded(&event.data()?),
            "product.created.v1" | "product.updated.v1" | "product.archived.v1" => {
                self.product(&event.data()?);
            }
            // Not one of `KINDS`: nobody delivers it.
            _ => {}
        }
        Ok(())
    }

    fn confirmed(&mut self, data: &OrderData) {
        let goods = goods(&data.lines, |line| line.unit_price > 0);
        if !goods.is_empty() {
            self.orders.entry(data.order_id).or_insert(Order {
                order_id: data.order_id,
                customer_id: data.customer_id,
                // Cut to what a database keeps, as its owner cut it.
                at: micros(data.placed_at),
                goods,
            });
        }
    }

    fn refunded(&mut self, data: &RefundData) {
        let goods = goods(&data.lines, |_| true);
        // Guests have no list of their own that it could change.
        if let (Some(customer_id), false) = (data.customer_id, goods.is_empty()) {
            self.refunds.push(Refund { customer_id, goods });
        }
    }

    fn product(&mut self, data: &ProductData) {
        let product = Product {
            id: data.id,
            version: data.version,
            active: data.status == "active",
        };
        let known = self.products.entry(data.id).or_insert(product);
        if known.version < product.version {
            *known = product;
        }
    }
}

fn goods(lines: &[Line], counts: impl Fn(&Line) -> bool) -> BTreeMap<Uuid, i64> {
    let mut goods = BTreeMap::new();
    for line in lines.iter().filter(|line| line.quantity > 0 && counts(line)) {
        let units: &mut i64 = goods.entry(line.product_id).or_default();
        *units = units.saturating_add(line.quantity);
    }
    goods
}
