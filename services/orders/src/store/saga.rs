//! The sagas' rows: claiming due ones, and writing down each transition under the claim's fencing token.

use emporium_event_bus::{NewEvent, Outbox};
use emporium_service_kit::{Clock, Currency, Db, Money, Tx};
use sqlx::FromRow;
use sqlx::types::Json;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::crash::{self, Side};
use crate::error::Error;
use crate::events::{OrderCancelled, OrderConfirmed};
use crate::model::Status;
use crate::peers::Item;
use crate::saga::machine::Note;
use crate::saga::state::{Debt, Saga, Step};

#[derive(FromRow)]
struct Row {
    order_id: Uuid,
    customer_id: Uuid,
    step: Step,
    claim: i64,
    attempts: i32,
    placed_at: OffsetDateTime,
    deadline: OffsetDateTime,
    open: bool,
    owed: Vec<String>,
    payment_token: Option<String>,
    traceparent: Option<String>,
    total: i64,
    currency: String,
    points: i64,
    lines: Json<Vec<Item>>,
}

impl From<Row> for Saga {
    fn from(row: Row) -> Self {
        let owes = |debt: &Debt| row.owed.iter().any(|name| name == debt.as_str());
        let currency = row.currency.parse().unwrap_or(Currency::GBP);
        Self {
            order_id: row.order_id,
            customer_id: row.customer_id,
            step: row.step,
            claim: row.claim,
            attempts: row.attempts,
            placed_at: row.placed_at,
            deadline: row.deadline,
            open: row.open,
            owed: Debt::ALL.into_iter().filter(owes).collect(),
            payment_token: row.payment_token,
            total: Money::new(row.total, currency),
            points: row.points,
            lines: row
                .lines
                .0
                .into_iter()
                .map(|line| (line.product_id, line.quantity))
                .collect(),
            traceparent: row.traceparent,
        }
    }
}

/// Who claims, and until when.
#[derive(Debug, Clone, Copy)]
pub struct Lease {
    /// The worker.
    pub worker: Uuid,
    /// Now.
    pub now: OffsetDateTime,
    /// When others may take over.
    pub until: OffsetDateTime,
    /// Time that a saga gets whose worker died when money may have been asked for.
    pub recovery_until: OffsetDateTime,
    /// No deadline lies further ahead; one that seems to was written before the clock was set back.
    pub deadline_max: OffsetDateTime,
    /// The same for a saga whose payment is to come later.
    pub deadline_max_open: OffsetDateTime,
}

/// Takes up to `max` due sagas, those that are overdue longest first. A saga whose worker died is due when its lease ends.
pub async fn claim_due(db: &Db, lease: &Lease, max: i64) -> Result<Vec<Saga>, sqlx::Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "WITH due AS (
             SELECT order_id FROM orders_saga WHERE step <> 'done' AND due_at <= $1
             ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED
         ), claimed AS (
             UPDATE orders_saga AS s
             SET claim = claim + 1, worker = $3, due_at = $4, woken = false,
                 attempts = least(attempts + (worker IS NOT NULL)::integer, 1000),
                 deadline = greatest(
                     least(deadline, CASE WHEN open AND step = 'await' THEN $7 ELSE $6 END),
                     CASE WHEN worker IS NOT NULL AND step IN ('charge', 'await', 'commit') THEN $5 END)
             FROM due WHERE s.order_id = due.order_id
             RETURNING s.*
         )
         SELECT c.order_id, o.customer_id, c.step, c.claim, c.attempts, o.placed_at, c.deadline, c.open, c.owed,
                c.payment_token, c.traceparent, o.total, o.currency, o.points,
                (SELECT json_agg(json_build_object('product_id', l.product_id, 'quantity', l.quantity) ORDER BY l.position)
                 FROM orders_line AS l WHERE l.order_id = c.order_id) AS lines
         FROM claimed AS c JOIN orders_order AS o ON o.id = c.order_id",
    )
    .bind(lease.now)
    .bind(max)
    .bind(lease.worker)
    .bind(lease.until)
    .bind(lease.recovery_until)
    .bind(lease.deadline_max)
    .bind(lease.deadline_max_open)
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(Saga::from).collect())
}

/// A step that is done.
#[derive(Debug)]
pub struct Advanced<'a> {
    /// The next step.
    pub step: Step,
    /// The order's new status, when it changes.
    pub status: Option<Status>,
    /// The order's new reason.
    pub reason: Option<&'a str>,
    /// The saga's deadline from now on.
    pub deadline: OffsetDateTime,
    /// The provider will call back.
    pub open: bool,
    /// The end of the lease, or when the waiting saga is due.
    pub due_at: OffsetDateTime,
    /// True when the worker lets go of it.
    pub park: bool,
    /// For the timeline.
    pub note: &'a Note,
    /// Now.
    pub now: OffsetDateTime,
}

/// Writes down that a step is done; false when the saga is somebody else's by now.
pub async fn advance(db: &Db, saga: &Saga, to: &Advanced<'_>) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "WITH saga AS (
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
         FROM saga WHERE o.id = saga.order_id",
    )
    .bind(saga.order_id)
    .bind(saga.claim)
    .bind(to.step)
    .bind(to.deadline)
    .bind(to.open)
    .bind(to.due_at)
    .bind(to.park)
    .bind(to.now)
    .bind(to.note.step)
    .bind(to.note.state)
    .bind(&to.note.detail)
    .bind(to.status)
    .bind(to.reason)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Writes down that nothing is known yet, and when to try again; false when the saga is somebody else's by now.
pub async fn retry(
    db: &Db,
    saga: &Saga,
    pause: Duration,
    note: Option<&Note>,
    now: OffsetDateTime,
) -> Result<bool, sqlx::Error> {
    let done: i64 = sqlx::query_scalar(
        "WITH saga AS (
             UPDATE orders_saga
             SET attempts = least(attempts + 1, 1000), due_at = CASE WHEN woken THEN $4 ELSE $3 END, worker = NULL
             WHERE order_id = $1 AND claim = $2
             RETURNING order_id
         ), note AS (
             INSERT INTO orders_step (order_id, step, state, at, detail)
             SELECT order_id, $5, $6, $4, $7 FROM saga WHERE $5 IS NOT NULL
         )
         SELECT count(*) FROM saga",
    )
    .bind(saga.order_id)
    .bind(saga.claim)
    .bind(now + pause)
    .bind(now)
    .bind(note.map(|note| note.step))
    .bind(note.map(|note| note.state))
    .bind(note.and_then(|note| note.detail.as_deref()))
    .fetch_one(db)
    .await?;
    Ok(done == 1)
}

/// How an order ends.
#[derive(Debug)]
pub struct Ending<'a> {
    /// Confirmed or cancelled.
    pub status: Status,
    /// Why it was cancelled.
    pub reason: Option<&'a str>,
    /// What is left to do.
    pub owed: &'a [Debt],
    /// For the timeline.
    pub notes: &'a [Note],
    /// The end of the lease.
    pub due_at: OffsetDateTime,
    /// Now.
    pub now: OffsetDateTime,
}

/// Ends an order, with its event, in one transaction; false when the saga is somebody else's by now.
pub async fn end(
    db: &Db,
    outbox: &Outbox,
    clock: &Clock,
    saga: &Saga,
    ending: &Ending<'_>,
) -> Result<bool, Error> {
    let confirmed = ending.status == Status::Confirmed;
    let step = if confirmed { Step::Settle } else { Step::Compensate };
    let owed: Vec<&str> = ending.owed.iter().map(|debt| debt.as_str()).collect();
    let mut tx = db.begin().await?;
    let done = sqlx::query(
        "WITH saga AS (
             UPDATE orders_saga
             SET step = $3, attempts = 0, owed = $4, due_at = $5, payment_token = NULL
             WHERE order_id = $1 AND claim = $2 AND step NOT IN ('settle', 'compensate', 'done')
             RETURNING order_id
         )
         UPDATE orders_order AS o
         SET status = $6, reason = $7, version = version + 1, updated_at = $8,
             checkout_open = checkout_open AND $9, cart_held = cart_held AND $9
         FROM saga WHERE o.id = saga.order_id",
    )
    .bind(saga.order_id)
    .bind(saga.claim)
    .bind(step)
    .bind(owed)
    .bind(ending.due_at)
    .bind(ending.status)
    .bind(ending.reason)
    .bind(ending.now)
    .bind(confirmed)
    .execute(&mut tx)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    insert_notes(&mut tx, saga.order_id, ending.notes, ending.now).await?;
    write_event(&mut tx, outbox, clock, saga.order_id).await?;
    let point = if confirmed { crash::CONFIRM } else { crash::CANCEL };
    crash::reached(point, Side::Before);
    tx.commit().await?;
    crash::reached(point, Side::After);
    outbox.wake();
    Ok(true)
}

async fn write_event(tx: &mut Tx, outbox: &Outbox, clock: &Clock, id: Uuid) -> Result<(), Error> {
    let order = super::find(&mut *tx, id).await?.ok_or(Error::UnknownOrder)?;
    let version = order.version;
    let event = if order.status == Status::Confirmed {
        NewEvent::now(clock, id, version, &OrderConfirmed::from(&order))?
    } else {
        NewEvent::now(clock, id, version, &OrderCancelled::from(&order))?
    };
    outbox.write(tx, &[event]).await?;
    Ok(())
}

async fn insert_notes(
    tx: &mut Tx,
    order_id: Uuid,
    notes: &[Note],
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO orders_step (order_id, step, state, at, detail)
         SELECT $1, n.step, n.state, $2, n.detail
         FROM unnest($3::text[], $4::text[], $5::text[]) WITH ORDINALITY AS n (step, state, detail, position)
         ORDER BY n.position",
    )
    .bind(order_id)
    .bind(now)
    .bind(notes.iter().map(|n| n.step).collect::<Vec<_>>())
    .bind(notes.iter().map(|n| n.state).collect::<Vec<_>>())
    .bind(notes.iter().map(|n| n.detail.as_deref()).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}

/// Writes down that debts are paid; the saga is done with the last one. False when it is somebody else's by now.
pub async fn paid(
    db: &Db,
    saga: &Saga,
    debts: &[Debt],
    due_at: OffsetDateTime,
    now: OffsetDateTime,
) -> Result<bool, sqlx::Error> {
    let names: Vec<&str> = debts.iter().map(|debt| debt.as_str()).collect();
    let done: i64 = sqlx::query_scalar(
        "WITH saga AS (
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
         SELECT count(*) FROM saga",
    )
    .bind(saga.order_id)
    .bind(saga.claim)
    .bind(names)
    .bind(due_at)
    .bind(now)
    .fetch_one(db)
    .await?;
    Ok(done == 1)
}

/// Makes a lease last longer; false when the saga is somebody else's by now.
pub async fn renew(db: &Db, saga: &Saga, until: OffsetDateTime) -> Result<bool, sqlx::Error> {
    let renewed = sqlx::query("UPDATE orders_saga SET due_at = $3 WHERE order_id = $1 AND claim = $2")
        .bind(saga.order_id)
        .bind(saga.claim)
        .bind(until)
        .execute(db)
        .await?;
    Ok(renewed.rows_affected() == 1)
}

/// Lets go of a saga without having done anything, so that the next worker may go on at once.
pub async fn let_go(db: &Db, saga: &Saga, now: OffsetDateTime) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE orders_saga SET worker = NULL, due_at = $3 WHERE order_id = $1 AND claim = $2 AND step <> 'done'",
    )
    .bind(saga.order_id)
    .bind(saga.claim)
    .bind(now)
    .execute(db)
    .await?;
    Ok(())
}
