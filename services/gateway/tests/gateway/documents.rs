//! The OpenAPI document, the page made from it, and what it promises about who may call what.

use std::collections::HashSet;

use emporium_service_kit::ServiceName;
use emporium_test_kit::schemas::check_openapi;
use serde_json::Value;

use crate::support::*;

fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            found.push((method.to_uppercase(), path.clone(), operation.clone()));
        }
    }
    found
}

/// Every `$ref` in a document.
fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|member| references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

/// An address with its parameters filled in.
fn filled(path: &str) -> String {
    path.replace("{name}", "orders")
        .replace("{board}", "services")
        .replace("dead-letters/orders/{id}", "dead-letters/orders/1")
        .replace("{id}", &id(1).to_string())
        .replace("{review_id}", &id(2).to_string())
        .replace("{product_id}", &id(1).to_string())
}

#[tokio::test]
async fn the_committed_document_is_the_code_s() {
    let peers = ServiceName::listening().map(|name| (name, "http://127.0.0.1:1".to_owned()));
    let service = emporium_gateway::build_with(&environment(peers.collect()), config()).unwrap();
    check_openapi(env!("CARGO_MANIFEST_DIR"), &service);
    let document = serde_json::to_value(service.openapi()).unwrap();
    let mut found = Vec::new();
    references(&document, &mut found);
    for reference in found {
        assert!(
            document.pointer(&reference[1..]).is_some(),
            "{reference} leads nowhere"
        );
    }
    let all = operations(&document);
    let names: HashSet<&str> = all
        .iter()
        .map(|(_, _, found)| found["operationId"].as_str().unwrap())
        .collect();
    assert_eq!(names.len(), all.len(), "operation ids are unique");
    for (method, path, operation) in &all {
        let bodiless = ["GET", "DELETE"].contains(&method.as_str())
            || path.ends_with("/default")
            || ["/replay", "/pause", "/resume", "/rebuild"]
                .iter()
                .any(|act| path.ends_with(act));
        assert_eq!(
            operation.get("requestBody").is_none(),
            bodiless,
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn every_answer_is_described_and_problems_are_called_what_they_are() {
    let shop = Shop::open().await;
    let document = shop.guest().get("/api/openapi.json").await.expect(200);
    for (method, path, operation) in operations(&document) {
        let answers = operation["responses"].as_object().unwrap();
        assert!(answers.contains_key("default"), "{method} {path}");
        for (status, answer) in answers {
            let place = format!("{method} {path} {status}");
            assert_ne!(answer["description"].as_str().unwrap_or_default(), "", "{place}");
            let kinds: Vec<&String> = answer["content"]
                .as_object()
                .into_iter()
                .flat_map(|map| map.keys())
                .collect();
            match status.as_str() {
                "204" => assert!(kinds.is_empty(), "{place}"),
                status if status.starts_with('2') => assert_eq!(kinds, ["application/json"], "{place}"),
                _ => assert_eq!(kinds, ["application/problem+json"], "{place}"),
            }
        }
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let query = parameter["in"] == "query";
            assert!(
                !(query && parameter["required"] == true),
                "{method} {path}: {parameter}"
            );
        }
    }
}

/// True when every way of signing in that an operation names is one: an empty one says that it goes without, too.
fn needs_session(operation: &Value) -> bool {
    let ways = operation["security"].as_array();
    ways.is_some_and(|ways| {
        ways.iter()
            .all(|way| way.as_object().is_some_and(|way| !way.is_empty()))
    })
}

#[tokio::test]
async fn every_address_that_needs_a_session_says_so_and_means_it() {
    let shop = Shop::open().await;
    let document = shop.guest().get("/api/openapi.json").await.expect(200);
    let all = operations(&document);
    assert!(all.len() > 25);
    for (method, path, operation) in all {
        let at = filled(&path);
        let protected = needs_session(&operation);
        let personal =
            path.starts_with("/api/me") || path.starts_with("/api/orders") || path.starts_with("/api/admin");
        assert!(protected || !personal, "{method} {path} must need a session");
        if protected {
            // Without any body: who asks is settled before what is asked.
            shop.send(&method, &at, &[], None)
                .await
                .expect_problem(401, "sign-in-required");
            // The blocked can end their sessions and nothing else.
            if !path.starts_with("/api/sessions") {
                let bearer = format!("Bearer {BLOCKED_TOKEN}");
                let reply = shop.send(&method, &at, &[("authorization", &bearer)], None).await;
                reply.expect_problem(403, "user-blocked");
            }
        }
        if path.starts_with("/api/admin") {
            let bearer = format!("Bearer {CUSTOMER_TOKEN}");
            let reply = shop.send(&method, &at, &[("authorization", &bearer)], None).await;
            reply.expect_problem(403, "administrators-only");
        }
    }
    for server in [
        &shop.users,
        &shop.catalog,
        &shop.carts,
        &shop.orders,
        &shop.payments,
    ] {
        assert!(
            server.received_requests().await.unwrap().is_empty(),
            "nothing was called for them"
        );
    }
}

#[tokio::test]
async fn the_page_shows_the_whole_document_and_needs_nothing_from_elsewhere() {
    let shop = Shop::open().await;
    let document = shop.guest().get("/api/openapi.json").await;
    let same = shop.guest().get("/openapi.json").await;
    assert_eq!(document.text, same.text);
    let document = document.expect(200);
    for at in ["/api", "/api/docs"] {
        let page = shop.guest().get(at).await;
        assert_eq!(
            (page.status, page.content_type.as_str()),
            (200, "text/html; charset=utf-8")
        );
        for (method, path, operation) in operations(&document) {
            assert!(
                page.text.contains(&format!("<code>{path}</code>")),
                "{method} {path}"
            );
            let anchor = format!("id=\"{}\"", operation["operationId"].as_str().unwrap());
            assert_eq!(page.text.matches(&anchor).count(), 1, "{anchor}");
        }
        for name in document["components"]["schemas"].as_object().unwrap().keys() {
            assert!(page.text.contains(&format!("id=\"shape-{name}\"")), "{name}");
        }
        for forbidden in ["<script", "<style", "style=", "http://", "https://", "onclick"] {
            assert!(!page.text.contains(forbidden), "{forbidden}");
        }
        // Every link within the page leads somewhere.
        for link in page.text.split("href=\"#").skip(1) {
            let anchor = link.split('"').next().unwrap();
            assert!(page.text.contains(&format!("id=\"{anchor}\"")), "{anchor}");
        }
    }
    let style = shop.guest().get("/api/docs/style.css").await;
    assert_eq!(
        (style.status, style.content_type.as_str()),
        (200, "text/css; charset=utf-8")
    );
}
