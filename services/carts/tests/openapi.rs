//! The committed OpenAPI document is what the code says. `EMPORIUM_UPDATE=1` writes it anew.
#![allow(clippy::unwrap_used)]

use emporium_service_kit::{Clock, ServiceName};
use emporium_test_kit::{Keys, TestService, schemas};

#[tokio::test]
async fn the_document_is_committed() {
    let carts = TestService::start(
        ServiceName::Carts,
        &Keys::default(),
        &[],
        Clock::System,
        emporium_carts::build,
    )
    .await;
    let service = emporium_carts::build(&carts.environment).await.unwrap();
    schemas::check_openapi(env!("CARGO_MANIFEST_DIR"), &service);
    carts.stop().await;
}
