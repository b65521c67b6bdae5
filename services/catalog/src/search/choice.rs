//! Which index answers: the one that the setting names, or the service's own database while that one cannot.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use emporium_moving::Gate;
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
use super::shadow::{Beginning, Compare, Shown};
use super::{SearchError, SearchIndex, SearchPage, SearchQuery, Suggestion};
use crate::home::Home;
use crate::indexer::Indexer;

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

/// Opens the index that the environment's setting names, if it is one outside the service's database; its scheme picks the
/// adapter. One that cannot be used is an error here, and never quietly replaced.
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
/// How an index is asked.
type Ask<Q, T> = for<'a> fn(&'a dyn SearchIndex, &'a Q) -> Asked<'a, T>;

/// What lists are asked of.
#[derive(Clone)]
pub struct Search {
    postgres: PostgresSearch,
    gate: Gate<Home>,
    degraded: IntCounterVec,
}

impl Search {
    /// The index that serves, and the one in the database.
    pub fn new(postgres: PostgresSearch, gate: Gate<Home>, metrics: &Metrics) -> Self {
        let degraded = metrics::counter(
            "emporium_search_degraded_total",
            "Searches that the database answered because the search index could not.",
            &["reason"],
        );
        Self {
            postgres,
            gate,
            degraded: metrics.register(degraded),
        }
    }

    /// What feeds the index that serves, where that is outside the database.
    pub fn indexer(&self) -> Option<Indexer> {
        self.gate.here().store.indexer.clone()
    }

    /// The index in the database.
    pub fn postgres(&self) -> &PostgresSearch {
        &self.postgres
    }

    /// A page, from whichever index can give it.
    pub async fn search(&self, query: &SearchQuery) -> Result<Answered<SearchPage>, SearchError> {
        let ask: Ask<SearchQuery, SearchPage> = |index, query| index.search(query);
        self.ask(query, ask).await
    }

    /// A page from this adapter and no other. `None`: no such index serves.
    pub async fn search_only(
        &self,
        adapter: Adapter,
        query: &SearchQuery,
    ) -> Option<Result<SearchPage, SearchError>> {
        match (adapter, self.indexer()) {
            (Adapter::Postgres, _) => Some(self.postgres.search(query).await),
            (Adapter::Elasticsearch, Some(indexer)) => {
                Some(only(indexer.outside(), query, |index, query| index.search(query)).await)
            }
            (Adapter::Elasticsearch, None) => None,
        }
    }

    /// Suggestions, from whichever index can give them.
    pub async fn suggest(&self, text: &str, limit: u32) -> Result<Answered<Vec<Suggestion>>, SearchError> {
        let beginning = Beginning {
            text: text.to_owned(),
            limit,
        };
        let ask: Ask<Beginning, Vec<Suggestion>> =
            |index, beginning| index.suggest(&beginning.text, beginning.limit);
        self.ask(&beginning, ask).await
    }

    /// Asks the index that serves; while a move is compared, the one that is filled as well.
    async fn ask<Q, T>(&self, question: &Q, ask: Ask<Q, T>) -> Result<Answered<T>, SearchError>
    where
        Q: Compare<T> + Sync,
        T: Send,
    {
        // Whichever is asked first is the one that serves.
        let own: OnceLock<Arc<Home>> = OnceLock::new();
        let shown = self
            .gate
            .read_anywhere(|home| {
                let is_own = Arc::ptr_eq(own.get_or_init(|| home.clone()), &home);
                async move {
                    let answer = if is_own {
                        self.first(&home, question, ask).await
                    } else {
                        self.other(&home, question, ask).await
                    };
                    Shown::of(question, answer)
                }
            })
            .await?;
        shown.answer.ok_or(SearchError::BadCursor)
    }

    /// What only the index of this home gives: nobody answers for one that is being compared.
    async fn other<Q, T>(
        &self,
        home: &Home,
        question: &Q,
        ask: Ask<Q, T>,
    ) -> Result<Answered<T>, SearchError> {
        let answer = match &home.indexer {
            Some(indexer) => only(indexer.outside(), question, ask).await?,
            None => ask(&self.postgres, question).await?,
        };
        Ok(Answered {
            answer,
            degraded: false,
        })
    }

    async fn first<Q, T>(
        &self,
        home: &Home,
        question: &Q,
        ask: Ask<Q, T>,
    ) -> Result<Answered<T>, SearchError> {
        let Some(outside) = home.indexer.as_ref().map(Indexer::outside) else {
            let answer = ask(&self.postgres, question).await?;
            return Ok(Answered {
                answer,
                degraded: false,
            });
        };
        let reason = match outside.health.fault() {
            Some(fault) => fault.kind(),
            None => match ask(&outside.index, question).await {
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
        let answer = ask(&self.postgres, question).await?;
        Ok(Answered {
            answer,
            degraded: true,
        })
    }
}

/// An index that must not answer says why instead.
async fn only<Q, T>(outside: &Outside, question: &Q, ask: Ask<Q, T>) -> Result<T, SearchError> {
    match outside.health.fault() {
        Some(fault) => Err(StoreError::Unavailable(fault.to_string().into()).into()),
        None => ask(&outside.index, question).await,
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
