//! Bulk loads: a chunk of imported payments in one transaction.

use std::collections::{HashMap, HashSet};

use emporium_service_kit::bulk::CopyRows;
use emporium_service_kit::db::BULK_STATEMENT_TIMEOUT;
use emporium_service_kit::{Money, Tx};
use time::OffsetDateTime;
use uuid::Uuid;

use super::ledger::{self, Posting};
use super::{Store, charge_columns};
use crate::error::Error;
use crate::events::{PaymentRefunded, PaymentSucceeded};
use crate::model::Charge;

/// Bulk loads take turns, so that two of the same file do not get into each other's way.
const TURN: i64 = 0x7061_796d_656e_7473;

/// A checked record.
pub enum Staged {
    /// A charge that succeeded.
    Charge(StagedCharge),
    /// Money that was given back.
    Refund(StagedRefund),
}

/// A checked record of a charge that succeeded.
pub struct StagedCharge {
    pub saga_id: Uuid,
    pub order_id: Uuid,
    pub customer_id: Option<Uuid>,
    pub amount: Money,
    pub at: OffsetDateTime,
}

/// A checked record of a refund.
pub struct StagedRefund {
    pub refund_id: Uuid,
    pub order_id: Option<Uuid>,
    pub amount: Money,
    pub at: OffsetDateTime,
    pub reason: String,
}

/// A refund with the charge that it belongs to, if any.
struct Matched {
    refund: StagedRefund,
    saga_id: Option<Uuid>,
    customer_id: Option<Uuid>,
    version: i64,
}

impl Store {
    /// Loads a chunk: all that is new, in one transaction; gives how many. Charges come first, so a refund finds its charge
    /// whichever was first in the chunk.
    pub async fn load(&self, records: Vec<Staged>) -> Result<u64, Error> {
        let (mut charges, mut refunds) = (Vec::with_capacity(records.len()), Vec::new());
        for record in records {
            match record {
                Staged::Charge(charge) => charges.push(charge),
                Staged::Refund(refund) => refunds.push(refund),
            }
        }
        let mut tx = self.db.begin().await?;
        // A chunk is bounded, but on a busy machine it may well take longer than a request's statement.
        tx.allow(BULK_STATEMENT_TIMEOUT).await?;
        sqlx::query("SELECT pg_advisory_xact_lock($1)")
            .bind(TURN)
            .execute(&mut tx)
            .await?;
        let charges = new_charges(&mut tx, charges).await?;
        let refunds = new_refunds(&mut tx, refunds).await?;
        let loaded = charges.len() + refunds.len();
        if loaded > 0 {
            copy_charges(&mut tx, &charges).await?;
            let refunds = self.match_refunds(&mut tx, refunds).await?;
            copy_refunds(&mut tx, &refunds).await?;
            book(&mut tx, &charges, &refunds).await?;
            self.write_events(&mut tx, &charges, &refunds).await?;
        }
        tx.commit().await?;
        self.outbox.wake();
        Ok(loaded as u64)
    }

    /// Finds each refund's charge and takes it off there. What no charge is known for, or what is more than is left of it,
    /// happened all the same: it stays without a charge, and is booked as such.
    async fn match_refunds(&self, tx: &mut Tx, refunds: Vec<StagedRefund>) -> Result<Vec<Matched>, Error> {
        let mut charges = lock_charges(tx, &refunds).await?;
        let mut touched = HashSet::new();
        let matched = refunds
            .into_iter()
            .map(|refund| {
                let charge = refund
                    .order_id
                    .and_then(|order_id| charges.get_mut(&order_id))
                    .filter(|charge| {
                        charge.amount.currency == refund.amount.currency
                            && refund.amount.amount <= charge.refundable()
                    });
                let Some(charge) = charge else {
                    return Matched {
                        refund,
                        saga_id: None,
                        customer_id: None,
                        version: 1,
                    };
                };
                charge.refunded.amount += refund.amount.amount;
                charge.version += 1;
                charge.updated_at = charge.updated_at.max(refund.at);
                touched.insert(charge.saga_id);
                Matched {
                    saga_id: Some(charge.saga_id),
                    customer_id: charge.customer_id,
                    version: charge.version,
                    refund,
                }
            })
            .collect();
        let touched: Vec<&Charge> = charges
            .values()
            .filter(|charge| touched.contains(&charge.saga_id))
            .collect();
        write_back(tx, &touched).await?;
        Ok(matched)
    }

    async fn write_events(
        &self,
        tx: &mut Tx,
        charges: &[StagedCharge],
        refunds: &[Matched],
    ) -> Result<(), Error> {
        let mut events = Vec::with_capacity(charges.len() + refunds.len());
        for charge in charges {
            let event = PaymentSucceeded {
                saga_id: charge.saga_id,
                order_id: Some(charge.order_id),
                customer_id: charge.customer_id,
                amount: charge.amount,
                reason: None,
                version: 1,
            };
            events.push(event.then(charge.at)?);
        }
        for Matched {
            refund,
            saga_id,
            customer_id,
            version,
        } in refunds
        {
            let event = PaymentRefunded {
                refund_id: refund.refund_id,
                saga_id: *saga_id,
                order_id: refund.order_id,
                customer_id: *customer_id,
                amount: refund.amount,
                reason: Some(refund.reason.clone()),
                version: *version,
            };
            events.push(event.then(refund.at)?);
        }
        Ok(self.outbox.write_bulk(tx, &events).await?)
    }
}

/// Leaves out what is there already, and repetitions within the chunk.
async fn new_charges(tx: &mut Tx, mut charges: Vec<StagedCharge>) -> Result<Vec<StagedCharge>, Error> {
    let ids: Vec<Uuid> = charges.iter().map(|charge| charge.saga_id).collect();
    let known: Vec<Uuid> = sqlx::query_scalar("SELECT saga_id FROM payments_charge WHERE saga_id = ANY($1)")
        .bind(ids)
        .fetch_all(tx)
        .await?;
    let mut seen: HashSet<Uuid> = known.into_iter().collect();
    charges.retain(|charge| seen.insert(charge.saga_id));
    Ok(charges)
}

async fn new_refunds(tx: &mut Tx, mut refunds: Vec<StagedRefund>) -> Result<Vec<StagedRefund>, Error> {
    let ids: Vec<Uuid> = refunds.iter().map(|refund| refund.refund_id).collect();
    let known: Vec<Uuid> =
        sqlx::query_scalar("SELECT refund_id FROM payments_refund WHERE refund_id = ANY($1)")
            .bind(ids)
            .fetch_all(tx)
            .await?;
    let mut seen: HashSet<Uuid> = known.into_iter().collect();
    refunds.retain(|refund| seen.insert(refund.refund_id));
    Ok(refunds)
}

/// The charges of the refunds' orders, by order; locked in the order of their ids.
async fn lock_charges(tx: &mut Tx, refunds: &[StagedRefund]) -> Result<HashMap<Uuid, Charge>, Error> {
    let orders: Vec<Uuid> = refunds.iter().filter_map(|refund| refund.order_id).collect();
    if orders.is_empty() {
        return Ok(HashMap::new());
    }
    let sql = concat!(
        "SELECT ",
        charge_columns!(),
        " FROM payments_charge WHERE order_id = ANY($1) ORDER BY saga_id FOR NO KEY UPDATE"
    );
    let charges: Vec<Charge> = sqlx::query_as(sql).bind(orders).fetch_all(tx).await?;
    Ok(charges
        .into_iter()
        .filter_map(|charge| Some((charge.order_id?, charge)))
        .collect())
}

async fn write_back(tx: &mut Tx, charges: &[&Charge]) -> Result<(), Error> {
    if charges.is_empty() {
        return Ok(());
    }
    let sql = "UPDATE payments_charge AS charge
        SET refunded = new.refunded, version = new.version, updated_at = new.updated_at
        FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::timestamptz[])
            AS new (saga_id, refunded, version, updated_at)
        WHERE charge.saga_id = new.saga_id";
    sqlx::query(sql)
        .bind(charges.iter().map(|charge| charge.saga_id).collect::<Vec<_>>())
        .bind(
            charges
                .iter()
                .map(|charge| charge.refunded.amount)
                .collect::<Vec<_>>(),
        )
        .bind(charges.iter().map(|charge| charge.version).collect::<Vec<_>>())
        .bind(charges.iter().map(|charge| charge.updated_at).collect::<Vec<_>>())
        .execute(tx)
        .await?;
    Ok(())
}

async fn copy_charges(tx: &mut Tx, charges: &[StagedCharge]) -> Result<(), Error> {
    if charges.is_empty() {
        return Ok(());
    }
    let mut rows = CopyRows::default();
    for charge in charges {
        rows.plain(charge.saga_id)
            .plain(charge.order_id)
            .plain_opt(charge.customer_id)
            .plain(charge.amount.amount)
            .plain(charge.amount.currency)
            .plain("succeeded")
            .plain(true)
            .time(charge.at)
            .time(charge.at)
            .end_row();
    }
    let sql =
        "COPY payments_charge (saga_id, order_id, customer_id, amount, currency, state, captured, created_at,
        updated_at) FROM STDIN";
    tx.copy_in(sql, rows.as_bytes()).await?;
    Ok(())
}

async fn copy_refunds(tx: &mut Tx, refunds: &[Matched]) -> Result<(), Error> {
    if refunds.is_empty() {
        return Ok(());
    }
    let mut rows = CopyRows::default();
    for Matched { refund, saga_id, .. } in refunds {
        rows.plain(refund.refund_id)
            .plain_opt(*saga_id)
            .plain_opt(refund.order_id)
            .plain(refund.amount.amount)
            .plain(refund.amount.currency)
            .text(&refund.reason)
            .time(refund.at)
            .end_row();
    }
    let sql = "COPY payments_refund (refund_id, saga_id, order_id, amount, currency, reason, created_at) FROM STDIN";
    tx.copy_in(sql, rows.as_bytes()).await?;
    Ok(())
}

async fn book(tx: &mut Tx, charges: &[StagedCharge], refunds: &[Matched]) -> Result<(), Error> {
    let sales = charges
        .iter()
        .map(|charge| Posting::sale(charge.saga_id, charge.amount, charge.at));
    let refunds = refunds.iter().map(|matched| {
        let refund = &matched.refund;
        Posting::refund(
            refund.refund_id,
            refund.amount,
            refund.at,
            matched.saga_id.is_some(),
        )
    });
    let postings: Vec<Posting> = sales.chain(refunds).collect();
    ledger::post_bulk(tx, &postings).await
}
