//! What visitors do, to be moved: single activities, closed days, searches and visits of open ones.

use async_trait::async_trait;
use emporium_event_bus::projection::Digest;
use emporium_moving::{Copied, Keys, Record};
use emporium_service_kit::{Db, StoreError, Tx};
use sqlx::{AssertSqlSafe, query, query_as, query_scalar};
use std::time::Duration;
use time::Date;
use uuid::Uuid;

use super::put::{put, remove};
use crate::store::copied::{DAYS_PAGE, PAGE, RecordKey, Wanted, first_id, first_of_kinds, page};

/// How long summing up everything may take.
const LONG: Duration = Duration::from_mins(10);

/// The last closed day, within a statement.
macro_rules! closed {
    () => {
        "coalesce((SELECT max(day) FROM analytics_funnel_day), '-infinity')"
    };
}

/// Activities of open days as records; `$1` is the first id of the first open day.
const ACTIVITIES: &str = "
    SELECT id, concat('activity:', id) AS key,
           concat_ws(chr(9), kind, visitor_id, coalesce(customer_id::text, ''), coalesce(product_id::text, ''),
                     coalesce(quantity::text, ''), coalesce(query, ''), coalesce(results::text, '')) AS content
    FROM analytics_activity WHERE id >= $1";
/// Closed days.
const DAYS: &str = "
    SELECT f.day, concat('day:', f.day) AS key,
           concat_ws(chr(9), visitors, viewed, carted, began, paid, kept.searches) AS content
    FROM analytics_funnel_day AS f LEFT JOIN LATERAL (
        SELECT string_agg(concat_ws(chr(9), query, searches), chr(9) ORDER BY searches DESC, query COLLATE \"C\") AS searches
        FROM (SELECT query, searches FROM analytics_empty_search AS s WHERE s.day = f.day
              ORDER BY searches DESC, query COLLATE \"C\" LIMIT 100) AS most
    ) AS kept ON true";
const SEARCHES: &str = concat!(
    "SELECT day, query, concat('search:', day, ':', query) AS key, searches::text AS content
     FROM analytics_empty_search WHERE day > ",
    closed!()
);
const VISITS: &str = concat!(
    "SELECT day, visitor_id, concat('visit:', day, ':', visitor_id) AS key,
            concat_ws(chr(9), stage, coalesce(customer_id::text, '')) AS content
     FROM analytics_visit WHERE day > ",
    closed!()
);

const ACTIVITY_KEYS: &str =
    "SELECT id FROM analytics_activity WHERE id >= $1 AND id > $2 ORDER BY id LIMIT $3";
const DAY_KEYS: &str = "SELECT day FROM analytics_funnel_day WHERE day > $1 ORDER BY day LIMIT $2";
const SEARCH_KEYS: &str = concat!(
    "SELECT day, query FROM analytics_empty_search WHERE day > ",
    closed!(),
    " AND (day, query) > ($1, $2) ORDER BY day, query LIMIT $3"
);
const VISIT_KEYS: &str = concat!(
    "SELECT day, visitor_id FROM analytics_visit WHERE day > ",
    closed!(),
    " AND (day, visitor_id) > ($1, $2) ORDER BY day, visitor_id LIMIT $3"
);

/// The records of a database.
pub struct PostgresRecords {
    db: Db,
}

impl PostgresRecords {
    /// Of the tables that [`PostgresAnalytics::migrate`](super::PostgresAnalytics::migrate) has made.
    pub fn new(db: Db) -> Self {
        Self { db }
    }

    /// The first id that an activity of an open day may have.
    async fn first_open(&self) -> Result<Uuid, StoreError> {
        let closed: Option<Date> = query_scalar("SELECT max(day) FROM analytics_funnel_day")
            .fetch_one(&self.db)
            .await?;
        Ok(first_open_id(closed))
    }

    async fn found(&self, after: &RecordKey, max: usize) -> Result<Vec<RecordKey>, StoreError> {
        let (db, max) = (&self.db, i64::try_from(max).unwrap_or(i64::MAX));
        Ok(match after {
            RecordKey::Activity(id) => {
                let first = self.first_open().await?;
                let keys = query_scalar(ACTIVITY_KEYS).bind(first).bind(id).bind(max);
                let found: Vec<Uuid> = keys.fetch_all(db).await?;
                found.into_iter().map(RecordKey::Activity).collect()
            }
            RecordKey::Day(day) => {
                let found: Vec<Date> = query_scalar(DAY_KEYS)
                    .bind(earliest(*day))
                    .bind(max)
                    .fetch_all(db)
                    .await?;
                found.into_iter().map(RecordKey::Day).collect()
            }
            RecordKey::Search(day, search) => {
                let keys = query_as(SEARCH_KEYS).bind(earliest(*day)).bind(search).bind(max);
                let found: Vec<(Date, String)> = keys.fetch_all(db).await?;
                let key = |(day, search)| RecordKey::Search(day, search);
                found.into_iter().map(key).collect()
            }
            RecordKey::Visit(day, visitor) => {
                let keys = query_as(VISIT_KEYS).bind(earliest(*day)).bind(visitor).bind(max);
                let found: Vec<(Date, Uuid)> = keys.fetch_all(db).await?;
                let key = |(day, visitor)| RecordKey::Visit(day, visitor);
                found.into_iter().map(key).collect()
            }
        })
    }
}

/// PostgreSQL's dates begin in 4713 BC, later than a listing does.
fn earliest(day: Date) -> Date {
    day.max(time::macros::date!(0001 - 01 - 01))
}

/// The first id that an activity may have after the last closed day.
pub(super) fn first_open_id(closed: Option<Date>) -> Uuid {
    closed.and_then(Date::next_day).map_or(Uuid::nil(), first_id)
}

/// Key and content, as a query gives them.
type Row = (String, String);

fn record((key, content): Row) -> Record {
    Record {
        key,
        content,
        expires_at: None,
    }
}

fn rows_of(records: &str, joined: &str) -> AssertSqlSafe<String> {
    AssertSqlSafe(format!("SELECT key, content FROM ({records}) AS r {joined}"))
}

async fn digest(kind: &str, records: &str, tx: &mut Tx) -> Result<Digest, StoreError> {
    let from = format!("({records}) AS r");
    Ok(Digest::of_rows(kind, &["key", "content"], &from, tx).await?)
}

#[async_trait]
impl Copied for PostgresRecords {
    fn page(&self) -> usize {
        PAGE
    }

    async fn digests(&self) -> Result<Option<Vec<Digest>>, StoreError> {
        let first = self.first_open().await?;
        let mut tx = self.db.begin().await?;
        tx.allow(LONG).await?;
        let activities = ACTIVITIES.replace("$1", &format!("'{first}'"));
        let mut digests = Vec::new();
        for (kind, records) in [
            ("activity", activities.as_str()),
            ("day", DAYS),
            ("search", SEARCHES),
            ("visit", VISITS),
        ] {
            digests.push(digest(kind, records, &mut tx).await?);
        }
        tx.commit().await?;
        Ok(Some(digests))
    }

    async fn keys(&self, after: Option<&str>, max: usize) -> Result<Keys, StoreError> {
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

    async fn read(&self, keys: &[String]) -> Result<Vec<Record>, StoreError> {
        let (wanted, db) = (Wanted::of(keys)?, &self.db);
        let mut rows: Vec<Row> = Vec::new();
        if !wanted.activities.is_empty() {
            let first = self.first_open().await?;
            let sql = rows_of(ACTIVITIES, "WHERE id = ANY ($2)");
            let found = query_as(sql).bind(first).bind(wanted.activities);
            rows.extend(found.fetch_all(db).await?);
        }
        if !wanted.days.is_empty() {
            let sql = rows_of(DAYS, "WHERE day = ANY ($1)");
            rows.extend(query_as(sql).bind(wanted.days).fetch_all(db).await?);
        }
        if !wanted.searches.is_empty() {
            let (days, searches): (Vec<Date>, Vec<String>) = wanted.searches.into_iter().unzip();
            let wanted = "JOIN unnest($1::date[], $2::text[]) AS wanted (day, query) USING (day, query)";
            let found = query_as(rows_of(SEARCHES, wanted)).bind(days).bind(searches);
            rows.extend(found.fetch_all(db).await?);
        }
        if !wanted.visits.is_empty() {
            let (days, visitors): (Vec<Date>, Vec<Uuid>) = wanted.visits.into_iter().unzip();
            let wanted =
                "JOIN unnest($1::date[], $2::uuid[]) AS wanted (day, visitor_id) USING (day, visitor_id)";
            let found = query_as(rows_of(VISITS, wanted)).bind(days).bind(visitors);
            rows.extend(found.fetch_all(db).await?);
        }
        Ok(rows.into_iter().map(record).collect())
    }

    async fn put(&self, records: &[Record]) -> Result<(), StoreError> {
        put(&self.db, records).await
    }

    async fn remove(&self, keys: &[String]) -> Result<(), StoreError> {
        remove(&self.db, keys).await
    }

    async fn clear(&self) -> Result<(), StoreError> {
        query(
            "TRUNCATE analytics_activity, analytics_activity_day, analytics_visit, analytics_empty_search, analytics_funnel_day",
        )
        .execute(&self.db)
        .await?;
        Ok(())
    }
}
