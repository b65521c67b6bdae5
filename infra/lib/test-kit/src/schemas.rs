//! Committed documents: OpenAPI and event schemas. `EMPORIUM_UPDATE=1` writes them anew.

use std::path::Path;

use emporium_event_bus::event::EventData;
use emporium_event_bus::schema;
use emporium_service_kit::Service;
use serde_json::Value;
use utoipa::ToSchema;

/// Checks that `<folder>/openapi.json` is the service's document. Call it with `env!("CARGO_MANIFEST_DIR")`.
#[track_caller]
pub fn check_openapi(folder: &str, service: &Service) {
    let document = serde_json::to_value(service.openapi()).unwrap();
    assert_eq!(
        document["openapi"].as_str().unwrap().get(..4),
        Some("3.1."),
        "OpenAPI 3.1"
    );
    check_file(&Path::new(folder).join("openapi.json"), &document);
}

/// Checks that `<folder>/schemas/<type>.json` is the payload's schema, and that it breaks nothing that was committed
/// before: a v1 only gains fields, even when it is written anew.
#[track_caller]
pub fn check_event<E: EventData + ToSchema>(folder: &str) {
    let path = Path::new(folder)
        .join("schemas")
        .join(format!("{}.json", E::TYPE));
    let new = schema::document::<E>();
    if let Ok(text) = std::fs::read_to_string(&path) {
        let broken = schema::broken_promises(&serde_json::from_str(&text).unwrap(), &new);
        assert!(broken.is_empty(), "{} breaks its readers: {broken:#?}", E::TYPE);
    }
    check_file(&path, &new);
}

#[track_caller]
fn check_file(path: &Path, document: &Value) {
    if std::env::var_os("EMPORIUM_UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let text = serde_json::to_string_pretty(&sorted(document)).unwrap();
        std::fs::write(path, format!("{text}\n")).unwrap();
    }
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let committed: Value = serde_json::from_str(&text).unwrap_or_default();
    assert!(
        committed == *document,
        "{} is not what the code says: run the test once with EMPORIUM_UPDATE=1 and commit the result",
        path.display()
    );
}

/// The same with its keys in order, whatever order the build's `serde_json` keeps.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let ordered: std::collections::BTreeMap<&String, Value> =
                map.iter().map(|(key, value)| (key, sorted(value))).collect();
            ordered
                .into_iter()
                .map(|(key, value)| (key.clone(), value))
                .collect()
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}
