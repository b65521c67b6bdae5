//! The feed's row in the database: which index serves, how far it is, what is being built, and who feeds.

use emporium_service_kit::Db;
use sqlx::FromRow;
use sqlx::postgres::PgQueryResult;
use time::OffsetDateTime;
use uuid::Uuid;

use super::FeedError;

/// How long an index stands still after the instance that fed it was killed.
const LEASE_S: f64 = 6.0;

/// The row.
#[derive(Debug, Clone, FromRow)]
pub struct Feed {
    /// Which database this is.
    pub history: Uuid,
    /// The index that serves.
    pub index_name: Option<String>,
    /// How much of the history is in it.
    pub position: i64,
    /// The index that is being built.
    pub building: Option<String>,
    /// How much of the history is in that one.
    pub building_position: i64,
    /// Products that go into it.
    pub total: i64,
    /// Products that are in it.
    pub done: i64,
    /// When building began last.
    pub started_at: Option<OffsetDateTime>,
    /// When it ended.
    pub finished_at: Option<OffsetDateTime>,
    /// Why it was built.
    pub reason: Option<String>,
    /// Why it is not fed just now.
    pub error: Option<String>,
    /// Somebody asked for a new index.
    pub wanted: bool,
}

/// Makes sure that there is a row.
pub async fn ensure(db: &Db, alias: &str) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO catalog_search_feed (alias) VALUES ($1) ON CONFLICT DO NOTHING")
        .bind(alias)
        .execute(db)
        .await?;
    Ok(())
}

/// The row.
pub async fn read(db: &Db, alias: &str) -> Result<Feed, sqlx::Error> {
    find(db, alias).await?.ok_or(sqlx::Error::RowNotFound)
}

/// The row, if there is one yet.
pub async fn find(db: &Db, alias: &str) -> Result<Option<Feed>, sqlx::Error> {
    sqlx::query_as(
        "SELECT history, index_name, position, building, building_position, total, done, started_at, finished_at, reason,
                error, wanted
         FROM catalog_search_feed WHERE alias = $1",
    )
    .bind(alias)
    .fetch_optional(db)
    .await
}

/// Takes the lease or keeps it; false when another instance has it. It is written again only when half of it is gone.
pub async fn lead(db: &Db, alias: &str, me: Uuid) -> Result<bool, sqlx::Error> {
    let leads: bool = sqlx::query_scalar(
        "SELECT coalesce(feeder = $2 AND fed_until > now() + make_interval(secs => $3 / 2), false)
         FROM catalog_search_feed WHERE alias = $1",
    )
    .bind(alias)
    .bind(me)
    .bind(LEASE_S)
    .fetch_one(db)
    .await?;
    if leads {
        return Ok(true);
    }
    let taken = sqlx::query(
        "UPDATE catalog_search_feed SET feeder = $2, fed_until = now() + make_interval(secs => $3)
         WHERE alias = $1 AND (feeder IS NULL OR feeder = $2 OR fed_until < now())",
    )
    .bind(alias)
    .bind(me)
    .bind(LEASE_S)
    .execute(db)
    .await?;
    Ok(taken.rows_affected() == 1)
}

/// Gives the lease back.
pub async fn release(db: &Db, alias: &str, me: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE catalog_search_feed SET feeder = NULL, fed_until = NULL WHERE alias = $1 AND feeder = $2",
    )
    .bind(alias)
    .bind(me)
    .execute(db)
    .await?;
    Ok(())
}

/// A statement that names the feeder and changes no row tells that this instance has lost the lease.
fn led(updated: &PgQueryResult) -> Result<(), FeedError> {
    if updated.rows_affected() == 1 {
        Ok(())
    } else {
        Err(FeedError::LeaseLost)
    }
}

/// The index is so far now, and fed.
pub async fn advance(db: &Db, alias: &str, me: Uuid, index: &str, position: i64) -> Result<(), FeedError> {
    let sql = "UPDATE catalog_search_feed SET position = greatest(position, $4), error = NULL
               WHERE alias = $1 AND feeder = $2 AND index_name = $3";
    let updated = sqlx::query(sql)
        .bind(alias)
        .bind(me)
        .bind(index)
        .bind(position)
        .execute(db)
        .await?;
    led(&updated)
}

/// A new index is begun.
pub async fn begin(db: &Db, alias: &str, me: Uuid, building: &Building<'_>) -> Result<(), FeedError> {
    let sql = "UPDATE catalog_search_feed
               SET building = $3, building_position = $4, total = $5, done = 0, reason = $6, started_at = now(),
                   finished_at = NULL, error = NULL
               WHERE alias = $1 AND feeder = $2";
    let updated = sqlx::query(sql)
        .bind(alias)
        .bind(me)
        .bind(building.index)
        .bind(building.position)
        .bind(building.total)
        .bind(building.reason)
        .execute(db)
        .await?;
    led(&updated)
}

/// What is begun.
#[derive(Debug)]
pub struct Building<'a> {
    /// The new index.
    pub index: &'a str,
    /// Where the history ended before the first product was read.
    pub position: i64,
    /// How many products there are.
    pub total: i64,
    /// Why it is built.
    pub reason: &'a str,
}

/// So many products are in the new index, and so much of the history.
pub async fn progress(db: &Db, alias: &str, me: Uuid, done: i64, position: i64) -> Result<(), FeedError> {
    let sql =
        "UPDATE catalog_search_feed SET done = $3, building_position = $4 WHERE alias = $1 AND feeder = $2";
    let updated = sqlx::query(sql)
        .bind(alias)
        .bind(me)
        .bind(done)
        .bind(position)
        .execute(db)
        .await?;
    led(&updated)
}

/// The new index serves.
pub async fn finish(db: &Db, alias: &str, me: Uuid, index: &str, position: i64) -> Result<(), FeedError> {
    let sql = "UPDATE catalog_search_feed
               SET index_name = $3, position = $4, building = NULL, finished_at = now(), wanted = false, error = NULL
               WHERE alias = $1 AND feeder = $2";
    let updated = sqlx::query(sql)
        .bind(alias)
        .bind(me)
        .bind(index)
        .bind(position)
        .execute(db)
        .await?;
    led(&updated)
}

/// Asks for a new index.
pub async fn want(db: &Db, alias: &str) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO catalog_search_feed (alias, wanted) VALUES ($1, true) ON CONFLICT (alias) DO UPDATE SET wanted = true",
    )
    .bind(alias)
    .execute(db)
    .await?;
    Ok(())
}

/// Nothing is known of the index any more, and nobody feeds it for `held_s` seconds: by then whoever did has heard that it is not
/// wanted.
pub async fn give_up(db: &Db, alias: &str, held_s: f64) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE catalog_search_feed
         SET index_name = NULL, position = 0, building = NULL, wanted = false, error = NULL,
             feeder = gen_random_uuid(), fed_until = now() + make_interval(secs => $2)
         WHERE alias = $1",
    )
    .bind(alias)
    .bind(held_s)
    .execute(db)
    .await?;
    Ok(())
}

/// The index is fed.
pub async fn no_error(db: &Db, alias: &str, me: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE catalog_search_feed SET error = NULL WHERE alias = $1 AND feeder = $2")
        .bind(alias)
        .bind(me)
        .execute(db)
        .await?;
    Ok(())
}

/// Notes why the index is not fed.
pub async fn note_error(db: &Db, alias: &str, error: &str) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE catalog_search_feed SET error = $2 WHERE alias = $1")
        .bind(alias)
        .bind(error)
        .execute(db)
        .await?;
    Ok(())
}
