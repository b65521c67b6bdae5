//! The whole shop in one process. The services still talk over loopback HTTP, with tokens: moving one out changes
//! nothing for the others.

use std::collections::{BTreeMap, HashMap};

use emporium_embedded_postgres::{Progress, Server, Settings};
use emporium_event_bus::bus::Bus;
use emporium_event_bus::bus::postgres::PostgresBus;
use emporium_service_kit::client::Client;
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::serve::{self, Running};
use emporium_service_kit::{Clock, Db, Environment, Service, ServiceName, StartError};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::data_dir::{DataDir, Owned};
use crate::keys::Keys;
use crate::provision::{self, OWNERS, Target, database_of};

/// Connections of each service to its database.
const POOL_SIZE: u32 = 8;
const RUNNING_FILE: &str = "running.json";
/// How long events stay on the bus after every group has read them. Histories stay with their owners for good.
const BUS_RETENTION: std::time::Duration = std::time::Duration::from_hours(7 * 24);
const TRIM_INTERVAL: std::time::Duration = std::time::Duration::from_hours(1);

/// What a running shop leaves in the data folder, for the other commands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunningFile {
    /// The process.
    pub pid: u32,
    /// Where each service listens.
    pub urls: BTreeMap<ServiceName, String>,
    /// The database URL of each owner, for looking into it.
    pub databases: BTreeMap<ServiceName, String>,
}

/// A running shop.
pub struct Shop {
    /// Where each service listens.
    pub urls: BTreeMap<ServiceName, String>,
    keys: Keys,
    dir: DataDir,
    services: Vec<(ServiceName, Running)>,
    trimmer: JoinHandle<()>,
    shutdown: CancellationToken,
    server: Server,
    _owned: Owned,
}

impl Shop {
    /// Starts everything. `port` is the gateway's, the services take the ones after it; 0 means any free ports.
    pub async fn start(
        dir: &DataDir,
        port: u16,
        progress: impl Fn(Progress) + Send + 'static,
    ) -> Result<Self, Error> {
        let owned = dir.take()?.ok_or_else(|| already_running(dir))?;
        // Ports first: a clash is better found before anything is started.
        let listeners = bind(port).await?;
        let opened = Keys::open(dir, &provision::roles())?;
        let server = Server::start_async(server_settings(dir), progress).await?;
        let target = Target::new(&server, &opened.keys);
        provision::provision(&target, opened.new).await?;
        let urls: BTreeMap<_, _> = listeners.iter().map(|(name, _, url)| (*name, url.clone())).collect();
        let shutdown = CancellationToken::new();
        let services = start_services(listeners, &target, &urls).await?;
        let trimmer = tokio::spawn(trim_bus(target.url("emporium_bus", "emporium_bus"), shutdown.clone()));
        let databases = OWNERS
            .into_iter()
            .map(|name| (name, target.url(&database_of(name), &database_of(name))))
            .collect();
        dir.write(RUNNING_FILE, &RunningFile { pid: std::process::id(), urls: urls.clone(), databases })?;
        Ok(Self { urls, keys: opened.keys, dir: dir.clone(), services, trimmer, shutdown, server, _owned: owned })
    }

    /// A client of one of the services, in the name of `caller`.
    pub fn client(&self, caller: ServiceName, callee: ServiceName) -> Client {
        client(&self.keys, &self.urls, caller, callee)
    }

    /// Everybody's secrets.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The embedded server's process and port, for people.
    pub fn postgres(&self) -> (u32, u16) {
        (self.server.pid(), self.server.port())
    }

    /// Drains and stops: the gateway first, so that nothing new comes in, then orders with its running sagas, then the
    /// rest, at last the database server.
    pub async fn stop(self) -> Result<(), Error> {
        self.dir.remove(RUNNING_FILE);
        self.shutdown.cancel();
        let mut others = Vec::new();
        for (name, running) in self.services {
            match name {
                ServiceName::Gateway | ServiceName::Orders => running.stop().await,
                _ => others.push(running.stop()),
            }
        }
        futures::future::join_all(others).await;
        let _ = self.trimmer.await;
        Ok(self.server.stop_async().await?)
    }
}

/// A client of a service at one of `urls`, in the name of `caller`.
pub fn client(keys: &Keys, urls: &BTreeMap<ServiceName, String>, caller: ServiceName, callee: ServiceName) -> Client {
    let base = urls.get(&callee).map(String::as_str).unwrap_or_default();
    Client::new(caller, callee, base, &keys.secret(caller), Metrics::new(caller))
}

/// Builds one service by its name.
pub async fn build(environment: &Environment) -> Result<Service, StartError> {
    match environment.service {
        ServiceName::Users => emporium_users::build(environment).await,
        ServiceName::Sessions => emporium_sessions::build(environment).await,
        ServiceName::Catalog => emporium_catalog::build(environment).await,
        ServiceName::Carts => emporium_carts::build(environment).await,
        ServiceName::Orders => emporium_orders::build(environment).await,
        ServiceName::Payments => emporium_payments::build(environment).await,
        ServiceName::Gateway => emporium_gateway::build(environment).await,
        ServiceName::Operator => Err(StartError::Missing {
            service: ServiceName::Operator,
            what: "nothing to serve",
            remedy: "choose one of the services",
        }),
    }
}

/// What `running.json` says, if it is there.
pub fn running_file(dir: &DataDir) -> Result<Option<RunningFile>, Error> {
    dir.read(RUNNING_FILE)
}

fn already_running(dir: &DataDir) -> Error {
    let detail = running_file(dir).ok().flatten().map_or_else(
        || "(it is starting or stopping)".to_owned(),
        |file| format!("(process {}, {})", file.pid, file.urls.get(&ServiceName::Gateway).cloned().unwrap_or_default()),
    );
    Error::Running { path: dir.path().to_path_buf(), detail }
}

fn server_settings(dir: &DataDir) -> Settings {
    Settings { max_connections: 150, ..Settings::new(dir.file("postgres")) }
}

type Listeners = Vec<(ServiceName, TcpListener, String)>;

async fn bind(port: u16) -> Result<Listeners, Error> {
    let mut listeners = Vec::new();
    for (offset, service) in (0_u16..).zip(ServiceName::listening()) {
        let own = match port {
            0 => 0,
            first => first.checked_add(offset).ok_or(Error::PortRange(port))?,
        };
        let failed = |source| Error::Port { port: own, service, source };
        let listener = TcpListener::bind(("127.0.0.1", own)).await.map_err(failed)?;
        let url = format!("http://{}", listener.local_addr().map_err(failed)?);
        listeners.push((service, listener, url));
    }
    Ok(listeners)
}

async fn start_services(
    listeners: Listeners,
    target: &Target<'_>,
    urls: &BTreeMap<ServiceName, String>,
) -> Result<Vec<(ServiceName, Running)>, Error> {
    let starts = listeners.into_iter().map(|(service, listener, _)| async move {
        let environment = environment(service, target, urls);
        let built = build(&environment).await?;
        let running = serve::start(&environment, built, listener)
            .map_err(|source| StartError::Listen { address: service.to_string(), source })?;
        Ok::<_, Error>((service, running))
    });
    futures::future::try_join_all(starts).await
}

fn environment(service: ServiceName, target: &Target<'_>, urls: &BTreeMap<ServiceName, String>) -> Environment {
    let metrics = Metrics::new(service);
    let owns = OWNERS.contains(&service);
    let database = database_of(service);
    Environment {
        service,
        db: owns.then(|| Db::connect(target.options(&database, &database), POOL_SIZE, metrics.clone())),
        events_url: owns.then(|| target.bus_url(service)),
        peers: urls.iter().map(|(name, url)| (*name, url.clone())).collect::<HashMap<_, _>>(),
        secret: target.keys().secret(service),
        callers: target.keys().callers(service),
        clock: Clock::System,
        metrics,
        shutdown: CancellationToken::new(),
    }
}

/// Keeps the bus short. Only its owner may delete from it.
async fn trim_bus(url: String, stop: CancellationToken) {
    loop {
        let trimmed = async { PostgresBus::connect(&url, Metrics::new(ServiceName::Operator)).await?.trim(BUS_RETENTION).await };
        match trimmed.await {
            Ok(0) => {}
            Ok(events) => tracing::info!(events, "trimmed the event bus"),
            Err(error) => tracing::warn!(%error, "the event bus was not trimmed"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(TRIM_INTERVAL) => {}
        }
    }
}
