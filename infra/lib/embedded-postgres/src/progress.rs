//! What happens during a start, for a program that wants to tell its user.

use std::fmt;
use std::path::PathBuf;

/// A step of [`Server::start`](crate::Server::start). Its `Display` is one line, ready to print.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// Another process is fetching or unpacking the programs into the same cache; waiting for it.
    WaitingForCache {
        /// The shared cache folder.
        cache: PathBuf,
    },
    /// The archive is being downloaded: once per machine, about 15 MB.
    Downloading {
        /// PostgreSQL's version.
        version: &'static str,
    },
    /// The checked archive is being unpacked: once per machine.
    Unpacking {
        /// Where to.
        folder: PathBuf,
    },
    /// An installed PostgreSQL is used. Always show this: the server is not the pinned one.
    UsingInstalled {
        /// Its `bin` folder.
        bin_dir: PathBuf,
        /// Its major version.
        major: u32,
        /// Why it is used instead of the archive.
        why: String,
    },
    /// A new cluster is being created.
    CreatingCluster {
        /// Its folder.
        data: PathBuf,
    },
    /// The file with the superuser's password was missing; a new password is being set.
    ResettingPassword,
    /// A server that an earlier run left behind is being stopped.
    StoppingOrphan {
        /// Its process id.
        pid: u32,
    },
    /// A `postmaster.pid` that names no server of this folder was removed.
    RemovedStalePidFile,
    /// The wanted port was taken in the last moment; trying another.
    PortTaken {
        /// The port that was taken.
        port: u16,
    },
    /// The server is being started; after a crash it replays its log first.
    Starting {
        /// Its TCP port on 127.0.0.1.
        port: u16,
    },
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WaitingForCache { cache } => {
                write!(
                    f,
                    "waiting for another process that unpacks PostgreSQL into {}",
                    cache.display()
                )
            }
            Self::Downloading { version } => write!(f, "first run: downloading PostgreSQL {version}"),
            Self::Unpacking { folder } => write!(f, "unpacking PostgreSQL into {}", folder.display()),
            Self::UsingInstalled { bin_dir, major, why } => {
                write!(
                    f,
                    "using the installed PostgreSQL {major} in {}: {why}",
                    bin_dir.display()
                )
            }
            Self::CreatingCluster { data } => {
                write!(f, "creating the database cluster in {}", data.display())
            }
            Self::ResettingPassword => write!(
                f,
                "setting a new superuser password: the file with the old one is gone"
            ),
            Self::StoppingOrphan { pid } => {
                write!(
                    f,
                    "waiting for PostgreSQL (pid {pid}), left behind by an earlier run, to stop"
                )
            }
            Self::RemovedStalePidFile => write!(f, "removed the pid file of a run that was killed"),
            Self::PortTaken { port } => write!(f, "port {port} was taken meanwhile; trying another"),
            Self::Starting { port } => write!(f, "starting PostgreSQL on 127.0.0.1:{port}"),
        }
    }
}
