//! Committed documents: OpenAPI and event schemas. `EMPORIUM_UPDATE=1` writes them anew.

use std::path::Path;

use emporium_event_bus::event::EventData;
use emporium_event_bus::schema;
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::{Clock, Environment, Service, ServiceName, StartError};
use serde_json::Value;
use utoipa::ToSchema;

use crate::events::owner;
use crate::service::{Keys, TestService, absent};

/// Checks that `<folder>/openapi.json` is what the service `name` says of itself when it is built beside these peers. Call it
/// with `env!("CARGO_MANIFEST_DIR")`.
pub async fn check_service(
    folder: &str,
    name: ServiceName,
    peers: &[ServiceName],
    build: impl AsyncFn(&Environment) -> Result<Service, StartError>,
) {
    let running = TestService::start(name, &Keys::default(), &absent(peers), Clock::System, &build).await;
    let mut environment = running.environment.clone();
    // A second service of one process needs metrics of its own.
    environment.metrics = Metrics::new(name);
    check_openapi(folder, &build(&environment).await.unwrap());
    running.stop().await;
}

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

/// Checks that the owner of events of this type (another service, in a folder beside `folder`) has committed to what is read of
/// them: fields that are always there, and such as may be null or absent.
#[track_caller]
pub fn check_read(folder: &str, kind: &str, always: &[&str], perhaps: &[&str]) {
    let path = format!("{folder}/../{}/schemas/{kind}.json", owner(kind));
    let document: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
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
        assert!(required.contains(field), "{kind} does not promise {field}");
    }
    for field in always.iter().chain(perhaps) {
        assert!(schema["properties"][field].is_object(), "{kind} has no {field}");
    }
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
