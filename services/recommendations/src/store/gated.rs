//! The store behind the gate of a move: which adapter serves may change while the service works.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use emporium_event_bus::Consumer;
use emporium_moving::{Gate, MovedProjection};
use emporium_service_kit::StoreError;
use uuid::Uuid;

use super::{Capability, Made, RecommendationStore, Subject};
use crate::model::Scope;

/// Any adapter, and another one after a move.
///
/// Stamps are of the store that gave them, and no two stores, and no two generations of one, give the same: so what the cache
/// kept before a switch is outdated by it.
pub struct GatedRecommendations {
    gate: Gate<dyn RecommendationStore>,
    projection: Arc<MovedProjection<dyn RecommendationStore>>,
}

/// An answer of which two stores compare what a customer sees.
struct Seen<T>(T);

impl PartialEq for Seen<Made> {
    fn eq(&self, other: &Self) -> bool {
        self.0.items == other.0.items
    }
}

/// Whether all of what is shown is still sold.
impl PartialEq for Seen<Option<String>> {
    fn eq(&self, other: &Self) -> bool {
        self.0.is_some() == other.0.is_some()
    }
}

impl<T: fmt::Debug> fmt::Debug for Seen<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl GatedRecommendations {
    /// The store behind this gate.
    pub fn new(gate: Gate<dyn RecommendationStore>) -> Result<Self, StoreError> {
        Ok(Self {
            projection: MovedProjection::new(gate.clone())?,
            gate,
        })
    }

    async fn read<T, R>(
        &self,
        ask: impl Fn(Arc<dyn RecommendationStore>) -> R + Sync,
    ) -> Result<T, StoreError>
    where
        Seen<T>: PartialEq,
        T: fmt::Debug,
        R: Future<Output = Result<T, StoreError>> + Send,
    {
        let ask = |store| {
            let asked = ask(store);
            async move { asked.await.map(Seen) }
        };
        self.gate.read(ask).await.map(|seen| seen.0)
    }
}

#[async_trait]
impl RecommendationStore for GatedRecommendations {
    fn projection(&self) -> Arc<dyn Consumer> {
        self.projection.clone()
    }

    async fn also_bought(&self, product: Uuid, limit: usize) -> Result<Made, StoreError> {
        self.read(|store| async move { store.also_bought(product, limit).await })
            .await
    }

    async fn bought_together(&self, products: &[Uuid], limit: usize) -> Result<Made, StoreError> {
        self.read(|store| async move { store.bought_together(products, limit).await })
            .await
    }

    async fn for_you(&self, customer: Uuid, scope: Scope, limit: usize) -> Result<Made, StoreError> {
        self.read(|store| async move { store.for_you(customer, scope, limit).await })
            .await
    }

    async fn buy_again(&self, customer: Uuid, limit: usize) -> Result<Made, StoreError> {
        self.read(|store| async move { store.buy_again(customer, limit).await })
            .await
    }

    async fn popular(&self, limit: usize) -> Result<Made, StoreError> {
        self.read(|store| async move { store.popular(limit).await }).await
    }

    async fn stamp(&self, subject: Subject, shown: &[Uuid]) -> Result<Option<String>, StoreError> {
        self.read(|store| async move { store.stamp(subject, shown).await })
            .await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.gate.here().store.ping().await
    }

    /// Each store's own report says what that one lacks.
    fn lacks(&self) -> &[Capability] {
        &[]
    }
}
