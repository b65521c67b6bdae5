//! What the program `test-stores` does: one start of each shared server for a whole run of tests.

use std::ffi::OsString;
use std::future::pending;
use std::io;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};
use tokio::signal::unix::{self, SignalKind};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::kind::Store;
use super::server::Server;
use super::{docker, keeper, not_run, progress, scripts, start, state};

/// What the command gets to end by itself after a signal.
const END_LIMIT: Duration = Duration::from_secs(10);
/// The exit code when tests have passed but some that have to run did not.
const INCOMPLETE: u8 = 3;

/// The command to run, and whether it has to wait for all servers.
#[derive(Debug, PartialEq, Eq)]
pub struct Arguments {
    /// Whether the command is started only when every server is there (or cannot be had), with all the URLs in its
    /// environment. Otherwise it is started at once; tests wait for what they need.
    pub wait: bool,
    /// The program and its arguments.
    pub command: Vec<OsString>,
}

impl Arguments {
    /// Reads `[--wait] [--] command…`; `None` when that is not what it is.
    pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Option<Self> {
        let mut arguments = arguments.into_iter().peekable();
        let wait = arguments.next_if(|argument| argument == "--wait").is_some();
        let separated = arguments.next_if(|argument| argument == "--").is_some();
        let command: Vec<OsString> = arguments.collect();
        let program = command.first()?;
        let unknown = !separated && program.to_string_lossy().starts_with('-');
        (!unknown).then_some(Self { wait, command })
    }
}

/// Starts the servers, runs the command with the means to find them, ends the servers, and lists what did not run.
/// Gives the command's exit code; 128 and the signal's number after a signal; in CI [`INCOMPLETE`] when something is
/// missing although the command is content.
pub async fn run(arguments: Arguments) -> io::Result<u8> {
    let mut signals = Signals::new()?;
    let folder = keeper::new_folder("run");
    let missing = folder.join("not-run");
    let starts: Vec<_> = Store::SHARED
        .into_iter()
        .map(|store| Start::begin(store, &folder))
        .collect();
    // Tests that want one wait for this, and tell what is wrong.
    let installing = tokio::spawn(scripts::install(Store::Prometheus));
    let mut command = Command::new(&arguments.command[0]);
    command
        .args(&arguments.command[1..])
        .env(state::STATE_VARIABLE, &folder)
        .env(not_run::NOT_RUN_VARIABLE, &missing)
        // Ctrl-C reaches the command through us, so that it ends before its servers do.
        .process_group(0);
    if arguments.wait {
        let exporting = export_urls(&mut command, &folder);
        tokio::select! {
            () = exporting => {}
            signal = signals.next() => return Ok(code_of_signal(signal)),
        }
    }
    let code = supervise(command, &mut signals).await;
    for start in starts {
        start.end().await;
    }
    installing.abort();
    docker::settle().await;
    let missing = not_run::read(&missing)?;
    progress::say_all(&not_run::list(&missing));
    Ok(match code? {
        0 if not_run::is_ci() && !missing.is_empty() => INCOMPLETE,
        code => code,
    })
}

/// One shared store on its way, or there.
struct Start(JoinHandle<Option<Server>>);

impl Start {
    fn begin(store: Store, folder: &Path) -> Self {
        let folder = folder.to_owned();
        Self(tokio::spawn(async move {
            let (decision, held) = match start::shared(store).await {
                Ok((shared, held)) => (Ok(shared), held),
                Err(why) => (Err(why), None),
            };
            progress::say(&match &decision {
                Ok(shared) => format!("{store} {} from {}", shared.version, shared.source),
                Err(why) => format!("{store} cannot be had: {why}"),
            });
            state::decide(&folder, store, &decision).expect("the temporary folder can be written");
            held
        }))
    }

    /// Ends the server, or its start.
    async fn end(self) {
        self.0.abort();
        drop(self.0.await);
    }
}

async fn export_urls(command: &mut Command, folder: &Path) {
    for store in Store::SHARED {
        if let Some(variable) = store.url_variable()
            && let Ok(shared) = state::decision(folder, store).await
        {
            command.env(variable, shared.url);
        }
    }
}

/// Runs the command to its end, passing signals on.
async fn supervise(mut command: Command, signals: &mut Signals) -> io::Result<u8> {
    let mut child = command.spawn()?;
    let group = child.id().expect("nobody has waited for it yet");
    let _watched = keeper::Group::watch(group);
    let signal = tokio::select! {
        status = child.wait() => return Ok(code_of(status?)),
        signal = signals.next() => signal,
    };
    tell(group, signal);
    let _ = ended_in_time(&mut child, signals).await;
    // Also what the command left behind when it ended.
    tell(group, Signal::KILL);
    child.wait().await?;
    Ok(code_of_signal(signal))
}

/// After a signal: waits for the command's end, for a second signal, or until its time is over.
async fn ended_in_time(child: &mut Child, signals: &mut Signals) -> Option<ExitStatus> {
    tokio::select! {
        status = child.wait() => status.ok(),
        _ = signals.next() => None,
        () = sleep(END_LIMIT) => None,
    }
}

fn tell(group: u32, signal: Signal) {
    if let Some(group) = i32::try_from(group).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, signal); // all ended this moment
    }
}

fn code_of(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt;
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

fn code_of_signal(signal: Signal) -> u8 {
    u8::try_from(128 + signal.as_raw()).unwrap_or(1)
}

/// The signals that ask for an end.
struct Signals(Vec<(unix::Signal, Signal)>);

impl Signals {
    fn new() -> io::Result<Self> {
        let kinds = [
            (SignalKind::interrupt(), Signal::INT),
            (SignalKind::terminate(), Signal::TERM),
            (SignalKind::hangup(), Signal::HUP),
        ];
        let listen = |(kind, signal)| Ok((unix::signal(kind)?, signal));
        kinds.into_iter().map(listen).collect::<io::Result<_>>().map(Self)
    }

    async fn next(&mut self) -> Signal {
        let all = self.0.iter_mut().map(|(stream, signal)| {
            Box::pin(async move {
                if stream.recv().await.is_none() {
                    pending::<()>().await;
                }
                *signal
            })
        });
        futures::future::select_all(all).await.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Option<Arguments> {
        Arguments::read(words.iter().map(OsString::from))
    }

    #[test]
    fn arguments_are_read_up_to_the_command() {
        let plain = read(&["cargo", "test", "--wait"]).unwrap();
        assert!(!plain.wait && plain.command.len() == 3);
        let waiting = read(&["--wait", "--", "-odd", "--", "x"]).unwrap();
        assert!(waiting.wait && waiting.command == ["-odd", "--", "x"]);
        for wrong in [
            &[] as &[&str],
            &["--"],
            &["--wait"],
            &["--help"],
            &["--wait", "--x"],
        ] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }
}
