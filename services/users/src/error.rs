//! What can go wrong, and the HTTP status it becomes.

use axum::response::{IntoResponse, Response};
use emporium_service_kit::{Problem, StoreError};

/// An error of the users service.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// 404: there is no such user.
    #[error("There is no such user.")]
    UnknownUser,
    /// 404: the user has no such address; also when it is somebody else's, so that ids cannot be tried out.
    #[error("There is no such address.")]
    UnknownAddress,
    /// 404: no points were ever set aside or cancelled for that saga.
    #[error("There are no points for that saga.")]
    UnknownPoints,
    /// 409: one account an e-mail address.
    #[error("There is an account with that e-mail address.")]
    EmailTaken,
    /// 409: without an administrator who may sign in, nobody could ever unblock anybody again.
    #[error("This is the last administrator who is not blocked.")]
    LastAdministrator,
    /// 401: one answer for a wrong password, an unknown e-mail address and an account without a password.
    #[error("E-mail address or password is wrong.")]
    WrongCredentials,
    /// 422: the address book is bounded, so that it can be answered whole.
    #[error("An address book holds at most {0} addresses.")]
    TooManyAddresses(usize),
    /// 422: the merged preferences are over their bound; nothing was changed.
    #[error("Preferences are at most {0} bytes of JSON.")]
    PreferencesTooLarge(usize),
    /// 422: nested too deep for every reader.
    #[error("Preferences are nested at most {0} levels deep.")]
    PreferencesTooDeep(usize),
    /// 422: PostgreSQL cannot keep NUL.
    #[error("Preferences must not contain NUL.")]
    PreferencesWithNul,
    /// 409: the saga was cancelled before; its points stay cancelled.
    #[error("The points of that saga are cancelled.")]
    PointsCancelled,
    /// 409: the saga's points were set aside for another user or in another number.
    #[error("That saga has other points already.")]
    PointsDiffer,
    /// 503: all places for hashing passwords stayed taken.
    #[error("Too many sign-ins at once; try again.")]
    Busy,
    /// 500: a password could not be hashed.
    #[error("hashing failed: {0}")]
    Hashing(String),
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
            Error::UnknownUser | Error::UnknownAddress | Error::UnknownPoints => Self::not_found(detail),
            Error::EmailTaken => Self::conflict("email-taken", detail),
            Error::LastAdministrator => Self::conflict("last-administrator", detail),
            Error::WrongCredentials => Self::unauthorized("wrong-credentials", detail),
            Error::TooManyAddresses(_) => Self::unprocessable("too-many-addresses", detail),
            Error::PreferencesTooLarge(_) => Self::unprocessable("preferences-too-large", detail),
            Error::PreferencesWithNul | Error::PreferencesTooDeep(_) => {
                Self::unprocessable("invalid", detail)
            }
            Error::PointsCancelled => Self::conflict("points-cancelled", detail),
            Error::PointsDiffer => Self::conflict("points-differ", detail),
            Error::Busy => Self::unavailable("busy", detail),
            Error::Hashing(_) | Error::Event(_) => {
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
