//! A real Prometheus that scrapes what the service lists: the whole way, from a service's text to a board.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::PathBuf;

use emporium_monitoring::{build, scrape_token};
use emporium_service_kit::auth::fingerprint;
use emporium_service_kit::stores::MONITORING_STORE;
use emporium_service_kit::{Clock, Environment, Service, ServiceName, StartError};
use emporium_test_kit::stores::{OwnStore, PrometheusSettings, own_prometheus};
use emporium_test_kit::{Caller, Keys, TestService, eventually};
use serde_json::{Value, json};
use support::{Peer, Says, rfc3339};

/// A new target is fetched after 5 s at most, taken after 5 s more, and scraped soon.
const DISCOVERY_MAX: u64 = 40;

/// A service with its store there.
async fn on(environment: &Environment, url: &str) -> Result<Service, StartError> {
    let mut environment = environment.clone();
    environment.stores.set(MONITORING_STORE, url.to_owned())?;
    build(&environment).await
}

/// The monitoring service that answers from a Prometheus.
async fn answering(keys: &Keys, url: &str) -> TestService {
    let build = async |environment: &Environment| on(environment, url).await;
    TestService::start(ServiceName::Monitoring, keys, &[], Clock::System, build).await
}

/// A file with a token, for the server to read.
fn token_file(name: &str, token: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, token).unwrap();
    path
}

/// A Prometheus that asks for its targets there.
async fn scraping(list: &str, token_file: &std::path::Path) -> Option<OwnStore> {
    let settings = PrometheusSettings {
        rules: true,
        targets: Some((list.to_owned(), token_file.to_owned())),
        scrape_interval: Some("200ms"),
        ..PrometheusSettings::default()
    };
    own_prometheus(settings).await
}

/// The last known value of each service's line.
async fn last(gateway: &Caller, metric: &str, how: &str) -> Vec<(String, f64)> {
    let path = format!("/range?metric={metric}&as={how}&by=service&step=5");
    let answer = gateway.get(&path).await;
    let lines = answer.json["items"].as_array().cloned().unwrap_or_default();
    let last = |line: &Value| {
        let mut values = line["values"].as_array()?.iter().rev();
        let value = values.find_map(Value::as_f64)?;
        Some((line["labels"]["service"].as_str()?.to_owned(), value))
    };
    lines.iter().filter_map(last).collect()
}

fn line(service: &str, value: f64) -> (String, f64) {
    (service.to_owned(), value)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_services_say_is_on_the_boards() {
    let (keys, clock) = (Keys::default(), Clock::System);
    let orders = Peer::start(Says::Text(said(5))).await;
    let users = Peer::start(Says::Text("m{service=\"orders\"} 7\nup 9\n".to_owned())).await;
    let peers = [
        (ServiceName::Orders, orders.url.clone()),
        (ServiceName::Users, users.url.clone()),
    ];
    // A service on PostgreSQL lists what it knows as well.
    let listing = TestService::start(ServiceName::Monitoring, &keys, &peers, clock, build).await;
    let token = scrape_token(keys.secret(ServiceName::Monitoring));
    let file = token_file("boards.token", &format!("{token}\n"));
    let list = format!("{}/scrape-targets", listing.url);
    let Some(server) = scraping(&list, &file).await else {
        return;
    };
    let service = answering(&keys, &server.url).await;
    let gateway = service.as_caller(ServiceName::Gateway);

    eventually("all are scraped", DISCOVERY_MAX, async || {
        let up = last(&gateway, "up", "min").await;
        let all = [line("monitoring", 1.0), line("orders", 1.0), line("users", 1.0)];
        (up == all).then_some(())
    })
    .await;
    assert_eq!(
        last(&gateway, "m", "max").await,
        [line("users", 7.0)],
        "nobody speaks for somebody else"
    );
    orders.will_say(Says::Text(said(9)));
    eventually("four more are counted", 10, async || {
        let path = "/range?metric=emporium_orders_ended_total&as=increase&by=outcome&step=3600";
        let answer = gateway.get(path).await.expect(200);
        let values = answer["items"][0]["values"].as_array()?.clone();
        // The test may run across a full hour.
        let counted: f64 = values.iter().filter_map(Value::as_f64).sum();
        (3.999..4.001).contains(&counted).then_some(())
    })
    .await;
    let board = gateway.get("/boards/sagas").await.expect(200);
    let known = board["panels"].as_array().unwrap().iter();
    assert!(
        known.clone().any(|panel| panel["known"] == json!(true)),
        "{board}"
    );
    let names = gateway.get("/metric-names").await.expect(200);
    let listed = json!({"name": "emporium_orders_ended_total", "kind": "counter", "series": 1});
    assert!(names["items"].as_array().unwrap().contains(&listed), "{names}");
    users.will_say(Says::Bytes(
        b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n".to_vec(),
    ));
    eventually("one is down", 10, async || {
        let up = last(&gateway, "up", "min").await;
        (up.contains(&line("users", 0.0)) && up.contains(&line("orders", 1.0))).then_some(())
    })
    .await;
    reports(&service).await;
    service.stop().await;
    listing.stop().await;
}

fn said(count: u32) -> String {
    format!(
        "# TYPE emporium_orders_ended_total counter\nemporium_orders_ended_total{{outcome=\"confirmed\"}} {count}\n"
    )
}

async fn reports(service: &TestService) {
    let stores = service
        .as_caller(ServiceName::Operator)
        .get("/stores")
        .await
        .expect(200);
    assert_eq!(stores[0]["adapter"], "prometheus");
    assert!(
        stores[0]["version"]
            .as_str()
            .unwrap()
            .starts_with("Prometheus 3.")
    );
    let lacks = stores[0]["lacks"].as_array().unwrap();
    let lacks: Vec<&str> = lacks
        .iter()
        .map(|lack| lack["capability"].as_str().unwrap())
        .collect();
    assert!(
        lacks.contains(&"counts new series") && !lacks.contains(&"exact increases"),
        "{lacks:?}"
    );
    let metrics = service.anonymous().get("/metrics").await.text;
    let is_call = |line: &str| line.contains("\"prometheus\"") && line.contains("\"query_range\"");
    assert!(metrics.lines().any(is_call), "every call is observed");
}

/// Without the right token there is no list; the file is read again each time, so that mending it is enough.
#[tokio::test(flavor = "multi_thread")]
async fn the_list_is_for_the_right_token() {
    let keys = Keys::default();
    let peers = [(ServiceName::Users, "http://127.0.0.1:9".to_owned())];
    let listing = TestService::start(ServiceName::Monitoring, &keys, &peers, Clock::System, build).await;
    let path = "/scrape-targets";
    listing
        .anonymous()
        .get(path)
        .await
        .expect_problem(401, "service-token-required");
    for caller in [ServiceName::Gateway, ServiceName::Operator, ServiceName::Users] {
        listing
            .as_caller(caller)
            .get(path)
            .await
            .expect_problem(403, "caller-not-allowed");
    }
    let own = listing.as_caller(ServiceName::Monitoring);
    let list = own.get(path).await.expect(200);
    assert_eq!(list[0]["targets"], json!(["127.0.0.1:9"]));
    assert_eq!(
        list[1]["labels"]["service"],
        json!("monitoring"),
        "at the address by which it was asked"
    );
    own.get("/boards").await.expect_problem(403, "caller-not-allowed");

    let token = scrape_token(keys.secret(ServiceName::Monitoring));
    let file = token_file("wrong.token", &fingerprint(&token));
    let Some(server) = scraping(&format!("{}{path}", listing.url), &file).await else {
        return;
    };
    let service = answering(&keys, &server.url).await;
    let gateway = service.as_caller(ServiceName::Gateway);
    eventually("it was refused", DISCOVERY_MAX, async || {
        let metrics = listing.anonymous().get("/metrics").await.text;
        let refused = |line: &str| line.contains("/scrape-targets") && line.contains("status=\"4xx\"");
        // Ours were five.
        let count = metrics
            .lines()
            .find(|line| line.contains("_count") && refused(line))?;
        let count: f64 = count.rsplit(' ').next()?.parse().ok()?;
        (count > 5.0).then_some(())
    })
    .await;
    gateway
        .get("/range?metric=up")
        .await
        .expect_problem(404, "unknown-metric");
    std::fs::write(&file, token).unwrap();
    eventually("the right token is taken", DISCOVERY_MAX, async || {
        let up = last(&gateway, "up", "min").await;
        (up == [line("monitoring", 1.0), line("users", 0.0)]).then_some(())
    })
    .await;
    service.stop().await;
    listing.stop().await;
}

/// The list as it is now counts: services come and go.
#[tokio::test(flavor = "multi_thread")]
async fn targets_come_and_go() {
    let keys = Keys::default();
    let users = Peer::start(Says::Text("m 1\n".to_owned())).await;
    let orders = Peer::start(Says::Text("m 2\n".to_owned())).await;
    let entry = |name: &str, peer: &Peer| json!({"targets": [peer.url.strip_prefix("http://").unwrap()], "labels": {"service": name, "instance": name}});
    let answer = |list: Value| {
        let (list, kind) = (list.to_string(), "content-type: application/json");
        let head = format!(
            "HTTP/1.1 200 OK\r\n{kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            list.len()
        );
        Says::Bytes((head + &list).into_bytes())
    };
    let list = Peer::start(answer(json!([entry("users", &users)]))).await;
    let file = token_file("list.token", "x");
    let Some(server) = scraping(&list.url, &file).await else {
        return;
    };
    let service = answering(&keys, &server.url).await;
    let gateway = service.as_caller(ServiceName::Gateway);
    let now_up = async || {
        let to = service.environment.clock.now();
        let (from, to) = (rfc3339(to - time::Duration::MINUTE), rfc3339(to));
        let path = format!("/range?metric=up&as=min&by=service&step=1&from={from}&to={to}");
        let answer = gateway.get(&path).await;
        let lines = answer.json["items"].as_array().cloned().unwrap_or_default();
        // The last seconds; the very last one may not be over.
        let is_here = |line: &&Value| {
            line["values"]
                .as_array()
                .is_some_and(|values| values.iter().rev().take(3).any(|value| !value.is_null()))
        };
        lines
            .iter()
            .filter(is_here)
            .map(|line| line["labels"]["service"].clone())
            .collect::<Vec<_>>()
    };
    for (entries, names) in [
        (json!([entry("users", &users)]), json!(["users"])),
        (
            json!([entry("users", &users), entry("orders", &orders)]),
            json!(["orders", "users"]),
        ),
        (json!([entry("orders", &orders)]), json!(["orders"])),
    ] {
        list.will_say(answer(entries));
        eventually("the list is taken", DISCOVERY_MAX, async || {
            (json!(now_up().await) == names).then_some(())
        })
        .await;
    }
    // What was is still known.
    assert_eq!(
        last(&gateway, "m", "max").await,
        [line("orders", 2.0), line("users", 1.0)]
    );
    service.stop().await;
}
