//! One service, started for a test as the program starts it: own database, real bus, real tokens, free port.

use std::collections::HashMap;

use emporium_event_bus::bus::postgres as bus;
use emporium_service_kit::auth::{Callers, Secret};
use emporium_service_kit::config::database_options;
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::{Clock, Db, Environment, Service, ServiceName, StartError, serve};
use tokio_util::sync::CancellationToken;

use crate::http::Caller;
use crate::postgres::{TestDatabase, TestPostgres};

/// Every party's secret.
#[derive(Clone)]
pub struct Keys(HashMap<ServiceName, Secret>);

impl Default for Keys {
    fn default() -> Self {
        Self(
            ServiceName::ALL
                .into_iter()
                .map(|name| (name, Secret::generate()))
                .collect(),
        )
    }
}

impl Keys {
    /// A party's secret.
    pub fn secret(&self, name: ServiceName) -> &Secret {
        &self.0[&name]
    }

    /// The callers that `callee` accepts: everybody.
    pub fn callers(&self, callee: ServiceName) -> Callers {
        Callers::from_secrets(callee, self.0.iter().map(|(name, secret)| (*name, secret)))
    }
}

/// A running service with its own database and bus. Tests that need several services share [`Keys`] and the bus.
pub struct TestService {
    /// What the service was given.
    pub environment: Environment,
    /// Its base URL.
    pub url: String,
    /// Everybody's secrets.
    pub keys: Keys,
    running: serve::Running,
}

impl TestService {
    /// Starts `service` on fresh databases. `peers` are the base URLs of services it calls.
    pub async fn start(
        service: ServiceName,
        keys: &Keys,
        peers: &[(ServiceName, String)],
        clock: Clock,
        build: impl AsyncFn(&Environment) -> Result<Service, StartError>,
    ) -> Self {
        let bus = bus_database().await;
        Self::start_on(service, keys, peers, clock, &bus, build).await
    }

    /// Starts `service` on a fresh database of its own and the given bus.
    pub async fn start_on(
        service: ServiceName,
        keys: &Keys,
        peers: &[(ServiceName, String)],
        clock: Clock,
        bus: &TestDatabase,
        build: impl AsyncFn(&Environment) -> Result<Service, StartError>,
    ) -> Self {
        let peers: HashMap<_, _> = peers.iter().cloned().collect();
        let make =
            |database: &TestDatabase| environment(service, keys, &peers, clock.clone(), database, &bus.url);
        let prepare = async |template: &TestDatabase| {
            let environment = make(template);
            drop(
                build(&environment)
                    .await
                    .expect("the service builds on an empty database"),
            );
            environment.db.unwrap().pool().close().await;
        };
        let database = TestPostgres::get()
            .await
            .database(service.as_str(), prepare)
            .await;
        let environment = make(&database);
        let built = build(&environment).await.expect("the service builds");
        let listener = serve::listen("127.0.0.1:0").await.unwrap();
        let running = serve::start(&environment, built, listener).unwrap();
        let url = format!("http://{}", running.address);
        Self {
            environment,
            url,
            keys: keys.clone(),
            running,
        }
    }

    /// Calls the service as `caller`.
    pub fn as_caller(&self, caller: ServiceName) -> Caller {
        Caller::new(
            &self.url,
            self.environment.service,
            Some(self.keys.secret(caller)),
        )
    }

    /// Calls the service without a token.
    pub fn anonymous(&self) -> Caller {
        Caller::new(&self.url, self.environment.service, None)
    }

    /// The service's private database, to look behind its API.
    pub fn db(&self) -> Db {
        self.environment.db.clone().expect("the service has a database")
    }

    /// Builds the service with its store at `url`, which it has to refuse. Gives the error, which is one line, begins with the
    /// setting's name and does not show the password: `secret`, in every `url` that has one.
    pub async fn refusal(
        &self,
        setting: &'static str,
        url: &str,
        build: impl AsyncFn(&Environment) -> Result<Service, StartError>,
    ) -> String {
        let mut environment = self.environment.clone();
        let built = match environment.stores.set(setting, url.to_owned()) {
            Ok(()) => build(&environment).await,
            Err(error) => Err(error),
        };
        let text = built.err().expect("the service refuses the store").to_string();
        assert!(text.starts_with(&format!("{setting}: ")), "{text}");
        assert!(!text.contains("secret") && text.lines().count() == 1, "{text}");
        text
    }

    /// Stops the service in good order.
    pub async fn stop(self) {
        self.running.stop().await;
    }
}

/// Peers at an address where nobody is.
pub fn absent(names: &[ServiceName]) -> Vec<(ServiceName, String)> {
    names
        .iter()
        .map(|name| (*name, "http://127.0.0.1:9".to_owned()))
        .collect()
}

/// A fresh bus.
pub async fn bus_database() -> TestDatabase {
    let prepare = async |template: &TestDatabase| {
        let db = Db::connect(
            database_options(&template.url).unwrap(),
            1,
            Metrics::new(ServiceName::Operator),
        );
        bus::migrate(&db).await.unwrap();
        db.pool().close().await;
    };
    TestPostgres::get().await.database("bus", prepare).await
}

pub(crate) fn environment(
    service: ServiceName,
    keys: &Keys,
    peers: &HashMap<ServiceName, String>,
    clock: Clock,
    database: &TestDatabase,
    bus_url: &str,
) -> Environment {
    let metrics = Metrics::new(service);
    Environment {
        service,
        db: Some(Db::connect(
            database_options(&database.url).unwrap(),
            16,
            metrics.clone(),
        )),
        events_url: Some(bus_url.to_owned()),
        stores: emporium_service_kit::StoreUrls::default(),
        peers: peers.clone(),
        secret: keys.secret(service).clone(),
        callers: keys.callers(service),
        clock,
        metrics,
        shutdown: CancellationToken::new(),
    }
}
