//! The sessions service: login, opaque tokens, sliding expiry, log-out everywhere.

mod config;
mod error;
mod events;
mod login;
mod model;
mod reaper;
mod routes;
mod store;
mod token;

use std::sync::Arc;

use emporium_event_bus::{BusError, ConsumerGroup, StartAt};
use emporium_service_kit::{Environment, Service, ServiceName, StartError};

pub use crate::config::Config;
use crate::events::Revoker;
pub use crate::login::reads;
use crate::routes::App;

/// The consumer group on the event bus.
const GROUP: &str = "sessions";

/// Builds the service with its settings from environment variables.
pub async fn build(environment: &Environment) -> Result<Service, StartError> {
    build_with(environment, emporium_service_kit::config::from_env()?).await
}

/// Builds the service: store, routes, consumer of the users' events, reaper.
pub async fn build_with(environment: &Environment, config: Config) -> Result<Service, StartError> {
    let store = store::open(config.store.as_deref(), environment).await?;
    let bus = emporium_event_bus::open(environment)
        .await
        .map_err(BusError::into_start_error)?;
    let revoker = Arc::new(Revoker::new(store.clone()));
    let group = Arc::new(ConsumerGroup::new(
        bus,
        GROUP,
        revoker,
        StartAt::End,
        &environment.metrics,
    ));
    // Before the first session can begin: no block that comes after it may be missed.
    group.join().await.map_err(|error| StartError::BadSetting {
        setting: "EMPORIUM_EVENTS".to_owned(),
        problem: error.to_string(),
    })?;
    let app = App {
        store: store.clone(),
        users: environment.client(ServiceName::Users)?,
        group: group.clone(),
        clock: environment.clock.clone(),
        terms: config.terms(),
    };
    let (checked, background) = (store.clone(), environment.clone());
    let stop = environment.shutdown.clone();
    Ok(Service::new(routes::api().with_state(app))
        .task("reaper", move || reaper::run(store.clone(), background.clone()))
        .task("consumer", move || {
            let (group, stop) = (group.clone(), stop.clone());
            async move { group.run(stop).await }
        })
        .ready_check("store", move || {
            let store = checked.clone();
            async move { store.ping().await.map_err(|_| "does not answer".to_owned()) }
        }))
}
