//! Cohorts, and who came back.

use emporium_service_kit::days::Days;
use emporium_service_kit::{Db, StoreError};

use super::live;
use crate::model::{Cohorts, Repeat};
use crate::store::shapes::{cohorts_of, repeat_of};

/// The table is read once, in the order of its key: a customer's first month comes first.
const COHORTS: &str = concat!(
    "WITH month AS MATERIALIZED (
        SELECT customer_id, month, orders, min(month) OVER (PARTITION BY customer_id) AS cohort
        FROM analytics_customer_month WHERE generation = ",
    live!(),
    "
    ), customer AS (
        SELECT cohort, sum(orders) AS orders FROM month WHERE cohort BETWEEN $1 AND $2 GROUP BY customer_id, cohort
    ), size AS (
        SELECT cohort, count(*) AS customers, count(*) FILTER (WHERE orders > 1) AS again FROM customer GROUP BY cohort
    )
    SELECT m.cohort, s.customers, s.again,
           (12 * (extract(year FROM m.month) - extract(year FROM m.cohort))
               + extract(month FROM m.month) - extract(month FROM m.cohort))::integer AS since,
           count(*) AS active
    FROM month AS m JOIN size AS s ON s.cohort = m.cohort
    GROUP BY m.cohort, m.month, s.customers, s.again ORDER BY m.cohort, m.month"
);

pub(super) async fn cohorts(db: &Db, months: Days) -> Result<Cohorts, StoreError> {
    let rows = sqlx::query_as(COHORTS)
        .bind(months.from)
        .bind(months.to)
        .fetch_all(db)
        .await?;
    Ok(cohorts_of(rows))
}

/// Who bought before is looked up among all orders up to the range's end.
const REPEAT: &str = concat!(
    "WITH customer AS (
        SELECT customer_id, count(*) FILTER (WHERE placed_at >= $1) AS orders, bool_or(placed_at < $1) AS before
        FROM analytics_order WHERE generation = ",
    live!(),
    " AND placed_at < $2 GROUP BY customer_id
    )
    SELECT count(*) FILTER (WHERE customer_id IS NOT NULL) AS customers,
           coalesce(sum(orders) FILTER (WHERE customer_id IS NOT NULL), 0)::bigint AS orders,
           coalesce(sum(orders) FILTER (WHERE customer_id IS NULL), 0)::bigint AS guest_orders,
           count(*) FILTER (WHERE customer_id IS NOT NULL AND orders > 1) AS again,
           count(*) FILTER (WHERE customer_id IS NOT NULL AND before) AS returning
    FROM customer WHERE orders > 0"
);

pub(super) async fn repeat(db: &Db, days: Days) -> Result<Repeat, StoreError> {
    let (customers, orders, guest_orders, again, returning): (i64, i64, i64, i64, i64) =
        sqlx::query_as(REPEAT)
            .bind(days.start())
            .bind(days.end())
            .fetch_one(db)
            .await?;
    Ok(repeat_of([customers, orders, guest_orders, again, returning]))
}
