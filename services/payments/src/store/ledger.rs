//! The ledger: double entry, append-only. Debits are positive, credits negative.

use emporium_service_kit::bulk::CopyRows;
use emporium_service_kit::{Money, Tx, ids};
use time::OffsetDateTime;
use uuid::Uuid;

use super::Store;
use crate::error::Error;
use crate::model::{AccountBalance, Charge, LedgerBalance};

/// Money that the provider holds for the shop.
const CLEARING: &str = "provider_clearing";
/// Charges that succeeded.
const SALES: &str = "sales";
/// Refunds of charges.
const REFUNDS: &str = "refunds";
/// Imported refunds that belong to no known charge.
const UNMATCHED: &str = "unmatched_refunds";

/// A ledger transaction: `amount` from the credited to the debited account.
pub struct Posting {
    kind: &'static str,
    /// The saga of a charge, the id of a refund: each is booked once.
    reference: Uuid,
    at: OffsetDateTime,
    amount: Money,
    debit: &'static str,
    credit: &'static str,
}

impl Posting {
    /// The provider took the money.
    pub fn charge(charge: &Charge, at: OffsetDateTime) -> Self {
        Self::sale(charge.saga_id, charge.amount, at)
    }

    /// The provider took the money of a saga.
    pub fn sale(saga_id: Uuid, amount: Money, at: OffsetDateTime) -> Self {
        Self {
            kind: "charge",
            reference: saga_id,
            at,
            amount,
            debit: CLEARING,
            credit: SALES,
        }
    }

    /// The provider gives money back.
    pub fn refund(refund_id: Uuid, amount: Money, at: OffsetDateTime, matched: bool) -> Self {
        Self {
            kind: "refund",
            reference: refund_id,
            at,
            amount,
            debit: if matched { REFUNDS } else { UNMATCHED },
            credit: CLEARING,
        }
    }

    fn id(&self) -> Uuid {
        ids::derived(
            self.at,
            if self.kind == "charge" {
                "ledger/charge"
            } else {
                "ledger/refund"
            },
            self.reference.as_bytes(),
        )
    }

    fn entries(&self) -> [(&'static str, i64); 2] {
        [
            (self.debit, self.amount.amount),
            (self.credit, -self.amount.amount),
        ]
    }
}

/// Books one transaction. Nothing moves nothing: an amount of zero leaves no trace.
pub async fn post(tx: &mut Tx, posting: &Posting) -> Result<(), Error> {
    if posting.amount.amount == 0 {
        return Ok(());
    }
    let (accounts, amounts): (Vec<&str>, Vec<i64>) = posting.entries().into_iter().unzip();
    let sql = "WITH new AS (
            INSERT INTO payments_ledger_transaction (id, kind, reference, at) VALUES ($1, $2, $3, $4) RETURNING id)
        INSERT INTO payments_ledger_entry (transaction_id, account, amount, currency)
        SELECT new.id, entry.account, entry.amount, $5
        FROM new, unnest($6::text[], $7::bigint[]) AS entry (account, amount)";
    sqlx::query(sql)
        .bind(posting.id())
        .bind(posting.kind)
        .bind(posting.reference)
        .bind(posting.at)
        .bind(posting.amount.currency.as_str())
        .bind(accounts)
        .bind(amounts)
        .execute(tx)
        .await?;
    Ok(())
}

/// Books many transactions.
pub async fn post_bulk(tx: &mut Tx, postings: &[Posting]) -> Result<(), Error> {
    let (mut transactions, mut entries) = (CopyRows::default(), CopyRows::default());
    for posting in postings.iter().filter(|posting| posting.amount.amount != 0) {
        let id = posting.id();
        transactions
            .plain(id)
            .plain(posting.kind)
            .plain(posting.reference)
            .time(posting.at)
            .end_row();
        for (account, amount) in posting.entries() {
            entries
                .plain(id)
                .plain(account)
                .plain(amount)
                .plain(posting.amount.currency)
                .end_row();
        }
    }
    if transactions.is_empty() {
        return Ok(());
    }
    let sql = "COPY payments_ledger_transaction (id, kind, reference, at) FROM STDIN";
    tx.copy_in(sql, transactions.as_bytes()).await?;
    let sql = "COPY payments_ledger_entry (transaction_id, account, amount, currency) FROM STDIN";
    tx.copy_in(sql, entries.as_bytes()).await?;
    Ok(())
}

impl Store {
    /// What every account comes to. This reads the whole ledger, which is its nature.
    pub async fn ledger_balance(&self) -> Result<LedgerBalance, Error> {
        let sql = "SELECT account, kind, description, currency, debit, credit
            FROM (SELECT account, currency,
                      coalesce(sum(amount) FILTER (WHERE amount > 0), 0)::bigint AS debit,
                      coalesce(-sum(amount) FILTER (WHERE amount < 0), 0)::bigint AS credit
                  FROM payments_ledger_entry GROUP BY account, currency) AS sums
            JOIN payments_ledger_account USING (account)
            ORDER BY currency, account";
        let items: Vec<AccountBalance> = sqlx::query_as(sql).fetch_all(&self.db).await?;
        let mut sums: Vec<Money> = Vec::new();
        for item in &items {
            match sums.iter_mut().find(|sum| sum.currency == item.balance.currency) {
                Some(sum) => sum.amount = sum.amount.saturating_add(item.balance.amount),
                None => sums.push(item.balance),
            }
        }
        Ok(LedgerBalance { items, sums })
    }
}
