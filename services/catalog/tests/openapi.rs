//! The committed documents.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;

use emporium_catalog::events::{
    PopularityChanged, ProductArchived, ProductCreated, ProductUpdated, StockAdjusted, StockChanged,
};
use emporium_service_kit::{Clock, ServiceName};
use emporium_test_kit::schemas::{check_event, check_openapi};
use emporium_test_kit::{Keys, TestService};

const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

#[tokio::test]
async fn the_committed_openapi_document_is_the_services() {
    let catalog = TestService::start(
        ServiceName::Catalog,
        &Keys::default(),
        &[],
        Clock::System,
        emporium_catalog::build,
    )
    .await;
    let mut environment = catalog.environment.clone();
    environment.peers = HashMap::new();
    environment.metrics = emporium_service_kit::metrics::Metrics::new(ServiceName::Catalog);
    check_openapi(FOLDER, &emporium_catalog::build(&environment).await.unwrap());
    catalog.stop().await;
}

#[test]
fn the_committed_event_schemas_are_the_services() {
    check_event::<ProductCreated>(FOLDER);
    check_event::<ProductUpdated>(FOLDER);
    check_event::<ProductArchived>(FOLDER);
    check_event::<StockChanged>(FOLDER);
    check_event::<StockAdjusted>(FOLDER);
    check_event::<PopularityChanged>(FOLDER);
}
