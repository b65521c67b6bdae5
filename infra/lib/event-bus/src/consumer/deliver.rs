//! Applying a batch: as a whole, or event by event, with what cannot be applied put aside.

use std::time::Duration;

use futures::future::BoxFuture;

use super::status::shortened;
use super::{ATTEMPTS_MAX, ApplyError, ConsumerGroup};
use crate::bus::DeadLetter;
use crate::event::CloudEvent;

/// How long to wait after each try but the last one, in milliseconds.
const RETRY_AFTER: [u64; 4] = [50, 200, 500, 1_000];
/// Characters of a reason that a dead letter keeps.
const REASON_MAX: usize = 4_000;

impl ConsumerGroup {
    /// The whole batch in one go; when that fails, one by one, so that one bad event does not hold up the others.
    pub(super) async fn deliver(&self, events: &[&CloudEvent]) -> anyhow::Result<()> {
        // The bus gives what was asked for; a consumer is never shown a kind that it does not know, whatever bus it is.
        let wanted: Vec<&CloudEvent> = events.iter().copied().filter(|event| self.wants(event)).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        match self.consumer.apply(&wanted).await {
            Ok(()) => return Ok(()),
            Err(error) => self.go_one_by_one(error)?,
        }
        for event in wanted {
            self.deliver_one(event, &mut || {
                Box::pin(async move { self.consumer.apply(&[event]).await })
            })
            .await?;
        }
        Ok(())
    }

    pub(super) fn wants(&self, event: &CloudEvent) -> bool {
        self.consumer.kinds().contains(&&*event.kind)
    }

    pub(super) fn wants_of_history(&self, event: &CloudEvent) -> bool {
        self.consumer.kinds_of_history().contains(&&*event.kind)
    }

    /// A batch failed: fails too, unless an event is to blame.
    pub(super) fn go_one_by_one(&self, error: ApplyError) -> anyhow::Result<()> {
        match error {
            ApplyError::Unavailable(reason) => anyhow::bail!("{reason}"),
            ApplyError::Rejected(reason) => {
                tracing::info!(group = self.name, reason, "batch not applied; going one by one");
                Ok(())
            }
        }
    }

    /// Tries an event some times, then puts it aside.
    pub(super) async fn deliver_one<'a>(
        &self,
        event: &CloudEvent,
        apply: &mut (dyn FnMut() -> BoxFuture<'a, Result<(), ApplyError>> + Send),
    ) -> anyhow::Result<()> {
        let mut waits = RETRY_AFTER.into_iter().map(Duration::from_millis);
        loop {
            let reason = match apply().await {
                Ok(()) => return Ok(()),
                Err(ApplyError::Unavailable(reason)) => anyhow::bail!("{reason}"),
                Err(ApplyError::Rejected(reason)) => reason,
            };
            let Some(wait) = waits.next() else {
                tracing::error!(group = self.name, event = %event.id, reason, "dead letter");
                self.bus
                    .dead_letter(&self.name, event, &shortened(reason, REASON_MAX), ATTEMPTS_MAX)
                    .await?;
                self.status.one_more_letter();
                return Ok(());
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// Applies a dead letter again and notes that; the error says why it still cannot be applied.
    pub async fn replay(&self, letter: &DeadLetter) -> Result<(), ApplyError> {
        self.consumer.apply(&[&letter.event]).await?;
        self.bus
            .mark_replayed(&self.name, letter.id)
            .await
            .map_err(|error| ApplyError::Unavailable(error.to_string()))?;
        self.status.count_letters_soon();
        Ok(())
    }
}
