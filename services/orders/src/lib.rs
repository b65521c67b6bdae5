//! The orders service: orders, order history, address and price snapshots, and the checkout saga.
//!
//! Where to begin reading: [`saga::machine`] has the saga's rules without any input or output, `saga::driver` runs them,
//! `checkout` is the request that starts it all. `docs/src/saga.md` explains them with tables.

mod bulk;
mod checkout;
pub mod config;
mod consumer;
pub mod crash;
mod error;
pub mod events;
mod model;
mod peers;
mod routes;
mod saga;
mod store;

use std::sync::Arc;

use emporium_event_bus::{BusError, ConsumerGroup, EventsReport, Outbox, PostgresProjection, Projections};
use emporium_service_kit::{Environment, Service, ServiceName, StartError};
use sqlx::migrate::Migrator;

use crate::checkout::Checkout;
use crate::config::Config;
use crate::consumer::{GROUP, OrdersConsumer};
use crate::peers::Peers;
pub use crate::peers::reads;
use crate::routes::App;
use crate::saga::driver::{self, Driver};
use crate::saga::perform::Performer;
use crate::saga::waiters::Waiters;
use crate::store::customers::Customers;

static MIGRATIONS: Migrator = sqlx::migrate!();

/// Builds the service with settings from environment variables: migrations, routes, background tasks.
pub async fn build(environment: &Environment) -> Result<Service, StartError> {
    build_with(environment, emporium_service_kit::config::from_env()?).await
}

/// Builds the service with these settings.
pub async fn build_with(environment: &Environment, config: Config) -> Result<Service, StartError> {
    let db = environment.db()?;
    // First: one of the service's own migrations is about the tables of events.
    let outbox = Outbox::open(environment).await?;
    let not_migrated = |source| StartError::Migrate {
        service: environment.service,
        source,
    };
    db.migrate(&MIGRATIONS, "orders").await.map_err(not_migrated)?;
    let bus = emporium_event_bus::open(environment)
        .await
        .map_err(BusError::into_start_error)?;
    let peers = Peers::new(environment, &config)?;
    let waiters = Waiters::default();
    let driver = driver(environment, &config, &peers, &outbox, &waiters)?;
    let clock = environment.clock.clone();
    let consumer = OrdersConsumer {
        db: db.clone(),
        clock: clock.clone(),
        driver: driver.clone(),
        customers: PostgresProjection::open(db.clone(), environment.service, GROUP, Customers { clock })
            .await
            .map_err(|error| not_migrated(error.into()))?,
    };
    // Payments' history is not needed: a saga that waits for a charge looks it up itself.
    let owners = [ServiceName::Users];
    let group = ConsumerGroup::of_histories(environment, &bus, GROUP, Arc::new(consumer), &owners)?;
    let app = App {
        db: db.clone(),
        outbox: outbox.clone(),
        clock: environment.clock.clone(),
        checkout: Checkout::new(checkout::Parts {
            db,
            outbox: outbox.clone(),
            clock: environment.clock.clone(),
            config,
            peers: peers.clone(),
            driver: driver.clone(),
            waiters,
            stop: environment.shutdown.clone(),
        }),
        peers,
        group: group.clone(),
    };
    Ok(with_tasks(environment, app, driver, bus))
}

fn driver(
    environment: &Environment,
    config: &Config,
    peers: &Peers,
    outbox: &Outbox,
    waiters: &Waiters,
) -> Result<Driver, StartError> {
    let parts = driver::Parts {
        db: environment.db()?,
        outbox: outbox.clone(),
        clock: environment.clock.clone(),
        performer: Performer::new(peers.clone(), environment.clock.clone(), config.clone()),
        waiters: waiters.clone(),
        stop: environment.shutdown.clone(),
    };
    Ok(Driver::new(parts, config, &environment.metrics))
}

fn with_tasks(
    environment: &Environment,
    app: App,
    driver: Driver,
    bus: Arc<dyn emporium_event_bus::Bus>,
) -> Service {
    let (outbox, group) = (app.outbox.clone(), app.group.clone());
    let (db, clock) = (app.db.clone(), app.clock.clone());
    let stop = environment.shutdown.clone();
    let relay_stop = stop.clone();
    let sagas = driver.clone();
    let api = routes::api().merge(Projections::of([&group]).api());
    Service::new(api.with_state(app))
        .store(EventsReport::of(&bus).group(&group).outbox(&outbox).shared())
        .task("relay", move || {
            outbox.clone().relay(bus.clone(), relay_stop.clone())
        })
        .task("consumer", group.task(environment))
        .task("sagas", move || sagas.clone().run())
        .task("housekeeping", move || {
            checkout::housekeeping(db.clone(), clock.clone(), driver.clone(), stop.clone())
        })
}
