//! Events as their owners write them.

use emporium_event_bus::CloudEvent;
use emporium_service_kit::ServiceName;
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

/// An event of the type's owner (`order.placed.v1` is from `/orders`), the first one of a new subject. A test that needs
/// another subject or version says `CloudEvent { subject, ..event(…) }`.
pub fn event(kind: &str, at: OffsetDateTime, data: &Value) -> CloudEvent {
    CloudEvent {
        specversion: "1.0".to_owned(),
        id: Uuid::now_v7(),
        source: format!("/{}", owner(kind)),
        kind: kind.to_owned(),
        subject: Uuid::now_v7().to_string(),
        time: at,
        datacontenttype: "application/json".to_owned(),
        aggregateversion: 1,
        traceparent: None,
        data: serde_json::value::to_raw_value(data).unwrap(),
    }
}

/// Whose events of this type are.
pub(crate) fn owner(kind: &str) -> ServiceName {
    match kind.split('.').next() {
        Some("order") => ServiceName::Orders,
        Some("payment") => ServiceName::Payments,
        Some("popularity" | "product" | "stock") => ServiceName::Catalog,
        Some("review") => ServiceName::Reviews,
        Some("user") => ServiceName::Users,
        _ => panic!("nobody owns {kind}"),
    }
}
