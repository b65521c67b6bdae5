//! Servers started by the scripts of `infra/stores`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use super::kind::{PrometheusSettings, Store};
use super::ports::Port;
use super::process::Process;
use super::spec::{Spec, checked};
use super::{keeper, progress, ready};

/// A server may be downloaded first, a gigabyte for Elasticsearch, or built: Prometheus, on a machine that compiles.
const INSTALL_LIMIT: Duration = Duration::from_mins(30);
/// Elasticsearch takes 10 s on a quiet machine, and more than a minute on one that compiles.
const START_LIMIT: Duration = Duration::from_mins(4);
/// A server that is asked to end writes its data first.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// A server, running or not, with its port and its data.
pub(crate) struct ScriptServer {
    spec: Spec,
    port: Port,
    /// For talk between the nodes of a cluster.
    node_port: Port,
    folder: PathBuf,
    process: Option<Process>,
}

impl ScriptServer {
    /// Downloads what is missing and starts a server.
    pub(crate) async fn start(spec: Spec) -> Result<(Self, String), String> {
        install(spec.store()).await?;
        let port = Port::free();
        let folder = keeper::new_folder(&format!("{}-{}", spec.store(), port.number));
        let mut server = Self {
            spec,
            port,
            node_port: Port::free(),
            folder,
            process: None,
        };
        let version = server.launch().await?;
        Ok((server, version))
    }

    /// Starts the process on its port and its data, and gives its version.
    async fn launch(&mut self) -> Result<String, String> {
        let store = self.spec.store();
        let mut process = Process::spawn(&mut self.command(), &self.folder.join("server.log"))?;
        let waiting = async {
            let url = self.spec.url(self.port.number);
            let alone = match store {
                Store::RedisCluster => Store::Redis, // its cluster comes later
                other => other,
            };
            let answer = ready::wait(alone, &url, START_LIMIT, || {
                let status = process.ended()?;
                Some(format!("it ended ({status}): {}", process.last_words()))
            })
            .await?;
            // The script replaces itself by the server, so the ids are the same.
            match answer.process {
                Some(id) if id != process.id() => {
                    Err(format!("another server answers on port {}", self.port.number))
                }
                _ => Ok(answer.version),
            }
        };
        let version = progress::during(&format!("{store}: starting"), waiting).await?;
        self.process = Some(process);
        Ok(version)
    }

    pub(crate) fn url(&self) -> String {
        self.spec.url(self.port.number)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port.number
    }

    /// The port by which the nodes of a cluster talk.
    pub(crate) fn node_port(&self) -> u16 {
        self.node_port.number
    }

    /// Sends a signal to all its processes.
    pub(crate) fn signal(&mut self, signal: Signal) {
        self.process.as_mut().expect("the server runs").signal(signal);
    }

    /// Ends it at once, as a power cut would.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    /// Asks it to end if it runs, and starts it again.
    pub(crate) async fn restart(&mut self) -> Result<(), String> {
        if let Some(mut process) = self.process.take() {
            process.stop(STOP_LIMIT).await;
        }
        self.launch().await.map(drop)
    }

    fn command(&self) -> Command {
        let mut command = script(self.spec.store(), "run");
        command
            .env("PORT", self.port.number.to_string())
            .env("DATA", self.folder.join("data"));
        match &self.spec {
            Spec::Redis { settings, cluster } => {
                command.env("DURABILITY", settings.durability.as_str());
                if let Some(password) = &settings.password {
                    command.env("PASSWORD", checked(password));
                }
                if let Some((name, password)) = &settings.user {
                    command
                        .env("ACL_USER", checked(name))
                        .env("ACL_PASSWORD", checked(password));
                }
                if *cluster {
                    command
                        .env("CLUSTER", "yes")
                        .env("NODE_PORT", self.node_port.number.to_string());
                }
            }
            Spec::Prometheus(settings) => prometheus(settings, &mut command),
            Spec::Other { password, .. } => {
                let second = self.node_port.number.to_string();
                command.env("TRANSPORT_PORT", &second).env("HTTP_PORT", &second);
                if let Some(password) = password {
                    command.env("PASSWORD", checked(password));
                }
            }
        }
        command
    }
}

impl Drop for ScriptServer {
    fn drop(&mut self) {
        self.process = None;
        keeper::remove_folder(&self.folder);
    }
}

fn prometheus(settings: &PrometheusSettings, command: &mut Command) {
    if let Some((url, token_file)) = &settings.targets {
        command
            .env("TARGETS_URL", url)
            .env("TARGETS_TOKEN_FILE", token_file);
    }
    if let Some(interval) = settings.scrape_interval {
        command
            .env("SCRAPE_INTERVAL", interval)
            .env("SCRAPE_TIMEOUT", interval);
    }
    if !settings.rules {
        command.env("RULES", "none");
    }
    if let Some(window) = settings.written {
        command.env("REMOTE_WRITE", "yes").env("OUT_OF_ORDER", window);
    }
    if let Some(retention) = settings.retention {
        command.env("RETENTION", retention);
    }
    if let Some(password) = &settings.password {
        command.env("PASSWORD", checked(password));
    }
}

/// Runs the script's `install`, which does nothing when all is there.
pub(crate) async fn install(store: Store) -> Result<(), String> {
    let log = keeper::new_folder("install").join(format!("{store}.log"));
    let mut process = Process::spawn(&mut script(store, "install"), &log)?;
    let end = Instant::now() + INSTALL_LIMIT;
    let waiting = async {
        loop {
            match process.ended() {
                Some(status) if status.success() => return Ok(()),
                Some(_) => return Err(process.last_words()),
                None if Instant::now() > end => {
                    return Err(format!(
                        "the download took more than {} min",
                        INSTALL_LIMIT.as_secs() / 60
                    ));
                }
                None => sleep(Duration::from_millis(20)).await,
            }
        }
    };
    progress::during(&format!("{store}: installing what is missing"), waiting).await
}

/// The script of a store with a command, and without settings that are meant for somebody else.
fn script(store: Store, verb: &str) -> Command {
    let name = store.folder();
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../stores")
        .join(name)
        .join(format!("{name}.sh"));
    let mut command = Command::new("bash");
    command.arg(path).arg(verb);
    for variable in [
        "PASSWORD",
        "ACL_USER",
        "ACL_PASSWORD",
        "CLUSTER",
        "DURABILITY",
        "HEAP",
        "TRANSPORT_PORT",
        "HTTP_PORT",
        "PAGECACHE",
        "VERSION",
        "FLAVOUR",
        "DB_USER",
        "CACHE_MB",
        "TARGETS_URL",
        "TARGETS_TOKEN_FILE",
        "SCRAPE_INTERVAL",
        "SCRAPE_TIMEOUT",
        "RULES",
        "RETENTION",
        "REMOTE_WRITE",
        "OUT_OF_ORDER",
    ] {
        command.env_remove(variable);
    }
    command
}
