//! The committed OpenAPI document is what the code says (`EMPORIUM_UPDATE=1` writes it anew), and the owners' committed
//! schemas have what is read of their events.

use emporium_analytics::{OWNERS, build};
use emporium_service_kit::ServiceName;
use emporium_test_kit::schemas::{check_read, check_service};

const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

#[tokio::test]
async fn the_document_is_committed() {
    check_service(FOLDER, ServiceName::Analytics, &OWNERS, build).await;
}

/// What is read of each event: fields that are always there, and fields that may be null.
const READ: [(&str, &[&str], &[&str]); 9] = [
    ("order.placed.v1", ORDER, &["customer_id", "country"]),
    ("order.confirmed.v1", ORDER, &["customer_id", "country"]),
    ("order.cancelled.v1", ORDER, &["customer_id", "country"]),
    (
        "order.refunded.v1",
        &["refund_id", "amount", "lines"],
        &["order_id"],
    ),
    ("payment.succeeded.v1", &["amount"], &[]),
    ("payment.refunded.v1", &["amount"], &[]),
    ("product.created.v1", PRODUCT, &["brand"]),
    ("product.updated.v1", PRODUCT, &["brand"]),
    ("product.archived.v1", PRODUCT, &["brand"]),
];
const ORDER: &[&str] = &["order_id", "lines", "total", "placed_at"];
const PRODUCT: &[&str] = &["id", "version", "sku", "name", "category"];

#[test]
fn the_owners_promise_what_is_read() {
    for (kind, always, perhaps) in READ {
        check_read(FOLDER, kind, always, perhaps);
    }
}
