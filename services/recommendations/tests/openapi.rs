//! The committed OpenAPI document is what the code says (`EMPORIUM_UPDATE=1` writes it anew), and the owners' committed
//! schemas have what is read of their events.

use emporium_recommendations::{OWNERS, build};
use emporium_service_kit::ServiceName;
use emporium_test_kit::schemas::{check_read, check_service};

const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

#[tokio::test]
async fn the_document_is_committed() {
    check_service(FOLDER, ServiceName::Recommendations, &OWNERS, build).await;
}

/// What is read of each event: fields that are always there, and fields that may be null.
const READ: [(&str, &[&str], &[&str]); 5] = [
    (
        "order.confirmed.v1",
        &["order_id", "lines", "placed_at"],
        &["customer_id"],
    ),
    ("order.refunded.v1", &["lines"], &["customer_id"]),
    ("product.created.v1", PRODUCT, &[]),
    ("product.updated.v1", PRODUCT, &[]),
    ("product.archived.v1", PRODUCT, &[]),
];
const PRODUCT: &[&str] = &["id", "version", "status"];

#[test]
fn the_owners_promise_what_is_read() {
    for (kind, always, perhaps) in READ {
        check_read(FOLDER, kind, always, perhaps);
    }
}
