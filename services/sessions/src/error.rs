//! What can go wrong, and the HTTP status it becomes.

use axum::response::{IntoResponse, Response};
use emporium_service_kit::client::CallError;
use emporium_service_kit::{Problem, StoreError};

/// An error of the sessions service.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// 401 `wrong-credentials`: the users service knows no such pair. It does not say which of the two is wrong.
    #[error("The e-mail address or the password is wrong.")]
    WrongCredentials,
    /// 403 `user-blocked`: the credentials are right, but an administrator has blocked the account.
    #[error("This account is blocked.")]
    UserBlocked,
    /// 429 `too-many-attempts`, with `Retry-After`: nothing is verified until then, not even the right password.
    #[error("Too many failed attempts for this e-mail address.")]
    TooManyAttempts {
        /// Seconds until the next attempt may be made.
        retry_after_s: u32,
    },
    /// 404 `no-session`: the token is unknown, forged, expired or revoked; which of them is nobody's business.
    #[error("There is no such session.")]
    NoSession,
    /// 503 `try-again`: the account was blocked and unblocked again and again while this login was being verified.
    #[error("The account changed while logging in; try again.")]
    AccountChanging,
    /// The users service's own: its 4xx as they are, 503 when it is away.
    #[error(transparent)]
    Users(CallError),
    /// The store's own: 503 when it is away, else 500.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        match error {
            Error::WrongCredentials => Self::unauthorized("wrong-credentials", detail),
            Error::UserBlocked => Self::forbidden("user-blocked", detail),
            Error::TooManyAttempts { retry_after_s } => Self::new(
                axum::http::StatusCode::TOO_MANY_REQUESTS,
                "too-many-attempts",
                detail,
            )
            .retry_after(retry_after_s),
            Error::NoSession => Self::new(axum::http::StatusCode::NOT_FOUND, "no-session", detail),
            Error::AccountChanging => Self::unavailable("try-again", detail),
            Error::Users(error) => error.into(),
            Error::Store(error) => error.into(),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}
