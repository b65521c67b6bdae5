//! What visitors do, to be moved: single activities, closed days, searches and visits of open ones.
//!
//! A block whose writer died is in the views only when somebody publishes it. So whatever is read here is read after the last
//! block was published: then visits and searches are those of all activities that there are.

use std::collections::HashSet;

use async_trait::async_trait;
use clickhouse::Row;
use emporium_event_bus::projection::Digest;
use emporium_moving::{Copied, Keys, Record};
use emporium_service_kit::{Clock, StoreError};
use serde::Deserialize;
use time::{Date, OffsetDateTime};
use uuid::Uuid;

use super::activity;
use super::block::Series;
use super::client::{ClickHouse, SET_MAX};
use super::put;
use crate::store::copied::{DAYS_PAGE, PAGE, RecordKey, Wanted, first_of_kinds, page};

/// Bytes of searches that are named in one statement: a server takes 128 KiB of a parameter, and some signs are escaped.
const SEARCHES_BYTES: usize = 40_000;

/// The last closed day, within a statement; a day long ago where none is closed.
macro_rules! closed {
    () => {
        "(SELECT max(f.day) FROM analytics_funnel_day AS f)"
    };
}

/// Activities of open days as `key` and `content`; a condition follows.
const ACTIVITIES: &str = concat!(
    "SELECT DISTINCT concat('activity:', toString(a.id)) AS key, arrayStringConcat([toString(a.kind), toString(a.visitor_id),
        ifNull(toString(a.customer_id), ''), ifNull(toString(a.product_id), ''), ifNull(toString(a.quantity), ''), a.query,
        ifNull(toString(a.results), '')], '\\t') AS content
     FROM analytics_activity AS a WHERE a.day > ",
    closed!()
);
/// Closed days, of two rows of one the later, with the searches that are kept.
const DAYS: &str = "
    SELECT concat('day:', toString(c.day)) AS key, concat(arrayStringConcat([toString(c.visitors), toString(c.viewed),
               toString(c.carted), toString(c.began), toString(c.paid)], '\\t'),
               arrayStringConcat(arrayMap(s -> concat('\\t', s.2, '\\t', toString(-s.1)), ifNull(k.kept, [])))) AS content
    FROM (SELECT day, visitors, viewed, carted, began, paid FROM analytics_funnel_day WHERE true";
const KEPT: &str = "
          ORDER BY day, trimmed DESC LIMIT 1 BY day) AS c
    LEFT JOIN (
        SELECT d.day AS day, arraySlice(arraySort(groupArray((-d.searches, d.query))), 1, 100) AS kept
        FROM (SELECT s.day AS day, s.query AS query, sum(s.searches) AS searches FROM analytics_empty_search AS s
              GROUP BY s.day, s.query) AS d GROUP BY d.day
    ) AS k ON k.day = c.day SETTINGS join_use_nulls = 0";
const SEARCHES: &str = concat!(
    "SELECT concat('search:', toString(s.day), ':', s.query) AS key, toString(sum(s.searches)) AS content
     FROM analytics_empty_search AS s WHERE s.day > ",
    closed!()
);
const BY_SEARCH: &str = " GROUP BY s.day, s.query";
const VISITS: &str = concat!(
    "SELECT concat('visit:', toString(v.day), ':', toString(v.visitor_id)) AS key,
            concat(toString(max(v.stage)), '\\t', ifNull(toString(min(v.customer_id)), '')) AS content
     FROM analytics_visit AS v WHERE v.day > ",
    closed!()
);
const BY_VISITOR: &str = " GROUP BY v.day, v.visitor_id";

const ACTIVITY_KEYS: &str = concat!(
    "SELECT DISTINCT toString(day) AS day, toString(id) AS name FROM (
        SELECT day, id FROM analytics_activity WHERE day > ",
    closed!(),
    " AND day >= {day:Date32} AND (day, id) > ({day:Date32}, toUUID({name:String})) ORDER BY day, id LIMIT 1 BY day, id
        LIMIT {max:UInt64})"
);
const DAY_KEYS: &str = "SELECT DISTINCT toString(d.day) AS day, '' AS name FROM analytics_funnel_day AS d
    WHERE d.day > {day:Date32} AND {name:String} = '' ORDER BY d.day LIMIT {max:UInt64}";
const SEARCH_KEYS: &str = concat!(
    "SELECT toString(s.day) AS day, s.query AS name FROM analytics_empty_search AS s WHERE s.day > ",
    closed!(),
    " AND s.day >= {day:Date32} AND (s.day, s.query) > ({day:Date32}, {name:String})
     GROUP BY s.day, s.query ORDER BY s.day, s.query LIMIT {max:UInt64}"
);
const VISIT_KEYS: &str = concat!(
    "SELECT toString(v.day) AS day, toString(v.visitor_id) AS name FROM analytics_visit AS v WHERE v.day > ",
    closed!(),
    " AND v.day >= {day:Date32} AND (v.day, v.visitor_id) > ({day:Date32}, toUUID({name:String}))
     GROUP BY v.day, v.visitor_id ORDER BY v.day, v.visitor_id LIMIT {max:UInt64}"
);

/// The records of a database.
pub struct ClickHouseRecords {
    server: ClickHouse,
    clock: Clock,
    activity: Series,
}

#[derive(Row, Deserialize)]
struct KeyRow {
    day: String,
    name: String,
}

#[derive(Row, Deserialize)]
struct RecordRow {
    key: String,
    content: String,
}

#[derive(Row, Deserialize)]
struct Sums {
    rows: u64,
    first: i128,
    second: i128,
}

impl ClickHouseRecords {
    /// Of a database that has its tables.
    pub fn new(server: ClickHouse, clock: Clock) -> Self {
        Self {
            server,
            clock,
            activity: activity::series(),
        }
    }

    /// Publishes what a writer has left.
    async fn settle(&self) -> Result<(), StoreError> {
        let now = || self.clock.now();
        self.activity.publish_last(&self.server, &now, false).await?;
        Ok(())
    }

    async fn found(&self, after: &RecordKey, max: usize) -> Result<Vec<RecordKey>, StoreError> {
        let nil = Uuid::nil().to_string();
        let (text, kind, day, name) = match after {
            RecordKey::Activity(id) => {
                let day = crate::model::moment(*id).map_or(Date::MIN, OffsetDateTime::date);
                (ACTIVITY_KEYS, "activity:", day, id.to_string())
            }
            RecordKey::Day(day) => (DAY_KEYS, "day:", *day, String::new()),
            RecordKey::Search(day, query) => (SEARCH_KEYS, "search:", *day, query.clone()),
            RecordKey::Visit(day, visitor) => (VISIT_KEYS, "visit:", *day, visitor.to_string()),
        };
        let (day, name) = match (day < FIRST_DAY, after) {
            (true, RecordKey::Activity(_) | RecordKey::Visit(..)) => (FIRST_DAY, nil),
            (true, _) => (FIRST_DAY, String::new()),
            (false, _) => (day, name),
        };
        let rows: Vec<KeyRow> = self
            .server
            .ask(text)
            .param("day", day.to_string())
            .param("name", name)
            .param("max", max)
            .long()
            .rows()
            .await?;
        let key = |row: KeyRow| {
            RecordKey::read(&match after {
                RecordKey::Activity(_) => format!("{kind}{}", row.name),
                RecordKey::Day(_) => format!("{kind}{}", row.day),
                _ => format!("{kind}{}:{}", row.day, row.name),
            })
        };
        rows.into_iter().map(key).collect()
    }

    async fn read_activities(&self, ids: &[Uuid], rows: &mut Vec<RecordRow>) -> Result<(), StoreError> {
        let ids: Vec<u128> = ids.iter().map(Uuid::as_u128).collect();
        for ids in ids.chunks(SET_MAX) {
            let days = days_of_ids(ids);
            let text =
                format!("{ACTIVITIES} AND a.day IN {{days:Array(Date32)}} AND toUInt128(a.id) IN {{ids}}");
            let ask = self.server.ask_of_ids(&text, ids).param("days", days).long();
            rows.extend(ask.rows::<RecordRow>().await?);
        }
        Ok(())
    }

    async fn read_visits(
        &self,
        visits: &[(Date, Uuid)],
        rows: &mut Vec<RecordRow>,
    ) -> Result<(), StoreError> {
        for visits in visits.chunks(SET_MAX) {
            let days: HashSet<Date> = visits.iter().map(|(day, _)| *day).collect();
            let days: Vec<String> = days.iter().map(Date::to_string).collect();
            let visitors: Vec<u128> = visits.iter().map(|(_, visitor)| visitor.as_u128()).collect();
            let text = format!(
                "{VISITS} AND v.day IN {{days:Array(Date32)}} AND toUInt128(v.visitor_id) IN {{ids}} {BY_VISITOR}"
            );
            let ask = self
                .server
                .ask_of_ids(&text, &visitors)
                .param("days", days)
                .long();
            rows.extend(ask.rows::<RecordRow>().await?);
        }
        Ok(())
    }

    async fn read_searches(
        &self,
        searches: &[(Date, String)],
        rows: &mut Vec<RecordRow>,
    ) -> Result<(), StoreError> {
        for some in by_bytes(searches) {
            let days: HashSet<Date> = some.iter().map(|(day, _)| *day).collect();
            let days: Vec<String> = days.iter().map(Date::to_string).collect();
            let queries: Vec<&str> = some.iter().map(|(_, query)| query.as_str()).collect();
            let text = format!(
                "{SEARCHES} AND s.day IN {{days:Array(Date32)}} AND s.query IN {{queries:Array(String)}} {BY_SEARCH}"
            );
            let ask = self
                .server
                .ask(text)
                .param("days", days)
                .param("queries", queries);
            rows.extend(ask.long().rows::<RecordRow>().await?);
        }
        Ok(())
    }
}

/// The first day that the server's dates may have, before all activity.
const FIRST_DAY: Date = time::macros::date!(1970 - 01 - 01);

fn days_of_ids(ids: &[u128]) -> Vec<String> {
    let days: HashSet<Date> = ids
        .iter()
        .filter_map(|id| crate::model::moment(Uuid::from_u128(*id)))
        .map(OffsetDateTime::date)
        .collect();
    days.iter().map(Date::to_string).collect()
}

/// Searches in pieces that a statement can name.
pub(super) fn by_bytes(searches: &[(Date, String)]) -> Vec<&[(Date, String)]> {
    let (mut pieces, mut rest) = (Vec::new(), searches);
    while !rest.is_empty() {
        let mut bytes = 0;
        let fit = rest
            .iter()
            .take_while(|(_, query)| {
                bytes += query.len() + 4;
                bytes <= SEARCHES_BYTES
            })
            .count();
        let (piece, others) = rest.split_at(fit.max(1));
        pieces.push(piece);
        rest = others;
    }
    pieces
}

#[async_trait]
impl Copied for ClickHouseRecords {
    fn page(&self) -> usize {
        PAGE
    }

    async fn digests(&self) -> Result<Option<Vec<Digest>>, StoreError> {
        self.settle().await?;
        let (searches, visits) = (format!("{SEARCHES}{BY_SEARCH}"), format!("{VISITS}{BY_VISITOR}"));
        let days = format!("{DAYS}{KEPT}");
        let mut digests = Vec::new();
        for (kind, records) in [
            ("activity", ACTIVITIES),
            ("day", &days),
            ("search", &searches),
            ("visit", &visits),
        ] {
            let half =
                |from: u8| format!("sum(toInt128(reinterpretAsInt64(reverse(substring(hash, {from}, 8)))))");
            let sums: Sums = self
                .server
                .ask(format!(
                    "SELECT count() AS rows, {} AS first, {} AS second
                     FROM (SELECT MD5(concat(key, char(31), content)) AS hash FROM ({records}))",
                    half(1),
                    half(9)
                ))
                .long()
                .one()
                .await?;
            let rows = i64::try_from(sums.rows).unwrap_or(i64::MAX);
            digests.push(Digest::of_sums(kind, rows, [sums.first, sums.second]));
        }
        Ok(Some(digests))
    }

    async fn keys(&self, after: Option<&str>, max: usize) -> Result<Keys, StoreError> {
        self.settle().await?;
        let after = match after {
            Some(after) => RecordKey::read(after)?,
            None => first_of_kinds()[0].clone(),
        };
        let max = match after {
            RecordKey::Day(_) => max.min(DAYS_PAGE),
            _ => max,
        };
        Ok(page(&after, &self.found(&after, max).await?, max))
    }

    /// Statements name days and what is of them apart, so some rows are of another day than was asked for.
    async fn read(&self, keys: &[String]) -> Result<Vec<Record>, StoreError> {
        self.settle().await?;
        let (wanted, mut rows) = (Wanted::of(keys)?, Vec::new());
        self.read_activities(&wanted.activities, &mut rows).await?;
        if !wanted.days.is_empty() {
            let days: Vec<String> = wanted.days.iter().map(Date::to_string).collect();
            let text = format!("{DAYS} AND day IN {{days:Array(Date32)}}{KEPT}");
            rows.extend(
                self.server
                    .ask(text)
                    .param("days", days)
                    .long()
                    .rows::<RecordRow>()
                    .await?,
            );
        }
        self.read_searches(&wanted.searches, &mut rows).await?;
        self.read_visits(&wanted.visits, &mut rows).await?;
        let asked: HashSet<&str> = keys.iter().map(String::as_str).collect();
        let record = |RecordRow { key, content }| Record {
            key,
            content,
            expires_at: None,
        };
        Ok(rows
            .into_iter()
            .filter(|row| asked.contains(row.key.as_str()))
            .map(record)
            .collect())
    }

    async fn put(&self, records: &[Record]) -> Result<(), StoreError> {
        put::put(&self.server, records).await
    }

    async fn remove(&self, keys: &[String]) -> Result<(), StoreError> {
        put::remove(&self.server, &Wanted::of(keys)?).await
    }

    async fn clear(&self) -> Result<(), StoreError> {
        self.settle().await?;
        put::clear(&self.server).await
    }
}
