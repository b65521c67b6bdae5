//! How a group stands.

use std::time::Duration;

use emporium_service_kit::Db;

use crate::bus::{LETTERS_COUNTED_MAX, Progress};

/// Whether the newest migration has been run.
pub(super) async fn has_newest_column(db: &Db) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM pg_attribute
                        WHERE attrelid = to_regclass('bus_group') AND attname = 'paused' AND NOT attisdropped)",
    )
    .fetch_one(db)
    .await
}

/// One statement, since every step of every member begins with it; the log is touched at one entry of its index.
pub(super) async fn progress(db: &Db, group: &str) -> Result<Option<Progress>, sqlx::Error> {
    let found: Option<(i64, i64, bool, Option<i64>)> = sqlx::query_as(
        "SELECT g.position, h.position, g.paused,
                (SELECT (extract(epoch FROM clock_timestamp() - l.appended_at) * 1000)::bigint
                 FROM bus_log AS l WHERE l.position > g.position ORDER BY l.position LIMIT 1)
         FROM bus_group AS g CROSS JOIN bus_head AS h WHERE g.name = $1 AND NOT g.rebuilding",
    )
    .bind(group)
    .fetch_optional(db)
    .await?;
    Ok(found.map(|(position, end, paused, waited_ms)| Progress {
        position,
        end,
        lag: (end - position).max(0),
        waited: Duration::from_millis(waited_ms.and_then(|ms| u64::try_from(ms).ok()).unwrap_or(0)),
        paused,
    }))
}

pub(super) async fn set_paused(db: &Db, group: &str, paused: bool) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE bus_group SET paused = $2, updated_at = now() WHERE name = $1")
        .bind(group)
        .bind(paused)
        .execute(db)
        .await?;
    Ok(())
}

pub(super) async fn is_paused(db: &Db, group: &str) -> Result<bool, sqlx::Error> {
    let found = sqlx::query_scalar("SELECT paused FROM bus_group WHERE name = $1")
        .bind(group)
        .fetch_optional(db)
        .await?;
    Ok(found.unwrap_or(false))
}

pub(super) async fn waiting_letters(db: &Db, group: &str) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT count(*) FROM (SELECT FROM bus_dead_letter WHERE group_name = $1 AND replayed_at IS NULL LIMIT $2) AS w",
    )
    .bind(group)
    .bind(LETTERS_COUNTED_MAX)
    .fetch_one(db)
    .await
}
