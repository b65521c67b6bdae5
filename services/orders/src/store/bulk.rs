//! Loading history: one transaction a chunk, COPY into the tables, events with their original time.

use std::collections::{HashMap, HashSet};

use emporium_event_bus::{NewEvent, Outbox};
use emporium_service_kit::bulk::CopyRows;
use emporium_service_kit::{Db, Money, Tx};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use uuid::{Builder, Uuid};

use crate::bulk::{Checked, CheckedOrder, CheckedRefund};
use crate::events::{EventCharge, EventLine, OrderConfirmed, OrderRefunded};
use crate::model::{Fulfilment, LineRow, Source, Status};

/// Bulk loads queue on this advisory lock, so that none can write a record between another's look and its COPY.
const LOCK: i64 = 0x6f72_6465_7273; // "orders"

/// Stores the records that are new; gives how many.
pub async fn store(db: &Db, outbox: &Outbox, records: &[Checked]) -> Result<u64, sqlx::Error> {
    let mut tx = db.begin().await?;
    // A chunk on a busy machine may take longer than a request's statement.
    sqlx::query("SET LOCAL statement_timeout = 0")
        .execute(&mut tx)
        .await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(LOCK)
        .execute(&mut tx)
        .await?;
    let orders = new_orders(&mut tx, records).await?;
    let refunds = new_refunds(&mut tx, records).await?;
    let mut events = copy_orders(&mut tx, &orders).await?;
    events.extend(copy_refunds(&mut tx, &refunds).await?);
    outbox.write_bulk(&mut tx, &events).await?;
    tx.commit().await?;
    Ok((orders.len() + refunds.len()) as u64)
}

async fn new_orders<'a>(tx: &mut Tx, records: &'a [Checked]) -> Result<Vec<&'a CheckedOrder>, sqlx::Error> {
    let orders: Vec<&CheckedOrder> = records
        .iter()
        .filter_map(|record| match record {
            Checked::Order(order) => Some(order),
            Checked::Refund(_) => None,
        })
        .collect();
    let ids: Vec<Uuid> = orders.iter().map(|order| order.record.id).collect();
    let known: Vec<Uuid> = sqlx::query_scalar("SELECT id FROM orders_order WHERE id = ANY ($1)")
        .bind(ids)
        .fetch_all(tx)
        .await?;
    let mut seen: HashSet<Uuid> = known.into_iter().collect();
    Ok(orders
        .into_iter()
        .filter(|order| seen.insert(order.record.id))
        .collect())
}

async fn new_refunds<'a>(tx: &mut Tx, records: &'a [Checked]) -> Result<Vec<&'a CheckedRefund>, sqlx::Error> {
    let refunds: Vec<&CheckedRefund> = records
        .iter()
        .filter_map(|record| match record {
            Checked::Refund(refund) => Some(refund),
            Checked::Order(_) => None,
        })
        .collect();
    let ids: Vec<Uuid> = refunds.iter().map(|refund| refund.record.id).collect();
    let known: Vec<Uuid> = sqlx::query_scalar("SELECT id FROM orders_refund WHERE id = ANY ($1)")
        .bind(ids)
        .fetch_all(tx)
        .await?;
    let mut seen: HashSet<Uuid> = known.into_iter().collect();
    Ok(refunds
        .into_iter()
        .filter(|refund| seen.insert(refund.record.id))
        .collect())
}

async fn copy_orders(tx: &mut Tx, orders: &[&CheckedOrder]) -> Result<Vec<NewEvent>, sqlx::Error> {
    let (mut heads, mut lines, mut charges) = (CopyRows::default(), CopyRows::default(), CopyRows::default());
    let mut events = Vec::with_capacity(orders.len());
    for order in orders {
        head(&mut heads, order);
        let record = &order.record;
        for (n, line) in (1_i32..).zip(&record.lines) {
            lines.plain(record.id).plain(n).plain(line.product_id);
            lines.text(&line.sku).text(&line.name);
            lines.plain(line.quantity).plain(line.unit_price).end_row();
        }
        for (n, charge) in (1_i32..).zip(&record.charges) {
            charges.plain(record.id).plain(n).plain(charge.kind.as_str());
            charges.text(&charge.name).plain(charge.amount).end_row();
        }
        events.push(confirmed(order)?);
    }
    copy(tx, COPY_ORDERS, &heads).await?;
    copy(tx, COPY_LINES, &lines).await?;
    copy(tx, COPY_CHARGES, &charges).await?;
    Ok(events)
}

const COPY_ORDERS: &str = "COPY orders_order (id, number, customer_id, status, fulfilment, currency, total,
    shipping_address, billing_address, placed_at, updated_at, source, reference, version) FROM STDIN";
const COPY_LINES: &str =
    "COPY orders_line (order_id, position, product_id, sku, name, quantity, unit_price) FROM STDIN";
const COPY_CHARGES: &str = "COPY orders_charge (order_id, position, kind, name, amount) FROM STDIN";
const COPY_REFUNDS: &str =
    "COPY orders_refund (id, order_id, customer_id, at, source, reference, currency, amount,
    lines, charges) FROM STDIN";

async fn copy(tx: &mut Tx, sql: &str, rows: &CopyRows) -> Result<(), sqlx::Error> {
    if !rows.is_empty() {
        tx.copy_in(sql, rows.as_bytes()).await?;
    }
    Ok(())
}

fn head(rows: &mut CopyRows, order: &CheckedOrder) {
    let record = &order.record;
    rows.plain(record.id)
        .text(&record.number)
        .plain_opt(record.customer_id)
        .plain("confirmed")
        .plain(fulfilment(record.fulfilment));
    rows.plain(record.currency).plain(order.total);
    let address = record
        .shipping_address
        .as_ref()
        .and_then(|address| serde_json::to_string(address).ok());
    rows.text_opt(address.as_deref()).text_opt(address.as_deref());
    rows.time(record.placed_at)
        .time(record.placed_at)
        .plain(source(record.source))
        .text_opt(record.reference.as_deref())
        .plain(1)
        .end_row();
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
fn confirmed(order: &CheckedOrder) -> Result<NewEvent, sqlx::Error> {
    let record = &order.record;
    let line = |line: &crate::bulk::LineRecord| EventLine {
        product_id: line.product_id,
        quantity: line.quantity,
        unit_price: line.unit_price,
    };
    let charge = |charge: &crate::bulk::ChargeRecord| EventCharge {
        kind: charge.kind,
        name: charge.name.clone(),
        amount: charge.amount,
    };
    let data = OrderConfirmed {
        order_id: record.id,
        customer_id: record.customer_id,
        status: Status::Confirmed,
        lines: record.lines.iter().map(line).collect(),
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
    NewEvent::at(id, record.placed_at, record.id, 1, &data).map_err(|error| sqlx::Error::Encode(error.into()))
}

async fn copy_refunds(tx: &mut Tx, refunds: &[&CheckedRefund]) -> Result<Vec<NewEvent>, sqlx::Error> {
    if refunds.is_empty() {
        return Ok(Vec::new());
    }
    let mut versions = bump_versions(tx, refunds).await?;
    let mut rows = CopyRows::default();
    let mut events = Vec::with_capacity(refunds.len());
    for refund in refunds {
        let record = &refund.record;
        rows.plain(record.id)
            .plain_opt(record.order_id)
            .plain_opt(record.customer_id)
            .time(record.at)
            .plain(source(record.source))
            .text_opt(record.reference.as_deref());
        rows.plain(record.currency)
            .plain(record.amount)
            .json(&refund.lines)
            .json(&refund.charges)
            .end_row();
        // Several refunds of one order in a chunk take the versions up to the order's last one.
        let version = record.order_id.and_then(|id| versions.get_mut(&id));
        let version = version.map_or(1, |next| {
            *next += 1;
            *next
        });
        events.push(refunded(refund, version)?);
    }
    copy(tx, COPY_REFUNDS, &rows).await?;
    Ok(events)
}

/// Raises the version of each refunded order by the number of its refunds; gives the versions before. The rows stay locked
/// until the events are written.
async fn bump_versions(tx: &mut Tx, refunds: &[&CheckedRefund]) -> Result<HashMap<Uuid, i64>, sqlx::Error> {
    let mut counts: HashMap<Uuid, i64> = HashMap::new();
    for id in refunds.iter().filter_map(|refund| refund.record.order_id) {
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

fn refunded(refund: &CheckedRefund, version: i64) -> Result<NewEvent, sqlx::Error> {
    let record = &refund.record;
    let line = |line: &LineRow| EventLine {
        product_id: line.product_id,
        quantity: line.quantity,
        unit_price: line.unit_price,
    };
    let data = OrderRefunded {
        refund_id: record.id,
        order_id: record.order_id,
        customer_id: record.customer_id,
        amount: Money::new(record.amount, record.currency),
        lines: refund.lines.iter().map(line).collect(),
        version,
    };
    let subject = record.order_id.unwrap_or(record.id);
    let id = event_id("order.refunded", record.id, record.at);
    NewEvent::at(id, record.at, subject, version, &data).map_err(|error| sqlx::Error::Encode(error.into()))
}

/// A UUIDv7 whose time is the event's and whose other bits come from what it tells of: the same record gives the same id.
fn event_id(kind: &str, id: Uuid, at: OffsetDateTime) -> Uuid {
    let millis = u64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
    let digest = Sha256::new().chain_update(kind).chain_update(id).finalize();
    let mut bits = [0; 10];
    bits.copy_from_slice(&digest[..10]);
    Builder::from_unix_timestamp_millis(millis, &bits).into_uuid()
}
