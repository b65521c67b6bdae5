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

use std::time::Duration;

use emporium_event_bus::projection::Projections;
use emporium_event_bus::{BusError, ConsumerGroup, EventsReport};
use emporium_service_kit::{Environment, Service, ServiceName, StartError, reaper};
use time::{Date, OffsetDateTime, UtcOffset};

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
    let cell = store::Group::default();
    let moving = store::open(environment, &cell).await?;
    let store = store::gated(&moving, environment)?;
    let bus = emporium_event_bus::open(environment)
        .await
        .map_err(BusError::into_start_error)?;
    let group = ConsumerGroup::of_histories(environment, &bus, PROJECTION, store.projection(), &OWNERS)?;
    // Set once, here.
    let _ = cell.set(group.clone());
    let app = App {
        store: store.clone(),
        group: group.clone(),
        clock: environment.clock.clone(),
        currency: config.currency,
        terms: config.terms(),
        measures: Measures::new(&environment.metrics),
    };
    let (closing, orders, kept) = (store.clone(), group.clone(), config.terms().kept);
    let close = reaper::task(environment, CLOSE_PERIOD, move |now, max| {
        let (store, before) = (closing.clone(), first_open(now - kept, orders.status().as_of));
        async move {
            match before {
                Some(before) => store.close_days(before, max).await,
                None => Ok(0),
            }
        }
    });
    let api = routes::api()
        .merge(Projections::of([&group]).api())
        .merge(moving.api());
    Ok(Service::new(api.with_state(app))
        .store(moving.report())
        .store(EventsReport::of(&bus).group(&group).shared())
        .task("move", moving.task())
        .task("close-days", close)
        .task("consumer", group.task(environment))
        .ready_check("store", move || {
            let store = store.clone();
            async move { store.ping().await.map_err(|_| "does not answer".to_owned()) }
        }))
}

/// The first day that is not closed yet. A closed day tells for ever how many of its visitors have paid, so all of its orders have
/// to be known: days that the projection has not reached the end of (`as_of`) stay open, and so does every day while nobody knows.
fn first_open(kept_from: OffsetDateTime, as_of: Option<OffsetDateTime>) -> Option<Date> {
    let known_until = as_of?.to_offset(UtcOffset::UTC).date();
    Some(kept_from.date().min(known_until))
}

#[cfg(test)]
mod tests {
    use time::macros::{date, datetime};

    use super::first_open;

    #[test]
    fn days_whose_orders_are_not_all_known_stay_open() {
        let kept_from = datetime!(2030-03-10 15:00 UTC);
        assert_eq!(first_open(kept_from, None), None);
        for (as_of, first) in [
            (datetime!(2030-04-09 15:00 UTC), date!(2030 - 03 - 10)),
            (datetime!(2030-03-10 00:00 UTC), date!(2030 - 03 - 10)),
            // The 8th is over by then, the 9th is not.
            (datetime!(2030-03-09 23:59 UTC), date!(2030 - 03 - 09)),
        ] {
            assert_eq!(first_open(kept_from, Some(as_of)), Some(first), "{as_of}");
        }
    }
}
