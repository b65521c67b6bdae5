//! The catalog service: products, categories, search, stock and reservations.

mod config;
mod error;
pub mod events;
mod expiry;
mod indexer;
pub mod model;
mod routes;
mod rules;
pub mod search;
mod store;

use std::sync::Arc;
use std::time::Duration;

use emporium_event_bus::{BusError, ConsumerGroup, Outbox, Projections, StartAt};
use emporium_service_kit::report::StoreOn;
use emporium_service_kit::{Currency, Environment, Service, ServiceName, StartError};
use sqlx::migrate::Migrator;
use tokio_util::sync::CancellationToken;

pub use crate::config::Config;
use crate::indexer::Indexer;
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
    let outside = search::choice::open(environment).await?;
    let indexer = outside.clone().map(|outside| {
        let lag_max = Duration::from_secs(config.search_lag_max_s);
        Indexer::new(store.clone(), outside, lag_max, Gauges::new(&environment.metrics))
    });
    let app = App {
        store: store.clone(),
        search: Search::new(store.search.clone(), outside, &environment.metrics),
        sales: sales.clone(),
        indexer: indexer.clone(),
    };
    let outbox = store.outbox.clone();
    let stop = environment.shutdown.clone();
    let (relay_stop, sales_stop, relay_bus) = (stop.clone(), stop.clone(), bus.clone());
    let api = routes::api().merge(Projections::of([&sales]).api());
    let service = Service::new(api.with_state(app))
        .store(StoreOn::own(store.db.clone()))
        .store(
            emporium_event_bus::EventsReport::of(&bus)
                .group(&sales)
                .outbox(&outbox)
                .shared(),
        )
        .task("relay", move || {
            outbox.clone().relay(relay_bus.clone(), relay_stop.clone())
        })
        .task("sales", move || {
            let (sales, stop) = (sales.clone(), sales_stop.clone());
            async move { sales.run(stop).await }
        });
    let database = store.db.clone();
    let service = with_expiry(service, store, &stop);
    Ok(match indexer {
        Some(indexer) => with_index(service, indexer, &stop),
        None => service.store(search::postgres::report(database)),
    })
}

/// What ends reservations.
fn with_expiry(service: Service, store: Store, stop: &CancellationToken) -> Service {
    let stop = stop.clone();
    service.task("expiry", move || expiry::run(store.clone(), stop.clone()))
}

/// What feeds and watches an index outside the database, and tells about it.
fn with_index(service: Service, indexer: Indexer, stop: &CancellationToken) -> Service {
    let (feeding, watching) = (indexer.clone(), indexer.clone());
    let (feed_stop, watch_stop) = (stop.clone(), stop.clone());
    service
        .store(Arc::new(indexer))
        .task("search index", move || feeding.clone().run(feed_stop.clone()))
        .task("search index watch", move || {
            watching.clone().watch(watch_stop.clone())
        })
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
