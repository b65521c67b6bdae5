//! The statements of `services/payments/src/store/{mod,ledger}.rs` and `services/payments/src/provider/mod.rs`.

use serde_json::json;
use sqlx::{FromRow, PgConnection, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::super::begin;
use super::super::cart::now;
use super::{Event, Failed, Order, write_events};

macro_rules! charge_columns {
    () => {
        "saga_id, order_id, customer_id, amount, currency, state, captured, refunded, reason, provider_reference, \
         voided_at, version, created_at, updated_at"
    };
}

/// Charges the total: the charge, the simulated provider's memory, the ledger.
pub async fn charge(payments: &PgPool, order: &Order, token: &str) -> Result<(), Failed> {
    begin_charge(payments, order).await?;
    let reference = ask_provider(payments, order, token).await?;
    let at = now();
    let mut tx = begin(payments).await?;
    let sql = concat!(
        "SELECT ",
        charge_columns!(),
        " FROM payments_charge WHERE saga_id = $1 FOR NO KEY UPDATE"
    );
    let charge: Charge = sqlx::query_as(sql).bind(order.id).fetch_one(&mut *tx).await?;
    sqlx::query(
        "WITH new AS (
            INSERT INTO payments_ledger_transaction (id, kind, reference, at) VALUES ($1, $2, $3, $4) RETURNING id)
        INSERT INTO payments_ledger_entry (transaction_id, account, amount, currency)
        SELECT new.id, entry.account, entry.amount, $5
        FROM new, unnest($6::text[], $7::bigint[]) AS entry (account, amount)",
    )
    .bind(Uuid::now_v7())
    .bind("charge")
    .bind(order.id)
    .bind(at)
    .bind("GBP")
    .bind(vec!["provider_clearing", "sales"])
    .bind(vec![order.total, -order.total])
    .execute(&mut *tx)
    .await?;
    finish_charge(&mut tx, order, &reference, charge.version + 1).await?;
    Ok(tx.commit().await?)
}

#[derive(FromRow)]
struct Charge {
    version: i64,
}

async fn begin_charge(payments: &PgPool, order: &Order) -> Result<(), Failed> {
    let sql = concat!(
        "INSERT INTO payments_charge (saga_id, order_id, customer_id, amount, currency, state, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, 'pending', $6, $6) ON CONFLICT (saga_id) DO NOTHING RETURNING ",
        charge_columns!()
    );
    let _: Charge = sqlx::query_as(sql)
        .bind(order.id)
        .bind(order.id)
        .bind(order.customer)
        .bind(order.total)
        .bind("GBP")
        .bind(now())
        .fetch_one(payments)
        .await?;
    Ok(())
}

async fn ask_provider(payments: &PgPool, order: &Order, token: &str) -> Result<String, Failed> {
    let at = now();
    let row: (Uuid, String, bool, Option<String>, Option<String>, Option<OffsetDateTime>) = sqlx::query_as(
        "INSERT INTO payments_provider_request (saga_id, token, amount, currency, reference, open, outcome,
                 reason, settles_at, notify_at, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (saga_id) DO NOTHING RETURNING \
         saga_id, reference, open, outcome, reason, settles_at",
    )
    .bind(order.id)
    .bind(token)
    .bind(order.total)
    .bind("GBP")
    .bind(format!("sim-{}", order.id.simple()))
    .bind(false)
    .bind("succeeded")
    .bind(None::<String>)
    .bind(at)
    .bind(None::<OffsetDateTime>)
    .bind(at)
    .fetch_one(payments)
    .await?;
    Ok(row.1)
}

async fn finish_charge(
    tx: &mut PgConnection,
    order: &Order,
    reference: &str,
    version: i64,
) -> Result<(), Failed> {
    sqlx::query(
        "UPDATE payments_charge SET state = $2, captured = $3, refunded = $4, reason = $5,
                       provider_reference = $6, version = $7, updated_at = $8,
                       voided_at = CASE WHEN $9 THEN coalesce(voided_at, $8) END
                   WHERE saga_id = $1",
    )
    .bind(order.id)
    .bind("succeeded")
    .bind(true)
    .bind(0_i64)
    .bind(None::<String>)
    .bind(reference)
    .bind(version)
    .bind(now())
    .bind(false)
    .execute(&mut *tx)
    .await?;
    let data = json!({
        "saga_id": order.id, "order_id": order.id, "customer_id": order.customer,
        "amount": { "amount": order.total, "currency": "GBP" }, "reason": null, "version": version
    });
    write_events(
        tx,
        "payments",
        &[Event {
            kind: "payment.succeeded.v1",
            subject: order.id,
            version,
            data,
        }],
    )
    .await
}
