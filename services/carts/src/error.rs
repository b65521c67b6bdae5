//! What can go wrong, and the HTTP status it becomes.

use axum::response::{IntoResponse, Response};
use emporium_service_kit::{Problem, StoreError};

use crate::model::LINES_MAX;

/// An error of the carts service.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// 422 `cart-full`: the line would be one too many; nothing was changed.
    #[error("A cart holds at most {LINES_MAX} different products.")]
    CartFull,
    /// The store's own: 503 when it is away, else 500.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::CartFull => Self::unprocessable("cart-full", error.to_string()),
            Error::Store(error) => error.into(),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}
