//! The users service: identity, profile, preferences, address book, loyalty points.

mod error;
mod events;
mod model;
mod routes;
mod store;

use emporium_event_bus::Outbox;
use emporium_service_kit::{Environment, Service, StartError};
use sqlx::migrate::Migrator;

use crate::routes::App;

static MIGRATIONS: Migrator = sqlx::migrate!();

/// Builds the service: migrations, routes, background tasks.
pub async fn build(environment: &Environment) -> Result<Service, StartError> {
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
        db,
        outbox: outbox.clone(),
        clock: environment.clock.clone(),
    };
    let stop = environment.shutdown.clone();
    Ok(Service::new(routes::api().with_state(app))
        .task("relay", move || outbox.clone().relay(bus.clone(), stop.clone())))
}
