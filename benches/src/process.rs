//! The processes under measurement: this program again, under other names. Each ends when its standard input is closed, so
//! none outlives the harness, however that ends.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use emporium_embedded_postgres::Server;
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;

use crate::load::check_interrupted;

/// The name under which this program is the `emporium` program.
pub const SHOP: &str = "emporium-bench-shop";
/// The name under which this program is the floor.
pub const FLOOR: &str = "emporium-bench-floor";

const READY_TIMEOUT: Duration = Duration::from_mins(3);
const STOP_TIMEOUT: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(5);

/// The shop, or one of its commands.
pub fn shop_main() -> ExitCode {
    thread::spawn(|| {
        wait_for_parent();
        let _ = kill_process(rustix::process::getpid(), Signal::TERM);
    });
    emporium::cli::main()
}

/// Returns when the harness has gone.
pub fn wait_for_parent() {
    let mut ignored = [0; 64];
    while !matches!(std::io::stdin().read(&mut ignored), Ok(0) | Err(_)) {}
}

/// A child process and what it has printed.
pub struct Program {
    child: Child,
    stdin: Option<ChildStdin>,
    output: Arc<Mutex<String>>,
    started: Instant,
}

impl Program {
    /// Starts this program under another name.
    pub fn spawn(name: &str, args: &[String], env: &[(&str, String)]) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg0(name)
            .args(args)
            .envs(env.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let started = Instant::now();
        let mut child = command.spawn().with_context(|| format!("starting {name}"))?;
        let output = Arc::default();
        if let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) {
            collect(stdout, Arc::clone(&output));
            collect(stderr, Arc::clone(&output));
        }
        let stdin = child.stdin.take();
        Ok(Self {
            child,
            stdin,
            output,
            started,
        })
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far.
    pub fn output(&self) -> String {
        self.output.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until it has printed `text`; gives the time since its start.
    pub fn wait_for(&mut self, text: &str) -> anyhow::Result<Duration> {
        loop {
            let output = self.output();
            if output.contains(text) {
                return Ok(self.started.elapsed());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the process ended ({status}): {output}");
            }
            if self.started.elapsed() > READY_TIMEOUT {
                bail!("the process was not ready in time: {output}");
            }
            check_interrupted()?;
            thread::sleep(POLL);
        }
    }

    /// Waits for its end, which has to be a success; gives the time since its start.
    pub fn wait_for_success(&mut self) -> anyhow::Result<Duration> {
        loop {
            if let Some(status) = self.child.try_wait()? {
                let took = self.started.elapsed();
                if !status.success() {
                    bail!("the command failed ({status}): {}", self.output());
                }
                return Ok(took);
            }
            check_interrupted()?;
            thread::sleep(POLL);
        }
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> anyhow::Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Kills it at once (SIGKILL), whatever it is doing.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Stops it as Ctrl-C would, and waits.
    pub fn stop(mut self) -> anyhow::Result<()> {
        self.end(Signal::INT)
    }

    fn end(&mut self, signal: Signal) -> anyhow::Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let asked = Instant::now();
        if let (Some(pid), None) = (pid, self.child.try_wait()?) {
            kill_process(pid, signal)?;
        }
        while self.child.try_wait()?.is_none() {
            if asked.elapsed() > STOP_TIMEOUT {
                self.child.kill()?;
                self.child.wait()?;
                bail!("the process did not stop in time: {}", self.output());
            }
            thread::sleep(POLL);
        }
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.stdin = None;
        let _ = self.end(Signal::TERM);
    }
}

fn collect(stream: impl Read + Send + 'static, into: Arc<Mutex<String>>) {
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let mut text = into.lock().unwrap_or_else(PoisonError::into_inner);
            text.push_str(&line);
            text.push('\n');
        }
    });
}

/// What the shop leaves in its data folder for others.
#[derive(Deserialize)]
struct RunningFile {
    urls: BTreeMap<String, String>,
    databases: BTreeMap<String, String>,
}

/// A running shop.
pub struct Shop {
    program: Program,
    dir: PathBuf,
    /// Base URL of each service.
    pub urls: BTreeMap<String, String>,
    /// Database URL of each owner.
    pub databases: BTreeMap<String, String>,
    /// From the start of the process to its being ready.
    pub started_in: Duration,
}

impl Shop {
    /// Starts the shop on a data folder, without sample data.
    pub fn start(dir: &Path) -> anyhow::Result<Self> {
        let mut args = at(dir);
        args.extend(["--port", "0", "--sample", "none"].map(str::to_owned));
        let mut program = Program::spawn(SHOP, &args, &[])?;
        let started_in = program.wait_for("Ready after")?;
        let text = std::fs::read_to_string(dir.join("running.json")).context("reading running.json")?;
        let RunningFile { urls, databases } = serde_json::from_str(&text).context("reading running.json")?;
        Ok(Self {
            program,
            dir: dir.to_owned(),
            urls,
            databases,
            started_in,
        })
    }

    /// Runs one of the program's commands on this shop; gives how long it took and what it printed.
    pub fn command(&self, args: &[&str]) -> anyhow::Result<(Duration, String)> {
        let mut all: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        all.extend(at(&self.dir));
        let mut program = Program::spawn(SHOP, &all, &[])?;
        let took = program.wait_for_success()?;
        Ok((took, program.output()))
    }

    /// The gateway's base URL.
    pub fn gateway(&self) -> anyhow::Result<&str> {
        self.urls
            .get("gateway")
            .map(String::as_str)
            .ok_or_else(|| anyhow!("running.json has no gateway"))
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.program.pid()
    }

    /// The database server's first process.
    pub fn postgres_pid(&self) -> anyhow::Result<u32> {
        let running = Server::running(&cluster(&self.dir));
        running
            .map(|server| server.pid)
            .ok_or_else(|| anyhow!("the database server does not run"))
    }

    /// The data folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Stops it as Ctrl-C would.
    pub fn stop(self) -> anyhow::Result<()> {
        self.program.stop()
    }
}

fn at(dir: &Path) -> Vec<String> {
    vec!["--data-dir".to_owned(), dir.display().to_string()]
}

/// The folder of a shop's database server.
pub fn cluster(dir: &Path) -> PathBuf {
    dir.join("postgres")
}
