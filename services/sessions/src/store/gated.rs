//! The store behind the gate of a move: which adapter serves may change while the service works.

use std::sync::Arc;

use async_trait::async_trait;
use emporium_moving::Gate;
use emporium_service_kit::StoreError;
use time::OffsetDateTime;
use uuid::Uuid;

use super::record::RecordKey;
use super::{
    Admission, Attempt, Begun, Capability, Correction, Marker, SessionStore, Slid, Standing, sliding_look_up,
};
use crate::config::{Sliding, Throttle};
use crate::model::Session;
use crate::token::{Hash, TokenHash};

/// Any adapter, and another one after a move.
pub struct GatedSessions(pub(super) Gate<dyn SessionStore>);

type Store = Arc<dyn SessionStore>;

fn attempts(email: Hash) -> Vec<String> {
    vec![RecordKey::Failed(email).text(), RecordKey::Pending(email).text()]
}

/// What is noted of users, and all of their sessions.
fn users(ids: impl IntoIterator<Item = Uuid>) -> Vec<String> {
    ids.into_iter()
        .flat_map(|id| [RecordKey::Account(id).text(), RecordKey::User(id).text()])
        .collect()
}

#[async_trait]
impl SessionStore for GatedSessions {
    async fn admit(
        &self,
        email: Hash,
        now: OffsetDateTime,
        throttle: &Throttle,
    ) -> Result<Admission, StoreError> {
        let work = |store: Store| async move { store.admit(email, now, throttle).await };
        self.0.write(|| attempts(email), work).await
    }

    async fn settle(
        &self,
        email: Hash,
        attempt: Attempt,
        failed: bool,
        now: OffsetDateTime,
        throttle: &Throttle,
    ) -> Result<(), StoreError> {
        let work = |store: Store| async move { store.settle(email, attempt, failed, now, throttle).await };
        self.0.write(|| attempts(email), work).await
    }

    /// Older sessions of the user may end for it.
    async fn begin(&self, session: &Session, marker: Marker, per_user_max: u32) -> Result<Begun, StoreError> {
        let keys = || vec![RecordKey::User(session.user_id).text()];
        let work = |store: Store| async move { store.begin(session, marker, per_user_max).await };
        self.0.write(keys, work).await
    }

    async fn find(&self, token: TokenHash, now: OffsetDateTime) -> Result<Option<Session>, StoreError> {
        self.0
            .read(|store| async move { store.find(token, now).await })
            .await
    }

    async fn slide(
        &self,
        token: TokenHash,
        now: OffsetDateTime,
        target: OffsetDateTime,
    ) -> Result<Option<Slid>, StoreError> {
        let work = |store: Store| async move { store.slide(token, now, target).await };
        self.0
            .write(|| vec![RecordKey::Session(token).text()], work)
            .await
    }

    /// While a move closes, writes wait, and pages would wait for them: a use then moves no expiry, the next one does.
    async fn look_up(
        &self,
        token: TokenHash,
        now: OffsetDateTime,
        sliding: Sliding,
    ) -> Result<Option<Session>, StoreError> {
        if self.0.is_closing() {
            return self.find(token, now).await;
        }
        sliding_look_up(self, token, now, sliding).await
    }

    async fn end(&self, token: TokenHash) -> Result<(), StoreError> {
        let work = |store: Store| async move { store.end(token).await };
        self.0
            .write(|| vec![RecordKey::Session(token).text()], work)
            .await
    }

    async fn end_all(&self, user_ids: &[Uuid]) -> Result<u64, StoreError> {
        let keys = || users(user_ids.iter().copied());
        self.0
            .write(keys, |store| async move { store.end_all(user_ids).await })
            .await
    }

    async fn set_blocked(&self, standings: &[Standing]) -> Result<u64, StoreError> {
        let keys = || users(standings.iter().map(|told| told.user_id));
        self.0
            .write(keys, |store| async move { store.set_blocked(standings).await })
            .await
    }

    async fn standings(&self, user_ids: &[Uuid]) -> Result<Vec<Standing>, StoreError> {
        self.0
            .read(|store| async move { store.standings(user_ids).await })
            .await
    }

    async fn correct(&self, corrections: &[Correction]) -> Result<u64, StoreError> {
        let keys = || users(corrections.iter().map(|wrong| wrong.found.user_id));
        self.0
            .write(keys, |store| async move { store.correct(corrections).await })
            .await
    }

    async fn note(&self) -> Result<Option<String>, StoreError> {
        self.0.read(|store| async move { store.note().await }).await
    }

    async fn swap_note(&self, before: Option<&str>, after: &str) -> Result<bool, StoreError> {
        let work = |store: Store| async move { store.swap_note(before, after).await };
        self.0.write(|| vec![RecordKey::Note.text()], work).await
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
