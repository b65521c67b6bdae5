//! Building a group's projection from the owners' histories: for a group that is new on the bus, and for one whose
//! projection an operator wants made anew.
//!
//! While it lasts, the group is marked on the bus and held under a lease: running members get no events, and what one of
//! them is applying just now cannot be acknowledged. Its effect is harmless, since the reset waits for it (see
//! [`inbox::reset`](crate::inbox::reset)) or the inbox has it. A rebuild that dies half way leaves the mark, so the next
//! member to look begins again from the reset.

use std::sync::atomic::{AtomicBool, Ordering};

use emporium_service_kit::client::Client;
use uuid::Uuid;

use super::beside::source;
use super::{ApplyError, ConsumerGroup, StartAt};
use crate::bus::{BusError, Progress};
use crate::event::CloudEvent;
use crate::history;

// A projection with two generations is built by `beside`, and keeps serving meanwhile.

/// Why a group cannot be rebuilt.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// It does not start from histories, or its consumer has no reset.
    #[error("the consumer group {0} cannot be rebuilt: it has no histories to read or no reset")]
    Unsupported(String),
    /// The bus failed.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The projection's store failed.
    #[error(transparent)]
    Store(#[from] ApplyError),
}

impl ConsumerGroup {
    /// Makes the group if it is new: reads the histories first, if it starts from them. When another member is doing that,
    /// it is left to that one.
    pub async fn join(&self) -> anyhow::Result<()> {
        self.progress_or_build().await.map(|_| ())
    }

    /// Asks for a rebuild: a running member, here or in another process, resets the projection, reads the histories and goes
    /// on from there; or, where there are two generations, builds the other one beside the live one and switches. Asking again
    /// while that goes on changes nothing.
    pub async fn request_rebuild(&self) -> Result<(), RebuildError> {
        if !self.can_rebuild() {
            return Err(RebuildError::Unsupported(self.name.clone()));
        }
        // No position: it is being rebuilt already, or is new and will be built by whoever joins.
        if self.bus.progress(&self.name).await?.is_none() {
            return Ok(());
        }
        if let Some(generations) = self.consumer.generations() {
            generations.want().await?;
            self.rebuild_wanted.notify_one();
        } else {
            self.bus.request_rebuild(&self.name).await?;
        }
        Ok(())
    }

    /// Asks for a rebuild and does it here and now, unless another member is faster. Resets the projection, reads the
    /// owners' histories from their start and goes on after the bus's end as it was before. What is on the bus by then is in
    /// a history, since owners number events before they publish them.
    pub async fn rebuild(&self) -> anyhow::Result<()> {
        self.request_rebuild().await?;
        self.join().await
    }

    /// Whether [`ConsumerGroup::request_rebuild`] works.
    pub fn can_rebuild(&self) -> bool {
        matches!(self.start, StartAt::Histories(_)) && self.consumer.can_reset()
    }

    /// How far the group is; `None` when another member is building it.
    pub(super) async fn progress_or_build(&self) -> anyhow::Result<Option<Progress>> {
        let progress = self.bus.progress(&self.name).await?;
        // Once, a member asks also where the group is ready: an earlier version may have built it from fewer histories.
        if progress.is_some_and(|progress| progress.paused || self.complete.load(Ordering::Relaxed)) {
            return Ok(progress);
        }
        let mut begun = self.begin().await?;
        if begun.is_none() && progress.is_some() && self.consumer.unfinished_reset().await?.is_some() {
            tracing::warn!(
                group = self.name,
                "emptied for another bus, or too late; building it again"
            );
            self.bus.request_rebuild(&self.name).await?;
            begun = self.begin().await?;
        }
        if begun.is_none() {
            self.complete.store(progress.is_some(), Ordering::Relaxed);
            if progress.is_none() {
                self.saw_building().await?;
            }
            return Ok(progress);
        }
        self.status
            .saw_building(false, self.consumer.generations().is_some());
        let resetting = AtomicBool::new(false);
        let read = self.holding(self.read_histories(&resetting)).await;
        let reset = match read {
            Ok(reset) => reset,
            Err(error) => return self.break_off(resetting.into_inner(), error).await,
        };
        self.bus.finish_rebuild(&self.name, self.member).await?;
        if let Some(reset) = reset
            && !self.consumer.rebuilt(reset).await?
        {
            self.bus.request_rebuild(&self.name).await?;
        }
        Ok(self.bus.progress(&self.name).await?)
    }

    async fn begin(&self) -> Result<Option<i64>, BusError> {
        self.bus
            .begin_rebuild(&self.name, self.member, self.lease, &self.sources())
            .await
    }

    async fn break_off<T>(&self, resetting: bool, error: anyhow::Error) -> anyhow::Result<T> {
        if resetting {
            // The reset may have happened after another member took over and rebuilt: then it has to be done again.
            self.bus.request_rebuild(&self.name).await?;
        }
        self.release().await;
        Err(error)
    }

    /// The owners whose histories it reads, as their events name them.
    pub(super) fn sources(&self) -> Vec<String> {
        match &self.start {
            StartAt::End => Vec::new(),
            StartAt::Histories(owners) => owners.iter().map(source).collect(),
        }
    }

    /// Resets the projection and fills it again; gives the reset, if the consumer notes it.
    async fn read_histories(&self, resetting: &AtomicBool) -> anyhow::Result<Option<Uuid>> {
        let StartAt::Histories(owners) = &self.start else {
            return Ok(None);
        };
        if let Some(generations) = self.consumer.generations() {
            self.build_generation(generations).await?;
            return Ok(None);
        }
        let mut reset = None;
        if self.consumer.can_reset() {
            let renew = || self.bus.renew(&self.name, self.member, self.lease);
            renew().await?;
            resetting.store(true, Ordering::SeqCst);
            self.consumer.reset().await?;
            renew().await?;
            resetting.store(false, Ordering::SeqCst);
            // This one or a later one: what is read from here on comes after it.
            reset = self.consumer.unfinished_reset().await?;
        }
        for owner in owners {
            self.read_history(owner).await?;
        }
        Ok(reset)
    }

    async fn read_history(&self, owner: &Client) -> anyhow::Result<()> {
        let mut after = 0;
        loop {
            let page = history::fetch_page(owner, after).await?;
            let events: Vec<&CloudEvent> = page.items.iter().map(|item| &item.event).collect();
            self.deliver(&events).await?;
            if page.at_end {
                return Ok(());
            }
            after = page.next_after;
        }
    }
}
