//! The private PostgreSQL database. Tables carry the prefix `orders_`, and no statement names a schema.

pub mod bulk;
pub mod create;
pub mod customers;
pub mod due;
pub mod idempotency;
pub mod progress;
pub mod saga;
pub mod totals;

use sqlx::Postgres;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::model::{Order, OrderRow, Status};

/// Orders with everything that belongs to them, in one statement: lines, charges and refunds come as JSON, each through
/// its index, so a page costs one round trip.
macro_rules! select_orders {
    ($timeline:literal, $rest:literal) => {
        concat!(
            "SELECT o.id, o.number, o.customer_id, o.status, o.fulfilment, o.currency, o.total, o.points,
                    o.shipping_address, o.billing_address, o.placed_at, o.updated_at, o.reason, o.source, o.reference,
                    o.version,
                    (SELECT coalesce(json_agg(json_build_object('product_id', l.product_id, 'sku', l.sku, 'name', l.name,
                              'quantity', l.quantity, 'unit_price', l.unit_price) ORDER BY l.position), '[]')
                     FROM orders_line AS l WHERE l.order_id = o.id) AS lines,
                    (SELECT coalesce(json_agg(json_build_object('kind', c.kind, 'name', c.name, 'amount', c.amount)
                              ORDER BY c.position), '[]')
                     FROM orders_charge AS c WHERE c.order_id = o.id) AS charges,
                    (SELECT coalesce(sum(r.amount), 0)::bigint FROM orders_refund AS r WHERE r.order_id = o.id) AS refunded, ",
            $timeline,
            " AS timeline FROM orders_order AS o ",
            $rest
        )
    };
}

/// The place of an order in a list: when it was placed, in microseconds since 1970, and its id.
pub type Position = (i64, Uuid);

/// Which orders a list holds.
#[derive(Debug, Clone, Copy)]
pub struct Filter {
    /// Only this customer's.
    pub customer_id: Option<Uuid>,
    /// Only those that have come this far.
    pub status: Option<Status>,
}

/// One order with its timeline.
pub async fn find<'e>(
    executor: impl sqlx::Executor<'e, Database = Postgres>,
    id: Uuid,
) -> Result<Option<Order>, sqlx::Error> {
    let row: Option<OrderRow> = sqlx::query_as(select_orders!(
        "(SELECT coalesce(json_agg(json_build_object('step', s.step, 'state', s.state, 'at', s.at, 'detail', s.detail)
                   ORDER BY s.seq), '[]') FROM orders_step AS s WHERE s.order_id = o.id)",
        "WHERE o.id = $1"
    ))
    .bind(id)
    .fetch_optional(executor)
    .await?;
    Ok(row.map(Order::from))
}

/// Orders, newest first, beginning after `after`. Each combination has a statement of its own, so that each has its index.
pub async fn list<'e>(
    executor: impl sqlx::Executor<'e, Database = Postgres>,
    filter: Filter,
    after: Option<Position>,
    limit: i64,
) -> Result<Vec<Order>, sqlx::Error> {
    let sql = match (filter.customer_id, filter.status) {
        (Some(_), Some(_)) => select_orders!(
            "NULL::json",
            "WHERE o.customer_id = $1 AND o.status = $2 AND (o.placed_at, o.id) < ($3, $4)
             ORDER BY o.placed_at DESC, o.id DESC LIMIT $5"
        ),
        (Some(_), None) => select_orders!(
            "NULL::json",
            "WHERE o.customer_id = $1 AND ($2::text IS NULL) AND (o.placed_at, o.id) < ($3, $4)
             ORDER BY o.placed_at DESC, o.id DESC LIMIT $5"
        ),
        (None, Some(_)) => select_orders!(
            "NULL::json",
            "WHERE ($1::uuid IS NULL) AND o.status = $2 AND (o.placed_at, o.id) < ($3, $4)
             ORDER BY o.placed_at DESC, o.id DESC LIMIT $5"
        ),
        (None, None) => select_orders!(
            "NULL::json",
            "WHERE ($1::uuid IS NULL) AND ($2::text IS NULL) AND (o.placed_at, o.id) < ($3, $4)
             ORDER BY o.placed_at DESC, o.id DESC LIMIT $5"
        ),
    };
    let (at, id) = after.map_or((LAST, Uuid::max()), |(micros, id)| (moment(micros), id));
    let rows: Vec<OrderRow> = sqlx::query_as(sql)
        .bind(filter.customer_id)
        .bind(filter.status)
        .bind(at)
        .bind(id)
        .bind(limit)
        .fetch_all(executor)
        .await?;
    Ok(rows.into_iter().map(Order::from).collect())
}

/// The list position of an order.
pub fn position(order: &Order) -> Position {
    let micros = order.placed_at.unix_timestamp_nanos() / 1_000;
    (i64::try_from(micros).unwrap_or(i64::MAX), order.id)
}

/// Later than every order.
const LAST: OffsetDateTime = time::macros::datetime!(9999-12-31 0:00 UTC);

/// Cursors come from outside, so what is no moment is just very late.
fn moment(micros: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).unwrap_or(LAST)
}
