//! What a service is given, and what it gives back.

use std::collections::HashMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use sqlx::migrate::MigrateError;
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;

use crate::auth::{Callers, Secret};
use crate::client::Client;
use crate::metrics::Metrics;
use crate::report::Inspect;
use crate::store::{REMEDY, StoreCause};
use crate::{Clock, Db, ServiceName, StoreUrls};

/// Everything a service gets from outside. In one process and alone it is the same; only where it comes from differs.
#[derive(Clone)]
pub struct Environment {
    /// Which service this is.
    pub service: ServiceName,
    /// The private database; absent for the gateway, which owns nothing.
    pub db: Option<Db>,
    /// URL of the event bus; absent for services that neither publish nor consume.
    pub events_url: Option<String>,
    /// Which stores the settings name, for this service and others.
    pub stores: StoreUrls,
    /// Base URLs of the services it may call.
    pub peers: HashMap<ServiceName, String>,
    /// Its own secret.
    pub secret: Secret,
    /// Who may call it.
    pub callers: Callers,
    /// Where time comes from.
    pub clock: Clock,
    /// Its own metrics.
    pub metrics: Metrics,
    /// Cancelled when the service has to stop; every background task watches it.
    pub shutdown: CancellationToken,
}

impl Environment {
    /// The private database.
    pub fn db(&self) -> Result<Db, StartError> {
        self.db.clone().ok_or(StartError::Missing {
            service: self.service,
            what: "a database",
            remedy: "set EMPORIUM_DATABASE_URL",
        })
    }

    /// The event bus's URL.
    pub fn events_url(&self) -> Result<&str, StartError> {
        self.events_url.as_deref().ok_or(StartError::Missing {
            service: self.service,
            what: "the event bus",
            remedy: "set EMPORIUM_EVENTS",
        })
    }

    /// A client for another service, with the token for it.
    pub fn client(&self, callee: ServiceName) -> Result<Client, StartError> {
        let base = self.peers.get(&callee).ok_or(StartError::MissingPeer {
            service: self.service,
            callee,
        })?;
        Ok(Client::new(
            self.service,
            callee,
            base,
            &self.secret,
            self.metrics.clone(),
        ))
    }
}

/// Why a service cannot start. Each is one line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is missing.
    #[error("the {service} service needs {what}: {remedy}")]
    Missing {
        /// The service.
        service: ServiceName,
        /// What it lacks.
        what: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// The address of a service it calls is missing.
    #[error("the {service} service calls {callee}: add {callee}=<url> to EMPORIUM_PEERS")]
    MissingPeer {
        /// The service.
        service: ServiceName,
        /// The service it calls.
        callee: ServiceName,
    },
    /// A setting cannot be read.
    #[error("{setting}: {problem}")]
    BadSetting {
        /// The setting's name.
        setting: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Migrations failed.
    #[error(
        "the {service} service's database cannot be brought up to date: {source}; {}",
        migrate_remedy(source)
    )]
    Migrate {
        /// The service.
        service: ServiceName,
        /// The cause.
        source: MigrateError,
    },
    /// A store that a setting names does not answer, or refuses.
    #[error("{setting}: the {service} service's store cannot be used: {source}; {REMEDY}")]
    Store {
        /// The service.
        service: ServiceName,
        /// The setting.
        setting: &'static str,
        /// The cause.
        source: StoreCause,
    },
    /// The port is taken or may not be used.
    #[error("cannot listen on {address}: {source}; stop what uses that port or choose another one")]
    Listen {
        /// The address.
        address: String,
        /// The cause.
        source: std::io::Error,
    },
}

fn migrate_remedy(error: &MigrateError) -> &'static str {
    match error {
        MigrateError::Execute(_) => {
            "see that PostgreSQL runs, and that host, port, user, password and database in EMPORIUM_DATABASE_URL are right"
        }
        MigrateError::VersionMissing(_) => {
            "a newer program has used it: run that one, or give this one another database"
        }
        MigrateError::VersionMismatch(_) => {
            "another build of the program has made its tables: run that one, or give this one another database"
        }
        _ => "give it an empty database, or bring the old one back from a backup",
    }
}

pub(crate) type TaskMaker = Arc<dyn Fn() -> BoxFuture<'static, anyhow::Result<()>> + Send + Sync>;
pub(crate) type CheckMaker = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// A service that is built but does not run yet.
pub struct Service {
    pub(crate) router: OpenApiRouter<()>,
    pub(crate) tasks: Vec<(&'static str, TaskMaker)>,
    pub(crate) checks: Vec<(&'static str, CheckMaker)>,
    pub(crate) stores: Vec<Arc<dyn Inspect>>,
}

impl Service {
    /// A service with these routes.
    pub fn new(router: OpenApiRouter<()>) -> Self {
        Self {
            router,
            tasks: Vec::new(),
            checks: Vec::new(),
            stores: Vec::new(),
        }
    }

    /// Adds a store to those that `GET /stores` tells about.
    #[must_use]
    pub fn store(mut self, store: Arc<dyn Inspect>) -> Self {
        self.stores.push(store);
        self
    }

    /// Adds a background task. It has to end when [`Environment::shutdown`] is cancelled; when it fails or panics before
    /// that, it is logged and started again after a pause.
    #[must_use]
    pub fn task<F, R>(mut self, name: &'static str, make: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.tasks.push((name, Arc::new(move || Box::pin(make()))));
        self
    }

    /// Adds a condition for `/health/ready`; the error text is shown there. The database is checked without asking.
    #[must_use]
    pub fn ready_check<F, R>(mut self, name: &'static str, make: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.checks.push((name, Arc::new(move || Box::pin(make()))));
        self
    }

    /// The OpenAPI document, for the committed snapshot.
    pub fn openapi(&self) -> &utoipa::openapi::OpenApi {
        self.router.get_openapi()
    }
}
