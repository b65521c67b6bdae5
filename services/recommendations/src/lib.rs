//! The recommendations service: what goods are bought with, who may want what, what many buy. A projection of orders and
//! products, with a cache of shelves.

pub mod cache;
mod config;
pub mod decay;
pub mod evaluation;
pub mod events;
pub mod model;
mod routes;
pub mod scoring;
pub mod shelves;
pub mod store;

use std::sync::Arc;
use std::time::Duration;

use emporium_event_bus::projection::Projections;
use emporium_event_bus::{BusError, ConsumerGroup, EventsReport};
use emporium_service_kit::{Environment, Service, ServiceName, StartError, reaper};

use crate::cache::Cached;
pub use crate::config::Config;
use crate::routes::App;
use crate::shelves::Shelves;
use crate::store::PROJECTION;

/// How often expired shelves are removed.
const REAP_PERIOD: Duration = Duration::from_mins(1);

/// Whose histories the projection is made from.
pub const OWNERS: [ServiceName; 2] = [ServiceName::Catalog, ServiceName::Orders];

/// Builds the service with its settings from environment variables.
pub async fn build(environment: &Environment) -> Result<Service, StartError> {
    build_with(environment, emporium_service_kit::config::from_env()?).await
}

/// Builds the service: store, cache, routes, consumer.
pub async fn build_with(environment: &Environment, config: Config) -> Result<Service, StartError> {
    let cell = store::Group::default();
    let moving = store::open(environment, &cell).await?;
    let store = store::gated(&moving, environment)?;
    let Cached {
        cache,
        report: cache_report,
    } = cache::open(environment).await?;
    let bus = emporium_event_bus::open(environment)
        .await
        .map_err(BusError::into_start_error)?;
    let group = ConsumerGroup::of_histories(environment, &bus, PROJECTION, store.projection(), &OWNERS)?;
    // Set once, here.
    let _ = cell.set(group.clone());
    let shelves = Shelves::new(
        store.clone(),
        cache.clone(),
        config.lifetime(),
        environment.clock.clone(),
        &environment.metrics,
    );
    let app = App {
        store: store.clone(),
        shelves: Arc::new(shelves),
        group: group.clone(),
    };
    let reap = reaper::task(environment, REAP_PERIOD, move |now, max| {
        let cache = cache.clone();
        async move { cache.reap(now, max).await }
    });
    let api = routes::api()
        .merge(Projections::of([&group]).api())
        .merge(moving.api());
    Ok(Service::new(api.with_state(app))
        .store(moving.report())
        .store(cache_report)
        .store(EventsReport::of(&bus).group(&group).shared())
        .task("move", moving.task())
        .task("expired-shelves", reap)
        .task("consumer", group.task(environment))
        .ready_check("store", move || {
            let store = store.clone();
            async move { store.ping().await.map_err(|_| "does not answer".to_owned()) }
        }))
}
