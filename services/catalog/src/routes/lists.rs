//! Lists: products, suggestions, categories.

use axum::Json;
use axum::extract::State;
use emporium_service_kit::auth::Caller;
use emporium_service_kit::extract::Query;
use emporium_service_kit::page::{LIMIT_DEFAULT, LIMIT_MAX, Page};
use emporium_service_kit::problem::ProblemDocument;
use emporium_service_kit::validate;
use emporium_service_kit::{Problem, ServiceName};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::App;
use crate::error::Error;
use crate::model::{Product, Status};
use crate::search::choice::{Adapter, Answered};
use crate::search::{FacetValue, Facets, SUGGESTIONS_MAX, SearchPage, SearchQuery, Sort, Suggestion};

/// How many attributes a list can be filtered by.
const ATTRIBUTE_FILTERS_MAX: usize = 10;

/// What products are wanted.
#[derive(Debug, Clone, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Words to search for, at most 500 characters.
    #[garde(inner(length(chars, max = 500)), custom(validate::line_opt))]
    q: Option<String>,
    /// Only this category (slug).
    #[garde(inner(length(chars, max = 100)), custom(validate::line_opt))]
    category: Option<String>,
    /// Only this brand.
    #[garde(inner(length(chars, max = 100)), custom(validate::line_opt))]
    brand: Option<String>,
    /// At least this price, in minor units.
    #[garde(inner(range(min = 0)))]
    price_min: Option<i64>,
    /// At most this price, in minor units.
    #[garde(inner(range(min = 0)))]
    price_max: Option<i64>,
    /// `true`: only what is in stock; `false`: only what is not.
    #[garde(skip)]
    in_stock: Option<bool>,
    /// `relevance` when there is `q`, else `popular`.
    #[garde(skip)]
    sort: Option<Sort>,
    /// For the operator only: this search index and no other, to compare them.
    #[garde(skip)]
    index: Option<Adapter>,
    /// Where to go on, from the page before; belongs to its sort.
    #[garde(inner(length(max = 1024)))]
    cursor: Option<String>,
    /// How many items, 1 to 100; 20 when absent.
    #[garde(inner(range(min = 1, max = LIMIT_MAX)))]
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

/// A page of products.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProductList {
    /// The products.
    items: Vec<Product>,
    /// What the whole list has in common.
    facets: Facets,
    /// How many products the whole list has.
    total: i64,
    /// True when there are more than `total`.
    total_is_lower_bound: bool,
    /// Pass as `cursor` to get the next page; null at the end.
    next_cursor: Option<String>,
    /// What is missing from this answer, because something it needs is away: `search` when the search index is, and the
    /// database answers for it.
    degraded: Vec<String>,
    /// The words that were searched instead, when some were mistyped.
    corrected_query: Option<String>,
}

/// Products by words and filters.
#[utoipa::path(get, path = "/products",
    params(ListQuery, ("attr" = Option<Vec<String>>, Query, description = "`name:value`; repeatable, at most 10")),
    responses((status = 200, body = ProductList), (status = 400, description = "`bad-cursor`, `bad-query`", body = ProblemDocument),
              (status = 403, description = "`caller-not-allowed`: only the operator chooses the index", body = ProblemDocument),
              (status = 422, description = "`invalid`", body = ProblemDocument)))]
pub async fn list_products(
    State(app): State<App>,
    caller: Caller,
    Query(list): Query<ListQuery>,
    axum::extract::Query(all): axum::extract::Query<Vec<(String, String)>>,
) -> Result<Json<ProductList>, Problem> {
    let adapter = list.index;
    let query = search_query(list, &all)?;
    let Answered {
        answer: page,
        degraded,
    } = match adapter {
        None => app.search.search(&query).await.map_err(Error::from)?,
        Some(adapter) => only(&app, caller, adapter, &query).await?,
    };
    let mut items = app.store.products(&page.ids).await?;
    // The index was asked a moment before the products, and one may have been archived in between.
    items.retain(|product| product.status == Status::Active);
    let mut highlights = page.highlights;
    for item in &mut items {
        item.highlights = highlights.remove(&item.id);
    }
    Ok(Json(ProductList {
        items,
        facets: page.summary.facets.clone(),
        total: page.summary.total,
        total_is_lower_bound: page.summary.total_is_lower_bound,
        next_cursor: page.next_cursor,
        degraded: missing(degraded),
        corrected_query: page.corrected_query,
    }))
}

/// What an answer lacks that the index in the database gave in place of another.
fn missing(degraded: bool) -> Vec<String> {
    degraded.then(|| "search".to_owned()).into_iter().collect()
}

async fn only(
    app: &App,
    Caller(caller): Caller,
    adapter: Adapter,
    query: &SearchQuery,
) -> Result<Answered<SearchPage>, Problem> {
    if caller != ServiceName::Operator {
        return Err(Problem::forbidden(
            "caller-not-allowed",
            format!("{caller} may not choose the index."),
        ));
    }
    let Some(answer) = app.search.search_only(adapter, query).await else {
        let message = "is no index that the settings name".to_owned();
        return Err(Problem::invalid([("index".to_owned(), message)]));
    };
    Ok(Answered {
        answer: answer.map_err(Error::from)?,
        degraded: false,
    })
}

fn search_query(list: ListQuery, all: &[(String, String)]) -> Result<SearchQuery, Problem> {
    let text = list.q.filter(|text| !text.trim().is_empty());
    let default = if text.is_some() {
        Sort::Relevance
    } else {
        Sort::Popular
    };
    Ok(SearchQuery {
        text,
        category: list.category,
        brand: list.brand,
        price_min: list.price_min,
        price_max: list.price_max,
        in_stock: list.in_stock,
        attributes: attribute_filters(all)?,
        sort: list.sort.unwrap_or(default),
        cursor: list.cursor,
        limit: list.limit.unwrap_or(LIMIT_DEFAULT),
    })
}

fn attribute_filters(all: &[(String, String)]) -> Result<Vec<(String, String)>, Problem> {
    let mut filters = Vec::new();
    for (_, text) in all.iter().filter(|(name, _)| name == "attr") {
        let refused = |message: &str| Problem::invalid([("attr".to_owned(), message.to_owned())]);
        let (name, value) = text
            .split_once(':')
            .ok_or_else(|| refused("must be name:value"))?;
        if text.chars().count() > 400 || text.chars().any(char::is_control) {
            return Err(refused("must be one line of at most 400 characters"));
        }
        if filters.len() == ATTRIBUTE_FILTERS_MAX {
            return Err(refused("must not be more than 10"));
        }
        filters.push((name.to_owned(), value.to_owned()));
    }
    Ok(filters)
}

/// What was typed so far.
#[derive(Debug, Clone, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SuggestQuery {
    /// At most 500 characters.
    #[serde(default)]
    #[garde(length(chars, max = 500), custom(validate::line))]
    q: String,
    /// How many suggestions, 1 to 10; 10 when absent.
    #[garde(inner(range(min = 1, max = SUGGESTIONS_MAX)))]
    #[param(minimum = 1, maximum = 10)]
    limit: Option<u32>,
}

/// Suggestions, best first.
#[derive(Debug, Serialize, ToSchema)]
pub struct SuggestionList {
    /// At most ten.
    items: Vec<Suggestion>,
    /// `search` when the search index is away and the database answers for it.
    degraded: Vec<String>,
}

/// What somebody may be about to type.
#[utoipa::path(get, path = "/suggest", params(SuggestQuery), responses((status = 200, body = SuggestionList)))]
pub async fn suggest(
    State(app): State<App>,
    Query(query): Query<SuggestQuery>,
) -> Result<Json<SuggestionList>, Error> {
    let limit = query.limit.unwrap_or(SUGGESTIONS_MAX);
    let Answered {
        answer: items,
        degraded,
    } = app.search.suggest(&query.q, limit).await?;
    Ok(Json(SuggestionList {
        items,
        degraded: missing(degraded),
    }))
}

/// A category with the number of its products.
#[derive(Debug, Serialize, ToSchema)]
pub struct Category {
    /// To filter by.
    slug: String,
    /// To show.
    name: String,
    /// How many products on sale it has.
    count: i64,
}

impl From<FacetValue> for Category {
    fn from(value: FacetValue) -> Self {
        Self {
            slug: value.value,
            name: value.name,
            count: value.count,
        }
    }
}

/// The categories that have products, by name; always the whole list, and always from the products' own database.
#[utoipa::path(get, path = "/categories", responses((status = 200, body = Page<Category>)))]
pub async fn list_categories(State(app): State<App>) -> Result<Json<Page<Category>>, Error> {
    let categories = app.search.postgres().categories().await?;
    Ok(Json(Page::whole(
        categories.into_iter().map(Category::from).collect(),
    )))
}
