//! The private PostgreSQL database. Tables carry the prefix `payments_`, and no statement names a schema.
//!
//! Every change of a charge locks its row first, so each change sees all before it, the ledger gets one transaction for
//! each thing that happened, and the order of versions is the order of events.

mod bulk;
mod ledger;
mod totals;

use emporium_event_bus::{NewEvent, Outbox};
use emporium_service_kit::{Clock, Db, Money, Tx, ids};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::error::Error;
use crate::events::{PaymentDeclined, PaymentRefunded, PaymentSucceeded, PaymentVoided};
use crate::model::{Charge, ChargeState, Refund};
use crate::provider::{Answer, Outcome};
use ledger::Posting;

pub use bulk::{Staged, StagedCharge, StagedRefund};
pub use totals::{DAYS_MAX, Totals};

/// The service's data.
#[derive(Clone)]
pub struct Store {
    db: Db,
    /// Events, which are the service's history as well.
    pub outbox: Outbox,
    clock: Clock,
}

/// A charge about to be asked for.
#[derive(Debug, Clone, Copy)]
pub struct NewCharge {
    /// The checkout's saga, by which it is charged once.
    pub saga_id: Uuid,
    /// The order.
    pub order_id: Uuid,
    /// The customer; none for guests.
    pub customer_id: Option<Uuid>,
    /// How much.
    pub amount: Money,
}

/// The columns of a [`Charge`].
macro_rules! charge_columns {
    () => {
        "saga_id, order_id, customer_id, amount, currency, state, captured, refunded, reason, provider_reference, \
         voided_at, version, created_at, updated_at"
    };
}
use charge_columns;

impl Store {
    /// The data in `db`.
    pub fn new(db: Db, outbox: Outbox, clock: Clock) -> Self {
        Self { db, outbox, clock }
    }

    /// A saga's charge.
    pub async fn find(&self, saga_id: Uuid) -> Result<Charge, Error> {
        let sql = concat!(
            "SELECT ",
            charge_columns!(),
            " FROM payments_charge WHERE saga_id = $1"
        );
        sqlx::query_as(sql)
            .bind(saga_id)
            .fetch_optional(&self.db)
            .await?
            .ok_or(Error::UnknownCharge)
    }

    /// Notes that a charge is about to be asked for, so that whatever the provider does is never news of something
    /// unknown. Gives what is there when it is no news.
    pub async fn begin_charge(&self, new: &NewCharge) -> Result<Charge, Error> {
        let sql = concat!(
            "INSERT INTO payments_charge (saga_id, order_id, customer_id, amount, currency, state, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, 'pending', $6, $6) ON CONFLICT (saga_id) DO NOTHING RETURNING ",
            charge_columns!()
        );
        let inserted = sqlx::query_as(sql)
            .bind(new.saga_id)
            .bind(new.order_id)
            .bind(new.customer_id)
            .bind(new.amount.amount)
            .bind(new.amount.currency.as_str())
            .bind(self.clock.now())
            .fetch_optional(&self.db)
            .await?;
        match inserted {
            Some(charge) => Ok(charge),
            None => self.find(new.saga_id).await,
        }
    }

    /// Takes an answer of the provider, whichever way and however often it comes. The first outcome stands; a success
    /// after the charge was voided is given back in the same transaction.
    pub async fn apply(&self, saga_id: Uuid, answer: &Answer) -> Result<Charge, Error> {
        use ChargeState::{Open, Pending, Voided};
        let mut tx = self.db.begin().await?;
        let mut charge = lock(&mut tx, saga_id).await?;
        let mut events = Vec::with_capacity(2);
        match (charge.state, answer.outcome) {
            (Pending | Open, Some(Outcome::Succeeded)) => {
                charge.state = ChargeState::Succeeded;
                self.capture(&mut tx, &mut charge, answer, &mut events).await?;
            }
            (Voided, Some(Outcome::Succeeded)) if !charge.captured => {
                self.capture(&mut tx, &mut charge, answer, &mut events).await?;
                self.refund_rest(&mut tx, &mut charge, "voided before it succeeded", &mut events)
                    .await?;
            }
            (Pending | Open, Some(Outcome::Declined)) => {
                charge.state = ChargeState::Declined;
                charge.reason.clone_from(&answer.reason);
                self.note(&mut charge, answer);
                events.push(PaymentDeclined::of(&charge)?);
            }
            (Pending, None) => {
                charge.state = Open;
                self.note(&mut charge, answer);
            }
            _ => return Ok(charge),
        }
        self.finish(tx, charge, &events).await
    }

    /// Gives a saga's charge up: one without an outcome is voided, one that succeeded refunded, an unknown one leaves a
    /// tombstone.
    pub async fn void(&self, saga_id: Uuid) -> Result<Charge, Error> {
        use ChargeState::{Declined, Open, Pending, Succeeded, Voided};
        let mut tx = self.db.begin().await?;
        let mut charge = match try_lock(&mut tx, saga_id).await? {
            Some(charge) => charge,
            None => self.bury(&mut tx, saga_id).await?,
        };
        let mut events = Vec::with_capacity(1);
        match charge.state {
            Pending | Open => {
                charge.state = Voided;
                charge.reason = Some("voided".to_owned());
                charge.given_up = true;
                self.touch(&mut charge);
                events.push(PaymentVoided::of(&charge)?);
            }
            Succeeded if !charge.given_up => {
                charge.given_up = true;
                self.touch(&mut charge);
                self.refund_rest(&mut tx, &mut charge, "voided after it succeeded", &mut events)
                    .await?;
            }
            // Also the tombstone, which has yet to be committed.
            Succeeded | Declined | Voided => {
                tx.commit().await?;
                return Ok(charge);
            }
        }
        self.finish(tx, charge, &events).await
    }

    /// Gives part of a charge back; true when the refund is new.
    pub async fn refund(
        &self,
        saga_id: Uuid,
        refund_id: Uuid,
        amount: Money,
        reason: &str,
    ) -> Result<(Charge, bool), Error> {
        let mut tx = self.db.begin().await?;
        let mut charge = lock(&mut tx, saga_id).await?;
        if let Some(before) = find_refund(&mut tx, refund_id).await? {
            if (before.saga_id, before.amount) != (Some(saga_id), amount) {
                return Err(Error::RefundDiffers);
            }
            return Ok((charge, false));
        }
        if amount.currency != charge.amount.currency {
            return Err(Error::CurrencyDiffers);
        }
        if amount.amount > charge.refundable() {
            return Err(Error::RefundExceedsCharge(Money::new(
                charge.refundable(),
                amount.currency,
            )));
        }
        let mut events = Vec::with_capacity(1);
        self.book_refund(&mut tx, &mut charge, (refund_id, amount, reason), &mut events)
            .await
            .map_err(refund_id_taken)?;
        let charge = self.finish(tx, charge, &events).await?;
        Ok((charge, true))
    }

    /// Up to `limit` charges that wait for an answer since before `before`, after `after` in the order of waiting.
    pub async fn pending(
        &self,
        after: (OffsetDateTime, Uuid),
        before: OffsetDateTime,
        limit: i64,
    ) -> Result<Vec<(OffsetDateTime, Uuid)>, Error> {
        let sql = "SELECT updated_at, saga_id FROM payments_charge
                   WHERE state = 'pending' AND (updated_at, saga_id) > ($1, $2) AND updated_at < $3
                   ORDER BY updated_at, saga_id LIMIT $4";
        Ok(sqlx::query_as(sql)
            .bind(after.0)
            .bind(after.1)
            .bind(before)
            .bind(limit)
            .fetch_all(&self.db)
            .await?)
    }

    async fn capture(
        &self,
        tx: &mut Tx,
        charge: &mut Charge,
        answer: &Answer,
        events: &mut Vec<NewEvent>,
    ) -> Result<(), Error> {
        charge.captured = true;
        self.note(charge, answer);
        ledger::post(tx, &Posting::charge(charge, charge.updated_at)).await?;
        events.push(PaymentSucceeded::of(charge)?);
        Ok(())
    }

    async fn refund_rest(
        &self,
        tx: &mut Tx,
        charge: &mut Charge,
        reason: &str,
        events: &mut Vec<NewEvent>,
    ) -> Result<(), Error> {
        let rest = Money::new(charge.refundable(), charge.amount.currency);
        if rest.amount == 0 {
            return Ok(());
        }
        // The same charge always gives the same id: one more reason why this cannot happen twice.
        let refund_id = ids::derived(charge.created_at, "payments/void", charge.saga_id.as_bytes());
        self.book_refund(tx, charge, (refund_id, rest, reason), events)
            .await
    }

    async fn book_refund(
        &self,
        tx: &mut Tx,
        charge: &mut Charge,
        (refund_id, amount, reason): (Uuid, Money, &str),
        events: &mut Vec<NewEvent>,
    ) -> Result<(), Error> {
        charge.refunded.amount += amount.amount;
        self.touch(charge);
        let sql =
            "INSERT INTO payments_refund (refund_id, saga_id, order_id, amount, currency, reason, created_at)
                   VALUES ($1, $2, $3, $4, $5, $6, $7)";
        sqlx::query(sql)
            .bind(refund_id)
            .bind(charge.saga_id)
            .bind(charge.order_id)
            .bind(amount.amount)
            .bind(amount.currency.as_str())
            .bind(reason)
            .bind(charge.updated_at)
            .execute(&mut *tx)
            .await?;
        ledger::post(tx, &Posting::refund(refund_id, amount, charge.updated_at, true)).await?;
        let event = PaymentRefunded {
            refund_id,
            saga_id: Some(charge.saga_id),
            order_id: charge.order_id,
            customer_id: charge.customer_id,
            amount,
            reason: Some(reason.to_owned()),
            version: charge.version,
        };
        events.push(event.at(charge.updated_at)?);
        Ok(())
    }

    /// A tombstone for a saga without a charge, in an amount of nothing; locks what is there when somebody was faster.
    async fn bury(&self, tx: &mut Tx, saga_id: Uuid) -> Result<Charge, Error> {
        let sql = "INSERT INTO payments_charge (saga_id, amount, currency, state, reason, voided_at, created_at, updated_at)
                   VALUES ($1, 0, 'GBP', 'voided', 'voided', $2, $2, $2) ON CONFLICT (saga_id) DO NOTHING";
        sqlx::query(sql)
            .bind(saga_id)
            .bind(self.clock.now())
            .execute(&mut *tx)
            .await?;
        lock(tx, saga_id).await
    }

    fn note(&self, charge: &mut Charge, answer: &Answer) {
        charge.provider_reference = Some(answer.reference.clone());
        self.touch(charge);
    }

    fn touch(&self, charge: &mut Charge) {
        charge.version += 1;
        charge.updated_at = self.clock.now();
    }

    /// Writes a locked charge back with its events; commits.
    async fn finish(&self, mut tx: Tx, charge: Charge, events: &[NewEvent]) -> Result<Charge, Error> {
        let sql = "UPDATE payments_charge SET state = $2, captured = $3, refunded = $4, reason = $5,
                       provider_reference = $6, version = $7, updated_at = $8,
                       voided_at = CASE WHEN $9 THEN coalesce(voided_at, $8) END
                   WHERE saga_id = $1";
        sqlx::query(sql)
            .bind(charge.saga_id)
            .bind(charge.state)
            .bind(charge.captured)
            .bind(charge.refunded.amount)
            .bind(&charge.reason)
            .bind(&charge.provider_reference)
            .bind(charge.version)
            .bind(charge.updated_at)
            .bind(charge.given_up)
            .execute(&mut tx)
            .await?;
        self.outbox.write(&mut tx, events).await?;
        tx.commit().await?;
        self.outbox.wake();
        Ok(charge)
    }
}

async fn try_lock(tx: &mut Tx, saga_id: Uuid) -> Result<Option<Charge>, Error> {
    let sql = concat!(
        "SELECT ",
        charge_columns!(),
        " FROM payments_charge WHERE saga_id = $1 FOR NO KEY UPDATE"
    );
    Ok(sqlx::query_as(sql).bind(saga_id).fetch_optional(tx).await?)
}

async fn lock(tx: &mut Tx, saga_id: Uuid) -> Result<Charge, Error> {
    try_lock(tx, saga_id).await?.ok_or(Error::UnknownCharge)
}

async fn find_refund(tx: &mut Tx, refund_id: Uuid) -> Result<Option<Refund>, Error> {
    let sql = "SELECT saga_id, amount, currency FROM payments_refund WHERE refund_id = $1";
    Ok(sqlx::query_as(sql).bind(refund_id).fetch_optional(tx).await?)
}

/// The same refund id for two charges at the same moment: the charges' locks do not exclude each other, the key does.
fn refund_id_taken(error: Error) -> Error {
    match error {
        Error::Store(store) if store.unique() == Some("payments_refund_pkey") => Error::RefundDiffers,
        other => other,
    }
}
