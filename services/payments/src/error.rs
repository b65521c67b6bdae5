//! What can go wrong, and the HTTP status it becomes.

use axum::response::{IntoResponse, Response};
use emporium_service_kit::{Money, Problem, StoreError};

/// An error of the payments service.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// 404: nothing is known of a charge for that saga.
    #[error("There is no charge for that saga.")]
    UnknownCharge,
    /// 409: the saga has a charge for another amount, order or customer.
    #[error("That saga has another charge already.")]
    ChargeDiffers,
    /// 409: the saga gave its charge up; it is not taken up again.
    #[error("The charge of that saga is voided.")]
    ChargeVoided,
    /// 422: more than what was taken and not yet given back.
    #[error("At most {0} can be refunded.")]
    RefundExceedsCharge(Money),
    /// 422: a refund is in the currency of its charge.
    #[error("The charge is in another currency.")]
    CurrencyDiffers,
    /// 409: the refund id belongs to another refund.
    #[error("That refund id belongs to another refund.")]
    RefundDiffers,
    /// 422: the totals of so many days would be too long an answer.
    #[error("These days come to more than 20000 rows; ask for fewer days.")]
    RangeTooLarge,
    /// 500: an event could not be written as JSON.
    #[error("an event could not be written: {0}")]
    Event(#[from] serde_json::Error),
    /// The store's own: 503 when it is away, else 500.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        match error {
            Error::UnknownCharge => Self::not_found(detail),
            Error::ChargeDiffers => Self::conflict("charge-differs", detail),
            Error::ChargeVoided => Self::conflict("charge-voided", detail),
            Error::RefundExceedsCharge(_) => Self::unprocessable("refund-exceeds-charge", detail),
            Error::CurrencyDiffers => Self::unprocessable("currency-differs", detail),
            Error::RefundDiffers => Self::conflict("refund-differs", detail),
            Error::RangeTooLarge => Self::unprocessable("range-too-large", detail),
            Error::Event(_) => {
                tracing::error!(error = %detail, "request failed");
                Self::internal()
            }
            Error::Store(error) => error.into(),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}
