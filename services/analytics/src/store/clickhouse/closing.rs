//! Closing days: a row with the day's figures, and then what it stands for is removed, some at a time.
//!
//! Every step may be repeated: a day's rows are the same whoever writes them, and count once, and what is removed is chosen anew each
//! time. The rows have tokens of their own: a day's could be one of a row that a move has removed.

use clickhouse::Row;
use emporium_service_kit::StoreError;
use emporium_service_kit::days::Days;
use serde::{Deserialize, Serialize};
use time::Date;

use super::client::ClickHouse;
use super::funnel::{DayRow, by_visitors};

/// Searches without a result that stay of a closed day.
const SEARCHES_KEPT: u64 = crate::store::copied::SEARCHES_KEPT as u64;

const OLDEST_OPEN: &str = "SELECT toString(min(day)) FROM analytics_visit
    WHERE day < {before:Date32} AND day NOT IN (SELECT day FROM analytics_funnel_day) HAVING count() > 0";
const UNTRIMMED: &str = "SELECT day, any(visitors) AS visitors, any(viewed) AS viewed, any(carted) AS carted, any(began) AS began,
        any(paid) AS paid, toUInt8(1) AS trimmed
    FROM analytics_funnel_day AS f GROUP BY day HAVING max(f.trimmed) = 0 ORDER BY day LIMIT 1";

/// Searches that are named in one statement: a server takes 128 KiB of a parameter.
const SEARCHES_NAMED: u32 = 100;

/// Rows to be removed: how many, and the last of them.
#[derive(Row, Deserialize)]
struct Oldest {
    count: u64,
    day: String,
    id: u128,
}

pub(super) async fn close_days(server: &ClickHouse, before: Date, max: u32) -> Result<u64, StoreError> {
    let mut done = close_oldest(server, before).await?;
    // Of closed days only: their row stands for the visitors.
    done += remove(
        server,
        "analytics_visit",
        "visitor_id",
        "AND day IN (SELECT day FROM analytics_funnel_day)",
        (before, max),
    )
    .await?;
    let closed = "AND day <= (SELECT max(day) FROM analytics_funnel_day)";
    done += remove(server, "analytics_activity", "id", closed, (before, max)).await?;
    done += trim_searches(server, max).await?;
    Ok(done)
}

const OPEN: &str = "SELECT DISTINCT toString(day) AS open FROM analytics_visit
    WHERE day < {before:Date32} AND day NOT IN (SELECT day FROM analytics_funnel_day) ORDER BY open";

/// The days that are open, oldest first.
pub(super) async fn open_days(server: &ClickHouse, before: Date) -> Result<Vec<Date>, StoreError> {
    let days: Vec<String> = server
        .ask(OPEN)
        .param("before", before.to_string())
        .rows()
        .await?;
    days.iter().map(|day| read_day(day)).collect()
}

fn read_day(text: &str) -> Result<Date, StoreError> {
    let format = time::macros::format_description!("[year]-[month]-[day]");
    Date::parse(text, &format).map_err(|error| StoreError::Failed(error.into()))
}

/// Closes the oldest day that is open; gives whether there was one. The row is the same whoever writes it: its visitors come no
/// more, and its orders are known.
async fn close_oldest(server: &ClickHouse, before: Date) -> Result<u64, StoreError> {
    let days: Vec<String> = server
        .ask(OLDEST_OPEN)
        .param("before", before.to_string())
        .rows()
        .await?;
    let Some(day) = days.first() else {
        return Ok(0);
    };
    let day = read_day(day)?;
    let rows = by_visitors(server, Days { from: day, to: day }).await?;
    close(server, &rows).await?;
    Ok(1)
}

async fn close(server: &ClickHouse, rows: &[DayRow]) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let token = format!("close/{}", uuid::Uuid::new_v4());
    server.insert("analytics_funnel_day", rows, &token).await
}

/// Removes the oldest rows, in the order of day and id.
async fn remove(
    server: &ClickHouse,
    table: &'static str,
    id: &'static str,
    which: &'static str,
    (before, max): (Date, u32),
) -> Result<u64, StoreError> {
    // Several rows of one visitor may not be merged yet: they count once, and go together.
    let oldest: Oldest = server
        .ask(format!(
            "SELECT count() AS count, toString(max(o.day)) AS day, argMax(toUInt128(o.named), (o.day, o.named)) AS id FROM (
                 SELECT day, {id} AS named FROM {table} WHERE day < {{before:Date32}} {which}
                 GROUP BY day, named ORDER BY day, named LIMIT {{max:UInt32}}) AS o"
        ))
        .param("before", before.to_string())
        .param("max", max)
        .one()
        .await?;
    if oldest.count == 0 {
        return Ok(0);
    }
    server
        .ask(format!(
            "DELETE FROM {table} WHERE (day < {{day:Date32}} OR day = {{day:Date32}}
                AND {id} <= toUUID({{id:String}})) {which}"
        ))
        .param("day", &oldest.day)
        .param("id", uuid::Uuid::from_u128(oldest.id).to_string())
        .run("DELETE")
        .await?;
    Ok(oldest.count)
}

#[derive(Row, Serialize, Deserialize)]
struct Query {
    query: String,
}

/// Removes rare searches of the oldest closed day that has too many.
async fn trim_searches(server: &ClickHouse, max: u32) -> Result<u64, StoreError> {
    let days: Vec<DayRow> = server.ask(UNTRIMMED).rows().await?;
    let Some(day) = days.first() else {
        return Ok(0);
    };
    let rare: Vec<Query> = server
        .ask(
            "SELECT query FROM analytics_empty_search WHERE day = {day:Date32} GROUP BY query
             ORDER BY sum(searches) DESC, query LIMIT {max:UInt32} OFFSET {kept:UInt64}",
        )
        .param("day", day.day.to_string())
        .param("max", max.min(SEARCHES_NAMED))
        .param("kept", SEARCHES_KEPT)
        .rows()
        .await?;
    if rare.is_empty() {
        close(server, &days).await?;
        return Ok(1);
    }
    let queries: Vec<&str> = rare.iter().map(|row| row.query.as_str()).collect();
    server
        .ask("DELETE FROM analytics_empty_search WHERE day = {day:Date32} AND query IN {queries:Array(String)}")
        .param("day", day.day.to_string())
        .param("queries", &queries)
        .run("DELETE")
        .await?;
    Ok(u64::try_from(rare.len()).unwrap_or_default())
}
