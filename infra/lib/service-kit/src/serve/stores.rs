//! `GET /stores`: what a service keeps where, for the operator.

use std::sync::Arc;

use axum::{Json, Router, middleware, routing};
use futures::future::join_all;

use crate::environment::Environment;
use crate::report::{INSPECT_TIMEOUT, Inspect, StoreOn, StoreReport};
use crate::{ServiceName, auth};

const OPERATOR: &[ServiceName] = &[ServiceName::Operator];

/// The route. A service that names no store (search indices and the event bus beside it are none) and has a database keeps
/// everything there.
pub(super) fn routes(environment: &Environment, mut stores: Vec<Arc<dyn Inspect>>) -> Router {
    let names_one = stores.iter().any(|store| store.outline().role == "store");
    if let (false, Some(db)) = (names_one, environment.db.clone()) {
        stores.insert(0, StoreOn::own(db));
    }
    let tell = move || {
        let stores = stores.clone();
        async move { Json(join_all(stores.iter().map(|store| told(store.as_ref()))).await) }
    };
    Router::new().route(
        "/stores",
        routing::get(tell).route_layer(middleware::from_fn_with_state(OPERATOR, auth::allow)),
    )
}

/// A store that does not answer in time must not hold up what the others tell.
async fn told(store: &dyn Inspect) -> StoreReport {
    let asked = tokio::time::timeout(INSPECT_TIMEOUT, store.inspect()).await;
    asked.unwrap_or_else(|_| {
        let mut report = store.outline();
        report.error = Some("does not answer".to_owned());
        report
    })
}
