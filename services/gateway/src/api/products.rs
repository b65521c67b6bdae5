//! `/api/products`, `/api/suggest`, `/api/categories`: looking around.

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use emporium_service_kit::extract::{Path, Query};
use emporium_service_kit::page::LIMIT_MAX;
use emporium_service_kit::problem::ProblemDocument;
use emporium_service_kit::{Api, Page, Problem, validate};
use garde::Validate;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::routes;
use uuid::Uuid;

use super::query::{all_pairs, blank_is_absent, once, valid};
use crate::activity::Did;
use crate::app::App;
use crate::clients::catalog::{Category, Product, ProductFilter, ProductList, Suggestion};
use crate::error::Error;

/// Most characters of a search.
const QUERY_CHARS_MAX: usize = 500;
/// Most attribute filters at once.
const ATTRIBUTES_MAX: usize = 10;

pub fn routes() -> Api<App> {
    Api::default()
        .public(routes!(list_products))
        .public(routes!(get_product))
        .public(routes!(suggest))
        .public(routes!(list_categories))
}

/// What to list, and in which order. A blank parameter counts as absent.
#[derive(Debug, Default, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ProductQuery {
    /// Words to search for; one wrong, missing or swapped letter a word is forgiven.
    #[garde(inner(length(chars, max = QUERY_CHARS_MAX)), custom(validate::line_opt))]
    #[param(max_length = 500)]
    q: Option<String>,
    /// A category's slug.
    #[garde(inner(length(chars, max = 200)), custom(validate::line_opt))]
    category: Option<String>,
    /// A brand, as in the facets.
    #[garde(inner(length(chars, max = 200)), custom(validate::line_opt))]
    brand: Option<String>,
    /// The least price, in minor units.
    #[garde(inner(range(min = 0)), custom(not_above(&self.price_max)))]
    price_min: Option<i64>,
    /// The highest price, in minor units.
    #[garde(inner(range(min = 0)))]
    price_max: Option<i64>,
    /// Only what can be bought now.
    #[garde(skip)]
    in_stock: Option<bool>,
    /// `name:value`; may be given several times.
    #[garde(length(max = ATTRIBUTES_MAX), inner(length(chars, max = 300), custom(validate::line)))]
    #[param(required = false)]
    attr: Vec<String>,
    /// `relevance` (default with `q`), `popular` (default without), `newest`, `price_asc`, `price_desc` or `name`.
    #[garde(inner(custom(known_sort)))]
    sort: Option<String>,
    /// Where to go on, from the page before.
    #[garde(inner(length(max = 1024)), custom(validate::line_opt))]
    cursor: Option<String>,
    /// How many products, 1 to 100; 20 when absent.
    #[garde(inner(range(min = 1, max = LIMIT_MAX)))]
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // garde hands its context to rules by reference
fn known_sort(sort: &str, _: &()) -> garde::Result {
    const KNOWN: [&str; 6] = [
        "relevance",
        "popular",
        "newest",
        "price_asc",
        "price_desc",
        "name",
    ];
    if KNOWN.contains(&sort) {
        return Ok(());
    }
    Err(garde::Error::new(format!("must be one of {}", KNOWN.join(", "))))
}

#[allow(clippy::ref_option)] // garde hands fields to rules by reference
fn not_above(high: &Option<i64>) -> impl FnOnce(&Option<i64>, &()) -> garde::Result {
    move |low, ()| match (low, high) {
        (Some(low), Some(high)) if low > high => Err(garde::Error::new("must not be above price_max")),
        _ => Ok(()),
    }
}

impl ProductQuery {
    /// Reads the pairs of a query string: 400 for what is no number or given twice. (`serde` offers no repeatable
    /// parameters here, so they are read one by one.) Parameters that nobody knows are ignored.
    fn read(pairs: Vec<(String, String)>) -> Result<Self, Problem> {
        let mut query = Self::default();
        for (name, value) in pairs {
            let value = value.trim();
            if value.is_empty() {
                continue;
            }
            match name.as_str() {
                "q" => once(&name, &mut query.q, value)?,
                "category" => once(&name, &mut query.category, value)?,
                "brand" => once(&name, &mut query.brand, value)?,
                "price_min" => once(&name, &mut query.price_min, value)?,
                "price_max" => once(&name, &mut query.price_max, value)?,
                "in_stock" => once(&name, &mut query.in_stock, value)?,
                "attr" => query.attr.push(value.to_owned()),
                "sort" => once(&name, &mut query.sort, value)?,
                "cursor" => once(&name, &mut query.cursor, value)?,
                "limit" => once(&name, &mut query.limit, value)?,
                _ => {}
            }
        }
        Ok(query)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ProductQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        valid(Self::read(all_pairs(parts, state).await?)?)
    }
}

impl From<ProductQuery> for ProductFilter {
    fn from(query: ProductQuery) -> Self {
        Self {
            q: query.q,
            category: query.category,
            brand: query.brand,
            price_min: query.price_min,
            price_max: query.price_max,
            in_stock: query.in_stock,
            attr: query.attr,
            sort: query.sort,
            cursor: query.cursor,
            limit: query.limit,
        }
    }
}

/// Lists or searches products; without a filter all of them, those in stock first.
#[utoipa::path(get, path = "/api/products", tag = "products", params(ProductQuery), responses(
    (status = 200, body = ProductList),
    (status = 400, body = ProblemDocument, description = "`bad-query`, `bad-cursor`"),
    (status = 422, body = ProblemDocument, description = "`invalid`")))]
async fn list_products(
    State(app): State<App>,
    query: ProductQuery,
) -> Result<(Option<Did>, Json<ProductList>), Error> {
    let filter = ProductFilter::from(query);
    let list = app.clients.catalog.products(&filter).await?;
    let did = Did::search(filter.q.as_deref(), filter.cursor.as_deref(), list.total);
    Ok((did, Json(list)))
}

/// One product; archived ones too, as `status` says.
#[utoipa::path(get, path = "/api/products/{id}", tag = "products", params(("id" = Uuid, Path)), responses(
    (status = 200, body = Product),
    (status = 404, body = ProblemDocument, description = "`not-found`")))]
async fn get_product(State(app): State<App>, Path(id): Path<Uuid>) -> Result<(Did, Json<Product>), Error> {
    let product = app.clients.catalog.product(id).await?;
    let product = product.ok_or(Error::Unknown("product"))?;
    Ok((Did::view(id), Json(product)))
}

/// What has been typed so far.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SuggestQuery {
    /// What has been typed so far.
    #[serde(default)]
    #[garde(length(chars, max = QUERY_CHARS_MAX), custom(validate::line))]
    #[param(max_length = 500)]
    q: String,
    /// How many suggestions, 1 to 100.
    #[serde(default, deserialize_with = "blank_is_absent")]
    #[garde(inner(range(min = 1, max = LIMIT_MAX)))]
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

/// What somebody who typed this may be looking for.
#[utoipa::path(get, path = "/api/suggest", tag = "products", params(SuggestQuery), responses(
    (status = 200, body = Page<Suggestion>),
    (status = 422, body = ProblemDocument, description = "`invalid`")))]
async fn suggest(
    State(app): State<App>,
    Query(query): Query<SuggestQuery>,
) -> Result<Json<Page<Suggestion>>, Error> {
    if query.q.trim().is_empty() {
        return Ok(Json(Page::whole(Vec::new())));
    }
    let items = app.clients.catalog.suggest(&query.q, query.limit).await?;
    Ok(Json(Page::whole(items)))
}

/// All categories, with how many products each has.
#[utoipa::path(get, path = "/api/categories", tag = "products", responses((status = 200, body = Page<Category>)))]
async fn list_categories(State(app): State<App>) -> Result<Json<Page<Category>>, Error> {
    Ok(Json(Page::whole(app.clients.catalog.categories().await?)))
}
