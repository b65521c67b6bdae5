//! The cluster's folder: its layout, and the lock that makes one process its owner.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::user::{self, ServerUser};
use crate::{Error, Result, process};

/// Everything that this crate puts into a root, apart from what is being made, which begins with [`ASIDE`]; and what
/// a volume mounted there has from the start.
const OURS: [&str; 8] = [
    "data",
    "run",
    "server.log",
    "server.log.1",
    "superuser.secret",
    "port",
    "owner.lock",
    "lost+found",
];
/// A child that was forked takes at most so long to become another program.
const EXEC_LIMIT: Duration = Duration::from_secs(2);
/// Files and folders being made have this prefix until they are complete.
const ASIDE: &str = ".new-";
/// `sun_path` holds 104 bytes on macOS and 108 on Linux, the closing zero included.
const SOCKET_PATH_BYTES: usize = 104;

/// A folder that we own as long as this value lives: the system drops the lock when the process dies, however
/// it dies.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) root: PathBuf,
    pub(crate) user: Option<ServerUser>,
    _lock: File,
}

impl Folder {
    /// Creates `root` when it is missing, checks that it is ours and that the server can get there, and locks it.
    pub(crate) fn open(root: &Path) -> Result<Self> {
        let root = resolve(root).map_err(Error::not_writable(root))?;
        let user = ServerUser::choose(&root.join("data"))?;
        let above = root.parent().unwrap_or(&root);
        if let Some(user) = &user {
            user.check_reach("data", &root, above)?;
        }
        refuse_foreign(&root)?;
        create_private(&root, user.as_ref()).map_err(Error::not_writable(&root))?;
        let lock = lock(&root)?;
        let_through(&root, user.as_ref()).map_err(Error::not_writable(&root))?;
        let folder = Self {
            root,
            user,
            _lock: lock,
        };
        folder.remove_aside();
        Ok(folder)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.root.join("server.log")
    }

    pub(crate) fn secret(&self) -> PathBuf {
        self.root.join("superuser.secret")
    }

    /// The file with the last port.
    pub(crate) fn port(&self) -> PathBuf {
        self.root.join("port")
    }

    /// The Unix socket's folder, or `None` when its path is too long for a socket or, as no client wants it,
    /// not UTF-8. It lies in our own folder
    /// because a predictable name in `/tmp` could be squatted by another user.
    pub(crate) fn socket_dir(&self) -> Option<PathBuf> {
        socket_dir(&self.root)
    }

    /// Empties the socket's folder: what is in there belonged to a server that is gone.
    pub(crate) fn renew_socket_dir(&self) -> Result<()> {
        let Some(run) = self.socket_dir() else {
            return Ok(());
        };
        let renew = || {
            if run.exists() {
                fs::remove_dir_all(&run)?;
            }
            create_private(&run, self.user.as_ref())?;
            user::give(&run, self.user.as_ref())
        };
        renew().map_err(Error::not_writable(&run))
    }

    /// A new private folder, owned by the server's user, to make something in before it is renamed into place.
    pub(crate) fn aside(&self) -> Result<PathBuf> {
        let path = self.root.join(format!("{ASIDE}{:016x}", rand::random::<u64>()));
        let create = || {
            create_private(&path, self.user.as_ref())?;
            user::give(&path, self.user.as_ref())
        };
        create().map_err(Error::not_writable(&path))?;
        Ok(path)
    }

    /// Removes what killed runs left half-made. A failure does no harm: such a folder is never used.
    fn remove_aside(&self) {
        for entry in fs::read_dir(&self.root).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(ASIDE) {
                let _ = fs::remove_dir_all(entry.path()).or_else(|_| fs::remove_file(entry.path()));
            }
        }
    }
}

/// See [`Folder::socket_dir`].
pub(crate) fn socket_dir(root: &Path) -> Option<PathBuf> {
    let run = root.join("run");
    let longest = run.as_os_str().len() + "/.s.PGSQL.65535".len();
    (longest < SOCKET_PATH_BYTES && run.to_str().is_some()).then_some(run)
}

/// The absolute path without links, also when its last parts do not exist yet.
pub(crate) fn resolve(path: &Path) -> io::Result<PathBuf> {
    let absolute = std::path::absolute(path)?;
    let mut tail = Vec::new();
    let mut at = absolute.as_path();
    loop {
        match at.canonicalize() {
            Ok(real) => return Ok(tail.iter().rev().fold(real, |path, part| path.join(part))),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Err(error) => {
                tail.push(at.file_name().ok_or_else(|| io::Error::from(error.kind()))?);
                at = at.parent().ok_or(error)?;
            }
        }
    }
}

/// A folder without a cluster may hold nothing but our own files: it is given away and locked in a moment, and
/// must not be somebody's home by mistake.
fn refuse_foreign(root: &Path) -> Result<()> {
    if root.join("data").exists() {
        return Ok(());
    }
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::not_writable(root)(error)),
    };
    let names = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut foreign: Vec<_> = names
        .filter(|name| !OURS.contains(&name.as_str()) && !name.starts_with(ASIDE))
        .collect();
    foreign.sort();
    foreign.into_iter().next().map_or(Ok(()), |entry| {
        Err(Error::Foreign {
            root: root.to_path_buf(),
            entry,
        })
    })
}

/// Creates `dir` for its owner only, when it is missing.
fn create_private(dir: &Path, user: Option<&ServerUser>) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    user::create_folders(dir, user)?;
    fs::set_permissions(dir, Permissions::from_mode(0o700))
}

/// As root, the root folder stays root's, so that the server's user cannot plant links where we write; that user
/// only may pass through to `data` and `run`, which are his.
fn let_through(root: &Path, user: Option<&ServerUser>) -> io::Result<()> {
    let Some(user) = user else { return Ok(()) };
    let metadata = fs::metadata(root)?;
    if user.can_enter(&metadata) {
        return Ok(());
    }
    fs::set_permissions(
        root,
        Permissions::from_mode(metadata.permissions().mode() | 0o011),
    )
}

fn lock(root: &Path) -> Result<File> {
    let path = root.join("owner.lock");
    let mut options = OpenOptions::new();
    let opened = options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path);
    let mut file = opened.map_err(Error::not_writable(root))?;
    match patient_lock(&mut file) {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(Error::InUse {
                root: root.to_path_buf(),
                pid: holder(&mut file),
            });
        }
        Err(TryLockError::Error(error)) => return Err(Error::not_writable(&path)(error)),
    }
    let note = file
        .set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| write!(file, "{}", std::process::id()));
    note.map_err(Error::not_writable(&path))?;
    Ok(file)
}

/// A process that another thread starts has the locks of all files, ours too, from `fork` to `exec`. So a lock that this very
/// process, or one that has died, is said to hold may be free in a moment.
fn patient_lock(file: &mut File) -> std::result::Result<(), TryLockError> {
    let mut locked = file.try_lock();
    if matches!(locked, Err(TryLockError::WouldBlock))
        && holder(file).is_some_and(|pid| pid == std::process::id() || !process::exists(pid))
    {
        process::wait_until(EXEC_LIMIT, || {
            locked = file.try_lock();
            !matches!(locked, Err(TryLockError::WouldBlock))
        });
    }
    locked
}

/// Who wrote his pid into the lock file; the lock itself does not tell.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// Makes a rename or creation in `dir` outlive a power cut.
pub(crate) fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Writes a file for its owner only, so that a reader sees either the old content or all of the new one, also
/// after a power cut.
pub(crate) fn write_private(path: &Path, content: &str) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let new = path.with_file_name(format!("{ASIDE}{name}"));
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?;
    file.set_permissions(Permissions::from_mode(0o600))?; // in case the file was there with another mode
    file.write_all(content.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_needs_a_short_path() {
        assert_eq!(socket_dir(Path::new("/x")), Some("/x/run".into()));
        assert_eq!(socket_dir(&Path::new("/x").join("y".repeat(90))), None);
    }

    // What a child of another thread has until it is another program: the same lock, by another descriptor.
    #[test]
    fn a_lock_that_this_process_is_about_to_let_go_is_waited_for() -> Result<()> {
        let dir = tempfile::tempdir().map_err(Error::not_writable(Path::new("/")))?;
        let first = lock(dir.path())?;
        let inherited = first.try_clone().map_err(Error::not_writable(dir.path()))?;
        drop(first);
        let child = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            drop(inherited);
        });
        let second = lock(dir.path())?;
        assert!(child.join().is_ok());
        let note = fs::read_to_string(dir.path().join("owner.lock"));
        assert_eq!(note.ok(), Some(std::process::id().to_string()));
        drop(second);
        Ok(())
    }

    #[test]
    fn a_path_that_does_not_exist_yet_is_resolved() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let real = dir.path().canonicalize()?;
        std::os::unix::fs::symlink(&real, real.join("link"))?;
        assert_eq!(resolve(&real.join("link/a/b"))?, real.join("a/b"));
        Ok(())
    }
}
