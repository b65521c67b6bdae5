//! The whole shop in one process. The services still talk over loopback HTTP, with tokens: moving one out changes
//! nothing for the others.

use std::collections::BTreeMap;
use std::time::Duration;

use emporium_embedded_postgres::{Server, Settings};
use emporium_service_kit::client::Client;
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::serve::Running;
use emporium_service_kit::{Db, ServiceName, StoreUrls};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::data_dir::{DataDir, Owned};
use crate::keys::{self, Keys};
use crate::provision::{self, OWNERS, Target, database_of};
use crate::running::{self, RunningFile};
use crate::terminal::Steps;
use crate::{Error, admin, load};

mod bus;
mod services;
mod stop;

use services::Listeners;
pub use services::build;

/// How long a signal during the database server's start waits for it to be ready, to stop it in order.
const START_GRACE: Duration = Duration::from_secs(2);

/// How often it is looked whether the database server still runs.
const SERVER_LOOK: Duration = Duration::from_millis(250);

/// A running shop, or one that is being started.
pub struct Shop {
    /// Where each service listens.
    pub urls: BTreeMap<ServiceName, String>,
    /// Which stores the settings name.
    pub stores: StoreUrls,
    keys: Keys,
    dir: DataDir,
    services: Vec<(ServiceName, Running)>,
    pools: Vec<Db>,
    trimmer: Option<JoinHandle<()>>,
    shutdown: CancellationToken,
    server: Server,
    _owned: Owned,
}

impl Shop {
    /// Starts everything. `port` is the gateway's, the services take the ones after it; 0 means any free ports. What `stores`
    /// leaves out is kept in the embedded database server. When `stop` is cancelled on the way, what was started is stopped
    /// again: [`Error::Interrupted`].
    pub async fn start(
        dir: &DataDir,
        owned: Owned,
        port: u16,
        stores: StoreUrls,
        steps: &Steps,
        stop: &CancellationToken,
    ) -> Result<Self, Error> {
        // Whatever it says is of a run that was killed.
        dir.remove(running::FILE);
        for secrets in [keys::FILE, admin::FILE] {
            dir.close(secrets);
        }
        // Ports first: a clash is better found before anything is started.
        let listeners = services::bind(port).await?;
        let keys = Keys::open(dir, &provision::roles())?;
        keys.write_scrape_token(dir)?;
        let mut shop = Self {
            urls: services::urls(&listeners),
            stores,
            keys,
            dir: dir.clone(),
            services: Vec::new(),
            pools: Vec::new(),
            trimmer: None,
            shutdown: CancellationToken::new(),
            server: start_server(dir, None, steps, stop).await?,
            _owned: owned,
        };
        let begun = stop.run_until_cancelled(shop.begin(listeners, steps)).await;
        if let Err(error) = begun.unwrap_or(Err(Error::Interrupted)) {
            // The first error is the one to tell.
            let _ = shop.stop().await;
            return Err(error);
        }
        Ok(shop)
    }

    /// From the database server to the open gateway. The gateway comes last: before the administrator exists, nobody may
    /// sign up.
    async fn begin(&mut self, listeners: Listeners, steps: &Steps) -> Result<(), Error> {
        steps.tell("preparing the databases");
        let target = Target::new(&self.server, &self.keys);
        provision::provision(&target).await?;
        let bus = bus::open(&target, &self.stores).await?;
        let running = running_file(&target, &self.urls)?;
        let environments = services::environments(&target, &self.urls, &self.stores)?;
        self.pools.extend(
            environments
                .iter()
                .filter_map(|environment| environment.db.clone()),
        );
        steps.tell("starting the services");
        let built = services::build_all(&environments).await?;
        let mut gateway = None;
        for (environment, service, listener) in services::with_listeners(&environments, built, listeners) {
            if environment.service == ServiceName::Gateway {
                gateway = Some((environment, service, listener));
            } else {
                let running = services::serve(environment, service, listener)?;
                self.services.push((environment.service, running));
            }
        }
        let users = self.client(ServiceName::Operator, ServiceName::Users)?;
        admin::ensure(&self.dir, &users, steps).await?;
        if let Some((environment, service, listener)) = gateway {
            let running = services::serve(environment, service, listener)?;
            self.services.push((ServiceName::Gateway, running));
        }
        self.trimmer = Some(tokio::spawn(bus::keep_short(bus, self.shutdown.clone())));
        self.dir.write(running::FILE, &running)
    }

    /// Starts the database server again whenever it ends by itself (the system's memory ran out, somebody killed it), on
    /// the same port, so that the services find it again. Returns when `stop` is cancelled, or the reason why there is no
    /// server any more.
    pub async fn keep_server(&mut self, steps: &Steps, stop: &CancellationToken) -> Result<(), Error> {
        loop {
            let (pid, port) = self.postgres();
            while self.server.is_running() {
                let pause = tokio::time::sleep(SERVER_LOOK);
                if stop.run_until_cancelled(pause).await.is_none() {
                    return Ok(());
                }
            }
            steps.note(format_args!(
                "PostgreSQL (process {pid}) ended by itself, see {}; starting it again.",
                self.server.log_path().display()
            ));
            let _ = self.server.stop(); // it has ended; this frees its folder
            self.server = match start_server(&self.dir, Some(port), steps, stop).await {
                Err(Error::Interrupted) => return Ok(()),
                server => server?,
            };
            steps.note("PostgreSQL is back.");
        }
    }

    /// A client of one of the services, in the name of `caller`.
    pub fn client(&self, caller: ServiceName, callee: ServiceName) -> Result<Client, Error> {
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
}

/// A client of a service at one of `urls`, in the name of `caller`.
pub fn client(
    keys: &Keys,
    urls: &BTreeMap<ServiceName, String>,
    caller: ServiceName,
    callee: ServiceName,
) -> Result<Client, Error> {
    let base = urls.get(&callee).ok_or_else(|| {
        Error::Other(format!(
            "{} does not say where {callee} listens; start the shop again",
            running::FILE
        ))
    })?;
    let secret = keys.secret(caller)?;
    Ok(Client::new(caller, callee, base, &secret, Metrics::new(caller)))
}

/// Downloads, unpacks, makes the cluster and recovers it as needed; that can take long.
async fn start_server(
    dir: &DataDir,
    port: Option<u16>,
    steps: &Steps,
    stop: &CancellationToken,
) -> Result<Server, Error> {
    let root = dir.file("postgres");
    if !root.join("data").exists() {
        // A new database has no sample data yet, whatever was loaded into the one before.
        dir.remove(load::SAMPLE_FILE);
    }
    let settings = Settings {
        max_connections: 150,
        port,
        ..Settings::new(root)
    };
    let told = steps.clone();
    let starting = Server::start_async(settings, move |step| told.tell(step));
    tokio::pin!(starting);
    tokio::select! {
        server = &mut starting => return Ok(server?),
        () = stop.cancelled() => {}
    }
    // One that is nearly there is stopped in order. A download, a new cluster or a long recovery ends with this process:
    // nothing half-made is ever used, and the next start clears it away.
    if let Ok(Ok(server)) = tokio::time::timeout(START_GRACE, starting).await {
        let _ = server.stop_async().await;
    }
    Err(Error::Interrupted)
}

fn running_file(target: &Target<'_>, urls: &BTreeMap<ServiceName, String>) -> Result<RunningFile, Error> {
    let databases = OWNERS.into_iter().map(|name| {
        let database = database_of(name);
        Ok((name, target.url(&database, &database)?))
    });
    Ok(RunningFile {
        pid: std::process::id(),
        urls: urls.clone(),
        databases: databases.collect::<Result<_, Error>>()?,
    })
}
