//! Figures in PostgreSQL: rows of orders and refunds, and sums by day, product, minute and customer's month, made as events
//! come. A batch of events is one statement a kind of event; it sums up in the database what is new of it.

use std::sync::Arc;

use async_trait::async_trait;
use emporium_event_bus::projection::PostgresProjection;
use emporium_event_bus::{Consumer, outbox};
use emporium_service_kit::days::Days;
use emporium_service_kit::{Currency, Db, ServiceName, StartError, StoreError};
use sqlx::migrate::{MigrateError, Migrator};
use time::{Date, OffsetDateTime};

use super::{AnalyticsStore, Capability, PROJECTION, Ranking};
use crate::model::{
    Activity, Baskets, By, Cohorts, EmptySearches, Funnel, Live, Recorded, Repeat, Revenue, TopProducts,
    Totals,
};

mod activity;
mod customers;
mod feed;
mod products;
mod put;
mod records;
mod revenue;
#[cfg(test)]
pub(crate) mod tests;
mod totals;

use feed::Feed;
pub use records::PostgresRecords;

static MIGRATIONS: Migrator = sqlx::migrate!();

/// The generation that is read.
macro_rules! live {
    () => {
        "(SELECT live FROM analytics_projections WHERE projection = 'analytics')"
    };
}
use live;

/// The PostgreSQL adapter.
pub struct PostgresAnalytics {
    db: Db,
    projection: Arc<PostgresProjection<Feed>>,
}

impl PostgresAnalytics {
    /// Makes the tables, or brings them up to date.
    pub async fn migrate(db: &Db) -> Result<(), MigrateError> {
        db.migrate(&MIGRATIONS, "analytics").await
    }

    /// The store in a database that has its tables; makes those of events.
    pub async fn open(db: Db) -> Result<Self, StartError> {
        let service = ServiceName::Analytics;
        outbox::migrate(&db, service).await?;
        let projection = PostgresProjection::open(db.clone(), service, PROJECTION, Feed)
            .await
            .map_err(|error| StartError::Migrate {
                service,
                source: error.into(),
            })?;
        Ok(Self {
            db,
            projection: Arc::new(projection),
        })
    }
}

#[async_trait]
impl AnalyticsStore for PostgresAnalytics {
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
        revenue::revenue(&self.db, days, currency, by, limit).await
    }

    async fn top_products(&self, ranking: &Ranking) -> Result<TopProducts, StoreError> {
        products::top(&self.db, ranking).await
    }

    async fn funnel(&self, days: Days) -> Result<Funnel, StoreError> {
        activity::funnel(&self.db, days).await
    }

    async fn cohorts(&self, months: Days) -> Result<Cohorts, StoreError> {
        customers::cohorts(&self.db, months).await
    }

    async fn baskets(&self, days: Days, currency: Currency) -> Result<Baskets, StoreError> {
        revenue::baskets(&self.db, days, currency).await
    }

    async fn repeat(&self, days: Days) -> Result<Repeat, StoreError> {
        customers::repeat(&self.db, days).await
    }

    async fn live(&self, now: OffsetDateTime, currency: Currency) -> Result<Live, StoreError> {
        revenue::live(&self.db, now, currency).await
    }

    async fn empty_searches(&self, days: Days, limit: u32) -> Result<EmptySearches, StoreError> {
        activity::empty_searches(&self.db, days, limit).await
    }

    async fn totals(&self, days: Days) -> Result<Option<Totals>, StoreError> {
        totals::totals(&self.db, days).await
    }

    async fn record(&self, activities: &[Activity], per_day_max: i64) -> Result<Recorded, StoreError> {
        activity::record(&self.db, activities, per_day_max).await
    }

    async fn open_days(&self, before: Date) -> Result<Vec<Date>, StoreError> {
        activity::open_days(&self.db, before).await
    }

    async fn close_days(&self, before: Date, max: u32) -> Result<u64, StoreError> {
        activity::close_days(&self.db, before, max).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(self.db.ping().await?)
    }

    fn lacks(&self) -> &[Capability] {
        &[]
    }
}
