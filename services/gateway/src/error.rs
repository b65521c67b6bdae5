//! Why the gateway does not do what it was asked, and the status that says so.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use emporium_service_kit::Problem;
use emporium_service_kit::client::CallError;

/// Everything that can keep the gateway from answering as hoped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// 401 `sign-in-required`: no session was presented, or it is unknown, forged or over. One answer for all of these,
    /// so that nobody learns anything from it.
    #[error("sign in first")]
    SignInRequired,
    /// 403 `administrators-only`: signed in, but not as an administrator.
    #[error("administrators only")]
    AdministratorsOnly,
    /// 403 `user-blocked`: signed in, but an administrator has blocked the account. All that is left is to sign out.
    #[error("the account is blocked")]
    UserBlocked,
    /// 403 `cross-site-request`: a browser sent a change on behalf of another site.
    #[error("a request from another site")]
    CrossSite,
    /// 404 `not-found`: there is no such thing, or it is somebody else's.
    #[error("no such {0}")]
    Unknown(&'static str),
    /// 409 `product-archived`: the product is not on sale any more, so it cannot go into a cart.
    #[error("the product is not on sale any more")]
    ProductArchived,
    /// 400 `idempotency-key-required`: a checkout without a key could not be repeated safely.
    #[error("no idempotency key")]
    IdempotencyKeyRequired,
    /// A service refused or is away: its 4xx problems pass through, anything else is 503 and names the service.
    #[error(transparent)]
    Call(#[from] CallError),
    /// A request that cannot be read (400) or is not acceptable (422), with its problem.
    #[error("{}", .0.detail)]
    Request(Problem),
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::Request(problem)
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::SignInRequired => Self::unauthorized("sign-in-required", "Sign in first."),
            Error::AdministratorsOnly => {
                Self::forbidden("administrators-only", "Only administrators may do this.")
            }
            Error::UserBlocked => Self::forbidden(
                "user-blocked",
                "This account is blocked. Please get in touch with the shop.",
            ),
            Error::CrossSite => Self::forbidden(
                "cross-site-request",
                "This came from another site; nothing was changed.",
            ),
            Error::Unknown(what) => Self::not_found(format!("There is no such {what}.")),
            Error::ProductArchived => {
                Self::conflict("product-archived", "This product is not on sale any more.")
            }
            Error::IdempotencyKeyRequired => Self::bad_request(
                "idempotency-key-required",
                "Send an Idempotency-Key header, a new one for each checkout.",
            ),
            Error::Call(error) => error.into(),
            Error::Request(problem) => problem,
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut answer = Problem::from(self).into_response();
        if answer.status() == StatusCode::UNAUTHORIZED {
            let scheme = axum::http::HeaderValue::from_static("Bearer realm=\"emporium\"");
            answer
                .headers_mut()
                .insert(axum::http::header::WWW_AUTHENTICATE, scheme);
        }
        answer
    }
}
