//! The sessions service: login, opaque tokens, sliding expiry, log-out everywhere.

mod config;
mod error;
mod events;
mod login;
mod model;
mod routes;
mod store;
mod token;

use std::sync::Arc;
use std::time::Duration;

use emporium_event_bus::{BusError, ConsumerGroup, StartAt};
use emporium_service_kit::{Environment, Service, ServiceName, StartError, reaper};

pub use crate::config::Config;
use crate::events::Blocker;
pub use crate::login::reads;
use crate::routes::App;

/// The consumer group on the event bus.
const GROUP: &str = "sessions";

/// How often expired sessions and attempts are removed.
const REAP_PERIOD: Duration = Duration::from_mins(1);

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
    let blocker = Arc::new(Blocker::new(store.clone()));
    let group = Arc::new(ConsumerGroup::new(
        bus,
        GROUP,
        blocker,
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
    let (checked, stop) = (store.clone(), environment.shutdown.clone());
    let reap = reaper::task(environment, REAP_PERIOD, move |now, max| {
        let store = store.clone();
        async move { store.reap(now, max).await }
    });
    Ok(Service::new(routes::api().with_state(app))
        .task("reaper", reap)
        .task("consumer", move || {
            let (group, stop) = (group.clone(), stop.clone());
            async move { group.run(stop).await }
        })
        .ready_check("store", move || {
            let store = checked.clone();
            async move { store.ping().await.map_err(|_| "does not answer".to_owned()) }
        }))
}
