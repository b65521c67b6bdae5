//! A projection in a store other than PostgreSQL: the same steps, with the [`State`] under compare-and-swap.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use emporium_service_kit::{Clock, StoreError};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    BuildError, Comparison, Digest, Generation, Generations, Outcome, Piece, Rebuild, Standing, State, Work,
};
use crate::consumer::{ApplyError, Consumer};
use crate::event::CloudEvent;

/// Swaps that are tried before the store counts as too busy. Each one that fails means that somebody else's has succeeded.
const SWAPS_MAX: u32 = 50;

/// The state as it was read.
#[derive(Debug, Clone)]
pub struct Versioned {
    /// Grows by one with every change.
    pub version: i64,
    /// The state.
    pub state: State,
}

/// Events of a history for one generation.
#[derive(Debug)]
pub struct Filling<'a> {
    /// Where they go.
    pub generation: Generation,
    /// The events and when their owner wrote them down.
    pub events: Vec<(&'a CloudEvent, OffsetDateTime)>,
}

/// What a store gives, for a projection to be kept there. Its promises, in which *claims* are the notes of which events a
/// generation has seen:
///
/// - [`load`](ProjectionStore::load) and [`swap`](ProjectionStore::swap) are linearizable.
/// - An event counts once in a generation, however often it is applied, and whoever dies when.
/// - When [`apply`](ProjectionStore::apply) returns, its events are in every generation that was a
///   [target](State::targets) at any moment until then. With transactions: the effect's transaction reads the state in a way
///   that keeps swaps out until its commit. Without: the state is read again after writing, and what has become a target is
///   written to as well.
/// - [`fill`](ProjectionStore::fill) writes events and swaps the state in one transaction; without, it writes first, in a way
///   that may be repeated, and swaps then.
#[async_trait]
pub trait ProjectionStore: Send + Sync {
    /// The event types it cares for; all of owners whose histories the group reads.
    fn kinds(&self) -> &'static [&'static str];

    /// The state now; its [default](State::default), at version 0, when none was kept yet.
    async fn load(&self) -> Result<Versioned, StoreError>;

    /// Keeps the next state, at the next version, if the state is still at this one; says whether.
    async fn swap(&self, version: i64, next: &State) -> Result<bool, StoreError>;

    /// Applies events to the targets, to each what it has not seen, in one transaction or in pieces. After an error some may be
    /// applied, each wholly and claimed; the same events again add what is missing.
    async fn apply(&self, events: &[&CloudEvent]) -> Result<(), ApplyError>;

    /// Applies to one generation what it has not seen, and swaps the state; false, with nothing counted, when somebody else
    /// has changed it. An event's claim is as old as the event was written down.
    async fn fill(&self, filling: &Filling<'_>, version: i64, next: &State) -> Result<bool, ApplyError>;

    /// Removes all rows and claims of a generation that is nobody's target.
    async fn empty(&self, generation: Generation) -> Result<(), ApplyError>;

    /// Which of these events the generation has seen.
    async fn seen(&self, generation: Generation, events: &[Uuid]) -> Result<Vec<Uuid>, ApplyError>;

    /// The content of a generation, as [`Generations::content`].
    async fn content(&self, generation: Generation) -> Result<Vec<Digest>, ApplyError>;

    /// Compares the live generation with the one that is built, at one moment: see [`Generations::compare`]. May be asked
    /// again when the state has changed meanwhile.
    async fn compare(
        &self,
        live: Generation,
        built: Generation,
        refused: &[Uuid],
        now: OffsetDateTime,
    ) -> Result<Option<Comparison>, ApplyError>;

    /// Removes claims of the generation that are older than `before`, a bounded number; gives how many.
    async fn reap(&self, generation: Generation, before: OffsetDateTime) -> Result<u64, ApplyError>;
}

/// A projection with two generations in a [`ProjectionStore`].
pub struct StoredProjection<S> {
    store: S,
    clock: Clock,
}

impl<S: ProjectionStore> StoredProjection<S> {
    /// The projection that the store keeps. The consumer group has to have its name.
    pub fn new(store: S, clock: Clock) -> Arc<Self> {
        Arc::new(Self { store, clock })
    }

    /// The store.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Changes the state; `change` is called once more on the newer state when somebody else was faster.
    async fn change<T>(
        &self,
        mut change: impl FnMut(&mut State, OffsetDateTime) -> Result<T, BuildError> + Send,
    ) -> Result<T, BuildError> {
        for _ in 0..SWAPS_MAX {
            let Versioned { version, state } = self.store.load().await.map_err(ApplyError::from)?;
            let mut next = state.clone();
            let given = change(&mut next, self.clock.now())?;
            if next == state || self.store.swap(version, &next).await.map_err(ApplyError::from)? {
                return Ok(given);
            }
        }
        Err(busy().into())
    }

    async fn state(&self) -> Result<State, ApplyError> {
        Ok(self.store.load().await?.state)
    }
}

fn busy() -> ApplyError {
    ApplyError::Unavailable("the projection's state is changed by others all the time".to_owned())
}

/// For transitions that nothing can prevent.
fn applied(error: BuildError) -> ApplyError {
    match error {
        BuildError::Apply(error) => error,
        BuildError::Lost => ApplyError::Unavailable(error.to_string()),
    }
}

#[async_trait]
impl<S: ProjectionStore> Consumer for StoredProjection<S> {
    fn kinds(&self) -> &'static [&'static str] {
        self.store.kinds()
    }

    async fn apply(&self, events: &[&CloudEvent]) -> Result<(), ApplyError> {
        self.store.apply(events).await
    }

    /// Claims of a generation are kept until it was live for that long: until then events may come that it has from a history.
    async fn reap(&self, age: Duration) -> Result<u64, ApplyError> {
        let (state, now) = (self.state().await?, self.clock.now());
        if state.is_building() || !state.is_settled(age, now) {
            return Ok(0);
        }
        self.store.reap(state.live(), now - age).await
    }

    fn generations(&self) -> Option<&dyn Generations> {
        Some(self)
    }
}

#[async_trait]
impl<S: ProjectionStore> Generations for StoredProjection<S> {
    async fn standing(&self) -> Result<Standing, ApplyError> {
        Ok(self.state().await?.standing())
    }

    async fn content(&self) -> Result<Vec<Digest>, ApplyError> {
        let live = self.state().await?.live();
        self.store.content(live).await
    }

    async fn want(&self) -> Result<Uuid, ApplyError> {
        let id = Uuid::now_v7();
        let wanted = self.change(|state, now| Ok(state.want(id, now))).await;
        wanted.map_err(applied)
    }

    async fn take(&self, member: Uuid, lease: Duration) -> Result<Option<Rebuild>, ApplyError> {
        let taken = self.change(|state, now| Ok(state.take(member, lease, now))).await;
        taken.map_err(applied)
    }

    async fn replace(&self, member: Uuid, lease: Duration) -> Result<Work, ApplyError> {
        let id = Uuid::now_v7();
        let replaced = self
            .change(|state, now| Ok(state.replace(id, member, lease, now)))
            .await;
        replaced.map_err(applied)
    }

    async fn renew(&self, work: &Work) -> Result<(), BuildError> {
        self.change(|state, now| state.renew(work, now)).await
    }

    async fn release(&self, member: Uuid) -> Result<(), ApplyError> {
        let released = self.change(|state, _| {
            state.release(member);
            Ok(())
        });
        released.await.map_err(applied)
    }

    /// The generation is emptied before the state says that it is built: nobody writes to it until then.
    async fn begin(&self, work: &Work, owners: &[String]) -> Result<(), BuildError> {
        self.renew(work).await?;
        let state = self.state().await?;
        if !state.is_building() {
            self.store.empty(state.other()).await?;
        }
        self.change(|state, now| state.begin(work, owners, now)).await?;
        Ok(())
    }

    async fn fill(&self, work: &Work, piece: &Piece<'_>) -> Result<(), BuildError> {
        for _ in 0..SWAPS_MAX {
            let Versioned { version, mut state } = self.store.load().await.map_err(ApplyError::from)?;
            let filling = Filling {
                generation: state.note(work, piece, self.clock.now())?,
                // What was written down before owners noted when: live events are written down when they happen.
                events: (piece.items.iter())
                    .map(|item| (&item.event, item.recorded_at.unwrap_or(item.event.time)))
                    .collect(),
            };
            if self.store.fill(&filling, version, &state).await? {
                return Ok(());
            }
        }
        Err(busy().into())
    }

    async fn has_seen(&self, work: &Work, events: &[Uuid]) -> Result<Vec<Uuid>, BuildError> {
        let built = self.state().await?.built(work)?;
        Ok(self.store.seen(built, events).await?)
    }

    async fn compare(&self, work: &Work, refused: &[Uuid]) -> Result<Option<Comparison>, BuildError> {
        let state = self.state().await?;
        if let Some(noted) = state.compared(work)? {
            return Ok(Some(noted.clone()));
        }
        let (live, built) = (state.live(), state.built(work)?);
        Ok(self.store.compare(live, built, refused, self.clock.now()).await?)
    }

    async fn switch(&self, work: &Work, comparison: Option<&Comparison>) -> Result<Outcome, BuildError> {
        if let Some(comparison) = comparison {
            self.change(|state, _| state.note_comparison(work, comparison))
                .await?;
        }
        self.change(|state, now| state.switch(work, comparison, now))
            .await
    }
}
