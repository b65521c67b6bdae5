//! Bulk loading, for seeds and importers.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use emporium_service_kit::Problem;
use emporium_service_kit::bulk::{self, BulkSummary};

use super::App;
use crate::store::adjustments::{AdjustmentLoad, AdjustmentRecord};
use crate::store::bulk::{ProductLoad, ProductRecord};

/// Loads products: one `ProductRecord` a line. What is there already, by id, stays as it is.
#[utoipa::path(post, path = "/bulk/products",
    request_body(content = ProductRecord, content_type = "application/x-ndjson"),
    responses((status = 200, body = BulkSummary)))]
pub async fn load_products(State(app): State<App>, body: Body) -> Result<Json<BulkSummary>, Problem> {
    let summary = bulk::load(&ProductLoad(&app.store), body).await?;
    if summary.loaded > 0 {
        app.store
            .search
            .settle()
            .await
            .map_err(crate::error::Error::from)?;
    }
    Ok(Json(summary))
}

/// Loads adjustments of stock, which are history: the units on hand stay.
#[utoipa::path(post, path = "/bulk/stock-adjustments",
    request_body(content = AdjustmentRecord, content_type = "application/x-ndjson"),
    responses((status = 200, body = BulkSummary)))]
pub async fn load_adjustments(State(app): State<App>, body: Body) -> Result<Json<BulkSummary>, Problem> {
    bulk::load(&AdjustmentLoad(&app.store), body).await.map(Json)
}
