//! A child process with its own process group and its log.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use super::keeper::Group;

/// A running command. Dropping it kills it, with all its children.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
    /// Dropped before the child is waited for, so that the keeper never has the id of a stranger.
    group: Option<Group>,
}

impl Process {
    /// Starts `command`; what it prints goes to `log`.
    pub(crate) fn spawn(command: &mut Command, log: &Path) -> Result<Self, String> {
        let open = || File::options().create(true).append(true).open(log);
        let output = open().map_err(|error| format!("{}: {error}", log.display()))?;
        let errors = output.try_clone().map_err(|error| error.to_string())?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            // Ctrl-C in the terminal is for the test, which then ends its servers.
            .process_group(0)
            .spawn()
            .map_err(|error| format!("cannot run {}: {error}", command.get_program().display()))?;
        let group = Some(Group::watch(child.id()));
        Ok(Self {
            child,
            log: log.to_owned(),
            group,
        })
    }

    /// Its process id, which is also its group's.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended; `None` while it runs.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.try_wait().ok().flatten();
        if status.is_some() {
            self.group = None;
        }
        status
    }

    /// Sends a signal to it and all its children.
    pub(crate) fn signal(&mut self, signal: Signal) {
        if self.ended().is_some() {
            return; // nobody else's process gets it
        }
        if let Some(group) = i32::try_from(self.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, signal); // ended this moment
        }
    }

    /// Kills it, with all its children, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.group = None;
        let _ = self.child.wait();
    }

    /// Asks it to end, and kills it when it has not within `limit`.
    pub(crate) async fn stop(&mut self, limit: Duration) {
        self.signal(Signal::CONT);
        self.signal(Signal::TERM);
        let end = tokio::time::Instant::now() + limit;
        while self.ended().is_none() && tokio::time::Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.kill();
    }

    /// The last lines of its log, as one.
    pub(crate) fn last_words(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        lines[lines.len().saturating_sub(3)..].join(" / ")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
