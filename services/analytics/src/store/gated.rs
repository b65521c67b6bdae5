//! The store behind the gate of a move: which adapter serves may change while the service works.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use emporium_event_bus::Consumer;
use emporium_moving::{Gate, MovedProjection};
use emporium_service_kit::days::Days;
use emporium_service_kit::{Currency, StoreError};
use time::{Date, OffsetDateTime};

use super::copied::{RecordKey, keys_of};
use super::{AnalyticsStore, Capability, Ranking};
use crate::model::{
    Activity, Baskets, By, Cohorts, EmptySearches, Funnel, Live, Recorded, Repeat, Revenue, TopProducts,
    Totals,
};

/// Any adapter, and another one after a move.
pub struct GatedAnalytics {
    gate: Gate<dyn AnalyticsStore>,
    projection: Arc<MovedProjection<dyn AnalyticsStore>>,
}

type Store = Arc<dyn AnalyticsStore>;

impl GatedAnalytics {
    /// The store behind this gate.
    pub fn new(gate: Gate<dyn AnalyticsStore>) -> Result<Self, StoreError> {
        Ok(Self {
            projection: MovedProjection::new(gate.clone())?,
            gate,
        })
    }
}

#[async_trait]
impl AnalyticsStore for GatedAnalytics {
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
        let ask = |store: Store| async move { store.revenue(days, currency, by, limit).await };
        self.gate.read(ask).await
    }

    async fn top_products(&self, ranking: &Ranking) -> Result<TopProducts, StoreError> {
        self.gate
            .read(|store| async move { store.top_products(ranking).await })
            .await
    }

    async fn funnel(&self, days: Days) -> Result<Funnel, StoreError> {
        self.gate
            .read(|store| async move { store.funnel(days).await })
            .await
    }

    async fn cohorts(&self, months: Days) -> Result<Cohorts, StoreError> {
        self.gate
            .read(|store| async move { store.cohorts(months).await })
            .await
    }

    async fn baskets(&self, days: Days, currency: Currency) -> Result<Baskets, StoreError> {
        self.gate
            .read(|store| async move { store.baskets(days, currency).await })
            .await
    }

    async fn repeat(&self, days: Days) -> Result<Repeat, StoreError> {
        self.gate
            .read(|store| async move { store.repeat(days).await })
            .await
    }

    async fn live(&self, now: OffsetDateTime, currency: Currency) -> Result<Live, StoreError> {
        self.gate
            .read(|store| async move { store.live(now, currency).await })
            .await
    }

    async fn empty_searches(&self, days: Days, limit: u32) -> Result<EmptySearches, StoreError> {
        self.gate
            .read(|store| async move { store.empty_searches(days, limit).await })
            .await
    }

    async fn totals(&self, days: Days) -> Result<Option<Totals>, StoreError> {
        self.gate
            .read(|store| async move { store.totals(days).await })
            .await
    }

    async fn record(&self, activities: &[Activity], per_day_max: i64) -> Result<Recorded, StoreError> {
        let keys = || activities.iter().flat_map(keys_of).collect();
        let work = |store: Store| async move { store.record(activities, per_day_max).await };
        self.gate.write(keys, work).await
    }

    async fn open_days(&self, before: Date) -> Result<Vec<Date>, StoreError> {
        self.gate.here().store.open_days(before).await
    }

    /// Which day it closes is one of those that are open before. All else that it removes is not there for a move.
    async fn close_days(&self, before: Date, max: u32) -> Result<u64, StoreError> {
        let open: Mutex<Vec<Date>> = Mutex::default();
        let known = || open.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = || known().iter().map(|day| RecordKey::Day(*day).text()).collect();
        let work = |store: Store| async move {
            let days = store.open_days(before).await?;
            *known() = days;
            store.close_days(before, max).await
        };
        self.gate.write(keys, work).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.gate.here().store.ping().await
    }

    /// Each store's own report says what that one lacks.
    fn lacks(&self) -> &[Capability] {
        &[]
    }
}
