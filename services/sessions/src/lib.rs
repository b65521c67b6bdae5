//! The sessions service: login, opaque tokens, sliding expiry, log-out everywhere.

mod config;
mod error;
mod events;
mod login;
pub mod model;
mod rebuild;
mod routes;
pub mod store;
pub mod token;

use std::sync::Arc;
use std::time::Duration;

use emporium_event_bus::{BusError, ConsumerGroup, EventsReport, Projections};
use emporium_service_kit::{Environment, Service, ServiceName, StartError, reaper};

pub use crate::config::{Config, Sliding, Throttle};
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
    let terms = config.terms();
    let spans = store::Spans {
        lifetime: terms.lifetime,
        window: terms.throttle.window,
    };
    let moving = store::open(environment, spans).await?;
    let store = store::gated(&moving);
    let bus = emporium_event_bus::open(environment)
        .await
        .map_err(BusError::into_start_error)?;
    let blocker = Arc::new(Blocker::new(
        store.clone(),
        environment.clock.clone(),
        terms.lifetime,
        environment.client(ServiceName::Users)?,
    ));
    // From the users' history: so no block is missed, whatever happens to the bus and whichever bus it is.
    let group = ConsumerGroup::of_histories(environment, &bus, GROUP, blocker, &[ServiceName::Users])?;
    let app = App {
        store: store.clone(),
        users: environment.client(ServiceName::Users)?,
        group: group.clone(),
        clock: environment.clock.clone(),
        terms,
    };
    let checked = store.clone();
    let reap = reaper::task(environment, REAP_PERIOD, move |now, max| {
        let store = store.clone();
        async move { store.reap(now, max).await }
    });
    let api = routes::api()
        .merge(Projections::of([&group]).api())
        .merge(moving.api());
    Ok(Service::new(api.with_state(app))
        .store(moving.report())
        .store(EventsReport::of(&bus).group(&group).shared())
        .task("move", moving.task())
        .task("reaper", reap)
        .task("consumer", group.task(environment))
        .ready_check("store", move || {
            let store = checked.clone();
            async move { store.ping().await.map_err(|_| "does not answer".to_owned()) }
        }))
}
