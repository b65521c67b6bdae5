//! Servers in containers of the official images.

mod engine;
mod images;

pub(crate) use engine::settle;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use testcontainers::bollard::models::HostConfig;
use testcontainers::bollard::query_parameters::{KillContainerOptionsBuilder, RemoveContainerOptionsBuilder};
use testcontainers::core::ContainerRequest;
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, GenericImage, ImageExt};
use tokio::time::{Instant, sleep};

use super::kind::Store;
use super::ports::Port;
use super::spec::Spec;
use super::{keeper, progress, ready};

/// Elasticsearch on a machine that compiles.
const START_LIMIT: Duration = Duration::from_mins(4);
/// A server that is asked to end writes its data first.
const STOP_LIMIT_SECONDS: i32 = 30;
/// The engine sees that a killed container has ended.
const END_LIMIT: Duration = Duration::from_secs(20);

/// How often it is asked whether it has ended while it starts.
const END_POLL: Duration = Duration::from_millis(500);

/// A container with its port. Its data lives as long as it does, over restarts.
pub(crate) struct Container {
    spec: Spec,
    name: String,
    ports: Vec<Port>,
    host: String,
    handle: Option<Arc<ContainerAsync<GenericImage>>>,
    watched: Option<keeper::Container>,
}

impl Container {
    /// Starts a server; gives its version too.
    pub(crate) async fn start(spec: Spec) -> Result<(Self, String), String> {
        let port = Port::free();
        let request = images::server(&spec, port.number);
        let container = Self::run(spec, vec![port], request).await?;
        let version = container.answer_on(container.port()).await?;
        Ok((container, version))
    }

    /// Starts the three servers of a cluster, which is to be formed afterwards; gives their version too.
    pub(crate) async fn start_cluster() -> Result<(Self, String), String> {
        let ports: Vec<Port> = (0..3).map(|_| Port::free()).collect();
        let numbers: Vec<u16> = ports.iter().map(|port| port.number).collect();
        let spec = Spec::plain(Store::RedisCluster);
        let container = Self::run(spec, ports, images::cluster(&numbers)).await?;
        if container.host != "127.0.0.1" {
            return Err(
                "the engine is on another machine, and the nodes of a cluster have to be here".to_owned(),
            );
        }
        let mut version = String::new();
        for port in numbers {
            version = container.answer_on(port).await?;
        }
        Ok((container, version))
    }

    async fn run(
        spec: Spec,
        ports: Vec<Port>,
        request: ContainerRequest<GenericImage>,
    ) -> Result<Self, String> {
        let (image, tag) = images::image(&spec);
        engine::provide(image, tag).await?;
        let name = format!("emporium-test-{}-{}", std::process::id(), ports[0].number);
        // Before it exists: a process that is killed in between leaves nothing either.
        let watched = keeper::Container::watch(&name);
        let request = request
            .with_container_name(&name)
            .with_startup_timeout(START_LIMIT)
            .with_host_config_modifier(publish_on_loopback);
        let own_name = name.clone();
        let started = engine::on_runtime(async move {
            let container = match request.start().await {
                Ok(container) => container,
                Err(error) => {
                    remove(&own_name).await;
                    return Err(error.to_string());
                }
            };
            let host = container.get_host().await.map_err(|error| error.to_string())?;
            Ok((Arc::new(container), host.to_string()))
        });
        let (handle, host) = started.await?;
        Ok(Self {
            spec,
            name,
            ports,
            // Published there only, and not for IPv6.
            host: if host == "localhost" {
                "127.0.0.1".to_owned()
            } else {
                host
            },
            handle: Some(handle),
            watched: Some(watched),
        })
    }

    pub(crate) fn url(&self) -> String {
        self.url_on(self.port())
    }

    pub(crate) fn port(&self) -> u16 {
        self.ports[0].number
    }

    /// All ports, of a cluster's nodes.
    pub(crate) fn ports(&self) -> impl Iterator<Item = u16> {
        self.ports.iter().map(|port| port.number)
    }

    /// Freezes all its processes.
    pub(crate) async fn pause(&self) {
        self.act(Act::Pause).await;
    }

    /// Lets them go on.
    pub(crate) async fn resume(&self) {
        self.act(Act::Resume).await;
    }

    /// Ends it at once, as a power cut would.
    pub(crate) async fn kill(&self) {
        self.act(Act::Kill).await;
    }

    /// Asks it to end if it runs, and starts it again.
    pub(crate) async fn restart(&self) -> Result<(), String> {
        self.act(Act::Restart).await;
        for port in self.ports() {
            self.answer_on(port).await?;
        }
        Ok(())
    }

    async fn act(&self, act: Act) {
        let container = Arc::clone(self.handle.as_ref().expect("it is there until it is dropped"));
        let done = engine::on_runtime(async move { act.on(&container).await });
        done.await.expect("the engine does as it is told");
    }

    /// Waits until the server on this port answers, and gives its version.
    async fn answer_on(&self, port: u16) -> Result<String, String> {
        let (store, url) = (self.spec.store(), self.url_on(port));
        let alone = match store {
            Store::RedisCluster => Store::Redis, // its cluster comes later
            other => other,
        };
        let waiting = async {
            tokio::select! {
                answer = ready::wait(alone, &url, START_LIMIT, || None) => answer,
                why = self.ended() => Err(why),
            }
        };
        let answer = progress::during(&format!("{store}: starting in a container"), waiting).await?;
        Ok(answer.version)
    }

    /// Waits until the container has ended by itself, and says how.
    async fn ended(&self) -> String {
        loop {
            sleep(END_POLL).await;
            let container = self.handle();
            let ended = engine::on_runtime(async move { end_of(&container).await });
            if let Some(why) = ended.await {
                return why;
            }
        }
    }

    fn handle(&self) -> Arc<ContainerAsync<GenericImage>> {
        Arc::clone(self.handle.as_ref().expect("it is there until it is dropped"))
    }

    fn url_on(&self, port: u16) -> String {
        self.spec.url(port).replace("127.0.0.1", &self.host)
    }
}

/// The container goes in the background; if this process ends before that, its keeper sees to it.
impl Drop for Container {
    fn drop(&mut self) {
        let (handle, watched, name) = (self.handle.take(), self.watched.take(), self.name.clone());
        engine::detached(async move {
            // Its own `Drop` would block; and somebody who was interrupted may still hold it.
            let removed = match handle.and_then(Arc::into_inner) {
                Some(container) => container.rm().await.is_ok(),
                None => remove(&name).await,
            };
            if !removed {
                std::mem::forget(watched); // the keeper is to try again
            }
        });
    }
}

/// What a test does to its server.
enum Act {
    Pause,
    Resume,
    Kill,
    Restart,
}

impl Act {
    async fn on(self, container: &ContainerAsync<GenericImage>) -> testcontainers::core::error::Result<()> {
        match self {
            Self::Pause => container.pause().await,
            Self::Resume => container.unpause().await,
            Self::Kill => kill(container).await,
            Self::Restart => {
                let _ = container.unpause().await; // it may not be paused
                if container.is_running().await? {
                    container.stop_with_timeout(Some(STOP_LIMIT_SECONDS)).await?;
                }
                container.start().await
            }
        }
    }
}

async fn kill(container: &ContainerAsync<GenericImage>) -> testcontainers::core::error::Result<()> {
    if let Ok(engine) = engine::client().await {
        let options = KillContainerOptionsBuilder::new().signal("SIGKILL").build();
        let _ = engine.kill_container(container.id(), Some(options)).await; // it may have ended before
    }
    let end = Instant::now() + END_LIMIT;
    while container.is_running().await? {
        assert!(Instant::now() < end, "a killed container lives on");
        sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

/// How a container ended, with its last words; `None` while it runs.
async fn end_of(container: &ContainerAsync<GenericImage>) -> Option<String> {
    let code = container.exit_code().await.ok().flatten()?;
    let output = container.stderr_to_vec().await.unwrap_or_default();
    let output = [output, container.stdout_to_vec().await.unwrap_or_default()].concat();
    let last = String::from_utf8_lossy(&output)
        .lines()
        .last()
        .unwrap_or_default()
        .to_owned();
    Some(format!("its container ended with code {code}: {last}"))
}

/// Removes a container that may be there.
async fn remove(name: &str) -> bool {
    let Ok(engine) = engine::client().await else {
        return false;
    };
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    engine.remove_container(name, Some(options)).await.is_ok()
}

/// Publishes the ports on loopback alone, where this process reaches them there: not with an engine elsewhere, and not
/// from inside a container.
fn publish_on_loopback(config: &mut HostConfig) {
    let elsewhere = std::env::var("DOCKER_HOST").is_ok_and(|host| !host.starts_with("unix:"));
    if elsewhere || Path::new("/.dockerenv").exists() {
        return;
    }
    let bindings = config
        .port_bindings
        .iter_mut()
        .flat_map(|bindings| bindings.values_mut());
    for binding in bindings.flatten().flatten() {
        binding.host_ip = Some("127.0.0.1".to_owned());
    }
}
