//! The outbox of whichever store serves. Numbering and publishing are writes: they wait while a move closes, and go on in the other
//! store where they were.

use async_trait::async_trait;
use emporium_event_bus::bus::Mark;
use emporium_event_bus::outbox::{Head, OutboxStore, Recorded, Stretch};
use emporium_moving::Gate;
use emporium_service_kit::StoreError;
use uuid::Uuid;

use crate::store::ReviewStore;

/// The outbox behind the gate of a move. A move copies it as a log ([`crate::store::copied`]), so nothing here is marked.
pub struct GatedOutbox(pub(super) Gate<dyn ReviewStore>);

#[async_trait]
impl OutboxStore for GatedOutbox {
    async fn number(&self, max: i64) -> Result<i64, StoreError> {
        self.0
            .write(Vec::new, |store| async move { store.outbox().number(max).await })
            .await
    }

    /// What is numbered never changes, so an instance that has not heard of a switch yet gives what is right; that it gives all,
    /// says numbering, which it may not do any more.
    async fn read(&self, after: i64, max: i64) -> Result<Stretch, StoreError> {
        self.0.here().store.outbox().read(after, max).await
    }

    async fn unpublished(&self, max: i64, bytes: i64) -> Result<Vec<Recorded>, StoreError> {
        self.0.here().store.outbox().unpublished(max, bytes).await
    }

    async fn head(&self) -> Result<Head, StoreError> {
        self.0.here().store.outbox().head().await
    }

    async fn published(&self, position: i64, mark: &Mark) -> Result<(), StoreError> {
        self.0
            .write(Vec::new, |store| async move {
                store.outbox().published(position, mark).await
            })
            .await
    }

    async fn join_bus(&self, bus: Uuid) -> Result<(), StoreError> {
        self.0
            .write(
                Vec::new,
                |store| async move { store.outbox().join_bus(bus).await },
            )
            .await
    }

    async fn waiting(&self) -> Result<i64, StoreError> {
        self.0.here().store.outbox().waiting().await
    }
}
