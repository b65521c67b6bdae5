//! Records of another store, put here as they are.

use emporium_moving::Record;
use emporium_service_kit::{Db, StoreError, Tx};
use sqlx::query;
use time::Date;
use uuid::Uuid;

use crate::store::copied::{ActivityRecord, DayRecord, SearchRecord, Sorted, VisitRecord, Wanted};

/// What an id names never changes, so one that is there stays. The bound of a day is taken from `analytics_activity_day`.
const PUT_ACTIVITIES: &str = "
    WITH given AS (
        SELECT * FROM unnest($1::uuid[], $2::date[], $3::smallint[], $4::uuid[], $5::uuid[], $6::uuid[], $7::integer[],
                             $8::text[], $9::bigint[])
            AS a (id, day, kind, visitor_id, customer_id, product_id, quantity, query, results)
    ), added AS (
        INSERT INTO analytics_activity (id, kind, visitor_id, customer_id, product_id, quantity, query, results)
        SELECT id, kind, visitor_id, customer_id, product_id, quantity, query, results FROM given ORDER BY id
        ON CONFLICT (id) DO NOTHING RETURNING id
    )
    INSERT INTO analytics_activity_day AS d (day, kind, count)
    SELECT day, kind, count(*) FROM given JOIN added USING (id) GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT (day, kind) DO UPDATE SET count = d.count + excluded.count";
const REMOVE_ACTIVITIES: &str = "
    WITH gone AS (
        DELETE FROM analytics_activity AS a USING unnest($1::uuid[], $2::date[]) AS g (id, day) WHERE a.id = g.id
        RETURNING g.day, a.kind
    ), counted AS (SELECT day, kind, count(*) AS count FROM gone GROUP BY 1, 2)
    UPDATE analytics_activity_day AS d SET count = d.count - c.count FROM counted AS c
    WHERE (d.day, d.kind) = (c.day, c.kind)";
const PUT_DAYS: &str = "
    INSERT INTO analytics_funnel_day (day, visitors, viewed, carted, began, paid, trimmed)
    SELECT d.*, true FROM unnest($1::date[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[]) AS d
    ON CONFLICT (day) DO UPDATE SET visitors = excluded.visitors, viewed = excluded.viewed, carted = excluded.carted,
        began = excluded.began, paid = excluded.paid, trimmed = true";
const REMOVE_SEARCHES_OF_DAYS: &str = "DELETE FROM analytics_empty_search WHERE day = ANY ($1)";
const REMOVE_DAYS: &str = "DELETE FROM analytics_funnel_day WHERE day = ANY ($1)";
const PUT_SEARCHES: &str = "
    INSERT INTO analytics_empty_search (day, query, searches)
    SELECT * FROM unnest($1::date[], $2::text[], $3::bigint[])
    ON CONFLICT (day, query) DO UPDATE SET searches = excluded.searches";
/// Searches of closed days are their day's.
const REMOVE_SEARCHES: &str = "
    DELETE FROM analytics_empty_search AS s USING unnest($1::date[], $2::text[]) AS g (day, query)
    WHERE (s.day, s.query) = (g.day, g.query) AND NOT EXISTS (SELECT FROM analytics_funnel_day AS f WHERE f.day = s.day)";
const PUT_VISITS: &str = "
    INSERT INTO analytics_visit (day, visitor_id, stage, customer_id)
    SELECT * FROM unnest($1::date[], $2::uuid[], $3::smallint[], $4::uuid[])
    ON CONFLICT (day, visitor_id) DO UPDATE SET stage = excluded.stage, customer_id = excluded.customer_id";
const REMOVE_VISITS: &str = "
    DELETE FROM analytics_visit AS v USING unnest($1::date[], $2::uuid[]) AS g (day, visitor_id)
    WHERE (v.day, v.visitor_id) = (g.day, g.visitor_id)";

fn column<'a, R, T>(rows: &'a [R], field: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(field).collect()
}

pub(super) async fn put(db: &Db, records: &[Record]) -> Result<(), StoreError> {
    let mut sorted = Sorted::of(records)?;
    let mut tx = db.begin().await?;
    put_activities(&mut tx, &sorted.activities).await?;
    put_days(&mut tx, &mut sorted.days, &mut sorted.searches).await?;
    put_searches(&mut tx, &sorted.searches).await?;
    put_visits(&mut tx, &sorted.visits).await?;
    tx.commit().await?;
    Ok(())
}

async fn put_activities(tx: &mut Tx, activities: &[ActivityRecord]) -> Result<(), StoreError> {
    if activities.is_empty() {
        return Ok(());
    }
    query(PUT_ACTIVITIES)
        .bind(column(activities, |one| one.id))
        .bind(column(activities, |one| one.day))
        .bind(column(activities, |one| one.kind))
        .bind(column(activities, |one| one.visitor_id))
        .bind(column(activities, |one| one.customer_id))
        .bind(column(activities, |one| one.product_id))
        .bind(column(activities, |one| one.quantity))
        .bind(column(activities, |one| one.query.as_deref()))
        .bind(column(activities, |one| one.results))
        .execute(tx)
        .await?;
    Ok(())
}

/// Closed days; their searches are left to be put with the others.
async fn put_days(
    tx: &mut Tx,
    days: &mut [DayRecord],
    searches: &mut Vec<SearchRecord>,
) -> Result<(), StoreError> {
    if days.is_empty() {
        return Ok(());
    }
    query(REMOVE_SEARCHES_OF_DAYS)
        .bind(column(days, |one| one.day))
        .execute(&mut *tx)
        .await?;
    let figure = |n: usize| column(days, |one| one.figures[n]);
    query(PUT_DAYS)
        .bind(column(days, |one| one.day))
        .bind(figure(0))
        .bind(figure(1))
        .bind(figure(2))
        .bind(figure(3))
        .bind(figure(4))
        .execute(tx)
        .await?;
    for day in days {
        searches.append(&mut day.searches);
    }
    Ok(())
}

async fn put_searches(tx: &mut Tx, searches: &[SearchRecord]) -> Result<(), StoreError> {
    if searches.is_empty() {
        return Ok(());
    }
    query(PUT_SEARCHES)
        .bind(column(searches, |one| one.day))
        .bind(column(searches, |one| one.query.as_str()))
        .bind(column(searches, |one| one.searches))
        .execute(tx)
        .await?;
    Ok(())
}

async fn put_visits(tx: &mut Tx, visits: &[VisitRecord]) -> Result<(), StoreError> {
    if visits.is_empty() {
        return Ok(());
    }
    query(PUT_VISITS)
        .bind(column(visits, |one| one.day))
        .bind(column(visits, |one| one.visitor_id))
        .bind(column(visits, |one| one.stage))
        .bind(column(visits, |one| one.customer_id))
        .execute(tx)
        .await?;
    Ok(())
}

pub(super) async fn remove(db: &Db, keys: &[String]) -> Result<(), StoreError> {
    let wanted = Wanted::of(keys)?;
    let with_days: Vec<(Uuid, Date)> = wanted
        .activities
        .into_iter()
        .filter_map(|id| Some((id, crate::model::moment(id)?.date())))
        .collect();
    let (ids, of_ids): (Vec<Uuid>, Vec<Date>) = with_days.into_iter().unzip();
    let (of_searches, searches): (Vec<Date>, Vec<String>) = wanted.searches.into_iter().unzip();
    let (of_visits, visitors): (Vec<Date>, Vec<Uuid>) = wanted.visits.into_iter().unzip();
    let mut tx = db.begin().await?;
    query(REMOVE_ACTIVITIES)
        .bind(ids)
        .bind(of_ids)
        .execute(&mut tx)
        .await?;
    query(REMOVE_DAYS).bind(wanted.days).execute(&mut tx).await?;
    query(REMOVE_SEARCHES)
        .bind(of_searches)
        .bind(searches)
        .execute(&mut tx)
        .await?;
    query(REMOVE_VISITS)
        .bind(of_visits)
        .bind(visitors)
        .execute(&mut tx)
        .await?;
    tx.commit().await?;
    Ok(())
}
