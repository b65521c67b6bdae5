//! Making sagas due out of turn: something happened, or the clock did.

use emporium_service_kit::Db;
use sqlx::Postgres;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::saga::state::Policy;

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

/// Makes sagas due that are put off for longer than any saga is, and gives them the time that a saga has from now on; gives
/// how many. When a clock is set back, everything written before it lies too far ahead.
pub async fn recall(
    db: &Db,
    policy: &Policy,
    lease: Duration,
    now: OffsetDateTime,
) -> Result<u64, sqlx::Error> {
    let (waiting, otherwise) = policy.longest_pauses(lease);
    let recalled = sqlx::query(
        "UPDATE orders_saga
         SET due_at = $1, deadline = least(deadline, CASE WHEN open AND step = 'await' THEN $4 ELSE $5 END)
         WHERE step <> 'done' AND due_at > $2
           AND (due_at > $3 OR NOT (step IN ('settle', 'compensate') OR (open AND step = 'await')))",
    )
    .bind(now)
    .bind(now + waiting)
    .bind(now + otherwise)
    .bind(now + policy.payment_wait)
    .bind(now + policy.budget)
    .execute(db)
    .await?;
    Ok(recalled.rows_affected())
}
