//! The Elasticsearch search index.
//!
//! How a list is answered: the words are looked up ([`words`]), then one request brings the page and the summary
//! ([`query`], [`answer`]). Everything goes through an alias, behind which indices are exchanged ([`index`]).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::report::{Server, ServerFacts, latency_ms};
use emporium_service_kit::{Environment, StartError, StoreError, StoreSetting};
use reqwest::Method;
use serde_json::Value;
use uuid::Uuid;

use super::cursor::{Key, Place};
use super::{
    Capability, Highlights, IndexChange, SUGGESTIONS_MAX, SearchError, SearchIndex, SearchPage, SearchQuery,
    Suggestion,
};

mod answer;
pub mod client;
mod document;
pub mod index;
mod mapping;
mod query;
pub mod rows;
mod words;

mod suggest;

use answer::{Answer, Answers};
pub use client::ELASTICSEARCH;
use client::{Address, Body, Client, ConnectError, ElasticError, Request, SEARCH_TIMEOUT, template};
pub use document::product as indexed;
pub use mapping::fingerprint;
use query::{List, OFFSET_MAX};
use words::Words;

/// How long a search may take altogether, with all its requests; then the caller is answered from elsewhere.
pub const SEARCH_BUDGET: Duration = Duration::from_secs(1);

/// A search index behind an alias. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ElasticSearch {
    client: Client,
    alias: Arc<str>,
}

impl From<ElasticError> for SearchError {
    fn from(error: ElasticError) -> Self {
        Self::Store(error.into())
    }
}

#[async_trait]
impl Server for ElasticSearch {
    fn adapter(&self) -> &'static str {
        ELASTICSEARCH
    }

    async fn facts(&self) -> Result<ServerFacts, StoreError> {
        let version = self.version().await?;
        let latency_ms = latency_ms(async || self.version().await.map(drop)).await?;
        Ok(ServerFacts {
            version: format!("Elasticsearch {version}"),
            latency_ms,
            durability: "a projection; each bulk request is on disk when it is acknowledged (translog durability=request)"
                .to_owned(),
            size_bytes: self.size_bytes().await.ok(),
        })
    }
}

impl ElasticSearch {
    /// The server that the setting names: one clear line when it does not answer, refuses, or will not do.
    pub async fn open(setting: &StoreSetting<'_>, environment: &Environment) -> Result<Self, StartError> {
        let opened = Self::connect(setting.url(), environment.metrics.clone()).await;
        opened.map_err(|error| match error {
            ConnectError::Unreachable(_) | ConnectError::Credentials => setting.failed(environment, error),
            other => setting.refused(other.to_string()),
        })
    }

    /// The server that a URL names.
    pub async fn connect(url: &str, metrics: Metrics) -> Result<Self, ConnectError> {
        let address = Address::read(url)?;
        Ok(Self {
            client: Client::connect(&address, metrics).await?,
            alias: format!("{}-products", address.prefix).into(),
        })
    }

    /// The alias that searches go to.
    pub fn alias(&self) -> &str {
        &self.alias
    }

    /// The server's version; also a ping.
    pub async fn version(&self) -> Result<String, ElasticError> {
        self.client.version_number().await
    }

    /// Fails when searches are not answered in time.
    pub async fn probe(&self) -> Result<(), ElasticError> {
        let any =
            serde_json::json!({"size": 1, "_source": false, "query": {"term": {"listed": {"value": true}}}});
        self.ask("probe", any).await.map(drop)
    }

    /// One question.
    async fn ask(&self, operation: &'static str, body: Value) -> Result<Answer, ElasticError> {
        let empty = serde_json::json!({"size": 0, "query": {"match_none": {}}});
        self.ask_both(operation, body, empty)
            .await
            .map(|(answer, _)| answer)
    }

    /// Two questions in one round trip.
    async fn ask_both(
        &self,
        operation: &'static str,
        one: Value,
        other: Value,
    ) -> Result<(Answer, Answer), ElasticError> {
        let text = template(&[&one, &other]);
        let lines = format!("{{}}\n{one}\n{{}}\n{other}\n");
        let path = format!("{}/_msearch", self.alias());
        let request = reading(operation, Method::POST, &path, Body::Lines(lines), &text);
        let rows = |answers: &Answers| answers.hits();
        self.client.send(request, rows).await?.both()
    }

    async fn find(&self, query: &SearchQuery, words: Option<&Words>) -> Result<SearchPage, SearchError> {
        let sort = query.order();
        let place = query
            .cursor
            .as_deref()
            .map(|cursor| Place::read(cursor, sort))
            .transpose()?;
        let own = words.map_or(&[][..], |words| &words.weights);
        let weights = match place.as_ref().map(|place| &place.key) {
            Some(Key::Score(_, weights)) => Place::checked(weights, own.len())?,
            _ => own,
        };
        let mut list = List {
            query,
            sort,
            words,
            weights,
            any_word: place.as_ref().is_some_and(|place| place.any_word),
            place: place.as_ref(),
        };
        let beyond = |shown: u32| shown.saturating_add(query.limit) >= OFFSET_MAX;
        if list.shown_elsewhere().is_some_and(beyond) {
            return Ok(SearchPage::nothing());
        }
        let (mut page, mut summary) = self
            .ask_both("search", query::page(&list), query::summary(&list))
            .await?;
        // No product has all the words: then the ones with most of what matters are better than nothing.
        if summary.total() == 0 && place.is_none() && words.is_some_and(|words| words.list.len() > 1) {
            list.any_word = true;
            (page, summary) = self
                .ask_both("search", query::page(&list), query::summary(&list))
                .await?;
        }
        page_of(&list, page, summary)
    }
}

/// A request that only reads.
fn reading<'a>(
    operation: &'static str,
    method: Method,
    path: &'a str,
    body: Body,
    text: &'a str,
) -> Request<'a> {
    Request {
        operation,
        method,
        path,
        body,
        text,
        timeout: SEARCH_TIMEOUT,
    }
}

fn page_of(list: &List<'_>, page: Answer, summary: Answer) -> Result<SearchPage, SearchError> {
    let limit = usize::try_from(list.query.limit).unwrap_or(usize::MAX);
    let mut hits = page.hits();
    let more = hits.len() > limit;
    hits.truncate(limit);
    let shown = Place::shown_after(list.place, hits.len());
    let next = hits
        .last()
        .filter(|_| more)
        .map(|last| last.place(list, shown))
        .transpose()?;
    let highlights: HashMap<Uuid, Highlights> = hits
        .iter_mut()
        .filter_map(|hit| Some((hit.id, hit.highlights()?)))
        .collect();
    Ok(SearchPage {
        ids: hits.iter().map(|hit| hit.id).collect(),
        next_cursor: next.map(|place| place.write()),
        summary: Arc::new(summary.summary()),
        corrected_query: list.words.and_then(|words| words.corrected.clone()),
        highlights,
    })
}

/// The whole of a question takes no longer than this, however many requests it needs.
async fn within_budget<T>(
    work: impl Future<Output = Result<T, SearchError>> + Send,
) -> Result<T, SearchError> {
    let done = tokio::time::timeout(SEARCH_BUDGET, work).await;
    done.unwrap_or_else(|_| Err(ElasticError::Unavailable("it takes too long".to_owned()).into()))
}

#[async_trait]
impl SearchIndex for ElasticSearch {
    async fn search(&self, query: &SearchQuery) -> Result<SearchPage, SearchError> {
        within_budget(async {
            let Some(text) = &query.text else {
                return self.find(query, None).await;
            };
            match self.look_up(text).await? {
                Some(words) => self.find(query, Some(&words)).await,
                None => Ok(SearchPage::nothing()),
            }
        })
        .await
    }

    async fn suggest(&self, text: &str, limit: u32) -> Result<Vec<Suggestion>, SearchError> {
        let limit = usize::try_from(limit.min(SUGGESTIONS_MAX)).unwrap_or(usize::MAX);
        within_budget(async { Ok(self.suggestions(text, limit).await?) }).await
    }

    async fn apply(&self, changes: &[IndexChange]) -> Result<(), SearchError> {
        let serving = self.serving().await?.ok_or(ElasticError::NotFound)?;
        self.write(&serving.name, changes)
            .await
            .map_err(StoreError::from)?;
        Ok(())
    }

    fn lacks(&self) -> &'static [Capability] {
        &[Capability::Immediate]
    }
}
