//! What can go wrong with a store, as far as a caller can act on it.

use crate::Problem;

/// A store call that failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store is away or too busy: the same call may work in a moment. Becomes 503.
    #[error("the store is not available: {0}")]
    Unavailable(#[source] sqlx::Error),
    /// Two transactions got into each other's way; the same call may work now. Becomes 503 as well.
    #[error("the store asks to try the transaction again: {0}")]
    Conflict(#[source] sqlx::Error),
    /// A unique constraint; the name says which. Services turn the ones they expect into a 409 of their own.
    #[error("a row with that {constraint} exists")]
    Unique {
        /// The constraint's name.
        constraint: String,
        /// The store's own words.
        #[source]
        source: sqlx::Error,
    },
    /// A value that the store cannot keep, which validation should have found. Becomes 422.
    #[error("the store cannot keep a value: {0}")]
    Data(#[source] sqlx::Error),
    /// A fault in the statement or the data: ours to mend. Becomes 500.
    #[error("store call failed: {0}")]
    Failed(#[source] sqlx::Error),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        match &error {
            E::PoolTimedOut | E::PoolClosed | E::Io(_) | E::Tls(_) | E::WorkerCrashed | E::Protocol(_) => {
                Self::Unavailable(error)
            }
            E::Database(cause) => {
                if cause.is_unique_violation() {
                    let constraint = cause.constraint().unwrap_or("key").to_owned();
                    return Self::Unique {
                        constraint,
                        source: error,
                    };
                }
                Self::by_class(error)
            }
            _ => Self::Failed(error),
        }
    }
}

impl StoreError {
    /// By the class of SQLSTATE, <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
    fn by_class(error: sqlx::Error) -> Self {
        let code = error
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::code)
            .unwrap_or_default()
            .into_owned();
        match code.get(..2).unwrap_or_default() {
            // Connection, transaction state (a read-only standby), authorisation and database (being changed),
            // resources, object state (locks), operator, input and output, internal: the statement was not at fault.
            "08" | "25" | "28" | "3D" | "53" | "55" | "57" | "58" | "XX" => Self::Unavailable(error),
            "40" => Self::Conflict(error),
            "22" => Self::Data(error),
            _ => Self::Failed(error),
        }
    }

    /// The violated unique constraint, if that is what happened.
    pub fn unique(&self) -> Option<&str> {
        match self {
            Self::Unique { constraint, .. } => Some(constraint),
            _ => None,
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(cause) => {
                tracing::warn!(error = %cause, "store not available");
                Self::unavailable(
                    "store-unavailable",
                    "The data store does not answer just now; try again.",
                )
            }
            StoreError::Conflict(cause) => {
                tracing::info!(error = %cause, "transactions in each other's way");
                Self::unavailable(
                    "try-again",
                    "Others changed the same data at this moment; try again.",
                )
            }
            StoreError::Unique { ref constraint, .. } => {
                tracing::error!(%constraint, "unexpected unique violation");
                Self::conflict("exists", "There is one already.")
            }
            StoreError::Data(cause) => {
                tracing::warn!(error = %cause, "validation let a value through that cannot be kept");
                Self::unprocessable("invalid", "A value cannot be kept.")
            }
            StoreError::Failed(cause) => {
                tracing::error!(error = %cause, "store call failed");
                Self::internal()
            }
        }
    }
}
