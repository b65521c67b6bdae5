//! Carts and marks of purchases, to be moved: listed by their primary keys, first all carts, then all marks.

use async_trait::async_trait;
use emporium_moving::{Copied, Keys, Record};
use emporium_service_kit::{Clock, Db, StoreError};
use sqlx::types::Json;
use time::OffsetDateTime;
use uuid::Uuid;

use super::Row;
use crate::model::{CartKey, CartKind, Lines};
use crate::store::record::{Content, RecordKey, content, record};

/// What the marks' part of a listing begins after.
const FIRST_MARK: RecordKey = RecordKey::Purchase {
    user_id: Uuid::nil(),
    saga_id: Uuid::nil(),
};

/// The records of a database.
pub struct PostgresRecords {
    db: Db,
    clock: Clock,
}

const CART_KEYS: &str = "
    SELECT id, kind FROM carts_cart WHERE (id, kind) > ($1, $2) AND expires_at > $3 ORDER BY id, kind LIMIT $4";
const MARK_KEYS: &str = "
    SELECT user_id, saga_id FROM carts_purchase
    WHERE (user_id, saga_id) > ($1, $2) AND expires_at > $3 ORDER BY user_id, saga_id LIMIT $4";
const CARTS: &str = "
    SELECT c.id, c.kind, revision, lines, updated_at, expires_at
    FROM unnest($1::uuid[], $2::text[]) AS wanted (id, kind) JOIN carts_cart AS c USING (id, kind) WHERE expires_at > $3";
const MARKS: &str = "
    SELECT p.user_id, p.saga_id, expires_at
    FROM unnest($1::uuid[], $2::uuid[]) AS wanted (user_id, saga_id) JOIN carts_purchase AS p USING (user_id, saga_id)
    WHERE expires_at > $3";
const PUT_CARTS: &str = "
    INSERT INTO carts_cart (id, kind, revision, lines, updated_at, expires_at)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::jsonb[], $5::timestamptz[], $6::timestamptz[])
    ON CONFLICT (id, kind) DO UPDATE SET revision = excluded.revision, lines = excluded.lines,
        updated_at = excluded.updated_at, expires_at = excluded.expires_at";
const PUT_MARKS: &str = "
    INSERT INTO carts_purchase (user_id, saga_id, expires_at)
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[])
    ON CONFLICT (user_id, saga_id) DO UPDATE SET expires_at = excluded.expires_at";
const REMOVE_CARTS: &str = "
    DELETE FROM carts_cart AS c USING unnest($1::uuid[], $2::text[]) AS gone (id, kind)
    WHERE (c.id, c.kind) = (gone.id, gone.kind)";
const REMOVE_MARKS: &str = "
    DELETE FROM carts_purchase AS p USING unnest($1::uuid[], $2::uuid[]) AS gone (user_id, saga_id)
    WHERE (p.user_id, p.saga_id) = (gone.user_id, gone.saga_id)";

/// Keys by table: ids and kinds of carts, users and sagas of marks.
#[derive(Default)]
struct Wanted {
    ids: Vec<Uuid>,
    kinds: Vec<&'static str>,
    users: Vec<Uuid>,
    sagas: Vec<Uuid>,
}

impl Wanted {
    fn read(keys: &[String]) -> Result<Self, StoreError> {
        let mut wanted = Self::default();
        for key in keys {
            match RecordKey::read(key)? {
                RecordKey::Cart(key) => {
                    wanted.ids.push(key.id);
                    wanted.kinds.push(key.kind.as_str());
                }
                RecordKey::Purchase { user_id, saga_id } => {
                    wanted.users.push(user_id);
                    wanted.sagas.push(saga_id);
                }
            }
        }
        Ok(wanted)
    }
}

fn cart_key(id: Uuid, kind: &str) -> RecordKey {
    let kind = match kind {
        "user" => CartKind::User,
        _ => CartKind::Anonymous,
    };
    RecordKey::Cart(CartKey { kind, id })
}

impl PostgresRecords {
    /// Of the tables that [`PostgresCarts::open`](super::PostgresCarts::open) has made.
    pub fn new(db: Db, clock: Clock) -> Self {
        Self { db, clock }
    }

    /// A page of one table; `after` is a key of it, or none.
    async fn page(&self, after: Option<RecordKey>, max: usize) -> Result<Vec<RecordKey>, StoreError> {
        let (now, max) = (self.clock.now(), i64::try_from(max).unwrap_or(i64::MAX));
        Ok(match after {
            Some(RecordKey::Purchase { user_id, saga_id }) => {
                let rows: Vec<(Uuid, Uuid)> = sqlx::query_as(MARK_KEYS)
                    .bind(user_id)
                    .bind(saga_id)
                    .bind(now)
                    .bind(max)
                    .fetch_all(&self.db)
                    .await?;
                let key = |(user_id, saga_id)| RecordKey::Purchase { user_id, saga_id };
                rows.into_iter().map(key).collect()
            }
            after => {
                let (id, kind) = match after {
                    Some(RecordKey::Cart(key)) => (key.id, key.kind.as_str()),
                    _ => (Uuid::nil(), ""),
                };
                let rows: Vec<(Uuid, String)> = sqlx::query_as(CART_KEYS)
                    .bind(id)
                    .bind(kind)
                    .bind(now)
                    .bind(max)
                    .fetch_all(&self.db)
                    .await?;
                rows.into_iter().map(|(id, kind)| cart_key(id, &kind)).collect()
            }
        })
    }
}

#[derive(sqlx::FromRow)]
struct CartRow {
    id: Uuid,
    kind: String,
    #[sqlx(flatten)]
    row: Row,
}

#[async_trait]
impl Copied for PostgresRecords {
    async fn keys(&self, after: Option<&str>, max: usize) -> Result<Keys, StoreError> {
        let after = after.map(RecordKey::read).transpose()?;
        let keys = self.page(after, max).await?;
        let next = match (keys.last(), after) {
            (Some(last), _) if keys.len() >= max => Some(*last),
            (_, None | Some(RecordKey::Cart(_))) => Some(FIRST_MARK),
            _ => None,
        };
        Ok(Keys {
            keys: keys.into_iter().map(RecordKey::text).collect(),
            next: next.map(RecordKey::text),
        })
    }

    async fn read(&self, keys: &[String]) -> Result<Vec<Record>, StoreError> {
        let (wanted, now) = (Wanted::read(keys)?, self.clock.now());
        let carts: Vec<CartRow> = sqlx::query_as(CARTS)
            .bind(&wanted.ids)
            .bind(&wanted.kinds)
            .bind(now)
            .fetch_all(&self.db)
            .await?;
        let marks: Vec<(Uuid, Uuid, OffsetDateTime)> = sqlx::query_as(MARKS)
            .bind(&wanted.users)
            .bind(&wanted.sagas)
            .bind(now)
            .fetch_all(&self.db)
            .await?;
        let carts = carts
            .into_iter()
            .map(|cart| record(cart_key(cart.id, &cart.kind), Content::Cart(cart.row.into())));
        let marks = marks.into_iter().map(|(user_id, saga_id, expires_at)| {
            record(
                RecordKey::Purchase { user_id, saga_id },
                Content::Purchase(expires_at),
            )
        });
        carts.chain(marks).collect()
    }

    async fn put(&self, records: &[Record]) -> Result<(), StoreError> {
        let mut wanted = Wanted::default();
        let (mut revisions, mut lines, mut updated) = (Vec::new(), Vec::new(), Vec::new());
        let (mut cart_expiry, mut mark_expiry) = (Vec::new(), Vec::new());
        for one in records {
            match content(one)? {
                (RecordKey::Cart(key), Content::Cart(cart)) => {
                    wanted.ids.push(key.id);
                    wanted.kinds.push(key.kind.as_str());
                    revisions.push(cart.revision);
                    lines.push(Json::<Lines>(cart.lines));
                    updated.push(cart.updated_at);
                    cart_expiry.push(cart.expires_at);
                }
                (RecordKey::Purchase { user_id, saga_id }, Content::Purchase(expires_at)) => {
                    wanted.users.push(user_id);
                    wanted.sagas.push(saga_id);
                    mark_expiry.push(expires_at);
                }
                _ => {}
            }
        }
        let mut tx = self.db.begin().await?;
        sqlx::query(PUT_CARTS)
            .bind(&wanted.ids)
            .bind(&wanted.kinds)
            .bind(revisions)
            .bind(lines)
            .bind(updated)
            .bind(cart_expiry)
            .execute(&mut tx)
            .await?;
        sqlx::query(PUT_MARKS)
            .bind(&wanted.users)
            .bind(&wanted.sagas)
            .bind(mark_expiry)
            .execute(&mut tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    async fn remove(&self, keys: &[String]) -> Result<(), StoreError> {
        let wanted = Wanted::read(keys)?;
        let mut tx = self.db.begin().await?;
        sqlx::query(REMOVE_CARTS)
            .bind(&wanted.ids)
            .bind(&wanted.kinds)
            .execute(&mut tx)
            .await?;
        sqlx::query(REMOVE_MARKS)
            .bind(&wanted.users)
            .bind(&wanted.sagas)
            .execute(&mut tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    async fn clear(&self) -> Result<(), StoreError> {
        sqlx::query("TRUNCATE carts_cart, carts_purchase")
            .execute(&self.db)
            .await?;
        Ok(())
    }
}
