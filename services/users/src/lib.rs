//! The users service: identity, profile, preferences, address book, loyalty points.

pub mod config;
mod error;
pub mod events;
mod input;
mod model;
mod passwords;
mod preferences;
mod routes;
mod store;

use emporium_event_bus::{EventsReport, Outbox};
use emporium_service_kit::config::from_env;
use emporium_service_kit::{Environment, Service, StartError};
use sqlx::migrate::Migrator;

use crate::config::Config;
use crate::passwords::Passwords;
use crate::routes::App;
use crate::store::Store;

static MIGRATIONS: Migrator = sqlx::migrate!();

/// Builds the service with its settings from the environment.
pub async fn build(environment: &Environment) -> Result<Service, StartError> {
    build_with(environment, &from_env()?).await
}

/// Builds the service: migrations, routes, background tasks.
pub async fn build_with(environment: &Environment, config: &Config) -> Result<Service, StartError> {
    let db = environment.db()?;
    db.migrate(&MIGRATIONS, "users")
        .await
        .map_err(|source| StartError::Migrate {
            service: environment.service,
            source,
        })?;
    let outbox = Outbox::open(environment).await?;
    let bus = emporium_event_bus::open(environment)
        .await
        .map_err(emporium_event_bus::BusError::into_start_error)?;
    let app = App {
        store: Store::new(db, outbox.clone(), environment.clock.clone()),
        passwords: Passwords::new(config.hashes_max),
    };
    let stop = environment.shutdown.clone();
    Ok(Service::new(routes::api().with_state(app))
        .store(EventsReport::of(&bus).outbox(&outbox).shared())
        .task("relay", move || outbox.clone().relay(bus.clone(), stop.clone())))
}
