//! The monitoring service: scrapes every service's metrics (or lets a Prometheus do it), keeps them as points, minutes and
//! hours, and answers how they went.

mod boards;
mod config;
mod error;
pub mod exposition;
mod keeper;
mod measures;
pub mod model;
mod number;
pub mod question;
mod routes;
mod scrape;
pub mod sketch;
pub mod store;
pub mod summary;
mod targets;

use std::sync::Arc;

use emporium_moving::Timing;
use emporium_service_kit::auth::Secret;
use emporium_service_kit::{Environment, Service, ServiceName, StartError};
use tokio::sync::Semaphore;

pub use crate::config::Config;
pub use crate::error::Error;
pub use crate::keeper::Keeper;
use crate::routes::{App, QUESTIONS_MAX};
use crate::scrape::Scraper;
use crate::store::Making;
use crate::targets::Targets;

/// The token that a Prometheus shows to be told its targets, from the monitoring service's own secret: it opens
/// `GET /scrape-targets` and nothing else.
pub fn scrape_token(secret: &Secret) -> String {
    secret.token_for(ServiceName::Monitoring)
}

/// Builds the service with its settings from environment variables.
pub async fn build(environment: &Environment) -> Result<Service, StartError> {
    build_with(environment, emporium_service_kit::config::from_env()?).await
}

/// Builds the service: store, routes, scraper.
pub async fn build_with(environment: &Environment, config: Config) -> Result<Service, StartError> {
    Ok(assemble(environment, config).await?.0)
}

/// The service, and the keeper that does its background work (nothing where the store scrapes by itself): tests make it work
/// by hand.
pub async fn assemble(
    environment: &Environment,
    config: Config,
) -> Result<(Service, Arc<Keeper>), StartError> {
    let making = Making::new(&config, environment);
    let moving = store::open(environment, &making, Timing::default()).await?;
    let store = store::gated(&moving);
    let app = App {
        store: store.clone(),
        clock: environment.clock.clone(),
        questions: Arc::new(Semaphore::new(QUESTIONS_MAX)),
        targets: Targets::new(&environment.peers),
    };
    let mut service = Service::new(routes::api().merge(moving.api()).with_state(app))
        .store(moving.report())
        .task("move", moving.task())
        .ready_check("store", move || {
            let store = store.clone();
            async move { store.ping().await.map_err(|_| "does not answer".to_owned()) }
        });
    let scraper = Scraper::new(environment, &config, making.measures)?;
    let keeper = Arc::new(Keeper::new(scraper, moving.gate(), environment.clock.clone()));
    if let Some(period) = config.period() {
        let (scrapes, tends) = (keeper.clone(), keeper.clone());
        let (stop, stop_too) = (environment.shutdown.clone(), environment.shutdown.clone());
        service = service
            .task("scraper", move || {
                let (keeper, stop) = (scrapes.clone(), stop.clone());
                async move {
                    keeper.scrape(period, stop).await;
                    Ok(())
                }
            })
            .task("keeper", move || {
                let (keeper, stop) = (tends.clone(), stop_too.clone());
                async move {
                    keeper.tend(stop).await;
                    Ok(())
                }
            });
    }
    Ok((service, keeper))
}
