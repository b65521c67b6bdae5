//! The committed OpenAPI document is what the code says. `EMPORIUM_UPDATE=1` writes it anew.

use emporium_service_kit::ServiceName;
use emporium_sessions::build;
use emporium_test_kit::schemas::check_service;

#[tokio::test]
async fn the_document_is_committed() {
    check_service(
        env!("CARGO_MANIFEST_DIR"),
        ServiceName::Sessions,
        &[ServiceName::Users],
        build,
    )
    .await;
}
