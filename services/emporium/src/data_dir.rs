//! The data folder: everything that outlives the process.
//!
//! | file | what |
//! |---|---|
//! | `postgres/` | the embedded server's cluster |
//! | `keys.json` | service secrets and database passwords, mode 0600 |
//! | `admin.json` | the administrator's e-mail and password, mode 0600 |
//! | `sample.json` | which sample data was or is being loaded |
//! | `running.json` | while the shop runs: process and ports, mode 0600 |
//! | `emporium.lock` | held by the process that has the folder |

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Error;

/// A data folder that exists and can be written.
#[derive(Debug, Clone)]
pub struct DataDir {
    path: PathBuf,
}

/// Proof that this process has the data folder; the system gives it up when the process ends, however it ends.
#[derive(Debug)]
pub struct Owned {
    _lock: File,
}

impl DataDir {
    /// Opens the folder, making it when it is missing.
    pub fn open(path: Option<&Path>) -> Result<Self, Error> {
        let path = path.map_or_else(default_path, Path::to_path_buf);
        let failed = |source| Error::Folder { path: path.clone(), source };
        // Others may pass through (the database server runs as another user when we are root); what is private is 0600.
        fs::DirBuilder::new().recursive(true).mode(0o755).create(&path).map_err(failed)?;
        let path = path.canonicalize().map_err(failed)?;
        Ok(Self { path })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file or folder in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Takes the folder for this process; `None` when another process has it.
    pub fn take(&self) -> Result<Option<Owned>, Error> {
        let path = self.file("emporium.lock");
        let open = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let lock = open.map_err(|source| Error::Folder { path: self.path.clone(), source })?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Owned { _lock: lock })),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(source)) => Err(Error::Folder { path, source }),
        }
    }

    /// Reads a JSON file; `None` when it is not there.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        let path = self.file(name);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| Error::Damaged { path, problem: error.to_string() }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::Folder { path, source }),
        }
    }

    /// Writes a JSON file that only its owner may read. It is either the old or the new one, never half of it.
    pub fn write(&self, name: &str, value: &impl Serialize) -> Result<(), Error> {
        let path = self.file(name);
        let failed = |source| Error::Folder { path: path.clone(), source };
        let text = serde_json::to_vec_pretty(value)
            .map_err(|error| Error::Damaged { path: path.clone(), problem: error.to_string() })?;
        let part = self.file(&format!("{name}.part"));
        let open = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&part);
        let mut file = open.map_err(failed)?;
        file.write_all(&text).and_then(|()| file.write_all(b"\n")).and_then(|()| file.sync_all()).map_err(failed)?;
        fs::rename(&part, &path).map_err(failed)?;
        // The rename itself has to survive a power cut too.
        File::open(&self.path).and_then(|folder| folder.sync_all()).map_err(failed)
    }

    /// Removes a file if it is there.
    pub fn remove(&self, name: &str) {
        let _ = fs::remove_file(self.file(name));
    }
}

/// `/var/lib/emporium` for root, since root's home is closed to the user that the database server runs as; else the
/// user's own place for data (`~/.local/share/emporium`).
pub fn default_path() -> PathBuf {
    if rustix::process::geteuid().is_root() {
        return PathBuf::from("/var/lib/emporium");
    }
    etcetera::choose_base_strategy()
        .map_or_else(|_| PathBuf::from("emporium-data"), |places| places.data_dir().join("emporium"))
}
