//! Servers and databases for the suite.

use std::sync::Arc;

use emporium_service_kit::ServiceName;
use emporium_test_kit::{OwnPostgres, TestPostgres, connect};

use super::PostgresSessions;
use crate::store::SessionStore;
use crate::store::contract::outages::Own;

/// A store on a database of its own.
pub async fn fresh() -> Option<Arc<dyn SessionStore>> {
    let database = TestPostgres::get().await.empty_database().await;
    Some(on(&database.url).await)
}

async fn on(url: &str) -> Arc<dyn SessionStore> {
    let db = connect(url, ServiceName::Sessions, 16);
    Arc::new(PostgresSessions::open(db).await.unwrap())
}

/// A store on a server of its own, which loses nothing.
pub async fn own() -> Option<Own> {
    let server = OwnPostgres::start().await;
    Some(Own {
        store: on(&server.url).await,
        server: Box::new(server),
    })
}
