//! The catalog service: products, categories, search, stock and reservations.

mod config;
mod error;
pub mod events;
mod expiry;
mod home;
mod indexer;
pub mod model;
mod routes;
mod rules;
pub mod search;
mod store;

use std::sync::Arc;
use std::time::Duration;

use emporium_event_bus::{BusError, ConsumerGroup, Outbox, Projections, StartAt};
use emporium_moving::Timing;
use emporium_service_kit::report::StoreOn;
use emporium_service_kit::{Currency, Environment, Service, ServiceName, StartError};
use sqlx::migrate::Migrator;
use tokio_util::sync::CancellationToken;

pub use crate::config::Config;
use crate::home::{Homes, Making};
use crate::indexer::feeders::Feeders;
use crate::indexer::watch::Gauges;
use crate::routes::App;
use crate::search::choice::Search;
use crate::store::Store;
use crate::store::sales::{GROUP, SalesCounter};

static MIGRATIONS: Migrator = sqlx::migrate!();

/// Builds the service with settings from environment variables.
pub async fn build(environment: &Environment) -> Result<Service, StartError> {
    build_with(environment, emporium_service_kit::config::from_env()?).await
}

/// Builds the service: migrations, routes, background tasks.
pub async fn build_with(environment: &Environment, config: Config) -> Result<Service, StartError> {
    build_timed(environment, config, Timing::default()).await
}

/// The same with other times for moving the search index, for tests.
pub async fn build_timed(
    environment: &Environment,
    config: Config,
    timing: Timing,
) -> Result<Service, StartError> {
    let store = open_store(environment, config.currency).await?;
    let bus = emporium_event_bus::open(environment)
        .await
        .map_err(BusError::into_start_error)?;
    let sales = ConsumerGroup::new(
        bus.clone(),
        GROUP,
        Arc::new(counter(environment, &store).await?),
        start_of_sales(environment)?,
        &environment.metrics,
    );
    let sales = Arc::new(sales.with_clock(environment.clock.clone()));
    let making = Making {
        store: store.clone(),
        lag_max: Duration::from_secs(config.search_lag_max_s),
        gauges: Arc::new(Gauges::new(&environment.metrics)),
    };
    let homes = Homes::default();
    let (moving, places) = home::open(environment, &making, &homes, timing).await?;
    let feeders = Feeders {
        gate: moving.gate(),
        homes,
        places,
    };
    let app = App {
        store: store.clone(),
        search: Search::new(store.search.clone(), moving.gate(), &environment.metrics),
        sales: sales.clone(),
    };
    let outbox = store.outbox.clone();
    let stop = environment.shutdown.clone();
    let (relay_stop, relay_bus) = (stop.clone(), bus.clone());
    let api = routes::api()
        .merge(Projections::of([&sales]).api())
        .merge(moving.api());
    let service = Service::new(api.with_state(app))
        .store(StoreOn::own(store.db.clone()))
        .store(
            emporium_event_bus::EventsReport::of(&bus)
                .group(&sales)
                .outbox(&outbox)
                .shared(),
        )
        .store(moving.report())
        .task("relay", move || {
            outbox.clone().relay(relay_bus.clone(), relay_stop.clone())
        })
        .task("sales", sales.task(environment))
        .task("move", moving.task());
    Ok(with_background(service, store, feeders, &stop))
}

/// What ends reservations, and what feeds and watches indexes outside the database.
fn with_background(service: Service, store: Store, feeders: Feeders, stop: &CancellationToken) -> Service {
    let (expiring, feeding) = (stop.clone(), stop.clone());
    service
        .task("expiry", move || expiry::run(store.clone(), expiring.clone()))
        .task("search index", move || feeders.clone().run(feeding.clone()))
}

/// Brings the database up to date and opens the store on it.
async fn open_store(environment: &Environment, currency: Currency) -> Result<Store, StartError> {
    // First: later migrations here concern its tables, too.
    let outbox = Outbox::open(environment).await?;
    let db = environment.db()?;
    db.migrate(&MIGRATIONS, "catalog")
        .await
        .map_err(|source| StartError::Migrate {
            service: environment.service,
            source,
        })?;
    Ok(Store {
        outbox,
        clock: environment.clock.clone(),
        currency,
        search: search::in_own_database(db.clone()),
        db,
    })
}

async fn counter(environment: &Environment, store: &Store) -> Result<SalesCounter, StartError> {
    SalesCounter::open(store)
        .await
        .map_err(|source| StartError::Migrate {
            service: environment.service,
            source: source.into(),
        })
}

/// A new group counts every sale there ever was, when it can ask the orders service for them.
fn start_of_sales(environment: &Environment) -> Result<StartAt, StartError> {
    if environment.peers.contains_key(&ServiceName::Orders) {
        return Ok(StartAt::Histories(vec![environment.client(ServiceName::Orders)?]));
    }
    Ok(StartAt::End)
}
