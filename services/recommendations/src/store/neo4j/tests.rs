//! Neo4j for the contract suite, and what is Neo4j's own.

use std::sync::Arc;

use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::{Clock, ServiceName};
use emporium_test_kit::stores;
use time::macros::datetime;
use uuid::Uuid;

use super::Neo4jRecommendations;
use super::check::ConnectError;
use crate::store::RecommendationStore;
use crate::store::contract::outages::Own;

mod cost;
mod equal;
mod locks;
mod start;

/// After all that tests order, but for what is meant to be of the future.
fn clock() -> Clock {
    Clock::manual(datetime!(2030-01-01 0:00 UTC))
}

/// The graph of the shop.
async fn shop(url: &str, name: &str) -> Result<Neo4jRecommendations, ConnectError> {
    let metrics = Metrics::new(ServiceName::Recommendations);
    Neo4jRecommendations::connect(&format!("{url}?shop={name}"), clock(), metrics).await
}

/// The graph of a shop of this test's own.
async fn on(url: &str) -> Neo4jRecommendations {
    shop(url, &format!("test-{}", Uuid::new_v4())).await.unwrap()
}

/// The same on the server that all tests share.
async fn shared() -> Option<Neo4jRecommendations> {
    Some(on(&stores::neo4j().await?.url).await)
}

pub async fn fresh() -> Option<Arc<dyn RecommendationStore>> {
    Some(Arc::new(shared().await?))
}

/// A store on a server of its own.
pub async fn own() -> Option<Own> {
    let server = stores::own_neo4j().await?;
    let store = on(&server.url).await;
    assert_eq!(store.lacks(), [], "the kit's server keeps the whole contract");
    Some(Own {
        store: Arc::new(store),
        server: Box::new(server),
    })
}
