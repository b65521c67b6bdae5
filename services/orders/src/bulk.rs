//! `POST /bulk/orders`: history from elsewhere, streamed in, loaded with COPY in transactions of some thousand records.
//!
//! Most of the work is in the lines, of which there are many: a line's texts are borrowed from the stream until they stand
//! in the rows for COPY and in the event, so that nothing is allocated for each.

use std::borrow::Cow;

use axum::body::Body;
use emporium_event_bus::Outbox;
use emporium_service_kit::bulk::{self, BulkLoad, BulkSummary, Stored, check_text, check_time};
use emporium_service_kit::{Currency, Db, Problem, StoreError};
use serde::Deserialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::model::{Address, ChargeKind, Fulfilment, Source};
use crate::store::bulk::{self as store, Staged};

/// Lines of one record.
const LINES_MAX: usize = 5_000;
/// Amounts are bounded, so that no sum of a record can overflow.
const AMOUNT_MAX: i64 = 1_000_000_000_000;
const QUANTITY_MAX: i64 = 1_000_000_000;
const TEXT_MAX: usize = 500;

/// One line of the stream.
#[derive(ToSchema)]
#[allow(dead_code)] // for the description of the API: `Load` reads the lines
#[serde(tag = "record", rename_all = "lowercase")]
pub enum Record {
    /// A confirmed order.
    Order(OrderRecord<'static>),
    /// Money given back.
    Refund(RefundRecord<'static>),
}

/// A confirmed order.
#[derive(Debug, Deserialize, ToSchema)]
pub struct OrderRecord<'a> {
    /// Its identity: what is there already stays as it is.
    pub id: Uuid,
    /// For people.
    #[serde(borrow)]
    pub number: Cow<'a, str>,
    /// Null for a guest's order.
    pub customer_id: Option<Uuid>,
    /// When it was placed.
    #[serde(with = "time::serde::rfc3339")]
    pub placed_at: OffsetDateTime,
    /// Where the goods are.
    pub fulfilment: Fulfilment,
    /// Where it comes from.
    pub source: Source,
    /// Its identity there.
    #[serde(borrow)]
    pub reference: Option<Cow<'a, str>>,
    /// ISO 4217.
    #[schema(value_type = String)]
    pub currency: Currency,
    /// What was bought.
    #[serde(borrow)]
    pub lines: Vec<LineRecord<'a>>,
    /// Postage, discounts and the like.
    #[serde(default, borrow)]
    pub charges: Vec<ChargeRecord<'a>>,
    /// Where it went, and who paid.
    pub shipping_address: Option<Address>,
}

/// Money given back.
#[derive(Debug, Deserialize, ToSchema)]
pub struct RefundRecord<'a> {
    /// Its identity.
    pub id: Uuid,
    /// The order, where it is known.
    pub order_id: Option<Uuid>,
    /// The customer, where known.
    pub customer_id: Option<Uuid>,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Where it comes from.
    pub source: Source,
    /// Its identity there.
    #[serde(borrow)]
    pub reference: Option<Cow<'a, str>>,
    /// ISO 4217.
    #[schema(value_type = String)]
    pub currency: Currency,
    /// Minor units, not negative.
    pub amount: i64,
    /// What was given back.
    #[serde(default, borrow)]
    pub lines: Vec<LineRecord<'a>>,
    /// Other amounts.
    #[serde(default, borrow)]
    pub charges: Vec<ChargeRecord<'a>>,
}

/// A line of an order or a refund.
#[derive(Debug, Deserialize, ToSchema)]
pub struct LineRecord<'a> {
    /// The product.
    pub product_id: Uuid,
    /// Its stock-keeping unit.
    #[serde(borrow)]
    pub sku: Cow<'a, str>,
    /// Its name then.
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    /// How many, at least 1.
    pub quantity: i64,
    /// Its price then, in minor units, not negative.
    pub unit_price: i64,
}

/// An amount that is not a product's.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ChargeRecord<'a> {
    /// What for.
    pub kind: ChargeKind,
    /// As it was called.
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    /// Minor units; negative amounts reduce the total.
    pub amount: i64,
}

/// What stands in every line, so that the rest is read right away as what it is.
#[derive(Deserialize)]
struct Tag {
    record: Kind,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Order,
    Refund,
}

/// An order whose numbers add up.
pub(crate) struct CheckedOrder<'a> {
    pub record: OrderRecord<'a>,
    pub total: i64,
}

struct Load<'a> {
    db: &'a Db,
    outbox: &'a Outbox,
}

impl BulkLoad for Load<'_> {
    type Checked = Staged;

    fn read(&self, line: &[u8]) -> Result<Staged, String> {
        let unreadable = |error: serde_json::Error| error.to_string();
        let Tag { record } = serde_json::from_slice(line).map_err(unreadable)?;
        match record {
            Kind::Order => {
                let order = check_order(serde_json::from_slice(line).map_err(unreadable)?)?;
                store::stage_order(&order).map_err(unreadable)
            }
            Kind::Refund => {
                let refund = check_refund(serde_json::from_slice(line).map_err(unreadable)?)?;
                store::stage_refund(refund).map_err(unreadable)
            }
        }
    }

    async fn store(&self, chunk: Vec<(u64, Staged)>) -> Result<Stored, Problem> {
        let records = chunk.into_iter().map(|(_, record)| record).collect();
        let loaded = store::store(self.db, self.outbox, records)
            .await
            .map_err(StoreError::from)?;
        self.outbox.wake();
        Ok(Stored {
            loaded,
            rejected: Vec::new(),
        })
    }
}

/// Loads a stream of records.
pub async fn load(db: &Db, outbox: &Outbox, body: Body) -> Result<BulkSummary, Problem> {
    bulk::load(&Load { db, outbox }, body).await
}

fn check_order(record: OrderRecord<'_>) -> Result<CheckedOrder<'_>, String> {
    check_text("number", &record.number, TEXT_MAX)?;
    check_text(
        "reference",
        record.reference.as_deref().unwrap_or_default(),
        TEXT_MAX,
    )?;
    check_time("placed_at", record.placed_at)?;
    check_lines(&record.lines, &record.charges)?;
    if record.lines.is_empty() && record.charges.is_empty() {
        return Err("an order needs a line or a charge".to_owned());
    }
    if let Some(address) = &record.shipping_address {
        for (name, text) in [
            ("street", &address.street),
            ("city", &address.city),
            ("postal_code", &address.postal_code),
            ("country", &address.country),
        ] {
            check_text(name, text, TEXT_MAX)?;
        }
    }
    let total = sum(&record.lines, &record.charges).ok_or("the total is too large")?;
    if total < 0 {
        return Err("the total is negative".to_owned());
    }
    Ok(CheckedOrder { record, total })
}

fn check_refund(record: RefundRecord<'_>) -> Result<RefundRecord<'_>, String> {
    check_text(
        "reference",
        record.reference.as_deref().unwrap_or_default(),
        TEXT_MAX,
    )?;
    check_time("at", record.at)?;
    check_lines(&record.lines, &record.charges)?;
    if !(0..=AMOUNT_MAX).contains(&record.amount) {
        return Err("the amount is out of bounds".to_owned());
    }
    Ok(record)
}

fn check_lines(lines: &[LineRecord<'_>], charges: &[ChargeRecord<'_>]) -> Result<(), String> {
    if lines.len() > LINES_MAX || charges.len() > LINES_MAX {
        return Err(format!("there are more than {LINES_MAX} lines"));
    }
    for line in lines {
        check_text("sku", &line.sku, TEXT_MAX)?;
        check_text("name", &line.name, TEXT_MAX)?;
        if !(1..=QUANTITY_MAX).contains(&line.quantity) {
            return Err("a quantity is out of bounds".to_owned());
        }
        if !(0..=AMOUNT_MAX).contains(&line.unit_price) {
            return Err("a unit price is out of bounds".to_owned());
        }
    }
    for charge in charges {
        check_text("name", &charge.name, TEXT_MAX)?;
        if !(-AMOUNT_MAX..=AMOUNT_MAX).contains(&charge.amount) {
            return Err("a charge is out of bounds".to_owned());
        }
    }
    Ok(())
}

fn sum(lines: &[LineRecord<'_>], charges: &[ChargeRecord<'_>]) -> Option<i64> {
    let mut total = 0_i64;
    for line in lines {
        total = total.checked_add(line.unit_price.checked_mul(line.quantity)?)?;
    }
    for charge in charges {
        total = total.checked_add(charge.amount)?;
    }
    (total <= AMOUNT_MAX).then_some(total)
}
