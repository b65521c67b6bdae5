//! Nothing a test starts may outlive it, not even after `kill -9`. `Drop` does not run then, nor for statics, so a small
//! shell (keeper.sh) waits for the end of this process: when its standard input closes, it ends what is left.
//!
//! Why not `PR_SET_PDEATHSIG`: it goes by the thread that spawned the child, and a test's threads end all the time; it is
//! lost when the child changes its user, as Elasticsearch's does; and only Linux has it.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};

static KEEPER: LazyLock<Mutex<Keeper>> = LazyLock::new(|| Mutex::new(Keeper::start()));

struct Keeper {
    input: ChildStdin,
    folder: PathBuf,
}

impl Keeper {
    #[allow(clippy::zombie_processes)]
    fn start() -> Self {
        let folder = std::env::temp_dir()
            .join("emporium-test-stores")
            .join(std::process::id().to_string());
        // Of a process that had the same id, if its keeper was killed too.
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("the temporary folder can be written");
        // Never waited for, since it outlives this process. A process group of its own: Ctrl-C must not end it before its work begins.
        let mut child = Command::new("sh")
            .args(["-c", include_str!("keeper.sh"), "emporium-test-keeper"])
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("sh starts");
        let input = child.stdin.take().expect("it is piped");
        Self { input, folder }
    }

    fn tell(change: char, name: &str) {
        let mut keeper = KEEPER.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(keeper.input, "{change} {name}").expect("the keeper lives");
    }
}

/// The folder of this process's servers. It goes with the process.
pub(crate) fn folder() -> PathBuf {
    let keeper = KEEPER.lock().unwrap_or_else(PoisonError::into_inner);
    keeper.folder.clone()
}

/// A new folder below [`folder`].
pub(crate) fn new_folder(name: &str) -> PathBuf {
    let folder = folder().join(name);
    std::fs::create_dir_all(&folder).expect("the temporary folder can be written");
    folder
}

/// Removes a folder of a server that has ended. What cannot be removed yet goes with the process.
pub(crate) fn remove_folder(folder: &Path) {
    let _ = std::fs::remove_dir_all(folder);
}

/// A process group that is to end with this process.
pub(crate) struct Group(String);

impl Group {
    /// Watches the group led by `pid`.
    pub(crate) fn watch(pid: u32) -> Self {
        let group = pid.to_string();
        Keeper::tell('+', &group);
        Self(group)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        Keeper::tell('-', &self.0);
    }
}

/// A container that is to end with this process.
pub(crate) struct Container(String);

impl Container {
    /// Watches the container.
    pub(crate) fn watch(id: &str) -> Self {
        Keeper::tell('c', id);
        Self(id.to_owned())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        Keeper::tell('r', &self.0);
    }
}
