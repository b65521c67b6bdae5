//! The program as a process: started, asked, killed, started again on the same data folder.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use emporium_service_kit::config::database_options;
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::{Db, ServiceName};
use emporium_test_kit::Caller;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::stores::Targets;

/// How to start the program.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Sample data: `none` unless set.
    pub sample: Option<&'static str>,
    /// The gateway's port; any free ones when absent.
    pub port: Option<u16>,
    /// Further environment variables.
    pub env: Vec<(String, String)>,
    /// Whom to tell where the shop is: a Prometheus that is there before it.
    pub targets: Option<Targets>,
}

impl Options {
    /// With one more environment variable.
    #[must_use]
    pub fn on(mut self, variable: &str, value: &str) -> Self {
        self.env.push((variable.to_owned(), value.to_owned()));
        self
    }
}

/// Settings of stores that whoever runs the tests may have made: the tests' shops use the stores that a test says.
pub fn without_settings(command: &mut Command) -> &mut Command {
    for known in emporium_service_kit::stores::KNOWN {
        command.env_remove(known.name);
    }
    command.env_remove("EMPORIUM_STORES")
}

/// A data folder, and the program running on it (or not).
pub struct ShopProcess {
    dir: Arc<tempfile::TempDir>,
    child: Option<Child>,
    watcher: Option<Child>,
    output: Arc<Mutex<String>>,
    urls: HashMap<String, String>,
    databases: HashMap<String, String>,
    /// What it was started with beyond the defaults.
    env: Vec<(String, String)>,
}

impl ShopProcess {
    /// Starts the program on a new data folder and waits until it is ready.
    pub async fn start(program: &str, options: &Options) -> Self {
        let mut shop = Self::on_new_folder();
        shop.start_again(program, options).await;
        shop
    }

    /// A new data folder on which nothing runs yet.
    pub fn on_new_folder() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("emporium-e2e-")
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .tempdir()
            .unwrap();
        Self {
            dir: Arc::new(dir),
            child: None,
            watcher: None,
            output: Arc::default(),
            urls: HashMap::new(),
            databases: HashMap::new(),
            env: Vec::new(),
        }
    }

    /// Starts the program on the same data folder and waits until it is ready.
    pub async fn start_again(&mut self, program: &str, options: &Options) {
        self.spawn(program, options);
        self.says("Ready after").await;
        let text = std::fs::read_to_string(self.path().join("running.json")).unwrap();
        let running: Value = serde_json::from_str(&text).unwrap();
        self.urls = serde_json::from_value(running["urls"].clone()).unwrap();
        self.databases = serde_json::from_value(running["databases"].clone()).unwrap();
        if let Some(targets) = &options.targets {
            targets.are_of(&self.urls["monitoring"], self.path());
        }
    }

    /// Waits until the program has printed this.
    pub async fn says(&mut self, text: &str) {
        let end = Instant::now() + Duration::from_mins(2);
        while !self.output().contains(text) {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(
                ended.is_none(),
                "the program ended ({ended:?}): {}",
                self.output()
            );
            assert!(Instant::now() < end, "no {text:?} in time: {}", self.output());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Starts the program on the data folder without waiting for anything.
    pub fn spawn(&mut self, program: &str, options: &Options) {
        assert!(self.child.is_none(), "the program runs already");
        self.output.lock().unwrap().clear();
        self.env.clone_from(&options.env);
        // Started by `nohup`, as a CI runner may be, everything below ignores SIGHUP from the start: undone here.
        let mut command = Command::new("env");
        without_settings(&mut command)
            .arg("--default-signal=HUP")
            .arg(program)
            .arg("--data-dir")
            .arg(self.path())
            .args(["--port", &options.port.unwrap_or(0).to_string()])
            .args(["--sample", options.sample.unwrap_or("none")])
            .envs(options.env.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        collect(child.stdout.take().unwrap(), self.output.clone());
        collect(child.stderr.take().unwrap(), self.output.clone());
        self.watcher = Some(watch(child.id(), self.path()));
        self.child = Some(child);
    }

    /// The data folder.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// What the program has printed.
    pub fn output(&self) -> String {
        self.output.lock().unwrap().clone()
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// The database server's process id.
    pub fn postgres_pid(&self) -> u32 {
        let folder = self.path().join("postgres");
        emporium_postgres_pid(&folder).expect("the database server runs")
    }

    /// Base URL of a service.
    pub fn url(&self, service: &str) -> String {
        self.urls[service].clone()
    }

    /// Database URL of a service's owner.
    pub fn database_url(&self, service: &str) -> String {
        self.databases[service].clone()
    }

    /// The specialised store that a setting names, to look behind the API of its service; `None` when it is the own database.
    pub fn store(&self, setting: &str) -> Option<&str> {
        let found = self.env.iter().find(|(name, _)| name == setting);
        found.map(|(_, url)| url.as_str())
    }

    /// A service's private database, to look behind its API.
    pub fn db(&self, service: &str) -> Db {
        let options = database_options(&self.databases[service]).unwrap();
        Db::connect(options, 2, Metrics::new(ServiceName::Operator))
    }

    /// Calls the gateway without being signed in.
    pub fn visitor(&self) -> Caller {
        Caller::new(&self.url("gateway"), ServiceName::Gateway, None)
    }

    fn take_child(&mut self) -> Child {
        if let Some(mut watcher) = self.watcher.take() {
            let _ = watcher.kill();
            let _ = watcher.wait();
        }
        self.child.take().expect("the program runs")
    }

    /// Ends the program with SIGKILL, as `kill -9` does.
    pub fn kill(&mut self) {
        let mut child = self.take_child();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Asks the program to stop and waits for it.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM)
    }

    /// Presses Ctrl-C and waits for the end.
    pub fn interrupt(&mut self) -> ExitStatus {
        self.signal(Signal::INT)
    }

    /// Closes the terminal that the program was started from, and waits for the end.
    pub fn hang_up(&mut self) -> ExitStatus {
        self.signal(Signal::HUP)
    }

    fn signal(&mut self, signal: Signal) -> ExitStatus {
        self.send(signal);
        self.ended()
    }

    /// Sends a signal and does not wait.
    pub fn send(&self, signal: Signal) {
        kill_process(Pid::from_child(self.child.as_ref().unwrap()), signal).unwrap();
    }

    /// Waits for the end that somebody has asked for.
    pub fn ended(&mut self) -> ExitStatus {
        let mut child = self.take_child();
        let end = Instant::now() + Duration::from_secs(40);
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "did not stop in time: {}", self.output());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// True when the program has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child
            .as_mut()
            .is_none_or(|child| child.try_wait().unwrap().is_some())
    }

    /// Waits until the program has ended by itself (at a crash point).
    pub async fn wait_for_end(&mut self) {
        let mut child = self.take_child();
        let end = Instant::now() + Duration::from_mins(1);
        while child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < end, "did not end: {}", self.output());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for ShopProcess {
    fn drop(&mut self) {
        if self.child.is_some() {
            let mut child = self.take_child();
            let _ = child.kill();
            let _ = child.wait();
            // The database server follows its parent; its folder can only go when it has ended.
            let folder = self.path().join("postgres");
            let end = Instant::now() + Duration::from_secs(10);
            while emporium_postgres_pid(&folder).is_some() && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

/// The database server that holds a folder, if one runs.
pub fn emporium_postgres_pid(folder: &Path) -> Option<u32> {
    let file = find_pidfile(folder)?;
    let pid: u32 = std::fs::read_to_string(file)
        .ok()?
        .lines()
        .next()?
        .trim()
        .parse()
        .ok()?;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let state = stat.rsplit(')').next()?.trim().chars().next()?;
    (stat.contains("postgres") && !matches!(state, 'Z' | 'X')).then_some(pid)
}

fn find_pidfile(folder: &Path) -> Option<PathBuf> {
    let inside = std::fs::read_dir(folder)
        .ok()?
        .flatten()
        .map(|entry| entry.path().join("postmaster.pid"));
    inside.into_iter().find(|path| path.exists())
}

/// A shell that ends the program (by its id) and removes its folder when this test process is gone, however it ended: its
/// input is a pipe that only this process holds open. A shop shared by the tests of a file is never dropped.
pub(crate) fn watch(pid: u32, folder: &Path) -> Child {
    const SCRIPT: &str = "cat >/dev/null; kill -9 \"$1\"; sleep 2; rm -rf \"$2\"";
    Command::new("sh")
        .args(["-c", SCRIPT, "watcher", &pid.to_string()])
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell")
}

fn collect(stream: impl Read + Send + 'static, into: Arc<Mutex<String>>) {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let mut text = into.lock().unwrap();
            text.push_str(&line);
            text.push('\n');
        }
    });
}
