//! The part of the suite about failed logins.

use futures::future::join_all;
use time::Duration;
use uuid::Uuid;

use super::{Admission, Hash, PENDING_MAX, Store, THROTTLE, Throttle, admitted, start};

fn email() -> Hash {
    Hash::of_email(&Uuid::new_v4().to_string())
}

/// Ten failures within five minutes, and there is no further attempt until the first of them is five minutes old.
pub async fn failures_are_limited(store: Store) {
    let (email, other, begin) = (email(), email(), start());
    let mut now = begin;
    for _ in 0..10 {
        let attempt = admitted(&store, email, now).await;
        store.settle(email, attempt, true, now, &THROTTLE).await.unwrap();
        // Right passwords count for nothing.
        if now == begin {
            let attempt = admitted(&store, email, now).await;
            store.settle(email, attempt, false, now, &THROTTLE).await.unwrap();
        }
        now += Duration::seconds(20);
    }
    let until = begin + THROTTLE.window;
    let refused = Admission::Refused { until };
    assert_eq!(store.admit(email, now, &THROTTLE).await.unwrap(), refused);
    admitted(&store, other, now).await;
    let just_before = until - Duration::microseconds(1);
    assert_eq!(store.admit(email, just_before, &THROTTLE).await.unwrap(), refused);
    let attempt = admitted(&store, email, until).await;
    store
        .settle(email, attempt, true, until, &THROTTLE)
        .await
        .unwrap();
    let next = begin + Duration::seconds(20) + THROTTLE.window;
    let refused = Admission::Refused { until: next };
    assert_eq!(
        store.admit(email, until, &THROTTLE).await.unwrap(),
        refused,
        "one left, one came"
    );
    assert!(store.reap(until + THROTTLE.window, 100).await.is_ok());
    admitted(&store, email, until + THROTTLE.window).await;
}

/// Of many attempts at once only as many begin as may fail; the others are told to wait, not refused.
pub async fn guesses_at_once_are_limited(store: Store) {
    let (email, now) = (email(), start());
    let outcomes = join_all((0..50).map(|_| store.admit(email, now, &THROTTLE))).await;
    let attempts: Vec<_> = outcomes
        .into_iter()
        .filter_map(|outcome| match outcome.unwrap() {
            Admission::Granted(attempt) => Some(attempt),
            Admission::Busy => None,
            Admission::Refused { .. } => panic!("nothing has failed yet"),
        })
        .collect();
    assert_eq!(attempts.len(), 10);
    // All begun at the same moment, so settling one must settle one only.
    store
        .settle(email, attempts[0], false, now, &THROTTLE)
        .await
        .unwrap();
    let attempt = admitted(&store, email, now).await;
    assert_eq!(store.admit(email, now, &THROTTLE).await.unwrap(), Admission::Busy);
    let failing = attempts[1..].iter().chain([&attempt]);
    for outcome in join_all(failing.map(|attempt| store.settle(email, *attempt, true, now, &THROTTLE))).await
    {
        outcome.unwrap();
    }
    let until = now + THROTTLE.window;
    assert_eq!(
        store.admit(email, now, &THROTTLE).await.unwrap(),
        Admission::Refused { until }
    );
}

/// An attempt whose process died counts for a while only, and settling it late breaks nothing.
pub async fn outcomes_that_never_come_lapse(store: Store) {
    let (email, now) = (email(), start());
    let mut lost = Vec::new();
    for _ in 0..10 {
        lost.push(admitted(&store, email, now).await);
    }
    let lapse = now + PENDING_MAX;
    let just_before = lapse - Duration::microseconds(1);
    assert_eq!(
        store.admit(email, just_before, &THROTTLE).await.unwrap(),
        Admission::Busy
    );
    let attempt = admitted(&store, email, lapse).await;
    store
        .settle(email, lost[0], true, lapse, &THROTTLE)
        .await
        .unwrap();
    store
        .settle(email, attempt, false, lapse, &THROTTLE)
        .await
        .unwrap();
    admitted(&store, email, lapse).await;
    store
        .settle(super::Hash::of_email("nobody"), attempt, true, lapse, &THROTTLE)
        .await
        .unwrap();
}

/// Failures that are known only after their attempts have lapsed count like others, so there may be more of them than the
/// maximum, and then the newest decide; also when the maximum was lowered meanwhile.
pub async fn late_failures_count(store: Store) {
    let (email, begin) = (email(), start());
    let lapse = begin + PENDING_MAX;
    let mut attempts = Vec::new();
    for at in [begin, lapse] {
        for _ in 0..10 {
            attempts.push(admitted(&store, email, at).await);
        }
    }
    let mut now = lapse;
    for attempt in attempts {
        now += Duration::seconds(1);
        store.settle(email, attempt, true, now, &THROTTLE).await.unwrap();
    }
    let tenth = lapse + Duration::seconds(11);
    let until = tenth + THROTTLE.window;
    let refused = Admission::Refused { until };
    assert_eq!(store.admit(email, now, &THROTTLE).await.unwrap(), refused);
    let strict = Throttle {
        failures_max: 3,
        ..THROTTLE
    };
    let third = lapse + Duration::seconds(18);
    let refused = Admission::Refused {
        until: third + THROTTLE.window,
    };
    assert_eq!(store.admit(email, now, &strict).await.unwrap(), refused);
    admitted(&store, email, until).await;
}
