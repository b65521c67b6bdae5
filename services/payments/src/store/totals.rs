//! What payments come to, day by day, from the ledger: what `emporium reconcile` holds the projections against.

use emporium_service_kit::days::{Days, day};
use emporium_service_kit::{Currency, Money};
use serde::Serialize;
use sqlx::FromRow;
use time::Date;
use utoipa::ToSchema;

use super::Store;
use crate::error::Error;

/// The days that one answer may span. A day has a row for each currency, and currencies are three letters: for a shop's few
/// this is some hundred rows.
pub const DAYS_MAX: i64 = 366;
/// The rows that an answer may have.
const ROWS_MAX: i64 = 20_000;

/// What payments come to.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Totals {
    /// The first day asked for.
    #[serde(with = "day")]
    #[schema(value_type = String, format = Date)]
    pub from: Date,
    /// The last day asked for.
    #[serde(with = "day")]
    #[schema(value_type = String, format = Date)]
    pub to: Date,
    /// The first day anything was booked on; null when nothing ever was.
    #[serde(with = "day::option")]
    #[schema(value_type = Option<String>, format = Date)]
    pub first_day: Option<Date>,
    /// The last day anything was booked on.
    #[serde(with = "day::option")]
    #[schema(value_type = Option<String>, format = Date)]
    pub last_day: Option<Date>,
    /// What was booked, by day and currency. An amount of nothing moves nothing, is not in the ledger and does not count.
    pub payments: Vec<PaymentsOfDay>,
}

/// What was booked on a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PaymentsOfDay {
    /// The day it was booked on (UTC).
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

#[derive(FromRow)]
struct Row {
    day: Date,
    currency: String,
    succeeded: i64,
    succeeded_amount: i64,
    refunded: i64,
    refunded_amount: i64,
}

/// All money goes through the clearing account: in with a charge, out with a refund.
const PAYMENTS: &str = "SELECT (t.at AT TIME ZONE 'UTC')::date AS day, e.currency,
        count(*) FILTER (WHERE t.kind = 'charge') AS succeeded,
        coalesce(sum(e.amount) FILTER (WHERE t.kind = 'charge'), 0)::bigint AS succeeded_amount,
        count(*) FILTER (WHERE t.kind = 'refund') AS refunded,
        coalesce(-sum(e.amount) FILTER (WHERE t.kind = 'refund'), 0)::bigint AS refunded_amount
    FROM payments_ledger_transaction AS t
    JOIN payments_ledger_entry AS e ON e.transaction_id = t.id AND e.account = 'provider_clearing'
    WHERE t.at >= $1 AND t.at < $2 GROUP BY 1, 2 ORDER BY 1, 2 LIMIT $3";
const EXTENT: &str = "SELECT (min(at) AT TIME ZONE 'UTC')::date, (max(at) AT TIME ZONE 'UTC')::date
    FROM payments_ledger_transaction";

impl Store {
    /// Sums up these days, all at one moment. [`Error::RangeTooLarge`] when there would be more than 20,000 rows.
    pub async fn totals(&self, days: Days) -> Result<Totals, Error> {
        let mut tx = self.db.begin().await?;
        sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            .execute(&mut tx)
            .await?;
        let (first_day, last_day) = sqlx::query_as(EXTENT).fetch_one(&mut tx).await?;
        let rows: Vec<Row> = sqlx::query_as(PAYMENTS)
            .bind(days.start())
            .bind(days.end())
            .bind(ROWS_MAX + 1)
            .fetch_all(&mut tx)
            .await?;
        tx.commit().await?;
        if rows.len() > usize::try_from(ROWS_MAX).unwrap_or(usize::MAX) {
            return Err(Error::RangeTooLarge);
        }
        Ok(Totals {
            from: days.from,
            to: days.to,
            first_day,
            last_day,
            payments: rows.into_iter().map(PaymentsOfDay::from).collect(),
        })
    }
}

impl From<Row> for PaymentsOfDay {
    fn from(row: Row) -> Self {
        // The table's CHECK allows nothing but three capitals.
        let currency = row.currency.parse().unwrap_or(Currency::GBP);
        Self {
            day: row.day,
            succeeded: row.succeeded,
            succeeded_amount: Money::new(row.succeeded_amount, currency),
            refunded: row.refunded,
            refunded_amount: Money::new(row.refunded_amount, currency),
        }
    }
}
