//! The store behind the gate of a move: which adapter serves may change while the service works.

use async_trait::async_trait;
use emporium_moving::Gate;
use emporium_service_kit::StoreError;
use time::OffsetDateTime;
use uuid::Uuid;

use super::record::RecordKey;
use super::{Capability, CartStore, Merged, Moment, Purchase, SetLine};
use crate::model::{CartKey, CartKind, StoredCart};

/// Any adapter, and another one after a move.
pub struct GatedCarts(pub(super) Gate<dyn CartStore>);

fn cart(key: CartKey) -> String {
    RecordKey::Cart(key).text()
}

#[async_trait]
impl CartStore for GatedCarts {
    async fn find(&self, key: CartKey, now: OffsetDateTime) -> Result<Option<StoredCart>, StoreError> {
        self.0
            .read(|store| async move { store.find(key, now).await })
            .await
    }

    async fn set_line(
        &self,
        key: CartKey,
        product_id: Uuid,
        quantity: u16,
        at: Moment,
    ) -> Result<SetLine, StoreError> {
        let work = |store: std::sync::Arc<dyn CartStore>| async move {
            store.set_line(key, product_id, quantity, at).await
        };
        self.0.write(|| vec![cart(key)], work).await
    }

    async fn remove_line(
        &self,
        key: CartKey,
        product_id: Uuid,
        at: Moment,
    ) -> Result<Option<StoredCart>, StoreError> {
        self.0
            .write(
                || vec![cart(key)],
                |store| async move { store.remove_line(key, product_id, at).await },
            )
            .await
    }

    async fn clear(&self, key: CartKey, at: Moment) -> Result<(), StoreError> {
        self.0
            .write(
                || vec![cart(key)],
                |store| async move { store.clear(key, at).await },
            )
            .await
    }

    async fn merge(&self, user_id: Uuid, anonymous_id: Uuid, at: Moment) -> Result<Merged, StoreError> {
        let keys = || {
            let (kind, id) = (CartKind::Anonymous, anonymous_id);
            vec![cart(CartKey::user(user_id)), cart(CartKey { kind, id })]
        };
        self.0
            .write(keys, |store| async move {
                store.merge(user_id, anonymous_id, at).await
            })
            .await
    }

    async fn take_purchase(&self, purchase: &Purchase, at: Moment) -> Result<Option<StoredCart>, StoreError> {
        let &Purchase { user_id, saga_id, .. } = purchase;
        let keys = || {
            let mark = RecordKey::Purchase { user_id, saga_id };
            vec![cart(CartKey::user(user_id)), mark.text()]
        };
        self.0
            .write(
                keys,
                |store| async move { store.take_purchase(purchase, at).await },
            )
            .await
    }

    /// What has expired is not there for a move either, so nothing is marked.
    async fn reap(&self, now: OffsetDateTime, max: u32) -> Result<u64, StoreError> {
        self.0.here().store.reap(now, max).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.0.here().store.ping().await
    }

    /// Each store's own report says what that one lacks.
    fn lacks(&self) -> &[Capability] {
        &[]
    }
}
