//! One server process: its command line, its port, and waiting until it is ready.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::binaries::Binaries;
use crate::folder::Folder;
use crate::leftovers::PidFile;
use crate::log::{self, Verdict};
use crate::process::{HARD_STOP_LIMIT, POLL, Supervised, wait_until};
use crate::{Error, Progress, Result, Settings};

/// A start may have to replay much of the log after a crash.
const START_LIMIT: Duration = Duration::from_mins(5);
/// How many ports are tried when others take them from under us.
const PORT_TRIES: u32 = 8;

/// Starts the server, again where a start can fail through no fault of the cluster.
pub(crate) fn launch(
    settings: &Settings,
    folder: &Folder,
    binaries: &Binaries,
    progress: &dyn Fn(Progress),
) -> Result<(Supervised, u16)> {
    let end = Instant::now() + START_LIMIT;
    let mut last_port = fs::read_to_string(folder.port())
        .ok()
        .and_then(|port| port.trim().parse().ok());
    let (mut port_tries, mut announced) = (0, None);
    loop {
        let port = choose_port(settings.port, last_port)?;
        if announced.replace(port) != Some(port) {
            progress(Progress::Starting { port });
        }
        let why = match attempt(settings, folder, binaries, port, end)? {
            Ok(process) => return Ok((process, port)),
            Err(why) => why,
        };
        match why {
            Verdict::PortTaken if port_tries < PORT_TRIES => {
                port_tries += 1;
                last_port = None;
                progress(Progress::PortTaken { port });
            }
            Verdict::PortTaken => {
                return Err(Error::Port {
                    port,
                    source: io::ErrorKind::AddrInUse.into(),
                });
            }
            Verdict::StillLettingGo if Instant::now() < end => {
                last_port = Some(port);
                thread::sleep(POLL * 20);
            }
            Verdict::Broken(why) => {
                return Err(Error::Broken {
                    data: folder.data(),
                    why,
                });
            }
            Verdict::StillLettingGo => {
                let why = "processes of a killed server still hold its memory".to_owned();
                return Err(Error::NotStarted {
                    why,
                    log: folder.log(),
                });
            }
            Verdict::Other(why) => {
                return Err(Error::NotStarted {
                    why,
                    log: folder.log(),
                });
            }
        }
    }
}

/// One try. The outer error is final, the inner one is what the log says.
fn attempt(
    settings: &Settings,
    folder: &Folder,
    binaries: &Binaries,
    port: u16,
    end: Instant,
) -> Result<Result<Supervised, Verdict>> {
    let log = folder.log();
    let (output, start) = log::open(&log).map_err(Error::not_writable(&log))?;
    let errors = output.try_clone().map_err(Error::not_writable(&log))?;
    let mut command = server_command(settings, folder, binaries, port);
    command.stdout(output).stderr(errors);
    let not_started = |why: String| Error::NotStarted {
        why,
        log: log.clone(),
    };
    let mut process = Supervised::spawn(command).map_err(|error| {
        not_started(format!(
            "cannot run {}: {error}",
            binaries.bin.join("postgres").display()
        ))
    })?;
    let mut ended = false;
    let settled = wait_until(end.saturating_duration_since(Instant::now()), || {
        ended = !process.is_running();
        ended || is_ready(&folder.data(), process.pid())
    });
    if settled && !ended {
        return Ok(Ok(process));
    }
    process.end(Signal::QUIT, HARD_STOP_LIMIT);
    if ended {
        Ok(Err(log::verdict(&log, start)))
    } else {
        Err(not_started("it did not get ready in time".into()))
    }
}

/// The server writes its own state into its pid file, which also tells it from a stranger on the same port.
fn is_ready(data: &Path, pid: u32) -> bool {
    PidFile::read(data).is_ok_and(|file| file.pid == pid && file.ready)
}

/// The last port if it is free, so that people can keep it in their tools; else any.
fn choose_port(wanted: Option<u16>, last: Option<u16>) -> Result<u16> {
    let bind = |port| {
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).and_then(|socket| Ok(socket.local_addr()?.port()))
    };
    if let Some(port) = wanted {
        return bind(port).map_err(|source| Error::Port { port, source });
    }
    last.and_then(|port| bind(port).ok())
        .map_or_else(|| bind(0), Ok)
        .map_err(|source| Error::Port { port: 0, source })
}

fn server_command(settings: &Settings, folder: &Folder, binaries: &Binaries, port: u16) -> Command {
    let mut command = binaries.command("postgres", &folder.data(), folder.user.as_ref());
    command.arg("-D").arg(folder.data());
    let mut set = |name: &str, value: &str| {
        command.arg("-c").arg(format!("{name}={value}"));
    };
    set("max_connections", &settings.max_connections.to_string());
    for (name, value) in defaults(binaries.major) {
        set(name, value);
    }
    for (name, value) in &settings.extra {
        set(name, value);
    }
    // Last, so that nothing above can take the server off loopback.
    let sockets = folder
        .socket_dir()
        .map(|dir| one_of_a_list(&dir))
        .unwrap_or_default();
    set("listen_addresses", "127.0.0.1");
    set("port", &port.to_string());
    set("unix_socket_directories", &sockets);
    set("logging_collector", "off");
    command
}

/// The setting is a list, in which commas and quotes have a meaning.
fn one_of_a_list(path: &Path) -> String {
    format!("\"{}\"", path.display().to_string().replace('"', "\"\""))
}

/// For a small private server. Durability stays as PostgreSQL has it: on.
fn defaults(major: u32) -> Vec<(&'static str, &'static str)> {
    let mut settings = vec![
        ("shared_buffers", "64MB"),
        // For disks without heads: with the default the planner reads whole tables where an index finds a few rows.
        ("random_page_cost", "1.1"),
        ("timezone", "UTC"),
        ("log_timezone", "UTC"),
        ("ssl", "off"),           // loopback only
        ("jit", "off"),           // compiling short queries costs more than it gains
        ("wal_level", "minimal"), // no replicas
        ("max_wal_senders", "0"),
    ];
    if major >= 16 {
        settings.push(("scram_iterations", "256")); // random 256-bit passwords need no stretching
    }
    if major >= 18 {
        settings.push(("io_method", "sync")); // no helper processes
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_port_is_kept_only_while_it_is_free() -> io::Result<()> {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = taken.local_addr()?.port();
        assert_ne!(choose_port(None, Some(port)).ok(), Some(port));
        assert!(matches!(choose_port(Some(port), None), Err(Error::Port { .. })));
        drop(taken);
        assert_eq!(choose_port(None, Some(port)).ok(), Some(port));
        Ok(())
    }
}
