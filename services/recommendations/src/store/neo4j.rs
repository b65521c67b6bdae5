//! Purchases in Neo4j: a graph of baskets and goods. A `(:Basket)-[:HAS]->(:Good)` is a good in an order; what a good is bought
//! with is two steps away.
//!
//! Neo4j finds, [`shelf`] and [`crate::scoring`] count and rank: the lists are those of the other adapters, bit by bit. A step
//! from a good that everybody bought would lead to every basket there is; so the newest baskets of a good are found by an index
//! of the relationships, and cost the same for a best-seller as for any other good.

use std::sync::Arc;

use async_trait::async_trait;
use emporium_event_bus::Consumer;
use emporium_event_bus::projection::StoredProjection;
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::store::StoreSetting;
use emporium_service_kit::{Clock, Environment, StartError, StoreError};
use uuid::Uuid;

use super::shelf::{self, Wanted};
use super::{Capability, Made, RecommendationStore, Subject};
use crate::model::Scope;

mod address;
mod check;
mod client;
mod compare;
mod content;
mod control;
mod error;
mod feed;
mod moments;
mod rows;
mod schema;
mod standing;
mod statements;
#[cfg(test)]
pub(crate) mod tests;
mod traversal;
mod write;

use address::Address;
use check::ConnectError;
pub(crate) use client::NEO4J;
use client::Neo4j;
use feed::Feed;
use moments::Moments;
pub(super) use standing::Standings;

/// The Neo4j adapter.
pub struct Neo4jRecommendations {
    client: Neo4j,
    moments: Moments,
    projection: Arc<StoredProjection<Feed>>,
    lacks: Vec<Capability>,
}

impl Neo4jRecommendations {
    /// The store that the setting names: looks at the server, and makes constraints, indexes and the shop where they are missing.
    pub(super) async fn open(
        setting: &StoreSetting<'_>,
        environment: &Environment,
    ) -> Result<Self, StartError> {
        let opened = Self::connect(
            setting.url(),
            environment.clock.clone(),
            environment.metrics.clone(),
        );
        opened.await.map_err(|error| {
            if error.tells_remedy() {
                setting.refused(error.to_string())
            } else {
                setting.failed(environment, error)
            }
        })
    }

    async fn connect(url: &str, clock: Clock, metrics: Metrics) -> Result<Self, ConnectError> {
        let address = Address::parse(url)?;
        let client = Neo4j::new(&address, metrics)?;
        let ends_transactions = client.check().await?;
        schema::migrate(&client).await?;
        let name: Arc<str> = address.shop.into();
        let shop = client
            .first_transaction({
                let name = name.clone();
                move |tx| Box::pin(async move { control::shop(tx, &name).await })
            })
            .await?;
        let feed = Feed {
            client: client.clone(),
            clock: clock.clone(),
            name: name.clone(),
            shop,
        };
        Ok(Self {
            moments: Moments {
                client: client.clone(),
                clock: clock.clone(),
                name,
            },
            client,
            projection: StoredProjection::new(feed, clock),
            lacks: if ends_transactions {
                Vec::new()
            } else {
                vec![Capability::EndsTransactions]
            },
        })
    }

    /// Its client, for reports.
    pub(super) fn client(&self) -> Neo4j {
        self.client.clone()
    }

    /// What the shop's graph is to the service.
    pub(super) fn standing(&self) -> Standings {
        Standings::of(self.client.clone(), self.moments.name.clone())
    }

    /// Which shop's graph it is, as the URL says it.
    pub(super) fn shop(&self) -> &str {
        &self.moments.name
    }

    async fn shelf(&self, wanted: Wanted, limit: usize) -> Result<Made, StoreError> {
        let wanted = Arc::new(wanted);
        self.moments
            .ask(Arc::new(move |traversal| {
                let wanted = wanted.clone();
                Box::pin(async move { wanted.make(traversal, limit).await })
            }))
            .await
    }
}

#[async_trait]
impl RecommendationStore for Neo4jRecommendations {
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
        let shown: Arc<[Uuid]> = shown.into();
        self.moments
            .ask(Arc::new(move |traversal| {
                let shown = shown.clone();
                Box::pin(async move { shelf::stamp(traversal, subject, &shown).await })
            }))
            .await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.client.ping().await
    }

    fn lacks(&self) -> &[Capability] {
        &self.lacks
    }
}
