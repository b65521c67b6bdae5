//! What can go wrong, each said in one line that tells what to do.

use std::io;
use std::path::{Path, PathBuf};

/// Why a server could not be started or stopped. Every `Display` is one line for the program's user; the source
/// is repeated in it, so there is no need to print the chain.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The wanted port, or any port on loopback, cannot be bound.
    #[error("cannot listen on 127.0.0.1:{port}: {source}; free that port or choose another")]
    Port {
        /// The port; 0 when any would have done.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
    /// The cluster's folder cannot be created or written to.
    #[error(
        "cannot write to the data folder {path}: {source}; choose another data folder or change its permissions"
    )]
    NotWritable {
        /// The file or folder that was refused.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The cache folder cannot be created or written to.
    #[error(
        "cannot write to the cache folder {path}: {source}; set EMPORIUM_CACHE to a folder you can write to"
    )]
    CacheNotWritable {
        /// The file or folder that was refused.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// We are root and the user that the server must run as cannot get to the folder.
    #[error(
        "PostgreSQL refuses to run as root and user {user} cannot enter {blocked}; choose a {what} folder outside of it \
         instead of {folder}, or run as an ordinary user"
    )]
    NotReachable {
        /// `data` or `cache`.
        what: &'static str,
        /// The folder wanted.
        folder: PathBuf,
        /// The first folder above it that is closed.
        blocked: PathBuf,
        /// The user's name.
        user: String,
    },
    /// We are root, and no user is known that the server could run as.
    #[error(
        "PostgreSQL refuses to run as root and there is no user postgres or nobody; create one or run as an ordinary user"
    )]
    NoUnprivilegedUser,
    /// Another process works on this folder.
    #[error(
        "the data folder {root} is in use by another process{}; stop it or choose another data folder",
        pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
    )]
    InUse {
        /// The cluster's folder.
        root: PathBuf,
        /// Who, if known.
        pid: Option<u32>,
    },
    /// The folder holds things that are not ours.
    #[error(
        "{root} is not a data folder of this program: it contains {entry}; choose an empty or a new folder"
    )]
    Foreign {
        /// The folder.
        root: PathBuf,
        /// One of the things found.
        entry: String,
    },
    /// The cluster is damaged.
    #[error(
        "the database in {data} is damaged: {why}; restore it from a backup, or move the folder away to start afresh"
    )]
    Broken {
        /// The cluster's data folder.
        data: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The cluster was made by another major version, and that version is not at hand.
    #[error(
        "the database in {data} was made by PostgreSQL {found}, but only {} can be used; install PostgreSQL {found} and set \
         EMPORIUM_PG_BIN_DIR to its bin folder, or move the data folder away to start afresh",
        available
    )]
    WrongMajor {
        /// The cluster's data folder.
        data: PathBuf,
        /// The major version it needs.
        found: u32,
        /// What there is, in words.
        available: String,
    },
    /// The archive could not be had, and no installed PostgreSQL can stand in.
    #[error(
        "cannot get PostgreSQL {version}: {why}; if this machine is offline, set EMPORIUM_PG_ARCHIVE to a copy of {archive} \
         or EMPORIUM_PG_BIN_DIR to the bin folder of an installed PostgreSQL"
    )]
    Download {
        /// PostgreSQL's version.
        version: &'static str,
        /// The archive's file name.
        archive: String,
        /// What was tried and how it failed.
        why: String,
    },
    /// The archive is not the one that was pinned; nothing of it was run.
    #[error(
        "{origin} has the SHA-256 checksum {found} instead of {expected}; remove it and get the archive of PostgreSQL {version} again"
    )]
    Checksum {
        /// The file, or the download.
        origin: String,
        /// PostgreSQL's version.
        version: &'static str,
        /// The pinned checksum.
        expected: &'static str,
        /// The one found.
        found: String,
    },
    /// `EMPORIUM_PG_ARCHIVE` names a file that cannot be read or unpacked.
    #[error("cannot unpack PostgreSQL's archive {origin}: {why}; free disk space, or get the archive again")]
    Archive {
        /// The file, or the download.
        origin: String,
        /// What failed.
        why: String,
    },
    /// `EMPORIUM_PG_BIN_DIR` has no PostgreSQL that can be used.
    #[error(
        "EMPORIUM_PG_BIN_DIR={dir} cannot be used: {why}; point it at the bin folder of PostgreSQL 15 or newer with pg_trgm"
    )]
    BinDir {
        /// The folder.
        dir: PathBuf,
        /// What is missing.
        why: String,
    },
    /// `initdb`, or setting the superuser's password, failed.
    #[error("cannot create the database in {data}: {why}; free disk space or choose another data folder")]
    Create {
        /// The cluster's data folder.
        data: PathBuf,
        /// The most telling line it printed.
        why: String,
    },
    /// The server ended during its start, or did not get ready.
    #[error("PostgreSQL did not start: {why}; see {log}")]
    NotStarted {
        /// The log's most telling line.
        why: String,
        /// The whole log.
        log: PathBuf,
    },
    /// The server had to be ended the hard way. No committed data is lost: the next start replays the log.
    #[error(
        "PostgreSQL (pid {pid}) did not stop in time and was ended the hard way; the next start recovers, see {log}"
    )]
    NotStopped {
        /// Its process id.
        pid: u32,
        /// The server's log.
        log: PathBuf,
    },
}

impl Error {
    /// For `map_err` on whatever touches the cluster's folder.
    pub(crate) fn not_writable(path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::NotWritable {
            path: path.as_ref().to_path_buf(),
            source,
        }
    }

    /// For `map_err` on whatever touches the cache.
    pub(crate) fn cache(path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::CacheNotWritable {
            path: path.as_ref().to_path_buf(),
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_use_names_the_process_when_it_is_known() {
        let error = |pid| {
            Error::InUse {
                root: "/x".into(),
                pid,
            }
            .to_string()
        };
        assert_eq!(
            error(Some(7)),
            "the data folder /x is in use by another process (pid 7); stop it or choose another data folder"
        );
        assert!(error(None).starts_with("the data folder /x is in use by another process; "));
    }
}
