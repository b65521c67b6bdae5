//! A projection behind a [`Gate`]: while a move is under way, every event goes to both stores.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use emporium_event_bus::projection::{
    BuildError, Comparison, Digest, Generations, Outcome, Piece, Rebuild, Standing, Work,
};
use emporium_event_bus::{ApplyError, CloudEvent, Consumer, ConsumerGroup};
use emporium_service_kit::StoreError;
use tokio::time::Instant;
use uuid::Uuid;

use crate::gate::Gate;
use crate::side::{Building, Built, Side};

/// The consumer of a service whose store can be moved.
pub struct MovedProjection<S: ?Sized> {
    gate: Gate<S>,
    kinds: &'static [&'static str],
    kinds_of_history: &'static [&'static str],
}

impl<S: ?Sized + Send + Sync + 'static> MovedProjection<S> {
    /// Of the store behind the gate, every one of which has a projection with these kinds.
    pub fn new(gate: Gate<S>) -> Result<Arc<Self>, StoreError> {
        let consumer = projection(&gate.here())?;
        Ok(Arc::new(Self {
            kinds: consumer.kinds(),
            kinds_of_history: consumer.kinds_of_history(),
            gate,
        }))
    }

    fn here(&self) -> Result<Arc<dyn Consumer>, ApplyError> {
        Ok(projection(&self.gate.here())?)
    }
}

fn projection<S: ?Sized>(side: &Side<S>) -> Result<Arc<dyn Consumer>, StoreError> {
    side.projection
        .clone()
        .ok_or_else(|| StoreError::Failed("this store has no projection".into()))
}

#[async_trait]
impl<S: ?Sized + Send + Sync + 'static> Consumer for MovedProjection<S> {
    fn kinds(&self) -> &'static [&'static str] {
        self.kinds
    }

    fn kinds_of_history(&self) -> &'static [&'static str] {
        self.kinds_of_history
    }

    async fn apply(&self, events: &[&CloudEvent]) -> Result<(), ApplyError> {
        self.gate
            .effect(|side| async move { projection(&side)?.apply(events).await })
            .await
    }

    fn generations(&self) -> Option<&dyn Generations> {
        Some(self)
    }

    async fn reap(&self, age: Duration) -> Result<u64, ApplyError> {
        self.here()?.reap(age).await
    }
}

fn generations(consumer: &Arc<dyn Consumer>) -> Result<&dyn Generations, ApplyError> {
    let none = || ApplyError::Unavailable("this projection has no generations".to_owned());
    consumer.generations().ok_or_else(none)
}

/// Those of the store that serves. What changes them waits while a move closes, as writes do, so that the two stores which are
/// compared then stand still.
#[async_trait]
impl<S: ?Sized + Send + Sync + 'static> Generations for MovedProjection<S> {
    async fn standing(&self) -> Result<Standing, ApplyError> {
        generations(&self.here()?)?.standing().await
    }

    async fn content(&self) -> Result<Vec<Digest>, ApplyError> {
        generations(&self.here()?)?.content().await
    }

    async fn want(&self) -> Result<Uuid, ApplyError> {
        generations(&self.here()?)?.want().await
    }

    async fn take(&self, member: Uuid, lease: Duration) -> Result<Option<Rebuild>, ApplyError> {
        generations(&self.here()?)?.take(member, lease).await
    }

    async fn replace(&self, member: Uuid, lease: Duration) -> Result<Work, ApplyError> {
        generations(&self.here()?)?.replace(member, lease).await
    }

    async fn renew(&self, work: &Work) -> Result<(), BuildError> {
        generations(&self.here()?)?.renew(work).await
    }

    async fn release(&self, member: Uuid) -> Result<(), ApplyError> {
        generations(&self.here()?)?.release(member).await
    }

    async fn begin(&self, work: &Work, owners: &[String]) -> Result<(), BuildError> {
        let begin = |_| async { generations(&self.here()?)?.begin(work, owners).await };
        self.gate.write(Vec::new, begin).await
    }

    async fn fill(&self, work: &Work, piece: &Piece<'_>) -> Result<(), BuildError> {
        let fill = |_| async { generations(&self.here()?)?.fill(work, piece).await };
        self.gate.write(Vec::new, fill).await
    }

    async fn has_seen(&self, work: &Work, events: &[Uuid]) -> Result<Vec<Uuid>, BuildError> {
        generations(&self.here()?)?.has_seen(work, events).await
    }

    async fn compare(&self, work: &Work, refused: &[Uuid]) -> Result<Option<Comparison>, BuildError> {
        generations(&self.here()?)?.compare(work, refused).await
    }

    async fn switch(&self, work: &Work, comparison: Option<&Comparison>) -> Result<Outcome, BuildError> {
        let switch = |_| async { generations(&self.here()?)?.switch(work, comparison).await };
        self.gate.write(Vec::new, switch).await
    }
}

/// How long after the end of the histories was read their last events count as published.
const PUBLISHED_WITHIN: Duration = Duration::from_secs(1);

/// How long emptying may take.
const CLEARED_WITHIN: Duration = Duration::from_mins(2);

/// The consumer group of a service, which is made after its stores, and before anything is moved.
pub type Group = Arc<OnceLock<Arc<ConsumerGroup>>>;

/// What builds a projection in the store that is filled. The group is that of the service, which is made after its stores.
///
/// Histories have events that the bus does not have yet, or that the group has not come to. So a projection that is built is not
/// done before the store that serves has them too: when both are compared, nothing is applied any more.
pub struct ProjectionBuild {
    consumer: Arc<dyn Consumer>,
    group: Group,
    caught_up: Mutex<CaughtUp>,
}

/// When the histories were read to their end, and which position of the bus their last events have at most.
#[derive(Debug, Clone, Copy, Default)]
struct CaughtUp {
    read: Option<Instant>,
    end: Option<i64>,
}

impl ProjectionBuild {
    /// Of this projection, by the group that is put into `group` before anything is moved.
    pub fn shared(consumer: Arc<dyn Consumer>, group: &Group) -> Arc<dyn Built> {
        Arc::new(Self {
            consumer,
            group: group.clone(),
            caught_up: Mutex::default(),
        })
    }

    fn noted<T>(&self, change: impl FnOnce(&mut CaughtUp) -> T) -> T {
        change(&mut self.caught_up.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the store that serves has what was read of the histories. An instance that takes over waits once more.
    async fn has_caught_up(&self, group: &ConsumerGroup) -> anyhow::Result<bool> {
        let noted = self.noted(|noted| {
            noted.read.get_or_insert_with(Instant::now);
            *noted
        });
        if noted.read.is_none_or(|at| at.elapsed() < PUBLISHED_WITHIN) {
            return Ok(false);
        }
        let end = match noted.end {
            Some(end) => end,
            None => group.bus_end().await?,
        };
        self.noted(|noted| noted.end = Some(end));
        group.has_reached(end).await
    }
}

#[async_trait]
impl Built for ProjectionBuild {
    async fn build(&self, anew: bool) -> anyhow::Result<Building> {
        let group = self.group.get();
        let group = group.ok_or_else(|| anyhow::anyhow!("the service has no consumer group yet"))?;
        let generations = generations(&self.consumer)?;
        if anew {
            self.noted(|noted| *noted = CaughtUp::default());
        }
        if let Some(rebuild) = group.build_elsewhere(generations, anew).await? {
            return Ok(Building::Under {
                done: rebuild.events,
                total: rebuild.total,
            });
        }
        if self.has_caught_up(group).await? {
            return Ok(Building::Done);
        }
        Ok(Building::Waits)
    }

    async fn content(&self) -> anyhow::Result<Vec<Digest>> {
        Ok(generations(&self.consumer)?.content().await?)
    }

    /// An event that was broken off is given to the group again.
    async fn is_settled(&self, anew: bool) -> anyhow::Result<bool> {
        let group = self.group.get();
        let group = group.ok_or_else(|| anyhow::anyhow!("the service has no consumer group yet"))?;
        if anew {
            self.noted(|noted| *noted = CaughtUp::default());
        }
        self.has_caught_up(group).await
    }

    /// Its live generation is an empty one then.
    async fn clear(&self) -> anyhow::Result<()> {
        let generations = generations(&self.consumer)?;
        let member = Uuid::new_v4();
        let work = generations.replace(member, CLEARED_WITHIN).await?;
        generations.begin(&work, &[]).await?;
        generations.switch(&work, None).await?;
        Ok(())
    }
}
