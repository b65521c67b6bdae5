//! The shapes that the service speaks and keeps.

use emporium_service_kit::{Currency, Money};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// The largest amount that is charged or refunded, in minor units. Nine million of these fit a sum.
pub const AMOUNT_MAX: i64 = 1_000_000_000_000;

/// How far a charge has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum ChargeState {
    /// The money is taken.
    Succeeded,
    /// The provider refused.
    Declined,
    /// Asked, no answer yet.
    Pending,
    /// The provider will call back.
    Open,
    /// Given up; a later success is refunded at once.
    Voided,
}

/// A charge: the one payment of a checkout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Charge {
    /// The checkout's saga.
    pub saga_id: Uuid,
    /// The order; null when the saga was voided before its charge arrived.
    pub order_id: Option<Uuid>,
    /// The customer; null for guests.
    pub customer_id: Option<Uuid>,
    /// How much.
    pub amount: Money,
    /// How far it has come.
    pub state: ChargeState,
    /// How much of it was given back.
    pub refunded: Money,
    /// Why it is declined or voided.
    pub reason: Option<String>,
    /// The provider's own name for it.
    pub provider_reference: Option<String>,
    /// When it was asked for.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it last changed.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
    /// The provider took the money, be it too late.
    #[serde(skip)]
    pub captured: bool,
    /// The saga gave it up.
    #[serde(skip)]
    pub given_up: bool,
    /// Grows by one with every change.
    #[serde(skip)]
    pub version: i64,
}

impl Charge {
    /// What can still be refunded, in minor units.
    pub fn refundable(&self) -> i64 {
        if self.captured {
            self.amount.amount - self.refunded.amount
        } else {
            0
        }
    }
}

impl FromRow<'_, PgRow> for Charge {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let currency = currency(row)?;
        Ok(Self {
            saga_id: row.try_get("saga_id")?,
            order_id: row.try_get("order_id")?,
            customer_id: row.try_get("customer_id")?,
            amount: Money::new(row.try_get("amount")?, currency),
            state: row.try_get("state")?,
            refunded: Money::new(row.try_get("refunded")?, currency),
            reason: row.try_get("reason")?,
            provider_reference: row.try_get("provider_reference")?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
            captured: row.try_get("captured")?,
            given_up: row.try_get::<Option<OffsetDateTime>, _>("voided_at")?.is_some(),
            version: row.try_get("version")?,
        })
    }
}

/// A refund, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    pub saga_id: Option<Uuid>,
    pub amount: Money,
}

impl FromRow<'_, PgRow> for Refund {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            saga_id: row.try_get("saga_id")?,
            amount: Money::new(row.try_get("amount")?, currency(row)?),
        })
    }
}

/// The currency of a row.
pub fn currency(row: &PgRow) -> Result<Currency, sqlx::Error> {
    row.try_get::<String, _>("currency")?
        .parse()
        .map_err(|error| sqlx::Error::ColumnDecode {
            index: "currency".to_owned(),
            source: Box::new(error),
        })
}

/// The answer to a refund.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RefundAnswer {
    /// The refund.
    pub refund_id: Uuid,
    /// How much was given back.
    pub amount: Money,
    /// The charge after it.
    pub charge: Charge,
}

/// An account of the ledger, in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct AccountBalance {
    /// The account: `provider_clearing`, `sales`, `refunds` or `unmatched_refunds`.
    pub account: String,
    /// `asset`, `income` or `contra_income`.
    pub kind: String,
    /// What the account is for.
    pub description: String,
    /// Sum of its debits.
    pub debit: Money,
    /// Sum of its credits, as a positive amount.
    pub credit: Money,
    /// Debits less credits.
    pub balance: Money,
}

impl FromRow<'_, PgRow> for AccountBalance {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let currency = currency(row)?;
        let (debit, credit): (i64, i64) = (row.try_get("debit")?, row.try_get("credit")?);
        Ok(Self {
            account: row.try_get("account")?,
            kind: row.try_get("kind")?,
            description: row.try_get("description")?,
            debit: Money::new(debit, currency),
            credit: Money::new(credit, currency),
            balance: Money::new(debit.saturating_sub(credit), currency),
        })
    }
}

/// The ledger's balance.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LedgerBalance {
    /// Every account that has entries.
    pub items: Vec<AccountBalance>,
    /// The sum over all accounts, a currency each: zero, or the books are wrong.
    pub sums: Vec<Money>,
}
