//! The payments service: charges and refunds in a double-entry ledger, and the simulated payment provider.

pub mod config;
mod error;
pub mod events;
mod model;
mod payments;
mod provider;
mod routes;
mod store;

use emporium_service_kit::config::from_env;
use emporium_service_kit::{Environment, Service, StartError};

use crate::config::Config;

pub use crate::error::Error;
pub use crate::model::{Charge, ChargeState};
pub use crate::payments::Payments;
pub use crate::provider::{LATE, Outcome, REPEAT, SLOW, SLOW_NOTICE};
pub use crate::store::NewCharge;

/// Builds the service with its settings from the environment.
pub async fn build(environment: &Environment) -> Result<Service, StartError> {
    build_with(environment, &from_env()?).await
}

/// Builds the service: migrations, routes, background tasks.
pub async fn build_with(environment: &Environment, config: &Config) -> Result<Service, StartError> {
    let payments = Payments::open(environment, config).await?;
    let bus = emporium_event_bus::open(environment)
        .await
        .map_err(emporium_event_bus::BusError::into_start_error)?;
    let (outbox, stop) = (payments.store.outbox.clone(), environment.shutdown.clone());
    let (worker, worker_stop) = (payments.clone(), environment.shutdown.clone());
    Ok(Service::new(routes::api().with_state(payments))
        .store(
            emporium_event_bus::EventsReport::of(&bus)
                .outbox(&outbox)
                .shared(),
        )
        .task("relay", move || outbox.clone().relay(bus.clone(), stop.clone()))
        .task("provider-notices", move || {
            worker.clone().run(worker_stop.clone())
        }))
}
