//! How many products a list has, by category, brand and price; remembered for a moment.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use emporium_service_kit::Db;
use sqlx::{FromRow, QueryBuilder};

use super::push_list;
use crate::search::{
    FacetValue, Facets, PRICE_RANGE_ENDS, SearchQuery, Summary, TOTAL_EXACT_MAX, price_range_of,
};

/// Values of a facet that are shown.
const VALUES_MAX: i64 = 50;
/// Categories that are listed.
const CATEGORIES_MAX: i64 = 1_000;
/// Lists whose summaries are remembered.
const REMEMBERED_MAX: usize = 512;

/// What a list's summary depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct SummaryKey {
    expression: Option<String>,
    category: Option<String>,
    brand: Option<String>,
    price: (Option<i64>, Option<i64>),
    in_stock: Option<bool>,
    attributes: Vec<(String, String)>,
}

impl SummaryKey {
    /// Of a query whose words became this expression.
    pub fn new(query: &SearchQuery, expression: Option<&str>) -> Self {
        Self {
            expression: expression.map(str::to_owned),
            category: query.category.clone(),
            brand: query.brand.clone(),
            price: (query.price_min, query.price_max),
            in_stock: query.in_stock,
            attributes: query.attributes.clone(),
        }
    }

    /// True for the list without words and filters.
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }
}

/// Summaries of the lists asked for most lately. Bounded in number and age.
pub struct SummaryCache {
    age_max: Duration,
    /// Counts the clearings, so that an answer that was read before one is not put in after it.
    era: AtomicU64,
    kept: Mutex<HashMap<SummaryKey, (Instant, Arc<Summary>)>>,
}

impl SummaryCache {
    pub fn new(age_max: Duration) -> Self {
        Self {
            age_max,
            era: AtomicU64::new(0),
            kept: Mutex::default(),
        }
    }

    /// A summary that is young enough, or else the era to hand to [`Self::put`].
    pub fn get(&self, key: &SummaryKey) -> Result<Arc<Summary>, u64> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.get(key) {
            Some((at, summary)) if at.elapsed() < self.age_max => Ok(summary.clone()),
            _ => Err(self.era.load(Ordering::SeqCst)),
        }
    }

    /// Remembers a summary that was asked for in that era.
    pub fn put(&self, key: SummaryKey, era: u64, summary: &Arc<Summary>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if self.era.load(Ordering::SeqCst) != era {
            return;
        }
        if kept.len() >= REMEMBERED_MAX {
            kept.retain(|_, (at, _)| at.elapsed() < self.age_max);
            if kept.len() >= REMEMBERED_MAX {
                kept.clear();
            }
        }
        kept.insert(key, (Instant::now(), summary.clone()));
    }

    /// Forgets everything.
    pub fn clear(&self) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        self.era.fetch_add(1, Ordering::SeqCst);
        kept.clear();
    }
}

#[derive(FromRow)]
struct Counter {
    kind: String,
    value: String,
    label: String,
    count: i64,
}

/// The whole catalogue, from counters that are kept with every change.
pub async fn of_everything(db: &Db) -> Result<Summary, sqlx::Error> {
    let counts = sqlx::query_as(
        "SELECT kind, value, label, count FROM catalog_search_count WHERE kind IN ('total', 'price')
         UNION ALL (SELECT kind, value, label, count FROM catalog_search_count
                    WHERE kind = 'category' AND count > 0 ORDER BY count DESC, value LIMIT $1)
         UNION ALL (SELECT kind, value, label, count FROM catalog_search_count
                    WHERE kind = 'brand' AND count > 0 ORDER BY count DESC, value LIMIT $1)",
    )
    .bind(VALUES_MAX)
    .fetch_all(db)
    .await?;
    Ok(sum_up(counts, i64::MAX))
}

/// A part of it: counts up to a bound.
pub async fn of_list(db: &Db, query: &SearchQuery, expression: Option<&str>) -> Result<Summary, sqlx::Error> {
    let mut sql = QueryBuilder::new("WITH hits AS MATERIALIZED (SELECT e.category, e.brand, e.price");
    push_list(&mut sql, query, expression);
    sql.push(" LIMIT ").push_bind(TOTAL_EXACT_MAX + 1);
    sql.push(
        "), categories AS (SELECT category, count(*) AS count FROM hits GROUP BY category
                           ORDER BY 2 DESC, 1 LIMIT ",
    )
    .push_bind(VALUES_MAX)
    .push(
        "), brands AS (SELECT brand, count(*) AS count FROM hits WHERE brand IS NOT NULL GROUP BY brand
                       ORDER BY 2 DESC, 1 LIMIT ",
    )
    .push_bind(VALUES_MAX)
    .push("), prices AS (SELECT width_bucket(price - 1, ")
    .push_bind(PRICE_RANGE_ENDS.to_vec())
    .push(
        "::bigint[]) AS range, count(*) AS count FROM hits GROUP BY 1)
         SELECT 'total' AS kind, '' AS value, '' AS label, count(*) AS count FROM hits
         UNION ALL SELECT 'category', h.category, coalesce(c.label, h.category), h.count FROM categories AS h
           LEFT JOIN catalog_search_count AS c ON c.kind = 'category' AND c.value = h.category
         UNION ALL SELECT 'brand', brand, brand, count FROM brands
         UNION ALL SELECT 'price', range::text, '', count FROM prices",
    );
    let counts = sql
        .build_query_as()
        .persistent(expression.is_none() && query.attributes.is_empty())
        .fetch_all(db)
        .await?;
    Ok(sum_up(counts, TOTAL_EXACT_MAX))
}

fn sum_up(counts: Vec<Counter>, exact_max: i64) -> Summary {
    let mut summary = Summary::default();
    let Facets {
        category,
        brand,
        price,
    } = &mut summary.facets;
    for row in counts {
        let Counter {
            kind,
            value,
            label,
            count,
        } = row;
        match kind.as_str() {
            "total" => {
                summary.total = count.min(exact_max);
                summary.total_is_lower_bound = count > exact_max;
            }
            "price" if count > 0 => {
                price.extend(value.parse().ok().map(|number| price_range_of(number, count)));
            }
            "category" => category.push(FacetValue {
                value,
                name: label,
                count,
            }),
            "brand" => brand.push(FacetValue {
                value,
                name: label,
                count,
            }),
            _ => {}
        }
    }
    // The parts of a UNION come in no promised order.
    for values in [category, brand] {
        values.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
    }
    price.sort_by_key(|range| range.from);
    summary
}

/// Every category with products, by name.
pub async fn categories(db: &Db) -> Result<Vec<FacetValue>, sqlx::Error> {
    let counts: Vec<Counter> = sqlx::query_as(
        "SELECT kind, value, label, count FROM catalog_search_count
         WHERE kind = 'category' AND count > 0 ORDER BY folded, value LIMIT $1",
    )
    .bind(CATEGORIES_MAX)
    .fetch_all(db)
    .await?;
    Ok(counts
        .into_iter()
        .map(|count| FacetValue {
            value: count.value,
            name: count.label,
            count: count.count,
        })
        .collect())
}
