//! The inbox: which events a consumer has seen, in the database of its effect. An event is claimed in the transaction that
//! applies it, so its effect happens once, however often the event is delivered.
//!
//! Rows are removed after [`KEPT`]. That is safe because no event is delivered that late without a reset before it:
//!
//! - the bus redelivers what a group has not acknowledged, and keeps what it has passed for a week; a group that was stopped
//!   for longer takes its next batch first and removes rows after it;
//! - relays publish again only what the last moments before a crash left unnoted;
//! - dead letters were rolled back, so they have no row until they are replayed, and are gone
//!   [`DEAD_LETTER_KEPT`](crate::bus::DEAD_LETTER_KEPT) after it;
//! - histories go back to the beginning, but reading them starts with a reset of the projection and its rows here. A
//!   consumer that starts from histories and has no reset keeps its rows for ever;
//! - a [generation](crate::projection) keeps its rows while it is built, and all of them until it was live for as long.
//!
//! Who puts back a database from a backup older than that has to rebuild its projections.

use std::time::Duration;

use emporium_service_kit::{Db, ServiceName, Tx};
use sqlx::AssertSqlSafe;
use time::OffsetDateTime;
use uuid::Uuid;

/// How long a row stays.
pub const KEPT: Duration = Duration::from_hours(30 * 24);
/// Rows that one [`reap`] removes at most.
pub const REAP_BATCH: i64 = 10_000;
/// How long the statements of a reset may take: it is rare, and a projection may be large.
const RESET_TIMEOUT: Duration = Duration::from_mins(5);

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

/// Forgets what a consumer group has seen; the projection is to be emptied in the same transaction, after this. Notes that it
/// has to be filled again ([`unfinished_reset`]).
///
/// Takes the inbox's table lock first: it waits for effects that are being applied and keeps new ones out until the
/// commit. Without it, an effect that commits between the two deletions would lose its trace in the projection and keep
/// its row here. Consumers have to claim before they touch the projection, as [`claim`] is used everywhere.
pub async fn reset(tx: &mut Tx, service: ServiceName, group: &str) -> Result<(), sqlx::Error> {
    tx.allow(RESET_TIMEOUT).await?;
    let lock = format!("LOCK TABLE {service}_inbox IN EXCLUSIVE MODE");
    sqlx::query(AssertSqlSafe(lock)).execute(&mut *tx).await?;
    let delete = format!("DELETE FROM {service}_inbox WHERE consumer = $1");
    sqlx::query(AssertSqlSafe(delete))
        .bind(group)
        .execute(&mut *tx)
        .await?;
    let note = format!(
        "INSERT INTO {service}_resets (consumer, id) VALUES ($1, gen_random_uuid())
         ON CONFLICT (consumer) DO UPDATE SET id = excluded.id"
    );
    sqlx::query(AssertSqlSafe(note)).bind(group).execute(tx).await?;
    Ok(())
}

/// The last reset of a consumer group, unless its rebuild has ended. Buses come and go, and each knows only of its own
/// rebuilds; this is noted where the projection is.
pub async fn unfinished_reset(
    db: &Db,
    service: ServiceName,
    group: &str,
) -> Result<Option<Uuid>, sqlx::Error> {
    let sql = format!("SELECT id FROM {service}_resets WHERE consumer = $1");
    sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(group)
        .fetch_optional(db)
        .await
}

/// Notes that the rebuild after this reset has ended; false when there was another reset after it.
pub async fn rebuilt(db: &Db, service: ServiceName, group: &str, reset: Uuid) -> Result<bool, sqlx::Error> {
    let sql = format!("DELETE FROM {service}_resets WHERE consumer = $1 AND id = $2");
    let done = sqlx::query(AssertSqlSafe(sql))
        .bind(group)
        .bind(reset)
        .execute(db)
        .await?;
    Ok(done.rows_affected() > 0)
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
