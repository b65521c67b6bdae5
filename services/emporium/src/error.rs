//! What can go wrong on the command line. Every message is one line that says what to do.

use std::path::PathBuf;

use emporium_service_kit::{ServiceName, StartError};

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
    /// A port is taken.
    #[error("port {port} (for {service}) cannot be used: {source}; stop what uses it, or choose another range with --port")]
    Port {
        /// The port.
        port: u16,
        /// The service that needs it.
        service: ServiceName,
        /// The cause.
        source: std::io::Error,
    },
    /// The ports after the given one do not fit.
    #[error("--port {0} leaves no room for the services' ports after it; choose one up to 65529")]
    PortRange(u16),
    /// The embedded server.
    #[error("{0}")]
    Postgres(#[from] emporium_embedded_postgres::Error),
    /// Databases and roles could not be made.
    #[error("the services' databases cannot be prepared: {0}")]
    Provision(#[from] sqlx::Error),
    /// The event bus could not be prepared.
    #[error("{0}")]
    Bus(#[from] emporium_event_bus::BusError),
    /// A service could not start.
    #[error("{0}")]
    Start(#[from] StartError),
    /// A service refused something the program asked of it.
    #[error("{what}: {source}")]
    Call {
        /// What was being done.
        what: &'static str,
        /// The cause.
        source: emporium_service_kit::client::CallError,
    },
    /// Seeding or importing failed.
    #[error("{0}")]
    Load(#[from] emporium_seed::Error),
    /// Something else, said in full.
    #[error("{0}")]
    Other(String),
}
