//! What reconciling compares.

use emporium_service_kit::days::Days;
use emporium_service_kit::{Currency, Db, Money, StoreError};
use sqlx::FromRow;
use time::Date;

use super::live;
use crate::model::{OrdersOfDay, PaymentsOfDay, RefundsOfDay, TOTALS_ROWS_MAX, Totals};

const ORDERS: &str = concat!(
    "SELECT day, nullif(country, '') AS country, currency, orders, gross AS total
     FROM analytics_sales_day WHERE generation = ",
    live!(),
    " AND day BETWEEN $1 AND $2 AND (orders <> 0 OR gross <> 0) ORDER BY 1, 2, 3 LIMIT $3"
);
const REFUNDS: &str = concat!(
    "SELECT (at AT TIME ZONE 'UTC')::date AS day, currency, count(*) AS refunds, sum(amount)::bigint AS amount
     FROM analytics_refund WHERE generation = ",
    live!(),
    " AND at >= $1 AND at < $2 GROUP BY 1, 2 ORDER BY 1, 2 LIMIT $3"
);
const PAYMENTS: &str = concat!(
    "SELECT day, currency, succeeded, succeeded_amount, refunded, refunded_amount
     FROM analytics_payment_day WHERE generation = ",
    live!(),
    " AND day BETWEEN $1 AND $2
       AND (succeeded <> 0 OR succeeded_amount <> 0 OR refunded <> 0 OR refunded_amount <> 0)
     ORDER BY 1, 2 LIMIT $3"
);
const EXTENT: &str = concat!(
    "SELECT least(s.first, (r.first AT TIME ZONE 'UTC')::date, p.first), greatest(s.last, (r.last AT TIME ZONE 'UTC')::date, p.last)
     FROM (SELECT min(day) AS first, max(day) AS last FROM analytics_sales_day
           WHERE (orders <> 0 OR gross <> 0) AND generation = ",
    live!(),
    ") AS s, (SELECT min(at) AS first, max(at) AS last FROM analytics_refund WHERE generation = ",
    live!(),
    ") AS r, (SELECT min(day) AS first, max(day) AS last FROM analytics_payment_day
              WHERE (succeeded <> 0 OR succeeded_amount <> 0 OR refunded <> 0 OR refunded_amount <> 0) AND generation = ",
    live!(),
    ") AS p"
);

#[derive(FromRow)]
struct OrdersRow {
    day: Date,
    country: Option<String>,
    currency: String,
    orders: i64,
    total: i64,
}

#[derive(FromRow)]
struct RefundsRow {
    day: Date,
    currency: String,
    refunds: i64,
    amount: i64,
}

#[derive(FromRow)]
struct PaymentsRow {
    day: Date,
    currency: String,
    succeeded: i64,
    succeeded_amount: i64,
    refunded: i64,
    refunded_amount: i64,
}

pub(super) async fn totals(db: &Db, days: Days) -> Result<Option<Totals>, StoreError> {
    let limit = i64::try_from(TOTALS_ROWS_MAX)
        .unwrap_or(i64::MAX)
        .saturating_add(1);
    let mut tx = db.begin().await?;
    sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        .execute(&mut tx)
        .await?;
    let (first_day, last_day) = sqlx::query_as(EXTENT).fetch_one(&mut tx).await?;
    let orders: Vec<OrdersRow> = sqlx::query_as(ORDERS)
        .bind(days.from)
        .bind(days.to)
        .bind(limit)
        .fetch_all(&mut tx)
        .await?;
    let refunds: Vec<RefundsRow> = sqlx::query_as(REFUNDS)
        .bind(days.start())
        .bind(days.end())
        .bind(limit)
        .fetch_all(&mut tx)
        .await?;
    let payments: Vec<PaymentsRow> = sqlx::query_as(PAYMENTS)
        .bind(days.from)
        .bind(days.to)
        .bind(limit)
        .fetch_all(&mut tx)
        .await?;
    tx.commit().await?;
    let lengths = [orders.len(), refunds.len(), payments.len()];
    if lengths.into_iter().any(|length| length > TOTALS_ROWS_MAX) {
        return Ok(None);
    }
    Ok(Some(Totals {
        from: days.from,
        to: days.to,
        first_day,
        last_day,
        orders: orders.into_iter().map(OrdersOfDay::from).collect(),
        refunds: refunds.into_iter().map(RefundsOfDay::from).collect(),
        payments: payments.into_iter().map(PaymentsOfDay::from).collect(),
    }))
}

/// What was read from an event is a currency.
fn money(amount: i64, currency: &str) -> Money {
    Money::new(amount, currency.parse().unwrap_or(Currency::GBP))
}

impl From<OrdersRow> for OrdersOfDay {
    fn from(row: OrdersRow) -> Self {
        Self {
            day: row.day,
            country: row.country,
            orders: row.orders,
            total: money(row.total, &row.currency),
        }
    }
}

impl From<RefundsRow> for RefundsOfDay {
    fn from(row: RefundsRow) -> Self {
        Self {
            day: row.day,
            refunds: row.refunds,
            amount: money(row.amount, &row.currency),
        }
    }
}

impl From<PaymentsRow> for PaymentsOfDay {
    fn from(row: PaymentsRow) -> Self {
        Self {
            day: row.day,
            succeeded: row.succeeded,
            succeeded_amount: money(row.succeeded_amount, &row.currency),
            refunded: row.refunded,
            refunded_amount: money(row.refunded_amount, &row.currency),
        }
    }
}
