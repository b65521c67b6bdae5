//! Placing an order: the pending order, its lines, its saga, its event and the key's claim, all or nothing.

use emporium_event_bus::{NewEvent, Outbox};
use emporium_service_kit::trace::TraceContext;
use emporium_service_kit::{Clock, Db, Money, StoreError};
use sqlx::types::Json;
use time::OffsetDateTime;
use uuid::Uuid;

use super::idempotency::Claim;
use crate::crash::{self, Side};
use crate::error::Error;
use crate::events::OrderPlaced;
use crate::model::{Address, LineRow};

/// What is ordered, with its snapshots.
#[derive(Debug)]
pub struct Draft {
    /// The order's id, which is also its saga's.
    pub id: Uuid,
    /// Who orders.
    pub customer_id: Uuid,
    /// The cart's revision that was read.
    pub cart_revision: i64,
    /// What, at which price.
    pub lines: Vec<LineRow>,
    /// Lines together.
    pub total: Money,
    /// Loyalty points.
    pub points: i64,
    /// Where it goes.
    pub shipping: Address,
    /// Who pays.
    pub billing: Address,
    /// For the charge.
    pub payment_token: String,
}

/// When and by whom the new saga is worked on.
#[derive(Debug, Clone, Copy)]
pub struct Start {
    /// Now.
    pub placed_at: OffsetDateTime,
    /// When unknown outcomes stop being waited for.
    pub deadline: OffsetDateTime,
    /// The worker that begins at once.
    pub worker: Uuid,
    /// Its lease.
    pub leased_until: OffsetDateTime,
    /// Until when others wait for the answer under the same key.
    pub answer_until: OffsetDateTime,
}

/// Places the order under the claimed key.
///
/// [`Error::RequestInProgress`] when somebody else took the key over in the meantime, [`Error::CheckoutInProgress`] when the
/// customer has another checkout, has bought this cart, or the cart was cleared since it was read.
pub async fn place(
    db: &Db,
    outbox: &Outbox,
    clock: &Clock,
    claim: &Claim,
    draft: &Draft,
    start: &Start,
) -> Result<(), Error> {
    let mut tx = db.begin().await?;
    let claimed = sqlx::query(
        "UPDATE orders_idempotency SET order_id = $4, claimed_until = $5
         WHERE customer_id = $1 AND key = $2 AND claim = $3 AND order_id IS NULL AND status IS NULL",
    )
    .bind(claim.customer_id)
    .bind(&claim.key)
    .bind(claim.token)
    .bind(draft.id)
    .bind(start.answer_until)
    .execute(&mut tx)
    .await?;
    if claimed.rows_affected() == 0 {
        return Err(Error::RequestInProgress);
    }
    insert(&mut tx, draft, start).await.map_err(in_progress)?;
    // After the insert, so that a checkout that ended in the meantime is seen: see `orders_cart_clearing`.
    let clearings: Option<i64> =
        sqlx::query_scalar("SELECT clearings FROM orders_cart_clearing WHERE customer_id = $1")
            .bind(draft.customer_id)
            .fetch_optional(&mut tx)
            .await?;
    if clearings.unwrap_or(0) != claim.clearings {
        return Err(Error::CheckoutInProgress);
    }
    let order = super::find(&mut tx, draft.id).await?.ok_or(Error::UnknownOrder)?;
    let event = NewEvent::now(clock, draft.id, order.version, &OrderPlaced::from(&order))?;
    outbox.write(&mut tx, &[event]).await?;
    crash::reached(crash::CREATE, Side::Before);
    tx.commit().await?;
    crash::reached(crash::CREATE, Side::After);
    outbox.wake();
    Ok(())
}

async fn insert(tx: &mut emporium_service_kit::Tx, draft: &Draft, start: &Start) -> Result<(), sqlx::Error> {
    let lines = &draft.lines;
    sqlx::query(
        "WITH placed AS (
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
         INSERT INTO orders_step (order_id, step, state, at) SELECT placed.id, 'place', 'done', $8 FROM placed",
    )
    .bind(draft.id)
    .bind(draft.customer_id)
    .bind(draft.total.currency.as_str())
    .bind(draft.total.amount)
    .bind(draft.points)
    .bind(Json(&draft.shipping))
    .bind(Json(&draft.billing))
    .bind(start.placed_at)
    .bind(draft.cart_revision)
    .bind(lines.iter().map(|l| l.product_id).collect::<Vec<_>>())
    .bind(lines.iter().map(|l| l.sku.as_str()).collect::<Vec<_>>())
    .bind(lines.iter().map(|l| l.name.as_str()).collect::<Vec<_>>())
    .bind(lines.iter().map(|l| l.quantity).collect::<Vec<_>>())
    .bind(lines.iter().map(|l| l.unit_price).collect::<Vec<_>>())
    .bind(start.leased_until)
    .bind(start.worker)
    .bind(start.deadline)
    .bind(&draft.payment_token)
    .bind(TraceContext::current().map(|context| context.to_string()))
    .execute(tx)
    .await?;
    Ok(())
}

/// The two unique indexes decide the races between checkouts of one customer.
fn in_progress(error: sqlx::Error) -> Error {
    match StoreError::from(error) {
        error if matches!(error.unique(), Some("orders_one_checkout" | "orders_cart_once")) => {
            Error::CheckoutInProgress
        }
        error => error.into(),
    }
}
