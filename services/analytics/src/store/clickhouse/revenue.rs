//! Revenue by period, category and country.

use clickhouse::Row;
use emporium_service_kit::days::Days;
use emporium_service_kit::{Currency, StoreError};
use serde::Deserialize;
use time::{Date, Duration};

use super::client::{Ask, ClickHouse};
use super::state::live;
use super::{micros, narrow};
use crate::model::{By, Revenue};
use crate::store::shapes::{Group, arrange};

/// A [`Group`] before its sums are known to fit.
#[derive(Row, Deserialize)]
struct Sums {
    place: i64,
    key: String,
    placed: i128,
    cancelled: i128,
    orders: i128,
    lines: i128,
    units: i128,
    gross: i128,
    refunds: i128,
}

impl Sums {
    fn nothing(place: i64, key: String) -> Self {
        Self {
            place,
            key,
            placed: 0,
            cancelled: 0,
            orders: 0,
            lines: 0,
            units: 0,
            gross: 0,
            refunds: 0,
        }
    }

    /// The group; one without a key is what is not known, or all others.
    fn group(self) -> Result<Group, StoreError> {
        Ok(Group {
            place: self.place,
            key: Some(self.key).filter(|key| !key.is_empty()),
            placed: narrow(self.placed)?,
            cancelled: narrow(self.cancelled)?,
            orders: narrow(self.orders)?,
            lines: narrow(self.lines)?,
            units: narrow(self.units)?,
            gross: narrow(self.gross)?,
            refunds: narrow(self.refunds)?,
        })
    }
}

/// The columns of [`Sums`] from `placed` on, where they have these names already.
macro_rules! sums {
    () => {
        "sum(placed) AS placed, sum(cancelled) AS cancelled, sum(orders) AS orders, sum(lines) AS lines, sum(units) AS units,
         sum(gross) AS gross, sum(refunds) AS refunds"
    };
}

/// The same of `analytics_figure`, whose `refunds` is how many; an alias would be taken for the column otherwise.
macro_rules! figures {
    () => {
        "sum(f.placed) AS placed, sum(f.cancelled) AS cancelled, sum(f.orders) AS orders, sum(f.lines) AS lines,
         sum(f.units) AS units, sum(f.gross) AS gross, sum(f.refunded) AS refunds"
    };
}

/// What is asked about: the live build, the currency and the days.
macro_rules! in_range {
    ($parts:literal) => {
        concat!(
            "FROM analytics_figure AS f WHERE f.build = ",
            live!(),
            " AND f.part IN (",
            $parts,
            ") AND f.currency = {currency:String} AND f.day BETWEEN {from:Date32} AND {to:Date32}"
        )
    };
}

macro_rules! by_period {
    ($period:literal) => {
        concat!(
            "SELECT toInt64(1) AS place, toString(",
            $period,
            ") AS key, ",
            figures!(),
            " ",
            in_range!("'sales', 'refund'"),
            " GROUP BY key ORDER BY key"
        )
    };
}

const BY_DAY: &str = by_period!("f.day");
const BY_WEEK: &str = by_period!("toMonday(f.day)");
const BY_MONTH: &str = by_period!("toStartOfMonth(f.day)");

/// Groups beyond the limit are put together. The whole range's sums, of the same scan, are place 0. Categories are looked up after
/// the sums: they are names for groups, and no figures.
const BY_CATEGORY: &str = concat!(
    "SELECT place, if(place BETWEEN 1 AND {limit:Int64}, min(name), '') AS key, ",
    sums!(),
    " FROM (
        SELECT *, if(is_line, least(toInt64(row_number() OVER (PARTITION BY is_line ORDER BY gross DESC, name)), {limit:Int64} + 1), 0)
                  AS place
        FROM (
            SELECT s.is_line AS is_line, ifNull(toString(p.newest), '') AS name, ",
    sums!(),
    " FROM (
                SELECT f.part = 'product' AS is_line, f.product_id AS product_id, ",
    figures!(),
    " ",
    in_range!("'sales', 'refund', 'product'"),
    " GROUP BY is_line, product_id
            ) AS s LEFT JOIN (
                SELECT product_id, argMax(category, version) AS newest FROM analytics_product WHERE build = ",
    live!(),
    " GROUP BY product_id
            ) AS p ON p.product_id = s.product_id AND s.is_line
            GROUP BY is_line, name
        )
    ) GROUP BY place ORDER BY place"
);

/// Refunds of the range.
macro_rules! refunds {
    ($columns:literal) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM analytics_event WHERE build = b AND block <= n AND kind = 'refunded' AND currency = {currency:String}
              AND at >= fromUnixTimestamp64Micro({start:Int64}) AND at < fromUnixTimestamp64Micro({end:Int64})"
        )
    };
}
/// From the events themselves, up to the block that is the last one now: a refund's country is that of its order, so there are
/// two scans, and both are to see the same blocks.
const BY_COUNTRY: &str = concat!(
    "WITH ",
    live!(),
    " AS b, (SELECT max(block) FROM analytics_event WHERE build = b) AS n
    SELECT place, if(place <= {limit:Int64}, min(name), '') AS key, ",
    sums!(),
    " FROM (
        SELECT *, least(toInt64(row_number() OVER (ORDER BY gross DESC, name)), {limit:Int64} + 1) AS place FROM (
            SELECT name, ",
    sums!(),
    " FROM (
                SELECT toString(e.country) AS name, toInt128(e.kind = 'placed') AS placed,
                       toInt128(e.kind = 'cancelled') AS cancelled, toInt128(e.kind = 'confirmed') AS orders,
                       if(e.kind = 'confirmed', toInt128(e.lines), 0) AS lines,
                       if(e.kind = 'confirmed', toInt128(e.units), 0) AS units,
                       if(e.kind = 'confirmed', toInt128(e.amount), 0) AS gross, toInt128(0) AS refunds
                FROM analytics_event AS e
                WHERE e.build = b AND e.block <= n AND e.kind IN ('placed', 'confirmed', 'cancelled')
                  AND e.currency = {currency:String} AND e.at >= fromUnixTimestamp64Micro({start:Int64})
                  AND e.at < fromUnixTimestamp64Micro({end:Int64})
                UNION ALL
                SELECT ifNull(o.country, ''), 0, 0, 0, 0, 0, 0, r.amount
                FROM (",
    refunds!("ifNull(order_id, toUUID('00000000-0000-0000-0000-000000000000')) AS order_id, toInt128(amount) AS amount"),
    ") AS r LEFT JOIN (
                    SELECT subject, toString(country) AS country FROM analytics_event
                    WHERE build = b AND block <= n AND kind = 'confirmed' AND subject IN (",
    refunds!("assumeNotNull(order_id)"),
    " AND order_id IS NOT NULL)
                ) AS o ON o.subject = r.order_id
            ) GROUP BY name
        )
    ) GROUP BY place ORDER BY place"
);

pub(super) async fn revenue(
    server: &ClickHouse,
    days: Days,
    currency: Currency,
    by: By,
    limit: u32,
) -> Result<Revenue, StoreError> {
    let text = match by {
        By::Day => BY_DAY,
        By::Week => BY_WEEK,
        By::Month => BY_MONTH,
        By::Category => BY_CATEGORY,
        By::Country => BY_COUNTRY,
    };
    let mut rows: Vec<Sums> = of_range(server.ask(text), days, currency)
        .param("limit", i64::from(limit))
        .rows()
        .await?;
    if by == By::Category && rows.iter().all(|row| row.place != 0) {
        // There is no group where there are no rows.
        rows.push(Sums::nothing(0, String::new()));
    }
    let rows = match by {
        By::Category | By::Country => rows,
        _ => without_gaps(rows, days, by),
    };
    let groups = rows.into_iter().map(Sums::group).collect::<Result<_, _>>()?;
    arrange(groups, currency, by, limit)
}

/// The parameters of a range: its days, and its moments.
pub(super) fn of_range(ask: Ask<'_>, days: Days, currency: Currency) -> Ask<'_> {
    ask.param("currency", currency.as_str())
        .param("from", days.from.to_string())
        .param("to", days.to.to_string())
        .param("start", micros(days.start()))
        .param("end", micros(days.end()))
}

/// Every period of the range, those without sales too.
fn without_gaps(rows: Vec<Sums>, days: Days, by: By) -> Vec<Sums> {
    let mut found = rows.into_iter().peekable();
    let mut all = Vec::new();
    let mut period = first_of(days.from, by);
    while period <= days.to {
        let key = period.to_string();
        let row = found.next_if(|row| row.key == key);
        all.push(row.unwrap_or_else(|| Sums::nothing(1, key)));
        let Some(next) = after(period, by) else { break };
        period = next;
    }
    all
}

/// The first day of the period that the day is in; weeks begin on Mondays.
fn first_of(day: Date, by: By) -> Date {
    match by {
        By::Week => day - Duration::days(day.weekday().number_days_from_monday().into()),
        By::Month => day.replace_day(1).unwrap_or(day),
        _ => day,
    }
}

fn after(period: Date, by: By) -> Option<Date> {
    let days = match by {
        By::Week => 7,
        By::Month => period.month().length(period.year()).into(),
        _ => 1,
    };
    period.checked_add(Duration::days(days))
}
