//! Which of the errors that a caller can act on an error of PostgreSQL is.

use sqlx::error::DatabaseError;

pub use crate::store::StoreError;

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        match &error {
            E::PoolTimedOut | E::PoolClosed | E::Io(_) | E::Tls(_) | E::WorkerCrashed | E::Protocol(_) => {
                Self::Unavailable(error.into())
            }
            E::Database(cause) if cause.is_unique_violation() => Self::Unique {
                constraint: cause.constraint().unwrap_or("key").to_owned(),
                source: error.into(),
            },
            E::Database(cause) => by_class(&**cause)(error.into()),
            _ => Self::Failed(error.into()),
        }
    }
}

/// By the class of SQLSTATE, <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn by_class(cause: &dyn DatabaseError) -> fn(crate::store::StoreCause) -> StoreError {
    let code = cause.code().unwrap_or_default();
    match code.get(..2).unwrap_or_default() {
        // Connection, transaction state (a read-only standby), authorisation and database (being changed),
        // resources, object state (locks), operator, input and output, internal: the statement was not at fault.
        "08" | "25" | "28" | "3D" | "53" | "55" | "57" | "58" | "XX" => StoreError::Unavailable,
        "40" => StoreError::Conflict,
        // Data, and constraints other than unique ones.
        "22" | "23" => StoreError::Data,
        _ => StoreError::Failed,
    }
}
