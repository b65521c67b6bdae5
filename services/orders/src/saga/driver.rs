//! The workers that drive sagas: bounded in number, each under a lease, resumable after every crash.
//!
//! A saga is worked on by the process that placed its order, at once; or by whoever finds it due: parked ones whose pause
//! is over, and those whose worker died. What a worker writes counts only under its fencing token, and every call that it
//! makes is idempotent, so two workers on one saga (a lease that ran out during a long pause) do no harm.

use std::str::FromStr;
use std::sync::Arc;

use emporium_event_bus::Outbox;
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::trace::TraceContext;
use emporium_service_kit::{Clock, Db};
use time::{Duration, OffsetDateTime};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::machine::{self, Answer, Note, Task, Transition};
use super::measures::Measures;
use super::perform::Performer;
use super::state::{Debt, Policy, Saga, Step};
use super::waiters::Waiters;
use crate::config::{Config, span};
use crate::crash::{self, Side};
use crate::error::Error;
use crate::model::Status;
use crate::store::due;
use crate::store::progress;
use crate::store::saga::{self as store, Advanced, Ending, Lease};

/// Sagas claimed in one statement.
const CLAIM_MAX: usize = 32;
/// Every so many polls sagas are looked for that a clock which was set back would keep waiting.
const POLLS_A_RECALL: u32 = 20;
/// Pause after the database could not be asked.
const AWAY: std::time::Duration = std::time::Duration::from_millis(500);
/// Time that a saga gets after a crash to find out what became of its money.
const RECOVERY: Duration = Duration::seconds(3);

/// Drives sagas.
#[derive(Clone)]
pub struct Driver(Arc<Inner>);

pub(super) struct Inner {
    pub(super) db: Db,
    outbox: Outbox,
    pub(super) clock: Clock,
    pub(super) performer: Performer,
    pub(super) policy: Policy,
    worker: Uuid,
    pub(super) lease: Duration,
    poll: std::time::Duration,
    permits: Arc<Semaphore>,
    waiters: Waiters,
    wake: Notify,
    stop: CancellationToken,
    measures: Measures,
}

/// What a driver works with.
pub struct Parts {
    /// The private database.
    pub db: Db,
    /// For the orders' events.
    pub outbox: Outbox,
    /// Where time comes from.
    pub clock: Clock,
    /// Calls other services.
    pub performer: Performer,
    /// Who waits for orders.
    pub waiters: Waiters,
    /// Told when the service stops.
    pub stop: CancellationToken,
}

impl Driver {
    /// A driver with a worker identity of its own.
    pub fn new(parts: Parts, config: &Config, registry: &Metrics) -> Self {
        Self(Arc::new(Inner {
            db: parts.db,
            outbox: parts.outbox,
            clock: parts.clock,
            performer: parts.performer,
            policy: policy(config),
            worker: Uuid::new_v4(),
            lease: span(config.lease_ms),
            poll: config.poll(),
            permits: Arc::new(Semaphore::new(usize::from(config.sagas_max))),
            waiters: parts.waiters,
            wake: Notify::new(),
            stop: parts.stop,
            measures: Measures::new(registry),
        }))
    }

    /// The worker's identity.
    pub fn worker(&self) -> Uuid {
        self.0.worker
    }

    /// When a lease taken now ends.
    pub fn lease_until(&self, now: OffsetDateTime) -> OffsetDateTime {
        now + self.0.lease
    }

    /// Drives a saga that this worker holds, apart from the caller: a client that goes away does not stop it.
    pub fn spawn(&self, saga: Saga) {
        let driver = self.clone();
        let trace = TraceContext::current().unwrap_or_else(TraceContext::root);
        tokio::spawn(trace.scope(async move {
            // The semaphore is never closed.
            if let Ok(permit) = driver.0.permits.clone().acquire_owned().await {
                driver.0.drive(saga, permit).await;
            }
        }));
    }

    /// Looks for due sagas at once.
    pub fn wake(&self) {
        self.0.wake.notify_one();
    }

    /// Finds due sagas and drives them, until told to stop. A database that is away ends nothing: a saga has seconds to
    /// end, so the next look must not wait for a supervisor's growing pauses.
    pub async fn run(self) -> anyhow::Result<()> {
        let mut polls: u32 = 0;
        while !self.0.stop.is_cancelled() {
            let found = match self.look(polls).await {
                Ok(found) => found,
                Err(error) => {
                    tracing::warn!(%error, "due sagas could not be looked for");
                    tokio::time::sleep(AWAY).await;
                    continue;
                }
            };
            polls = polls.wrapping_add(1);
            if found < CLAIM_MAX {
                tokio::select! {
                    () = self.0.stop.cancelled() => {}
                    () = self.0.wake.notified() => {}
                    () = tokio::time::sleep(self.0.poll) => {}
                }
            }
        }
        Ok(())
    }

    async fn look(&self, polls: u32) -> Result<usize, sqlx::Error> {
        if polls.is_multiple_of(POLLS_A_RECALL) {
            let inner = &self.0;
            let now = inner.clock.now();
            let recalled = due::recall(&inner.db, &inner.policy, inner.lease, now).await?;
            if recalled > 0 {
                tracing::warn!(recalled, "sagas were put off too far: the clock was set back");
            }
        }
        self.claim().await
    }

    /// Claims due sagas, as many as there are free workers, and drives them; gives how many.
    async fn claim(&self) -> Result<usize, sqlx::Error> {
        let inner = &self.0;
        let mut permits = Vec::new();
        while permits.len() < CLAIM_MAX
            && let Ok(permit) = inner.permits.clone().try_acquire_owned()
        {
            permits.push(permit);
        }
        if permits.is_empty() {
            // All are busy: each of them ends within some call time-outs.
            tokio::time::sleep(inner.poll).await;
            return Ok(0);
        }
        let now = inner.clock.now();
        let lease = Lease {
            worker: inner.worker,
            now,
            until: now + inner.lease,
            recovery_until: now + RECOVERY,
            deadline_max: now + inner.policy.budget.max(RECOVERY),
            deadline_max_open: now + inner.policy.payment_wait.max(RECOVERY),
        };
        let max = i64::try_from(permits.len()).unwrap_or(1);
        let sagas = store::claim_due(&inner.db, &lease, max).await?;
        let found = sagas.len();
        for (saga, permit) in sagas.into_iter().zip(permits) {
            let inner = inner.clone();
            let trace = saga
                .traceparent
                .as_deref()
                .and_then(|text| TraceContext::from_str(text).ok());
            let trace = trace.map_or_else(TraceContext::root, TraceContext::child);
            tokio::spawn(trace.scope(async move { inner.drive(saga, permit).await }));
        }
        Ok(found)
    }

    /// Notes in the metrics how many sagas are at each step.
    pub async fn measure_steps(&self) -> Result<(), sqlx::Error> {
        self.0.measures.steps(&progress::count_by_step(&self.0.db).await?);
        Ok(())
    }
}

impl Inner {
    async fn drive(&self, mut saga: Saga, permit: OwnedSemaphorePermit) {
        let id = saga.order_id;
        while saga.step != Step::Done {
            if self.stop.is_cancelled() {
                if let Err(error) = store::let_go(&self.db, &saga, self.clock.now()).await {
                    tracing::info!(order = %id, %error, "saga left to its lease");
                }
                break;
            }
            match self.step(&mut saga).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    // The lease runs out, and somebody goes on from the last commit.
                    tracing::warn!(order = %id, step = ?saga.step, %error, "saga interrupted");
                    break;
                }
            }
        }
        drop(permit);
        self.waiters.tell(id);
    }

    /// Does one step; false when the saga is parked or somebody else's.
    async fn step(&self, saga: &mut Saga) -> Result<bool, Error> {
        let task = machine::task(saga, &self.policy, self.clock.now());
        match &task {
            Task::Pay(debts) if saga.step == Step::Settle => self.settle(saga, debts).await,
            Task::Pay(debts) => self.compensate(saga, debts).await,
            _ => {
                // Some tasks are two calls. All of it has to fit into the lease, else another worker would take over
                // from this one again and again, and nothing would ever be written down.
                let answer =
                    tokio::time::timeout(self.task_timeout(), self.performer.perform(saga, &task)).await;
                let answer = answer.unwrap_or_else(|_| Answer::Unknown("it took too long".to_owned()));
                self.record(saga, &task, answer).await
            }
        }
    }

    fn task_timeout(&self) -> std::time::Duration {
        self.lease.unsigned_abs().mul_f64(0.85)
    }

    async fn record(&self, saga: &mut Saga, task: &Task, answer: Answer) -> Result<bool, Error> {
        let now = self.clock.now();
        match machine::transition(saga, &self.policy, task, answer, now) {
            Transition::Retry { pause, note } => self.retry(saga, pause, note.as_ref(), now).await,
            Transition::Confirm { owed } => {
                let notes = [done_note("commit-stock"), done_note("confirm")];
                self.end(saga, Status::Confirmed, None, owed, &notes, now).await
            }
            Transition::Cancel { reason, owed, note } => {
                let cancelled = Note {
                    detail: Some(reason.to_owned()),
                    ..done_note("cancel")
                };
                self.end(
                    saga,
                    Status::Cancelled,
                    Some(reason),
                    owed,
                    &[note, cancelled],
                    now,
                )
                .await
            }
            advance @ Transition::Advance { .. } => self.advance(saga, advance, now).await,
        }
    }

    async fn advance(&self, saga: &mut Saga, to: Transition, now: OffsetDateTime) -> Result<bool, Error> {
        let Transition::Advance {
            step,
            status,
            reason,
            deadline,
            park,
            open,
            note,
        } = to
        else {
            return Ok(false);
        };
        let point = match (saga.step, step) {
            (Step::Reserve, _) => crash::RESERVE,
            (Step::Points, _) => crash::POINTS_ADDED,
            (_, Step::Await) => crash::AWAIT,
            _ => crash::CHARGE,
        };
        let advanced = Advanced {
            step,
            status,
            reason,
            deadline: deadline.unwrap_or(saga.deadline),
            open,
            due_at: now + park.unwrap_or(self.lease),
            park: park.is_some(),
            note: &note,
            now,
        };
        crash::reached(point, Side::Before);
        let ours = store::advance(&self.db, saga, &advanced).await?;
        crash::reached(point, Side::After);
        saga.step = step;
        saga.attempts = 0;
        saga.open = open;
        saga.deadline = advanced.deadline;
        Ok(ours && park.is_none())
    }

    pub(super) async fn retry(
        &self,
        saga: &Saga,
        pause: Duration,
        note: Option<&Note>,
        now: OffsetDateTime,
    ) -> Result<bool, Error> {
        crash::reached(crash::RETRY, Side::Before);
        store::retry(&self.db, saga, jittered(pause), note, now).await?;
        crash::reached(crash::RETRY, Side::After);
        Ok(false)
    }

    async fn end(
        &self,
        saga: &mut Saga,
        status: Status,
        reason: Option<&'static str>,
        owed: Vec<Debt>,
        notes: &[Note],
        now: OffsetDateTime,
    ) -> Result<bool, Error> {
        let ending = Ending {
            status,
            reason,
            owed: &owed,
            notes,
            due_at: now + self.lease,
            now,
        };
        let ours = store::end(&self.db, &self.outbox, &self.clock, saga, &ending).await?;
        if ours {
            self.measures
                .ended(reason.unwrap_or("confirmed"), now - saga.placed_at);
        }
        saga.step = if status == Status::Confirmed {
            Step::Settle
        } else {
            Step::Compensate
        };
        saga.attempts = 0;
        saga.owed = owed;
        Ok(ours)
    }
}

fn done_note(step: &'static str) -> Note {
    Note {
        step,
        state: "done",
        detail: None,
    }
}

/// Up to a fifth longer or shorter, so that sagas that failed together do not come back together.
fn jittered(pause: Duration) -> Duration {
    pause * rand::random_range(0.8..1.2)
}

fn policy(config: &Config) -> Policy {
    Policy {
        budget: span(config.saga_deadline_ms),
        payment_wait: span(config.payment_wait_s.saturating_mul(1_000)),
        payment_poll: span(config.payment_poll_ms),
        retry_max: span(config.retry_max_ms),
    }
}
