//! The carts service: anonymous and signed-in shopping carts, merged at sign-in, expiring by themselves.

mod config;
mod error;
pub mod model;
mod routes;
pub mod store;

use std::time::Duration;

use emporium_service_kit::{Environment, Service, StartError, reaper};

pub use crate::config::Config;
use crate::routes::App;

/// How often expired carts and purchases are removed.
const REAP_PERIOD: Duration = Duration::from_mins(5);

/// Builds the service with its settings from environment variables.
pub async fn build(environment: &Environment) -> Result<Service, StartError> {
    build_with(environment, emporium_service_kit::config::from_env()?).await
}

/// Builds the service: store, routes, reaper.
pub async fn build_with(environment: &Environment, config: Config) -> Result<Service, StartError> {
    let moving = store::open(environment).await?;
    let store = store::gated(&moving);
    let app = App {
        store: store.clone(),
        clock: environment.clock.clone(),
        terms: config.terms(),
    };
    let checked = store.clone();
    let reap = reaper::task(environment, REAP_PERIOD, move |now, max| {
        let store = store.clone();
        async move { store.reap(now, max).await }
    });
    let api = routes::api().merge(moving.api());
    Ok(Service::new(api.with_state(app))
        .store(moving.report())
        .task("move", moving.task())
        .task("reaper", reap)
        .ready_check("store", move || {
            let store = checked.clone();
            async move { store.ping().await.map_err(|_| "does not answer".to_owned()) }
        }))
}
