use emporium_service_kit::{Currency, Money};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

const START: OffsetDateTime = time::macros::datetime!(2030-01-01 12:00 UTC);

fn policy() -> Policy {
    Policy {
        budget: Duration::seconds(15),
        payment_wait: Duration::hours(23),
        payment_poll: Duration::seconds(30),
        retry_max: Duration::seconds(15),
    }
}

fn saga(points: i64) -> Saga {
    Saga {
        order_id: Uuid::from_u128(1),
        customer_id: Uuid::from_u128(2),
        step: Step::Reserve,
        claim: 1,
        attempts: 0,
        placed_at: START,
        deadline: START + Duration::seconds(15),
        open: false,
        owed: Vec::new(),
        payment_token: Some("tok_ok".to_owned()),
        total: Money::new(points * 100 + 1, Currency::GBP),
        points,
        lines: vec![(Uuid::from_u128(3), 1)],
        traceparent: None,
    }
}

/// What the other services would know of a saga, from the tasks that were carried out.
#[derive(Debug, Default)]
struct Known {
    asked: Vec<Task>,
    succeeded: bool,
    committed: bool,
    opened: bool,
    crashes: u32,
}

#[derive(Debug, Clone)]
struct Event {
    /// What comes back, unless it makes no sense for the task.
    kind: u8,
    /// How long the call takes, in milliseconds; at most the longest time-out.
    took_ms: i64,
    /// The worker dies after the call; another one goes on when the lease is over.
    crash: bool,
}

fn event() -> impl Strategy<Value = Event> {
    (0u8..12, 0i64..4_000, prop::bool::weighted(0.1)).prop_map(|(kind, took_ms, crash)| Event {
        kind,
        took_ms,
        crash,
    })
}

fn answer(task: &Task, kind: u8) -> Answer {
    let refused = Answer::Refused {
        reason: "refused",
        detail: String::new(),
    };
    let unknown = Answer::Unknown("no answer".to_owned());
    let charge = |kind| match kind {
        0..=3 => Answer::Succeeded,
        4 => Answer::Declined("no".to_owned()),
        5 | 6 => Answer::Pending,
        7 => Answer::Open,
        8 => refused.clone(),
        _ => Answer::Unknown("no answer".to_owned()),
    };
    match task {
        Task::GiveUp | Task::Pay(_) | Task::Nothing => unknown,
        Task::Reserve | Task::AddPoints | Task::Commit => match kind {
            0..=6 => Answer::Done,
            7 => refused,
            _ => unknown,
        },
        Task::LookUp if kind == 11 => Answer::NoCharge,
        Task::Charge | Task::LookUpOrCharge | Task::LookUp => charge(kind),
    }
}

/// Applies a transition as the driver and the database do; gives the pause, or `None` when the order ended.
fn apply(saga: &mut Saga, transition: &Transition) -> Option<Duration> {
    match transition {
        Transition::Advance {
            step,
            deadline,
            park,
            open,
            ..
        } => {
            saga.step = *step;
            saga.attempts = 0;
            saga.open = *open;
            saga.deadline = deadline.unwrap_or(saga.deadline);
            Some(park.unwrap_or(Duration::ZERO))
        }
        Transition::Retry { pause, .. } => {
            saga.attempts += 1;
            Some(*pause)
        }
        Transition::Confirm { .. } | Transition::Cancel { .. } => None,
    }
}

fn run(points: i64, events: &[Event]) -> (Saga, Known, Transition, OffsetDateTime) {
    let (policy, mut saga, mut known, mut now) = (policy(), saga(points), Known::default(), START);
    for event in events.iter().cycle().take(100_000) {
        let task = task(&saga, &policy, now);
        if matches!(task, Task::Charge | Task::LookUpOrCharge) {
            assert!(
                now < START + policy.budget,
                "nobody is charged after the time is up"
            );
        }
        known.asked.push(task.clone());
        let answer = answer(&task, event.kind);
        known.succeeded |= answer == Answer::Succeeded;
        known.committed |= task == Task::Commit && answer == Answer::Done;
        now += Duration::milliseconds(event.took_ms);
        if event.crash && known.crashes < 3 {
            known.crashes += 1;
            now += Duration::seconds(5);
            saga.attempts += 1;
            if matches!(saga.step, Step::Charge | Step::Await | Step::Commit) {
                saga.deadline = saga.deadline.max(now + Duration::seconds(3));
            }
            continue;
        }
        let next = transition(&saga, &policy, &task, answer, now);
        known.opened |= matches!(next, Transition::Advance { open: true, .. });
        let before = saga.clone();
        match apply(&mut saga, &next) {
            Some(pause) => {
                assert!(!pause.is_negative(), "{next:?}");
                now += pause;
            }
            None => return (before, known, next, now),
        }
    }
    panic!("it never ends: {saga:?} {known:?}");
}

proptest! {
    #[test]
    fn every_saga_ends_in_time_and_undoes_what_it_began(
        points in 0i64..3,
        mut events in prop::collection::vec(event(), 1..40),
    ) {
        // At least one answer in the cycle has to come from somebody, or time only moves by the pauses: both end.
        events.push(Event { kind: 10, took_ms: 50, crash: false });
        let (saga, known, end, at) = run(points, &events);
        if !known.opened {
            // Two time-outs past the deadline; a crash costs its lease, and its recovery and one more attempt.
            let limit = Duration::seconds(15 + 2 * 4) + Duration::seconds(5 + 3 + 2 * 4) * known.crashes;
            prop_assert!(at - START <= limit, "{} {known:?}", at - START);
        }
        match end {
            Transition::Confirm { owed } => {
                prop_assert!(known.succeeded && known.committed);
                prop_assert_eq!(owed.contains(&Debt::ConfirmPoints), points > 0);
                prop_assert!(owed.contains(&Debt::ClearCart));
            }
            Transition::Cancel { owed, reason, .. } => {
                prop_assert!(!reason.is_empty());
                let asked = |wanted: &[Task]| known.asked.iter().any(|task| wanted.contains(task));
                // Begun means: the call may have been sent.
                let began = [
                    (Debt::ReleaseStock, asked(&[Task::Reserve])),
                    (Debt::CancelPoints, asked(&[Task::AddPoints])),
                    (Debt::VoidCharge, asked(&[Task::Charge, Task::LookUpOrCharge])),
                ];
                for (debt, began) in began {
                    prop_assert!(!began || owed.contains(&debt), "{debt:?} {known:?}");
                }
                prop_assert!(points > 0 || !owed.contains(&Debt::CancelPoints));
                let reverse: Vec<Debt> = Debt::ALL.into_iter().filter(|debt| owed.contains(debt)).collect();
                prop_assert_eq!(owed, reverse);
                prop_assert!(saga.step != Step::Settle);
            }
            other => prop_assert!(false, "{other:?}"),
        }
    }
}

#[test]
fn a_charge_that_may_have_been_asked_for_is_looked_up_first() {
    let policy = policy();
    let mut saga = saga(1);
    saga.step = Step::Charge;
    assert_eq!(task(&saga, &policy, START), Task::Charge);
    saga.attempts = 1;
    assert_eq!(task(&saga, &policy, START), Task::LookUpOrCharge);
    let late = START + policy.budget;
    assert_eq!(task(&saga, &policy, late), Task::LookUp);
    // An unanswered request for the charge never cancels by itself, however late it is.
    let unknown = Answer::Unknown(String::new());
    let next = transition(&saga, &policy, &Task::Charge, unknown.clone(), late);
    assert!(matches!(next, Transition::Retry { pause, .. } if pause.is_zero()));
    let next = transition(&saga, &policy, &Task::LookUp, unknown, late);
    assert!(matches!(
        next,
        Transition::Cancel {
            reason: "timed-out",
            ..
        }
    ));
    let next = transition(&saga, &policy, &Task::LookUp, Answer::Succeeded, late);
    assert!(matches!(
        next,
        Transition::Advance {
            step: Step::Commit,
            ..
        }
    ));
}

#[test]
fn the_last_attempt_comes_at_the_deadline() {
    let policy = policy();
    let mut saga = saga(1);
    saga.attempts = 9;
    let now = saga.deadline - Duration::milliseconds(300);
    let next = transition(
        &saga,
        &policy,
        &Task::Reserve,
        Answer::Unknown(String::new()),
        now,
    );
    assert!(matches!(next, Transition::Retry { pause, .. } if pause == Duration::milliseconds(300)));
}
