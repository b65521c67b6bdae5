//! The server: started, watched, stopped.

use std::fmt;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use crate::cluster::{self, SUPERUSER};
use crate::folder::{self, Folder, write_private};
use crate::launch::launch;
use crate::leftovers::{self, PidFile};
use crate::process::{self, HARD_STOP_LIMIT, STOP_LIMIT, Supervised};
use crate::{Error, Progress, Result, Settings, binaries};

/// A running server that belongs to this process. Dropping it stops it; [`Server::stop`] tells how that went.
pub struct Server {
    process: Supervised,
    port: u16,
    socket_dir: Option<PathBuf>,
    password: String,
    major: u32,
    replaced: Option<u32>,
    log: PathBuf,
    data: PathBuf,
    /// Held while the server runs, for its lock.
    folder: Option<Folder>,
}

impl Server {
    /// Starts the server, and creates whatever it needs first. Blocks: 0.1 s for an existing cluster, some
    /// seconds on the very first run.
    ///
    /// The server ends with this process. Install signal handlers before, so that Ctrl-C during the start is
    /// not lost.
    pub fn start(settings: &Settings, progress: impl Fn(Progress)) -> Result<Self> {
        let progress: &dyn Fn(Progress) = &progress;
        let folder = Folder::open(&settings.root)?;
        let need = cluster::existing_major(&folder)?;
        let binaries = binaries::find(settings, &folder, need, progress)?;
        let replaced = leftovers::clear(&folder, progress)?;
        let sync = !settings.is_throw_away();
        let password = cluster::prepare(&folder, &binaries, need.is_some(), sync, progress)?;
        folder.renew_socket_dir()?;
        let (process, port) = launch(settings, &folder, &binaries, progress)?;
        let remembered = write_private(&folder.port(), &port.to_string());
        remembered.map_err(Error::not_writable(folder.port()))?;
        Ok(Self {
            process,
            port,
            socket_dir: folder.socket_dir(),
            password,
            major: binaries.major,
            replaced,
            log: folder.log(),
            data: folder.data(),
            folder: Some(folder),
        })
    }

    /// [`Server::start`] for async callers.
    pub async fn start_async(
        settings: Settings,
        progress: impl Fn(Progress) + Send + 'static,
    ) -> Result<Self> {
        let started = tokio::task::spawn_blocking(move || Self::start(&settings, progress)).await;
        started.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }

    /// The TCP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of the Unix socket, which is faster than TCP; `None` when its path would be too long.
    pub fn socket_dir(&self) -> Option<&Path> {
        self.socket_dir.as_deref()
    }

    /// The superuser's name.
    pub fn superuser(&self) -> &'static str {
        SUPERUSER
    }

    /// The superuser's password: 64 hexadecimal digits, the same at every start.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The server's process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The pid of the server that an earlier run had left behind and that was stopped for this one.
    pub fn replaced_orphan(&self) -> Option<u32> {
        self.replaced
    }

    /// PostgreSQL's major version: 18, unless an installed one stands in.
    pub fn major(&self) -> u32 {
        self.major
    }

    /// Where the server writes its messages.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// False once the server has ended, by [`Server::stop`] or by itself.
    pub fn is_running(&self) -> bool {
        self.process.is_running()
    }

    /// Stops the server and frees the folder; does nothing when that was done before. Open transactions are
    /// rolled back and all data is written, so that the next start is fast. Blocks, usually for less than 0.1 s.
    pub fn stop(&mut self) -> Result<()> {
        let stopped = self.end();
        self.folder = None;
        stopped
    }

    /// [`Server::stop`] for async callers.
    pub async fn stop_async(mut self) -> Result<()> {
        let stopped = tokio::task::spawn_blocking(move || self.stop()).await;
        stopped.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }

    /// The server that holds the cluster below `root`, whoever started it, if one is alive and ready.
    pub fn running(root: &Path) -> Option<Running> {
        let root = folder::resolve(root).ok()?;
        let data = root.join("data");
        let file = PidFile::read(&data).ok()?;
        let ready = file.ready && process::is_server_of(file.pid, &data);
        ready.then(|| Running {
            pid: file.pid,
            port: file.port,
            socket_dir: folder::socket_dir(&root),
        })
    }

    fn end(&mut self) -> Result<()> {
        if self.process.end(Signal::INT, STOP_LIMIT) {
            return Ok(());
        }
        let _ = self.process.end(Signal::QUIT, HARD_STOP_LIMIT)
            || self.process.end(Signal::KILL, HARD_STOP_LIMIT);
        Err(Error::NotStopped {
            pid: self.pid(),
            log: self.log.clone(),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.stop(); // whoever wants to know calls `stop` himself
    }
}

/// Leaves the password out.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Server");
        debug
            .field("pid", &self.pid())
            .field("port", &self.port)
            .field("data", &self.data);
        debug.finish_non_exhaustive()
    }
}

/// A live server as seen from outside; see [`Server::running`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Its process id.
    pub pid: u32,
    /// Its TCP port on 127.0.0.1.
    pub port: u16,
    /// The folder of its Unix socket, if it has one.
    pub socket_dir: Option<PathBuf>,
}
