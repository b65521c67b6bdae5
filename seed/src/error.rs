//! What can go wrong, one enum for reading a file and one for loading records.

use std::path::PathBuf;

use crate::loader::Owner;

/// A data set's file cannot be read at all. A single bad line is never an error: it goes to the reject file.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file is missing, unreadable, or its gzip data is damaged or cut short.
    #[error("cannot read {path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system or the decompressor said.
        source: std::io::Error,
    },
    /// The reject file cannot be written.
    #[error("cannot write the reject file {path}: {source}", path = path.display())]
    Rejects {
        /// The reject file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The first line does not name the columns that are needed.
    #[error("{path} is not a gift-shop file: its first line lacks the column {column}", path = path.display())]
    MissingColumn {
        /// The file.
        path: PathBuf,
        /// The first column that was not found.
        column: &'static str,
    },
    /// More distinct invoices, codes or texts than the compact tables can number.
    #[error("{path} holds more than 4,294,967,295 distinct values", path = path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The bundled time-zone data lacks London: a fault of the build, not of the file.
    #[error("the time zone Europe/London is not in the bundled data: {0}")]
    TimeZone(String),
}

/// Loading stopped. Whole transactions of the owner stay; the same command continues where it stopped, because
/// what is there already is left as it is.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file to load cannot be read.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// The owner could not be reached, or the connection broke.
    #[error("{owner} did not take the {what}: {message}; repeating the command continues safely")]
    Connection {
        /// Whose bulk interface it was.
        owner: Owner,
        /// The records' kind.
        what: &'static str,
        /// The whole chain of causes.
        message: String,
    },
    /// The owner took nothing and answered nothing for [`crate::loader::STALL_LIMIT`].
    #[error("{owner} stopped taking {what} for {seconds} s; repeating the command continues safely")]
    Stalled {
        /// Whose bulk interface it was.
        owner: Owner,
        /// The records' kind.
        what: &'static str,
        /// How long it was waited for.
        seconds: u64,
    },
    /// The owner answered with an error status.
    #[error(
        "{owner} refused the {what} with status {status}: {detail}; repeating the command continues safely"
    )]
    Refused {
        /// Whose bulk interface it was.
        owner: Owner,
        /// The records' kind.
        what: &'static str,
        /// The HTTP status.
        status: u16,
        /// The problem document's detail, or the beginning of the body.
        detail: String,
    },
    /// The owner took the stream, but not every record of it.
    #[error(
        "{owner} refused {count} of the {what}, the first one (line {line} of the stream) because: {reason}; all others are \
         loaded: mend the cause and repeat the command, which continues safely"
    )]
    Rejected {
        /// Whose bulk interface it was.
        owner: Owner,
        /// The records' kind.
        what: &'static str,
        /// How many.
        count: u64,
        /// The first one's line of the stream, from 1.
        line: u64,
        /// Why.
        reason: String,
    },
    /// The owner's answer is not the agreed one, or counts another number of records than were sent.
    #[error("{owner} answered the {what} unexpectedly: {detail}; repeating the command continues safely")]
    Answer {
        /// Whose bulk interface it was.
        owner: Owner,
        /// The records' kind.
        what: &'static str,
        /// What was wrong with it.
        detail: String,
    },
    /// A record could not be written as JSON, or the thread that makes the records died.
    #[error("the {what} for {owner} could not be made: {detail}")]
    Produce {
        /// Whose bulk interface it was for.
        owner: Owner,
        /// The records' kind.
        what: &'static str,
        /// What was wrong.
        detail: String,
    },
}
