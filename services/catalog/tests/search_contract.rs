//! The suite that every search index passes. A new adapter joins it with one line.
#![allow(clippy::unwrap_used)]

use std::ops::Deref;

use async_trait::async_trait;
use emporium_catalog::search::elasticsearch::ElasticSearch;
use emporium_catalog::search::postgres::PostgresSearch;
use emporium_catalog::search::{
    self, Capability, IndexChange, SearchError, SearchIndex, SearchPage, SearchQuery, Suggestion,
};
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::stores::CATALOG_SEARCH;
use emporium_service_kit::{Clock, ServiceName, StoreUrls};
use emporium_test_kit::{Keys, TestService, stores};
use uuid::Uuid;

emporium_catalog::search_contract!(postgres, crate::postgres_index);
emporium_catalog::search_contract!(elasticsearch, crate::elasticsearch_index);

/// An index in a database of its own, which lives as long as the service that migrated it.
struct OwnDatabase {
    index: PostgresSearch,
    _service: TestService,
}

impl Deref for OwnDatabase {
    type Target = dyn SearchIndex;
    fn deref(&self) -> &Self::Target {
        &self.index
    }
}

async fn postgres_index() -> Option<OwnDatabase> {
    let service = TestService::start(
        ServiceName::Catalog,
        &Keys::default(),
        &[],
        Clock::System,
        emporium_catalog::build,
    )
    .await;
    Some(OwnDatabase {
        index: search::in_own_database(service.db()),
        _service: service,
    })
}

/// An index of its own on the server that all tests share, which shows what was applied at once.
struct Refreshed {
    index: ElasticSearch,
    name: String,
}

impl Deref for Refreshed {
    type Target = dyn SearchIndex;
    fn deref(&self) -> &Self::Target {
        self
    }
}

#[async_trait]
impl SearchIndex for Refreshed {
    async fn search(&self, query: &SearchQuery) -> Result<SearchPage, SearchError> {
        self.index.search(query).await
    }

    async fn suggest(&self, text: &str, limit: u32) -> Result<Vec<Suggestion>, SearchError> {
        self.index.suggest(text, limit).await
    }

    async fn apply(&self, changes: &[IndexChange]) -> Result<(), SearchError> {
        self.index.apply(changes).await?;
        Ok(self.index.refresh(&self.name).await?)
    }

    fn lacks(&self) -> &'static [Capability] {
        self.index.lacks()
    }
}

impl Drop for Refreshed {
    /// The server is shared: what a test made goes with it.
    fn drop(&mut self) {
        let (index, name) = (self.index.clone(), self.name.clone());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            tokio::task::block_in_place(|| runtime.block_on(index.drop_index(&name))).unwrap();
        }
    }
}

async fn elasticsearch_index() -> Option<Refreshed> {
    let shared = stores::elasticsearch().await?;
    let mut urls = StoreUrls::default();
    let server = shared
        .url
        .trim_end_matches('/')
        .replacen("http://", "elasticsearch://", 1);
    let url = format!("{server}/t{}", Uuid::new_v4().simple());
    urls.set(CATALOG_SEARCH, url).unwrap();
    let setting = urls.setting(CATALOG_SEARCH);
    let index = ElasticSearch::connect(setting.url(), Metrics::new(ServiceName::Catalog))
        .await
        .unwrap();
    let name = index.new_index_name();
    index.create(&name, Uuid::new_v4()).await.unwrap();
    index.swap(&name).await.unwrap();
    Some(Refreshed { index, name })
}
