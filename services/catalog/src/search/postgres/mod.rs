//! The PostgreSQL search index: a weighted `tsvector` with a GIN index, a vocabulary with SymSpell-style deletions for
//! typing errors, and counters for the facets of the whole list.
//!
//! How a list is answered: the words are looked up in the vocabulary ([`words`]), the list is summed up or its sum is
//! remembered ([`summary`]), and one statement gives the page ([`page`]). Every statement is bounded by an index and a
//! `LIMIT`, whatever is asked.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use emporium_service_kit::Db;
use emporium_service_kit::db::BULK_STATEMENT_TIMEOUT;
use emporium_service_kit::report::{Inspect, StoreOn};
use emporium_service_kit::stores::CATALOG_SEARCH;
use sqlx::{Postgres, QueryBuilder};

use super::cursor::{Key, Place};
use super::{
    Capability, FacetValue, IndexChange, SearchError, SearchIndex, SearchPage, SearchQuery, Sort, Suggestion,
    Summary, facts,
};

mod page;
mod rows;
mod suggest;
mod summary;
mod texts;
mod words;
mod write;

use summary::SummaryCache;
use words::Words;
pub use write::Trade;

/// What it cannot do.
const LACKS: [Capability; 2] = [Capability::ExactCounts, Capability::Highlights];

/// The search index in the service's own database.
#[derive(Clone)]
pub struct PostgresSearch {
    db: Db,
    summaries: Arc<SummaryCache>,
}

impl PostgresSearch {
    /// Uses tables that are there already. Summaries of lists are remembered for `summary_age_max`, or until this process
    /// changes a product.
    pub fn new(db: Db, summary_age_max: Duration) -> Self {
        Self {
            db,
            summaries: Arc::new(SummaryCache::new(summary_age_max)),
        }
    }

    /// Forgets the summaries. Call it after a commit that changed what is listed.
    pub fn forget_summaries(&self) {
        self.summaries.clear();
    }

    /// After a bulk load: merges what the inverted indexes put off, and renews the planner's statistics, which autovacuum
    /// would do only minutes later.
    pub async fn settle(&self) -> Result<(), sqlx::Error> {
        let mut tx = self.db.begin().await?;
        tx.allow(BULK_STATEMENT_TIMEOUT).await?;
        sqlx::query(
            "SELECT gin_clean_pending_list('catalog_search_text_words'::regclass),
                    gin_clean_pending_list('catalog_search_text_facts'::regclass)",
        )
        .execute(&mut tx)
        .await?;
        for table in ["entry", "text", "term", "deletion", "count"] {
            sqlx::query(sqlx::AssertSqlSafe(format!("ANALYZE catalog_search_{table}")))
                .execute(&mut tx)
                .await?;
        }
        tx.commit().await
    }

    /// The summary of a list, remembered for a moment.
    async fn summary(
        &self,
        query: &SearchQuery,
        expression: Option<&str>,
    ) -> Result<Arc<Summary>, sqlx::Error> {
        let key = summary::SummaryKey::new(query, expression);
        let asked = match self.summaries.get(&key) {
            Ok(summary) => return Ok(summary),
            Err(asked) => asked,
        };
        let summary = Arc::new(if key.is_everything() {
            summary::of_everything(&self.db).await?
        } else {
            summary::of_list(&self.db, query, expression).await?
        });
        self.summaries.put(key, asked, &summary);
        Ok(summary)
    }

    async fn find(
        &self,
        query: &SearchQuery,
        sort: Sort,
        words: Option<&Words>,
    ) -> Result<SearchPage, SearchError> {
        let place = query
            .cursor
            .as_deref()
            .map(|cursor| Place::read(cursor, sort))
            .transpose()?;
        let mut any_word = place.as_ref().is_some_and(|place| place.any_word);
        let expression = |any_word| words.map(|words| words.expression(any_word));
        let mut summary = self.summary(query, expression(any_word)).await?;
        // No product has all the words: then the ones with most of what matters are better than nothing.
        if summary.total == 0 && place.is_none() && words.is_some_and(Words::are_several) {
            any_word = true;
            summary = self.summary(query, expression(any_word)).await?;
        }
        let own = words.map_or(&[][..], |words| &words.weights);
        let weights = match place.as_ref().map(|place| &place.key) {
            Some(Key::Relevance(_, weights)) => Place::checked(weights, own.len())?,
            _ => own,
        };
        let request = page::Request {
            query,
            sort,
            words,
            weights,
            any_word,
            place: place.as_ref(),
            broad: summary.total_is_lower_bound,
        };
        let (ids, next) = page::read(&self.db, &request).await?;
        Ok(SearchPage {
            ids,
            next_cursor: next.map(|place| place.write()),
            summary,
            corrected_query: words.and_then(|words| words.corrected.clone()),
            highlights: HashMap::new(),
        })
    }

    /// Every category that has products (at most 1,000), with their number, by name.
    pub async fn categories(&self) -> Result<Vec<FacetValue>, SearchError> {
        Ok(summary::categories(&self.db).await?)
    }
}

#[async_trait]
impl SearchIndex for PostgresSearch {
    async fn search(&self, query: &SearchQuery) -> Result<SearchPage, SearchError> {
        let sort = query.order();
        let Some(text) = &query.text else {
            return self.find(query, sort, None).await;
        };
        match words::look_up(&self.db, text).await? {
            Some(words) => self.find(query, sort, Some(&words)).await,
            None => Ok(SearchPage::nothing()),
        }
    }

    async fn suggest(&self, text: &str, limit: u32) -> Result<Vec<Suggestion>, SearchError> {
        Ok(suggest::suggest(&self.db, text, limit.min(super::SUGGESTIONS_MAX)).await?)
    }

    async fn apply(&self, changes: &[IndexChange]) -> Result<(), SearchError> {
        let mut tx = self.db.begin().await?;
        self.write_late(&mut tx, changes).await?;
        tx.commit().await?;
        self.forget_summaries();
        Ok(())
    }

    fn lacks(&self) -> &'static [Capability] {
        &LACKS
    }
}

/// `FROM … WHERE …` of a list: the same for its pages and its summary.
fn push_list(sql: &mut QueryBuilder<Postgres>, query: &SearchQuery, expression: Option<&str>) {
    sql.push(" FROM catalog_search_entry AS e");
    if expression.is_some() || !query.attributes.is_empty() {
        sql.push(" JOIN catalog_search_text AS t USING (product_id)");
    }
    sql.push(" WHERE true");
    if let Some(expression) = expression {
        sql.push(" AND t.words @@ ")
            .push_bind(expression.to_owned())
            .push("::tsquery");
    }
    for (name, value) in &query.attributes {
        sql.push(" AND t.facts && ")
            .push_bind(facts::facts_asked_for(name, value));
    }
    if let Some(category) = &query.category {
        sql.push(" AND e.category = ").push_bind(category.clone());
    }
    if let Some(brand) = &query.brand {
        sql.push(" AND e.brand = ").push_bind(brand.clone());
    }
    if let Some(price) = query.price_min {
        sql.push(" AND e.price >= ").push_bind(price);
    }
    if let Some(price) = query.price_max {
        sql.push(" AND e.price <= ").push_bind(price);
    }
    if let Some(in_stock) = query.in_stock {
        sql.push(" AND e.in_stock = ").push_bind(in_stock);
    }
}

/// The index in the service's own database, for reports.
pub fn report(db: Db) -> Arc<dyn Inspect> {
    let lacks = LACKS.iter().map(|lack| lack.lack());
    StoreOn::shared(db, "search", Some(CATALOG_SEARCH), lacks)
}
