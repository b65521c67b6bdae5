//! Writing a past, and what a server that does not take it is said to need.

use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::{Clock, ServiceName, StoreError};
use emporium_test_kit::stores::{PrometheusSettings, own_prometheus};
use time::{Duration, OffsetDateTime};

use super::{PrometheusMonitoring, server};
use crate::store::prometheus::answer::Matrix;
use crate::store::prometheus::client::{LOOK_TIMEOUT, Request};
use crate::store::prometheus::remote_write::Point;

async fn store(url: &str) -> PrometheusMonitoring {
    let store = PrometheusMonitoring::connect(url, Metrics::new(ServiceName::Monitoring));
    store.await.unwrap()
}

fn point(at: OffsetDateTime, value: f64) -> Point {
    let series = [("__name__", "moved"), ("service", "a\n\"ü")];
    Point {
        series: series
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        at,
        value,
    }
}

async fn kept(store: &PrometheusMonitoring, days: i64) -> Vec<f64> {
    let request = Request {
        operation: "query",
        path: "api/v1/query",
        parameters: &[("query", format!("moved[{days}d]"))],
        text: "moved[?]",
        timeout: LOOK_TIMEOUT,
    };
    let matrix: Matrix = store.client.evaluate(request, Matrix::points).await.unwrap();
    let points = matrix
        .result
        .iter()
        .flat_map(|row| row.points().map(|(_, value)| value));
    points.collect()
}

#[tokio::test]
async fn a_year_is_written_once_however_often_it_is() {
    let Some(server) = server().await else {
        return;
    };
    let store = store(&server.url).await;
    let now = Clock::System.now();
    // The newest first, and in pieces of many points: more than one literal of Snappy holds.
    let points: Vec<Point> = (0..3_000)
        .map(|n: i32| point(now - Duration::hours(3 * i64::from(n)), f64::from(n)))
        .collect();
    for _ in 0..2 {
        for piece in points.chunks(2_000) {
            store.write(piece).await.unwrap();
        }
    }
    let mut wanted: Vec<f64> = (0..3_000).map(f64::from).collect();
    wanted.reverse();
    assert_eq!(kept(&store, 380).await, wanted);
}

#[tokio::test]
async fn a_server_that_takes_none_says_what_it_needs() {
    for (written, remedy) in [
        (None, "--web.enable-remote-write-receiver"),
        (Some("0s"), "out_of_order_time_window"),
    ] {
        let settings = PrometheusSettings {
            rules: true,
            written,
            ..PrometheusSettings::default()
        };
        let Some(server) = own_prometheus(settings).await else {
            return;
        };
        let store = store(&server.url).await;
        let now = Clock::System.now();
        if written.is_some() {
            store.write(&[point(now, 1.0)]).await.unwrap();
        }
        let refused = store.write(&[point(now - Duration::days(30), 1.0)]).await;
        assert!(
            matches!(&refused, Err(StoreError::Data(words)) if words.to_string().contains(remedy)),
            "{refused:?}"
        );
    }
}
