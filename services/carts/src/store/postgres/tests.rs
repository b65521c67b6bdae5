//! PostgreSQL for the contract suite.

use std::sync::Arc;
use std::time::Duration;

use emporium_service_kit::config::database_options;
use emporium_service_kit::db::STATEMENT_TIMEOUT;
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::{Db, ServiceName};
use emporium_test_kit::{OwnPostgres, TestPostgres};

use super::PostgresCarts;
use crate::store::CartStore;
use crate::store::contract::outages::Own;

/// A store on a database of its own.
pub async fn fresh() -> Option<Arc<dyn CartStore>> {
    let database = TestPostgres::get().await.empty_database().await;
    Some(on(&database.url).await)
}

async fn on(url: &str) -> Arc<dyn CartStore> {
    let options = database_options(url).unwrap();
    let db = Db::connect(options, 16, Metrics::new(ServiceName::Carts));
    Arc::new(PostgresCarts::open(db).await.unwrap())
}

/// A store on a server of its own, which syncs as the shop's does.
pub async fn own() -> Option<Own> {
    let server = OwnPostgres::start().await;
    Some(Own {
        store: on(&server.url).await,
        server: Box::new(server),
        error_max: STATEMENT_TIMEOUT + Duration::from_secs(2),
    })
}
