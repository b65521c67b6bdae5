//! A saga's state, as it is worked on and kept.

use emporium_service_kit::Money;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// What a saga has to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum Step {
    /// Reserve the stock.
    Reserve,
    /// Add the loyalty points, pending.
    Points,
    /// Ask for the charge.
    Charge,
    /// Wait for the charge's outcome.
    Await,
    /// Commit the stock reservation. A known "committed" confirms the order.
    Commit,
    /// The order is confirmed: pay what it owes (points, cart).
    Settle,
    /// The order is cancelled: pay what it owes (void, points, stock).
    Compensate,
    /// Nothing.
    Done,
}

/// Something that an ended order still owes to another service. It is repeated until it is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Debt {
    /// Void the charge: refunds it when it succeeded, and refuses it when it comes late.
    VoidCharge,
    /// Cancel the points.
    CancelPoints,
    /// Release the stock, or put it back when it was committed.
    ReleaseStock,
    /// Confirm the points.
    ConfirmPoints,
    /// Take the bought lines out of the cart.
    ClearCart,
}

impl Debt {
    /// All debts; compensations in the reverse order of the steps that they undo.
    pub const ALL: [Self; 5] = [
        Self::VoidCharge,
        Self::CancelPoints,
        Self::ReleaseStock,
        Self::ConfirmPoints,
        Self::ClearCart,
    ];

    /// As the database and the timeline have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::VoidCharge => "void-charge",
            Self::CancelPoints => "cancel-points",
            Self::ReleaseStock => "release-stock",
            Self::ConfirmPoints => "confirm-points",
            Self::ClearCart => "clear-cart",
        }
    }
}

/// A saga as it is worked on.
#[derive(Debug, Clone, PartialEq)]
pub struct Saga {
    /// The order, whose id is the saga's.
    pub order_id: Uuid,
    /// Whose cart and points.
    pub customer_id: Uuid,
    /// What to do next.
    pub step: Step,
    /// The worker's fencing token.
    pub claim: i64,
    /// Attempts at this step with unknown outcome.
    pub attempts: i32,
    /// When the order was placed.
    pub placed_at: OffsetDateTime,
    /// When unknown outcomes stop being waited for.
    pub deadline: OffsetDateTime,
    /// The provider will call back.
    pub open: bool,
    /// What is still owed, in the order of [`Debt::ALL`].
    pub owed: Vec<Debt>,
    /// Kept until the charge has an answer.
    pub payment_token: Option<String>,
    /// What is charged.
    pub total: Money,
    /// The points it brings; 0 skips the step.
    pub points: i64,
    /// Products and quantities.
    pub lines: Vec<(Uuid, i64)>,
    /// The trace of the request that placed the order.
    pub traceparent: Option<String>,
}

/// The times that the rules need.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// From placing an order to its end.
    pub budget: Duration,
    /// How long a payment that comes later is waited for.
    pub payment_wait: Duration,
    /// How often it is looked up.
    pub payment_poll: Duration,
    /// Longest pause between attempts at a debt.
    pub retry_max: Duration,
}

/// Longest pause between attempts while the customer waits.
pub const RETRY_MAX: Duration = Duration::seconds(1);

impl Policy {
    /// The longest that a saga is put off, jitter included: while its customer waits, and otherwise. What is due later was
    /// put off before the clock was set back.
    pub fn longest_pauses(&self, lease: Duration) -> (Duration, Duration) {
        let waiting = lease.max(RETRY_MAX) * 2;
        (waiting, waiting.max(self.payment_poll.max(self.retry_max) * 2))
    }
}
