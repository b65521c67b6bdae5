//! The sessions service.

use emporium_service_kit::{Environment, Service, StartError};

/// Builds the service.
pub async fn build(_environment: &Environment) -> Result<Service, StartError> {
    Ok(Service::new(utoipa_axum::router::OpenApiRouter::new()))
}
