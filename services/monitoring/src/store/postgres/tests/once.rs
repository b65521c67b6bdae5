//! Each point counts once: several processes, and work that is broken off anywhere.
#![allow(clippy::float_cmp)] // counts are whole numbers

use std::time::Duration as Wall;

use emporium_service_kit::{Db, ServiceName, StoreError};
use emporium_test_kit::{TestPostgres, connect, eventually};
use futures::future::join_all;
use rand::{Rng, SeedableRng};
use time::Duration;

use super::{PostgresMonitoring, Recorded, Tier, recorder, settle, tables};
use crate::model::Scrape;
use crate::question::As;
use crate::store::MonitoringStore;
use crate::store::contract::{START, about, counter, gauge, scrape, seconds};

fn said(n: i32) -> [Scrape; 1] {
    let at = START + seconds(5 * i64::from(n));
    [scrape(
        "a",
        at,
        vec![counter("a", "c", f64::from(n)), gauge("a", "g", f64::from(n % 7))],
    )]
}

/// What was counted, and how many samples of the gauge there are, from all tiers.
async fn counted(store: &dyn MonitoringStore, now: time::OffsetDateTime) -> Vec<(f64, f64)> {
    let mut seen = Vec::new();
    for step_s in [10, 60, 3_600] {
        let ask = async |metric: &str, how: As| {
            let question = crate::question::Question {
                step_s: Some(step_s),
                ..about(metric, how)
            };
            let history = store.history(&question, now).await.unwrap();
            history.lines[0].values.iter().copied().flatten().sum::<f64>()
        };
        seen.push((ask("c", As::Increase).await, ask("g", As::Sum).await));
    }
    seen
}

fn wanted(rounds: i32) -> Vec<(f64, f64)> {
    let gauged = (0..=rounds).map(|n| f64::from(n % 7)).sum();
    vec![(f64::from(rounds), gauged); 3]
}

/// One process scrapes. The other one takes over when the lease has run out, compares with what the first one wrote, and what
/// the first one writes afterwards is refused as a whole.
#[tokio::test]
async fn one_process_scrapes_at_a_time() {
    let (db, store) = tables().await;
    let (one, other) = (recorder(&db, 1_000), recorder(&db, 1_000));
    let at = |n: i32| said(n)[0].at;
    let done = |recorded: Recorded| matches!(recorded, Recorded::Done { .. });
    assert!(done(one.record(&said(0), at(0)).await.unwrap()));
    assert!(done(one.record(&said(1), at(1)).await.unwrap()));
    assert_eq!(other.record(&said(2), at(2)).await.unwrap(), Recorded::NotMine);
    assert!(done(one.record(&said(2), at(2)).await.unwrap()));
    // The first one stands still for longer than its lease.
    assert!(done(other.record(&said(8), at(8)).await.unwrap()));
    assert_eq!(one.record(&said(9), at(9)).await.unwrap(), Recorded::NotMine);
    assert!(done(other.record(&said(9), at(9)).await.unwrap()));
    other.release().await.unwrap();
    assert!(done(one.record(&said(10), at(10)).await.unwrap()));
    let gauged: f64 = [0, 1, 2, 8, 9, 10].into_iter().map(|n| f64::from(n % 7)).sum();
    assert_eq!(counted(&store, at(10)).await, vec![(10.0, gauged); 3]);
    // A clock that was an hour ahead when it took the lease does not keep it for an hour.
    let ahead = at(10) + Duration::hours(1);
    assert!(one.take(ahead).await.unwrap());
    assert!(other.take(at(11)).await.unwrap());
}

/// Processes that write and roll up at the same time, all the time.
#[tokio::test(flavor = "multi_thread")]
async fn many_processes_count_once() {
    const ROUNDS: i32 = 200;
    let (db, store) = tables().await;
    let recorders: Vec<_> = (0..3).map(|_| recorder(&db, 1_000)).collect();
    let now = said(ROUNDS)[0].at;
    let next = tokio::sync::Mutex::new(0);
    let writing = join_all(recorders.iter().map(|recorder| async {
        loop {
            let mut n = next.lock().await;
            if *n > ROUNDS {
                return;
            }
            if recorder.record(&said(*n), said(*n)[0].at).await.unwrap() != Recorded::NotMine {
                *n += 1;
                recorder.release().await.unwrap();
            }
        }
    }));
    let rolling = join_all(recorders.iter().map(|recorder| async {
        for _ in 0..60 {
            for tier in [Tier::Minute, Tier::Hour] {
                recorder.roll_up(tier, now).await.unwrap();
            }
        }
    }));
    futures::join!(writing, rolling);
    assert_eq!(counted(&store, now).await, wanted(ROUNDS));
    settle(&recorders[0], now + seconds(700)).await;
    assert_eq!(counted(&store, now).await, wanted(ROUNDS));
}

/// Ends all other connections to the database, as when the process on them was killed.
async fn break_off(db: &Db) {
    sqlx::query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    .execute(db)
    .await
    .unwrap();
}

/// Recording and rolling up are broken off at random moments (what was under way may be there or not), and done again, by
/// the same process or another one.
#[tokio::test(flavor = "multi_thread")]
async fn work_that_is_broken_off_counts_once() {
    const ROUNDS: i32 = 150;
    let database = TestPostgres::get().await.empty_database().await;
    let connected = || connect(&database.url, ServiceName::Monitoring, 4);
    let store = PostgresMonitoring::open(connected()).await.unwrap();
    let mut random = rand::rngs::StdRng::seed_from_u64(emporium_test_kit::seed());
    // One connection, so that it ends none of its own.
    let admin = connect(&database.url, ServiceName::Monitoring, 1);
    let (mut writer, mut broken) = (recorder(&connected(), 1_000), 0);
    for n in 0..=ROUNDS {
        let at = said(n)[0].at;
        loop {
            let patience = Wall::from_micros(random.random_range(100..12_000));
            let work = async {
                writer.record(&said(n), at).await?;
                writer.roll_up(Tier::Minute, at).await?;
                writer.roll_up(Tier::Hour, at).await
            };
            let breaking = async {
                tokio::time::sleep(patience).await;
                if n % 2 == 0 {
                    break_off(&admin).await;
                }
            };
            let (worked, ()) = futures::join!(work, breaking);
            match worked {
                Ok(_) => break,
                Err(StoreError::Unavailable(_)) => broken += 1,
                Err(error) => panic!("{error}"),
            }
            if random.random_bool(0.3) {
                let gone = std::mem::replace(&mut writer, recorder(&connected(), 1_000));
                eventually("the lease is given back", 5, async || gone.release().await.ok()).await;
            }
        }
    }
    assert!(broken > 15, "{broken}");
    let now = said(ROUNDS)[0].at;
    let before = counted(&store, now).await;
    settle(&writer, now + seconds(700)).await;
    // A round that was committed without an answer is written again, with an increase of 0: its gauge is there twice.
    let gauged = wanted(ROUNDS)[0].1;
    assert!(
        before
            .iter()
            .all(|(increase, sum)| *increase == f64::from(ROUNDS) && *sum >= gauged),
        "{before:?}"
    );
    assert_eq!(counted(&store, now).await, before);
}
