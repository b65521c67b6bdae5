//! Adding to the cart: the session (`services/sessions/src/store/postgres.rs`), the product
//! (`services/catalog/src/store/products.rs`), the cart (`services/carts/src/store/postgres.rs`), and the products of the
//! cart that is shown.

use std::collections::BTreeMap;

use anyhow::{Context, anyhow};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sqlx::types::Json as SqlJson;
use sqlx::{FromRow, PgPool};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::products::{self, Money};
use super::{Failed, Shared};

const SESSION: &str = "SELECT user_id, role, began_at, expires_at, ends_at, blocked FROM sessions_session
             WHERE token_hash = $1 AND expires_at > $2";

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

const LINES_MAX: i64 = 100;
const TTL: Duration = Duration::days(90);

/// A line of a cart as it is kept.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Line {
    /// How many.
    #[serde(rename = "q")]
    pub quantity: i64,
    /// When it was added, microseconds since 1970.
    #[serde(rename = "t")]
    pub added_at: i64,
}

/// A cart's row, as far as it is looked at.
#[derive(FromRow)]
pub struct Cart {
    pub revision: i64,
    pub lines: SqlJson<BTreeMap<Uuid, Line>>,
}

/// A session's row.
type Session = (Uuid, String, OffsetDateTime, OffsetDateTime, OffsetDateTime, bool);

/// Whose session a request presents.
pub async fn customer(sessions: &PgPool, headers: &HeaderMap, now: OffsetDateTime) -> Result<Uuid, Failed> {
    let value = headers.get(header::AUTHORIZATION).context("no token")?;
    let token = value
        .to_str()?
        .strip_prefix("Bearer ")
        .context("no bearer token")?;
    let hash = Sha256::digest(URL_SAFE_NO_PAD.decode(token)?).to_vec();
    let row: Option<Session> = sqlx::query_as(SESSION)
        .bind(hash)
        .bind(now)
        .fetch_optional(sessions)
        .await?;
    // Sessions of a run are too young for their expiry to slide.
    row.map(|row| row.0).ok_or_else(|| anyhow!("no session").into())
}

/// What is asked for.
#[derive(Deserialize)]
pub struct Quantity {
    quantity: i64,
}

/// A cart as the API shows it.
#[derive(Serialize)]
pub struct CartView {
    items: Vec<CartLine>,
    total: Money,
    revision: i64,
    degraded: [&'static str; 0],
}

#[derive(Serialize)]
struct CartLine {
    product_id: Uuid,
    name: String,
    quantity: i64,
    unit_price: Money,
    line_total: Money,
    in_stock: bool,
    available: i64,
}

/// `PUT /api/cart/items/{id}`.
pub async fn set_quantity(
    State(floor): Shared,
    headers: HeaderMap,
    Path(product): Path<Uuid>,
    Json(Quantity { quantity }): Json<Quantity>,
) -> Result<Json<CartView>, Failed> {
    let now = now();
    let customer = customer(&floor.sessions, &headers, now).await?;
    products::find(&floor.catalog, product).await?;
    let line = Line {
        quantity,
        added_at: micros(now)?,
    };
    let cart: Cart = sqlx::query_as(SET_LINE)
        .bind(customer)
        .bind("user")
        .bind(product.to_string())
        .bind(SqlJson(line))
        .bind(now)
        .bind(now + TTL)
        .bind(LINES_MAX)
        .fetch_one(&floor.carts)
        .await?;
    let mut lines: Vec<(Uuid, Line)> = cart.lines.0.into_iter().collect();
    lines.sort_by_key(|(id, line)| (line.added_at, *id));
    let ids: Vec<Uuid> = lines.iter().map(|(id, _)| *id).collect();
    let mut found = products::find_many(&floor.catalog, &ids).await?;
    let items = lines
        .into_iter()
        .filter_map(|(id, line)| Some(show(found.remove(&id)?, line.quantity)));
    let items: Vec<CartLine> = items.collect();
    let total = items.iter().map(|line| line.line_total.amount).sum();
    let total = Money {
        amount: total,
        currency: "GBP".to_owned(),
    };
    Ok(Json(CartView {
        items,
        total,
        revision: cart.revision,
        degraded: [],
    }))
}

fn show(product: products::Row, quantity: i64) -> CartLine {
    let money = |amount| Money {
        amount,
        currency: product.currency.clone(),
    };
    CartLine {
        product_id: product.id,
        quantity,
        unit_price: money(product.price),
        line_total: money(product.price * quantity),
        in_stock: product.available() > 0,
        available: product.available(),
        name: product.name,
    }
}

/// The time. The floor has no clock to move.
#[allow(clippy::disallowed_methods)]
pub fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

fn micros(at: OffsetDateTime) -> Result<i64, Failed> {
    Ok(i64::try_from(at.unix_timestamp_nanos() / 1_000)?)
}
