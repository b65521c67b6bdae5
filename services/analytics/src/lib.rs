//! The analytics service: figures of the business, a projection of other services' events; and what visitors do, which the
//! gateway tells.

mod ask;
mod config;
mod error;
pub mod events;
mod measures;
pub mod model;
mod routes;
pub mod store;

use std::sync::Arc;
use std::time::Duration;

use emporium_event_bus::projection::Projections;
use emporium_event_bus::{BusError, ConsumerGroup, EventsReport, StartAt};
use emporium_service_kit::report::Opened;
use emporium_service_kit::{Environment, Service, ServiceName, StartError, reaper};

pub use crate::config::Config;
use crate::measures::Measures;
use crate::routes::App;
use crate::store::PROJECTION;

/// How often days are closed.
const CLOSE_PERIOD: Duration = Duration::from_mins(10);

/// Whose histories the projection is made from.
pub const OWNERS: [ServiceName; 3] = [ServiceName::Catalog, ServiceName::Orders, ServiceName::Payments];

/// Builds the service with its settings from environment variables.
pub async fn build(environment: &Environment) -> Result<Service, StartError> {
    build_with(environment, emporium_service_kit::config::from_env()?).await
}

/// Builds the service: store, routes, consumer, closing of days.
pub async fn build_with(environment: &Environment, config: Config) -> Result<Service, StartError> {
    let Opened { store, report } = store::open(environment).await?;
    let bus = emporium_event_bus::open(environment)
        .await
        .map_err(BusError::into_start_error)?;
    let owners: Result<_, _> = OWNERS
        .into_iter()
        .map(|owner| environment.client(owner))
        .collect();
    let group = ConsumerGroup::new(
        bus.clone(),
        PROJECTION,
        store.projection(),
        StartAt::Histories(owners?),
        &environment.metrics,
    );
    let group = Arc::new(group.with_clock(environment.clock.clone()));
    let app = App {
        store: store.clone(),
        group: group.clone(),
        clock: environment.clock.clone(),
        currency: config.currency,
        terms: config.terms(),
        measures: Measures::new(&environment.metrics),
    };
    let (closing, kept) = (store.clone(), config.terms().kept);
    let close = reaper::task(environment, CLOSE_PERIOD, move |now, max| {
        let store = closing.clone();
        async move { store.close_days((now - kept).date(), max).await }
    });
    let stop = environment.shutdown.clone();
    let api = routes::api().merge(Projections::of([&group]).api());
    Ok(Service::new(api.with_state(app))
        .store(report)
        .store(EventsReport::of(&bus).group(&group).shared())
        .task("close-days", close)
        .task("consumer", move || {
            let (group, stop) = (group.clone(), stop.clone());
            async move { group.run(stop).await }
        })
        .ready_check("store", move || {
            let store = store.clone();
            async move { store.ping().await.map_err(|_| "does not answer".to_owned()) }
        }))
}
