//! Processes: how ours are started, watched and signalled, and whether a pid is a server of our folder.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::user::ServerUser;

/// How often a state is looked at while waiting for it.
pub(crate) const POLL: Duration = Duration::from_millis(5);

/// A stop writes all changed pages.
pub(crate) const STOP_LIMIT: Duration = Duration::from_mins(1);

/// For an end that writes nothing.
pub(crate) const HARD_STOP_LIMIT: Duration = Duration::from_secs(5);

/// Variables that would make PostgreSQL's programs look somewhere else.
const MISLEADING: [&str; 12] = [
    "LANG",
    "LC_ALL",
    "LC_MESSAGES",
    "PGDATA",
    "PGPORT",
    "PGHOST",
    "PGUSER",
    "PGDATABASE",
    "PGPASSWORD",
    "PGPASSFILE",
    "PGOPTIONS",
    "PGSERVICE",
];

/// A command for one of PostgreSQL's programs: as the server's user, in a process group of its own so that
/// Ctrl-C in a terminal reaches only us, and ending with the thread that spawns it.
pub(crate) fn command(bin: &Path, name: &str, cwd: &Path, user: Option<&ServerUser>) -> Command {
    let mut command = Command::new(bin.join(name));
    command.current_dir(cwd).stdin(Stdio::null()).process_group(0);
    for name in MISLEADING {
        command.env_remove(name);
    }
    command.env("LC_ALL", "C"); // the log is read by a program too
    if let Some(user) = user {
        command.uid(user.uid).gid(user.gid); // as root, std drops the supplementary groups too
    }
    end_with_spawner(&mut command);
    command
}

/// Linux sends the child SIGINT (PostgreSQL's fast shutdown) when the *thread* that spawned it ends, so that not
/// even `kill -9` of our program leaves an orphan.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)] // `pre_exec` has no safe counterpart
fn end_with_spawner(command: &mut Command) {
    let parent = rustix::process::getpid();
    let in_child = move || -> io::Result<()> {
        rustix::process::set_parent_process_death_signal(Some(Signal::INT))?;
        // The parent may have died before the line above: then nobody would send the signal.
        if rustix::process::getppid() == Some(parent) {
            Ok(())
        } else {
            Err(rustix::io::Errno::SRCH.into())
        }
    };
    // SAFETY: between fork and exec only async-signal-safe calls are allowed. The closure makes two plain system
    // calls, takes no lock and allocates nothing. std runs it after setuid, which would clear the setting.
    unsafe { command.pre_exec(in_child) };
}

/// Elsewhere the next start stops the orphan.
#[cfg(not(target_os = "linux"))]
fn end_with_spawner(_: &mut Command) {}

/// A child together with the thread that spawned it, which lives exactly as long as the child
/// (see [`end_with_spawner`]).
#[derive(Debug)]
pub(crate) struct Supervised {
    pid: u32,
    child: Arc<Mutex<Child>>,
    thread: Option<JoinHandle<()>>,
}

impl Supervised {
    pub(crate) fn spawn(mut command: Command) -> io::Result<Self> {
        let (send, receive) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("postgres".into())
            .spawn(move || match command.spawn() {
                Ok(child) => {
                    let pid = child.id();
                    let child = Arc::new(Mutex::new(child));
                    let _ = send.send(Ok((pid, Arc::clone(&child))));
                    wait_unreaped(pid);
                    let _ = locked(&child).wait();
                }
                Err(error) => drop(send.send(Err(error))),
            })?;
        let (pid, child) = receive
            .recv()
            .unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into()))?;
        Ok(Self {
            pid,
            child,
            thread: Some(thread),
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    pub(crate) fn is_running(&self) -> bool {
        matches!(locked(&self.child).try_wait(), Ok(None))
    }

    /// Signals the child unless it has ended. The lock keeps it from being reaped in between, so the signal can
    /// never reach a stranger with the same pid.
    fn signal(&self, signal: Signal) {
        let mut child = locked(&self.child);
        if matches!(child.try_wait(), Ok(None)) {
            let _ = send(self.pid, signal); // ended this moment: just what was wanted
        }
    }

    /// Sends `signal` and tells whether the child ended within `limit`.
    pub(crate) fn end(&mut self, signal: Signal, limit: Duration) -> bool {
        self.signal(signal);
        let ended = wait_until(limit, || !self.is_running());
        if ended && let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        ended
    }
}

/// No way out of a failed start leaves a server behind.
impl Drop for Supervised {
    fn drop(&mut self) {
        if self.is_running() {
            self.end(Signal::INT, STOP_LIMIT);
        }
    }
}

fn locked(child: &Mutex<Child>) -> MutexGuard<'_, Child> {
    child.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Blocks until the child has ended, without reaping it and without the lock.
fn wait_unreaped(pid: u32) {
    let Some(pid) = to_pid(pid) else { return };
    while let Err(rustix::io::Errno::INTR) =
        waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
    {}
}

/// Polls `condition` until it holds; false when `limit` passed first.
pub(crate) fn wait_until(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        thread::sleep(POLL);
    }
}

/// Sends a signal to any process.
pub(crate) fn send(pid: u32, signal: Signal) -> io::Result<()> {
    let pid = to_pid(pid).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(kill_process(pid, signal)?)
}

fn to_pid(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}

/// Whether any process has this pid, a zombie included.
pub(crate) fn exists(pid: u32) -> bool {
    let probe = to_pid(pid).map(rustix::process::test_kill_process);
    matches!(probe, Some(Ok(()) | Err(rustix::io::Errno::PERM)))
}

/// Whether `pid` is alive and really the server of the cluster in `data`, not a stranger with a recycled pid: a
/// server works in its data folder, and ours carry the folder in their command line.
#[cfg(target_os = "linux")]
pub(crate) fn is_server_of(pid: u32, data: &Path) -> bool {
    let proc = Path::new("/proc").join(pid.to_string());
    let stat = fs::read_to_string(proc.join("stat")).unwrap_or_default();
    let state = stat
        .rsplit(')')
        .next()
        .and_then(|rest| rest.trim_start().chars().next());
    if matches!(state, None | Some('Z' | 'X')) {
        return false;
    }
    if let Ok(cwd) = fs::read_link(proc.join("cwd")) {
        return cwd == data && stat.contains("(postgres)");
    }
    // Another user's process shows its command line at least.
    let line = fs::read(proc.join("cmdline")).unwrap_or_default();
    is_server_command(line.split(|byte| *byte == 0).map(String::from_utf8_lossy), data)
}

/// See the Linux version.
#[cfg(not(target_os = "linux"))]
pub(crate) fn is_server_of(pid: u32, data: &Path) -> bool {
    let listed = Command::new("ps")
        .args(["-ww", "-o", "command=", "-p", &pid.to_string()])
        .output();
    let line = listed
        .map(|listed| String::from_utf8_lossy(&listed.stdout).into_owned())
        .unwrap_or_default();
    let mut words = line.split(" -");
    words.next().is_some_and(|program| program.ends_with("postgres"))
        && words.any(|option| {
            option
                .strip_prefix("D ")
                .is_some_and(|dir| Path::new(dir.trim()) == data)
        })
}

#[cfg(target_os = "linux")]
fn is_server_command<'a>(mut words: impl Iterator<Item = std::borrow::Cow<'a, str>>, data: &Path) -> bool {
    words.next().is_some_and(|program| program.ends_with("postgres"))
        && words.any(|word| Path::new(&*word) == data)
}
