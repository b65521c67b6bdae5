//! What can go wrong on the command line. Every message is one line that says what to do.

use std::path::PathBuf;
use std::process::ExitCode;

use emporium_seed::LoadError;
use emporium_service_kit::signals::EXIT_INTERRUPTED;
use emporium_service_kit::telemetry::BadFilter;
use emporium_service_kit::{ServiceName, StartError};

/// What `emporium status` answers when there is no shop to tell about; the same as `systemctl status`.
const EXIT_NOT_RUNNING: u8 = 3;

/// What commands answer that compare or look on when a service does not answer, or is not as far as it should be: nothing is
/// known then, and trying again makes sense.
const EXIT_AWAY: u8 = 4;

/// An error of the program.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data folder cannot be made or written.
    #[error("cannot use the data folder {}: {source}; choose another one with --data-dir", path.display())]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A file of ours in the data folder makes no sense.
    #[error("{} is damaged ({problem}); restore it from a backup, or start over with another --data-dir", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Another process has the data folder.
    #[error("the shop already runs with the data folder {} {detail}; stop it, or choose another --data-dir", path.display())]
    Running {
        /// The folder.
        path: PathBuf,
        /// Which process and where, when known.
        detail: String,
    },
    /// No process has the data folder.
    #[error("no shop runs with the data folder {}; start it with `emporium`, or name its folder with --data-dir", _0.display())]
    NotRunning(PathBuf),
    /// A process has the data folder and is not, or no longer, ready.
    #[error("the shop with the data folder {} is just starting or stopping; try again in a moment", _0.display())]
    Unsettled(PathBuf),
    /// A signal came before the work was done. What was started has been stopped.
    #[error("interrupted; what is loaded already stays, and the same command continues safely")]
    Interrupted,
    /// A signal came while somebody else does the work and goes on with it.
    #[error("{0}")]
    Left(String),
    /// A service that is needed does not answer, or is not as far as it has to be.
    #[error("{0}; see `emporium status`, and try again")]
    Away(String),
    /// Two things that have to be equal are not.
    #[error("{0}")]
    Different(String),
    /// A port is taken.
    #[error(
        "port {port} (for {service}) cannot be used: {source}; stop what uses it, or choose another range with --port"
    )]
    Port {
        /// The port.
        port: u16,
        /// The service that needs it.
        service: ServiceName,
        /// The cause.
        source: std::io::Error,
    },
    /// The ports after the given one do not fit.
    #[error("--port {0} leaves no room for the services' ports after it; choose one up to 65525")]
    PortRange(u16),
    /// The embedded server.
    #[error("{0}")]
    Postgres(#[from] emporium_embedded_postgres::Error),
    /// Databases and roles could not be made.
    #[error(
        "the services' databases cannot be prepared: {0}; postgres/server.log in the data folder tells more, mend it and start again"
    )]
    Provision(#[from] sqlx::Error),
    /// The event bus could not be prepared.
    #[error(
        "the event bus cannot be prepared: {0}; postgres/server.log in the data folder tells more, mend it and start again"
    )]
    Bus(#[from] emporium_event_bus::BusError),
    /// A service could not start.
    #[error("{0}")]
    Start(#[from] StartError),
    /// The log filter.
    #[error("{0}")]
    Log(#[from] BadFilter),
    /// Stores that cannot be used; each is named by its setting.
    #[error(
        "{0}; see that it runs, and that host, port, user, password and database are right, or unset it for PostgreSQL"
    )]
    Stores(String),
    /// A service refused something the program asked of it.
    #[error("{what} failed: {source}; try again, with --log info if the reason is not clear")]
    Call {
        /// What was being done.
        what: &'static str,
        /// The cause.
        source: emporium_service_kit::client::CallError,
    },
    /// A load stopped.
    #[error("{0}{remedy}", remedy = remedy(_0))]
    Load(#[from] LoadError),
    /// Something else, said in full.
    #[error("{0}")]
    Other(String),
}

/// Errors of a load say themselves how to go on; those of reading a file do not know where it came from.
fn remedy(error: &LoadError) -> &'static str {
    match error {
        LoadError::Import(_) => "; give the path of the whole data set and a reject file that can be written",
        _ => "",
    }
}

impl Error {
    /// What the process answers.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Interrupted | Self::Left(_) => ExitCode::from(EXIT_INTERRUPTED),
            Self::Away(_) => ExitCode::from(EXIT_AWAY),
            Self::NotRunning(_) => ExitCode::from(EXIT_NOT_RUNNING),
            _ => ExitCode::FAILURE,
        }
    }
}
