//! What the driver's errors mean to a caller.

use std::io;

use emporium_service_kit::StoreError;
use neo4rs::Error;

/// Which of the errors that a caller can act on this is. Codes are those of
/// <https://neo4j.com/docs/status-codes/current/errors/all-errors/>.
pub(super) fn store_error(error: Error) -> StoreError {
    let code = match &error {
        Error::Neo4j(refused) => refused.code().to_owned(),
        // What the program sends or reads is not as the driver has it.
        Error::DeserializationError(_)
        | Error::ConversionError
        | Error::StringTooLong
        | Error::MapTooBig
        | Error::BytesTooBig
        | Error::ListTooLong => return StoreError::Failed(error.into()),
        // The network, the handshake, or an exchange that was broken off.
        _ => return StoreError::Unavailable(error.into()),
    };
    let parts: Vec<&str> = code.split('.').collect();
    match parts[..] {
        [_, "TransientError", "Transaction", "DeadlockDetected" | "LockAcquisitionTimeout" | "Outdated"]
        // Two members removed the same.
        | [_, "ClientError", "Statement", "EntityNotFound"] => StoreError::Conflict(error.into()),
        // Time-outs of the server, its shutdown, too little memory, a disk that is full, a password that was changed.
        [_, "TransientError", ..] | [_, "ClientError", "Transaction" | "Security" | "Database", _]
        | [_, "DatabaseError", "Transaction" | "Database", _] => StoreError::Unavailable(error.into()),
        _ => StoreError::Failed(error.into()),
    }
}

/// The server's code, if it was the server that refused.
pub(super) fn code(error: &StoreError) -> &str {
    let (StoreError::Unavailable(cause) | StoreError::Conflict(cause) | StoreError::Failed(cause)) = error
    else {
        return "";
    };
    match cause.downcast_ref::<Error>() {
        Some(Error::Neo4j(refused)) => refused.code(),
        _ => "",
    }
}

/// For spans: the code, or a word.
pub(super) fn word(error: &StoreError) -> &str {
    match error {
        _ if !code(error).is_empty() => code(error),
        StoreError::Unavailable(_) => "unavailable",
        _ => "failed",
    }
}

/// Nothing came in time.
pub(super) fn no_answer() -> StoreError {
    let timed_out = io::Error::new(io::ErrorKind::TimedOut, "Neo4j does not answer in time");
    StoreError::Unavailable(timed_out.into())
}
