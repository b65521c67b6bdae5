//! What an earlier run left: its server, and its `postmaster.pid`.

use std::fs;
use std::io;
use std::path::Path;

use rustix::process::Signal;

use crate::folder::Folder;
use crate::process::{self, STOP_LIMIT, wait_until};
use crate::{Error, Progress, Result};

/// What `postmaster.pid` says.
#[derive(Debug)]
pub(crate) struct PidFile {
    pub(crate) pid: u32,
    pub(crate) port: u16,
    pub(crate) ready: bool,
}

impl PidFile {
    pub(crate) fn read(data: &Path) -> io::Result<Self> {
        // The folders in it may have names that are not UTF-8.
        let text = fs::read(data.join("postmaster.pid"))?;
        Self::parse(&String::from_utf8_lossy(&text)).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Lines: pid, data folder, start time, port, socket folder, address, shared memory, status.
    fn parse(text: &str) -> Option<Self> {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        // A single-user server marks its pid with a minus.
        let pid = lines
            .first()?
            .trim_start_matches('-')
            .parse()
            .ok()
            .filter(|pid| *pid > 0)?;
        let port = lines.get(3).and_then(|port| port.parse().ok()).unwrap_or(0);
        Some(Self {
            pid,
            port,
            ready: lines.get(7) == Some(&"ready"),
        })
    }
}

/// Clears what a killed run left: a server still alive is stopped, and a pid file that would keep a new server
/// from starting is removed. Returns the pid of the server that was stopped.
///
/// An orphan is replaced rather than adopted: it has the old settings and would not end with us, and on Linux
/// it is on its way out anyway, because its parent died.
pub(crate) fn clear(folder: &Folder, progress: &dyn Fn(Progress)) -> Result<Option<u32>> {
    let data = folder.data();
    let pid = match PidFile::read(&data) {
        Ok(file) => Some(file.pid),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(_) => None, // torn by a full disk or a power cut
    };
    let orphan = pid.filter(|pid| process::is_server_of(*pid, &data));
    if let Some(pid) = orphan {
        progress(Progress::StoppingOrphan { pid });
        stop_orphan(folder, pid)?;
    }
    // PostgreSQL itself clears the file of a dead process, with a check of shared memory that we do not have. It
    // refuses only where a stranger, or a zombie that nobody reaped, has the pid now.
    let path = data.join("postmaster.pid");
    if path.exists() && pid.is_none_or(process::exists) {
        fs::remove_file(&path).map_err(Error::not_writable(&path))?;
        progress(Progress::RemovedStalePidFile);
    }
    Ok(orphan)
}

fn stop_orphan(folder: &Folder, pid: u32) -> Result<()> {
    let data = folder.data();
    let in_use = || Error::InUse {
        root: folder.root.clone(),
        pid: Some(pid),
    };
    match process::send(pid, Signal::INT) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(in_use()),
        _ => {} // sent, or it ended this moment
    }
    if wait_until(STOP_LIMIT, || !process::is_server_of(pid, &data)) {
        Ok(())
    } else {
        Err(in_use())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_tells_pid_port_and_state() {
        let text = "42\n/x/data\n1700000000\n5433\n/x/run\n127.0.0.1\n 1 2\nready   \n";
        assert!(matches!(
            PidFile::parse(text),
            Some(PidFile {
                pid: 42,
                port: 5433,
                ready: true
            })
        ));
        let starting = text.replace("ready   ", "starting");
        assert!(matches!(
            PidFile::parse(&starting),
            Some(PidFile { ready: false, .. })
        ));
        assert!(PidFile::parse("").is_none());
        assert!(PidFile::parse("garbage\n").is_none());
        assert!(PidFile::parse("0\n").is_none());
        assert!(matches!(
            PidFile::parse("-42\n"),
            Some(PidFile {
                pid: 42,
                ready: false,
                ..
            })
        ));
    }
}
