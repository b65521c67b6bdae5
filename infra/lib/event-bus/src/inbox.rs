//! The inbox: which events a consumer has seen, in the database of its effect. An event is claimed in the transaction that
//! applies it, so its effect happens once, however often the event is delivered.
//!
//! Rows are removed after [`KEPT`]. That is safe because no event comes that late to whoever has applied it:
//!
//! - the bus redelivers what a group has not acknowledged, and keeps what it has passed for a week; a group that was stopped
//!   for longer takes its next batch first and removes rows after it;
//! - relays publish again only what the last moments before a crash left unnoted;
//! - dead letters were rolled back, so they have no row until they are replayed, and are gone
//!   [`DEAD_LETTER_KEPT`](crate::bus::DEAD_LETTER_KEPT) after it;
//! - histories go back to the beginning, but are read into a [generation](crate::projection) that was emptied, together with
//!   its rows here. It keeps its rows while it is built, and all of them until it was live for as long.
//!
//! Who puts back a database from a backup older than that has to rebuild its projections.

use std::time::Duration;

use emporium_service_kit::{ServiceName, Tx};
use sqlx::AssertSqlSafe;
use time::OffsetDateTime;
use uuid::Uuid;

/// How long a row stays.
pub const KEPT: Duration = Duration::from_hours(30 * 24);
/// Rows that one [`reap`] removes at most.
pub const REAP_BATCH: i64 = 10_000;

/// Claims events for a consumer group in the transaction of their effect; gives those it had not seen. One statement, in
/// the order of ids, so that two members with the same events queue instead of getting into a deadlock.
pub async fn claim(
    tx: &mut Tx,
    service: ServiceName,
    group: &str,
    events: &[Uuid],
) -> Result<Vec<Uuid>, sqlx::Error> {
    let sql = format!(
        "INSERT INTO {service}_inbox (consumer, event_id) SELECT $1, id FROM unnest($2::uuid[]) AS e (id) ORDER BY id
         ON CONFLICT DO NOTHING RETURNING event_id"
    );
    sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(group)
        .bind(events)
        .fetch_all(tx)
        .await
}

/// The same for events that were written down at these times, as long as that was before now: their rows are removed so long
/// after that.
pub async fn claim_as_of(
    tx: &mut Tx,
    service: ServiceName,
    group: &str,
    events: &[Uuid],
    recorded_at: &[OffsetDateTime],
) -> Result<Vec<Uuid>, sqlx::Error> {
    let sql = format!(
        "INSERT INTO {service}_inbox (consumer, event_id, handled_at)
         SELECT $1, id, least(at, now()) FROM unnest($2::uuid[], $3::timestamptz[]) AS e (id, at) ORDER BY id
         ON CONFLICT DO NOTHING RETURNING event_id"
    );
    sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(group)
        .bind(events)
        .bind(recorded_at)
        .fetch_all(tx)
        .await
}

/// Removes rows of a consumer group that are older than `age`, at most [`REAP_BATCH`]; gives how many.
pub async fn reap<'c, E>(
    executor: E,
    service: ServiceName,
    group: &str,
    age: Duration,
) -> Result<u64, sqlx::Error>
where
    E: sqlx::Executor<'c, Database = sqlx::Postgres>,
{
    let sql = format!(
        "DELETE FROM {service}_inbox WHERE consumer = $1 AND event_id IN (
           SELECT event_id FROM {service}_inbox WHERE consumer = $1 AND handled_at < now() - make_interval(secs => $2)
           ORDER BY handled_at LIMIT $3)"
    );
    let done = sqlx::query(AssertSqlSafe(sql))
        .bind(group)
        .bind(age.as_secs_f64())
        .bind(REAP_BATCH)
        .execute(executor)
        .await?;
    Ok(done.rows_affected())
}
