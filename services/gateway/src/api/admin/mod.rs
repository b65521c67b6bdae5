//! `/api/admin`: for administrators only.

mod analytics;
mod events;
mod monitoring;
mod orders;
mod products;
mod projections;
mod reviews;
mod users;

use emporium_service_kit::Api;

use crate::app::App;

pub fn routes() -> Api<App> {
    Api::default()
        .merge(users::routes())
        .merge(products::routes())
        .merge(orders::routes())
        .merge(reviews::routes())
        .merge(projections::routes())
        .merge(events::routes())
        .merge(analytics::routes())
        .merge(monitoring::routes())
}
