//! Search: finding products by words, filters and prefixes.
//!
//! The truth about products is in the store; a search index is a projection of it, and nothing in it is truth.
//!
//! # Adding an adapter
//!
//! 1. Implement [`SearchIndex`] in a file (or folder) named after the store; say in [`SearchIndex::lacks`] what it cannot do.
//! 2. Give it a URL scheme in [`choice::open`].
//! 3. Add one line to `tests/search_contract.rs`: `search_contract!(name, make)`. The suite says what every adapter promises.
//!
//! An adapter that shares the truth's database may be written in the truth's own transaction, as the PostgreSQL one is
//! ([`postgres::PostgresSearch::write`]); any other is fed with [`SearchIndex::apply`], at least once and possibly late, and
//! keeps the newest version of each product. The indexer ([`crate::indexer`]) follows the catalog's event history for it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use emporium_service_kit::{Db, Lack, StoreError};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::model::AttributeValue;

pub mod choice;
pub mod contract;
pub mod cursor;
pub mod elasticsearch;
mod facts;
pub mod health;
pub mod postgres;
pub mod shadow;
pub mod text;

/// Totals are exact up to this many products; an adapter that lacks [`Capability::ExactCounts`] counts no further.
pub const TOTAL_EXACT_MAX: i64 = 10_000;
/// The most suggestions an answer has.
pub const SUGGESTIONS_MAX: u32 = 10;
/// Upper ends of the price ranges, inclusive, in minor units; the last range is open.
pub const PRICE_RANGE_ENDS: [i64; 7] = [999, 2_499, 4_999, 9_999, 24_999, 49_999, 99_999];

/// Why a search gave no page.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// The cursor cannot be read or belongs to another order of sorting.
    #[error("The cursor does not belong to this list; start again without one.")]
    BadCursor,
    /// The index's store is away or failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for SearchError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// The order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sort {
    /// Best match first; without words the same as `popular`.
    Relevance,
    /// In stock first, then most sold.
    Popular,
    /// Newest first.
    Newest,
    /// Cheapest first.
    PriceAsc,
    /// Dearest first.
    PriceDesc,
    /// By name, A to Z.
    Name,
}

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SearchQuery {
    /// Words; `None` finds everything. A text without a single word in it finds nothing.
    pub text: Option<String>,
    /// Only this category (slug).
    pub category: Option<String>,
    /// Only this brand, exactly as facets write it.
    pub brand: Option<String>,
    /// At least this price, in minor units.
    pub price_min: Option<i64>,
    /// At most this price, in minor units.
    pub price_max: Option<i64>,
    /// Only what is (or is not) in stock.
    pub in_stock: Option<bool>,
    /// Only products that have all of these attributes, as (name, value as shown).
    pub attributes: Vec<(String, String)>,
    /// The order.
    pub sort: Sort,
    /// Where to go on.
    pub cursor: Option<String>,
    /// Page size.
    pub limit: u32,
}

impl SearchQuery {
    /// Everything in this order, from the beginning.
    pub fn everything(sort: Sort, limit: u32) -> Self {
        Self {
            text: None,
            category: None,
            brand: None,
            price_min: None,
            price_max: None,
            in_stock: None,
            attributes: Vec::new(),
            sort,
            cursor: None,
            limit,
        }
    }

    /// The order, in which `relevance` without words is `popular`.
    pub fn order(&self) -> Sort {
        match (self.sort, &self.text) {
            (Sort::Relevance, None) => Sort::Popular,
            (sort, _) => sort,
        }
    }
}

/// A page of products, by id.
#[derive(Debug, Clone)]
pub struct SearchPage {
    /// The products of this page, in order.
    pub ids: Vec<Uuid>,
    /// For the next page.
    pub next_cursor: Option<String>,
    /// What was found in all; shared, because it is often cached.
    pub summary: Arc<Summary>,
    /// The words that were searched instead, when some were mistyped.
    pub corrected_query: Option<String>,
    /// Where the words stand, by product; empty without words, and where the adapter lacks [`Capability::Highlights`].
    pub highlights: HashMap<Uuid, Highlights>,
}

impl SearchPage {
    /// What a text without words finds.
    pub fn nothing() -> Self {
        Self {
            ids: Vec::new(),
            next_cursor: None,
            summary: Arc::default(),
            corrected_query: None,
            highlights: HashMap::new(),
        }
    }
}

/// Parts of a product's texts as HTML: escaped, with `<em>` around the words that were searched for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Highlights {
    /// The whole name, when a word stands in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A part of the description, when a word stands in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// What a list contains in all.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// How many products.
    pub total: i64,
    /// True when there are more than [`TOTAL_EXACT_MAX`] and nobody counted on.
    pub total_is_lower_bound: bool,
    /// Counts by category, brand and price.
    pub facets: Facets,
}

/// Numbers of products by what they have in common; the largest first, at most 50 of a kind.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct Facets {
    /// By category.
    pub category: Vec<FacetValue>,
    /// By brand.
    pub brand: Vec<FacetValue>,
    /// By price, cheapest first.
    pub price: Vec<PriceRange>,
}

/// One value of a facet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FacetValue {
    /// To filter by.
    pub value: String,
    /// To show.
    pub name: String,
    /// How many products have it.
    pub count: i64,
}

/// A range of prices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PriceRange {
    /// Lowest price in minor units, inclusive: `price_min`.
    pub from: i64,
    /// Highest price, inclusive: `price_max`; null for no end.
    pub to: Option<i64>,
    /// How many products cost that much.
    pub count: i64,
}

/// What a suggestion is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SuggestionKind {
    /// A product's name.
    Product,
    /// A category's name.
    Category,
    /// A brand.
    Brand,
}

/// Something to search for, offered while typing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Suggestion {
    /// The words.
    pub text: String,
    /// What they name.
    pub kind: SuggestionKind,
    /// The product, when it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product_id: Option<Uuid>,
}

/// An active product, as the index sees it.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "as in the product")]
pub struct Document {
    pub id: Uuid,
    pub version: i64,
    pub sku: String,
    pub name: String,
    pub description: String,
    pub category: String,
    pub category_name: String,
    pub brand: Option<String>,
    pub price: i64,
    pub attributes: BTreeMap<String, AttributeValue>,
    pub in_stock: bool,
    pub popularity: i64,
    pub created_at: OffsetDateTime,
}

/// A listed product as an index keeps it: the same text from every index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The product.
    pub id: Uuid,
    /// All that is indexed of it, its version too: JSON with its fields in the order of their names.
    pub text: String,
}

impl Row {
    /// Of these fields.
    pub fn of(id: Uuid, fields: &BTreeMap<String, serde_json::Value>) -> Self {
        let field = |(name, value): (&String, &serde_json::Value)| {
            format!("{}:{value}", serde_json::Value::from(name.as_str()))
        };
        let text = fields.iter().map(field).collect::<Vec<_>>().join(",");
        Self { id, text }
    }
}

/// A change for the index, with the product's version.
#[derive(Debug, Clone, PartialEq)]
pub enum IndexChange {
    /// The product is new or looks different now.
    Put(Box<Document>),
    /// The product is not listed any more.
    Remove {
        /// The product.
        id: Uuid,
        /// Its version.
        version: i64,
    },
}

impl IndexChange {
    /// The product that changed.
    pub fn id(&self) -> Uuid {
        match self {
            Self::Put(document) => document.id,
            Self::Remove { id, .. } => *id,
        }
    }

    /// Its version after the change.
    pub fn version(&self) -> i64 {
        match self {
            Self::Put(document) => document.version,
            Self::Remove { version, .. } => *version,
        }
    }
}

/// What an adapter may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capability {
    /// A change is found as soon as it is made.
    Immediate,
    /// Totals and facets count all that matches, however many, and ranking looks at all of them.
    ExactCounts,
    /// Answers show where the words stand.
    Highlights,
}

impl Capability {
    /// For reports: what follows for a user of an adapter that lacks it.
    pub fn lack(self) -> Lack {
        let (capability, consequence) = match self {
            Self::Immediate => (
                "immediate",
                "lists follow a change within about a second; prices and stock shown come from the truth",
            ),
            Self::ExactCounts => (
                "exact counts",
                "beyond 10,000 matches totals are lower bounds, and the 1,000 most popular are ranked",
            ),
            Self::Highlights => ("highlights", "answers do not show where the words stand"),
        };
        Lack::new(capability, consequence)
    }
}

/// A search index over the active products.
#[async_trait]
pub trait SearchIndex: Send + Sync {
    /// A page of what matches, with the summary of the whole list. Forgives one wrong, missing, surplus or swapped letter
    /// in each word of three letters or more that no product has.
    ///
    /// A cursor of another adapter is understood: sorts by a column go on exactly, by relevance after as many products as
    /// were shown, since each adapter has its own idea of what is relevant.
    async fn search(&self, query: &SearchQuery) -> Result<SearchPage, SearchError>;

    /// Products, categories and brands whose names begin like that; at most `limit` and never more than
    /// [`SUGGESTIONS_MAX`].
    async fn suggest(&self, text: &str, limit: u32) -> Result<Vec<Suggestion>, SearchError>;

    /// Applies changes, each product at most once. An older version never replaces a newer one, a removal included, and
    /// the same version again changes nothing.
    async fn apply(&self, changes: &[IndexChange]) -> Result<(), SearchError>;

    /// What it cannot do, for reports and for the contract suite.
    fn lacks(&self) -> &'static [Capability];
}

/// The number of the range that a price falls in.
pub(crate) fn price_range(price: i64) -> usize {
    PRICE_RANGE_ENDS.partition_point(|end| *end < price)
}

/// The price range of that number with its count.
pub(crate) fn price_range_of(number: usize, count: i64) -> PriceRange {
    let before = number.checked_sub(1).and_then(|i| PRICE_RANGE_ENDS.get(i));
    PriceRange {
        from: before.map_or(0, |end| end + 1),
        to: PRICE_RANGE_ENDS.get(number).copied(),
        count,
    }
}

/// How long summaries may be remembered when nobody said otherwise.
pub const SUMMARY_AGE_MAX: Duration = Duration::from_secs(3);

/// The PostgreSQL index of a service's own database.
pub fn in_own_database(db: Db) -> postgres::PostgresSearch {
    postgres::PostgresSearch::new(db, SUMMARY_AGE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn price_ranges_join_without_gap_or_overlap() {
        let mut from = 0;
        for number in 0..=PRICE_RANGE_ENDS.len() {
            let range = price_range_of(number, 1);
            assert_eq!(range.from, from);
            assert_eq!(price_range(range.from), number);
            if let Some(to) = range.to {
                assert_eq!(price_range(to), number);
                from = to + 1;
            }
        }
        assert_eq!(price_range(1_000_000_000), PRICE_RANGE_ENDS.len());
    }
}
