//! The data folder: everything that outlives the process.
//!
//! | file | what |
//! |---|---|
//! | `postgres/` | the embedded server's cluster |
//! | `keys.json` | service secrets and database passwords, mode 0600 |
//! | `admin.json` | the administrator's e-mail and password, mode 0600 |
//! | `prometheus.token` | the token by which a Prometheus is told what to scrape, mode 0600 |
//! | `sample.json` | which sample data was or is being loaded |
//! | `running.json` | while the shop runs: process and ports, mode 0600 |
//! | `emporium.lock` | held by the process that has the folder |

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use etcetera::BaseStrategy;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Error;

const LOCK: &str = "emporium.lock";
/// `emporium status` looks at the lock for a moment, and a killed program lets go of it a moment later.
const TAKE_TRIES: u32 = 10;
const TAKE_PAUSE: Duration = Duration::from_millis(20);

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
        let failed = |source| Error::Folder {
            path: path.clone(),
            source,
        };
        create(&path).map_err(failed)?;
        let path = path.canonicalize().map_err(failed)?;
        Ok(Self { path })
    }

    /// The folder as it is, for a mere look: it need not exist, and nothing is made.
    pub fn look_at(path: Option<&Path>) -> Self {
        let path = path.map_or_else(default_path, Path::to_path_buf);
        let path = path.canonicalize().unwrap_or(path);
        Self { path }
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
    pub async fn take(&self) -> Result<Option<Owned>, Error> {
        for _ in 1..TAKE_TRIES {
            if let Some(owned) = self.try_take()? {
                return Ok(Some(owned));
            }
            tokio::time::sleep(TAKE_PAUSE).await;
        }
        self.try_take()
    }

    fn try_take(&self) -> Result<Option<Owned>, Error> {
        let path = self.file(LOCK);
        let open = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path);
        let lock = open.map_err(|source| Error::Folder {
            path: self.path.clone(),
            source,
        })?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Owned { _lock: lock })),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(source)) => Err(Error::Folder { path, source }),
        }
    }

    /// Whether a process has the folder. The lock tells; a process id could be somebody else's by now.
    pub fn is_taken(&self) -> Result<bool, Error> {
        let path = self.file(LOCK);
        let looked = match File::open(&path) {
            Ok(lock) => lock.try_lock_shared(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => Err(fs::TryLockError::Error(error)),
        };
        match looked {
            Ok(()) => Ok(false),
            Err(fs::TryLockError::WouldBlock) => Ok(true),
            Err(fs::TryLockError::Error(source)) => Err(Error::Folder { path, source }),
        }
    }

    /// Reads a JSON file; `None` when it is not there.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        let path = self.file(name);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| Error::Damaged {
                    path,
                    problem: error.to_string(),
                }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::Folder { path, source }),
        }
    }

    /// Writes a JSON file that only its owner may read. It is either the old or the new one, never half of it.
    pub fn write(&self, name: &str, value: &impl Serialize) -> Result<(), Error> {
        let path = self.file(name);
        let failed = |source| Error::Folder {
            path: path.clone(),
            source,
        };
        let text = serde_json::to_vec_pretty(value).map_err(|error| Error::Damaged {
            path: path.clone(),
            problem: error.to_string(),
        })?;
        write_private(&path, &[&text[..], b"\n"].concat()).map_err(failed)
    }

    /// Closes a file to everybody but its owner, if it is there: a copy from a backup may have lost its mode.
    pub fn close(&self, name: &str) {
        let _ = fs::set_permissions(self.file(name), Permissions::from_mode(0o600));
    }

    /// Removes a file if it is there.
    pub fn remove(&self, name: &str) {
        let _ = fs::remove_file(self.file(name));
    }
}

/// Creates a folder that is missing, whatever the umask says. An ordinary user's is closed to everybody else. Root's lets
/// others pass: the database server runs as another user then, and what is private is 0600. Existing ones stay as they are.
fn create(path: &Path) -> io::Result<()> {
    let root = rustix::process::geteuid().is_root();
    if path.is_dir() {
        return Ok(());
    }
    let path = std::path::absolute(path)?;
    let above: Vec<&Path> = path
        .ancestors()
        .skip(1)
        .take_while(|above| !above.exists())
        .collect();
    for folder in above.into_iter().rev() {
        create_one(folder, if root { 0o755 } else { 0o700 })?;
    }
    create_one(&path, if root { 0o711 } else { 0o700 })
}

fn create_one(path: &Path, mode: u32) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => fs::set_permissions(path, Permissions::from_mode(mode)),
        // Somebody else was faster.
        Err(_) if path.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Writes a file that only its owner may read. After a crash it is either the old or the new one, never half of it; and the
/// new one is a file of its own, so that it takes neither the mode nor the readers of an old one.
pub fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    match fs::remove_file(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(&part)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&part, path)?;
    // The rename itself has to survive a power cut too.
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// `/var/lib/emporium` for root, since root's home is closed to the user that the database server runs as; else the
/// user's own place for data (`~/.local/share/emporium`).
pub fn default_path() -> PathBuf {
    if rustix::process::geteuid().is_root() {
        return PathBuf::from("/var/lib/emporium");
    }
    etcetera::choose_base_strategy().map_or_else(
        |_| PathBuf::from("emporium-data"),
        |places| places.data_dir().join("emporium"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_process_has_the_folder_and_a_look_keeps_nobody_out() {
        let folder = tempfile::tempdir().unwrap();
        let dir = DataDir::open(Some(folder.path())).unwrap();
        assert!(!dir.is_taken().unwrap());
        let owned = dir.take().await.unwrap();
        assert!(owned.is_some() && dir.is_taken().unwrap());
        assert!(dir.take().await.unwrap().is_none());
        drop(owned);
        assert!(!dir.is_taken().unwrap());
        let look = File::open(dir.file(LOCK)).unwrap();
        look.lock_shared().unwrap();
        let (taken, ()) = futures::join!(dir.take(), async {
            tokio::time::sleep(TAKE_PAUSE).await;
            drop(look);
        });
        assert!(taken.unwrap().is_some());
    }
}
