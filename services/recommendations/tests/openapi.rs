//! The committed OpenAPI document is what the code says (`EMPORIUM_UPDATE=1` writes it anew), and the owners' committed
//! schemas have what is read of their events.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;

use emporium_test_kit::schemas;
use serde_json::Value;
use support::Shop;

const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

#[tokio::test]
async fn the_document_is_committed() {
    let shop = Shop::start(&[]).await;
    let service = emporium_recommendations::build(&shop.service.environment)
        .await
        .unwrap();
    schemas::check_openapi(FOLDER, &service);
    shop.service.stop().await;
}

/// What is read of each event: fields that are always there, and fields that may be null.
const READ: [(&str, &[&str], &[&str]); 5] = [
    (
        "orders/schemas/order.confirmed.v1.json",
        &["order_id", "lines", "placed_at"],
        &["customer_id"],
    ),
    (
        "orders/schemas/order.refunded.v1.json",
        &["lines"],
        &["customer_id"],
    ),
    ("catalog/schemas/product.created.v1.json", PRODUCT, &[]),
    ("catalog/schemas/product.updated.v1.json", PRODUCT, &[]),
    ("catalog/schemas/product.archived.v1.json", PRODUCT, &[]),
];
const PRODUCT: &[&str] = &["id", "version", "status"];

#[test]
fn the_owners_promise_what_is_read() {
    for (file, always, nullable) in READ {
        let text = std::fs::read_to_string(Path::new(FOLDER).join("..").join(file)).unwrap();
        let document: Value = serde_json::from_str(&text).unwrap();
        let schema = match document["$ref"].as_str() {
            Some(place) => document.pointer(place.trim_start_matches('#')).unwrap(),
            None => &document,
        };
        let required: Vec<&str> = schema["required"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str)
            .collect();
        for field in always {
            assert!(required.contains(field), "{file} does not promise {field}");
        }
        for field in always.iter().chain(nullable) {
            assert!(schema["properties"][field].is_object(), "{file} has no {field}");
        }
    }
}
