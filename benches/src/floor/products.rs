//! Product detail and list: the statements of `services/catalog/src/store/products.rs` and
//! `services/catalog/src/search/postgres/{page,summary}.rs`.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use anyhow::anyhow;
use axum::Json;
use axum::extract::{Path, State};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::types::Json as SqlJson;
use sqlx::{FromRow, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Failed, Floor, Shared};

macro_rules! select_products {
    ($rest:literal) => {
        concat!(
            "SELECT p.id, p.sku, p.name, p.description, p.category, c.name AS category_name, p.brand,
    p.price, p.currency, p.attributes, p.source, p.created_at,
    s.on_hand, s.reserved, s.popularity, s.archived, s.version, s.updated_at
  FROM catalog_product AS p
  JOIN catalog_stock AS s ON s.product_id = p.id
  JOIN catalog_category AS c ON c.slug = p.category",
            $rest
        )
    };
}

/// The first page of all products, by popularity.
const PAGE: &str = "SELECT e.product_id, e.in_stock, e.popularity, e.price, e.created_at, e.sort_name \
    FROM catalog_search_entry AS e WHERE true \
    ORDER BY e.in_stock DESC, e.popularity DESC, e.product_id DESC LIMIT $1";

const SUMMARY: &str =
    "SELECT kind, value, label, count FROM catalog_search_count WHERE kind IN ('total', 'price')
         UNION ALL (SELECT kind, value, label, count FROM catalog_search_count
                    WHERE kind = 'category' AND count > 0 ORDER BY count DESC, value LIMIT $1)
         UNION ALL (SELECT kind, value, label, count FROM catalog_search_count
                    WHERE kind = 'brand' AND count > 0 ORDER BY count DESC, value LIMIT $1)";

/// How long the catalog remembers the summary of a list.
const SUMMARY_AGE_MAX: Duration = Duration::from_secs(3);
const PAGE_SIZE: usize = 20;
const FACET_VALUES: i64 = 50;

/// A product's row.
#[derive(FromRow)]
pub struct Row {
    pub id: Uuid,
    pub sku: String,
    pub name: String,
    description: String,
    category: String,
    category_name: String,
    brand: Option<String>,
    pub price: i64,
    pub currency: String,
    attributes: SqlJson<Box<RawValue>>,
    source: String,
    created_at: OffsetDateTime,
    on_hand: i64,
    reserved: i64,
    pub archived: bool,
    updated_at: OffsetDateTime,
}

impl Row {
    /// Units that can be bought.
    pub fn available(&self) -> i64 {
        self.on_hand - self.reserved
    }
}

/// An amount as the API shows it.
#[derive(Serialize)]
pub struct Money {
    pub amount: i64,
    pub currency: String,
}

/// A product as the API shows it.
#[derive(Serialize)]
pub struct Product {
    id: Uuid,
    sku: String,
    name: String,
    description: String,
    category: String,
    category_name: String,
    brand: Option<String>,
    price: Money,
    in_stock: bool,
    stock: i64,
    attributes: Box<RawValue>,
    source: String,
    status: &'static str,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    updated_at: OffsetDateTime,
}

impl From<Row> for Product {
    fn from(row: Row) -> Self {
        let stock = row.available();
        Self {
            id: row.id,
            sku: row.sku,
            name: row.name,
            description: row.description,
            category: row.category,
            category_name: row.category_name,
            brand: row.brand,
            price: Money {
                amount: row.price,
                currency: row.currency,
            },
            in_stock: stock > 0,
            stock,
            attributes: row.attributes.0,
            source: row.source,
            status: if row.archived { "archived" } else { "active" },
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// One product.
pub async fn find(catalog: &PgPool, id: Uuid) -> Result<Row, Failed> {
    let row: Option<Row> = sqlx::query_as(select_products!(" WHERE p.id = $1"))
        .bind(id)
        .fetch_optional(catalog)
        .await?;
    row.ok_or_else(|| anyhow!("no such product").into())
}

/// Several products, in one statement.
pub async fn find_many(catalog: &PgPool, ids: &[Uuid]) -> Result<HashMap<Uuid, Row>, Failed> {
    let rows: Vec<Row> = sqlx::query_as(select_products!(" WHERE p.id = ANY ($1)"))
        .bind(ids)
        .fetch_all(catalog)
        .await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// `GET /api/products/{id}`.
pub async fn detail(State(floor): Shared, Path(id): Path<Uuid>) -> Result<Json<Product>, Failed> {
    Ok(Json(find(&floor.catalog, id).await?.into()))
}

#[derive(FromRow)]
struct Entry {
    product_id: Uuid,
    in_stock: bool,
    popularity: i64,
}

#[derive(FromRow, Serialize)]
struct Count {
    #[serde(skip)]
    kind: String,
    value: String,
    label: String,
    #[sqlx(rename = "count")]
    #[serde(rename = "count")]
    products: i64,
}

/// What the whole list has in common.
#[derive(Serialize)]
pub struct Summary {
    category: Vec<Count>,
    brand: Vec<Count>,
    price: Vec<Count>,
    #[serde(skip)]
    total: i64,
}

/// A page of products as the API shows it.
#[derive(Serialize)]
pub struct List {
    items: Vec<Product>,
    facets: Arc<Summary>,
    total: i64,
    total_is_lower_bound: bool,
    next_cursor: Option<String>,
    degraded: [&'static str; 0],
    corrected_query: Option<String>,
}

/// `GET /api/products`.
pub async fn list(State(floor): Shared) -> Result<Json<List>, Failed> {
    let summary = summary(&floor).await?;
    let limit = i64::try_from(PAGE_SIZE + 1)?;
    let mut page: Vec<Entry> = sqlx::query_as(PAGE).bind(limit).fetch_all(&floor.catalog).await?;
    let more = page.len() > PAGE_SIZE;
    page.truncate(PAGE_SIZE);
    let next_cursor = page.last().filter(|_| more).map(|last| {
        let place = format!(
            r#"{{"k":{{"popular":[{},{}]}},"i":"{}"}}"#,
            last.in_stock, last.popularity, last.product_id
        );
        URL_SAFE_NO_PAD.encode(place)
    });
    let ids: Vec<Uuid> = page.iter().map(|entry| entry.product_id).collect();
    let mut found = find_many(&floor.catalog, &ids).await?;
    Ok(Json(List {
        items: ids
            .iter()
            .filter_map(|id| found.remove(id))
            .map(Product::from)
            .collect(),
        total: summary.total,
        facets: summary,
        total_is_lower_bound: false,
        next_cursor,
        degraded: [],
        corrected_query: None,
    }))
}

async fn summary(floor: &Floor) -> Result<Arc<Summary>, Failed> {
    let remembered = floor
        .summary
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    if let Some((at, summary)) = remembered
        && at.elapsed() < SUMMARY_AGE_MAX
    {
        return Ok(summary);
    }
    let counts: Vec<Count> = sqlx::query_as(SUMMARY)
        .bind(FACET_VALUES)
        .fetch_all(&floor.catalog)
        .await?;
    let mut summary = Summary {
        category: Vec::new(),
        brand: Vec::new(),
        price: Vec::new(),
        total: 0,
    };
    for count in counts {
        match count.kind.as_str() {
            "total" => summary.total = count.products,
            "category" => summary.category.push(count),
            "brand" => summary.brand.push(count),
            _ => summary.price.push(count),
        }
    }
    let summary = Arc::new(summary);
    let kept = Some((Instant::now(), summary.clone()));
    *floor.summary.lock().unwrap_or_else(PoisonError::into_inner) = kept;
    Ok(summary)
}
