//! Checkout with a payment that succeeds: what the saga of `services/orders` and the services that it calls send to their
//! databases, in the saga's order, each transaction committed where theirs is. What the saga asks at once is asked at once.

mod orders;
mod others;
mod payments;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, PgConnection};
use time::OffsetDateTime;
use uuid::Uuid;

use self::orders::Advance;
use super::cart::{customer, now};
use super::products::find_many;
use super::{Failed, Floor, Shared};

/// What is asked for.
#[derive(Deserialize)]
pub struct Request {
    address_id: Uuid,
    payment_token: String,
}

/// An order on its way.
struct Order {
    id: Uuid,
    customer: Uuid,
    key: String,
    lines: Vec<Line>,
    total: i64,
}

/// A line of an order.
struct Line {
    product_id: Uuid,
    sku: String,
    name: String,
    quantity: i64,
    unit_price: i64,
}

impl Order {
    /// One for each whole unit of the currency.
    fn points(&self) -> i64 {
        self.total / 100
    }

    /// As the catalog locks them.
    fn lines_by_product(&self) -> Vec<(Uuid, i64)> {
        let mut lines: Vec<(Uuid, i64)> = self
            .lines
            .iter()
            .map(|line| (line.product_id, line.quantity))
            .collect();
        lines.sort_unstable();
        lines
    }
}

/// `POST /api/orders`.
pub async fn place(
    State(floor): Shared,
    headers: HeaderMap,
    Json(request): Json<Request>,
) -> Result<(StatusCode, Json<Value>), Failed> {
    let customer = customer(&floor.sessions, &headers, now()).await?;
    let key = headers
        .get("idempotency-key")
        .and_then(|key| key.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let claim = Uuid::new_v4();
    let print = Sha256::digest(format!("{}{}", request.address_id, request.payment_token)).to_vec();
    orders::claim(&floor.orders, customer, &key, claim, &print).await?;
    let prepared = prepare(&floor, customer, request.address_id).await?;
    let order = Order {
        id: Uuid::now_v7(),
        customer,
        key,
        total: total(&prepared.lines),
        lines: prepared.lines,
    };
    orders::place(
        &floor.orders,
        &order,
        claim,
        (&prepared.address, prepared.revision, &request.payment_token),
    )
    .await?;
    orders::progress(&floor.orders, order.id).await?;
    drive(&floor, &order, &request.payment_token).await?;
    orders::progress(&floor.orders, order.id).await?;
    let body = orders::answer(&floor.orders, &order).await?;
    Ok((StatusCode::CREATED, Json(body)))
}

/// The saga.
async fn drive(floor: &Floor, order: &Order, token: &str) -> Result<(), Failed> {
    others::hold_stock(&floor.catalog, order).await?;
    orders::advance(
        &floor.orders,
        order,
        &Advance::to("points", Some("reserved"), "reserve-stock"),
    )
    .await?;
    others::add_points(&floor.users, order).await?;
    orders::advance(&floor.orders, order, &Advance::to("charge", None, "add-points")).await?;
    payments::charge(&floor.payments, order, token).await?;
    orders::advance(
        &floor.orders,
        order,
        &Advance::to("commit", Some("paid"), "charge"),
    )
    .await?;
    others::commit_stock(&floor.catalog, order).await?;
    orders::confirm(&floor.orders, order).await?;
    tokio::try_join!(
        others::confirm_points(&floor.users, order),
        others::clear_cart(&floor.carts, order)
    )?;
    orders::paid(&floor.orders, order).await
}

struct Prepared {
    revision: i64,
    lines: Vec<Line>,
    address: Value,
}

/// Looking before leaping: customer, address and cart at once, then the products.
async fn prepare(floor: &Floor, customer: Uuid, address_id: Uuid) -> Result<Prepared, Failed> {
    let ((), address, cart) = tokio::try_join!(
        others::user(&floor.users, customer),
        others::address(&floor.users, customer, address_id),
        others::cart(&floor.carts, customer),
    )?;
    let items = cart.lines.0;
    let ids: Vec<Uuid> = items.keys().copied().collect();
    let mut found = find_many(&floor.catalog, &ids).await?;
    let lines = items.into_iter().filter_map(|(id, item)| {
        let product = found.remove(&id)?;
        Some(Line {
            product_id: id,
            sku: product.sku,
            name: product.name,
            quantity: item.quantity,
            unit_price: product.price,
        })
    });
    Ok(Prepared {
        revision: cart.revision,
        lines: lines.collect(),
        address,
    })
}

fn total(lines: &[Line]) -> i64 {
    lines.iter().map(|line| line.unit_price * line.quantity).sum()
}

/// An event for a service's outbox (`infra/lib/event-bus/src/outbox.rs`).
struct Event {
    kind: &'static str,
    subject: Uuid,
    version: i64,
    data: Value,
}

async fn write_events(tx: &mut PgConnection, prefix: &str, events: &[Event]) -> Result<(), Failed> {
    let sql = format!(
        "INSERT INTO {prefix}_outbox (id, type, subject, version, time, traceparent, data)
                 SELECT id, type, subject, version, time, traceparent, data::json
                 FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::timestamptz[], $6::text[], $7::text[])
                   WITH ORDINALITY AS e (id, type, subject, version, time, traceparent, data, n)
                 ORDER BY n"
    );
    let at = now();
    let traces: Vec<Option<String>> = events.iter().map(|_| Some(trace())).collect();
    sqlx::query(AssertSqlSafe(sql))
        .bind(events.iter().map(|_| Uuid::now_v7()).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.kind).collect::<Vec<_>>())
        .bind(
            events
                .iter()
                .map(|event| event.subject.to_string())
                .collect::<Vec<_>>(),
        )
        .bind(events.iter().map(|event| event.version).collect::<Vec<_>>())
        .bind(events.iter().map(|_| at).collect::<Vec<OffsetDateTime>>())
        .bind(traces)
        .bind(
            events
                .iter()
                .map(|event| event.data.to_string())
                .collect::<Vec<_>>(),
        )
        .execute(tx)
        .await?;
    Ok(())
}

/// Something as long as a trace context.
fn trace() -> String {
    let id = STANDARD.encode(Uuid::new_v4().as_bytes());
    format!("00-{id:0<32}-0123456789abcdef-01")
}
