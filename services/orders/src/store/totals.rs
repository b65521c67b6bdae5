//! What orders come to, day by day, from the tables of record: what `emporium reconcile` holds the projections against.

use emporium_service_kit::days::{Days, day};
use emporium_service_kit::{Currency, Db, Money, Problem, StoreError};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use time::Date;
use utoipa::ToSchema;

/// The days that one answer may span.
pub const DAYS_MAX: i64 = 366;
/// The rows that each of its lists may have; a day has one for each country and currency.
const ROWS_MAX: i64 = 20_000;

/// What orders and refunds come to.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Totals {
    /// The first day asked for.
    #[serde(with = "day")]
    #[schema(value_type = String, format = Date)]
    pub from: Date,
    /// The last day asked for.
    #[serde(with = "day")]
    #[schema(value_type = String, format = Date)]
    pub to: Date,
    /// The first day there is anything of; null when there is nothing at all.
    #[serde(with = "day::option")]
    #[schema(value_type = Option<String>, format = Date)]
    pub first_day: Option<Date>,
    /// The last day there is anything of.
    #[serde(with = "day::option")]
    #[schema(value_type = Option<String>, format = Date)]
    pub last_day: Option<Date>,
    /// Confirmed orders by the day they were placed on, country and currency; nothing for what has none.
    pub orders: Vec<OrdersOfDay>,
    /// Refunds by day and currency.
    pub refunds: Vec<RefundsOfDay>,
}

/// Confirmed orders of a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrdersOfDay {
    /// The day they were placed on (UTC).
    #[serde(with = "day")]
    #[schema(value_type = String, format = Date)]
    pub day: Date,
    /// The country of the shipping address; null without one.
    pub country: Option<String>,
    /// How many.
    pub orders: i64,
    /// What they come to.
    pub total: Money,
}

/// Refunds of a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RefundsOfDay {
    /// The day of the refund (UTC).
    #[serde(with = "day")]
    #[schema(value_type = String, format = Date)]
    pub day: Date,
    /// How many.
    pub refunds: i64,
    /// What they come to.
    pub amount: Money,
}

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

const ORDERS: &str = "SELECT (placed_at AT TIME ZONE 'UTC')::date AS day, nullif(shipping_address ->> 'country', '') AS country,
        currency, count(*) AS orders, sum(total)::bigint AS total
    FROM orders_order WHERE status = 'confirmed' AND placed_at >= $1 AND placed_at < $2
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3 LIMIT $3";
const REFUNDS: &str = "SELECT (at AT TIME ZONE 'UTC')::date AS day, currency, count(*) AS refunds, sum(amount)::bigint AS amount
    FROM orders_refund WHERE at >= $1 AND at < $2 GROUP BY 1, 2 ORDER BY 1, 2 LIMIT $3";
const EXTENT: &str = "SELECT (least(o.first, r.first) AT TIME ZONE 'UTC')::date, (greatest(o.last, r.last) AT TIME ZONE 'UTC')::date
    FROM (SELECT min(placed_at) AS first, max(placed_at) AS last FROM orders_order WHERE status = 'confirmed') AS o,
         (SELECT min(at) AS first, max(at) AS last FROM orders_refund) AS r";

/// Sums up these days, all at one moment. 422 `range-too-large` when a list would have more than 20,000 rows.
pub async fn totals(db: &Db, days: Days) -> Result<Totals, Problem> {
    let read = read(db, days).await.map_err(StoreError::from)?;
    let ((first_day, last_day), orders, refunds) = read;
    let rows_max = usize::try_from(ROWS_MAX).unwrap_or(usize::MAX);
    if orders.len() > rows_max || refunds.len() > rows_max {
        return Err(Problem::unprocessable(
            "range-too-large",
            "These days come to more than 20000 rows; ask for fewer days.",
        ));
    }
    Ok(Totals {
        from: days.from,
        to: days.to,
        first_day,
        last_day,
        orders: orders.into_iter().map(OrdersOfDay::from).collect(),
        refunds: refunds.into_iter().map(RefundsOfDay::from).collect(),
    })
}

type Extent = (Option<Date>, Option<Date>);

async fn read(db: &Db, days: Days) -> Result<(Extent, Vec<OrdersRow>, Vec<RefundsRow>), sqlx::Error> {
    let mut tx = db.begin().await?;
    sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        .execute(&mut tx)
        .await?;
    let extent = sqlx::query_as(EXTENT).fetch_one(&mut tx).await?;
    let orders = sqlx::query_as(ORDERS)
        .bind(days.start())
        .bind(days.end())
        .bind(ROWS_MAX + 1)
        .fetch_all(&mut tx)
        .await?;
    let refunds = sqlx::query_as(REFUNDS)
        .bind(days.start())
        .bind(days.end())
        .bind(ROWS_MAX + 1)
        .fetch_all(&mut tx)
        .await?;
    tx.commit().await?;
    Ok((extent, orders, refunds))
}

/// The tables' CHECKs allow nothing but three capitals.
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
