//! What can go wrong, and the HTTP status it becomes.

use axum::response::{IntoResponse, Response};
use emporium_service_kit::{Problem, StoreError};

/// An error of the users service.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// 404: there is no such user.
    #[error("There is no such user.")]
    UnknownUser,
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
        match error {
            Error::UnknownUser => Self::not_found(error.to_string()),
            Error::Store(error) => error.into(),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}
