//! `/api/admin`: for administrators only.

mod events;
mod orders;
mod products;
mod users;

use emporium_service_kit::Api;

use crate::app::App;

pub fn routes() -> Api<App> {
    Api::default()
        .merge(users::routes())
        .merge(products::routes())
        .merge(orders::routes())
        .merge(events::routes())
}
