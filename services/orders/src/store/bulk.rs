//! Loading history: one transaction a chunk, COPY into the tables, events with their original time.

use std::collections::{HashMap, HashSet};

use emporium_event_bus::{NewEvent, Outbox};
use emporium_service_kit::bulk::BinaryRows;
use emporium_service_kit::db::BULK_STATEMENT_TIMEOUT;
use emporium_service_kit::{Db, Money, Tx};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use uuid::{Builder, Uuid};

use crate::bulk::{ChargeRecord, CheckedOrder, LineRecord, RefundRecord};
use crate::events::{EventCharge, EventLine, OrderConfirmed, OrderRefunded};
use crate::model::{ChargeRow, Fulfilment, LineRow, Source, Status};

/// Bulk loads queue on this advisory lock, so that none can write a record between another's look and its COPY.
const LOCK: i64 = 0x6f72_6465_7273; // "orders"

/// A record in the forms that it is stored in.
pub(crate) enum Staged {
    /// A confirmed order.
    Order(StagedOrder),
    /// Money given back; its event has to wait for its version.
    Refund(StagedRefund),
}

/// An order as rows of its tables, and its event.
pub(crate) struct StagedOrder {
    id: Uuid,
    head: BinaryRows,
    lines: BinaryRows,
    charges: BinaryRows,
    event: NewEvent,
}

/// A refund with its parts as they are kept.
pub(crate) struct StagedRefund {
    id: Uuid,
    order_id: Option<Uuid>,
    at: OffsetDateTime,
    row: BinaryRows,
    event: OrderRefunded,
}

/// Writes an order down as it is stored.
pub fn stage_order(order: &CheckedOrder<'_>) -> Result<Staged, serde_json::Error> {
    let record = &order.record;
    let (mut lines, mut charges) = (BinaryRows::default(), BinaryRows::default());
    for (n, line) in (1..).zip(&record.lines) {
        let row = lines.row(7).uuid(record.id).integer(n).uuid(line.product_id);
        row.text(&line.sku).text(&line.name);
        row.bigint(line.quantity).bigint(line.unit_price);
    }
    for (n, charge) in (1..).zip(&record.charges) {
        let row = charges.row(5).uuid(record.id).integer(n);
        row.text(charge.kind.as_str())
            .text(&charge.name)
            .bigint(charge.amount);
    }
    Ok(Staged::Order(StagedOrder {
        id: record.id,
        head: head(order)?,
        lines,
        charges,
        event: confirmed(order)?,
    }))
}

/// Writes a refund down as it is stored.
pub fn stage_refund(record: RefundRecord<'_>) -> Result<Staged, serde_json::Error> {
    let event = OrderRefunded {
        refund_id: record.id,
        order_id: record.order_id,
        customer_id: record.customer_id,
        amount: Money::new(record.amount, record.currency),
        lines: record.lines.iter().map(event_line).collect(),
        version: 1,
    };
    let charges: Vec<ChargeRow> = record.charges.into_iter().map(ChargeRow::from).collect();
    let lines: Vec<LineRow> = record.lines.into_iter().map(LineRow::from).collect();
    let mut rows = BinaryRows::default();
    let row = rows.row(10).uuid(record.id).uuid_opt(record.order_id);
    row.uuid_opt(record.customer_id).time(record.at);
    row.text(source(record.source))
        .text_opt(record.reference.as_deref());
    row.text(record.currency.as_str()).bigint(record.amount);
    row.jsonb(&serde_json::to_string(&lines)?)
        .jsonb(&serde_json::to_string(&charges)?);
    Ok(Staged::Refund(StagedRefund {
        id: record.id,
        order_id: record.order_id,
        at: record.at,
        row: rows,
        event,
    }))
}

/// Stores the records that are new; gives how many.
pub async fn store(db: &Db, outbox: &Outbox, records: Vec<Staged>) -> Result<u64, sqlx::Error> {
    let (mut orders, mut refunds) = (Vec::with_capacity(records.len()), Vec::new());
    for record in records {
        match record {
            Staged::Order(order) => orders.push(order),
            Staged::Refund(refund) => refunds.push(refund),
        }
    }
    let mut tx = db.begin().await?;
    // A chunk on a busy machine may take longer than a request's statement.
    tx.allow(BULK_STATEMENT_TIMEOUT).await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(LOCK)
        .execute(&mut tx)
        .await?;
    let ids = orders.iter().map(|order| order.id).collect();
    let sql = "SELECT id FROM orders_order WHERE id = ANY ($1)";
    let mut seen = known(&mut tx, sql, ids).await?;
    orders.retain(|order| seen.insert(order.id));
    let ids = refunds.iter().map(|refund| refund.id).collect();
    let sql = "SELECT id FROM orders_refund WHERE id = ANY ($1)";
    let mut seen = known(&mut tx, sql, ids).await?;
    refunds.retain(|refund| seen.insert(refund.id));
    let loaded = orders.len() + refunds.len();
    let mut events = copy_orders(&mut tx, orders).await?;
    events.extend(copy_refunds(&mut tx, refunds).await?);
    outbox.write_bulk(&mut tx, &events).await?;
    tx.commit().await?;
    Ok(loaded as u64)
}

async fn known(tx: &mut Tx, sql: &'static str, ids: Vec<Uuid>) -> Result<HashSet<Uuid>, sqlx::Error> {
    let known: Vec<Uuid> = sqlx::query_scalar(sql).bind(ids).fetch_all(tx).await?;
    Ok(known.into_iter().collect())
}

async fn copy_orders(tx: &mut Tx, orders: Vec<StagedOrder>) -> Result<Vec<NewEvent>, sqlx::Error> {
    let (mut heads, mut lines, mut charges) = <(BinaryRows, BinaryRows, BinaryRows)>::default();
    let mut events = Vec::with_capacity(orders.len());
    for order in orders {
        heads.append(&order.head);
        lines.append(&order.lines);
        charges.append(&order.charges);
        events.push(order.event);
    }
    copy(tx, COPY_ORDERS, heads).await?;
    copy(tx, COPY_LINES, lines).await?;
    copy(tx, COPY_CHARGES, charges).await?;
    Ok(events)
}

const COPY_ORDERS: &str = "COPY orders_order (id, number, customer_id, status, fulfilment, currency, total,
    shipping_address, billing_address, placed_at, updated_at, source, reference, version) FROM STDIN WITH (FORMAT binary)";
const COPY_LINES: &str = "COPY orders_line (order_id, position, product_id, sku, name, quantity, unit_price)
    FROM STDIN WITH (FORMAT binary)";
const COPY_CHARGES: &str =
    "COPY orders_charge (order_id, position, kind, name, amount) FROM STDIN WITH (FORMAT binary)";
const COPY_REFUNDS: &str =
    "COPY orders_refund (id, order_id, customer_id, at, source, reference, currency, amount,
    lines, charges) FROM STDIN WITH (FORMAT binary)";

async fn copy(tx: &mut Tx, sql: &str, rows: BinaryRows) -> Result<(), sqlx::Error> {
    if !rows.is_empty() {
        tx.copy_in(sql, rows.finish()).await?;
    }
    Ok(())
}

fn head(order: &CheckedOrder<'_>) -> Result<BinaryRows, serde_json::Error> {
    let record = &order.record;
    let mut rows = BinaryRows::default();
    let row = rows.row(14).uuid(record.id).text(&record.number);
    row.uuid_opt(record.customer_id)
        .text("confirmed")
        .text(fulfilment(record.fulfilment));
    row.text(record.currency.as_str()).bigint(order.total);
    match &record.shipping_address {
        Some(address) => {
            let json = serde_json::to_string(address)?;
            row.jsonb(&json).jsonb(&json);
        }
        None => {
            row.null().null();
        }
    }
    row.time(record.placed_at).time(record.placed_at);
    row.text(source(record.source))
        .text_opt(record.reference.as_deref());
    row.bigint(1);
    Ok(rows)
}

fn fulfilment(value: Fulfilment) -> &'static str {
    match value {
        Fulfilment::None => "none",
        Fulfilment::Shipped => "shipped",
        Fulfilment::Delivered => "delivered",
        Fulfilment::Returned => "returned",
    }
}

fn source(value: Source) -> &'static str {
    match value {
        Source::Shop => "shop",
        Source::Seed => "seed",
        Source::OnlineRetail => "online-retail",
    }
}

/// One event for a loaded order: it was never anything but confirmed here.
fn confirmed(order: &CheckedOrder<'_>) -> Result<NewEvent, serde_json::Error> {
    let record = &order.record;
    let charge = |charge: &ChargeRecord<'_>| EventCharge {
        kind: charge.kind,
        name: charge.name.clone().into_owned(),
        amount: charge.amount,
    };
    let data = OrderConfirmed {
        order_id: record.id,
        customer_id: record.customer_id,
        status: Status::Confirmed,
        lines: record.lines.iter().map(event_line).collect(),
        charges: record.charges.iter().map(charge).collect(),
        total: Money::new(order.total, record.currency),
        placed_at: record.placed_at,
        country: record
            .shipping_address
            .as_ref()
            .map(|address| address.country.clone()),
        reason: None,
        source: record.source,
        version: 1,
    };
    let id = event_id("order.confirmed", record.id, record.placed_at);
    NewEvent::at(id, record.placed_at, record.id, 1, &data)
}

fn event_line(line: &LineRecord<'_>) -> EventLine {
    EventLine {
        product_id: line.product_id,
        quantity: line.quantity,
        unit_price: line.unit_price,
    }
}

impl From<LineRecord<'_>> for LineRow {
    fn from(line: LineRecord<'_>) -> Self {
        Self {
            product_id: line.product_id,
            sku: line.sku.into_owned(),
            name: line.name.into_owned(),
            quantity: line.quantity,
            unit_price: line.unit_price,
        }
    }
}

impl From<ChargeRecord<'_>> for ChargeRow {
    fn from(charge: ChargeRecord<'_>) -> Self {
        Self {
            kind: charge.kind,
            name: charge.name.into_owned(),
            amount: charge.amount,
        }
    }
}

async fn copy_refunds(tx: &mut Tx, refunds: Vec<StagedRefund>) -> Result<Vec<NewEvent>, sqlx::Error> {
    if refunds.is_empty() {
        return Ok(Vec::new());
    }
    let mut versions = bump_versions(tx, &refunds).await?;
    let mut rows = BinaryRows::default();
    let mut events = Vec::with_capacity(refunds.len());
    for mut refund in refunds {
        rows.append(&refund.row);
        // Several refunds of one order in a chunk take the versions up to the order's last one.
        if let Some(next) = refund.order_id.and_then(|id| versions.get_mut(&id)) {
            *next += 1;
            refund.event.version = *next;
        }
        events.push(refunded(&refund).map_err(|error| sqlx::Error::Encode(error.into()))?);
    }
    copy(tx, COPY_REFUNDS, rows).await?;
    Ok(events)
}

/// Raises the version of each refunded order by the number of its refunds; gives the versions before. The rows stay locked
/// until the events are written.
async fn bump_versions(tx: &mut Tx, refunds: &[StagedRefund]) -> Result<HashMap<Uuid, i64>, sqlx::Error> {
    let mut counts: HashMap<Uuid, i64> = HashMap::new();
    for id in refunds.iter().filter_map(|refund| refund.order_id) {
        *counts.entry(id).or_default() += 1;
    }
    let (ids, by): (Vec<Uuid>, Vec<i64>) = counts.into_iter().unzip();
    let before: Vec<(Uuid, i64)> = sqlx::query_as(
        "UPDATE orders_order AS o SET version = o.version + r.n
         FROM unnest($1::uuid[], $2::bigint[]) AS r (id, n) WHERE o.id = r.id RETURNING o.id, o.version - r.n",
    )
    .bind(ids)
    .bind(by)
    .fetch_all(tx)
    .await?;
    Ok(before.into_iter().collect())
}

fn refunded(refund: &StagedRefund) -> Result<NewEvent, serde_json::Error> {
    let subject = refund.order_id.unwrap_or(refund.id);
    let id = event_id("order.refunded", refund.id, refund.at);
    NewEvent::at(id, refund.at, subject, refund.event.version, &refund.event)
}

/// A UUIDv7 whose time is the event's and whose other bits come from what it tells of: the same record gives the same id.
fn event_id(kind: &str, id: Uuid, at: OffsetDateTime) -> Uuid {
    let millis = u64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
    let digest = Sha256::new().chain_update(kind).chain_update(id).finalize();
    let mut bits = [0; 10];
    bits.copy_from_slice(&digest[..10]);
    Builder::from_unix_timestamp_millis(millis, &bits).into_uuid()
}
