//! Fresh stores for the contract suite, and what is ClickHouse's own.

use std::sync::Arc;

use clickhouse::Client;
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::{Clock, ServiceName};
use emporium_test_kit::stores;
use uuid::Uuid;

use super::{ClickHouse, ClickHouseAnalytics};
use crate::store::AnalyticsStore;
use crate::store::contract::outages::Own;

/// The HTTP address of a URL without credentials, and the URL of a new database.
pub(super) async fn empty_database(url: &str) -> (Client, String) {
    let name = format!("analytics_{}", Uuid::new_v4().simple());
    let base = url
        .replace("clickhouse://default@", "http://")
        .replace("clickhouse://", "http://");
    let base = base.trim_end_matches('/');
    let base = base.strip_suffix("/default").unwrap_or(base);
    let client = Client::default().with_url(base);
    client
        .query_raw(&format!("CREATE DATABASE {name}"))
        .execute()
        .await
        .unwrap();
    let url = url.trim_end_matches('/');
    let url = url.strip_suffix("/default").unwrap_or(url);
    (client.with_database(&name), format!("{url}/{name}"))
}

pub(super) async fn opened(url: &str) -> ClickHouseAnalytics {
    let server = ClickHouse::connect(url, Metrics::new(ServiceName::Analytics))
        .await
        .unwrap();
    assert_eq!(ClickHouseAnalytics::migrate(&server).await.unwrap(), None);
    ClickHouseAnalytics::open(server, Clock::System)
}

/// A store in a database of its own.
pub async fn fresh() -> Option<Arc<dyn AnalyticsStore>> {
    let server = stores::clickhouse().await?;
    let (_, url) = empty_database(&server.url).await;
    Some(Arc::new(opened(&url).await))
}

/// A store on a server of its own.
pub async fn own() -> Option<Own> {
    let server = stores::own_clickhouse().await?;
    let store: Arc<dyn AnalyticsStore> = Arc::new(opened(&server.url).await);
    Some(Own {
        store,
        server: Box::new(server),
    })
}

mod half;
mod same;
mod start;
