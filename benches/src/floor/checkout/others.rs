//! The statements of the services that the saga calls: `services/users/src/store`, `services/carts/src/store` and
//! `services/catalog/src/store`.

use anyhow::anyhow;
use serde_json::{Value, json};
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection, PgPool};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::super::begin;
use super::super::cart::{Cart, now};
use super::{Event, Failed, Order, write_events};

macro_rules! user_columns {
    () => {
        "id, email, name, role, active, points, pending_points, preferences, origin, name_invented, version, \
         created_at, updated_at"
    };
}

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

/// An account, as far as it is looked at.
#[derive(FromRow)]
pub struct User {
    active: bool,
    version: i64,
}

/// The customer, who has to be active.
pub async fn user(users: &PgPool, id: Uuid) -> Result<(), Failed> {
    let sql = concat!("SELECT ", user_columns!(), " FROM users_account WHERE id = $1");
    let user: User = sqlx::query_as(sql).bind(id).fetch_one(users).await?;
    if user.active {
        Ok(())
    } else {
        Err(anyhow!("blocked").into())
    }
}

/// The address.
pub async fn address(users: &PgPool, user: Uuid, id: Uuid) -> Result<Value, Failed> {
    let sql = "SELECT id, street, city, postal_code, country, is_default FROM users_address WHERE id = $1 AND user_id = $2";
    let row: (Uuid, String, String, String, String, bool) =
        sqlx::query_as(sql).bind(id).bind(user).fetch_one(users).await?;
    Ok(json!({ "street": row.1, "city": row.2, "postal_code": row.3, "country": row.4 }))
}

/// The cart.
pub async fn cart(carts: &PgPool, customer: Uuid) -> Result<Cart, Failed> {
    let sql = "SELECT revision, lines, updated_at, expires_at FROM carts_cart
             WHERE id = $1 AND kind = $2 AND expires_at > $3";
    Ok(sqlx::query_as(sql)
        .bind(customer)
        .bind("user")
        .bind(now())
        .fetch_one(carts)
        .await?)
}

#[derive(FromRow)]
struct Stock {
    product_id: Uuid,
    on_hand: i64,
    reserved: i64,
    version: i64,
}

/// Reserves the lines.
pub async fn hold_stock(catalog: &PgPool, order: &Order) -> Result<(), Failed> {
    let (lines, at) = (order.lines_by_product(), now());
    let mut tx = begin(catalog).await?;
    sqlx::query(
        "INSERT INTO catalog_reservation (saga_id, state, product_ids, quantities, expires_at, created_at, ended_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (saga_id) DO NOTHING",
    )
    .bind(order.id)
    .bind("held")
    .bind(lines.iter().map(|line| line.0).collect::<Vec<_>>())
    .bind(lines.iter().map(|line| line.1).collect::<Vec<_>>())
    .bind(at + Duration::seconds(315))
    .bind(at)
    .bind(None::<OffsetDateTime>)
    .execute(&mut *tx)
    .await?;
    let mut stocks = lock_stock(&mut tx, &lines).await?;
    for (stock, (_, quantity)) in stocks.iter_mut().zip(&lines) {
        stock.reserved += quantity;
    }
    write_stock(&mut tx, stocks, "reserved", order.id).await?;
    Ok(tx.commit().await?)
}

/// The reserved units leave.
pub async fn commit_stock(catalog: &PgPool, order: &Order) -> Result<(), Failed> {
    let lines = order.lines_by_product();
    let mut tx = begin(catalog).await?;
    let _: (Uuid, String, Vec<Uuid>, Vec<i64>, OffsetDateTime) = sqlx::query_as(
        "SELECT saga_id, state, product_ids, quantities, expires_at FROM catalog_reservation WHERE saga_id = $1 FOR UPDATE",
    )
    .bind(order.id)
    .fetch_one(&mut *tx)
    .await?;
    let mut stocks = lock_stock(&mut tx, &lines).await?;
    for (stock, (_, quantity)) in stocks.iter_mut().zip(&lines) {
        stock.reserved -= quantity;
        stock.on_hand -= quantity;
    }
    write_stock(&mut tx, stocks, "committed", order.id).await?;
    sqlx::query("UPDATE catalog_reservation SET state = $2, ended_at = $3 WHERE saga_id = ANY ($1)")
        .bind(vec![order.id])
        .bind("committed")
        .bind(now())
        .execute(&mut *tx)
        .await?;
    Ok(tx.commit().await?)
}

async fn lock_stock(tx: &mut PgConnection, lines: &[(Uuid, i64)]) -> Result<Vec<Stock>, Failed> {
    let sql = "SELECT product_id, on_hand, reserved, popularity, archived, version FROM catalog_stock
         WHERE product_id = ANY ($1) ORDER BY product_id FOR UPDATE";
    let ids: Vec<Uuid> = lines.iter().map(|line| line.0).collect();
    Ok(sqlx::query_as(sql).bind(ids).fetch_all(tx).await?)
}

async fn write_stock(
    tx: &mut PgConnection,
    stocks: Vec<Stock>,
    reason: &str,
    reference: Uuid,
) -> Result<(), Failed> {
    sqlx::query(
        "UPDATE catalog_stock AS s
             SET on_hand = n.on_hand, reserved = n.reserved, version = n.version, updated_at = $5
             FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[]) AS n (id, on_hand, reserved, version)
             WHERE s.product_id = n.id",
    )
    .bind(stocks.iter().map(|stock| stock.product_id).collect::<Vec<_>>())
    .bind(stocks.iter().map(|stock| stock.on_hand).collect::<Vec<_>>())
    .bind(stocks.iter().map(|stock| stock.reserved).collect::<Vec<_>>())
    .bind(stocks.iter().map(|stock| stock.version + 1).collect::<Vec<_>>())
    .bind(now())
    .execute(&mut *tx)
    .await?;
    let event = |stock: &Stock| Event {
        kind: "stock.changed.v1",
        subject: stock.product_id,
        version: stock.version + 1,
        data: json!({
            "product_id": stock.product_id, "on_hand": stock.on_hand, "reserved": stock.reserved,
            "available": stock.on_hand - stock.reserved, "reason": reason, "reference": reference,
            "version": stock.version + 1,
        }),
    };
    write_events(tx, "catalog", &stocks.iter().map(event).collect::<Vec<_>>()).await
}

/// Sets the points aside.
pub async fn add_points(users: &PgPool, order: &Order) -> Result<(), Failed> {
    let mut tx = begin(users).await?;
    let user = lock_user(&mut tx, order.customer).await?;
    sqlx::query(
        "INSERT INTO users_points (saga_id, user_id, points, state, created_at, updated_at)
                   VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT (saga_id) DO NOTHING",
    )
    .bind(order.id)
    .bind(order.customer)
    .bind(order.points())
    .bind("pending")
    .bind(now())
    .execute(&mut *tx)
    .await?;
    settle_points(
        &mut tx,
        order,
        user.version,
        ("pending", "points.pending.v1"),
        (0, order.points()),
    )
    .await?;
    Ok(tx.commit().await?)
}

/// Makes the points count.
pub async fn confirm_points(users: &PgPool, order: &Order) -> Result<(), Failed> {
    let _: (Uuid, Option<Uuid>, i64, String) =
        sqlx::query_as("SELECT saga_id, user_id, points, state FROM users_points WHERE saga_id = $1")
            .bind(order.id)
            .fetch_one(users)
            .await?;
    let mut tx = begin(users).await?;
    let user = lock_user(&mut tx, order.customer).await?;
    let _: (Uuid, Option<Uuid>, i64, String) = sqlx::query_as(
        "SELECT saga_id, user_id, points, state FROM users_points WHERE saga_id = $1 FOR UPDATE",
    )
    .bind(order.id)
    .fetch_one(&mut *tx)
    .await?;
    let moved = (order.points(), -order.points());
    settle_points(
        &mut tx,
        order,
        user.version,
        ("confirmed", "points.confirmed.v1"),
        moved,
    )
    .await?;
    Ok(tx.commit().await?)
}

async fn lock_user(tx: &mut PgConnection, id: Uuid) -> Result<User, Failed> {
    let sql = concat!(
        "SELECT ",
        user_columns!(),
        " FROM users_account WHERE id = $1 FOR NO KEY UPDATE"
    );
    Ok(sqlx::query_as(sql).bind(id).fetch_one(tx).await?)
}

async fn settle_points(
    tx: &mut PgConnection,
    order: &Order,
    version: i64,
    (state, kind): (&str, &'static str),
    moved: (i64, i64),
) -> Result<(), Failed> {
    let at = now();
    sqlx::query("UPDATE users_points SET state = $2, updated_at = $3 WHERE saga_id = $1")
        .bind(order.id)
        .bind(state)
        .bind(at)
        .execute(&mut *tx)
        .await?;
    sqlx::query(
        "UPDATE users_account
            SET points = points + $2, pending_points = pending_points + $3, version = version + 1, updated_at = $4
            WHERE id = $1",
    )
    .bind(order.customer)
    .bind(moved.0)
    .bind(moved.1)
    .bind(at)
    .execute(&mut *tx)
    .await?;
    let data = json!({
        "user_id": order.customer, "saga_id": order.id, "points": order.points(), "version": version + 1
    });
    write_events(
        tx,
        "users",
        &[Event {
            kind,
            subject: order.customer,
            version: version + 1,
            data,
        }],
    )
    .await
}

/// Takes the bought lines out of the cart.
pub async fn clear_cart(carts: &PgPool, order: &Order) -> Result<(), Failed> {
    let at = now();
    let products: Vec<String> = order
        .lines
        .iter()
        .map(|line| line.product_id.to_string())
        .collect();
    let quantities: Vec<i64> = order.lines.iter().map(|line| line.quantity).collect();
    let _: (i64, Json<Value>, OffsetDateTime, OffsetDateTime) = sqlx::query_as(TAKE_PURCHASE)
        .bind(order.customer)
        .bind(order.id)
        .bind(at + Duration::days(90))
        .bind(products)
        .bind(quantities)
        .bind(at)
        .bind(at + Duration::days(90))
        .fetch_one(carts)
        .await?;
    Ok(())
}
