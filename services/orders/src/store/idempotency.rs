//! Idempotency keys: claimed by one worker at a time, answered once, replayed for 24 hours.

use emporium_service_kit::Db;
use sqlx::FromRow;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::crash::{self, Side};
use crate::model::Status;

/// How long a key is remembered, from its first use.
pub const KEPT_FOR: Duration = Duration::hours(24);
/// No claim lasts longer; one that seems to was made before the clock was set back.
const CLAIM_MAX: Duration = Duration::minutes(1);
/// Keys removed in one statement.
const REAP_BATCH: i64 = 1_000;

/// A key that this worker holds.
#[derive(Debug, Clone)]
pub struct Claim {
    /// Whose key.
    pub customer_id: Uuid,
    /// The key.
    pub key: String,
    /// Fencing token: only its holder may place an order or give up under this key.
    pub token: Uuid,
    /// The order that was placed under the key by a worker that did not live to answer.
    pub order_id: Option<Uuid>,
    /// How often orders had cleared the customer's cart when the claim was made.
    pub clearings: i64,
}

/// An answer, kept byte by byte.
#[derive(Debug, Clone, FromRow)]
pub struct Kept {
    /// The HTTP status.
    pub status: i16,
    /// The body.
    pub body: Vec<u8>,
    /// The order it tells of, if there is one.
    pub order_id: Option<Uuid>,
}

/// A key that somebody used before.
#[derive(Debug, FromRow)]
pub struct Used {
    /// Of the request that used it first.
    pub fingerprint: Vec<u8>,
    /// The answer's status, when there is one.
    pub status: Option<i16>,
    /// The answer's body.
    pub body: Option<Vec<u8>>,
    /// The order that was placed under it.
    pub order_id: Option<Uuid>,
    /// How far that order has come.
    pub order_status: Option<Status>,
}

/// A request to hold a key.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// Whose key.
    pub customer_id: Uuid,
    /// The key.
    pub key: &'a str,
    /// SHA-256 of the request's canonical body.
    pub fingerprint: &'a [u8],
    /// Now.
    pub now: OffsetDateTime,
    /// Until when others wait.
    pub until: OffsetDateTime,
}

/// Claims a key: a new one, one that is forgotten by now, or one whose holder has not answered in time. `None` when it is
/// somebody else's.
pub async fn claim(db: &Db, wanted: &Wanted<'_>) -> Result<Option<Claim>, sqlx::Error> {
    let token = Uuid::new_v4();
    crash::reached(crash::CLAIM, Side::Before);
    let row: Option<(Option<Uuid>, i64)> = sqlx::query_as(
        "INSERT INTO orders_idempotency AS i (customer_id, key, fingerprint, claim, claimed_until, created_at)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (customer_id, key) DO UPDATE
         SET fingerprint = excluded.fingerprint, claim = excluded.claim, claimed_until = excluded.claimed_until,
             created_at = CASE WHEN i.created_at <= $7 THEN excluded.created_at ELSE i.created_at END,
             order_id = CASE WHEN i.created_at <= $7 THEN NULL ELSE i.order_id END,
             status = NULL, body = NULL
         WHERE i.created_at <= $7 OR (i.status IS NULL AND i.fingerprint = excluded.fingerprint
                                      AND (i.claimed_until <= $6 OR i.claimed_until > $8))
         RETURNING i.order_id,
             coalesce((SELECT clearings FROM orders_cart_clearing WHERE customer_id = $1), 0)",
    )
    .bind(wanted.customer_id)
    .bind(wanted.key)
    .bind(wanted.fingerprint)
    .bind(token)
    .bind(wanted.until)
    .bind(wanted.now)
    .bind(wanted.now - KEPT_FOR)
    .bind(wanted.now + CLAIM_MAX)
    .fetch_optional(db)
    .await?;
    crash::reached(crash::CLAIM, Side::After);
    Ok(row.map(|(order_id, clearings)| Claim {
        customer_id: wanted.customer_id,
        key: wanted.key.to_owned(),
        token,
        order_id,
        clearings,
    }))
}

/// What became of a key; `None` when it is free again.
pub async fn find(db: &Db, customer_id: Uuid, key: &str) -> Result<Option<Used>, sqlx::Error> {
    sqlx::query_as(
        "SELECT i.fingerprint, i.status, i.body, i.order_id, o.status AS order_status
         FROM orders_idempotency AS i LEFT JOIN orders_order AS o ON o.id = i.order_id
         WHERE i.customer_id = $1 AND i.key = $2",
    )
    .bind(customer_id)
    .bind(key)
    .fetch_optional(db)
    .await
}

/// Keeps an answer, unless there is one already; gives the one that is kept. `token`: only if this claim still holds, as
/// must be for an answer that no order stands behind. `None` when the key is not there any more.
pub async fn answer(
    db: &Db,
    customer_id: Uuid,
    key: &str,
    token: Option<Uuid>,
    status: u16,
    body: &[u8],
) -> Result<Option<Kept>, sqlx::Error> {
    crash::reached(crash::ANSWER, Side::Before);
    let kept: Option<Kept> = sqlx::query_as(
        "UPDATE orders_idempotency SET status = coalesce(status, $4), body = coalesce(body, $5)
         WHERE customer_id = $1 AND key = $2
           AND (status IS NOT NULL OR $3::uuid IS NULL OR (claim = $3 AND order_id IS NULL))
         RETURNING status, body, order_id",
    )
    .bind(customer_id)
    .bind(key)
    .bind(token)
    .bind(i16::try_from(status).unwrap_or(500))
    .bind(body)
    .fetch_optional(db)
    .await?;
    crash::reached(crash::ANSWER, Side::After);
    Ok(kept)
}

/// Gives a key back under which nothing was placed and nothing answered.
pub async fn release(db: &Db, claim: &Claim) -> Result<(), sqlx::Error> {
    sqlx::query(
        "DELETE FROM orders_idempotency
         WHERE customer_id = $1 AND key = $2 AND claim = $3 AND order_id IS NULL AND status IS NULL",
    )
    .bind(claim.customer_id)
    .bind(&claim.key)
    .bind(claim.token)
    .execute(db)
    .await?;
    Ok(())
}

/// Forgets a batch of keys that are too old; gives how many.
pub async fn reap(db: &Db, now: OffsetDateTime) -> Result<u64, sqlx::Error> {
    let reaped = sqlx::query(
        "DELETE FROM orders_idempotency WHERE (customer_id, key) IN (
             SELECT customer_id, key FROM orders_idempotency WHERE created_at <= $1
             ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
    )
    .bind(now - KEPT_FOR)
    .bind(REAP_BATCH)
    .execute(db)
    .await?;
    Ok(reaped.rows_affected())
}
