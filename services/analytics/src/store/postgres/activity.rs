//! What visitors do: counted as it comes, closed day by day.

use std::collections::HashSet;

use emporium_service_kit::days::Days;
use emporium_service_kit::{Db, StoreError, Tx};
use sqlx::FromRow;
use time::Date;
use uuid::Uuid;

use super::live;
use super::records::first_open_id;
use crate::model::{Activity, EmptySearch, EmptySearches, Funnel, FunnelDay, Recorded, Stages, What, normal};
use crate::store::copied;
use crate::store::shapes::funnel_of;

/// Searches without a result that stay of a closed day.
const SEARCHES_KEPT: i16 = copied::SEARCHES_KEPT as i16;

/// One statement: what is new decides what is counted. Rows are written in the order of their keys, so that batches at the same
/// time do not get into a deadlock. A day that is full takes nothing; batches at the same time may go over it by their size.
const RECORD: &str = "
    WITH given AS (
        SELECT * FROM unnest($1::uuid[], $2::date[], $3::smallint[], $4::smallint[], $5::uuid[], $6::uuid[], $7::uuid[],
                             $8::integer[], $9::text[], $10::bigint[])
            AS a (id, day, kind, stage, visitor_id, customer_id, product_id, quantity, query, results)
    ), full_day AS (
        SELECT day FROM analytics_activity_day WHERE day IN (SELECT day FROM given)
        GROUP BY day HAVING sum(count) >= $11
    ), added AS (
        INSERT INTO analytics_activity (id, kind, visitor_id, customer_id, product_id, quantity, query, results)
        SELECT id, kind, visitor_id, customer_id, product_id, quantity, query, results
        FROM given WHERE day NOT IN (SELECT day FROM full_day) ORDER BY id
        ON CONFLICT (id) DO NOTHING RETURNING id
    ), fresh AS (
        SELECT g.* FROM given AS g JOIN added ON added.id = g.id
    ), by_day AS (
        INSERT INTO analytics_activity_day AS d (day, kind, count)
        SELECT day, kind, count(*) FROM fresh GROUP BY 1, 2 ORDER BY 1, 2
        ON CONFLICT (day, kind) DO UPDATE SET count = d.count + excluded.count
    ), by_visitor AS (
        INSERT INTO analytics_visit AS v (day, visitor_id, stage, customer_id)
        SELECT day, visitor_id, max(stage), min(customer_id::text) FILTER (WHERE stage = 3) :: uuid
        FROM fresh GROUP BY 1, 2 ORDER BY 1, 2
        ON CONFLICT (day, visitor_id) DO UPDATE
        SET stage = greatest(v.stage, excluded.stage), customer_id = coalesce(v.customer_id, excluded.customer_id)
        WHERE v.stage < excluded.stage OR v.customer_id IS NULL AND excluded.customer_id IS NOT NULL
    ), by_query AS (
        INSERT INTO analytics_empty_search AS s (day, query, searches)
        SELECT day, query, count(*) FROM fresh WHERE results = 0 AND query <> '' GROUP BY 1, 2 ORDER BY 1, 2
        ON CONFLICT (day, query) DO UPDATE SET searches = s.searches + excluded.searches
    )
    SELECT (SELECT count(*) FROM fresh),
           (SELECT count(*) FROM given AS g WHERE g.day IN (SELECT day FROM full_day)
                AND NOT EXISTS (SELECT FROM analytics_activity AS a WHERE a.id = g.id))";

pub(super) async fn record(
    db: &Db,
    activities: &[Activity],
    per_day_max: i64,
) -> Result<Recorded, StoreError> {
    let mut seen = HashSet::with_capacity(activities.len());
    let mut new: Vec<(Date, &Activity)> = activities
        .iter()
        .filter(|activity| seen.insert(activity.id))
        .filter_map(|activity| Some((activity.moment()?.date(), activity)))
        .collect();
    new.sort_unstable_by_key(|(_, activity)| activity.id);
    let column = Columns::of(&new);
    let (recorded, over_limit): (i64, i64) = sqlx::query_as(RECORD)
        .bind(column.ids)
        .bind(column.days)
        .bind(column.kinds)
        .bind(column.stages)
        .bind(column.visitors)
        .bind(column.customers)
        .bind(column.products)
        .bind(column.quantities)
        .bind(column.queries)
        .bind(column.results)
        .bind(per_day_max)
        .fetch_one(db)
        .await?;
    let count = |number: i64| usize::try_from(number).unwrap_or_default();
    let (recorded, over_limit) = (count(recorded), count(over_limit));
    Ok(Recorded {
        received: activities.len(),
        recorded,
        repeated: activities.len().saturating_sub(recorded + over_limit),
        out_of_time: 0,
        over_limit,
    })
}

/// Activities as columns.
#[derive(Default)]
struct Columns {
    ids: Vec<Uuid>,
    days: Vec<Date>,
    kinds: Vec<i16>,
    stages: Vec<i16>,
    visitors: Vec<Uuid>,
    customers: Vec<Option<Uuid>>,
    products: Vec<Option<Uuid>>,
    quantities: Vec<Option<i32>>,
    queries: Vec<Option<String>>,
    results: Vec<Option<i64>>,
}

impl Columns {
    fn of(activities: &[(Date, &Activity)]) -> Self {
        let mut columns = Self::default();
        for (day, activity) in activities {
            columns.ids.push(activity.id);
            columns.days.push(*day);
            columns.kinds.push(activity.what.kind());
            columns.stages.push(activity.what.stage());
            columns.visitors.push(activity.visitor_id);
            columns.customers.push(activity.customer_id);
            let (product, quantity, query, results) = match &activity.what {
                What::Search { query, results } => (None, None, Some(normal(query)), Some(*results)),
                What::View { product_id } => (Some(*product_id), None, None, None),
                What::Cart { product_id, quantity } => (Some(*product_id), Some(*quantity), None, None),
                What::Checkout => (None, None, None, None),
            };
            columns.products.push(product);
            columns.quantities.push(quantity);
            columns.queries.push(query);
            columns.results.push(results);
        }
        columns
    }
}

/// The stages of days that are not closed, named `open_day`; `$1` and `$2` are the range. Who began a checkout and placed an
/// order on that day that was confirmed has paid.
macro_rules! open_days {
    () => {
        concat!(
            "buyer AS (
                SELECT DISTINCT customer_id, (placed_at AT TIME ZONE 'UTC')::date AS day FROM analytics_order
                WHERE generation = ",
            live!(),
            " AND customer_id IS NOT NULL AND placed_at >= $1::date::timestamp AT TIME ZONE 'UTC'
                  AND placed_at < ($2::date + 1)::timestamp AT TIME ZONE 'UTC'
            ), open_day AS (
                SELECT v.day, count(*) AS visitors, count(*) FILTER (WHERE v.stage >= 1) AS viewed,
                       count(*) FILTER (WHERE v.stage >= 2) AS carted, count(*) FILTER (WHERE v.stage >= 3) AS began,
                       count(b.day) FILTER (WHERE v.stage >= 3) AS paid
                FROM analytics_visit AS v LEFT JOIN buyer AS b ON b.customer_id = v.customer_id AND b.day = v.day
                WHERE v.day BETWEEN $1 AND $2 AND NOT EXISTS (SELECT FROM analytics_funnel_day AS f WHERE f.day = v.day)
                GROUP BY v.day
            )"
        )
    };
}

const FUNNEL: &str = concat!(
    "WITH ",
    open_days!(),
    ", known AS (
        SELECT day, visitors, viewed, carted, began, paid FROM open_day
        UNION ALL
        SELECT day, visitors, viewed, carted, began, paid FROM analytics_funnel_day WHERE day BETWEEN $1 AND $2
    )
    SELECT d.day::date AS day, coalesce(visitors, 0) AS visitors, coalesce(viewed, 0) AS viewed, coalesce(carted, 0) AS carted,
           coalesce(began, 0) AS began, coalesce(paid, 0) AS paid
    FROM generate_series($1::timestamp, $2::timestamp, interval '1 day') AS d (day)
    LEFT JOIN known ON known.day = d.day::date ORDER BY 1"
);

#[derive(FromRow)]
struct StagesRow {
    day: Date,
    visitors: i64,
    viewed: i64,
    carted: i64,
    began: i64,
    paid: i64,
}

pub(super) async fn funnel(db: &Db, days: Days) -> Result<Funnel, StoreError> {
    let rows: Vec<StagesRow> = sqlx::query_as(FUNNEL)
        .bind(days.from)
        .bind(days.to)
        .fetch_all(db)
        .await?;
    let item = |row: StagesRow| FunnelDay {
        day: row.day,
        stages: Stages {
            visitors: row.visitors,
            viewed: row.viewed,
            carted: row.carted,
            began_checkout: row.began,
            paid: row.paid,
        },
    };
    funnel_of(rows.into_iter().map(item).collect())
}

const EMPTY_SEARCHES: &str = "SELECT query, sum(searches)::bigint AS searches FROM analytics_empty_search
    WHERE day BETWEEN $1 AND $2 GROUP BY query ORDER BY searches DESC, query COLLATE \"C\" LIMIT $3";

pub(super) async fn empty_searches(db: &Db, days: Days, limit: u32) -> Result<EmptySearches, StoreError> {
    let rows: Vec<(String, i64)> = sqlx::query_as(EMPTY_SEARCHES)
        .bind(days.from)
        .bind(days.to)
        .bind(i64::from(limit))
        .fetch_all(db)
        .await?;
    let item = |(query, searches)| EmptySearch { query, searches };
    Ok(EmptySearches {
        items: rows.into_iter().map(item).collect(),
    })
}

const OPEN: &str = "SELECT DISTINCT v.day FROM analytics_visit AS v
    WHERE v.day < $1 AND NOT EXISTS (SELECT FROM analytics_funnel_day AS f WHERE f.day = v.day) ORDER BY 1";
const OLDEST_OPEN: &str = "SELECT min(v.day) FROM analytics_visit AS v
    WHERE v.day < $1 AND NOT EXISTS (SELECT FROM analytics_funnel_day AS f WHERE f.day = v.day)";
const CLOSE: &str = concat!(
    "WITH ",
    open_days!(),
    " INSERT INTO analytics_funnel_day (day, visitors, viewed, carted, began, paid)
    SELECT day, visitors, viewed, carted, began, paid FROM open_day ON CONFLICT DO NOTHING"
);
/// Whoever has counted may go: the row of the closed day stands for them.
const DROP_VISITS: &str = "DELETE FROM analytics_visit WHERE (day, visitor_id) IN (
    SELECT v.day, v.visitor_id FROM analytics_visit AS v JOIN analytics_funnel_day AS f ON f.day = v.day
    WHERE v.day < $1 ORDER BY v.day, v.visitor_id LIMIT $2)";
/// Of closed days. Ids are in the order of time.
const DROP_ACTIVITY: &str = "DELETE FROM analytics_activity WHERE id IN (
    SELECT id FROM analytics_activity WHERE id < $1 ORDER BY id LIMIT $2)";
const UNTRIMMED: &str = "SELECT min(day) FROM analytics_funnel_day WHERE NOT trimmed";
const TRIM_SEARCHES: &str = "DELETE FROM analytics_empty_search WHERE day = $1 AND query IN (
    SELECT query FROM (
        SELECT query, row_number() OVER (ORDER BY searches DESC, query COLLATE \"C\") AS place
        FROM analytics_empty_search WHERE day = $1) AS ranked
    WHERE place > $3 ORDER BY place LIMIT $2)";
const TRIMMED: &str = "UPDATE analytics_funnel_day SET trimmed = true WHERE day = $1";

pub(super) async fn open_days(db: &Db, before: Date) -> Result<Vec<Date>, StoreError> {
    Ok(sqlx::query_scalar(OPEN).bind(before).fetch_all(db).await?)
}

pub(super) async fn close_days(db: &Db, before: Date, max: u32) -> Result<u64, StoreError> {
    let max = i64::from(max);
    let mut tx = db.begin().await?;
    let mut removed = close_oldest(&mut tx, before).await?;
    let closed: Option<Date> = sqlx::query_scalar("SELECT max(day) FROM analytics_funnel_day")
        .fetch_one(&mut tx)
        .await?;
    for (sql, first_kept) in [(DROP_VISITS, None), (DROP_ACTIVITY, Some(first_open_id(closed)))] {
        let query = sqlx::query(sql);
        let query = match first_kept {
            Some(id) => query.bind(id),
            None => query.bind(before),
        };
        removed += query.bind(max).execute(&mut tx).await?.rows_affected();
    }
    removed += trim_searches(&mut tx, max).await?;
    tx.commit().await?;
    Ok(removed)
}

/// Closes the oldest day that is open; gives whether there was one.
async fn close_oldest(tx: &mut Tx, before: Date) -> Result<u64, sqlx::Error> {
    let day: Option<Date> = sqlx::query_scalar(OLDEST_OPEN)
        .bind(before)
        .fetch_one(&mut *tx)
        .await?;
    let Some(day) = day else {
        return Ok(0);
    };
    sqlx::query(CLOSE).bind(day).bind(day).execute(tx).await?;
    Ok(1)
}

/// Removes rare searches of the oldest closed day that has too many.
async fn trim_searches(tx: &mut Tx, max: i64) -> Result<u64, sqlx::Error> {
    let day: Option<Date> = sqlx::query_scalar(UNTRIMMED).fetch_one(&mut *tx).await?;
    let Some(day) = day else {
        return Ok(0);
    };
    let removed = sqlx::query(TRIM_SEARCHES)
        .bind(day)
        .bind(max)
        .bind(SEARCHES_KEPT)
        .execute(&mut *tx)
        .await?
        .rows_affected();
    if removed > 0 {
        return Ok(removed);
    }
    sqlx::query(TRIMMED).bind(day).execute(tx).await?;
    Ok(1)
}
