//! `/api/status`: how the services are.

use axum::Json;
use axum::extract::State;
use emporium_service_kit::Api;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::app::App;
use crate::clients::{HealthStatus, ServiceHealth};

pub fn routes() -> Api<App> {
    Api::default().public(routes!(get_status))
}

/// How the shop is.
#[derive(Serialize, ToSchema)]
pub struct Status {
    /// `up` when every service is, else `degraded`: what does not need the missing ones works.
    status: &'static str,
    /// Each service.
    services: Vec<ServiceHealth>,
}

/// Asks every service whether it is ready; takes at most half a second.
#[utoipa::path(get, path = "/api/status", tag = "status", responses((status = 200, body = Status)))]
async fn get_status(State(app): State<App>) -> Json<Status> {
    let services = app.clients.health().await;
    let all_up = services.iter().all(|service| service.status == HealthStatus::Up);
    Json(Status {
        status: if all_up { "up" } else { "degraded" },
        services,
    })
}
