//! Prometheus for the contract suite, and what only this adapter can show.

use std::sync::Arc;

use emporium_service_kit::ServiceName;
use emporium_service_kit::metrics::Metrics;
use emporium_test_kit::stores::{OwnStore, PrometheusSettings, own_prometheus};

use super::PrometheusMonitoring;
use crate::store::contract::Bench;
use crate::store::contract::outages::Own;

mod bounds;
mod feed;
mod hours;
mod writing;

use feed::Writing;

/// A server of the test's own: names and moments of the suite's tests are the same ones.
async fn server() -> Option<OwnStore> {
    let settings = PrometheusSettings {
        rules: true,
        written: Some("400d"),
        ..PrometheusSettings::default()
    };
    own_prometheus(settings).await
}

async fn on(url: &str) -> (PrometheusMonitoring, Writing) {
    let store = PrometheusMonitoring::connect(url, Metrics::new(ServiceName::Monitoring));
    (store.await.unwrap(), Writing::to(url))
}

/// A store on a server that ends with it.
pub async fn fresh() -> Option<Bench> {
    let server = server().await?;
    let (store, feed) = on(&server.url).await;
    Some(Bench {
        store: Arc::new(store),
        feed: Box::new(feed.holding(server)),
    })
}

/// A store on a server that the test torments.
pub async fn own() -> Option<Own> {
    let server = server().await?;
    let (store, feed) = on(&server.url).await;
    let store = Bench {
        store: Arc::new(store),
        feed: Box::new(feed),
    };
    Some(Own {
        store,
        server: Box::new(server),
    })
}
