//! Committed documents: OpenAPI and event schemas.
#![allow(clippy::unwrap_used)]

use emporium_orders::events::{OrderCancelled, OrderConfirmed, OrderPlaced, OrderRefunded};
use emporium_service_kit::ServiceName;
use emporium_test_kit::schemas::{check_event, check_openapi};
use emporium_test_kit::{Keys, TestService};

const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

#[tokio::test]
async fn the_committed_documents_are_what_the_code_says() {
    let peers = [
        ServiceName::Users,
        ServiceName::Catalog,
        ServiceName::Carts,
        ServiceName::Payments,
    ]
    .map(|name| (name, "http://127.0.0.1:9".to_owned()));
    let orders = TestService::start(
        ServiceName::Orders,
        &Keys::default(),
        &peers,
        emporium_service_kit::Clock::System,
        emporium_orders::build,
    )
    .await;
    let service = emporium_orders::build(&orders.environment).await.unwrap();
    check_openapi(FOLDER, &service);
    check_event::<OrderPlaced>(FOLDER);
    check_event::<OrderConfirmed>(FOLDER);
    check_event::<OrderCancelled>(FOLDER);
    check_event::<OrderRefunded>(FOLDER);
    orders.stop().await;
}
