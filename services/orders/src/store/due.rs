//! Making sagas due out of turn: something happened, or the clock did.

use emporium_service_kit::Db;
use sqlx::Postgres;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::saga::state::Policy;

/// Sagas recalled in one statement.
const RECALL_MAX: i64 = 1_000;

/// Makes sagas due that wait for their charge. One that is being worked on right now looks again when it is done.
pub async fn wake<'e>(
    executor: impl sqlx::Executor<'e, Database = Postgres>,
    ids: &[Uuid],
    now: OffsetDateTime,
) -> Result<u64, sqlx::Error> {
    let woken = sqlx::query(
        "UPDATE orders_saga SET woken = true, due_at = CASE WHEN worker IS NULL THEN $2 ELSE due_at END
         WHERE order_id = ANY ($1) AND step IN ('charge', 'await')",
    )
    .bind(ids)
    .bind(now)
    .execute(executor)
    .await?;
    Ok(woken.rows_affected())
}

/// Makes sagas due that are put off for longer than any saga is, up to [`RECALL_MAX`]; gives how many. When a clock is set
/// back, everything written before it lies too far ahead. The deadline is seen to when they are claimed.
pub async fn recall(
    db: &Db,
    policy: &Policy,
    lease: Duration,
    now: OffsetDateTime,
) -> Result<u64, sqlx::Error> {
    let (waiting, otherwise) = policy.longest_pauses(lease);
    let recalled = sqlx::query(
        "WITH far AS (
             SELECT order_id FROM orders_saga
             WHERE step <> 'done' AND due_at > $2
               AND (due_at > $3 OR NOT (step IN ('settle', 'compensate') OR (open AND step = 'await')))
             ORDER BY due_at LIMIT $4 FOR UPDATE SKIP LOCKED
         )
         UPDATE orders_saga AS s SET due_at = $1 FROM far WHERE s.order_id = far.order_id",
    )
    .bind(now)
    .bind(now + waiting)
    .bind(now + otherwise)
    .bind(RECALL_MAX)
    .execute(db)
    .await?;
    Ok(recalled.rows_affected())
}
