//! Purchases in PostgreSQL: baskets by order, by good and by customer, and decayed sums by good. Pairs of goods are counted
//! when they are asked for: SQL finds the newest baskets of the anchors, [`crate::scoring`] counts in them.
//!
//! Why pairs are not kept: an order of 30 goods has 870 of them, and each would be a row to change while a thousand orders a
//! second come. The newest baskets of a good are found by an index, however many there are.

use std::sync::Arc;

use async_trait::async_trait;
use emporium_event_bus::projection::PostgresProjection;
use emporium_event_bus::{Consumer, outbox};
use emporium_service_kit::{Clock, Db, ServiceName, StartError, StoreError};
use sqlx::migrate::{MigrateError, Migrator};
use uuid::Uuid;

use super::shelf::{self, Wanted};
use super::{Capability, Made, PROJECTION, RecommendationStore, Subject};
use crate::model::Scope;

mod feed;
mod moment;
#[cfg(test)]
pub(crate) mod tests;

use feed::Feed;
use moment::Snapshot;

static MIGRATIONS: Migrator = sqlx::migrate!();

/// The PostgreSQL adapter.
pub struct PostgresRecommendations {
    db: Db,
    clock: Clock,
    projection: Arc<PostgresProjection<Feed>>,
}

impl PostgresRecommendations {
    /// Makes the tables, or brings them up to date.
    pub async fn migrate(db: &Db) -> Result<(), MigrateError> {
        db.migrate(&MIGRATIONS, "recommendations").await
    }

    /// The store in a database that has its tables; makes those of events.
    pub async fn open(db: Db, clock: Clock) -> Result<Self, StartError> {
        let service = ServiceName::Recommendations;
        outbox::migrate(&db, service).await?;
        let projection = PostgresProjection::open(db.clone(), service, PROJECTION, Feed)
            .await
            .map_err(|error| StartError::Migrate {
                service,
                source: error.into(),
            })?;
        Ok(Self {
            db,
            clock,
            projection: Arc::new(projection),
        })
    }

    async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        Ok(Snapshot::begin(&self.db, self.clock.now()).await?)
    }

    async fn shelf(&self, wanted: Wanted, limit: usize) -> Result<Made, StoreError> {
        let mut snapshot = self.snapshot().await?;
        let made = wanted.make(&mut snapshot, limit).await?;
        snapshot.end().await?;
        Ok(made)
    }
}

#[async_trait]
impl RecommendationStore for PostgresRecommendations {
    fn projection(&self) -> Arc<dyn Consumer> {
        self.projection.clone()
    }

    async fn also_bought(&self, product: Uuid, limit: usize) -> Result<Made, StoreError> {
        self.shelf(Wanted::AlsoBought(product), limit).await
    }

    async fn bought_together(&self, products: &[Uuid], limit: usize) -> Result<Made, StoreError> {
        self.shelf(Wanted::BoughtTogether(products.to_vec()), limit).await
    }

    async fn for_you(&self, customer: Uuid, scope: Scope, limit: usize) -> Result<Made, StoreError> {
        self.shelf(Wanted::ForYou(customer, scope), limit).await
    }

    async fn buy_again(&self, customer: Uuid, limit: usize) -> Result<Made, StoreError> {
        self.shelf(Wanted::BuyAgain(customer), limit).await
    }

    async fn popular(&self, limit: usize) -> Result<Made, StoreError> {
        self.shelf(Wanted::Popular, limit).await
    }

    async fn stamp(&self, subject: Subject, shown: &[Uuid]) -> Result<Option<String>, StoreError> {
        let mut snapshot = self.snapshot().await?;
        let stamp = shelf::stamp(&mut snapshot, subject, shown).await?;
        snapshot.end().await?;
        Ok(stamp)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(self.db.ping().await?)
    }

    fn lacks(&self) -> &[Capability] {
        &[]
    }
}
