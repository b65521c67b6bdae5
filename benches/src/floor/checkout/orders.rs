//! The statements of `services/orders/src/store/{idempotency,create,saga,mod}.rs`.

use anyhow::anyhow;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection, PgExecutor, PgPool};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::super::begin;
use super::super::cart::now;
use super::{Event, Failed, Order, trace, write_events};

const LEASE: Duration = Duration::seconds(5);

const CLAIM: &str = "INSERT INTO orders_idempotency AS i (customer_id, key, fingerprint, claim, claimed_until, created_at)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (customer_id, key) DO UPDATE
         SET fingerprint = excluded.fingerprint, claim = excluded.claim, claimed_until = excluded.claimed_until,
             created_at = CASE WHEN i.created_at <= $7 THEN excluded.created_at ELSE i.created_at END,
             order_id = CASE WHEN i.created_at <= $7 THEN NULL ELSE i.order_id END,
             status = NULL, body = NULL
         WHERE i.created_at <= $7 OR (i.status IS NULL AND i.fingerprint = excluded.fingerprint
                                      AND (i.claimed_until <= $6 OR i.claimed_until > $8))
         RETURNING i.order_id,
             coalesce((SELECT clearings FROM orders_cart_clearing WHERE customer_id = $1), 0)";

const INSERT: &str = "WITH placed AS (
             INSERT INTO orders_order (id, number, customer_id, status, currency, total, points, shipping_address,
                 billing_address, placed_at, updated_at, source, cart_revision, checkout_open, cart_held)
             VALUES ($1, 'E-' || nextval('orders_number_seq'), $2, 'pending', $3, $4, $5, $6, $7, $8, $8, 'shop', $9, true, true)
             RETURNING id
         ), line AS (
             INSERT INTO orders_line (order_id, position, product_id, sku, name, quantity, unit_price)
             SELECT placed.id, l.position, l.product_id, l.sku, l.name, l.quantity, l.unit_price
             FROM placed, unnest($10::uuid[], $11::text[], $12::text[], $13::bigint[], $14::bigint[])
                 WITH ORDINALITY AS l (product_id, sku, name, quantity, unit_price, position)
         ), saga AS (
             INSERT INTO orders_saga (order_id, step, due_at, worker, deadline, payment_token, traceparent)
             SELECT placed.id, 'reserve', $15, $16, $17, $18, $19 FROM placed
         )
         INSERT INTO orders_step (order_id, step, state, at) SELECT placed.id, 'place', 'done', $8 FROM placed";

const FIND: &str = "SELECT o.id, o.number, o.customer_id, o.status, o.fulfilment, o.currency, o.total, o.points,
                    o.shipping_address, o.billing_address, o.placed_at, o.updated_at, o.reason, o.source, o.reference,
                    o.version,
                    (SELECT coalesce(json_agg(json_build_object('product_id', l.product_id, 'sku', l.sku, 'name', l.name,
                              'quantity', l.quantity, 'unit_price', l.unit_price) ORDER BY l.position), '[]')
                     FROM orders_line AS l WHERE l.order_id = o.id) AS lines,
                    (SELECT coalesce(json_agg(json_build_object('kind', c.kind, 'name', c.name, 'amount', c.amount)
                              ORDER BY c.position), '[]')
                     FROM orders_charge AS c WHERE c.order_id = o.id) AS charges,
                    (SELECT coalesce(sum(r.amount), 0)::bigint FROM orders_refund AS r WHERE r.order_id = o.id) AS refunded, \
    (SELECT coalesce(json_agg(json_build_object('step', s.step, 'state', s.state, 'at', s.at, 'detail', s.detail)
                   ORDER BY s.seq), '[]') FROM orders_step AS s WHERE s.order_id = o.id) AS timeline \
    FROM orders_order AS o WHERE o.id = $1";

const ADVANCE: &str = "WITH saga AS (
             UPDATE orders_saga
             SET step = $3, attempts = 0, deadline = $4, open = $5,
                 due_at = CASE WHEN $7 AND woken THEN $8 ELSE $6 END,
                 worker = CASE WHEN $7 THEN NULL ELSE worker END,
                 payment_token = CASE WHEN $3 IN ('reserve', 'points', 'charge') THEN payment_token END
             WHERE order_id = $1 AND claim = $2
             RETURNING order_id
         ), note AS (
             INSERT INTO orders_step (order_id, step, state, at, detail) SELECT order_id, $9, $10, $8, $11 FROM saga
         )
         UPDATE orders_order AS o
         SET status = coalesce($12, status), reason = $13, version = version + 1, updated_at = $8,
             checkout_open = checkout_open AND NOT $5
         FROM saga WHERE o.id = saga.order_id";

const END: &str = "WITH saga AS (
             UPDATE orders_saga
             SET step = $3, attempts = 0, owed = $4, due_at = $5, payment_token = NULL
             WHERE order_id = $1 AND claim = $2 AND step NOT IN ('settle', 'compensate', 'done')
             RETURNING order_id
         )
         UPDATE orders_order AS o
         SET status = $6, reason = $7, version = version + 1, updated_at = $8,
             checkout_open = checkout_open AND $9, cart_held = cart_held AND $9
         FROM saga WHERE o.id = saga.order_id";

const NOTES: &str = "INSERT INTO orders_step (order_id, step, state, at, detail)
         SELECT $1, n.step, n.state, $2, n.detail
         FROM unnest($3::text[], $4::text[], $5::text[]) WITH ORDINALITY AS n (step, state, detail, position)
         ORDER BY n.position";

const PAID: &str = "WITH saga AS (
             UPDATE orders_saga AS s
             SET owed = rest.owed, attempts = 0, due_at = $4,
                 step = CASE WHEN rest.owed = '{}' THEN 'done' ELSE s.step END,
                 worker = CASE WHEN rest.owed = '{}' THEN NULL ELSE s.worker END,
                 ended_at = CASE WHEN rest.owed = '{}' THEN $5 END
             FROM (SELECT ARRAY(SELECT d FROM unnest(owed) AS d WHERE d <> ALL ($3::text[])) AS owed
                   FROM orders_saga WHERE order_id = $1) AS rest
             WHERE s.order_id = $1 AND s.claim = $2
             RETURNING s.order_id
         ), note AS (
             INSERT INTO orders_step (order_id, step, state, at)
             SELECT saga.order_id, d.name, 'done', $5
             FROM saga, unnest($3::text[]) WITH ORDINALITY AS d (name, position) ORDER BY d.position
         ), cleared AS (
             UPDATE orders_order AS o SET checkout_open = false, cart_held = false
             FROM saga WHERE o.id = saga.order_id AND 'clear-cart' = ANY ($3::text[])
             RETURNING o.customer_id
         ), counted AS (
             INSERT INTO orders_cart_clearing AS k (customer_id, clearings) SELECT customer_id, 1 FROM cleared
             ON CONFLICT (customer_id) DO UPDATE SET clearings = k.clearings + 1
         )
         SELECT count(*) FROM saga";

const PROGRESS: &str = "SELECT o.status, s.open AND s.step = 'await' AS open, s.step = 'done' AS done
         FROM orders_order AS o JOIN orders_saga AS s ON s.order_id = o.id WHERE o.id = $1";

const ANSWER: &str = "UPDATE orders_idempotency SET status = coalesce(status, $4), body = coalesce(body, $5)
         WHERE customer_id = $1 AND key = $2
           AND (status IS NOT NULL OR $3::uuid IS NULL OR (claim = $3 AND order_id IS NULL))
         RETURNING status, body, order_id";

#[derive(FromRow)]
struct Row {
    id: Uuid,
    number: String,
    customer_id: Option<Uuid>,
    status: String,
    fulfilment: String,
    currency: String,
    total: i64,
    points: i64,
    shipping_address: Option<Json<Value>>,
    billing_address: Option<Json<Value>>,
    placed_at: OffsetDateTime,
    updated_at: OffsetDateTime,
    reason: Option<String>,
    source: String,
    version: i64,
    lines: Json<Vec<LineRow>>,
    refunded: i64,
    timeline: Json<Box<RawValue>>,
}

#[derive(serde::Deserialize)]
struct LineRow {
    product_id: Uuid,
    sku: String,
    name: String,
    quantity: i64,
    unit_price: i64,
}

impl Row {
    fn money(&self, amount: i64) -> Value {
        json!({ "amount": amount, "currency": self.currency })
    }

    /// As the API shows it.
    fn show(&self) -> Value {
        let line = |line: &LineRow| {
            json!({
                "product_id": line.product_id, "sku": line.sku, "name": line.name, "quantity": line.quantity,
                "unit_price": self.money(line.unit_price), "line_total": self.money(line.unit_price * line.quantity),
            })
        };
        json!({
            "id": self.id, "number": self.number, "customer_id": self.customer_id, "status": self.status,
            "fulfilment": self.fulfilment, "lines": self.lines.iter().map(line).collect::<Vec<_>>(), "charges": [],
            "total": self.money(self.total), "refunded": self.money(self.refunded),
            "shipping_address": self.shipping_address, "billing_address": self.billing_address,
            "placed_at": self.placed_at.to_string(), "updated_at": self.updated_at.to_string(), "reason": self.reason,
            "source": self.source, "reference": null, "points": self.points, "timeline": self.timeline,
        })
    }

    /// As events tell it.
    fn event(&self, kind: &'static str) -> Event {
        let line = |line: &LineRow| json!({ "product_id": line.product_id, "quantity": line.quantity, "unit_price": line.unit_price });
        let data = json!({
            "order_id": self.id, "customer_id": self.customer_id, "status": self.status,
            "lines": self.lines.iter().map(line).collect::<Vec<_>>(), "charges": [], "total": self.money(self.total),
            "placed_at": self.placed_at.to_string(), "country": "GB", "reason": self.reason, "source": self.source,
            "version": self.version,
        });
        Event {
            kind,
            subject: self.id,
            version: self.version,
            data,
        }
    }
}

async fn find(executor: impl PgExecutor<'_>, id: Uuid) -> Result<Row, Failed> {
    Ok(sqlx::query_as(FIND).bind(id).fetch_one(executor).await?)
}

/// Claims the key.
pub async fn claim(db: &PgPool, customer: Uuid, key: &str, claim: Uuid, print: &[u8]) -> Result<(), Failed> {
    let at = now();
    let row: Option<(Option<Uuid>, i64)> = sqlx::query_as(CLAIM)
        .bind(customer)
        .bind(key)
        .bind(print)
        .bind(claim)
        .bind(at + Duration::seconds(10))
        .bind(at)
        .bind(at - Duration::DAY)
        .bind(at + Duration::MINUTE)
        .fetch_optional(db)
        .await?;
    ensure_one(row.is_some())
}

/// Places the order: address, cart's revision, payment token.
pub async fn place(
    db: &PgPool,
    order: &Order,
    claim: Uuid,
    (address, revision, token): (&Value, i64, &str),
) -> Result<(), Failed> {
    let at = now();
    let mut tx = begin(db).await?;
    sqlx::query(
        "UPDATE orders_idempotency SET order_id = $4, claimed_until = $5
         WHERE customer_id = $1 AND key = $2 AND claim = $3 AND order_id IS NULL AND status IS NULL",
    )
    .bind(order.customer)
    .bind(&order.key)
    .bind(claim)
    .bind(order.id)
    .bind(at + Duration::seconds(13))
    .execute(&mut *tx)
    .await?;
    insert(&mut tx, order, (address, revision, token), at).await?;
    let _: Option<i64> =
        sqlx::query_scalar("SELECT clearings FROM orders_cart_clearing WHERE customer_id = $1")
            .bind(order.customer)
            .fetch_optional(&mut *tx)
            .await?;
    let row = find(&mut *tx, order.id).await?;
    write_events(&mut tx, "orders", &[row.event("order.placed.v1")]).await?;
    Ok(tx.commit().await?)
}

async fn insert(
    tx: &mut PgConnection,
    order: &Order,
    (address, revision, token): (&Value, i64, &str),
    at: OffsetDateTime,
) -> Result<(), Failed> {
    let lines = &order.lines;
    sqlx::query(INSERT)
        .bind(order.id)
        .bind(order.customer)
        .bind("GBP")
        .bind(order.total)
        .bind(order.points())
        .bind(Json(address))
        .bind(Json(address))
        .bind(at)
        .bind(revision)
        .bind(lines.iter().map(|line| line.product_id).collect::<Vec<_>>())
        .bind(lines.iter().map(|line| line.sku.as_str()).collect::<Vec<_>>())
        .bind(lines.iter().map(|line| line.name.as_str()).collect::<Vec<_>>())
        .bind(lines.iter().map(|line| line.quantity).collect::<Vec<_>>())
        .bind(lines.iter().map(|line| line.unit_price).collect::<Vec<_>>())
        .bind(at + LEASE)
        .bind(Uuid::nil())
        .bind(at + Duration::seconds(15))
        .bind(token)
        .bind(trace())
        .execute(tx)
        .await?;
    Ok(())
}

/// A step that is done.
pub struct Advance {
    step: &'static str,
    status: Option<&'static str>,
    note: &'static str,
}

impl Advance {
    /// To the next step, perhaps with a new status of the order; `note` is what was done.
    pub fn to(step: &'static str, status: Option<&'static str>, note: &'static str) -> Self {
        Self { step, status, note }
    }
}

/// Writes down that a step is done.
pub async fn advance(db: &PgPool, order: &Order, to: &Advance) -> Result<(), Failed> {
    let at = now();
    let done = sqlx::query(ADVANCE)
        .bind(order.id)
        .bind(1_i64)
        .bind(to.step)
        .bind(at + Duration::seconds(15))
        .bind(false)
        .bind(at + LEASE)
        .bind(false)
        .bind(at)
        .bind(to.note)
        .bind("done")
        .bind(None::<String>)
        .bind(to.status)
        .bind(None::<String>)
        .execute(db)
        .await?;
    ensure_one(done.rows_affected() == 1)
}

/// Confirms the order.
pub async fn confirm(db: &PgPool, order: &Order) -> Result<(), Failed> {
    let at = now();
    let mut tx = begin(db).await?;
    let done = sqlx::query(END)
        .bind(order.id)
        .bind(1_i64)
        .bind("settle")
        .bind(vec!["confirm-points", "clear-cart"])
        .bind(at + LEASE)
        .bind("confirmed")
        .bind(None::<String>)
        .bind(at)
        .bind(true)
        .execute(&mut *tx)
        .await?;
    ensure_one(done.rows_affected() == 1)?;
    sqlx::query(NOTES)
        .bind(order.id)
        .bind(at)
        .bind(vec!["commit-stock", "confirm"])
        .bind(vec!["done", "done"])
        .bind(vec![None::<String>, None])
        .execute(&mut *tx)
        .await?;
    let row = find(&mut *tx, order.id).await?;
    write_events(&mut tx, "orders", &[row.event("order.confirmed.v1")]).await?;
    Ok(tx.commit().await?)
}

/// Writes down that nothing is owed any more.
pub async fn paid(db: &PgPool, order: &Order) -> Result<(), Failed> {
    let at = now();
    let done: i64 = sqlx::query_scalar(PAID)
        .bind(order.id)
        .bind(1_i64)
        .bind(vec!["confirm-points", "clear-cart"])
        .bind(at + LEASE)
        .bind(at)
        .fetch_one(db)
        .await?;
    ensure_one(done == 1)
}

/// How far it has come; asked before the wait and after it.
pub async fn progress(db: &PgPool, id: Uuid) -> Result<(), Failed> {
    let _: (String, bool, bool) = sqlx::query_as(PROGRESS).bind(id).fetch_one(db).await?;
    Ok(())
}

/// Makes the answer and keeps it.
pub async fn answer(db: &PgPool, order: &Order) -> Result<Value, Failed> {
    let body = find(db, order.id).await?.show();
    let _: (i16, Vec<u8>, Option<Uuid>) = sqlx::query_as(ANSWER)
        .bind(order.customer)
        .bind(&order.key)
        .bind(None::<Uuid>)
        .bind(201_i16)
        .bind(serde_json::to_vec(&body)?)
        .fetch_one(db)
        .await?;
    Ok(body)
}

fn ensure_one(one: bool) -> Result<(), Failed> {
    if one {
        Ok(())
    } else {
        Err(anyhow!("a statement changed nothing").into())
    }
}
