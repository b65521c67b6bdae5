//! Removing what nobody needs any more, in short transactions: however much has piled up, no statement runs long and no
//! lock is held for long.

use std::time::Duration;

use emporium_service_kit::Db;

/// Positions or letters that one statement removes.
const BATCH: i64 = 10_000;

/// Removes events older than `age` that every group has passed; gives how many.
pub(super) async fn log(db: &Db, age: Duration) -> Result<u64, sqlx::Error> {
    // Events are appended in the order of positions, so the youngest old one bounds them all. (An append that had to wait
    // for another may be seconds off, which does not matter: every group has passed it.)
    let (first, last): (Option<i64>, Option<i64>) = sqlx::query_as(
        "SELECT (SELECT min(position) FROM bus_log),
                (SELECT least(old.position, passed.position)
                 FROM (SELECT min(position) AS position FROM bus_group HAVING count(*) > 0) AS passed
                 CROSS JOIN (SELECT position FROM bus_log WHERE appended_at < now() - make_interval(secs => $1)
                             ORDER BY appended_at DESC, position DESC LIMIT 1) AS old)",
    )
    .bind(age.as_secs_f64())
    .fetch_one(db)
    .await?;
    let (Some(mut first), Some(last)) = (first, last) else {
        return Ok(0);
    };
    let mut removed = 0;
    while first <= last {
        let next = first.saturating_add(BATCH).min(last.saturating_add(1));
        // A group that was set back meanwhile keeps what it has not passed again.
        let done = sqlx::query(
            "DELETE FROM bus_log WHERE position >= $1 AND position < $2
               AND position <= (SELECT min(position) FROM bus_group)",
        )
        .bind(first)
        .bind(next)
        .execute(db)
        .await?;
        removed += done.rows_affected();
        first = next;
    }
    Ok(removed)
}

/// Removes dead letters that were replayed `age` ago.
pub(super) async fn dead_letters(db: &Db, age: Duration) -> Result<(), sqlx::Error> {
    loop {
        let done = sqlx::query(
            "DELETE FROM bus_dead_letter WHERE id IN (
               SELECT id FROM bus_dead_letter WHERE replayed_at < now() - make_interval(secs => $1)
               ORDER BY replayed_at LIMIT $2)",
        )
        .bind(age.as_secs_f64())
        .bind(BATCH)
        .execute(db)
        .await?;
        if done.rows_affected() < BATCH.unsigned_abs() {
            return Ok(());
        }
    }
}
