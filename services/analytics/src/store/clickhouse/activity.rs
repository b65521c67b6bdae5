//! What visitors do, recorded: in blocks, like events.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use clickhouse::Row;
use emporium_service_kit::{Clock, StoreError};
use serde::{Deserialize, Serialize};
use time::Date;
use uuid::Uuid;

use super::block::{Batch, Series};
use super::client::{ClickHouse, hex, ids_of};
use crate::model::{Activity, Recorded, What, normal};
use crate::store::copied::ActivityRecord;

/// The last block. Activities are removed some time, its number is not.
const LAST: &str = "SELECT max(block) AS block, toInt64(0) AS held FROM (
    SELECT max(block) AS block FROM analytics_activity UNION ALL SELECT max(block) FROM analytics_activity_block)";

/// The blocks of activities. There is one series: the build is always 0.
pub(super) fn series() -> Series {
    Series::new("analytics_activity", "{build:Int64} = 0", LAST, 0)
}

/// A row of `analytics_activity`; `arrived` is the server's.
#[derive(Clone, Row, Serialize)]
pub(super) struct ActivityRow {
    block: u64,
    #[serde(with = "clickhouse::serde::uuid")]
    writer: Uuid,
    #[serde(with = "clickhouse::serde::time::date32")]
    day: Date,
    #[serde(with = "clickhouse::serde::uuid")]
    id: Uuid,
    kind: i16,
    stage: i16,
    #[serde(with = "clickhouse::serde::uuid")]
    visitor_id: Uuid,
    #[serde(with = "clickhouse::serde::uuid::option")]
    customer_id: Option<Uuid>,
    #[serde(with = "clickhouse::serde::uuid::option")]
    product_id: Option<Uuid>,
    quantity: Option<i32>,
    query: String,
    results: Option<i64>,
}

impl ActivityRow {
    /// Of another store, in no block.
    pub(super) fn moved(record: ActivityRecord) -> Self {
        Self {
            block: 0,
            writer: Uuid::nil(),
            day: record.day,
            id: record.id,
            kind: record.kind,
            // Only views of published blocks ask for it.
            stage: 0,
            visitor_id: record.visitor_id,
            customer_id: record.customer_id,
            product_id: record.product_id,
            quantity: record.quantity,
            query: record.query.unwrap_or_default(),
            results: record.results,
        }
    }

    fn of(day: Date, activity: &Activity) -> Self {
        let mut row = Self {
            block: 0,
            writer: Uuid::nil(),
            day,
            id: activity.id,
            kind: activity.what.kind(),
            stage: activity.what.stage(),
            visitor_id: activity.visitor_id,
            customer_id: activity.customer_id,
            product_id: None,
            quantity: None,
            query: String::new(),
            results: None,
        };
        match &activity.what {
            What::Search { query, results } => {
                row.query = normal(query);
                row.results = Some(*results);
            }
            What::View { product_id } => row.product_id = Some(*product_id),
            What::Cart { product_id, quantity } => {
                row.product_id = Some(*product_id);
                row.quantity = Some(*quantity);
            }
            What::Checkout => {}
        }
        row
    }
}

/// Activities, each id once, and what becomes of them.
struct Visits {
    given: Vec<ActivityRow>,
    per_day_max: i64,
    recorded: usize,
    over_limit: usize,
}

#[derive(Row, Deserialize)]
struct DayCount {
    #[serde(with = "clickhouse::serde::time::date32")]
    day: Date,
    count: i64,
}

#[async_trait]
impl Batch for Visits {
    type Row = ActivityRow;

    /// What is known counts as repeated, also of a day that is full.
    async fn rows(
        &mut self,
        server: &ClickHouse,
        block: u64,
        writer: Uuid,
    ) -> Result<Vec<ActivityRow>, StoreError> {
        let known = self.known(server).await?;
        let full = self.full_days(server).await?;
        let new = self.given.iter().filter(|row| !known.contains(&row.id.as_u128()));
        let (over, fresh): (Vec<&ActivityRow>, Vec<&ActivityRow>) =
            new.partition(|row| full.contains(&row.day));
        (self.recorded, self.over_limit) = (fresh.len(), over.len());
        let row = |row: &ActivityRow| ActivityRow {
            block,
            writer,
            ..row.clone()
        };
        Ok(fresh.into_iter().map(row).collect())
    }
}

impl Visits {
    fn days(&self) -> Vec<String> {
        let days: HashSet<Date> = self.given.iter().map(|row| row.day).collect();
        days.iter().map(Date::to_string).collect()
    }

    async fn known(&self, server: &ClickHouse) -> Result<HashSet<u128>, StoreError> {
        let mut all = HashSet::new();
        for ids in hex(self.given.iter().map(|row| row.id.as_u128())) {
            let known: Vec<u128> = server
                .ask(format!(
                    "SELECT DISTINCT toUInt128(id) FROM analytics_activity
                     WHERE day IN {{days:Array(Date32)}} AND toUInt128(id) IN {}",
                    ids_of("ids")
                ))
                .param("days", self.days())
                .param("ids", ids)
                .rows()
                .await?;
            all.extend(known);
        }
        Ok(all)
    }

    async fn full_days(&self, server: &ClickHouse) -> Result<HashSet<Date>, StoreError> {
        let counts: Vec<DayCount> = server
            .ask(
                "SELECT day, toInt64(count()) AS count FROM analytics_activity
                 WHERE day IN {days:Array(Date32)} GROUP BY day",
            )
            .param("days", self.days())
            .rows()
            .await?;
        let counts: HashMap<Date, i64> = counts.into_iter().map(|row| (row.day, row.count)).collect();
        let days = self.given.iter().map(|row| row.day);
        Ok(days
            .filter(|day| counts.get(day).copied().unwrap_or_default() >= self.per_day_max)
            .collect())
    }
}

pub(super) async fn record(
    server: &ClickHouse,
    series: &Series,
    clock: &Clock,
    activities: &[Activity],
    per_day_max: i64,
) -> Result<Recorded, StoreError> {
    let mut seen = HashSet::with_capacity(activities.len());
    let mut visits = Visits {
        given: activities
            .iter()
            .filter(|activity| seen.insert(activity.id))
            .filter_map(|activity| Some(ActivityRow::of(activity.moment()?.date(), activity)))
            .collect(),
        per_day_max,
        recorded: 0,
        over_limit: 0,
    };
    if !visits.given.is_empty() {
        series.append(server, || clock.now(), &mut visits).await?;
    }
    let (recorded, over_limit) = (visits.recorded, visits.over_limit);
    Ok(Recorded {
        received: activities.len(),
        recorded,
        repeated: activities.len().saturating_sub(recorded + over_limit),
        out_of_time: 0,
        over_limit,
    })
}
