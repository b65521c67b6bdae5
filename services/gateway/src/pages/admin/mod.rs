//! `/admin/…`: pages for those who run the shop. Every handler asks for an administrator first.

mod attributes;
mod business;
mod letters;
mod operations;
mod orders;
mod overview;
mod products;
mod projections;
mod reviews;
mod section;
mod users;

use axum::Router;
use axum::routing::{get, post};

use crate::app::App;

/// All pages for administrators.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/admin", get(overview::show))
        .route("/admin/business", get(business::show))
        .route("/admin/operations", get(operations::show))
        .route("/admin/orders", get(orders::list))
        .route("/admin/orders/{id}", get(orders::show))
        .route("/admin/orders/{id}/payment-callback", post(orders::call_back))
        .route("/admin/products", get(products::list).post(products::add))
        .route("/admin/products/{id}", get(products::show).post(products::change))
        .route("/admin/products/{id}/archive", post(products::archive))
        .route("/admin/products/{id}/stock", post(products::change_stock))
        .route("/admin/reviews", get(reviews::list))
        .route("/admin/reviews/{id}/moderation", post(reviews::moderate))
        .route(
            "/admin/products/{id}/reviews/{review_id}/answer",
            post(reviews::answer),
        )
        .route("/admin/users", get(users::list))
        .route("/admin/users/{id}/status", post(users::set_status))
        .merge(event_routes())
}

fn event_routes() -> Router<App> {
    Router::new()
        .route("/admin/projections", get(projections::list))
        .route("/admin/projections/{name}", get(projections::show))
        .route("/admin/projections/{name}/pause", post(projections::pause))
        .route("/admin/projections/{name}/resume", post(projections::resume))
        .route("/admin/projections/{name}/rebuild", post(projections::rebuild))
        .route("/admin/dead-letters", get(letters::list))
        .route("/admin/dead-letters/{name}/replay", post(letters::replay_all))
        .route("/admin/dead-letters/{name}/{id}/replay", post(letters::replay))
}
