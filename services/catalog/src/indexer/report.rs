//! What is told of an index outside the database: `GET /stores`, and the state of its building.

use async_trait::async_trait;
use emporium_service_kit::StoreReport;
use emporium_service_kit::report::{Inspect, Server};
use emporium_service_kit::stores::CATALOG_SEARCH;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::feed;
use super::{FeedError, Indexer};
use crate::search::{Capability, SearchIndex};

/// How an index outside the database stands.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ReindexState {
    /// The alias that searches go to.
    alias: String,
    /// The index behind it; null until one is built.
    index: Option<String>,
    /// The index that is being built; null when none is.
    building: Option<String>,
    /// True when a new one was asked for and is not begun, or not finished.
    wanted: bool,
    /// Why the last one was built, or is.
    reason: Option<String>,
    /// Products that go into it.
    total: i64,
    /// Products that are in it.
    done: i64,
    /// When building began.
    #[serde(with = "time::serde::rfc3339::option")]
    started_at: Option<OffsetDateTime>,
    /// When it ended; null while it goes on.
    #[serde(with = "time::serde::rfc3339::option")]
    finished_at: Option<OffsetDateTime>,
    /// Events that are not in the index yet.
    lag: i64,
    /// Why the database answers instead; null when the index does.
    fault: Option<String>,
    /// Why the index is not fed just now; null when it is.
    error: Option<String>,
}

impl Indexer {
    /// How the index stands.
    pub async fn state(&self) -> Result<ReindexState, FeedError> {
        let (db, alias) = (&self.store.db, self.index().alias());
        feed::ensure(db, alias).await?;
        let feed = feed::read(db, alias).await?;
        let end = self.store.outbox.end().await?;
        Ok(ReindexState {
            alias: alias.to_owned(),
            lag: (end - feed.position).max(0),
            index: feed.index_name,
            building: feed.building,
            wanted: feed.wanted,
            reason: feed.reason,
            total: feed.total,
            done: feed.done,
            started_at: feed.started_at,
            finished_at: feed.finished_at,
            fault: self.outside.health.fault().map(|fault| fault.to_string()),
            error: feed.error,
        })
    }

    /// Asks for a new index; whichever instance feeds makes it.
    pub async fn want(&self) -> Result<ReindexState, FeedError> {
        feed::want(&self.store.db, self.index().alias()).await?;
        self.state().await
    }
}

#[async_trait]
impl Inspect for Indexer {
    fn outline(&self) -> StoreReport {
        let mut report = StoreReport::of("search", Some(CATALOG_SEARCH), self.index().adapter());
        report.lacks = self
            .index()
            .lacks()
            .iter()
            .map(|lack| Capability::lack(*lack))
            .collect();
        report
    }

    async fn inspect(&self) -> StoreReport {
        let mut report = self.outline().with(self.index().facts().await);
        match self.state().await {
            Ok(state) => {
                report.lag = Some(state.lag);
                report.state = state.building.map(|_| {
                    let (done, total) = (state.done, state.total);
                    format!("being built: {done} of {total} products")
                });
                // The database answers while there is no whole index: nothing is wrong with that.
                let fault = state.fault.filter(|_| report.state.is_none());
                report.error = report.error.or(state.error).or(fault);
            }
            Err(error) => report.error = report.error.or_else(|| Some(error.to_string())),
        }
        report
    }
}
