//! Figures in ClickHouse: events in numbered blocks of one table, and materialized views of it for sums, products and claims.
//!
//! What is written and why nothing counts twice: `block.rs`, and `docs/adr/0019`. What is read is made so that each answer is of
//! one moment, although the server has no snapshots: one scan of one table, or rows up to one block's number. A block is a part,
//! which a scan sees as a whole or not at all.

use std::sync::Arc;

use async_trait::async_trait;
use emporium_event_bus::Consumer;
use emporium_event_bus::projection::StoredProjection;
use emporium_service_kit::days::Days;
use emporium_service_kit::report::{Server, ServerFacts, latency_ms};
use emporium_service_kit::{Clock, Currency, StoreError};
use time::{Date, OffsetDateTime};

use super::{AnalyticsStore, Capability, Ranking};
use crate::model::{
    Activity, Baskets, By, Cohorts, EmptySearches, Funnel, Live, Recorded, Repeat, Revenue, TopProducts,
    Totals,
};

mod activity;
mod block;
mod client;
mod closing;
mod compare;
mod connect;
mod digest;
mod feed;
mod funnel;
mod moving;
mod orders;
mod products;
mod put;
mod records;
mod revenue;
mod row;
mod schema;
mod state;
#[cfg(test)]
pub(crate) mod tests;
mod totals;

use block::Series;
pub use client::{CLICKHOUSE, ClickHouse};
pub use connect::ConnectError;
use feed::Feed;
pub use moving::ClickHouseMoving;
pub use records::ClickHouseRecords;

/// The ClickHouse adapter.
pub struct ClickHouseAnalytics {
    server: ClickHouse,
    clock: Clock,
    projection: Arc<StoredProjection<Feed>>,
    activity: Series,
}

impl ClickHouseAnalytics {
    /// Makes tables and views, or brings them up to date. Gives their version when it is newer than this program.
    pub async fn migrate(server: &ClickHouse) -> Result<Option<i64>, StoreError> {
        schema::migrate(server).await
    }

    /// The store in a database that has its tables.
    pub fn open(server: ClickHouse, clock: Clock) -> Self {
        let feed = Feed::new(server.clone(), clock.clone());
        Self {
            projection: StoredProjection::new(feed, clock.clone()),
            activity: activity::series(),
            server,
            clock,
        }
    }
}

#[async_trait]
impl AnalyticsStore for ClickHouseAnalytics {
    fn projection(&self) -> Arc<dyn Consumer> {
        self.projection.clone()
    }

    async fn revenue(
        &self,
        days: Days,
        currency: Currency,
        by: By,
        limit: u32,
    ) -> Result<Revenue, StoreError> {
        revenue::revenue(&self.server, days, currency, by, limit).await
    }

    async fn top_products(&self, ranking: &Ranking) -> Result<TopProducts, StoreError> {
        products::top(&self.server, ranking).await
    }

    async fn funnel(&self, days: Days) -> Result<Funnel, StoreError> {
        funnel::funnel(&self.server, days).await
    }

    async fn cohorts(&self, months: Days) -> Result<Cohorts, StoreError> {
        orders::cohorts(&self.server, months).await
    }

    async fn baskets(&self, days: Days, currency: Currency) -> Result<Baskets, StoreError> {
        orders::baskets(&self.server, days, currency).await
    }

    async fn repeat(&self, days: Days) -> Result<Repeat, StoreError> {
        orders::repeat(&self.server, days).await
    }

    async fn live(&self, now: OffsetDateTime, currency: Currency) -> Result<Live, StoreError> {
        orders::live(&self.server, now, currency).await
    }

    async fn empty_searches(&self, days: Days, limit: u32) -> Result<EmptySearches, StoreError> {
        funnel::empty_searches(&self.server, days, limit).await
    }

    async fn totals(&self, days: Days) -> Result<Option<Totals>, StoreError> {
        totals::totals(&self.server, days).await
    }

    async fn record(&self, activities: &[Activity], per_day_max: i64) -> Result<Recorded, StoreError> {
        activity::record(&self.server, &self.activity, &self.clock, activities, per_day_max).await
    }

    async fn open_days(&self, before: Date) -> Result<Vec<Date>, StoreError> {
        closing::open_days(&self.server, before).await
    }

    async fn close_days(&self, before: Date, max: u32) -> Result<u64, StoreError> {
        closing::close_days(&self.server, before, max).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.server.ping().await
    }

    fn lacks(&self) -> &[Capability] {
        &[]
    }
}

#[async_trait]
impl Server for ClickHouse {
    fn adapter(&self) -> &'static str {
        CLICKHOUSE
    }

    async fn facts(&self) -> Result<ServerFacts, StoreError> {
        let latency_ms = latency_ms(|| self.ping()).await?;
        let version: String = self.ask("SELECT version()").one().await?;
        let size: u64 = self
            .ask("SELECT sum(bytes_on_disk) FROM system.parts WHERE database = currentDatabase() AND active")
            .one()
            .await?;
        Ok(ServerFacts {
            version: format!("ClickHouse {version}"),
            latency_ms,
            durability: "fsync_after_insert=1, fsync_part_directory=1".to_owned(),
            size_bytes: i64::try_from(size).ok(),
        })
    }
}

/// The sums of 64 bits that callers are given.
fn narrow(sum: i128) -> Result<i64, StoreError> {
    i64::try_from(sum).map_err(|_| super::shapes::too_large())
}

/// Microseconds since 1970, for `fromUnixTimestamp64Micro`.
fn micros(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX)
}
