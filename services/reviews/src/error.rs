//! What can go wrong, and the HTTP status it becomes.

use axum::response::{IntoResponse, Response};
use emporium_service_kit::{Problem, StoreError};
use uuid::Uuid;

use crate::model::ANSWERS_MAX;

/// An error of the reviews service.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// 404: there is no such review, it is somebody else's, or this viewer does not see it.
    #[error("There is no such review.")]
    Unknown,
    /// 409 `already-reviewed`, with `review_id`: one review for a customer and a product.
    #[error("The customer has reviewed this product; edit that review.")]
    AlreadyReviewed(Uuid),
    /// 409 `version-differs`, with `version`: somebody changed the review since it was read, so nothing was changed.
    #[error("The review was changed since it was read; read it again.")]
    VersionDiffers(i64),
    /// 403 `own-review`: nobody votes on an own review.
    #[error("Nobody votes on an own review.")]
    OwnReview,
    /// 422 `answers-full`.
    #[error("A review has at most {ANSWERS_MAX} answers.")]
    AnswersFull,
    /// What a request asks for cannot be read.
    #[error("{}", .0.detail)]
    Request(Problem),
    /// The store's own: 503 when it is away, else 500.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::Request(problem)
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        match error {
            Error::Unknown => Self::not_found(detail),
            Error::AlreadyReviewed(id) => {
                Self::conflict("already-reviewed", detail).with("review_id", id.to_string())
            }
            Error::VersionDiffers(version) => {
                Self::conflict("version-differs", detail).with("version", version)
            }
            Error::OwnReview => Self::forbidden("own-review", detail),
            Error::AnswersFull => Self::unprocessable("answers-full", detail),
            Error::Request(problem) => problem,
            Error::Store(error) => error.into(),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}
