//! What can go wrong, and the HTTP status it becomes.

use axum::response::{IntoResponse, Response};
use emporium_service_kit::{Problem, StoreError};

use crate::model::Kind;
use crate::question::{As, SERIES_MAX};

/// An error of the monitoring service.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// 404 `unknown-metric`: nobody has exported it.
    #[error("No service exports a metric of this name; GET /metric-names lists those that there are.")]
    UnknownMetric,
    /// 404 `unknown-board`.
    #[error("There is no such board; there are {0}.")]
    UnknownBoard(String),
    /// 422 `not-for-this-kind`: such a metric cannot be read so.
    #[error("A {} cannot be read as {how}.", kind.as_str())]
    NotForKind {
        /// What the metric is.
        kind: Kind,
        /// What was asked for.
        how: As,
    },
    /// 422 `too-many-series`: the answer would have too many lines, or would be made of too many series.
    #[error(
        "There are {found} of them, and at most {max} in an answer (which has at most {SERIES_MAX} lines); pick by label.<name>=…, or put them together by by=<name>."
    )]
    TooManySeries {
        /// How many series or lines there are; one more than `max` when there may be more.
        found: usize,
        /// How many there may be.
        max: usize,
    },
    /// 422 `step-unsuitable`: what is kept of that time is coarser than the step, or the step is no multiple of it.
    #[error(
        "Of that time one point each {multiple_of_s} s is kept; take a step that is a multiple of that, or leave it out."
    )]
    StepUnsuitable {
        /// What the step has to be a multiple of, in seconds.
        multiple_of_s: i64,
    },
    /// 422 `too-much-work`: too many points would have to be read.
    #[error("The answer would take too many points; ask about a shorter time or fewer series.")]
    TooMuchWork,
    /// 503 `busy`: as many questions as are taken at once are being answered.
    #[error("Too many questions are being answered; try again.")]
    Busy,
    /// 422 `invalid`, with the parameters and what is wrong with them.
    #[error("Some parameters are not acceptable.")]
    Invalid(Vec<(String, String)>),
    /// The store's own: 503 when it is away, else 500.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Error {
    /// A parameter that is not acceptable.
    pub fn invalid(parameter: &str, problem: impl Into<String>) -> Self {
        Self::Invalid(vec![(parameter.to_owned(), problem.into())])
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error {
            Error::UnknownMetric => Self {
                code: "unknown-metric".into(),
                ..Self::not_found(text)
            },
            Error::UnknownBoard(_) => Self {
                code: "unknown-board".into(),
                ..Self::not_found(text)
            },
            Error::NotForKind { .. } => Self::unprocessable("not-for-this-kind", text),
            Error::TooManySeries { found, max } => Self::unprocessable("too-many-series", text)
                .with("found", found)
                .with("max", max),
            Error::StepUnsuitable { multiple_of_s } => {
                Self::unprocessable("step-unsuitable", text).with("multiple_of_s", multiple_of_s)
            }
            Error::TooMuchWork => Self::unprocessable("too-much-work", text),
            Error::Busy => Self::unavailable("busy", text),
            Error::Invalid(errors) => Self::invalid(errors),
            Error::Store(error) => error.into(),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}
