//! What `emporium reconcile` compares, in the shapes of orders' and payments' own `GET /totals`.

use emporium_service_kit::Money;
use emporium_service_kit::days::day;
use serde::{Deserialize, Serialize};
use time::Date;
use utoipa::ToSchema;

/// The days that one answer may span.
pub const TOTALS_DAYS_MAX: i64 = 366;
/// The rows that each of its lists may have.
pub const TOTALS_ROWS_MAX: usize = 20_000;

/// What orders, refunds and payments come to by the events, all at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Totals {
    /// The first day asked for.
    #[serde(with = "day")]
    #[schema(value_type = String, format = Date)]
    pub from: Date,
    /// The last day asked for.
    #[serde(with = "day")]
    #[schema(value_type = String, format = Date)]
    pub to: Date,
    /// The first day there is anything of; null when there is nothing at all.
    #[serde(with = "day::option")]
    #[schema(value_type = Option<String>, format = Date)]
    pub first_day: Option<Date>,
    /// The last day there is anything of.
    #[serde(with = "day::option")]
    #[schema(value_type = Option<String>, format = Date)]
    pub last_day: Option<Date>,
    /// Confirmed orders, as orders has them.
    pub orders: Vec<OrdersOfDay>,
    /// Refunds, as orders has them.
    pub refunds: Vec<RefundsOfDay>,
    /// Payments, as payments has them.
    pub payments: Vec<PaymentsOfDay>,
}

/// Confirmed orders of a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrdersOfDay {
    /// The day they were placed on (UTC).
    #[serde(with = "day")]
    #[schema(value_type = String, format = Date)]
    pub day: Date,
    /// The country of the shipping address; null without one.
    pub country: Option<String>,
    /// How many.
    pub orders: i64,
    /// What they come to.
    pub total: Money,
}

/// Refunds of a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RefundsOfDay {
    /// The day of the refund (UTC).
    #[serde(with = "day")]
    #[schema(value_type = String, format = Date)]
    pub day: Date,
    /// How many.
    pub refunds: i64,
    /// What they come to.
    pub amount: Money,
}

/// Payments of a day. An amount of nothing does not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PaymentsOfDay {
    /// The day of the payment (UTC).
    #[serde(with = "day")]
    #[schema(value_type = String, format = Date)]
    pub day: Date,
    /// Charges that the provider took, those of voided sagas included.
    pub succeeded: i64,
    /// What they come to.
    pub succeeded_amount: Money,
    /// Refunds, those of voided sagas and those without a charge included.
    pub refunded: i64,
    /// What they come to, as a positive amount.
    pub refunded_amount: Money,
}
