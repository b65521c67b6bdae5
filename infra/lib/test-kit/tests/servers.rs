//! Servers of a test's own: they start, tell their versions, die, come back, refuse strangers.
#![allow(clippy::unwrap_used)]

use emporium_test_kit::stores::{self, OwnStore, PrometheusSettings};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::net::TcpStream;

/// Dies and comes back on its port; a second one runs beside it.
async fn lives_and_dies(start: impl Fn() -> BoxFuture<'static, Option<OwnStore>>) {
    let Some(one) = start().await else { return };
    let other = start().await.unwrap();
    println!("{one:?} {other:?}");
    assert_ne!(one.port(), other.port());
    assert!(one.version.contains('.'), "{}", one.version);
    let listens = async || TcpStream::connect(("127.0.0.1", one.port())).await.is_ok();
    one.kill().await;
    assert!(!listens().await);
    one.restart().await;
    one.pause().await;
    one.resume().await;
    one.restart().await;
    assert!(listens().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn neo4j() {
    lives_and_dies(|| stores::own_neo4j().boxed()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clickhouse() {
    lives_and_dies(|| stores::own_clickhouse().boxed()).await;
    lives_and_dies(|| stores::own_clickhouse_with("s3cret").boxed()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mongodb() {
    lives_and_dies(|| stores::own_mongodb().boxed()).await;
    lives_and_dies(|| stores::own_mongodb_with("s3cret").boxed()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus() {
    lives_and_dies(|| stores::own_prometheus(PrometheusSettings::default()).boxed()).await;
    let protected = PrometheusSettings {
        password: Some("s3cret".to_owned()),
        written: Some("400d"),
        rules: true,
        ..PrometheusSettings::default()
    };
    lives_and_dies(|| stores::own_prometheus(protected.clone()).boxed()).await;
}
