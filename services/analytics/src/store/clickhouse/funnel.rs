//! How far visitors came, and what they searched in vain.

use std::collections::HashMap;

use clickhouse::Row;
use emporium_service_kit::StoreError;
use emporium_service_kit::days::Days;
use serde::{Deserialize, Serialize};
use time::{Date, Duration};

use super::client::ClickHouse;
use super::micros;
use super::state::live;
use crate::model::{EmptySearch, EmptySearches, Funnel, FunnelDay, Stages};
use crate::store::shapes::funnel_of;

/// The stages of days, by single visitors. Who began a checkout and placed an order on that day that was confirmed has paid.
const VISITS: &str = concat!(
    "SELECT v.day AS day, toInt64(count()) AS visitors, toInt64(countIf(v.furthest >= 1)) AS viewed,
            toInt64(countIf(v.furthest >= 2)) AS carted, toInt64(countIf(v.furthest >= 3)) AS began,
            toInt64(countIf(v.furthest >= 3 AND b.buyer IS NOT NULL)) AS paid, toUInt8(0) AS trimmed
     FROM (
        SELECT day, visitor_id, max(stage) AS furthest, min(customer_id) AS customer FROM analytics_visit
        WHERE day BETWEEN {from:Date32} AND {to:Date32} GROUP BY day, visitor_id
     ) AS v LEFT JOIN (
        SELECT DISTINCT assumeNotNull(customer_id) AS buyer, toDate32(at) AS bought FROM analytics_event
        WHERE build = ",
    live!(),
    " AND kind = 'confirmed' AND customer_id IS NOT NULL AND at >= fromUnixTimestamp64Micro({start:Int64})
          AND at < fromUnixTimestamp64Micro({end:Int64})
     ) AS b ON b.buyer = v.customer AND b.bought = v.day
     GROUP BY day"
);
/// Of two rows of a day, which have the same figures, one.
const CLOSED: &str = "SELECT day, visitors, viewed, carted, began, paid, trimmed FROM analytics_funnel_day
    WHERE day BETWEEN {from:Date32} AND {to:Date32} ORDER BY day, trimmed DESC LIMIT 1 BY day";

/// A row of `analytics_funnel_day`.
#[derive(Clone, Row, Serialize, Deserialize)]
pub(super) struct DayRow {
    #[serde(with = "clickhouse::serde::time::date32")]
    pub day: Date,
    pub visitors: i64,
    pub viewed: i64,
    pub carted: i64,
    pub began: i64,
    pub paid: i64,
    pub trimmed: u8,
}

impl From<&DayRow> for Stages {
    fn from(row: &DayRow) -> Self {
        Self {
            visitors: row.visitors,
            viewed: row.viewed,
            carted: row.carted,
            began_checkout: row.began,
            paid: row.paid,
        }
    }
}

/// The days' figures by single visitors.
pub(super) async fn by_visitors(server: &ClickHouse, days: Days) -> Result<Vec<DayRow>, StoreError> {
    server
        .ask(VISITS)
        .param("from", days.from.to_string())
        .param("to", days.to.to_string())
        .param("start", micros(days.start()))
        .param("end", micros(days.end()))
        .rows()
        .await
}

/// Visitors first and closed days after them: visitors are removed when their day's row is there, so a day is in one of the two at
/// least; and where it is in both, its row is what counts.
pub(super) async fn funnel(server: &ClickHouse, days: Days) -> Result<Funnel, StoreError> {
    let open = by_visitors(server, days).await?;
    let closed: Vec<DayRow> = server
        .ask(CLOSED)
        .param("from", days.from.to_string())
        .param("to", days.to.to_string())
        .rows()
        .await?;
    let stages: HashMap<Date, Stages> = open
        .iter()
        .chain(&closed)
        .map(|row| (row.day, row.into()))
        .collect();
    let mut items = Vec::new();
    let mut next = Some(days.from);
    while let Some(day) = next.filter(|day| *day <= days.to) {
        items.push(FunnelDay {
            day,
            stages: stages.get(&day).copied().unwrap_or_default(),
        });
        next = day.checked_add(Duration::DAY);
    }
    funnel_of(items)
}

#[derive(Row, Deserialize)]
struct Search {
    query: String,
    searches: i64,
}

pub(super) async fn empty_searches(
    server: &ClickHouse,
    days: Days,
    limit: u32,
) -> Result<EmptySearches, StoreError> {
    let rows: Vec<Search> = server
        .ask(
            "SELECT query, sum(s.searches) AS searches FROM analytics_empty_search AS s
             WHERE day BETWEEN {from:Date32} AND {to:Date32} GROUP BY query ORDER BY searches DESC, query LIMIT {limit:UInt32}",
        )
        .param("from", days.from.to_string())
        .param("to", days.to.to_string())
        .param("limit", limit)
        .rows()
        .await?;
    let item = |Search { query, searches }| EmptySearch { query, searches };
    Ok(EmptySearches {
        items: rows.into_iter().map(item).collect(),
    })
}
