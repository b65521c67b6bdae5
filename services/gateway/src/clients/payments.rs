//! The payments service: charges, the simulated provider's callback, the ledger.

use emporium_service_kit::Money;
use emporium_service_kit::client::{CallError, Client};
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{READ_TIMEOUT, found};

/// Client of the payments service.
#[derive(Clone)]
pub struct Payments(Client);

/// A charge.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Charge {
    /// The order it pays for.
    pub order_id: Option<Uuid>,
    /// How much.
    pub amount: Money,
    /// How far it is.
    pub state: ChargeState,
    /// How much was given back.
    pub refunded: Money,
    /// Why it was declined.
    pub reason: Option<String>,
    /// When it last changed.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
}

/// How far a charge is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ChargeState {
    /// Asked, no answer yet.
    Pending,
    /// The provider will call back.
    Open,
    /// Paid.
    Succeeded,
    /// Not paid.
    Declined,
    /// Undone before it was paid; a later success is given back.
    Voided,
}

/// What the provider says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was paid.
    Succeeded,
    /// It was not.
    Declined,
}

/// The ledger: the sums of every account.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Ledger {
    /// Every account that has entries.
    pub items: Vec<LedgerAccount>,
    /// Always null: the list is whole.
    #[serde(default)]
    pub next_cursor: Option<String>,
    /// The sum over all accounts, a currency each: zero, or the books are wrong.
    pub sums: Vec<Money>,
}

/// An account of the ledger, in one currency.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LedgerAccount {
    /// The account, such as `sales`.
    pub account: String,
    /// `asset`, `income` or `contra_income`.
    pub kind: String,
    /// What it is for.
    pub description: String,
    /// Sum of its debits.
    pub debit: Money,
    /// Sum of its credits.
    pub credit: Money,
    /// Debits less credits.
    pub balance: Money,
}

impl Payments {
    pub(super) fn new(client: Client) -> Self {
        Self(client)
    }

    /// An order's charge; `None` when nothing was charged yet.
    pub async fn charge(&self, order: Uuid) -> Result<Option<Charge>, CallError> {
        let call = self.0.get(format!("/charges/{order}")).timeout(READ_TIMEOUT);
        found(call.send().await)
    }

    /// Delivers the simulated provider's callback; repeating changes nothing.
    pub async fn call_back(&self, order: Uuid, outcome: Outcome) -> Result<Charge, CallError> {
        self.0
            .post(format!("/provider/callbacks/{order}"))
            .json(&json!({ "outcome": outcome }))
            .idempotent()
            .send()
            .await
    }

    /// The ledger's sums of every account.
    pub async fn ledger(&self) -> Result<Ledger, CallError> {
        self.0.get("/ledger/balance").timeout(READ_TIMEOUT).send().await
    }
}
