//! Which rounds are rolled up together.

use emporium_service_kit::{StoreError, Tx};
use sqlx::AssertSqlSafe;
use time::OffsetDateTime;

use super::Tier;
use super::notes::UP;

/// Most rounds that one transaction rolls up.
const ROUNDS_MAX: i64 = 120;

/// The rounds that are to be rolled up: their numbers, and the moments of their points.
#[derive(Debug, Clone, Copy)]
pub struct Batch {
    /// Those after this number,
    pub after: i64,
    /// up to and with this one.
    pub upto: i64,
    /// How many they are.
    pub rounds: i64,
    /// The earliest moment of their points.
    pub first_at: OffsetDateTime,
    /// The latest one.
    pub last_at: OffsetDateTime,
}

/// The moments of the batch's points: each scrape has said whether its service is up.
pub async fn moments_of(tx: &mut Tx, batch: Batch) -> Result<Vec<OffsetDateTime>, StoreError> {
    let moments = sqlx::query_scalar(
        "SELECT DISTINCT at FROM monitoring_level_raw
         WHERE series IN (SELECT id FROM monitoring_series WHERE metric = $5)
           AND round > $1 AND round <= $2 AND at >= $3 AND at <= $4",
    )
    .bind(batch.after)
    .bind(batch.upto)
    .bind(batch.first_at)
    .bind(batch.last_at)
    .bind(UP)
    .fetch_all(tx)
    .await?;
    Ok(moments)
}

/// The series that have points in the batch.
pub async fn series_of(tx: &mut Tx, batch: Batch) -> Result<Vec<i32>, StoreError> {
    let ids = sqlx::query_scalar(
        "SELECT series FROM monitoring_level_raw WHERE round > $1 AND round <= $2 AND at >= $3 AND at <= $4
         UNION
         SELECT series FROM monitoring_histogram_raw WHERE round > $1 AND round <= $2 AND at >= $3 AND at <= $4
         ORDER BY series",
    )
    .bind(batch.after)
    .bind(batch.upto)
    .bind(batch.first_at)
    .bind(batch.last_at)
    .fetch_all(tx)
    .await?;
    Ok(ids)
}

/// How many rounds are not in the tier's roll-ups.
pub async fn pending(tx: &mut Tx, tier: Tier) -> Result<i64, StoreError> {
    let rounds = sqlx::query_scalar(
        "SELECT count(*) FROM monitoring_round WHERE round > (SELECT round FROM monitoring_cursor WHERE tier = $1)",
    )
    .bind(tier.as_str())
    .fetch_one(tx)
    .await?;
    Ok(rounds)
}

/// Last number, count, first and last moment of some rounds.
type Found = (Option<i64>, i64, Option<OffsetDateTime>, Option<OffsetDateTime>);

/// All rounds up to the last one that lies before `due_before`, in their order: after a clock that was ahead for a while,
/// those of that while go with the next one. `None` when there are none, or another process is at it.
pub async fn next_batch(
    tx: &mut Tx,
    tier: Tier,
    due_before: OffsetDateTime,
    held: bool,
) -> Result<Option<Batch>, StoreError> {
    let lock = if held { "FOR UPDATE SKIP LOCKED" } else { "" };
    let sql = format!("SELECT round FROM monitoring_cursor WHERE tier = $1 {lock}");
    let after: Option<i64> = sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(tier.as_str())
        .fetch_optional(&mut *tx)
        .await?;
    let Some(after) = after else {
        return Ok(None);
    };
    let (upto, rounds, first_at, last_at): Found = sqlx::query_as(
        "SELECT max(round), count(*), min(first_at), max(last_at) FROM (
            SELECT round, first_at, last_at FROM monitoring_round
            WHERE round > $1
              AND round <= (SELECT max(round) FROM monitoring_round WHERE round > $1 AND last_at < $2)
            ORDER BY round LIMIT $3) AS due",
    )
    .bind(after)
    .bind(due_before)
    .bind(ROUNDS_MAX)
    .fetch_one(tx)
    .await?;
    let whole = upto.zip(first_at.zip(last_at));
    Ok(whole.map(|(upto, (first_at, last_at))| Batch {
        after,
        upto,
        rounds,
        first_at,
        last_at,
    }))
}
