//! Revenue by period, category and country; basket sizes; the last hour.

use emporium_service_kit::days::Days;
use emporium_service_kit::{Currency, Db, Money, StoreError};
use sqlx::FromRow;
use time::{Duration, OffsetDateTime};

use super::live;
use crate::model::{Baskets, By, Live, Revenue};
use crate::store::shapes::{BASKETS, Group, arrange, live_of, no_baskets};

/// Orders by `$by` of `analytics_sales_day`, named `key`.
macro_rules! sold {
    ($by:literal) => {
        concat!(
            "SELECT ",
            $by,
            " AS key, sum(placed) AS placed, sum(cancelled) AS cancelled, sum(orders) AS orders, sum(lines) AS lines,
                    sum(units) AS units, sum(gross) AS gross
             FROM analytics_sales_day WHERE generation = ",
            live!(),
            " AND currency = $1 AND day BETWEEN $2 AND $3 GROUP BY 1"
        )
    };
}

/// The columns of a [`Group`] from `sold` and `refunded`.
macro_rules! columns {
    ($place:literal, $key:literal) => {
        concat!(
            "SELECT ",
            $place,
            " AS place, ",
            $key,
            " AS key,
                coalesce(sum(placed), 0)::bigint AS placed, coalesce(sum(cancelled), 0)::bigint AS cancelled,
                coalesce(sum(orders), 0)::bigint AS orders, coalesce(sum(lines), 0)::bigint AS lines,
                coalesce(sum(units), 0)::bigint AS units, coalesce(sum(gross), 0)::bigint AS gross,
                coalesce(sum(refunds), 0)::bigint AS refunds "
        )
    };
}

/// Refunds of the range, whose moments are `$5` to before `$6`.
macro_rules! refunds {
    () => {
        concat!(
            "FROM analytics_refund AS r WHERE r.generation = ",
            live!(),
            " AND r.currency = $1 AND r.at >= $5 AND r.at < $6"
        )
    };
}

/// Every period of the range, those without sales too.
const BY_PERIOD: &str = concat!(
    "WITH span AS (
        SELECT generate_series(date_trunc($4, $2::timestamp), $3::timestamp, ('1 ' || $4)::interval)::date AS key
    ), sold AS (",
    sold!("date_trunc($4, day::timestamp)::date"),
    "), refunded AS (
        SELECT date_trunc($4, r.at AT TIME ZONE 'UTC')::date AS key, sum(r.amount) AS refunds ",
    refunds!(),
    " GROUP BY 1
    ) ",
    columns!("row_number() OVER (ORDER BY key)", "to_char(key, 'YYYY-MM-DD')"),
    "FROM span LEFT JOIN sold USING (key) LEFT JOIN refunded USING (key) GROUP BY key ORDER BY key"
);

/// A refund's country is its order's, where that is known.
const BY_COUNTRY: &str = concat!(
    "WITH sold AS (",
    sold!("country"),
    "), refunded AS (
        SELECT coalesce((SELECT o.country FROM analytics_order AS o
                         WHERE o.generation = r.generation AND o.order_id = r.order_id), '') AS key,
               sum(r.amount) AS refunds ",
    refunds!(),
    " GROUP BY 1
    ), groups AS (
        SELECT *, least(row_number() OVER (ORDER BY coalesce(gross, 0) DESC, key COLLATE \"C\"), $4 + 1) AS place
        FROM sold FULL JOIN refunded USING (key)
    ) ",
    columns!("place", "CASE WHEN place <= $4 THEN nullif(min(key), '') END"),
    "FROM groups GROUP BY place ORDER BY place"
);

/// Products are summed up before they are joined; what the range comes to in all is row 0.
const BY_CATEGORY: &str = concat!(
    "WITH product AS (
        SELECT product_id, sum(lines) AS lines, sum(units) AS units, sum(goods) AS gross, sum(refunded) AS refunds
        FROM analytics_product_day WHERE generation = ",
    live!(),
    " AND currency = $1 AND day BETWEEN $2 AND $3 GROUP BY product_id
    ), sold AS (
        SELECT coalesce(p.category, '') AS key, 0 AS placed, 0 AS cancelled, 0 AS orders,
               sum(s.lines) AS lines, sum(s.units) AS units, sum(s.gross) AS gross, sum(s.refunds) AS refunds
        FROM product AS s LEFT JOIN analytics_product AS p ON p.product_id = s.product_id AND p.generation = ",
    live!(),
    " GROUP BY 1
    ), groups AS (
        SELECT *, least(row_number() OVER (ORDER BY gross DESC, key COLLATE \"C\"), $4 + 1) AS place FROM sold
    ), whole AS (
        SELECT sum(placed) AS placed, sum(cancelled) AS cancelled, sum(orders) AS orders, sum(lines) AS lines,
               sum(units) AS units, sum(gross) AS gross, (SELECT sum(r.amount) ",
    refunds!(),
    ") AS refunds
        FROM (",
    sold!("1"),
    ") AS days
    ) ",
    columns!("place", "CASE WHEN place <= $4 THEN nullif(min(key), '') END"),
    "FROM groups GROUP BY place UNION ALL ",
    columns!("0", "NULL"),
    "FROM whole ORDER BY place"
);

pub(super) async fn revenue(
    db: &Db,
    days: Days,
    currency: Currency,
    by: By,
    limit: u32,
) -> Result<Revenue, StoreError> {
    let rows = match by {
        By::Day => read(db, BY_PERIOD, days, currency, "day").await?,
        By::Week => read(db, BY_PERIOD, days, currency, "week").await?,
        By::Month => read(db, BY_PERIOD, days, currency, "month").await?,
        By::Category => read(db, BY_CATEGORY, days, currency, i64::from(limit)).await?,
        By::Country => read(db, BY_COUNTRY, days, currency, i64::from(limit)).await?,
    };
    arrange(rows, currency, by, limit)
}

async fn read<'q, T>(
    db: &Db,
    sql: &'static str,
    days: Days,
    currency: Currency,
    fourth: T,
) -> Result<Vec<Group>, sqlx::Error>
where
    T: 'q + Send + sqlx::Encode<'q, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    sqlx::query_as(sql)
        .bind(currency.as_str().to_owned())
        .bind(days.from)
        .bind(days.to)
        .bind(fourth)
        .bind(days.start())
        .bind(days.end())
        .fetch_all(db)
        .await
}

const SIZES: &str = concat!(
    "WITH basket AS MATERIALIZED (
        SELECT lines, units, total FROM analytics_order WHERE generation = ",
    live!(),
    " AND currency = $1 AND placed_at >= $2 AND placed_at < $3
    )
    SELECT 'all' AS measure, 0 AS class, count(*) AS orders, avg(lines)::float8 AS mean_lines,
           avg(units)::float8 AS mean_units, round(avg(total))::bigint AS mean_value FROM basket
    UNION ALL
    SELECT 'lines', width_bucket(lines, $4::bigint[]), count(*), NULL, NULL, NULL FROM basket GROUP BY 2
    UNION ALL
    SELECT 'units', width_bucket(units, $4::bigint[]), count(*), NULL, NULL, NULL FROM basket GROUP BY 2"
);

#[derive(FromRow)]
struct SizeRow {
    measure: String,
    class: i32,
    orders: i64,
    mean_lines: Option<f64>,
    mean_units: Option<f64>,
    mean_value: Option<i64>,
}

pub(super) async fn baskets(db: &Db, days: Days, currency: Currency) -> Result<Baskets, StoreError> {
    let rows: Vec<SizeRow> = sqlx::query_as(SIZES)
        .bind(currency.as_str().to_owned())
        .bind(days.start())
        .bind(days.end())
        .bind(&BASKETS[..])
        .fetch_all(db)
        .await?;
    let mut baskets = no_baskets();
    for row in rows {
        // `width_bucket` counts from 1.
        let class = usize::try_from(row.class - 1).unwrap_or_default();
        let into = match row.measure.as_str() {
            "lines" => baskets.by_lines.get_mut(class),
            "units" => baskets.by_units.get_mut(class),
            _ => {
                baskets.orders = row.orders;
                baskets.mean_lines = row.mean_lines;
                baskets.mean_units = row.mean_units;
                baskets.mean_value = row.mean_value.map(|amount| Money::new(amount, currency));
                None
            }
        };
        if let Some(bucket) = into {
            bucket.orders = row.orders;
        }
    }
    Ok(baskets)
}

const LIVE: &str = concat!(
    "SELECT m.minute, coalesce(sum(s.orders), 0)::bigint, coalesce(sum(s.units), 0)::bigint, coalesce(sum(s.gross), 0)::bigint
     FROM generate_series($2::timestamptz, $3::timestamptz, interval '1 minute') AS m (minute)
     LEFT JOIN analytics_sales_minute AS s ON s.minute = m.minute AND s.currency = $1 AND s.generation = ",
    live!(),
    " AND s.minute BETWEEN $2 AND $3
     GROUP BY m.minute ORDER BY m.minute"
);

pub(super) async fn live(db: &Db, now: OffsetDateTime, currency: Currency) -> Result<Live, StoreError> {
    let last = now.truncate_to_minute();
    let rows: Vec<(OffsetDateTime, i64, i64, i64)> = sqlx::query_as(LIVE)
        .bind(currency.as_str().to_owned())
        .bind(last - Duration::minutes(59))
        .bind(last)
        .fetch_all(db)
        .await?;
    live_of(rows, currency)
}
