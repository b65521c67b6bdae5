//! The reviews service: ratings and texts of products, with helpful votes, the seller's answers and moderation; the mark of a
//! verified purchase; summaries of ratings.
//!
//! Where to begin reading: [`store`] has the business verbs and what every adapter keeps; [`changes`] says what events of
//! orders, users and of this service change in the projection `ratings`.

pub mod attributes;
pub mod bulk;
pub mod changes;
mod error;
pub mod events;
pub mod listing;
pub mod model;
mod routes;
mod rules;
pub mod store;

use emporium_event_bus::{BusError, ConsumerGroup, EventsReport};
use emporium_service_kit::{Environment, Service, ServiceName, StartError};

use crate::routes::App;
use crate::store::ReviewStore;

/// Whose histories the projection is made from: marks from orders, names from users, ratings from this service's own.
const OWNERS: [ServiceName; 3] = [ServiceName::Orders, ServiceName::Users, ServiceName::Reviews];

/// Builds the service: store, routes, relay, consumer.
pub async fn build(environment: &Environment) -> Result<Service, StartError> {
    let group = store::Group::default();
    let moving = store::open(environment, &group).await?;
    let store = store::gated(&moving, environment)?;
    let outbox = store.relayed();
    let bus = emporium_event_bus::open(environment)
        .await
        .map_err(BusError::into_start_error)?;
    let ratings =
        ConsumerGroup::of_histories(environment, &bus, store::PROJECTION, store.projection(), &OWNERS)?;
    // Set once, here.
    let _ = group.set(ratings.clone());
    let app = App {
        store: store.clone(),
        ratings: ratings.clone(),
    };
    let stop = environment.shutdown.clone();
    let events = EventsReport::of(&bus).group(&ratings).outbox(&outbox);
    let api = routes::api(&ratings).merge(moving.api());
    Ok(Service::new(api.with_state(app))
        .store(moving.report())
        .store(events.shared())
        .task("move", moving.task())
        .task("relay", move || outbox.clone().relay(bus.clone(), stop.clone()))
        .task("ratings", ratings.task(environment))
        .ready_check("store", move || {
            let store = store.clone();
            async move { store.ping().await.map_err(|_| "does not answer".to_owned()) }
        }))
}
