//! The committed OpenAPI document is what the code says. `EMPORIUM_UPDATE=1` writes it anew.
#![allow(clippy::unwrap_used)]

use emporium_service_kit::{Clock, ServiceName};
use emporium_test_kit::{Keys, TestService, schemas};

#[tokio::test]
async fn the_document_is_committed() {
    let monitoring = TestService::start(
        ServiceName::Monitoring,
        &Keys::default(),
        &[],
        Clock::System,
        emporium_monitoring::build,
    )
    .await;
    let service = emporium_monitoring::build(&monitoring.environment).await.unwrap();
    schemas::check_openapi(env!("CARGO_MANIFEST_DIR"), &service);
    monitoring.stop().await;
}
