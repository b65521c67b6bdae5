//! `POST /bulk/orders`: history from elsewhere, streamed in, loaded with COPY in transactions of some thousand records.

use axum::body::Body;
use emporium_event_bus::Outbox;
use emporium_service_kit::bulk::{BulkSummary, Records};
use emporium_service_kit::{Currency, Db};
use serde::Deserialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::model::{Address, ChargeKind, ChargeRow, Fulfilment, LineRow, Source};
use crate::store::bulk as store;
use emporium_service_kit::Problem;

/// Records in one transaction.
const CHUNK: usize = 2_000;
/// Lines of one record.
const LINES_MAX: usize = 5_000;
/// Amounts are bounded, so that no sum of a record can overflow.
const AMOUNT_MAX: i64 = 1_000_000_000_000;
const QUANTITY_MAX: i64 = 1_000_000_000;
const TEXT_MAX: usize = 500;

/// One line of the stream.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "record", rename_all = "lowercase")]
pub enum Record {
    /// A confirmed order.
    Order(OrderRecord),
    /// Money given back.
    Refund(RefundRecord),
}

/// A confirmed order.
#[derive(Debug, Deserialize, ToSchema)]
pub struct OrderRecord {
    /// Its identity: what is there already stays as it is.
    pub id: Uuid,
    /// For people.
    pub number: String,
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
    pub reference: Option<String>,
    /// ISO 4217.
    #[schema(value_type = String)]
    pub currency: Currency,
    /// What was bought.
    pub lines: Vec<LineRecord>,
    /// Postage, discounts and the like.
    #[serde(default)]
    pub charges: Vec<ChargeRecord>,
    /// Where it went, and who paid.
    pub shipping_address: Option<Address>,
}

/// Money given back.
#[derive(Debug, Deserialize, ToSchema)]
pub struct RefundRecord {
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
    pub reference: Option<String>,
    /// ISO 4217.
    #[schema(value_type = String)]
    pub currency: Currency,
    /// Minor units, not negative.
    pub amount: i64,
    /// What was given back.
    #[serde(default)]
    pub lines: Vec<LineRecord>,
    /// Other amounts.
    #[serde(default)]
    pub charges: Vec<ChargeRecord>,
}

/// A line of an order or a refund.
#[derive(Debug, Deserialize, ToSchema)]
pub struct LineRecord {
    /// The product.
    pub product_id: Uuid,
    /// Its stock-keeping unit.
    pub sku: String,
    /// Its name then.
    pub name: String,
    /// How many, at least 1.
    pub quantity: i64,
    /// Its price then, in minor units, not negative.
    pub unit_price: i64,
}

/// An amount that is not a product's.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ChargeRecord {
    /// What for.
    pub kind: ChargeKind,
    /// As it was called.
    pub name: String,
    /// Minor units; negative amounts reduce the total.
    pub amount: i64,
}

/// A record that was looked over.
#[derive(Debug)]
pub(crate) enum Checked {
    Order(CheckedOrder),
    Refund(CheckedRefund),
}

/// An order whose numbers add up.
#[derive(Debug)]
pub(crate) struct CheckedOrder {
    pub record: OrderRecord,
    pub total: i64,
}

/// A refund with its parts as they are kept.
#[derive(Debug)]
pub(crate) struct CheckedRefund {
    pub record: RefundRecord,
    pub lines: Vec<LineRow>,
    pub charges: Vec<ChargeRow>,
}

/// Loads a stream of records. The next chunk is read while the one before is written.
pub async fn load(db: &Db, outbox: &Outbox, body: Body) -> Result<BulkSummary, Problem> {
    let mut records = Records::<Record>::new(body);
    let mut summary = BulkSummary::default();
    let mut chunk = records.chunk(CHUNK, &mut summary).await?;
    while !chunk.is_empty() {
        let size = chunk.len() as u64;
        let checked = check(std::mem::take(&mut chunk), &mut summary);
        let refused = size - checked.len() as u64;
        let (stored, next) = tokio::join!(
            store::store(db, outbox, &checked),
            records.chunk(CHUNK, &mut summary)
        );
        let loaded = stored.map_err(emporium_service_kit::StoreError::from)?;
        summary.loaded += loaded;
        summary.unchanged += size - refused - loaded;
        outbox.wake();
        chunk = next?;
    }
    // Lines that cannot be read are found a chunk ahead of those whose values are wrong.
    summary.rejected.sort_by_key(|rejection| rejection.line);
    Ok(summary)
}

fn check(chunk: Vec<(u64, Record)>, summary: &mut BulkSummary) -> Vec<Checked> {
    let mut checked = Vec::with_capacity(chunk.len());
    for (line, record) in chunk {
        let result = match record {
            Record::Order(record) => check_order(record).map(Checked::Order),
            Record::Refund(record) => check_refund(record).map(Checked::Refund),
        };
        match result {
            Ok(record) => checked.push(record),
            Err(reason) => summary.reject(line, reason),
        }
    }
    checked
}

fn check_order(record: OrderRecord) -> Result<CheckedOrder, String> {
    check_text("number", &record.number)?;
    check_text_opt("reference", record.reference.as_deref())?;
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
            check_text(name, text)?;
        }
    }
    let total = sum(&record.lines, &record.charges).ok_or("the total is too large")?;
    if total < 0 {
        return Err("the total is negative".to_owned());
    }
    Ok(CheckedOrder { record, total })
}

fn check_refund(mut record: RefundRecord) -> Result<CheckedRefund, String> {
    check_text_opt("reference", record.reference.as_deref())?;
    check_time("at", record.at)?;
    check_lines(&record.lines, &record.charges)?;
    if !(0..=AMOUNT_MAX).contains(&record.amount) {
        return Err("the amount is out of bounds".to_owned());
    }
    let lines = std::mem::take(&mut record.lines)
        .into_iter()
        .map(line_row)
        .collect();
    let charges = std::mem::take(&mut record.charges)
        .into_iter()
        .map(|charge| ChargeRow {
            kind: charge.kind,
            name: charge.name,
            amount: charge.amount,
        })
        .collect();
    Ok(CheckedRefund {
        record,
        lines,
        charges,
    })
}

fn line_row(line: LineRecord) -> LineRow {
    LineRow {
        product_id: line.product_id,
        sku: line.sku,
        name: line.name,
        quantity: line.quantity,
        unit_price: line.unit_price,
    }
}

fn check_lines(lines: &[LineRecord], charges: &[ChargeRecord]) -> Result<(), String> {
    if lines.len() > LINES_MAX || charges.len() > LINES_MAX {
        return Err(format!("there are more than {LINES_MAX} lines"));
    }
    for line in lines {
        check_text("sku", &line.sku)?;
        check_text("name", &line.name)?;
        if !(1..=QUANTITY_MAX).contains(&line.quantity) {
            return Err("a quantity is out of bounds".to_owned());
        }
        if !(0..=AMOUNT_MAX).contains(&line.unit_price) {
            return Err("a unit price is out of bounds".to_owned());
        }
    }
    for charge in charges {
        check_text("name", &charge.name)?;
        if !(-AMOUNT_MAX..=AMOUNT_MAX).contains(&charge.amount) {
            return Err("a charge is out of bounds".to_owned());
        }
    }
    Ok(())
}

fn sum(lines: &[LineRecord], charges: &[ChargeRecord]) -> Option<i64> {
    let mut total = 0_i64;
    for line in lines {
        total = total.checked_add(line.unit_price.checked_mul(line.quantity)?)?;
    }
    for charge in charges {
        total = total.checked_add(charge.amount)?;
    }
    (total <= AMOUNT_MAX).then_some(total)
}

fn check_text(name: &str, text: &str) -> Result<(), String> {
    if text.len() > TEXT_MAX {
        return Err(format!("{name} is longer than {TEXT_MAX} bytes"));
    }
    if text.chars().any(char::is_control) {
        return Err(format!("{name} holds control characters"));
    }
    Ok(())
}

fn check_text_opt(name: &str, text: Option<&str>) -> Result<(), String> {
    text.map_or(Ok(()), |text| check_text(name, text))
}

/// Years that both PostgreSQL and UUIDv7 can keep.
fn check_time(name: &str, at: OffsetDateTime) -> Result<(), String> {
    if (1970..=9_998).contains(&at.year()) {
        return Ok(());
    }
    Err(format!("{name} is out of bounds"))
}
