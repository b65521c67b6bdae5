//! `/admin/…`: pages for those who run the shop. Every handler asks for an administrator first.

mod attributes;
mod orders;
mod products;
mod users;

use axum::Router;
use axum::response::Response;
use axum::routing::{get, post};

use crate::app::App;
use crate::pages::see_other;

/// All pages for administrators.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/admin", get(home))
        .route("/admin/orders", get(orders::list))
        .route("/admin/orders/{id}", get(orders::show))
        .route("/admin/orders/{id}/payment-callback", post(orders::call_back))
        .route("/admin/products", get(products::list).post(products::add))
        .route("/admin/products/{id}", get(products::show).post(products::change))
        .route("/admin/products/{id}/archive", post(products::archive))
        .route("/admin/products/{id}/stock", post(products::change_stock))
        .route("/admin/users", get(users::list))
        .route("/admin/users/{id}/status", post(users::set_status))
}

async fn home() -> Response {
    see_other("/admin/orders")
}
