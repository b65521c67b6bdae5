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

use super::{Capability, Made, PROJECTION, RecommendationStore, Subject};
use crate::model::{Scope, Suggestion};

mod customers;
mod feed;
mod goods;
mod moment;
mod popular;
#[cfg(test)]
pub(crate) mod tests;

use feed::Feed;
use moment::Moment;

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

    async fn moment(&self) -> Result<Moment, StoreError> {
        Ok(Moment::begin(&self.db, self.clock.now()).await?)
    }
}

/// The shelf, with its stamp at the same moment; ends the moment.
async fn made(mut moment: Moment, subject: Subject, items: Vec<Suggestion>) -> Result<Made, StoreError> {
    let stamp = moment.stamp(subject).await?;
    moment.end().await?;
    Ok(Made { items, stamp })
}

#[async_trait]
impl RecommendationStore for PostgresRecommendations {
    fn projection(&self) -> Arc<dyn Consumer> {
        self.projection.clone()
    }

    async fn also_bought(&self, product: Uuid, limit: usize) -> Result<Made, StoreError> {
        let mut moment = self.moment().await?;
        let items = goods::also_bought(&mut moment, product, limit).await?;
        made(moment, Subject::Product(product), items).await
    }

    async fn bought_together(&self, products: &[Uuid], limit: usize) -> Result<Made, StoreError> {
        let mut moment = self.moment().await?;
        let items = goods::bought_together(&mut moment, products, limit).await?;
        made(moment, Subject::Everybody, items).await
    }

    async fn for_you(&self, customer: Uuid, scope: Scope, limit: usize) -> Result<Made, StoreError> {
        let mut moment = self.moment().await?;
        let items = customers::for_you(&mut moment, customer, scope, limit).await?;
        made(moment, Subject::Customer(customer), items).await
    }

    async fn buy_again(&self, customer: Uuid, limit: usize) -> Result<Made, StoreError> {
        let mut moment = self.moment().await?;
        let items = customers::buy_again(&mut moment, customer, limit).await?;
        made(moment, Subject::Customer(customer), items).await
    }

    async fn popular(&self, limit: usize) -> Result<Made, StoreError> {
        let mut moment = self.moment().await?;
        let items = popular::popular(&mut moment, limit).await?;
        made(moment, Subject::Everybody, items).await
    }

    async fn stamp(&self, subject: Subject, shown: &[Uuid]) -> Result<Option<String>, StoreError> {
        let mut moment = self.moment().await?;
        if !moment.all_sold(shown).await? {
            return Ok(None);
        }
        let stamp = moment.stamp(subject).await?;
        moment.end().await?;
        Ok(Some(stamp))
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(self.db.ping().await?)
    }

    fn lacks(&self) -> &[Capability] {
        &[]
    }
}
