//! What is asked of orders one by one: basket sizes, the last hour, cohorts, who came back. Each is one scan of the confirmed
//! orders, which are ordered by time.

use std::collections::HashMap;

use clickhouse::Row;
use emporium_service_kit::days::Days;
use emporium_service_kit::{Currency, Money, StoreError};
use serde::Deserialize;
use time::{Date, Duration, OffsetDateTime};

use super::client::ClickHouse;
use super::revenue::of_range;
use super::state::live;
use super::{micros, narrow};
use crate::model::{Baskets, Bucket, Cohorts, Live, Repeat};
use crate::store::shapes::{BASKETS, CohortRow, cohorts_of, live_of, no_baskets, repeat_of};

/// Confirmed orders of the live build; columns are named by `e` where an alias has the same name.
macro_rules! confirmed {
    () => {
        concat!(
            "FROM analytics_event AS e WHERE build = ",
            live!(),
            " AND kind = 'confirmed'"
        )
    };
}

const SIZES: &str = concat!(
    "SELECT count() AS orders, sum(toInt128(e.lines)) AS lines, sum(toInt128(e.units)) AS units, sum(toInt128(e.amount)) AS amount,
        sumForEach(arrayMap(class -> toInt64(arrayCount(size -> e.lines >= size, {sizes:Array(Int64)}) = class),
                            range(1, length({sizes:Array(Int64)}) + 1))) AS by_lines,
        sumForEach(arrayMap(class -> toInt64(arrayCount(size -> e.units >= size, {sizes:Array(Int64)}) = class),
                            range(1, length({sizes:Array(Int64)}) + 1))) AS by_units ",
    confirmed!(),
    " AND currency = {currency:String} AND at >= fromUnixTimestamp64Micro({start:Int64})
      AND at < fromUnixTimestamp64Micro({end:Int64})"
);

#[derive(Row, Deserialize)]
struct Sizes {
    orders: u64,
    lines: i128,
    units: i128,
    amount: i128,
    by_lines: Vec<i64>,
    by_units: Vec<i64>,
}

pub(super) async fn baskets(
    server: &ClickHouse,
    days: Days,
    currency: Currency,
) -> Result<Baskets, StoreError> {
    let sizes: Sizes = of_range(server.ask(SIZES), days, currency)
        .param("sizes", &BASKETS[..])
        .one()
        .await?;
    let mut baskets = no_baskets();
    if sizes.orders == 0 {
        return Ok(baskets);
    }
    let count = i128::from(sizes.orders);
    #[allow(clippy::cast_precision_loss)] // means for people
    let mean = |sum: i128| sum as f64 / count as f64;
    baskets.orders = narrow(count)?;
    baskets.mean_lines = Some(mean(sizes.lines));
    baskets.mean_units = Some(mean(sizes.units));
    baskets.mean_value = Some(Money::new(narrow(rounded(sizes.amount, count))?, currency));
    fill(&mut baskets.by_lines, &sizes.by_lines);
    fill(&mut baskets.by_units, &sizes.by_units);
    Ok(baskets)
}

/// The quotient, halves away from zero; in whole numbers, since floating-point ones round others' halves.
fn rounded(sum: i128, count: i128) -> i128 {
    let (whole, rest) = (sum / count, sum % count);
    let up = i128::from(2 * rest.abs() >= count);
    whole + if sum < 0 { -up } else { up }
}

fn fill(buckets: &mut [Bucket], orders: &[i64]) {
    for (bucket, &orders) in buckets.iter_mut().zip(orders) {
        bucket.orders = orders;
    }
}

const LIVE: &str = concat!(
    "SELECT toUnixTimestamp64Micro(toDateTime64(toStartOfMinute(at), 6, 'UTC')) AS began, count() AS orders,
            sum(toInt128(e.units)) AS units, sum(toInt128(e.amount)) AS gross ",
    confirmed!(),
    " AND currency = {currency:String} AND at >= fromUnixTimestamp64Micro({start:Int64})
      AND at < fromUnixTimestamp64Micro({end:Int64}) GROUP BY began"
);

#[derive(Row, Deserialize)]
struct Minute {
    began: i64,
    orders: u64,
    units: i128,
    gross: i128,
}

pub(super) async fn live(
    server: &ClickHouse,
    now: OffsetDateTime,
    currency: Currency,
) -> Result<Live, StoreError> {
    let end = now.truncate_to_minute() + Duration::MINUTE;
    let start = end - Duration::HOUR;
    let rows: Vec<Minute> = server
        .ask(LIVE)
        .param("currency", currency.as_str())
        .param("start", micros(start))
        .param("end", micros(end))
        .rows()
        .await?;
    let found: HashMap<i64, Minute> = rows.into_iter().map(|row| (row.began, row)).collect();
    let minute = |n: i32| {
        let at = start + Duration::MINUTE * n;
        Ok(match found.get(&micros(at)) {
            Some(row) => (
                at,
                narrow(row.orders.into())?,
                narrow(row.units)?,
                narrow(row.gross)?,
            ),
            None => (at, 0, 0, 0),
        })
    };
    let minutes = (0..60).map(minute).collect::<Result<_, StoreError>>()?;
    live_of(minutes, currency)
}

/// Every customer of a cohort has bought in its first month, so its size is what that month has.
const COHORTS: &str = concat!(
    "SELECT cohort, toInt32(dateDiff('month', cohort, bought)) AS since, toInt64(count()) AS bought_then,
            toInt64(countIf(total > 1)) AS again
     FROM (
        SELECT customer_id, min(month) AS cohort, sum(orders) AS total, groupArray(month) AS months FROM (
            SELECT customer_id, toStartOfMonth(toDate32(at)) AS month, count() AS orders ",
    confirmed!(),
    " AND customer_id IS NOT NULL GROUP BY customer_id, month
        ) GROUP BY customer_id HAVING cohort BETWEEN {from:Date32} AND {to:Date32}
     ) ARRAY JOIN months AS bought
     GROUP BY cohort, since ORDER BY cohort, since"
);

#[derive(Row, Deserialize)]
struct Active {
    #[serde(with = "clickhouse::serde::time::date32")]
    cohort: Date,
    since: i32,
    bought_then: i64,
    again: i64,
}

pub(super) async fn cohorts(server: &ClickHouse, months: Days) -> Result<Cohorts, StoreError> {
    let rows: Vec<Active> = server
        .ask(COHORTS)
        .param("from", months.from.to_string())
        .param("to", months.to.to_string())
        .rows()
        .await?;
    let (mut customers, mut again) = (0, 0);
    let row = |row: Active| {
        if row.since == 0 {
            (customers, again) = (row.bought_then, row.again);
        }
        CohortRow {
            cohort: row.cohort,
            customers,
            again,
            since: row.since,
            active: row.bought_then,
        }
    };
    Ok(cohorts_of(rows.into_iter().map(row).collect()))
}

/// Who bought before is looked up among all orders up to the range's end.
const REPEAT: &str = concat!(
    "SELECT toInt64(countIf(customer_id IS NOT NULL)) AS customers, toInt64(sumIf(orders, customer_id IS NOT NULL)) AS bought,
            toInt64(sumIf(orders, customer_id IS NULL)) AS guest_orders,
            toInt64(countIf(customer_id IS NOT NULL AND orders > 1)) AS again,
            toInt64(countIf(customer_id IS NOT NULL AND before)) AS returning
     FROM (
        SELECT customer_id, countIf(at >= fromUnixTimestamp64Micro({start:Int64})) AS orders,
               max(at < fromUnixTimestamp64Micro({start:Int64})) AS before ",
    confirmed!(),
    " AND at < fromUnixTimestamp64Micro({end:Int64}) GROUP BY customer_id
     ) WHERE orders > 0"
);

#[derive(Row, Deserialize)]
struct Came {
    customers: i64,
    bought: i64,
    guest_orders: i64,
    again: i64,
    returning: i64,
}

pub(super) async fn repeat(server: &ClickHouse, days: Days) -> Result<Repeat, StoreError> {
    let came: Came = server
        .ask(REPEAT)
        .param("start", micros(days.start()))
        .param("end", micros(days.end()))
        .one()
        .await?;
    Ok(repeat_of([
        came.customers,
        came.bought,
        came.guest_orders,
        came.again,
        came.returning,
    ]))
}
