//! The committed OpenAPI document is what the code says. `EMPORIUM_UPDATE=1` writes it anew.
#![allow(clippy::unwrap_used)]

mod common;

use emporium_service_kit::Clock;
use emporium_test_kit::schemas;

#[tokio::test]
async fn the_document_is_committed() {
    let world = common::world(common::Backend::Postgres, Clock::System)
        .await
        .unwrap();
    let service = emporium_sessions::build(&world.sessions.environment)
        .await
        .unwrap();
    schemas::check_openapi(env!("CARGO_MANIFEST_DIR"), &service);
    world.sessions.stop().await;
}
