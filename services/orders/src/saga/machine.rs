//! The saga's rules, without any input or output: what to do next, and what an answer means.
//!
//! `docs/src/saga.md` has them as tables. The property tests at the end drive this module through random answers.

use time::{Duration, OffsetDateTime};

use super::state::{Debt, Policy, RETRY_MAX, Saga, Step};
use crate::model::Status;

/// What a worker is to do for a saga now.
#[derive(Debug, Clone, PartialEq)]
pub enum Task {
    /// Its time is up before money was asked for: nothing is called.
    GiveUp,
    /// Reserve the stock.
    Reserve,
    /// Add the points.
    AddPoints,
    /// Ask for the charge.
    Charge,
    /// An earlier attempt may have reached payments: look the charge up, and ask for it only when payments knows none.
    LookUpOrCharge,
    /// Look the charge up; never ask for one.
    LookUp,
    /// Commit the reservation.
    Commit,
    /// Try all of these debts.
    Pay(Vec<Debt>),
    /// Nothing.
    Nothing,
}

/// What came of a task (other than of paying debts).
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// It is done.
    Done,
    /// The charge succeeded.
    Succeeded,
    /// The charge was declined, for this reason.
    Declined(String),
    /// The charge has no outcome yet.
    Pending,
    /// The provider will call back; the reservation is extended.
    Open,
    /// Payments knows no such charge.
    NoCharge,
    /// The service refused; it will not do it.
    Refused {
        /// The order's `reason`.
        reason: &'static str,
        /// For the timeline.
        detail: String,
    },
    /// Nobody knows whether it was done.
    Unknown(String),
}

/// A line of the timeline.
#[derive(Debug, Clone, PartialEq)]
pub struct Note {
    /// The step as people call it.
    pub step: &'static str,
    /// `done`, `refused`, `waiting`, `unanswered`.
    pub state: &'static str,
    /// More, for people.
    pub detail: Option<String>,
}

/// How a saga goes on.
#[derive(Debug, Clone, PartialEq)]
pub enum Transition {
    /// To the next step at once, or, with `park`, after that pause.
    Advance {
        /// The next step.
        step: Step,
        /// The order's new status, when it changes.
        status: Option<Status>,
        /// The order's new reason.
        reason: Option<&'static str>,
        /// The new deadline, when it changes.
        deadline: Option<OffsetDateTime>,
        /// How long to wait before the step.
        park: Option<Duration>,
        /// The provider will call back.
        open: bool,
        /// For the timeline.
        note: Note,
    },
    /// The same step again after a pause.
    Retry {
        /// The pause.
        pause: Duration,
        /// For the timeline, once a step.
        note: Option<Note>,
    },
    /// The order is confirmed. Forward only from here.
    Confirm {
        /// What is left to do.
        owed: Vec<Debt>,
    },
    /// The order is cancelled. Backward only from here.
    Cancel {
        /// Why.
        reason: &'static str,
        /// What has to be undone: every step that was begun, the failed one included, since a call of it may still arrive.
        owed: Vec<Debt>,
        /// What the failed step said.
        note: Note,
    },
}

/// First pause after an unknown outcome; it doubles.
const RETRY_MIN: Duration = Duration::milliseconds(100);
/// First pause before a charge without an answer is looked up.
const PENDING_POLL: Duration = Duration::milliseconds(500);

/// What to do for `saga` at `now`.
pub fn task(saga: &Saga, policy: &Policy, now: OffsetDateTime) -> Task {
    match saga.step {
        Step::Reserve | Step::Points if now >= saga.deadline => Task::GiveUp,
        Step::Reserve => Task::Reserve,
        Step::Points => Task::AddPoints,
        // Past its time nobody is charged any more, but a charge that was asked for is looked up before it is voided.
        // (A deadline before that belongs to a saga that was placed before the clock was set back.)
        Step::Charge if now >= saga.deadline.min(saga.placed_at + policy.budget) => Task::LookUp,
        Step::Charge if saga.attempts > 0 => Task::LookUpOrCharge,
        Step::Charge => Task::Charge,
        Step::Await => Task::LookUp,
        Step::Commit => Task::Commit,
        Step::Settle | Step::Compensate => Task::Pay(saga.owed.clone()),
        Step::Done => Task::Nothing,
    }
}

/// What `answer` to `task` means for `saga`.
pub fn transition(
    saga: &Saga,
    policy: &Policy,
    task: &Task,
    answer: Answer,
    now: OffsetDateTime,
) -> Transition {
    let late = now >= saga.deadline;
    match (saga.step, answer) {
        (_, Answer::Refused { reason, detail }) => cancel(saga, reason, "refused", Some(detail)),
        (_, Answer::Declined(detail)) => cancel(saga, "payment-declined", "refused", Some(detail)),
        (Step::Reserve, Answer::Done) => {
            let next = if saga.points > 0 {
                Step::Points
            } else {
                Step::Charge
            };
            advance(saga, next, Some(Status::Reserved))
        }
        (Step::Points, Answer::Done) => advance(saga, Step::Charge, None),
        (Step::Charge | Step::Await, Answer::Succeeded) => paid(saga, policy, now),
        (Step::Charge | Step::Await, Answer::Open) => wait_open(saga, policy, late, now),
        (Step::Await, Answer::Pending) if saga.open => wait_open(saga, policy, late, now),
        (Step::Charge | Step::Await, Answer::Pending) => wait_pending(saga, late),
        (Step::Charge, Answer::NoCharge) if *task == Task::LookUp => cancel(
            saga,
            "timed-out",
            "refused",
            Some("It was never asked for.".to_owned()),
        ),
        (Step::Commit, Answer::Done) => Transition::Confirm {
            owed: confirm_debts(saga),
        },
        // A charge that may have been asked for is looked up once more before it is given up.
        (Step::Charge, Answer::Unknown(detail)) if *task != Task::LookUp => retry(saga, policy, now, detail),
        (_, Answer::Unknown(detail)) if late => cancel(saga, "timed-out", "unanswered", Some(detail)),
        (_, Answer::Unknown(detail)) => retry(saga, policy, now, detail),
        // What is left makes no sense as an answer to the step; it is treated like no answer.
        _ if late => cancel(saga, "timed-out", "unanswered", None),
        _ => retry(saga, policy, now, "an answer that makes no sense".to_owned()),
    }
}

/// The pause before the next attempt at a debt.
pub fn debt_pause(saga: &Saga, policy: &Policy) -> Duration {
    doubled(saga.attempts).min(policy.retry_max)
}

fn paid(saga: &Saga, policy: &Policy, now: OffsetDateTime) -> Transition {
    Transition::Advance {
        step: Step::Commit,
        status: Some(Status::Paid),
        reason: None,
        // A payment that came later has time of its own to be confirmed.
        deadline: saga.open.then(|| now + policy.budget),
        park: None,
        open: saga.open,
        note: note(Step::Charge, "done", None),
    }
}

fn wait_open(saga: &Saga, policy: &Policy, late: bool, now: OffsetDateTime) -> Transition {
    if saga.open {
        if late {
            return cancel(saga, "payment-timed-out", "unanswered", None);
        }
        return Transition::Retry {
            pause: policy.payment_poll.min(saga.deadline - now),
            note: None,
        };
    }
    Transition::Advance {
        step: Step::Await,
        status: Some(Status::Pending),
        reason: Some(AWAITING_PAYMENT),
        deadline: Some(now + policy.payment_wait),
        park: Some(policy.payment_poll.min(policy.payment_wait)),
        open: true,
        note: note(
            Step::Charge,
            "waiting",
            Some("The payment provider will call back.".to_owned()),
        ),
    }
}

fn wait_pending(saga: &Saga, late: bool) -> Transition {
    if late {
        return cancel(saga, "payment-timed-out", "unanswered", None);
    }
    if saga.step == Step::Await {
        return Transition::Retry {
            pause: PENDING_POLL.max(doubled(saga.attempts)).min(RETRY_MAX),
            note: None,
        };
    }
    Transition::Advance {
        step: Step::Await,
        status: None,
        reason: None,
        deadline: None,
        park: Some(PENDING_POLL),
        open: false,
        note: note(
            Step::Charge,
            "waiting",
            Some("The payment provider has not answered yet.".to_owned()),
        ),
    }
}

/// The order's `reason` while a payment is to come later.
pub const AWAITING_PAYMENT: &str = "awaiting-payment";

fn advance(saga: &Saga, step: Step, status: Option<Status>) -> Transition {
    Transition::Advance {
        step,
        status,
        reason: None,
        deadline: None,
        park: None,
        open: saga.open,
        note: note(saga.step, "done", None),
    }
}

fn retry(saga: &Saga, policy: &Policy, now: OffsetDateTime, detail: String) -> Transition {
    // While a customer waits, often; while a payment is to come tomorrow, rarely.
    let longest = if saga.open && saga.step == Step::Await {
        policy.payment_poll
    } else {
        RETRY_MAX
    };
    let pause = doubled(saga.attempts).min(longest);
    let left = saga.deadline - now;
    Transition::Retry {
        // The last attempt comes at the deadline, not after it.
        pause: if left.is_positive() {
            pause.min(left)
        } else {
            Duration::ZERO
        },
        note: (saga.attempts == 0).then(|| note(saga.step, "unanswered", Some(detail))),
    }
}

fn cancel(saga: &Saga, reason: &'static str, state: &'static str, detail: Option<String>) -> Transition {
    Transition::Cancel {
        reason,
        owed: cancel_debts(saga),
        note: note(saga.step, state, detail),
    }
}

fn confirm_debts(saga: &Saga) -> Vec<Debt> {
    let mut owed = vec![Debt::ConfirmPoints, Debt::ClearCart];
    owed.retain(|debt| *debt != Debt::ConfirmPoints || saga.points > 0);
    owed
}

fn cancel_debts(saga: &Saga) -> Vec<Debt> {
    let begun: &[Debt] = match saga.step {
        Step::Reserve => &[Debt::ReleaseStock],
        Step::Points => &[Debt::CancelPoints, Debt::ReleaseStock],
        _ => &[Debt::VoidCharge, Debt::CancelPoints, Debt::ReleaseStock],
    };
    let needed = |debt: &Debt| *debt != Debt::CancelPoints || saga.points > 0;
    begun.iter().copied().filter(needed).collect()
}

fn note(step: Step, state: &'static str, detail: Option<String>) -> Note {
    let step = match step {
        Step::Reserve => "reserve-stock",
        Step::Points => "add-points",
        Step::Charge | Step::Await => "charge",
        Step::Commit => "commit-stock",
        Step::Settle => "confirm",
        Step::Compensate | Step::Done => "cancel",
    };
    Note { step, state, detail }
}

fn doubled(attempts: i32) -> Duration {
    RETRY_MIN * 2_i32.pow(attempts.clamp(0, 12).unsigned_abs())
}

#[cfg(test)]
mod tests;
