//! The suite that every adapter passes. An adapter joins it with one line at the end of this file.

use std::sync::Arc;

use emporium_service_kit::{Clock, StoreError};
use futures::future::join_all;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{Admission, Attempt, Begun, Correction, Marker, PENDING_MAX, SessionStore, Standing};
use crate::config::{Sliding, Throttle};
use crate::model::{Role, Session};
use crate::token::{self, Hash};

mod blocking;
mod model_based;
pub mod outages;
mod throttling;

use blocking::{
    blocks_and_logins_race, blocks_mark_and_unmark, corrections_and_news_race,
    corrections_replace_what_was_found, notes_are_replaced_by_one, old_news_changes_nothing,
    sliding_takes_no_mark_off, what_is_noted_can_be_read,
};
use throttling::{
    failures_are_limited, guesses_at_once_are_limited, late_failures_count, outcomes_that_never_come_lapse,
};

type Store = Arc<dyn SessionStore>;

const SLIDING: Sliding = Sliding {
    ttl: Duration::hours(24),
    step: Duration::minutes(1),
};
const LIFETIME: Duration = Duration::days(30);
pub const THROTTLE: Throttle = Throttle {
    failures_max: 10,
    window: Duration::minutes(5),
};

pub const PER_USER_MAX: u32 = 5;

/// A store's own expiry goes by the real time, so tests begin at the present and only look ahead.
fn start() -> OffsetDateTime {
    Clock::System.now()
}

pub fn session(user_id: Uuid, now: OffsetDateTime) -> Session {
    Session {
        token: token::generate(user_id).1,
        user_id,
        role: Role::Customer,
        began_at: now,
        expires_at: now + SLIDING.ttl,
        ends_at: now + LIFETIME,
        blocked: false,
    }
}

pub async fn admitted(store: &Store, email: Hash, now: OffsetDateTime) -> Attempt {
    match store.admit(email, now, &THROTTLE).await.unwrap() {
        Admission::Granted(attempt) => attempt,
        other => panic!("{other:?}"),
    }
}

/// The marker as a login would get it.
pub async fn marker(store: &Store, now: OffsetDateTime) -> Marker {
    let email = Hash::of_email(&Uuid::new_v4().to_string());
    admitted(store, email, now).await.marker
}

pub async fn begun(store: &Store, user_id: Uuid, now: OffsetDateTime) -> Session {
    let session = session(user_id, now);
    let marker = marker(store, now).await;
    assert_eq!(
        store.begin(&session, marker, PER_USER_MAX).await.unwrap(),
        Begun::Yes
    );
    session
}

pub async fn look_up(store: &Store, session: &Session, now: OffsetDateTime) -> Option<Session> {
    store.look_up(session.token, now, SLIDING).await.unwrap()
}

/// A session is found by its token, until it is ended; ending twice is like once.
async fn sessions_begin_and_end(store: Store) {
    let (user, now) = (Uuid::new_v4(), start());
    let admin = Session {
        role: Role::Admin,
        ..session(user, now)
    };
    assert_eq!(look_up(&store, &admin, now).await, None);
    let marker = marker(&store, now).await;
    assert_eq!(
        store.begin(&admin, marker, PER_USER_MAX).await.unwrap(),
        Begun::Yes
    );
    let other = begun(&store, user, now).await;
    assert_eq!(look_up(&store, &admin, now).await, Some(admin.clone()));
    store.end(admin.token).await.unwrap();
    store.end(admin.token).await.unwrap();
    assert_eq!(look_up(&store, &admin, now).await, None);
    assert_eq!(
        look_up(&store, &other, now).await,
        Some(other),
        "another session of the same user"
    );
}

/// The expiry follows the use, a step at a time, and never passes the end.
async fn the_expiry_slides_to_an_end(store: Store) {
    let now = start();
    let first = begun(&store, Uuid::new_v4(), now).await;
    let soon = look_up(&store, &first, now + Duration::seconds(59))
        .await
        .unwrap();
    assert_eq!(soon.expires_at, first.expires_at, "too little to be written");
    let later = now + Duration::minutes(1);
    let moved = look_up(&store, &first, later).await.unwrap();
    assert_eq!(moved.expires_at, later + SLIDING.ttl);
    assert_eq!(
        look_up(&store, &first, later).await,
        Some(moved.clone()),
        "it was kept"
    );
    let last = moved.expires_at - Duration::microseconds(1);
    assert!(look_up(&store, &first, last).await.is_some());

    let end = now + LIFETIME;
    let mut used = begun(&store, Uuid::new_v4(), now).await;
    let mut at = now;
    while at < end - Duration::hours(12) {
        at += Duration::hours(12);
        used = look_up(&store, &used, at).await.unwrap();
    }
    assert_eq!(used.expires_at, end);
    assert_eq!(look_up(&store, &used, end).await, None);
}

/// At its expiry a session is gone, whether it was reaped or not; a use then does not bring it back.
async fn expired_sessions_do_not_exist(store: Store) {
    let now = start();
    let session = begun(&store, Uuid::new_v4(), now).await;
    let expiry = session.expires_at;
    for at in [expiry, expiry + Duration::days(1), expiry] {
        assert_eq!(look_up(&store, &session, at).await, None);
    }
}

/// Log-out everywhere ends the user's sessions and nobody else's.
async fn all_of_a_user_end_at_once(store: Store) {
    let (user, second, other, now) = (Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4(), start());
    let mut ended = Vec::new();
    for user in [user, user, second] {
        ended.push(begun(&store, user, now).await);
    }
    let kept = begun(&store, other, now).await;
    let users = [user, second, Uuid::new_v4(), user];
    assert_eq!(store.end_all(&users).await.unwrap(), 3);
    assert_eq!(store.end_all(&users).await.unwrap(), 0);
    assert_eq!(store.end_all(&[]).await.unwrap(), 0);
    for session in &ended {
        assert_eq!(look_up(&store, session, now).await, None);
    }
    assert!(look_up(&store, &kept, now).await.is_some());
    let again = begun(&store, user, now).await;
    assert!(
        look_up(&store, &again, now).await.is_some(),
        "a new login is a new session"
    );
}

/// At one login too many, the user's session that began first ends; expired ones do not count, nor do others'.
async fn sessions_of_a_user_are_bounded(store: Store) {
    let (user, now) = (Uuid::new_v4(), start());
    let other = begun(&store, Uuid::new_v4(), now).await;
    let expired = begun(&store, user, now).await;
    let later = expired.expires_at;
    let mut live = Vec::new();
    for n in 0..5 {
        live.push(begun(&store, user, later + Duration::seconds(n)).await);
    }
    let then = later + Duration::minutes(2);
    // Its use moves the row, and saves it not: what counts is the login.
    assert!(look_up(&store, &live[0], then).await.is_some());
    assert!(look_up(&store, &live[4], then).await.is_some());
    let newest = begun(&store, user, then).await;
    assert_eq!(look_up(&store, &live[0], then).await, None, "the first to begin");
    for session in live[1..].iter().chain([&newest]) {
        assert!(look_up(&store, session, then).await.is_some());
    }
    assert!(look_up(&store, &other, now).await.is_some());

    let marker = marker(&store, then).await;
    let many: Vec<Session> = (0..20)
        .map(|n| session(user, then + Duration::seconds(n)))
        .collect();
    let uses = join_all(
        live.iter()
            .map(|session| store.look_up(session.token, then + Duration::hours(1), SLIDING)),
    );
    let logins = join_all(
        many.iter()
            .map(|session| store.begin(session, marker, PER_USER_MAX)),
    );
    let (logins, _) = futures::join!(logins, uses);
    assert!(logins.into_iter().all(|begun| begun.unwrap() == Begun::Yes));
    let mut left = 0;
    for session in live.iter().chain([&newest]).chain(&many) {
        left += u32::from(look_up(&store, session, then).await.is_some());
    }
    assert_eq!(left, PER_USER_MAX, "also when they come at once");
}

/// A marker says nothing in another store, nor in the same one that was opened anew: what was verified with it begins no session.
async fn markers_count_where_they_were_taken(store: Store) {
    let (user, now) = (Uuid::new_v4(), start());
    for number in [0, 1, i64::MAX / 2, i64::MAX] {
        let other = Marker::new(super::Opening::new(), number);
        let login = session(user, now);
        assert_eq!(
            store.begin(&login, other, PER_USER_MAX).await.unwrap(),
            Begun::RevokedMeanwhile
        );
        assert_eq!(look_up(&store, &login, now).await, None);
    }
}

/// What was verified before a revocation begins no session after it.
async fn revocations_outrun_older_logins(store: Store) {
    let (user, other, now) = (Uuid::new_v4(), Uuid::new_v4(), start());
    let before = marker(&store, now).await;
    store.end_all(&[user]).await.unwrap();
    let after = marker(&store, now).await;
    assert!(after > before);
    let late = session(user, now);
    assert_eq!(
        store.begin(&late, before, PER_USER_MAX).await.unwrap(),
        Begun::RevokedMeanwhile
    );
    assert_eq!(look_up(&store, &late, now).await, None);
    assert_eq!(
        store
            .begin(&session(other, now), before, PER_USER_MAX)
            .await
            .unwrap(),
        Begun::Yes
    );
    assert_eq!(
        store
            .begin(&session(user, now), after, PER_USER_MAX)
            .await
            .unwrap(),
        Begun::Yes
    );
}

/// Begins the session after so many round trips: otherwise whoever is asked first would always come first.
async fn begin_after(
    store: &Store,
    round_trips: usize,
    session: &Session,
    marker: Marker,
) -> Result<Begun, StoreError> {
    for _ in 0..round_trips {
        store.ping().await?;
    }
    store.begin(session, marker, PER_USER_MAX).await
}

/// The same, at the same moment: whoever comes first, no session of the user is left.
async fn revocations_and_logins_race(store: Store) {
    let now = start();
    for round in 0..150 {
        // Half the rounds with an account that is known already: then another path of the store decides.
        let user = Uuid::new_v4();
        if round % 2 == 0 {
            begun(&store, user, now).await;
        }
        let marker = marker(&store, now).await;
        let sessions = [session(user, now), session(user, now), session(user, now)];
        let logins = join_all(
            sessions
                .iter()
                .enumerate()
                .map(|(n, session)| begin_after(&store, (round + n) % 5, session, marker)),
        );
        let (logins, revoked) = futures::join!(logins, store.end_all(std::slice::from_ref(&user)));
        revoked.unwrap();
        for (login, session) in logins.into_iter().zip(&sessions) {
            let found = look_up(&store, session, now).await;
            assert_eq!(found, None, "round {round}, {:?}", login.unwrap());
        }
    }
}

/// A look-up that slides the expiry never brings back a session that is ended meanwhile.
async fn sliding_revives_nothing(store: Store) {
    let now = start();
    let later = now + Duration::hours(1);
    for _ in 0..100 {
        let session = begun(&store, Uuid::new_v4(), now).await;
        let uses = join_all((0..3).map(|_| store.look_up(session.token, later, SLIDING)));
        let (uses, ended) = futures::join!(uses, store.end(session.token));
        ended.unwrap();
        assert!(uses.into_iter().all(|found| found.is_ok()));
        assert_eq!(look_up(&store, &session, later).await, None);
    }
}

/// The reaper takes bounded batches, and only what has expired.
async fn reaping_is_bounded(store: Store) {
    let now = start();
    for _ in 0..7 {
        begun(&store, Uuid::new_v4(), now).await;
    }
    let later = now + SLIDING.ttl + Duration::hours(1);
    let live = begun(&store, Uuid::new_v4(), later).await;
    let mut removed = 0;
    for round in 0.. {
        assert!(round < 10, "it comes to an end");
        let batch = store.reap(later, 3).await.unwrap();
        assert!(batch <= 2 * 3, "at most 3 sessions and 3 attempts");
        removed += batch;
        if batch == 0 {
            break;
        }
    }
    // Seven sessions and their attempts; a store that forgets by itself removes nothing here.
    assert!(removed == 14 || removed == 0, "{removed}");
    assert!(look_up(&store, &live, later).await.is_some());
}

async fn behaves_like_the_model(store: Store) {
    model_based::check(&store);
}

/// `contract!(adapter, future of a fresh store)`: every test of the suite as `adapter::…`. The future gives `None` where the
/// store cannot be had, having said so.
macro_rules! contract {
    ($adapter:ident, $open:expr) => {
        mod $adapter {
            emporium_test_kit::contract_tests!($open => sessions_begin_and_end, the_expiry_slides_to_an_end,
                expired_sessions_do_not_exist, all_of_a_user_end_at_once, sessions_of_a_user_are_bounded,
                markers_count_where_they_were_taken, revocations_outrun_older_logins, revocations_and_logins_race, blocks_mark_and_unmark,
                old_news_changes_nothing, blocks_and_logins_race, sliding_takes_no_mark_off, what_is_noted_can_be_read,
                corrections_replace_what_was_found, corrections_and_news_race, notes_are_replaced_by_one,
                sliding_revives_nothing, reaping_is_bounded, failures_are_limited, guesses_at_once_are_limited,
                outcomes_that_never_come_lapse, late_failures_count, behaves_like_the_model);
        }
    };
}

contract!(postgres, crate::store::postgres::tests::fresh());
contract!(redis, crate::store::redis::tests::fresh());
contract!(redis_cluster, crate::store::redis::tests::fresh_on_cluster());
