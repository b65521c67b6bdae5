//! What can go wrong with a command, and what follows from it.

use std::sync::Arc;

use emporium_service_kit::StoreError;
use mongodb::error::{Error, ErrorKind, TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT};
use uuid::Uuid;

/// A command that failed. Its text has neither addresses nor values: a server's own words quote the key that exists, or the
/// document that is refused.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    /// The server or the driver says so.
    #[error("{}", told(.0))]
    Driver(Box<Error>),
    /// A write of a command was refused while the command itself was not.
    #[error("a write was refused with code {0}")]
    Write(i32),
    /// No answer in time.
    #[error("no answer in time")]
    Late,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Driver(Box::new(error))
    }
}

/// Codes of the server, as in its `src/mongo/base/error_codes.yml`.
pub mod code {
    pub const UNAUTHORIZED: i32 = 13;
    pub const AUTHENTICATION_FAILED: i32 = 18;
    pub const NAMESPACE_EXISTS: i32 = 48;
    pub const WRITE_CONFLICT: i32 = 112;
    pub const DOCUMENT_VALIDATION: i32 = 121;
    pub const NO_SUCH_TRANSACTION: i32 = 251;
    pub const BSON_OBJECT_TOO_LARGE: i32 = 10_334;
    pub const DUPLICATE_KEY: i32 = 11_000;
    /// Not primary, stepping down, shutting down, recovering; no answer from enough members; too late; a full disk.
    pub const PASSING: [i32; 16] = [
        6, 7, 50, 64, 89, 91, 100, 133, 189, 262, 9_001, 10_107, 11_600, 11_602, 13_435, 14_031,
    ];
}

impl Failure {
    /// The server's number for it.
    pub fn code(&self) -> Option<i32> {
        match self {
            Self::Write(code) => Some(*code),
            Self::Driver(error) => match &*error.kind {
                ErrorKind::Command(error) => Some(error.code),
                _ => None,
            },
            Self::Late => None,
        }
    }

    /// A word for spans and metrics.
    pub fn word(&self) -> &str {
        match self {
            Self::Late => "timeout",
            Self::Write(_) => "write",
            Self::Driver(error) => match &*error.kind {
                ErrorKind::Command(error) if !error.code_name.is_empty() => &error.code_name,
                ErrorKind::Command(_) => "command",
                ErrorKind::Io(_) | ErrorKind::ConnectionPoolCleared { .. } => "network",
                ErrorKind::ServerSelection { .. } => "no server",
                ErrorKind::Authentication { .. } => "authentication",
                _ => "other",
            },
        }
    }

    /// The transaction may be run once more as a whole; it has left nothing.
    pub fn is_transient(&self) -> bool {
        match self {
            // A key that another transaction has just taken: run again, it is seen. Both servers end the transaction with it.
            Self::Write(code) => matches!(*code, code::WRITE_CONFLICT | code::DUPLICATE_KEY),
            Self::Driver(error) => {
                let conflict = matches!(self.code(), Some(code::WRITE_CONFLICT | code::DUPLICATE_KEY));
                conflict || (error.contains_label(TRANSIENT_TRANSACTION_ERROR) && !self.is_away())
            }
            Self::Late => false,
        }
    }

    /// Whether a commit has happened is not known.
    pub fn is_unknown_commit(&self) -> bool {
        match self {
            Self::Driver(error) => error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT) || self.is_away(),
            Self::Late => true,
            Self::Write(_) => false,
        }
    }

    /// Nobody who would do it answers.
    pub fn is_away(&self) -> bool {
        let passing = self.code().is_some_and(|code| code::PASSING.contains(&code));
        let refused = matches!(
            self.code(),
            Some(code::UNAUTHORIZED | code::AUTHENTICATION_FAILED)
        );
        match self {
            Self::Late => true,
            Self::Write(_) => passing,
            Self::Driver(error) => {
                let network = matches!(
                    &*error.kind,
                    ErrorKind::Io(_)
                        | ErrorKind::ConnectionPoolCleared { .. }
                        | ErrorKind::ServerSelection { .. }
                        | ErrorKind::Authentication { .. }
                );
                network || passing || refused
            }
        }
    }
}

fn told(error: &Error) -> String {
    match &*error.kind {
        ErrorKind::Command(error) => format!("MongoDB's error {} {}", error.code, error.code_name),
        ErrorKind::Io(error) => format!("connection lost: {}", error.kind()),
        ErrorKind::ConnectionPoolCleared { .. } => "connection lost".to_owned(),
        ErrorKind::ServerSelection { .. } => "no server answers that takes writes".to_owned(),
        ErrorKind::Authentication { .. } => "user or password are refused".to_owned(),
        ErrorKind::Transaction { .. } => "the transaction is not in order".to_owned(),
        ErrorKind::Shutdown => "the client is shut down".to_owned(),
        _ => "the driver failed".to_owned(),
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        if failure.is_away() {
            return Self::Unavailable(failure.into());
        }
        match failure.code() {
            Some(code::DOCUMENT_VALIDATION | code::BSON_OBJECT_TOO_LARGE) => Self::Data(failure.into()),
            _ if failure.is_transient() => Self::Conflict(failure.into()),
            Some(code::NO_SUCH_TRANSACTION) => Self::Conflict(failure.into()),
            _ => Self::Failed(failure.into()),
        }
    }
}

/// Why a try of a verb has not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Others were faster: the whole verb once more.
    #[error("others changed the same data: {0}")]
    Again(Arc<str>),
    /// A change of the projection's state begs for a moment's rest.
    #[error("the projection is being switched ({0})")]
    Closing(Uuid),
    /// It is over.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Fault {
    /// Others were faster in a way that the server has not noticed.
    pub fn again(what: &str) -> Self {
        Self::Again(what.into())
    }
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        if failure.is_transient() {
            return Self::Again(failure.to_string().into());
        }
        Self::Store(failure.into())
    }
}

/// A document that is not as this program writes it.
pub fn foreign(what: &str) -> StoreError {
    StoreError::Failed(format!("a document is not as it was written: {what}").into())
}
