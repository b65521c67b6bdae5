//! Moving a store: what the service mounts and runs, and the work itself, a step at a time. Dying between or within steps costs
//! one step.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use emporium_service_kit::auth::ServiceName;
use emporium_service_kit::report::Inspect;
use emporium_service_kit::{Environment, StartError, StoreError};
use futures::future::BoxFuture;
use time::OffsetDateTime;
use tokio::sync::Notify;
use tokio::time::Instant;
use uuid::Uuid;

use crate::check;
use crate::gate::{Gate, Timing};
use crate::record::{Ending, Move, Outcome, Phase, Report, Standing};
use crate::register;
use crate::seal::Sealer;
use crate::side::Side;

mod steps;
pub(crate) use steps::NOT_EMPTY;
mod switch;

/// Opens the store that the environment's settings name.
pub(crate) type Opener<S> =
    Arc<dyn Fn(Environment) -> BoxFuture<'static, Result<Side<S>, StartError>> + Send + Sync>;

/// Runs what opens a store in a thread of its own: the compiler cannot see that the futures of sqlx's migrations may change
/// threads (they may), and opening is rare.
fn opener<S, F, R>(open: F) -> Opener<S>
where
    S: ?Sized + Send + Sync + 'static,
    F: Fn(Environment) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Result<Side<S>, StartError>>,
{
    Arc::new(move |environment| {
        let open = open.clone();
        let runtime = tokio::runtime::Handle::current();
        let service = environment.service;
        Box::pin(async move {
            let opened = tokio::task::spawn_blocking(move || runtime.block_on(open(environment)));
            opened.await.unwrap_or(Err(StartError::Missing {
                service,
                what: "a thread to open its store in",
                remedy: "see the log",
            }))
        })
    })
}

/// A store that can be moved.
pub struct Moving<S: ?Sized>(pub(crate) Arc<Parts<S>>);

impl<S: ?Sized> Clone for Moving<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

pub(crate) struct Parts<S: ?Sized> {
    pub gate: Gate<S>,
    pub environment: Environment,
    /// The setting that names the store.
    pub setting: &'static str,
    pub opener: Opener<S>,
    pub sealer: Sealer,
    pub timing: Timing,
    /// This instance.
    pub member: Uuid,
    pub wake: Notify,
    /// Held by whoever reads the record and acts by it.
    pub looking: tokio::sync::Mutex<()>,
    pub notes: Mutex<Notes>,
}

/// What an instance remembers of the move that it sees.
#[derive(Default)]
pub(crate) struct Notes {
    /// When it saw the move first.
    pub noticed: Option<(Uuid, Instant)>,
    /// The beats of the instances, and since when they have not changed.
    pub beats: HashMap<Uuid, (i64, Instant)>,
    /// Its own beat.
    pub beat: i64,
    pub acknowledged: Option<Instant>,
    /// Since when writes wait.
    pub closed: Option<Instant>,
    /// The epoch in which it waits for what was broken off when closing began before.
    pub settling: Option<i64>,
    pub report: Report,
}

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// There is nothing to do here.
    Idle,
    /// Somebody else, or the operator, has to do something first.
    Waits,
    /// Something was done, and there is more.
    Done,
}

impl<S: ?Sized + Send + Sync + 'static> Moving<S> {
    /// Opens the store that the setting names by `open`, if that is the one that serves; otherwise the error says which one does.
    /// `open` is called again for the other store of a move, with that in its environment's settings.
    pub async fn open<F, R>(
        environment: &Environment,
        setting: &'static str,
        open: F,
    ) -> Result<Self, StartError>
    where
        F: Fn(Environment) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Result<Side<S>, StartError>>,
    {
        Self::open_with(environment, setting, open, Timing::default()).await
    }

    /// The same with other times, for tests.
    pub async fn open_with<F, R>(
        environment: &Environment,
        setting: &'static str,
        open: F,
        timing: Timing,
    ) -> Result<Self, StartError>
    where
        F: Fn(Environment) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Result<Side<S>, StartError>>,
    {
        let opener = opener(open);
        let store_setting = environment.stores.setting(setting);
        let sealer =
            Sealer::new(&environment.secret).map_err(|error| store_setting.failed(environment, error))?;
        let here = opener(environment.clone()).await?;
        let read_at = Instant::now();
        let (_, standing) = register::standing(here.register.as_ref())
            .await
            .map_err(|error| store_setting.failed(environment, error))?;
        check::serves(&standing, &here.address, environment.service, setting)?;
        // While something is moved, nothing counts before the move knows of this instance.
        let counts_until = match standing {
            Standing::Moving(_) => read_at,
            _ => read_at + timing.valid,
        };
        let moving = Self(Arc::new(Parts {
            gate: Gate::new(Arc::new(here), counts_until),
            environment: environment.clone(),
            setting,
            opener,
            sealer,
            timing,
            member: Uuid::now_v7(),
            wake: Notify::new(),
            looking: tokio::sync::Mutex::default(),
            notes: Mutex::default(),
        }));
        // One that is moved is joined at once. If that fails, it is tried again as long as the service runs.
        if let Err(error) = moving.look().await {
            tracing::warn!(setting, %error, "the record of a move cannot be followed yet");
        }
        Ok(moving)
    }

    /// The gate.
    pub fn gate(&self) -> Gate<S> {
        self.0.gate.clone()
    }

    /// What the store that serves tells of itself.
    pub fn report(&self) -> Arc<dyn Inspect> {
        Arc::new(self.0.gate.clone())
    }

    /// The background task: follows the record, and does the work of a move.
    pub fn task(&self) -> impl Fn() -> BoxFuture<'static, anyhow::Result<()>> + Send + Sync + 'static {
        let moving = self.clone();
        move || {
            let moving = moving.clone();
            Box::pin(async move { moving.run().await })
        }
    }

    async fn run(&self) -> anyhow::Result<()> {
        let stop = self.0.environment.shutdown.clone();
        tokio::select! {
            biased;
            () = stop.cancelled() => Ok(()),
            never = self.watch() => match never {},
            never = self.work() => match never {},
        }
    }

    async fn work(&self) -> std::convert::Infallible {
        loop {
            let pause = match self.step().await {
                Ok(Step::Done) => continue,
                Ok(Step::Waits) => self.0.timing.moving,
                Ok(Step::Idle) => self.0.timing.idle,
                Err(error) => {
                    tracing::warn!(setting = self.0.setting, %error, "a move does not go on; trying again");
                    self.note(|notes| notes.report.trouble = Some(error.to_string()));
                    self.0.timing.idle
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.0.wake.notified() => {}
            }
        }
    }

    /// Does a step of the move that is under way, if this instance does the work. A running instance does it by itself; tests
    /// call it.
    pub async fn step(&self) -> anyhow::Result<Step> {
        let view = self.0.gate.view();
        let (_, standing) = register::standing(view.here.register.as_ref()).await?;
        let Standing::Moving(moving) = standing else {
            return Ok(Step::Idle);
        };
        if !self.has_work(&view.here, &moving).await? {
            return Ok(Step::Waits);
        }
        let done = self.one_step(&view.here, &moving).await;
        if done.is_ok() {
            self.note(|notes| notes.report.trouble = None);
        }
        done
    }

    /// Whether this instance does the work, and everybody acts by the present phase.
    async fn has_work(&self, here: &Side<S>, moving: &Move) -> anyhow::Result<bool> {
        let (dead, noticed) = self.observe(moving);
        let me = self.0.member;
        // Only a member may take it: others would not find out that it is dead.
        let is_member = moving.members.contains_key(&me);
        if !dead.is_empty() || (moving.mover.is_none() && is_member) {
            self.change_move(here, moving.id, |moving| {
                moving.forget(&dead);
                if moving.members.contains_key(&me) {
                    moving.take(me);
                }
            })
            .await?;
            return Ok(false);
        }
        let waited = moving.phase != Phase::Announced || noticed.elapsed() >= self.0.timing.announce;
        Ok(moving.mover == Some(me) && is_member && moving.all_follow() && waited)
    }

    /// Which instances are dead, and since when this one has known of the move.
    fn observe(&self, moving: &Move) -> (Vec<Uuid>, Instant) {
        let (now, me) = (Instant::now(), self.0.member);
        self.note(|notes| {
            if notes.noticed.is_none_or(|(id, _)| id != moving.id) {
                notes.noticed = Some((moving.id, now));
                notes.beats.clear();
            }
            // Whoever was forgotten does not do the work either.
            let is_gone = |mover: &Uuid| *mover != me && !moving.members.contains_key(mover);
            let mut dead: Vec<Uuid> = moving.mover.into_iter().filter(is_gone).collect();
            for (id, member) in moving.members.iter().filter(|(id, _)| **id != me) {
                let seen = notes.beats.entry(*id).or_insert((member.beat, now));
                if seen.0 != member.beat {
                    *seen = (member.beat, now);
                }
                if seen.1.elapsed() >= self.0.timing.announce {
                    dead.push(*id);
                }
            }
            (dead, notes.noticed.map_or(now, |(_, at)| at))
        })
    }

    pub(crate) fn note<T>(&self, change: impl FnOnce(&mut Notes) -> T) -> T {
        change(&mut self.0.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Writes to the store that is filled: when the record says that this instance does the work, and as long as nobody else can
    /// have taken it over since. What is written may have been read before: others mark what they write to, and nobody forgets a
    /// mark while this one does the work.
    pub(crate) async fn held<T>(
        &self,
        here: &Side<S>,
        moving: &Move,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.look().await?;
        let term = self.0.gate.lease().term();
        let (_, standing) = register::standing(here.register.as_ref()).await?;
        let me = self.0.member;
        match standing {
            Standing::Moving(now)
                if (now.id, now.mover, now.turns) == (moving.id, Some(me), moving.turns) =>
            {
                term.hold(work).await
            }
            _ => Err(StoreError::Unavailable(
                "another instance does this work now".into(),
            )),
        }
    }

    pub(crate) fn now(&self) -> OffsetDateTime {
        self.0.environment.clock.now()
    }

    pub(crate) fn service(&self) -> ServiceName {
        self.0.environment.service
    }

    /// Changes the record of this move; false when it is not under way any more.
    pub(crate) async fn change_move(
        &self,
        here: &Side<S>,
        id: Uuid,
        change: impl Fn(&mut Move) + Send + Sync,
    ) -> anyhow::Result<bool> {
        let changed = register::change(here.register.as_ref(), |standing| match standing {
            Standing::Moving(moving) if moving.id == id => {
                let mut next = moving.clone();
                change(&mut next);
                (Some(Standing::Moving(next)), true)
            }
            _ => (None, false),
        });
        Ok(changed.await?)
    }

    /// The same, if this instance still does the work.
    async fn change_own(
        &self,
        here: &Side<S>,
        id: Uuid,
        change: impl Fn(&mut Move) + Send + Sync,
    ) -> anyhow::Result<()> {
        let me = self.0.member;
        self.change_move(here, id, |moving| {
            if moving.mover == Some(me) {
                change(moving);
            }
        })
        .await?;
        // Whoever has to follow looks at once where it is this instance.
        self.look().await?;
        Ok(())
    }

    /// Ends a move without a switch: the source goes on, the other store is emptied.
    async fn give_up(
        &self,
        here: &Side<S>,
        moving: &Move,
        ending: Ending,
        reasons: Vec<String>,
    ) -> anyhow::Result<()> {
        let outcome = Outcome {
            reasons,
            ..moving.outcome(ending, self.now())
        };
        tracing::warn!(setting = self.0.setting, ?ending, reasons = ?outcome.reasons, "a move was given up");
        let (id, me) = (moving.id, self.0.member);
        self.note(|notes| notes.closed = None);
        let ended = register::change(here.register.as_ref(), |standing| match standing {
            Standing::Moving(now) if now.id == id && now.mover == Some(me) => {
                let last = Some(Box::new(outcome.clone()));
                (Some(Standing::Serving { last }), true)
            }
            _ => (None, false),
        });
        if ended.await? {
            self.tidy(moving).await;
        }
        self.look().await?;
        Ok(())
    }

    /// Empties the store that was being filled. What cannot be emptied stays marked as being filled, which keeps everybody from
    /// starting on it.
    async fn tidy(&self, moving: &Move) {
        let tidied = async {
            let there = self.target(moving).await?;
            self.look().await?;
            let term = self.0.gate.lease().term();
            let (version, standing) = register::standing(there.register.as_ref()).await?;
            if !matches!(&standing, Standing::Filling { by, .. } if *by == moving.id) {
                return Ok(());
            }
            if let Some(copied) = &there.copied {
                term.hold(copied.records.clear()).await?;
            }
            if let Some(built) = &there.built {
                built.clear().await?;
            }
            register::swap(there.register.as_ref(), version, &Standing::default()).await?;
            anyhow::Ok(())
        };
        if let Err(error) = tidied.await {
            tracing::warn!(setting = self.0.setting, %error, "the store that was being filled is not emptied");
        }
    }

    /// The store that is filled, opened once.
    pub(crate) async fn target(&self, moving: &Move) -> anyhow::Result<Arc<Side<S>>> {
        let view = self.0.gate.view();
        if let Some(there) = view
            .there
            .filter(|_| view.moving.is_some_and(|(id, _)| id == moving.id))
        {
            return Ok(there);
        }
        Ok(self.open_place(&moving.to).await?)
    }
}
