//! What reconciling compares: one scan of the sums, so all of it is of one moment.

use clickhouse::Row;
use emporium_service_kit::days::Days;
use emporium_service_kit::{Currency, Money, StoreError};
use serde::Deserialize;
use time::Date;

use super::client::ClickHouse;
use super::narrow;
use super::state::live;
use crate::model::{OrdersOfDay, PaymentsOfDay, RefundsOfDay, TOTALS_ROWS_MAX, Totals};

/// Rows of the days asked for, and of the first and the last day there is anything of. Sums of nothing count as nothing.
const TOTALS: &str = concat!(
    "SELECT part, day, country, currency, orders, gross, refunds, refunded, succeeded, succeeded_amount, first_day, last_day FROM (
        SELECT *, min(day) OVER () AS first_day, max(day) OVER () AS last_day, row_number() OVER (ORDER BY day) AS number FROM (
            SELECT toString(f.part) AS part, f.day AS day, toString(f.country) AS country, toString(f.currency) AS currency,
                   sum(f.orders) AS orders, sum(f.gross) AS gross, sum(f.refunds) AS refunds, sum(f.refunded) AS refunded,
                   sum(f.succeeded) AS succeeded, sum(f.succeeded_amount) AS succeeded_amount
            FROM analytics_figure AS f WHERE f.build = ",
    live!(),
    " AND f.part IN ('sales', 'refund', 'payment') GROUP BY part, day, country, currency
            HAVING part = 'refund' OR orders != 0 OR gross != 0 OR refunds != 0 OR refunded != 0 OR succeeded != 0
                OR succeeded_amount != 0
        )
    ) WHERE day BETWEEN {from:Date32} AND {to:Date32} OR number = 1
    ORDER BY part, day, country, currency LIMIT {limit:UInt64} BY part"
);

#[derive(Row, Deserialize)]
struct Sums {
    part: String,
    #[serde(with = "clickhouse::serde::time::date32")]
    day: Date,
    country: String,
    currency: String,
    orders: i128,
    gross: i128,
    refunds: i128,
    refunded: i128,
    succeeded: i128,
    succeeded_amount: i128,
    #[serde(with = "clickhouse::serde::time::date32")]
    first_day: Date,
    #[serde(with = "clickhouse::serde::time::date32")]
    last_day: Date,
}

pub(super) async fn totals(server: &ClickHouse, days: Days) -> Result<Option<Totals>, StoreError> {
    let mut totals = Totals {
        from: days.from,
        to: days.to,
        first_day: None,
        last_day: None,
        orders: Vec::new(),
        refunds: Vec::new(),
        payments: Vec::new(),
    };
    // One more than may be, and the first row of all.
    let limit = u64::try_from(TOTALS_ROWS_MAX)
        .unwrap_or(u64::MAX)
        .saturating_add(2);
    let rows: Vec<Sums> = server
        .ask(TOTALS)
        .param("from", days.from.to_string())
        .param("to", days.to.to_string())
        .param("limit", limit)
        .rows()
        .await?;
    for row in rows {
        totals.first_day = Some(row.first_day);
        totals.last_day = Some(row.last_day);
        if days.contains(row.day) {
            add(&mut totals, &row)?;
        }
    }
    let lengths = [totals.orders.len(), totals.refunds.len(), totals.payments.len()];
    if lengths.into_iter().any(|length| length > TOTALS_ROWS_MAX) {
        return Ok(None);
    }
    Ok(Some(totals))
}

fn add(totals: &mut Totals, row: &Sums) -> Result<(), StoreError> {
    let currency: Currency = row
        .currency
        .parse()
        .map_err(|_| StoreError::Failed("what was read from an event is no currency".into()))?;
    let money = |amount| Ok::<_, StoreError>(Money::new(narrow(amount)?, currency));
    match row.part.as_str() {
        "sales" => totals.orders.push(OrdersOfDay {
            day: row.day,
            country: Some(row.country.clone()).filter(|country| !country.is_empty()),
            orders: narrow(row.orders)?,
            total: money(row.gross)?,
        }),
        "refund" => totals.refunds.push(RefundsOfDay {
            day: row.day,
            refunds: narrow(row.refunds)?,
            amount: money(row.refunded)?,
        }),
        _ => totals.payments.push(PaymentsOfDay {
            day: row.day,
            succeeded: narrow(row.succeeded)?,
            succeeded_amount: money(row.succeeded_amount)?,
            refunded: narrow(row.refunds)?,
            refunded_amount: money(row.refunded)?,
        }),
    }
    Ok(())
}
