//! What the API tests share.
#![allow(dead_code, clippy::unwrap_used)]

pub mod corner;
pub mod orders;

use emporium_service_kit::{Clock, ServiceName};
use emporium_test_kit::{Caller, Keys, TestService};
use serde_json::{Value, json};

pub async fn start() -> TestService {
    TestService::start(
        ServiceName::Catalog,
        &Keys::default(),
        &[],
        Clock::System,
        emporium_catalog::build,
    )
    .await
}

pub fn gateway(catalog: &TestService) -> Caller {
    catalog.as_caller(ServiceName::Gateway)
}

pub fn mug(sku: &str) -> Value {
    json!({
        "sku": sku, "name": "Blue mug", "description": "Holds tea.\nAnd coffee.", "category": "Kitchen & Dining",
        "price": {"amount": 1250, "currency": "GBP"}, "brand": "Potteries",
        "attributes": {"colour": "blue", "volume_ml": 350, "dishwasher_safe": true}
    })
}

pub async fn create(caller: &Caller, sku: &str, stock: i64) -> String {
    let product = caller.post("/products", mug(sku)).await.expect(201);
    let id = product["id"].as_str().unwrap().to_owned();
    if stock != 0 {
        caller
            .post(&format!("/products/{id}/stock"), json!({"delta": stock}))
            .await
            .expect(200);
    }
    id
}

pub fn format(in_the_future: time::Duration) -> String {
    let at = Clock::System.now() + in_the_future;
    at.format(&time::format_description::well_known::Rfc3339).unwrap()
}
