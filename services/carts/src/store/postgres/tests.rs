//! PostgreSQL for the contract suite.

use std::sync::Arc;

use emporium_service_kit::ServiceName;
use emporium_test_kit::{OwnPostgres, TestPostgres, connect};

use super::PostgresCarts;
use crate::store::CartStore;
use crate::store::contract::outages::Own;

/// A store on a database of its own.
pub async fn fresh() -> Option<Arc<dyn CartStore>> {
    let database = TestPostgres::get().await.empty_database().await;
    Some(on(&database.url).await)
}

async fn on(url: &str) -> Arc<dyn CartStore> {
    let db = connect(url, ServiceName::Carts, 16);
    Arc::new(PostgresCarts::open(db).await.unwrap())
}

/// A store on a server of its own, which syncs as the shop's does.
pub async fn own() -> Option<Own> {
    let server = OwnPostgres::start().await;
    Some(Own {
        store: on(&server.url).await,
        server: Box::new(server),
    })
}
