//! What a run takes place in: an embedded PostgreSQL with the shop's databases and roles, owners of events in this process,
//! and the real services that consume them, each in a process of its own that may be killed.

use std::collections::{BTreeMap, HashMap};
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use emporium::keys::Keys;
use emporium::provision::{self, Target, database_of};
use emporium_benches::load::check_interrupted;
use emporium_benches::stores::places::{By, Postgres};
use emporium_event_bus::projection::ProjectionStatus;
use emporium_service_kit::auth::Callers;
use emporium_service_kit::client::Client;
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::stores::EVENTS;
use emporium_service_kit::{Clock, Db, Environment, ServiceName, StoreUrls, config};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection};
use tokio_util::sync::CancellationToken;

use super::owner::Owner;
use crate::process::{Program, wait_for_parent};

/// The name under which this program is one of the services.
pub const SERVICE: &str = "emporium-bench-one-service";
/// Which one.
const WHICH: &str = "EMPORIUM_BENCH_SERVICE";
/// As many connections as the shop allows its server.
const SERVER_CONNECTIONS: u16 = 150;
/// As many as a service of the shop has.
const POOL: u32 = 8;
const BUS: &str = "emporium_bus";
/// A service answers, and its groups are built, by then.
const READY_MAX: Duration = Duration::from_mins(5);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// One of the services, until the harness goes.
pub fn service_main() -> ExitCode {
    std::thread::spawn(|| {
        wait_for_parent();
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM);
    });
    let named = std::env::var(WHICH).ok().and_then(|name| name.parse().ok());
    let Some(service) = named else {
        eprintln!("error: this is started by the harness");
        return ExitCode::FAILURE;
    };
    config::main(service, emporium::shop::build)
}

/// Servers, owners and services.
pub struct World {
    /// The services' processes; they end before the server.
    pub services: BTreeMap<ServiceName, Program>,
    /// The owners that this process stands in for.
    pub owners: BTreeMap<ServiceName, Owner>,
    keys: Keys,
    urls: BTreeMap<ServiceName, String>,
    addresses: BTreeMap<ServiceName, SocketAddr>,
    shutdown: CancellationToken,
    /// Settings of services, besides the usual ones.
    pub more: Vec<(&'static str, String)>,
    /// The server.
    pub postgres: Postgres,
}

impl World {
    /// A new server, owners that this process stands in for, and places for services, which are not started yet. An owner that
    /// is a service too has a database for each of the two.
    pub async fn make(owners: &[ServiceName], services: &[ServiceName]) -> anyhow::Result<Self> {
        let postgres = tokio::task::spawn_blocking(|| Postgres::start_for(SERVER_CONNECTIONS)).await??;
        let keys = Keys::generate(provision::roles());
        provision::provision(&Target::new(postgres.server(), &keys)).await?;
        let mut world = Self {
            services: BTreeMap::new(),
            owners: BTreeMap::new(),
            keys,
            urls: BTreeMap::new(),
            addresses: BTreeMap::new(),
            shutdown: CancellationToken::new(),
            more: Vec::new(),
            postgres,
        };
        for service in services {
            let address = free_address()?;
            world.addresses.insert(*service, address);
            world.urls.insert(*service, format!("http://{address}"));
        }
        for name in owners {
            let database = world.database_of_owner(*name, services.contains(name)).await?;
            let owner = Owner::start(&world.environment(*name, &database)?).await?;
            world.owners.insert(*name, owner);
        }
        Ok(world)
    }

    async fn database_of_owner(&self, name: ServiceName, is_service: bool) -> anyhow::Result<String> {
        let database = database_of(name);
        if !is_service {
            return Ok(database);
        }
        let own = format!("{database}_owner");
        let mut admin = self.connect("postgres").await?;
        let sql = format!("CREATE DATABASE {own} OWNER {database}");
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut admin).await?;
        Ok(own)
    }

    /// The environment of a service in this process, on one of its role's databases.
    fn environment(&self, service: ServiceName, database: &str) -> anyhow::Result<Environment> {
        let target = Target::new(self.postgres.server(), &self.keys);
        let metrics = Metrics::new(service);
        let options = target.options(&database_of(service), database)?;
        Ok(Environment {
            service,
            db: Some(Db::connect(options, POOL, metrics.clone())),
            events_url: target.bus_url(service)?,
            stores: StoreUrls::default(),
            peers: HashMap::new(),
            secret: self.keys.secret(service)?,
            callers: Callers::new([]),
            clock: Clock::System,
            metrics,
            shutdown: self.shutdown.clone(),
        })
    }

    /// Starts a service's process and does not wait for it.
    pub fn program(&self, service: ServiceName) -> anyhow::Result<Program> {
        Program::spawn(SERVICE, &[], &self.settings(service)?)
    }

    fn settings(&self, service: ServiceName) -> anyhow::Result<Vec<(&'static str, String)>> {
        let target = Target::new(self.postgres.server(), &self.keys);
        let address = self
            .addresses
            .get(&service)
            .context("a service without an address")?;
        let owner = |(name, owner): (&ServiceName, &Owner)| format!("{name}={}", owner.url);
        let listening = |(name, url): (&ServiceName, &String)| format!("{name}={url}");
        // Owners after services: whoever asks for orders' history asks who writes it.
        let mut peers: Vec<String> = ServiceName::listening()
            .filter(|name| !self.urls.contains_key(name) && !self.owners.contains_key(name))
            .map(|name| format!("{name}=http://127.0.0.1:9"))
            .collect();
        let services = self
            .urls
            .iter()
            .filter(|(name, _)| !self.owners.contains_key(name));
        peers.extend(services.map(listening).chain(self.owners.iter().map(owner)));
        let mut settings = vec![
            (WHICH, service.to_string()),
            ("EMPORIUM_LISTEN", address.to_string()),
            ("EMPORIUM_DATABASE_URL", self.by_socket(service)?),
            ("EMPORIUM_PEERS", peers.join(",")),
            (
                "EMPORIUM_SERVICE_SECRET",
                self.keys.secret(service)?.expose().to_owned(),
            ),
            ("EMPORIUM_CALLERS", self.keys.callers(service)?.to_setting()),
            (
                "EMPORIUM_LOG",
                "warn,emporium_service_kit::config=info,sqlx_core::pool=error".to_owned(),
            ),
        ];
        settings.extend(target.bus_url(service)?.map(|url| (EVENTS, url)));
        settings.extend(self.more.iter().cloned());
        Ok(settings)
    }

    /// A service's database, by the server's socket where there is one, as in the shop.
    fn by_socket(&self, service: ServiceName) -> anyhow::Result<String> {
        let database = database_of(service);
        let url = Target::new(self.postgres.server(), &self.keys).url(&database, &database)?;
        let socket = self.postgres.server().socket_dir();
        Ok(socket.map_or(url.clone(), |folder| format!("{url}&host={}", folder.display())))
    }

    /// Starts services and waits until each answers and its groups run.
    pub async fn start(&mut self, services: &[ServiceName]) -> anyhow::Result<()> {
        for service in services {
            let program = self.program(*service)?;
            self.services.insert(*service, program);
        }
        for service in services {
            self.ready(*service).await?;
        }
        Ok(())
    }

    async fn ready(&mut self, service: ServiceName) -> anyhow::Result<()> {
        let program = self
            .services
            .get_mut(&service)
            .context("a service that was not started")?;
        program.wait_for("ready").with_context(|| service.to_string())?;
        let started = std::time::Instant::now();
        loop {
            check_interrupted()?;
            let running = match self.groups(service).await {
                Ok(groups) => groups
                    .iter()
                    .all(|group| group.group.position.is_some() && group.rebuild.is_none()),
                Err(_) => false,
            };
            if running {
                return Ok(());
            }
            if started.elapsed() > READY_MAX {
                let said = self
                    .services
                    .get(&service)
                    .map(Program::output)
                    .unwrap_or_default();
                bail!("{service} is not ready after {} s: {said}", READY_MAX.as_secs());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// How a service's consumer groups stand.
    pub async fn groups(&self, service: ServiceName) -> anyhow::Result<Vec<ProjectionStatus>> {
        let list: emporium_event_bus::projection::ProjectionList =
            self.client(service)?.get("/projections").send().await?;
        Ok(list.items)
    }

    /// A client in the operator's name.
    pub fn client(&self, service: ServiceName) -> anyhow::Result<Client> {
        Ok(emporium::shop::client(
            &self.keys,
            &self.urls,
            ServiceName::Operator,
            service,
        )?)
    }

    /// Where a service listens, and what the operator shows it.
    pub fn door(&self, service: ServiceName) -> anyhow::Result<(SocketAddr, String)> {
        let address = self
            .addresses
            .get(&service)
            .context("a service without an address")?;
        let token = self.keys.secret(ServiceName::Operator)?.token_for(service);
        Ok((*address, format!("Bearer {token}")))
    }

    /// A connection of the superuser.
    pub async fn connect(&self, database: &str) -> anyhow::Result<PgConnection> {
        let options: PgConnectOptions = self.postgres.options(database, By::Socket);
        Ok(PgConnection::connect_with(&options).await?)
    }

    /// A connection of the superuser to the bus.
    pub async fn connect_to_bus(&self) -> anyhow::Result<PgConnection> {
        self.connect(BUS).await
    }

    /// A connection of the superuser to a service's database.
    pub async fn connect_to(&self, service: ServiceName) -> anyhow::Result<PgConnection> {
        self.connect(&database_of(service)).await
    }

    /// Ends services in order, then the owners.
    pub async fn end(mut self) -> anyhow::Result<()> {
        for (_, program) in std::mem::take(&mut self.services) {
            tokio::task::spawn_blocking(move || program.stop()).await??;
        }
        self.shutdown.cancel();
        for (_, owner) in std::mem::take(&mut self.owners) {
            owner.end().await;
        }
        Ok(())
    }
}

fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
