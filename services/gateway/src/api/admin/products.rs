//! `/api/admin/products`: adding, changing, archiving, stock.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use emporium_service_kit::extract::{Body, Path, idempotency_key};
use emporium_service_kit::problem::ProblemDocument;
use emporium_service_kit::{Api, Money, validate};
use garde::Validate;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::app::App;
use crate::clients::catalog::Product;
use crate::error::Error;
use crate::identity::Administrator;

/// The most that a stock changes by at once.
const STOCK_DELTA_MAX: i64 = 1_000_000_000;

pub fn routes() -> Api<App> {
    Api::default()
        .public(routes!(admin_create_product))
        .public(routes!(admin_change_product, admin_archive_product))
        .public(routes!(admin_change_stock))
}

/// A new product.
#[derive(Deserialize, Serialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewProduct {
    /// The shop's own article number; unique.
    #[garde(length(chars, min = 1, max = 200), custom(validate::filled_line))]
    sku: String,
    /// Its name.
    #[garde(length(chars, min = 1, max = 1000), custom(validate::filled_line))]
    name: String,
    /// What it is, in some sentences.
    #[serde(default)]
    #[garde(length(chars, max = 50_000), custom(validate::text))]
    description: String,
    /// A category's slug or name; an unknown one is created.
    #[garde(length(chars, min = 1, max = 200), custom(validate::filled_line))]
    category: String,
    /// What one costs.
    #[garde(skip)]
    price: Money,
    /// The maker.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[garde(inner(length(chars, max = 200)), custom(validate::line_opt))]
    brand: Option<String>,
    /// Properties: text, numbers and booleans by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[garde(skip)]
    attributes: Option<Map<String, Value>>,
}

/// What to change; what is absent stays.
#[derive(Deserialize, Serialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProductChange {
    /// Another name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[garde(inner(length(chars, min = 1, max = 1000), custom(validate::filled_line)))]
    name: Option<String>,
    /// Another description.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[garde(inner(length(chars, max = 50_000)), custom(validate::text_opt))]
    description: Option<String>,
    /// Another category.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[garde(inner(length(chars, min = 1, max = 200), custom(validate::filled_line)))]
    category: Option<String>,
    /// Another price. Orders keep the one they were placed with.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[garde(skip)]
    price: Option<Money>,
    /// Another maker; null: none.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "null_is_a_value"
    )]
    #[garde(inner(inner(length(chars, max = 200), custom(validate::line))))]
    #[schema(value_type = Option<String>)]
    #[allow(clippy::option_option)] // absent leaves the brand, null removes it
    brand: Option<Option<String>>,
    /// The whole new set of properties.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[garde(skip)]
    attributes: Option<Map<String, Value>>,
}

#[allow(clippy::option_option)]
fn null_is_a_value<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(deserializer).map(Some)
}

/// A change of the stock on hand.
#[derive(Deserialize, Serialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StockChange {
    /// How many are added, or taken away when negative.
    #[garde(range(min = -STOCK_DELTA_MAX, max = STOCK_DELTA_MAX))]
    delta: i64,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[garde(inner(length(chars, max = 200)), custom(validate::line_opt))]
    reason: Option<String>,
}

/// Adds a product; its stock is 0 at first.
#[utoipa::path(post, path = "/api/admin/products", tag = "administration", request_body = NewProduct,
    security(("bearer" = []), ("cookie" = [])), responses(
    (status = 201, body = Product, headers(("Location" = String))),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`"),
    (status = 403, body = ProblemDocument, description = "`administrators-only`, `user-blocked`"),
    (status = 409, body = ProblemDocument, description = "`sku-taken`"),
    (status = 422, body = ProblemDocument, description = "`invalid`")))]
async fn admin_create_product(
    State(app): State<App>,
    _: Administrator,
    Body(body): Body<NewProduct>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<Product>), Error> {
    let product = app.clients.catalog.create(&body).await?;
    let location = format!("/api/products/{}", product.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(product)))
}

/// Changes a product.
#[utoipa::path(patch, path = "/api/admin/products/{id}", tag = "administration", request_body = ProductChange,
    security(("bearer" = []), ("cookie" = [])), params(("id" = Uuid, Path)), responses(
    (status = 200, body = Product),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`"),
    (status = 403, body = ProblemDocument, description = "`administrators-only`, `user-blocked`"),
    (status = 404, body = ProblemDocument, description = "`not-found`"),
    (status = 422, body = ProblemDocument, description = "`invalid`")))]
async fn admin_change_product(
    State(app): State<App>,
    _: Administrator,
    Path(id): Path<Uuid>,
    Body(body): Body<ProductChange>,
) -> Result<Json<Product>, Error> {
    Ok(Json(app.clients.catalog.change(id, &body).await?))
}

/// Takes a product off sale. It stays for old orders, and never comes back.
#[utoipa::path(delete, path = "/api/admin/products/{id}", tag = "administration",
    security(("bearer" = []), ("cookie" = [])), params(("id" = Uuid, Path)), responses(
    (status = 200, body = Product),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`"),
    (status = 403, body = ProblemDocument, description = "`administrators-only`, `user-blocked`"),
    (status = 404, body = ProblemDocument, description = "`not-found`")))]
async fn admin_archive_product(
    State(app): State<App>,
    _: Administrator,
    Path(id): Path<Uuid>,
) -> Result<Json<Product>, Error> {
    Ok(Json(app.clients.catalog.archive(id).await?))
}

/// Adds to the stock or takes from it.
#[utoipa::path(post, path = "/api/admin/products/{id}/stock", tag = "administration",
    request_body = StockChange,
    security(("bearer" = []), ("cookie" = [])), params(("id" = Uuid, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "With a key, repeating changes nothing.")), responses(
    (status = 200, body = Product),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`"),
    (status = 403, body = ProblemDocument, description = "`administrators-only`, `user-blocked`"),
    (status = 404, body = ProblemDocument, description = "`not-found`"),
    (status = 409, body = ProblemDocument, description = "`stock-negative`"),
    (status = 422, body = ProblemDocument, description = "`invalid`")))]
async fn admin_change_stock(
    State(app): State<App>,
    _: Administrator,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
    Body(body): Body<StockChange>,
) -> Result<Json<Product>, Error> {
    let key = idempotency_key(&headers)?;
    let catalog = &app.clients.catalog;
    Ok(Json(catalog.change_stock(id, &body, key.as_deref()).await?))
}
