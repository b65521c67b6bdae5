//! Servers and databases for the suite.

use std::sync::Arc;
use std::time::Duration;

use emporium_service_kit::config::database_options;
use emporium_service_kit::db::STATEMENT_TIMEOUT;
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::{Db, ServiceName};
use emporium_test_kit::{OwnPostgres, TestPostgres};

use super::PostgresSessions;
use crate::store::SessionStore;
use crate::store::contract::outages::Own;

/// A store on a database of its own.
pub async fn fresh() -> Option<Arc<dyn SessionStore>> {
    let database = TestPostgres::get().await.empty_database().await;
    Some(on(&database.url).await)
}

async fn on(url: &str) -> Arc<dyn SessionStore> {
    let options = database_options(url).unwrap();
    let db = Db::connect(options, 16, Metrics::new(ServiceName::Sessions));
    Arc::new(PostgresSessions::open(db).await.unwrap())
}

/// A store on a server of its own, which loses nothing.
pub async fn own() -> Option<Own> {
    let server = OwnPostgres::start().await;
    Some(Own {
        store: on(&server.url).await,
        server: Box::new(server),
        error_max: STATEMENT_TIMEOUT + Duration::from_secs(2),
    })
}
