//! The rules that hold between crates and documents, read off the sources.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::PathBuf;

use emporium_service_kit::ServiceName;
use emporium_service_kit::contract::Read;
use emporium_tests::{OWNERS, workspace};
use serde_json::Value;

fn services() -> impl Iterator<Item = &'static str> {
    OWNERS.into_iter().chain(["gateway"])
}

fn service_folder(name: &str) -> PathBuf {
    workspace().join("services").join(name)
}

fn dependencies(manifest: &toml::Table) -> Vec<String> {
    ["dependencies", "dev-dependencies", "build-dependencies"]
        .into_iter()
        .filter_map(|section| manifest.get(section).and_then(toml::Value::as_table))
        .flat_map(|table| table.keys().cloned())
        .collect()
}

#[test]
fn no_service_crate_depends_on_another() {
    for service in services() {
        let text = std::fs::read_to_string(service_folder(service).join("Cargo.toml")).unwrap();
        for dependency in dependencies(&text.parse().unwrap()) {
            let other = dependency
                .strip_prefix("emporium-")
                .filter(|name| services().any(|service| service == *name));
            assert_eq!(other, None, "{service} depends on {dependency}");
            assert_ne!(dependency, "emporium", "{service} depends on the program");
        }
    }
}

#[test]
fn shared_crates_know_no_service() {
    for folder in std::fs::read_dir(workspace().join("infra/lib"))
        .unwrap()
        .flatten()
    {
        let text = std::fs::read_to_string(folder.path().join("Cargo.toml")).unwrap();
        for dependency in dependencies(&text.parse().unwrap()) {
            let service = dependency
                .strip_prefix("emporium-")
                .filter(|name| services().any(|service| service == *name));
            assert_eq!(
                service,
                None,
                "{} depends on {dependency}",
                folder.path().display()
            );
        }
    }
}

#[test]
fn every_service_has_the_same_shape() {
    for service in services() {
        let folder = service_folder(service);
        for file in ["README.md", "openapi.json", "src/main.rs", "src/lib.rs"] {
            assert!(folder.join(file).is_file(), "{service} has no {file}");
        }
        // Recommendations has no errors of its own: whatever it cannot answer is its store's.
        let error = folder.join("src/error.rs").is_file();
        assert!(
            error || service == "recommendations",
            "{service} has no src/error.rs"
        );
        let lines = std::fs::read_to_string(folder.join("src/main.rs"))
            .unwrap()
            .lines()
            .count();
        assert!(lines <= 40, "{service}'s main has {lines} lines");
    }
}

/// Tables carry their service's name, and no statement names a schema: services could share a schema, or have one each.
#[test]
fn tables_carry_their_services_prefix() {
    for service in services() {
        let Ok(folder) = std::fs::read_dir(service_folder(service).join("migrations")) else {
            continue;
        };
        for file in folder.flatten() {
            let sql = std::fs::read_to_string(file.path()).unwrap().to_lowercase();
            assert!(
                !sql.contains("public."),
                "{} names a schema",
                file.path().display()
            );
            for rest in sql.split("create table ").skip(1) {
                let name = rest
                    .trim_start_matches("if not exists ")
                    .split([' ', '(', '\n'])
                    .next()
                    .unwrap();
                assert!(
                    name.starts_with(&format!("{service}_")),
                    "{service} has the table {name}"
                );
            }
        }
    }
}

/// Consumers read only what the providers' committed documents promise, on routes that let them in.
#[test]
fn consumers_read_what_providers_promise() {
    let consumers: [(ServiceName, Vec<Read>); 3] = [
        (ServiceName::Gateway, emporium_gateway::reads()),
        (ServiceName::Orders, emporium_orders::reads()),
        (ServiceName::Sessions, emporium_sessions::reads()),
    ];
    let mut documents: BTreeMap<&str, Value> = BTreeMap::new();
    for service in services() {
        let text = std::fs::read_to_string(service_folder(service).join("openapi.json")).unwrap();
        documents.insert(service, serde_json::from_str(&text).unwrap());
    }
    let mut missing = Vec::new();
    for (consumer, reads) in consumers {
        assert!(!reads.is_empty(), "{consumer} declares what it reads");
        for read in reads {
            let found = read.missing_from(&documents[read.callee.as_str()], consumer);
            missing.extend(
                found
                    .into_iter()
                    .map(|line| format!("{consumer} of {}: {line}", read.callee)),
            );
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}
