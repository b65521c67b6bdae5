//! The carts service: anonymous and signed-in shopping carts, merged at sign-in, expiring by themselves.

mod config;
mod error;
mod model;
mod reaper;
mod routes;
mod store;

use emporium_service_kit::{Environment, Service, StartError};

pub use crate::config::Config;
use crate::routes::App;

/// Builds the service with its settings from environment variables.
pub async fn build(environment: &Environment) -> Result<Service, StartError> {
    build_with(environment, emporium_service_kit::config::from_env()?).await
}

/// Builds the service: store, routes, reaper.
pub async fn build_with(environment: &Environment, config: Config) -> Result<Service, StartError> {
    let store = store::open(config.store.as_deref(), environment).await?;
    let app = App {
        store: store.clone(),
        clock: environment.clock.clone(),
        terms: config.terms(),
    };
    let (checked, reaped, background) = (store.clone(), store, environment.clone());
    Ok(Service::new(routes::api().with_state(app))
        .task("reaper", move || reaper::run(reaped.clone(), background.clone()))
        .ready_check("store", move || {
            let store = checked.clone();
            async move { store.ping().await.map_err(|_| "does not answer".to_owned()) }
        }))
}
