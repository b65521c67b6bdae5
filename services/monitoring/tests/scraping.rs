//! Scraping services that are away, slow, endless or mad.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::{Duration as Wall, Instant};

use emporium_service_kit::{Clock, ServiceName};
use emporium_test_kit::{Caller, Keys, TestService, eventually};
use serde_json::{Value, json};
use support::{Peer, Says, start_with};
use time::Duration;
use time::macros::datetime;

const SETTINGS: &[&str] = &["--scrape-timeout-ms", "300", "--scrape-kib-max", "64"];

async fn last(gateway: &Caller, metric: &str, service: &str) -> Value {
    let path = format!("/range?metric={metric}&as=max&label.service={service}&step=3600");
    let answer = gateway.get(&path).await.expect(200);
    answer["items"][0]["values"]
        .as_array()
        .unwrap()
        .last()
        .unwrap()
        .clone()
}

/// One service of each kind of bad: each is down, for its reason, within one time-out, and the good one has no gap.
#[tokio::test]
async fn bad_services_are_down_and_others_are_not_held_up() {
    let good = Peer::start(Says::Text("fine 1\n".to_owned())).await;
    let bad = [
        (ServiceName::Users, Says::Nothing, "timed-out"),
        (ServiceName::Sessions, Says::Endless, "too-large"),
        (
            ServiceName::Catalog,
            Says::Text("<html>".to_owned()),
            "unreadable",
        ),
        (
            ServiceName::Carts,
            Says::Bytes(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n".to_vec()),
            "status",
        ),
        (
            ServiceName::Payments,
            Says::Bytes(b"SSH-2.0-OpenSSH\r\n".to_vec()),
            "unreachable",
        ),
        (
            ServiceName::Reviews,
            Says::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\na 1".to_vec()),
            "unreachable",
        ),
        (
            ServiceName::Analytics,
            Says::Text("a \u{0}\n".to_owned()),
            "unreadable",
        ),
        (
            ServiceName::Gateway,
            Says::Bytes(
                b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n".to_vec(),
            ),
            "status",
        ),
    ];
    let mut peers = vec![(ServiceName::Orders, good.url.clone())];
    let mut held = Vec::new();
    for (name, says, _) in &bad {
        let peer = Peer::start(says.clone()).await;
        peers.push((*name, peer.url.clone()));
        held.push(peer);
    }
    peers.push((ServiceName::Recommendations, "http://127.0.0.1:9".to_owned()));
    let clock = Clock::manual(datetime!(2026-05-04 12:00 UTC));
    let monitoring = start_with(clock.clone(), &peers, SETTINGS).await;
    for _ in 0..4 {
        let began = Instant::now();
        monitoring.round().await;
        assert!(began.elapsed() < Wall::from_secs(3), "{:?}", began.elapsed());
        clock.advance(Duration::seconds(5));
    }
    let gateway = &monitoring.gateway;
    for (name, ..) in &bad {
        assert_eq!(last(gateway, "up", name.as_str()).await, json!(0.0), "{name}");
    }
    assert_eq!(last(gateway, "up", "recommendations").await, json!(0.0));
    assert_eq!(last(gateway, "up", "orders").await, json!(1.0));
    let path = "/range?metric=fine&as=sum&step=3600";
    let fine = gateway.get(path).await.expect(200);
    assert_eq!(
        fine["items"][0]["values"].as_array().unwrap().last().unwrap(),
        &json!(4.0),
        "no gap"
    );
    let own = monitoring.service.anonymous().get("/metrics").await.text;
    for (name, _, outcome) in bad {
        let line = format!("outcome=\"{outcome}\",target=\"{name}\",service=\"monitoring\"}} 4");
        assert!(own.contains(&line), "{line} in {own}");
    }
    // It comes back.
    held[0].will_say(Says::Text("fine 2\n".to_owned()));
    monitoring.round().await;
    assert_eq!(last(gateway, "up", "users").await, json!(1.0));
    monitoring.service.stop().await;
}

/// What a service says of itself is not believed where it would speak for another; what cannot be kept is counted.
#[tokio::test]
async fn nobody_speaks_for_somebody_else() {
    let liar = Peer::start(Says::Text(
        "up{service=\"users\"} 7\nup 9\nm{service=\"users\"} 5\nm{x=\"1\"} NaN\nm{service=\"catalog\"} 6\n"
            .to_owned(),
    ))
    .await;
    let clock = Clock::manual(datetime!(2026-05-04 12:00 UTC));
    let monitoring = start_with(
        clock.clone(),
        &[(ServiceName::Orders, liar.url.clone())],
        SETTINGS,
    )
    .await;
    monitoring.round().await;
    clock.advance(Duration::seconds(1));
    let gateway = &monitoring.gateway;
    assert_eq!(last(gateway, "up", "orders").await, json!(1.0));
    assert_eq!(last(gateway, "m", "orders").await, json!(5.0));
    assert_eq!(
        last(gateway, "scrape_samples_left_out", "orders").await,
        json!(4.0)
    );
    let users = gateway
        .get("/range?metric=up&label.service=users")
        .await
        .expect(200);
    assert_eq!(users["items"], json!([]));
    let own = monitoring.service.anonymous().get("/metrics").await.text;
    for line in [
        "reason=\"repeated\",service=\"monitoring\"} 3",
        "reason=\"not-finite\",service=\"monitoring\"} 1",
    ] {
        assert!(own.contains(line), "{line}");
    }
    monitoring.service.stop().await;
}

/// The real thing: the background tasks scrape a real service, and a second monitoring service on the same database leaves
/// it to the first one until that one ends.
#[tokio::test]
async fn the_background_tasks_scrape_a_real_service() {
    let quick = |environment: &emporium_service_kit::Environment| {
        use clap::Parser;
        let config = emporium_monitoring::Config::parse_from(["monitoring", "--scrape-period-ms", "100"]);
        let environment = environment.clone();
        async move { emporium_monitoring::build_with(&environment, config).await }
    };
    let keys = Keys::default();
    // Any service will do: this one has no database of another's and exports what all export.
    let other = TestService::start(
        ServiceName::Monitoring,
        &keys,
        &[],
        Clock::System,
        emporium_monitoring::build,
    )
    .await;
    let peers = [(ServiceName::Users, other.url.clone())];
    let first = TestService::start(
        ServiceName::Monitoring,
        &keys,
        &peers,
        Clock::System,
        async |environment| quick(environment).await,
    )
    .await;
    let gateway = first.as_caller(ServiceName::Gateway);
    eventually("it has scraped for a while", 20, async || {
        let path = "/range?metric=up&as=sum&label.service=users&step=3600";
        let answer = gateway.get(path).await;
        let values = answer.json["items"][0]["values"].as_array()?.clone();
        (values.iter().filter_map(Value::as_f64).sum::<f64>() >= 5.0).then_some(())
    })
    .await;
    let names = gateway.get("/metric-names").await.expect(200);
    let has = |name: &str| {
        names["items"]
            .as_array()
            .unwrap()
            .iter()
            .any(|metric| metric["name"] == name)
    };
    assert!(has("emporium_http_request_duration_seconds") && has("emporium_store_call_duration_seconds"));
    let round = async || {
        let row: (Option<uuid::Uuid>, i64) = sqlx::query_as("SELECT holder, round FROM monitoring_lease")
            .fetch_one(&first.db())
            .await
            .unwrap();
        row
    };
    let (holder, before) = round().await;
    assert!(holder.is_some());
    eventually("it goes on", 10, async || {
        (round().await.1 > before + 3).then_some(())
    })
    .await;
    assert_eq!(round().await.0, holder);
    let db = first.db();
    first.stop().await;
    let left: Option<uuid::Uuid> = sqlx::query_scalar("SELECT holder FROM monitoring_lease")
        .fetch_one(&db)
        .await
        .unwrap();
    assert_eq!(left, None, "the lease is given back");
    other.stop().await;
}
