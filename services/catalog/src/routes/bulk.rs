//! Bulk loading, for seeds and importers.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use emporium_service_kit::Problem;
use emporium_service_kit::bulk::{BulkSummary, Records};

use super::App;
use crate::store::adjustments::AdjustmentRecord;
use crate::store::bulk::{CHUNK, ProductRecord};

/// Loads products: one `ProductRecord` a line. What is there already, by id, stays as it is.
#[utoipa::path(post, path = "/bulk/products",
    request_body(content = ProductRecord, content_type = "application/x-ndjson"),
    responses((status = 200, body = BulkSummary)))]
pub async fn load_products(State(app): State<App>, body: Body) -> Result<Json<BulkSummary>, Problem> {
    let mut summary = BulkSummary::default();
    let mut records = Records::<ProductRecord>::new(body);
    loop {
        let chunk = records.chunk(CHUNK, &mut summary).await?;
        if chunk.is_empty() {
            break;
        }
        app.store.load_products(chunk, &mut summary).await?;
    }
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
    let mut summary = BulkSummary::default();
    let mut records = Records::<AdjustmentRecord>::new(body);
    loop {
        let chunk = records.chunk(CHUNK, &mut summary).await?;
        if chunk.is_empty() {
            break;
        }
        app.store.load_adjustments(chunk, &mut summary).await?;
    }
    Ok(Json(summary))
}
