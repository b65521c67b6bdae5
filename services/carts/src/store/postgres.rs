//! Carts in PostgreSQL: one row a cart, its lines in one `jsonb` document.
//!
//! Rows per line would be the textbook's choice. They lose here: each write would touch two tables (the line, and the
//! cart's revision and expiry) and need a lock on the cart for the limit of lines; a read would be a join over up to a
//! hundred rows. Nobody asks across carts, and a line has nothing to reference, since products are another service's. As
//! one row, each verb but the merge is one statement: atomic by the row's lock, and one round trip.

use async_trait::async_trait;
use emporium_service_kit::{Db, StoreError, Tx};
use sqlx::FromRow;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::types::Json;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Capability, CartStore, Merged, Moment, Purchase, SetLine};
use crate::model::{CartKey, CartKind, LINES_MAX, Line, Lines, StoredCart, merge_lines};

mod records;
pub(super) use records::PostgresRecords;

static MIGRATIONS: Migrator = sqlx::migrate!();

/// The PostgreSQL adapter.
pub struct PostgresCarts {
    db: Db,
}

#[derive(FromRow)]
struct Row {
    revision: i64,
    lines: Json<Lines>,
    updated_at: OffsetDateTime,
    expires_at: OffsetDateTime,
}

impl From<Row> for StoredCart {
    fn from(row: Row) -> Self {
        Self {
            revision: row.revision,
            lines: row.lines.0,
            updated_at: row.updated_at,
            expires_at: row.expires_at,
        }
    }
}

/// An expired row is as good as none: it is overwritten, and its revision starts again.
const SET_LINE: &str = "
    INSERT INTO carts_cart AS c (id, kind, revision, lines, updated_at, expires_at)
    VALUES ($1, $2, 1, jsonb_build_object($3::text, $4::jsonb), $5, $6)
    ON CONFLICT (id, kind) DO UPDATE SET
        revision = CASE
            WHEN c.expires_at <= $5 THEN 1
            WHEN c.lines -> $3 -> 'q' = $4 -> 'q' THEN c.revision
            ELSE c.revision + 1 END,
        updated_at = CASE
            WHEN c.expires_at > $5 AND c.lines -> $3 -> 'q' = $4 -> 'q' THEN c.updated_at
            ELSE excluded.updated_at END,
        lines = CASE
            WHEN c.expires_at <= $5 THEN excluded.lines
            WHEN c.lines ? $3 THEN jsonb_set(c.lines, ARRAY[$3, 'q'], $4 -> 'q')
            ELSE c.lines || excluded.lines END,
        expires_at = excluded.expires_at
    WHERE c.expires_at <= $5
       OR c.lines ? $3
       OR (SELECT count(*) FROM jsonb_object_keys(c.lines)) < $7
    RETURNING revision, lines, updated_at, expires_at";

const REMOVE_LINE: &str = "
    UPDATE carts_cart SET
        revision = revision + (lines ? $3)::int,
        updated_at = CASE WHEN lines ? $3 THEN $4 ELSE updated_at END,
        lines = lines - $3,
        expires_at = $5
    WHERE id = $1 AND kind = $2 AND expires_at > $4
    RETURNING revision, lines, updated_at, expires_at";

const CLEAR: &str = "
    UPDATE carts_cart SET
        revision = revision + (lines <> '{}')::int,
        updated_at = CASE WHEN lines <> '{}' THEN $3 ELSE updated_at END,
        lines = '{}',
        expires_at = $4
    WHERE id = $1 AND kind = $2 AND expires_at > $3";

/// Locks the customer's row, making it when there is none, or starting it anew when it had expired.
const LOCK_FOR_MERGE: &str = "
    INSERT INTO carts_cart AS c (id, kind, revision, lines, updated_at, expires_at)
    VALUES ($1, 'user', 0, '{}', $2, $3)
    ON CONFLICT (id, kind) DO UPDATE SET
        revision = CASE WHEN c.expires_at <= $2 THEN 0 ELSE c.revision END,
        lines = CASE WHEN c.expires_at <= $2 THEN '{}' ELSE c.lines END,
        expires_at = excluded.expires_at
    RETURNING revision, lines, updated_at, expires_at";

/// Claiming the saga and changing the cart are one statement, so they happen together or not at all. A concurrent
/// repetition waits at the claim's unique index until the first one has committed, and then claims nothing.
const TAKE_PURCHASE: &str = "
    WITH first AS (
        INSERT INTO carts_purchase AS p (user_id, saga_id, expires_at) VALUES ($1, $2, $3)
        ON CONFLICT (user_id, saga_id) DO UPDATE SET expires_at = excluded.expires_at WHERE p.expires_at <= $6
        RETURNING saga_id
    )
    UPDATE carts_cart AS c SET
        revision = c.revision + (c.lines ?| $4)::int,
        updated_at = CASE WHEN c.lines ?| $4 THEN $6 ELSE c.updated_at END,
        lines = coalesce((
            SELECT jsonb_object_agg(line.key, jsonb_set(line.value, '{q}', to_jsonb(rest.quantity)))
            FROM jsonb_each(c.lines) AS line
            LEFT JOIN unnest($4::text[], $5::bigint[]) AS bought (product_id, quantity) ON bought.product_id = line.key
            CROSS JOIN LATERAL (SELECT (line.value ->> 'q')::bigint - coalesce(bought.quantity, 0) AS quantity) AS rest
            WHERE rest.quantity > 0), '{}'),
        expires_at = $7
    FROM first
    WHERE c.id = $1 AND c.kind = 'user' AND c.expires_at > $6
    RETURNING c.revision, c.lines, c.updated_at, c.expires_at";

/// Whole days that have passed, so that the index gives only rows to remove. Rows somebody writes to just now are left.
/// The rows are locked and therefore stay where they are, so their addresses (`ctid`) name them safely, and the deletion
/// needs no join whose plan could become a scan.
const REAP_CARTS: &str = "
    DELETE FROM carts_cart WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM carts_cart WHERE expires_on < ($1 AT TIME ZONE 'UTC')::date
        ORDER BY expires_on LIMIT $2 FOR UPDATE SKIP LOCKED))";

const REAP_PURCHASES: &str = "
    DELETE FROM carts_purchase WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM carts_purchase WHERE expires_at <= $1
        ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED))";

impl PostgresCarts {
    /// Brings the tables up to date.
    pub async fn open(db: Db) -> Result<Self, MigrateError> {
        db.migrate(&MIGRATIONS, "carts").await?;
        Ok(Self { db })
    }
}

#[async_trait]
impl CartStore for PostgresCarts {
    async fn find(&self, key: CartKey, now: OffsetDateTime) -> Result<Option<StoredCart>, StoreError> {
        let row: Option<Row> = sqlx::query_as(
            "SELECT revision, lines, updated_at, expires_at FROM carts_cart
             WHERE id = $1 AND kind = $2 AND expires_at > $3",
        )
        .bind(key.id)
        .bind(key.kind.as_str())
        .bind(now)
        .fetch_optional(&self.db)
        .await?;
        Ok(row.map(StoredCart::from))
    }

    async fn set_line(
        &self,
        key: CartKey,
        product_id: Uuid,
        quantity: u16,
        at: Moment,
    ) -> Result<SetLine, StoreError> {
        let line = Line {
            quantity,
            added_at: at.now,
        };
        let row: Option<Row> = sqlx::query_as(SET_LINE)
            .bind(key.id)
            .bind(key.kind.as_str())
            .bind(product_id.to_string())
            .bind(Json(line))
            .bind(at.now)
            .bind(at.expires_at)
            .bind(i64::try_from(LINES_MAX).unwrap_or(i64::MAX))
            .fetch_optional(&self.db)
            .await?;
        Ok(row.map_or(SetLine::Full, |row| SetLine::Done(row.into())))
    }

    async fn remove_line(
        &self,
        key: CartKey,
        product_id: Uuid,
        at: Moment,
    ) -> Result<Option<StoredCart>, StoreError> {
        let row: Option<Row> = sqlx::query_as(REMOVE_LINE)
            .bind(key.id)
            .bind(key.kind.as_str())
            .bind(product_id.to_string())
            .bind(at.now)
            .bind(at.expires_at)
            .fetch_optional(&self.db)
            .await?;
        Ok(row.map(StoredCart::from))
    }

    async fn clear(&self, key: CartKey, at: Moment) -> Result<(), StoreError> {
        sqlx::query(CLEAR)
            .bind(key.id)
            .bind(key.kind.as_str())
            .bind(at.now)
            .bind(at.expires_at)
            .execute(&self.db)
            .await?;
        Ok(())
    }

    async fn merge(&self, user_id: Uuid, anonymous_id: Uuid, at: Moment) -> Result<Merged, StoreError> {
        let mut tx = self.db.begin().await?;
        // Always the visitor's row first: two merges cannot wait for each other.
        let Some(incoming) = take_out(&mut tx, anonymous_id, at.now).await? else {
            tx.commit().await?;
            let cart = self.find(CartKey::user(user_id), at.now).await?;
            return Ok(Merged {
                cart,
                dropped: Vec::new(),
            });
        };
        let mut cart: StoredCart = sqlx::query_as::<_, Row>(LOCK_FOR_MERGE)
            .bind(user_id)
            .bind(at.now)
            .bind(at.expires_at)
            .fetch_one(&mut tx)
            .await?
            .into();
        let before = cart.lines.clone();
        let dropped = merge_lines(&mut cart.lines, incoming);
        if cart.lines != before {
            cart.revision += 1;
            cart.updated_at = at.now;
            write_merged(&mut tx, user_id, &cart).await?;
        }
        tx.commit().await?;
        Ok(Merged {
            cart: Some(cart),
            dropped,
        })
    }

    async fn take_purchase(&self, purchase: &Purchase, at: Moment) -> Result<Option<StoredCart>, StoreError> {
        let (products, quantities): (Vec<String>, Vec<i64>) = purchase
            .quantities
            .iter()
            .map(|(product_id, quantity)| (product_id.to_string(), i64::from(*quantity)))
            .unzip();
        let row: Option<Row> = sqlx::query_as(TAKE_PURCHASE)
            .bind(purchase.user_id)
            .bind(purchase.saga_id)
            .bind(purchase.remembered_until)
            .bind(products)
            .bind(quantities)
            .bind(at.now)
            .bind(at.expires_at)
            .fetch_optional(&self.db)
            .await?;
        match row {
            Some(row) => Ok(Some(row.into())),
            // A repetition, or no cart: either way there was nothing to take off.
            None => self.find(CartKey::user(purchase.user_id), at.now).await,
        }
    }

    async fn reap(&self, now: OffsetDateTime, max: u32) -> Result<u64, StoreError> {
        let mut removed = 0;
        for statement in [REAP_CARTS, REAP_PURCHASES] {
            let done = sqlx::query(statement)
                .bind(now)
                .bind(i64::from(max))
                .execute(&self.db)
                .await?;
            removed += done.rows_affected();
        }
        Ok(removed)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(self.db.ping().await?)
    }

    fn lacks(&self) -> &[Capability] {
        &[]
    }
}

/// Removes the visitor's cart and gives its lines; `None` when it is missing, expired or empty.
async fn take_out(tx: &mut Tx, anonymous_id: Uuid, now: OffsetDateTime) -> Result<Option<Lines>, StoreError> {
    let row: Option<Row> = sqlx::query_as(
        "DELETE FROM carts_cart WHERE id = $1 AND kind = $2
         RETURNING revision, lines, updated_at, expires_at",
    )
    .bind(anonymous_id)
    .bind(CartKind::Anonymous.as_str())
    .fetch_optional(tx)
    .await?;
    Ok(row
        .filter(|row| row.expires_at > now)
        .map(|row| row.lines.0)
        .filter(|lines| !lines.is_empty()))
}

async fn write_merged(tx: &mut Tx, user_id: Uuid, cart: &StoredCart) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE carts_cart SET revision = $2, lines = $3, updated_at = $4 WHERE id = $1 AND kind = 'user'",
    )
    .bind(user_id)
    .bind(cart.revision)
    .bind(Json(&cart.lines))
    .bind(cart.updated_at)
    .execute(tx)
    .await?;
    Ok(())
}

#[cfg(test)]
pub(super) mod tests;
