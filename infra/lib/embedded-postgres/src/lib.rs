//! A private PostgreSQL server in a data folder, with nothing installed beforehand.
//!
//! [`Server::start`] finds the PostgreSQL programs (downloading and checking them on the first run),
//! creates a cluster if the folder has none, cleans up after a run that was killed, and starts a server that
//! listens on loopback only. It blocks; [`Server::start_async`] does the same off the async threads.
//!
//! # What it promises
//! - **Durable**: `fsync`, `full_page_writes` and data checksums are on, as a real shop needs them.
//! - **No orphan**: the server ends when this process ends, however it ends (Linux), and the next start stops
//!   a server that was left behind all the same (every Unix).
//! - **Nothing half-made**: the programs and the cluster are made aside and renamed into place.
//! - **One owner**: a folder is locked while a [`Server`] lives; a second starter gets [`Error::InUse`].
//! - **Works as root**: PostgreSQL refuses root, so the server then runs as `postgres` or `nobody`.
//! - **Ctrl-C reaches only the program**: the server has its own process group, so that the program can drain
//!   first and stop the server last.
//!
//! # What lies in the folder
//! `data/` (the cluster), `run/` (the Unix socket), `server.log`, `superuser.secret` (mode 0600), `port` (the
//! last one, which is kept when it is free) and `owner.lock`.
//!
//! # Why not an existing crate
//! The known ones cannot run as root, switch `fsync` off, or leave the server behind after `kill -9`.

#[cfg(not(unix))]
compile_error!(
    "the embedded PostgreSQL needs Unix: on Windows use WSL, or give the program a PostgreSQL URL"
);

mod archive;
mod binaries;
mod cluster;
mod error;
mod folder;
mod launch;
mod leftovers;
mod log;
mod process;
mod progress;
mod server;
mod settings;
mod text;
mod user;

pub use archive::{VERSION, archive_in_cache};
pub use error::Error;
pub use progress::Progress;
pub use server::{Running, Server};
pub use settings::{Settings, default_cache};

/// The result of everything here that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;
