//! The gate between a service and its store. Every verb of a store's trait goes through it: reads by [`Gate::read`], writes by
//! [`Gate::write`], effects of events by [`Gate::effect`]. While nothing is moved that costs a lock that nobody holds.
//!
//! # Why nothing acknowledged is lost
//!
//! 1. An instance acts by what it has read of the record, for at most [`Timing::valid`]. A write that ends later than that is not
//!    acknowledged, whatever became of it.
//! 2. So [`Timing::announce`] after a move was announced, every instance that still acknowledges writes has read it, and is a
//!    member of it. From then on phases are entered one by one, each when all members have said that everything which they
//!    began under an earlier one has ended.
//! 3. From the announcement on, a write is marked in the source's journal after it was made and before it is acknowledged. Whoever
//!    copies reads the mark, copies the key, and forgets the mark if it has not changed: a write that was not copied leaves its
//!    mark.
//! 4. While the move closes, no write is under way: the journal is drained for good, and then both stores are compared. A write
//!    whose process died before its mark makes them differ, and copying begins anew.
//! 5. The switch is one compare-and-swap of the target's record, from filled to serving; the source's follows. An instance writes
//!    to the target only after it has read in the source's record that it was left. Until an instance has read that, what it
//!    reads in the source counts only if the record says afterwards that the source was not left yet.
//! 6. Whoever copies, and was stopped for longer than its [lease](crate::lease), sends nothing more to the target: its work may
//!    have been taken over by then, and the target may serve.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use emporium_service_kit::StoreError;
use emporium_service_kit::report::{Inspect, StoreReport};
use tokio::runtime::Handle;
use tokio::sync::{OwnedRwLockReadGuard, RwLock, watch};
use tokio::time::Instant;
use uuid::Uuid;

use crate::lease::Lease;
use crate::record::Standing;
use crate::register::{self, Journal};
use crate::shadow::ShadowLog;
use crate::side::Side;

/// How long a write waits for a move that closes, before it is refused.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// How often the record is read, and how long it counts.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// Between readings while nothing is moved.
    pub idle: Duration,
    /// Between readings while something is.
    pub moving: Duration,
    /// How long a reading counts.
    pub valid: Duration,
    /// How long after its announcement a move begins, and how long an instance may be silent before it counts as dead. Longer
    /// than `valid`, by more than clocks drift in that time.
    pub announce: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(1),
            moving: Duration::from_millis(200),
            valid: Duration::from_secs(5),
            announce: Duration::from_secs(6),
        }
    }
}

/// What the instance does, by what it has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stance {
    /// Nothing is moved.
    Serving,
    /// Writes are marked.
    Marking,
    /// Also, events are applied to both stores.
    Following,
    /// Also, reads are answered by both and compared.
    Shadowing,
    /// Writes wait.
    Closing,
}

/// Which stores the instance uses, and how.
pub(crate) struct View<S: ?Sized> {
    /// The one that serves.
    pub here: Arc<Side<S>>,
    /// The one that is filled, when it is open.
    pub there: Option<Arc<Side<S>>>,
    pub stance: Stance,
    /// The move and its epoch that this follows.
    pub moving: Option<(Uuid, i64)>,
}

impl<S: ?Sized> View<S> {
    /// Of a store of which nothing is moved.
    pub fn serving(here: Arc<Side<S>>) -> Self {
        Self {
            here,
            there: None,
            stance: Stance::Serving,
            moving: None,
        }
    }
}

impl<S: ?Sized> Clone for View<S> {
    fn clone(&self) -> Self {
        Self {
            here: self.here.clone(),
            there: self.there.clone(),
            stance: self.stance,
            moving: self.moving,
        }
    }
}

/// The gate of one store of one instance.
pub struct Gate<S: ?Sized>(Arc<Inner<S>>);

impl<S: ?Sized> Clone for Gate<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

struct Inner<S: ?Sized> {
    view: Mutex<View<S>>,
    /// Held by writes while they go on: whoever gets it for writing knows that they have ended.
    flight: Arc<RwLock<()>>,
    /// Told of every change of the view.
    changed: watch::Sender<()>,
    shadow: ShadowLog,
    lease: Lease,
}

impl<S: ?Sized> Gate<S> {
    pub(crate) fn new(here: Arc<Side<S>>, valid_until: Instant) -> Self {
        let view = View::serving(here);
        Self(Arc::new(Inner {
            view: Mutex::new(view),
            flight: Arc::default(),
            changed: watch::Sender::new(()),
            shadow: ShadowLog::default(),
            lease: Lease::new(valid_until),
        }))
    }

    /// The view now.
    pub(crate) fn view(&self) -> View<S> {
        self.0.view.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until every write has ended that began under the view before, and changes it.
    pub(crate) async fn change(&self, view: View<S>) {
        let ended = self.0.flight.write().await;
        *self.0.view.lock().unwrap_or_else(PoisonError::into_inner) = view;
        drop(ended);
        self.0.changed.send_replace(());
    }

    /// For how long what was read counts.
    pub(crate) fn lease(&self) -> &Lease {
        &self.0.lease
    }

    /// What was compared.
    pub(crate) fn shadow(&self) -> &ShadowLog {
        &self.0.shadow
    }

    /// The store that serves now. For what is neither read nor written: pings, reports.
    pub fn here(&self) -> Arc<Side<S>> {
        self.view().here
    }

    /// Asks the store that serves. While a move is shadowed, the other one is asked too, and a difference is told.
    pub async fn read<T, F, R>(&self, ask: F) -> Result<T, StoreError>
    where
        T: PartialEq + std::fmt::Debug,
        F: Fn(Arc<S>) -> R,
        R: Future<Output = Result<T, StoreError>>,
    {
        self.0.lease.check()?;
        let (view, given) = loop {
            let view = self.view();
            let given = ask(view.here.store.clone()).await?;
            if self.has_served(&view).await? {
                break (view, given);
            }
        };
        self.compare(&view, &ask, &given).await;
        Ok(given)
    }

    /// Whether nobody can have written anywhere else than to this view's store by now, so that what was read there is the
    /// newest. While a move closes, other instances may go on in the other store sooner than this one hears of it.
    async fn has_served(&self, view: &View<S>) -> Result<bool, StoreError> {
        let now = self.view();
        if !Arc::ptr_eq(&now.here, &view.here) {
            return Ok(false);
        }
        if now.stance == Stance::Closing {
            let mut changed = self.0.changed.subscribe();
            let (_, standing) = register::standing(now.here.register.as_ref()).await?;
            if matches!(standing, Standing::Left(_)) {
                if self.is_closing() {
                    // This instance's task reads that, too. The sender lives as long as the gate.
                    let _ = tokio::time::timeout(WAIT_MAX, changed.changed()).await;
                }
                self.0.lease.check()?;
                return Ok(false);
            }
        }
        self.0.lease.check()?;
        Ok(true)
    }

    async fn compare<T, F, R>(&self, view: &View<S>, ask: &F, given: &T)
    where
        T: PartialEq + std::fmt::Debug,
        F: Fn(Arc<S>) -> R,
        R: Future<Output = Result<T, StoreError>>,
    {
        if let (Stance::Shadowing, Some(there)) = (view.stance, &view.there) {
            let both = (view.here.store.clone(), there.store.clone());
            self.0.shadow.compare(both, ask, given).await;
        }
    }

    /// Whether writes wait just now, for whoever rather does without one.
    pub fn is_closing(&self) -> bool {
        let view = self.0.view.lock().unwrap_or_else(PoisonError::into_inner);
        view.stance == Stance::Closing
    }

    /// The same for what is right in whichever store answers, such as indexes of something that does not move: it is answered even
    /// while nobody can read which one serves.
    pub async fn read_anywhere<T, F, R>(&self, ask: F) -> Result<T, StoreError>
    where
        T: PartialEq + std::fmt::Debug,
        F: Fn(Arc<S>) -> R,
        R: Future<Output = Result<T, StoreError>>,
    {
        let view = self.view();
        let given = ask(view.here.store.clone()).await?;
        self.compare(&view, &ask, &given).await;
        Ok(given)
    }

    /// Writes to the store that serves. `keys` are those of the [records](crate::side::Copied) that this may change.
    pub async fn write<T, E, F, R>(&self, keys: impl FnOnce() -> Vec<String>, work: F) -> Result<T, E>
    where
        E: From<StoreError>,
        F: FnOnce(Arc<S>) -> R,
        R: Future<Output = Result<T, E>>,
    {
        let (view, in_flight) = self.open_view().await?;
        let marking = match &view.here.copied {
            Some(copied) if view.stance != Stance::Serving => Some(Marking {
                journal: copied.journal.clone(),
                keys: keys(),
                in_flight: Some(in_flight),
            }),
            _ => None,
        };
        let done = work(view.here.store.clone()).await;
        if let Some(marking) = marking {
            // One that failed may have been made nevertheless.
            marking.note().await?;
        }
        self.0.lease.check()?;
        done
    }

    /// Applies something to the store that serves, and to the one that is filled while a move is under way. It has to count once
    /// however often it is applied.
    pub async fn effect<T, E, F, R>(&self, apply: F) -> Result<T, E>
    where
        E: From<StoreError>,
        F: Fn(Arc<Side<S>>) -> R,
        R: Future<Output = Result<T, E>>,
    {
        let (view, _in_flight) = self.open_view().await?;
        let done = apply(view.here).await?;
        if matches!(view.stance, Stance::Following | Stance::Shadowing) {
            let there = view.there.ok_or_else(|| {
                StoreError::Unavailable("the store that a move fills cannot be reached just now".into())
            })?;
            apply(there).await?;
        }
        self.0.lease.check()?;
        Ok(done)
    }

    /// The view, which does not change while the guard is held; waits while a move closes.
    async fn open_view(&self) -> Result<(View<S>, OwnedRwLockReadGuard<()>), StoreError> {
        let closed = async {
            let mut changed = self.0.changed.subscribe();
            loop {
                let in_flight = self.0.flight.clone().read_owned().await;
                let view = self.view();
                if view.stance != Stance::Closing {
                    return (view, in_flight);
                }
                drop(in_flight);
                // The sender lives as long as the gate.
                let _ = changed.changed().await;
            }
        };
        let open = tokio::time::timeout(WAIT_MAX, closed).await.map_err(|_| {
            StoreError::Unavailable(
                "the data is being moved to another store; writes go on in a moment".into(),
            )
        })?;
        self.0.lease.check()?;
        Ok(open)
    }
}

/// What a write has to mark when it has ended. A write whose caller has gone away is dropped in the middle and may have been made:
/// it is marked then, too.
struct Marking {
    journal: Arc<dyn Journal>,
    keys: Vec<String>,
    /// The write counts as under way until it is marked.
    in_flight: Option<OwnedRwLockReadGuard<()>>,
}

impl Marking {
    async fn note(mut self) -> Result<(), StoreError> {
        self.journal.note(&self.keys).await?;
        self.in_flight = None;
        Ok(())
    }
}

impl Drop for Marking {
    fn drop(&mut self) {
        let (Some(in_flight), Ok(runtime)) = (self.in_flight.take(), Handle::try_current()) else {
            return;
        };
        let (journal, keys) = (self.journal.clone(), std::mem::take(&mut self.keys));
        runtime.spawn(async move {
            if let Err(error) = journal.note(&keys).await {
                tracing::warn!(%error, "a write is not marked; comparing will find it");
            }
            drop(in_flight);
        });
    }
}

#[async_trait]
impl<S: ?Sized + Send + Sync> Inspect for Gate<S> {
    fn outline(&self) -> StoreReport {
        self.view().here.report.outline()
    }

    async fn inspect(&self) -> StoreReport {
        let view = self.view();
        let mut report = view.here.report.inspect().await;
        if let Some(there) = &view.there {
            report.state = Some(format!("being moved to {}", there.address));
        }
        report
    }
}
