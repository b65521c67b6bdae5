//! The catalog service: products, search, suggestions, stock.

use emporium_service_kit::Money;
use emporium_service_kit::client::{CallError, Client};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Items, READ_TIMEOUT, batch, found};

/// Client of the catalog service.
#[derive(Clone)]
pub struct Catalog(Client);

/// A product.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Product {
    /// Its id.
    pub id: Uuid,
    /// The shop's own article number.
    pub sku: String,
    /// Its name.
    pub name: String,
    /// What it is, in some sentences.
    #[serde(default)]
    pub description: String,
    /// The category's slug.
    pub category: String,
    /// The category's name.
    #[serde(default)]
    pub category_name: String,
    /// The maker, when known.
    pub brand: Option<String>,
    /// What one costs.
    pub price: Money,
    /// True when at least one can be bought now.
    pub in_stock: bool,
    /// How many can be bought now.
    pub stock: i64,
    /// Properties: text, numbers and booleans by name.
    #[serde(default)]
    pub attributes: Map<String, Value>,
    /// Where it comes from: `seed`, `icecat`, `online-retail` or `admin`.
    pub source: String,
    /// Whether it is on sale.
    pub status: ProductStatus,
    /// When it was added.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it last changed.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
    /// In lists by words: where the words stand, if the search index tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub highlights: Option<Highlights>,
}

/// Parts of a product's texts as HTML: escaped, with `<em>` around the words that were searched for.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct Highlights {
    /// The whole name, when a word stands in it.
    #[serde(default)]
    pub name: Option<String>,
    /// A part of the description, when a word stands in it.
    #[serde(default)]
    pub description: Option<String>,
}

/// Whether a product is on sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProductStatus {
    /// On sale.
    Active,
    /// Kept for old orders, not on sale any more.
    Archived,
}

impl Product {
    /// How many can be bought now: none of an archived product.
    pub fn available(&self) -> i64 {
        match self.status {
            ProductStatus::Active => self.stock.max(0),
            ProductStatus::Archived => 0,
        }
    }
}

/// What to list, and in which order.
#[derive(Debug, Clone, Default)]
pub struct ProductFilter {
    /// Words to search for.
    pub q: Option<String>,
    /// A category's slug.
    pub category: Option<String>,
    /// A brand, as in the facets.
    pub brand: Option<String>,
    /// The least price, in minor units.
    pub price_min: Option<i64>,
    /// The highest price, in minor units.
    pub price_max: Option<i64>,
    /// Only what can be bought now (or only what cannot).
    pub in_stock: Option<bool>,
    /// `name:value` pairs that all have to hold.
    pub attr: Vec<String>,
    /// The order.
    pub sort: Option<String>,
    /// Where to go on.
    pub cursor: Option<String>,
    /// The page size.
    pub limit: Option<u32>,
}

impl ProductFilter {
    fn pairs(&self) -> Vec<(&'static str, String)> {
        let single = [
            ("q", self.q.clone()),
            ("category", self.category.clone()),
            ("brand", self.brand.clone()),
            ("price_min", self.price_min.map(|value| value.to_string())),
            ("price_max", self.price_max.map(|value| value.to_string())),
            ("in_stock", self.in_stock.map(|value| value.to_string())),
            ("sort", self.sort.clone()),
            ("cursor", self.cursor.clone()),
            ("limit", self.limit.map(|value| value.to_string())),
        ];
        let single = single
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        single
            .chain(self.attr.iter().map(|pair| ("attr", pair.clone())))
            .collect()
    }
}

/// One page of products, with what the whole result looks like.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ProductList {
    /// The products of this page.
    pub items: Vec<Product>,
    /// Counts over the whole result, for narrowing it down.
    #[serde(default)]
    pub facets: Facets,
    /// How many products match.
    pub total: i64,
    /// True when counting stopped early, so that there may be more than `total`.
    #[serde(default)]
    pub total_is_lower_bound: bool,
    /// Pass as `cursor` to get the next page; null at the end.
    pub next_cursor: Option<String>,
    /// What is missing from this answer for the moment, such as `facets`; empty when all is well.
    #[serde(default)]
    pub degraded: Vec<String>,
    /// The words that were searched for instead, when the given ones found nothing.
    #[serde(default)]
    pub corrected_query: Option<String>,
}

/// Counts a filter value would leave.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct Facets {
    /// By category.
    #[serde(default)]
    pub category: Vec<FacetValue>,
    /// By brand.
    #[serde(default)]
    pub brand: Vec<FacetValue>,
    /// By price range.
    #[serde(default)]
    pub price: Vec<PriceRange>,
}

/// One value of a facet.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct FacetValue {
    /// What to filter by.
    pub value: String,
    /// What to show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How many products.
    pub count: i64,
}

/// One range of prices.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PriceRange {
    /// From this price on, in minor units; null: from nothing.
    pub from: Option<i64>,
    /// Up to this price, in minor units; null: without end.
    pub to: Option<i64>,
    /// How many products.
    pub count: i64,
}

/// Something to search for.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Suggestion {
    /// The words.
    pub text: String,
    /// What they name: `product`, `category` or `brand`.
    pub kind: String,
    /// The product, when they name one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product_id: Option<Uuid>,
}

/// A category with products on sale.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Category {
    /// What to filter by.
    pub slug: String,
    /// What to show.
    pub name: String,
    /// How many products.
    pub count: i64,
}

impl Catalog {
    pub(super) fn new(client: Client) -> Self {
        Self(client)
    }

    /// Lists or searches.
    pub async fn products(&self, filter: &ProductFilter) -> Result<ProductList, CallError> {
        let call = self.0.get("/products").query(&filter.pairs());
        call.timeout(READ_TIMEOUT).send().await
    }

    /// One product, archived ones too.
    pub async fn product(&self, id: Uuid) -> Result<Option<Product>, CallError> {
        let call = self.0.get(format!("/products/{id}")).timeout(READ_TIMEOUT);
        found(call.send().await)
    }

    /// Many products, in bounded batch calls; unknown ids are left out.
    pub async fn batch(&self, ids: Vec<Uuid>) -> Result<Vec<Product>, CallError> {
        batch(&self.0, "/products/batch", ids).await
    }

    /// What somebody who typed `q` may be looking for.
    pub async fn suggest(&self, q: &str, limit: Option<u32>) -> Result<Vec<Suggestion>, CallError> {
        let mut query = vec![("q", q.to_owned())];
        query.extend(limit.map(|limit| ("limit", limit.to_string())));
        let call = self.0.get("/suggest").query(&query).timeout(READ_TIMEOUT);
        call.send::<Items<Suggestion>>().await.map(|list| list.items)
    }

    /// All categories with their counts.
    pub async fn categories(&self) -> Result<Vec<Category>, CallError> {
        let call = self.0.get("/categories").timeout(READ_TIMEOUT);
        call.send::<Items<Category>>().await.map(|list| list.items)
    }

    /// Adds a product. Problems: 409 `sku-taken`, 422.
    pub async fn create(&self, product: &impl Serialize) -> Result<Product, CallError> {
        self.0.post("/products").json(product).send().await
    }

    /// Changes a product.
    pub async fn change(&self, id: Uuid, change: &impl Serialize) -> Result<Product, CallError> {
        self.0.patch(format!("/products/{id}")).json(change).send().await
    }

    /// Takes a product off sale; it is never removed.
    pub async fn archive(&self, id: Uuid) -> Result<Product, CallError> {
        self.0.delete(format!("/products/{id}")).send().await
    }

    /// Adds to the stock or takes from it. Problems: 409 `stock-negative`.
    pub async fn change_stock(
        &self,
        id: Uuid,
        change: &impl Serialize,
        idempotency_key: Option<&str>,
    ) -> Result<Product, CallError> {
        let mut call = self.0.post(format!("/products/{id}/stock")).json(change);
        if let Some(key) = idempotency_key {
            call = call.header("idempotency-key", key).idempotent();
        }
        call.send().await
    }
}
