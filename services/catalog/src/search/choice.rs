//! Which index answers: the one that the setting names, or the service's own database while that one cannot.

use std::pin::Pin;

use emporium_service_kit::metrics::{self, Metrics};
use emporium_service_kit::store::POSTGRES;
use emporium_service_kit::stores::CATALOG_SEARCH;
use emporium_service_kit::{Environment, StartError, StoreError};
use prometheus::IntCounterVec;
use serde::Deserialize;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::elasticsearch::{ELASTICSEARCH, ElasticSearch};
use super::health::{Fault, Health};
use super::postgres::PostgresSearch;
use super::{SearchError, SearchIndex, SearchPage, SearchQuery, Suggestion};

/// An adapter, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Adapter {
    /// The index in the service's own database.
    Postgres,
    /// The Elasticsearch that the setting names.
    Elasticsearch,
}

/// An index outside the database, and whether it may answer.
#[derive(Debug, Clone)]
pub struct Outside {
    /// The index.
    pub index: ElasticSearch,
    /// Whether it may answer.
    pub health: Health,
}

/// Opens the index that the setting names, if it is one outside the service's database; its scheme picks the adapter. One
/// that cannot be used is an error here, and never quietly replaced.
pub async fn open(environment: &Environment) -> Result<Option<Outside>, StartError> {
    let setting = environment.stores.setting(CATALOG_SEARCH);
    match setting.scheme().as_str() {
        POSTGRES => match setting.url().split_once("://") {
            None | Some((_, "" | "/")) => Ok(None),
            Some(_) => Err(setting.refused(
                "search on PostgreSQL is always in the catalog's own database, where it changes with the products; unset it for that, or name an elasticsearch:// URL",
            )),
        },
        ELASTICSEARCH => {
            let index = ElasticSearch::open(&setting, environment).await?;
            Ok(Some(Outside {
                index,
                health: Health::default(),
            }))
        }
        _ => Err(setting.unknown_scheme(&[POSTGRES, ELASTICSEARCH])),
    }
}

/// An answer, and whether it came from the database because the index that should give it could not.
#[derive(Debug)]
pub struct Answered<T> {
    /// The answer.
    pub answer: T,
    /// True when it is a substitute.
    pub degraded: bool,
}

/// A question under way.
type Asked<'a, T> = Pin<Box<dyn Future<Output = Result<T, SearchError>> + Send + 'a>>;

/// What lists are asked of.
#[derive(Clone)]
pub struct Search {
    postgres: PostgresSearch,
    outside: Option<Outside>,
    degraded: IntCounterVec,
}

impl Search {
    /// The index outside, where there is one, and the one in the database.
    pub fn new(postgres: PostgresSearch, outside: Option<Outside>, metrics: &Metrics) -> Self {
        let degraded = metrics::counter(
            "emporium_search_degraded_total",
            "Searches that the database answered because the search index could not.",
            &["reason"],
        );
        Self {
            postgres,
            outside,
            degraded: metrics.register(degraded),
        }
    }

    /// The index outside the database, where there is one.
    pub fn outside(&self) -> Option<&Outside> {
        self.outside.as_ref()
    }

    /// The index in the database.
    pub fn postgres(&self) -> &PostgresSearch {
        &self.postgres
    }

    /// A page, from whichever index can give it.
    pub async fn search<'a>(&'a self, query: &'a SearchQuery) -> Result<Answered<SearchPage>, SearchError> {
        self.first(|index| Box::pin(index.search(query))).await
    }

    /// A page from this adapter and no other. `None`: the settings name no such index.
    pub async fn search_only(
        &self,
        adapter: Adapter,
        query: &SearchQuery,
    ) -> Option<Result<SearchPage, SearchError>> {
        match (adapter, &self.outside) {
            (Adapter::Postgres, _) => Some(self.postgres.search(query).await),
            (Adapter::Elasticsearch, Some(outside)) => Some(only(outside, query).await),
            (Adapter::Elasticsearch, None) => None,
        }
    }

    /// Suggestions, from whichever index can give them.
    pub async fn suggest<'a>(
        &'a self,
        text: &'a str,
        limit: u32,
    ) -> Result<Answered<Vec<Suggestion>>, SearchError> {
        self.first(|index| Box::pin(index.suggest(text, limit))).await
    }

    async fn first<'a, T>(
        &'a self,
        ask: impl Fn(&'a dyn SearchIndex) -> Asked<'a, T>,
    ) -> Result<Answered<T>, SearchError> {
        let Some(outside) = &self.outside else {
            let answer = ask(&self.postgres).await?;
            return Ok(Answered {
                answer,
                degraded: false,
            });
        };
        let reason = match outside.health.fault() {
            Some(fault) => fault.kind(),
            None => match ask(&outside.index).await {
                Ok(answer) => {
                    return Ok(Answered {
                        answer,
                        degraded: false,
                    });
                }
                Err(SearchError::BadCursor) => return Err(SearchError::BadCursor),
                Err(SearchError::Store(error)) => note(outside, &error),
            },
        };
        self.degraded.with_label_values(&[reason]).inc();
        let answer = ask(&self.postgres).await?;
        Ok(Answered {
            answer,
            degraded: true,
        })
    }
}

/// An index that must not answer says why instead.
async fn only(outside: &Outside, query: &SearchQuery) -> Result<SearchPage, SearchError> {
    match outside.health.fault() {
        Some(fault) => Err(StoreError::Unavailable(fault.to_string().into()).into()),
        None => outside.index.search(query).await,
    }
}

/// A server that is away is left alone until somebody has found it well again; what it refuses of one question says nothing
/// about the next.
fn note(outside: &Outside, error: &StoreError) -> &'static str {
    if let StoreError::Unavailable(cause) = error {
        let fault = Fault::Silent(cause.to_string());
        if outside.health.failed(fault, Instant::now()) {
            tracing::warn!(%error, "the search index does not answer; the database does");
        }
        return "silent";
    }
    tracing::error!(%error, "the search index refused a question; the database answers it");
    "refused"
}
