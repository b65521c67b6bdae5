//! The part of the suite about servers that die or hang. Each test has a server of its own, set up to be durable.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Instant;

use emporium_service_kit::StoreError;
use emporium_test_kit::contract::{all_away, away};
use emporium_test_kit::eventually;
use futures::future::join_all;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    Begun, Hash, PER_USER_MAX, SLIDING, Session, Standing, Store, THROTTLE, admitted, begun, look_up, marker,
    session, start,
};

/// Within how many seconds a store works again whose server does.
const RECOVERY: u64 = 5;

/// What is tested.
pub type Own = emporium_test_kit::Own<Store>;

/// What was acknowledged before the server died.
#[derive(Default)]
struct Acknowledged {
    begun: Vec<Session>,
    ended: Vec<Session>,
    ended_everywhere: Vec<Session>,
    blocked: Vec<Session>,
}

/// One user's life over and over, until the store does not answer; what it acknowledged until then.
async fn live(own: &Own, now: OffsetDateTime, rounds: &AtomicU32, dead: &AtomicBool) -> Acknowledged {
    let store = &own.store;
    let mut done = Acknowledged::default();
    loop {
        let step = async {
            let user = Uuid::new_v4();
            let sessions = [session(user, now), session(user, now)];
            let email = Hash::of_email(&user.to_string());
            let attempt = match store.admit(email, now, &THROTTLE).await? {
                super::Admission::Granted(attempt) => attempt,
                other => panic!("{other:?}"),
            };
            for session in &sessions {
                let begins = store.begin(session, attempt.marker, PER_USER_MAX).await?;
                assert_eq!(begins, Begun::Yes);
            }
            let [first, second] = sessions;
            match user.as_u128() % 4 {
                0 => {
                    store.end(first.token).await?;
                    done.ended.push(first);
                    done.begun.push(second);
                }
                1 => {
                    store.end_all(&[user]).await?;
                    done.ended_everywhere.extend([first, second]);
                }
                2 => {
                    let block = Standing {
                        user_id: user,
                        version: 2,
                        blocked: true,
                    };
                    store.set_blocked(&[block]).await?;
                    done.blocked.extend([first, second]);
                }
                _ => done.begun.extend([first, second]),
            }
            Ok::<_, StoreError>(())
        };
        let started = Instant::now();
        if let Err(error) = step.await {
            assert!(dead.load(Ordering::SeqCst), "the server lives: {error}");
            assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
            assert!(
                started.elapsed() < own.server.error_max(),
                "{:?}",
                started.elapsed()
            );
            return done;
        }
        rounds.fetch_add(1, Ordering::SeqCst);
    }
}

/// Works again, and says how long that took.
async fn recovers(store: &Store, now: OffsetDateTime) {
    let began = Instant::now();
    let probe = session(Uuid::new_v4(), now);
    eventually("the store works again", RECOVERY, async || {
        store.look_up(probe.token, now, SLIDING).await.ok()
    })
    .await;
    println!("works again after {:?}", began.elapsed());
}

/// The server dies in the middle of the work of eight callers, and starts again: what was acknowledged is there, what was
/// ended stays ended, and the same store goes on.
pub async fn a_server_that_dies_loses_nothing(own: Own) {
    let (store, server, now) = (&own.store, &own.server, start());
    assert_eq!(store.lacks(), [], "this server is durable");
    let before = marker(store, now).await;
    let (rounds, dead) = (AtomicU32::new(0), AtomicBool::new(false));
    let lives = join_all((0..8).map(|_| live(&own, now, &rounds, &dead)));
    let death = async {
        eventually("work is under way", 10, async || {
            (rounds.load(Ordering::SeqCst) > 100).then_some(())
        })
        .await;
        dead.store(true, Ordering::SeqCst);
        server.kill().await;
    };
    let (lives, ()) = futures::join!(lives, death);
    server.restart().await;
    recovers(store, now).await;
    let mut counts = [0; 4];
    for done in &lives {
        for session in &done.begun {
            assert_eq!(look_up(store, session, now).await.as_ref(), Some(session));
        }
        for session in done.ended.iter().chain(&done.ended_everywhere) {
            assert_eq!(look_up(store, session, now).await, None);
        }
        for session in &done.blocked {
            assert!(look_up(store, session, now).await.unwrap().blocked);
        }
        for revoked in done.ended_everywhere.iter().chain(&done.blocked) {
            let late = session(revoked.user_id, now);
            let begins = store.begin(&late, before, PER_USER_MAX).await.unwrap();
            assert_eq!(begins, Begun::RevokedMeanwhile, "what was verified before");
        }
        for (count, list) in
            counts
                .iter_mut()
                .zip([&done.begun, &done.ended, &done.ended_everywhere, &done.blocked])
        {
            *count += list.len();
        }
    }
    println!("begun, ended, ended everywhere, blocked: {counts:?}");
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    let after = marker(store, now).await;
    assert!(after > before, "numbers go on");
    begun(store, Uuid::new_v4(), now).await;
}

/// A server that hangs: every verb ends in time with an error that says to try again, and all works again when it does.
pub async fn a_server_that_hangs_is_noticed(own: Own) {
    let (store, server, now) = (&own.store, &own.server, start());
    let (user, email) = (Uuid::new_v4(), Hash::of_email("ann@example.org"));
    let known = begun(store, user, now).await;
    let attempt = admitted(store, email, now).await;
    server.pause().await;
    let (new, later, users) = (session(user, now), now + time::Duration::hours(1), [user]);
    let block = [Standing {
        user_id: user,
        version: 1,
        blocked: false,
    }];
    let wrong = [super::Correction {
        found: block[0],
        right: block[0],
    }];
    let calls = [
        away("admit", store.admit(email, now, &THROTTLE)),
        away("settle", store.settle(email, attempt, true, now, &THROTTLE)),
        away("begin", store.begin(&new, attempt.marker, PER_USER_MAX)),
        away("look_up", store.look_up(known.token, now, SLIDING)),
        away("slide", store.look_up(known.token, later, SLIDING)),
        away("end", store.end(new.token)),
        away("end_all", store.end_all(&users)),
        away("set_blocked", store.set_blocked(&block)),
        away("ping", store.ping()),
        away("standings", store.standings(&users)),
        away("correct", store.correct(&wrong)),
        away("note", store.note()),
        away("swap_note", store.swap_note(None, "note")),
    ];
    all_away(server.error_max(), calls).await;
    server.resume().await;
    recovers(store, now).await;
    // What hung may have come to its end since, or not; both are within the contract. New work is as ever.
    let session = begun(store, user, now).await;
    assert!(look_up(store, &session, now).await.is_some());
}

/// `outages!(adapter, future of a store on a server of its own => tests)`.
macro_rules! outages {
    ($adapter:ident, $own:expr => $($test:ident),+) => {
        mod $adapter {
            emporium_test_kit::contract_tests!($own => $($test),+);
        }
    };
}

outages!(postgres, crate::store::postgres::tests::own() =>
    a_server_that_dies_loses_nothing, a_server_that_hangs_is_noticed);
outages!(redis, crate::store::redis::tests::own() =>
    a_server_that_dies_loses_nothing, a_server_that_hangs_is_noticed);
