//! Records of another store, put here as they are.
//!
//! Activities are put as block 0, which nobody publishes: their visits and searches are records of their own. Nothing is changed in
//! place: what is put is the difference to what is there.

use std::collections::{HashMap, HashSet};

use clickhouse::Row;
use emporium_moving::Record;
use emporium_service_kit::StoreError;
use serde::{Deserialize, Serialize};
use time::Date;
use uuid::Uuid;

use super::activity::ActivityRow;
use super::client::{ClickHouse, SET_MAX};
use super::funnel::DayRow;
use super::records::by_bytes;
use crate::store::copied::{ActivityRecord, DayRecord, SearchRecord, Sorted, VisitRecord, Wanted};

/// How often what was put is looked at, until it is there.
const TRIES: usize = 5;

#[derive(Row, Serialize)]
struct VisitRow {
    #[serde(with = "clickhouse::serde::time::date32")]
    day: Date,
    #[serde(with = "clickhouse::serde::uuid")]
    visitor_id: Uuid,
    stage: i16,
    #[serde(with = "clickhouse::serde::uuid::option")]
    customer_id: Option<Uuid>,
}

#[derive(Row, Serialize, Deserialize)]
struct SearchRow {
    #[serde(with = "clickhouse::serde::time::date32")]
    day: Date,
    query: String,
    searches: i64,
}

fn token() -> String {
    format!("move/{}", Uuid::new_v4())
}

pub(super) async fn put(server: &ClickHouse, records: &[Record]) -> Result<(), StoreError> {
    let mut sorted = Sorted::of(records)?;
    put_activities(server, sorted.activities).await?;
    put_days(server, &sorted.days).await?;
    for day in sorted.days {
        sorted.searches.extend(day.searches);
    }
    put_searches(server, &sorted.searches).await?;
    put_visits(server, &sorted.visits).await
}

/// Those that are not there.
async fn put_activities(server: &ClickHouse, activities: Vec<ActivityRecord>) -> Result<(), StoreError> {
    let ids: Vec<u128> = activities.iter().map(|one| one.id.as_u128()).collect();
    let mut known = HashSet::new();
    for ids in ids.chunks(SET_MAX) {
        let text = "SELECT DISTINCT toUInt128(id) FROM analytics_activity WHERE toUInt128(id) IN {ids}";
        known.extend(server.ask_of_ids(text, ids).long().rows::<u128>().await?);
    }
    let rows: Vec<ActivityRow> = activities
        .into_iter()
        .filter(|one| !known.contains(&one.id.as_u128()))
        .map(ActivityRow::moved)
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    server.insert("analytics_activity", &rows, &token()).await
}

/// Closed days, without the searches that are of them.
async fn put_days(server: &ClickHouse, days: &[DayRecord]) -> Result<(), StoreError> {
    if days.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = days.iter().map(|one| one.day.to_string()).collect();
    let row = |one: &DayRecord| {
        let [visitors, viewed, carted, began, paid] = one.figures;
        DayRow {
            day: one.day,
            visitors,
            viewed,
            carted,
            began,
            paid,
            trimmed: 1,
        }
    };
    let there = "day IN {days:Array(Date32)}";
    for table in ["analytics_empty_search", "analytics_funnel_day"] {
        remove_where(server, table, there, |ask| ask.param("days", &names)).await?;
    }
    let rows: Vec<DayRow> = days.iter().map(row).collect();
    server.insert("analytics_funnel_day", &rows, &token()).await
}

/// The sums grow, or shrink, by what is between them and what they have to be. An answer that was lost shows at the next look.
async fn put_searches(server: &ClickHouse, searches: &[SearchRecord]) -> Result<(), StoreError> {
    let wanted: Vec<(Date, String)> = searches.iter().map(|one| (one.day, one.query.clone())).collect();
    for _ in 0..TRIES {
        let there = counted(server, &wanted).await?;
        let rows: Vec<SearchRow> = searches
            .iter()
            .map(|one| {
                let found = there.get(&(one.day, one.query.clone()));
                SearchRow {
                    day: one.day,
                    query: one.query.clone(),
                    searches: one.searches - found.copied().unwrap_or_default(),
                }
            })
            .filter(|row| row.searches != 0)
            .collect();
        if rows.is_empty() {
            return Ok(());
        }
        server.insert("analytics_empty_search", &rows, &token()).await?;
    }
    Err(StoreError::Conflict("somebody else puts searches here".into()))
}

async fn counted(
    server: &ClickHouse,
    searches: &[(Date, String)],
) -> Result<HashMap<(Date, String), i64>, StoreError> {
    let mut counts = HashMap::new();
    for some in by_bytes(searches) {
        let days: HashSet<Date> = some.iter().map(|(day, _)| *day).collect();
        let days: Vec<String> = days.iter().map(Date::to_string).collect();
        let queries: Vec<&str> = some.iter().map(|(_, query)| query.as_str()).collect();
        let rows: Vec<SearchRow> = server
            .ask(
                "SELECT s.day AS day, s.query AS query, sum(s.searches) AS searches FROM analytics_empty_search AS s
                 WHERE s.day IN {days:Array(Date32)} AND s.query IN {queries:Array(String)} GROUP BY s.day, s.query",
            )
            .param("days", days)
            .param("queries", queries)
            .long()
            .rows()
            .await?;
        counts.extend(rows.into_iter().map(|row| ((row.day, row.query), row.searches)));
    }
    Ok(counts)
}

/// A stage only grows, and a customer only comes: what is there already is no more than what is put.
async fn put_visits(server: &ClickHouse, visits: &[VisitRecord]) -> Result<(), StoreError> {
    if visits.is_empty() {
        return Ok(());
    }
    let row = |one: &VisitRecord| VisitRow {
        day: one.day,
        visitor_id: one.visitor_id,
        stage: one.stage,
        customer_id: one.customer_id,
    };
    let rows: Vec<VisitRow> = visits.iter().map(row).collect();
    server.insert("analytics_visit", &rows, &token()).await
}

/// Removes rows, if there are any: each removal writes parts anew.
async fn remove_where<'a>(
    server: &'a ClickHouse,
    table: &'static str,
    which: &str,
    with: impl Fn(super::client::Ask<'a>) -> super::client::Ask<'a>,
) -> Result<(), StoreError> {
    let count = with(server.ask(format!("SELECT count() FROM {table} WHERE {which}")));
    if count.long().one::<u64>().await? == 0 {
        return Ok(());
    }
    with(server.ask(format!("DELETE FROM {table} WHERE {which}")))
        .long()
        .run("DELETE")
        .await
}

/// What is gone from the other store: as a rule because its day was closed meanwhile. Searches of days that are closed here are
/// their day's.
pub(super) async fn remove(server: &ClickHouse, wanted: &Wanted) -> Result<(), StoreError> {
    let ids: Vec<u128> = wanted.activities.iter().map(Uuid::as_u128).collect();
    remove_ids(server, "analytics_activity", "id", &ids, &[]).await?;
    let days: Vec<String> = wanted.days.iter().map(Date::to_string).collect();
    if !days.is_empty() {
        let which = "day IN {days:Array(Date32)}";
        remove_where(server, "analytics_funnel_day", which, |ask| {
            ask.param("days", &days)
        })
        .await?;
    }
    for some in by_bytes(&wanted.searches) {
        let by_day = |day: Date| some.iter().filter(move |(of, _)| *of == day);
        let days: HashSet<Date> = some.iter().map(|(day, _)| *day).collect();
        for day in days {
            let queries: Vec<&str> = by_day(day).map(|(_, query)| query.as_str()).collect();
            let which = "day = {day:Date32} AND query IN {queries:Array(String)}
                AND day NOT IN (SELECT f.day FROM analytics_funnel_day AS f)";
            remove_where(server, "analytics_empty_search", which, |ask| {
                ask.param("day", day.to_string()).param("queries", &queries)
            })
            .await?;
        }
    }
    let days: HashSet<Date> = wanted.visits.iter().map(|(day, _)| *day).collect();
    for day in days {
        let of_day = wanted.visits.iter().filter(|(of, _)| *of == day);
        let visitors: Vec<u128> = of_day.map(|(_, visitor)| visitor.as_u128()).collect();
        remove_ids(server, "analytics_visit", "visitor_id", &visitors, &[day]).await?;
    }
    Ok(())
}

async fn remove_ids(
    server: &ClickHouse,
    table: &str,
    column: &str,
    ids: &[u128],
    days: &[Date],
) -> Result<(), StoreError> {
    let days: Vec<String> = days.iter().map(Date::to_string).collect();
    for ids in ids.chunks(SET_MAX) {
        let of_days = if days.is_empty() {
            "true"
        } else {
            "day IN {days:Array(Date32)}"
        };
        let which = format!("{of_days} AND toUInt128({column}) IN {{ids}}");
        let with = |text: &str| {
            let ask = server.ask_of_ids(text, ids).long();
            if days.is_empty() {
                ask
            } else {
                ask.param("days", &days)
            }
        };
        let count = with(&format!("SELECT count() FROM {table} WHERE {which}"));
        if count.one::<u64>().await? > 0 {
            with(&format!("DELETE FROM {table} WHERE {which}"))
                .run("DELETE")
                .await?;
        }
    }
    Ok(())
}

/// Removes all. The last block's number stays: a number that came again would be taken for a block that was there.
pub(super) async fn clear(server: &ClickHouse) -> Result<(), StoreError> {
    for table in [
        "analytics_activity",
        "analytics_visit",
        "analytics_empty_search",
        "analytics_funnel_day",
    ] {
        server
            .ask(format!("TRUNCATE TABLE {table}"))
            .long()
            .run("TRUNCATE")
            .await?;
    }
    Ok(())
}
