//! What can go wrong, and the HTTP status it becomes.

use axum::response::{IntoResponse, Response};
use emporium_service_kit::{Problem, StoreError};

/// An error of the analytics service.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// 422 `sums-too-large`: a sum of the range is beyond 64 bits.
    #[error("The sums of this range do not fit; ask for a shorter one.")]
    SumsTooLarge,
    /// 422 `range-too-large`: the answer would be too long.
    #[error("These days come to more than 20000 rows; ask for fewer days.")]
    RangeTooLarge,
    /// The store's own: 503 when it is away, else 500.
    #[error(transparent)]
    Store(StoreError),
}

/// Figures are only read, so data that the store cannot take are sums that it cannot give.
impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Data(_) => Self::SumsTooLarge,
            other => Self::Store(other),
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        StoreError::from(error).into()
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::SumsTooLarge => Self::unprocessable("sums-too-large", error.to_string()),
            Error::RangeTooLarge => Self::unprocessable("range-too-large", error.to_string()),
            Error::Store(error) => error.into(),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}
