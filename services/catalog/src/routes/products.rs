//! Single products.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use emporium_service_kit::Problem;
use emporium_service_kit::extract::{Body, Path, idempotency_key};
use emporium_service_kit::page::{Batch, BatchRequest};
use emporium_service_kit::problem::ProblemDocument;
use uuid::Uuid;

use super::App;
use crate::error::Error;
use crate::model::{NewProduct, Product, ProductPatch, StockChange};

/// One product; archived ones, too.
#[utoipa::path(get, path = "/products/{id}", params(("id" = Uuid, Path)),
    responses((status = 200, body = Product), (status = 404, description = "`not-found`", body = ProblemDocument)))]
pub async fn get_product(State(app): State<App>, Path(id): Path<Uuid>) -> Result<Json<Product>, Error> {
    app.store.product(id).await.map(Json)
}

/// Several products by id.
#[utoipa::path(post, path = "/products/batch", request_body = BatchRequest,
    responses((status = 200, body = Batch<Product>)))]
pub async fn batch_products(
    State(app): State<App>,
    Body(request): Body<BatchRequest>,
) -> Result<Json<Batch<Product>>, Error> {
    let items = app.store.products(&request.ids).await?;
    Ok(Json(Batch { items }))
}

/// Adds a product without stock. A category that is not known is created.
#[utoipa::path(post, path = "/products", request_body = NewProduct,
    responses((status = 201, body = Product), (status = 409, description = "`sku-taken`", body = ProblemDocument),
              (status = 422, description = "`invalid`", body = ProblemDocument)))]
pub async fn post_product(
    State(app): State<App>,
    Body(new): Body<NewProduct>,
) -> Result<(StatusCode, Json<Product>), Error> {
    let product = app.store.create(&new).await?;
    Ok((StatusCode::CREATED, Json(product)))
}

/// Changes a product.
#[utoipa::path(patch, path = "/products/{id}", params(("id" = Uuid, Path)), request_body = ProductPatch,
    responses((status = 200, body = Product), (status = 404, description = "`not-found`", body = ProblemDocument),
              (status = 409, description = "`sku-taken`, `product-archived`", body = ProblemDocument),
              (status = 422, description = "`invalid`", body = ProblemDocument)))]
pub async fn patch_product(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    Body(patch): Body<ProductPatch>,
) -> Result<Json<Product>, Error> {
    app.store.patch(id, &patch).await.map(Json)
}

/// Takes a product off sale. It is archived, never removed, and repeating this changes nothing.
#[utoipa::path(delete, path = "/products/{id}", params(("id" = Uuid, Path)),
    responses((status = 200, body = Product), (status = 404, description = "`not-found`", body = ProblemDocument)))]
pub async fn delete_product(State(app): State<App>, Path(id): Path<Uuid>) -> Result<Json<Product>, Error> {
    app.store.archive(id).await.map(Json)
}

/// Changes the units on hand; with an `Idempotency-Key`, at most once.
#[utoipa::path(post, path = "/products/{id}/stock", request_body = StockChange,
    params(("id" = Uuid, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = Product), (status = 404, description = "`not-found`", body = ProblemDocument),
              (status = 409, description = "`stock-negative`", body = ProblemDocument),
              (status = 422, description = "`invalid`, `idempotency-key-reused`", body = ProblemDocument)))]
pub async fn post_stock(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
    Body(change): Body<StockChange>,
) -> Result<Json<Product>, Problem> {
    let key = idempotency_key(&headers)?;
    let product = app.store.change_stock(id, &change, key.as_deref()).await?;
    Ok(Json(product))
}
