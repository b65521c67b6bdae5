//! The services of the shop: their ports, what they are given, and how they are built and served.

use std::collections::{BTreeMap, HashMap};

use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::serve::{self, Running};
use emporium_service_kit::stores::EVENTS;
use emporium_service_kit::{Clock, Db, Environment, Service, ServiceName, StartError, StoreUrls};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::provision::{OWNERS, Target, database_of, uses_bus};

/// Connections of each service to its database.
const POOL_SIZE: u32 = 8;

/// Bound ports, in the order of [`ServiceName::listening`].
pub(super) type Listeners = Vec<(ServiceName, TcpListener, String)>;

pub(super) async fn bind(port: u16) -> Result<Listeners, Error> {
    let mut listeners = Vec::new();
    for (offset, service) in (0_u16..).zip(ServiceName::listening()) {
        let own = match port {
            0 => 0,
            first => first.checked_add(offset).ok_or(Error::PortRange(port))?,
        };
        let failed = |source| Error::Port {
            port: own,
            service,
            source,
        };
        let listener = TcpListener::bind(("127.0.0.1", own)).await.map_err(failed)?;
        let url = format!("http://{}", listener.local_addr().map_err(failed)?);
        listeners.push((service, listener, url));
    }
    Ok(listeners)
}

pub(super) fn urls(listeners: &Listeners) -> BTreeMap<ServiceName, String> {
    listeners
        .iter()
        .map(|(name, _, url)| (*name, url.clone()))
        .collect()
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
        ServiceName::Recommendations => emporium_recommendations::build(environment).await,
        ServiceName::Reviews => emporium_reviews::build(environment).await,
        ServiceName::Analytics => emporium_analytics::build(environment).await,
        ServiceName::Monitoring => emporium_monitoring::build(environment).await,
        ServiceName::Gateway => emporium_gateway::build(environment).await,
        ServiceName::Operator => Err(StartError::Missing {
            service: ServiceName::Operator,
            what: "nothing to serve",
            remedy: "choose one of the services",
        }),
    }
}

/// Builds all services at the same time, each with its migrations.
pub(super) async fn build_all(environments: &[Environment]) -> Result<Vec<Service>, StartError> {
    futures::future::try_join_all(environments.iter().map(build)).await
}

/// Each service with its environment and port; all three are in the order of [`ServiceName::listening`].
pub(super) fn with_listeners(
    environments: &[Environment],
    built: Vec<Service>,
    listeners: Listeners,
) -> impl Iterator<Item = (&Environment, Service, TcpListener)> {
    let ports = listeners.into_iter().map(|(_, listener, _)| listener);
    environments
        .iter()
        .zip(built)
        .zip(ports)
        .map(|((environment, service), listener)| (environment, service, listener))
}

/// Lets a built service answer.
pub(super) fn serve(
    environment: &Environment,
    service: Service,
    listener: TcpListener,
) -> Result<Running, StartError> {
    serve::start(environment, service, listener).map_err(|source| StartError::Listen {
        address: environment.service.to_string(),
        source,
    })
}

/// What each listening service is given.
pub(super) fn environments(
    target: &Target<'_>,
    urls: &BTreeMap<ServiceName, String>,
    stores: &StoreUrls,
) -> Result<Vec<Environment>, Error> {
    ServiceName::listening()
        .map(|service| environment(service, target, urls, stores))
        .collect()
}

fn environment(
    service: ServiceName,
    target: &Target<'_>,
    urls: &BTreeMap<ServiceName, String>,
    stores: &StoreUrls,
) -> Result<Environment, Error> {
    let metrics = Metrics::new(service);
    let database = database_of(service);
    let options = OWNERS
        .contains(&service)
        .then(|| target.options(&database, &database))
        .transpose()?;
    Ok(Environment {
        service,
        db: options.map(|options| Db::connect(options, POOL_SIZE, metrics.clone())),
        events_url: events_url(service, target, stores)?,
        stores: stores.clone(),
        peers: urls
            .iter()
            .map(|(name, url)| (*name, url.clone()))
            .collect::<HashMap<_, _>>(),
        secret: target.keys().secret(service)?,
        callers: target.keys().callers(service)?,
        clock: Clock::System,
        metrics,
        shutdown: CancellationToken::new(),
    })
}

/// The event bus that the settings name, else the embedded one in the service's own role.
fn events_url(
    service: ServiceName,
    target: &Target<'_>,
    stores: &StoreUrls,
) -> Result<Option<String>, Error> {
    match stores.get(EVENTS) {
        Some(url) => Ok(uses_bus(service).then(|| url.to_owned())),
        None => target.bus_url(service),
    }
}
