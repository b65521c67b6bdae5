//! What the server may not be made to do, and what is told about that.

use emporium_service_kit::ServiceName;
use emporium_service_kit::metrics::Metrics;
use emporium_test_kit::stores::{PrometheusSettings, own_prometheus};
use time::Duration;
use time::macros::datetime;

use super::super::client::CallError;
use super::{on, server};
use crate::error::Error;
use crate::model::{Kind, Reading};
use crate::question::{As, Question};
use crate::store::contract::{Feed, START, about, counter, labels, number, scrape};
use crate::store::prometheus::connect::ConnectError;
use crate::store::prometheus::{MATCHED_MAX, PrometheusMonitoring};
use crate::store::{Capability, MonitoringStore};

fn metrics() -> Metrics {
    Metrics::new(ServiceName::Monitoring)
}

/// One more series than an answer may be made of; then too many points, by count.
#[tokio::test(flavor = "multi_thread")]
async fn too_much_is_refused_before_it_is_read() {
    let Some(server) = server().await else { return };
    let (store, feed) = on(&server.url).await;
    let many: Vec<Reading> = (0..=MATCHED_MAX)
        .map(|n| number(Kind::Gauge, "many", labels("a", &[("n", &n.to_string())]), 1.0))
        .collect();
    feed.round(&[scrape("a", START, many)]).await;
    let now = START + Duration::seconds(20);
    let together = |question: Question| Question {
        by: Some(Vec::new()),
        ..question
    };
    let refused = store.history(&together(about("many", As::Max)), now).await;
    assert!(
        matches!(refused, Err(Error::TooManySeries { found, max: MATCHED_MAX }) if found == MATCHED_MAX + 1),
        "{refused:?}"
    );
    let picked = |how: As| Question {
        without: vec![("n".to_owned(), "0".to_owned())],
        ..together(about("many", how))
    };
    let sum = store.history(&picked(As::Sum), now).await.unwrap();
    assert_eq!(sum.lines[0].values, [Some(2_000.0)]);
    let month = Question {
        from: START - Duration::days(30),
        step_s: Some(86_400),
        ..picked(As::Quantile(0.5))
    };
    assert!(matches!(
        store.history(&month, now).await,
        Err(Error::TooMuchWork)
    ));
}

/// The server's own bounds, which it says in its own words.
#[test]
fn the_servers_bounds_are_too_much_work() {
    use reqwest::StatusCode;
    let read = |status: u16, kind: &str, text: &str| {
        let body = serde_json::json!({"status": "error", "errorType": kind, "error": text}).to_string();
        super::super::client::refusal(StatusCode::from_u16(status).unwrap(), body.as_bytes())
    };
    let many = "query processing would load too many samples into memory in query execution";
    for (status, kind, text) in [
        (422, "execution", many),
        (503, "timeout", "query timed out in expression evaluation"),
    ] {
        let error = read(status, kind, text);
        assert!(matches!(error, CallError::TooMuch(_)), "{error:?}");
        assert!(matches!(Error::from(error), Error::TooMuchWork));
    }
    assert!(matches!(
        read(503, "unavailable", "starting"),
        CallError::Unavailable(_)
    ));
    assert!(matches!(read(401, "", ""), CallError::Refused));
    assert!(matches!(
        read(400, "bad_data", "x"),
        CallError::Answered { status: 400, .. }
    ));
}

/// Each server that will not do is refused, with what to do; one that keeps points for a short time lacks that.
#[tokio::test(flavor = "multi_thread")]
async fn servers_that_will_not_do_are_told_apart() {
    let settings = PrometheusSettings {
        rules: true,
        retention: Some("15d"),
        password: Some("right-password".to_owned()),
        ..PrometheusSettings::default()
    };
    let Some(server) = own_prometheus(settings).await else {
        return;
    };
    let store = PrometheusMonitoring::connect(&server.url, metrics())
        .await
        .unwrap();
    assert!(store.lacks().contains(&Capability::KeepsAYear));
    assert!(!store.lacks().contains(&Capability::ExactIncreases));
    let wrong = PrometheusMonitoring::connect(&server.url_as("emporium", "wrong"), metrics()).await;
    assert!(matches!(wrong, Err(ConnectError::Credentials)), "{wrong:?}");
    let nobody = format!("prometheus://127.0.0.1:{}", server.port());
    let nobody = PrometheusMonitoring::connect(&nobody, metrics()).await;
    assert!(matches!(nobody, Err(ConnectError::Credentials)), "{nobody:?}");

    let Some(bare) = own_prometheus(PrometheusSettings::default()).await else {
        return;
    };
    let error = PrometheusMonitoring::connect(&bare.url, metrics())
        .await
        .unwrap_err();
    assert!(
        matches!(&error, ConnectError::Rules(name) if name == "hour:increase"),
        "{error}"
    );
    assert!(error.to_string().contains("rules.yml") && error.tells_remedy());
    bare.kill().await;
    let away = PrometheusMonitoring::connect(&bare.url, metrics()).await;
    assert!(matches!(away, Err(ConnectError::Unreachable(_))), "{away:?}");
}

/// A step finds the point that its increase begins with as far before it as it is long; at least for five minutes.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_looks_back_by_its_own_length() {
    let Some(server) = server().await else { return };
    let (store, feed) = on(&server.url).await;
    let begin = datetime!(2026-03-02 10:50 UTC);
    for (after, value) in [(0, 5.0), (30, 12.0)] {
        let at = begin + Duration::minutes(after);
        feed.round(&[scrape("a", at, vec![counter("a", "c_total", value)])])
            .await;
    }
    let now = begin + Duration::HOUR;
    let ask = async |step_s: i64| {
        let question = Question {
            to: now,
            step_s: Some(step_s),
            ..about("c_total", As::Increase)
        };
        let lines = store.history(&question, now).await.unwrap().lines;
        lines
            .first()
            .map(|line| line.values.iter().flatten().copied().collect::<Vec<_>>())
    };
    assert_eq!(ask(3_600).await, Some(vec![7.0]));
    // Half an hour before is too long ago: nothing is made up.
    assert_eq!(ask(300).await, None);
}
