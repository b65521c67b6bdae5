//! Making a group on the bus, and building its projection from the owners' histories when the bus asks for that: the group is
//! new there, or the bus lacks events. What an operator asks for is made beside the live generation, by [`beside`](super::beside).
//!
//! While it lasts, the group is marked on the bus and held under a lease: running members get no events, and what one of
//! them is applying just now cannot be acknowledged. Its effect is harmless: the event is in the history that is read, and
//! the generation that is built claims it once. A building that dies half way leaves the mark, so the next member to look
//! begins again.

use std::sync::atomic::Ordering;

use uuid::Uuid;

use super::beside::source;
use super::{ApplyError, ConsumerGroup, StartAt};
use crate::bus::Progress;
use crate::projection::Generations;

/// Why a group cannot be rebuilt.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// It does not start from histories, or its consumer has no generations.
    #[error(
        "the consumer group {0} cannot be rebuilt: it reads no histories, or keeps nothing that is built from them"
    )]
    Unsupported(String),
    /// The projection's store failed.
    #[error(transparent)]
    Store(#[from] ApplyError),
}

impl ConsumerGroup {
    /// Makes the group if it is new: reads the histories first, if it starts from them. When another member is doing that,
    /// it is left to that one. [`RebuildError::Unsupported`] when it has histories and nothing to build from them.
    pub async fn join(&self) -> anyhow::Result<()> {
        self.progress_or_build().await.map(|_| ())
    }

    /// Asks for a rebuild: a running member, here or in another process, builds the other generation beside the live one,
    /// compares both and switches. Asking again while that goes on changes nothing. Gives the rebuild's id.
    pub async fn request_rebuild(&self) -> Result<Uuid, RebuildError> {
        let Some(generations) = self.buildable() else {
            return Err(RebuildError::Unsupported(self.name.clone()));
        };
        // The bus is not asked whether it has the group built: it says so for a moment longer than that lasts. While it does last,
        // that is the rebuild; one that is wanted before gives way to it.
        let id = generations.want().await?;
        self.rebuild_wanted.notify_one();
        Ok(id)
    }

    /// Whether [`ConsumerGroup::request_rebuild`] works.
    pub fn can_rebuild(&self) -> bool {
        self.buildable().is_some()
    }

    /// What is built from histories, if there are any: without, it would be built empty.
    pub(super) fn buildable(&self) -> Option<&dyn Generations> {
        match &self.start {
            StartAt::End => None,
            StartAt::Histories(_) => self.consumer.generations(),
        }
    }

    /// How far the group is; `None` when another member is building it.
    pub(super) async fn progress_or_build(&self) -> anyhow::Result<Option<Progress>> {
        let progress = self.bus.progress(&self.name).await?;
        // Once, a member asks also where the group is ready: an earlier version may have built it from fewer histories.
        if progress.is_some_and(|progress| progress.paused || self.complete.load(Ordering::Relaxed)) {
            return Ok(progress);
        }
        if self.begin().await?.is_none() {
            self.complete.store(progress.is_some(), Ordering::Relaxed);
            if progress.is_none() {
                self.saw_building().await?;
            }
            return Ok(progress);
        }
        self.status.saw_building(false);
        if let Some(generations) = self.buildable()
            && let Err(error) = self.holding(self.build_generation(generations)).await
        {
            self.release().await;
            return Err(error);
        }
        self.bus.finish_rebuild(&self.name, self.member).await?;
        Ok(self.bus.progress(&self.name).await?)
    }

    /// Takes the group to build it, if that is called for. One that could not be built afterwards is not taken: it would be
    /// marked, and get no events any more.
    async fn begin(&self) -> anyhow::Result<Option<i64>> {
        if matches!(self.start, StartAt::Histories(_)) && !self.can_rebuild() {
            return Err(RebuildError::Unsupported(self.name.clone()).into());
        }
        Ok(self
            .bus
            .begin_rebuild(&self.name, self.member, self.lease, &self.sources())
            .await?)
    }

    /// The owners whose histories it reads, as their events name them.
    pub(super) fn sources(&self) -> Vec<String> {
        match &self.start {
            StartAt::End => Vec::new(),
            StartAt::Histories(owners) => owners.iter().map(source).collect(),
        }
    }
}
