//! A Redis of the test's own that is killed, paused, emptied or put back, with the bus in use.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use emporium_event_bus::{BusError, ConsumerGroup};
use emporium_test_kit::eventually;
use emporium_test_kit::stores::{self, Durability};
use tokio_util::sync::CancellationToken;

use crate::support::place::Place;
use crate::support::setup::{self, drain, owner, setup_on};
use crate::support::sums::{NAME, Sums, total};
use crate::support::{bus_numbers, travelling};

/// Runs a group as a service does: it is started again after a failure.
fn keep_running(group: Arc<ConsumerGroup>, stop: CancellationToken) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        while !stop.is_cancelled() {
            if group.run(stop.clone()).await.is_err() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_again_and_again_loses_nothing_acknowledged() {
    let Some(server) = stores::own_redis(Durability::Always).await else {
        return;
    };
    let setup = setup_on(Place::redis_at(&server.url)).await;
    setup.sums.strict.store(false, Ordering::SeqCst);
    let (bus, db) = (setup.bus.clone(), setup.fixture.db());
    let group = Arc::new(setup.group.with_lease(Duration::from_millis(500)));
    let stop = CancellationToken::new();
    let running = keep_running(group, stop.clone());
    let over = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (bus, over) = (bus.clone(), over.clone());
        async move {
            // As a relay does: again and again until it is acknowledged, with the same id.
            let (mut acknowledged, mut refused) = (0_i64, 0);
            while !over.load(Ordering::SeqCst) {
                let event = travelling(acknowledged + 1);
                while bus.append(std::slice::from_ref(&event)).await.is_err() {
                    refused += 1;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                acknowledged += 1;
            }
            (acknowledged, refused)
        }
    });
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        server.kill().await;
        server.restart().await;
    }
    over.store(true, Ordering::SeqCst);
    let (acknowledged, refused) = writer.await.unwrap();
    println!("{acknowledged} appended, {refused} tries failed");
    assert!(acknowledged > 100);
    let expected = ((1..=acknowledged).sum(), acknowledged);
    eventually("every event counts once", 10, async || {
        (total(&db).await == expected).then_some(())
    })
    .await;
    stop.cancel();
    running.await.unwrap();
    assert_eq!(bus_numbers(&bus).await, (1..=acknowledged).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_server_gives_an_error_in_time_and_is_found_again() {
    let Some(server) = stores::own_redis(Durability::Always).await else {
        return;
    };
    let setup = setup_on(Place::redis_at(&server.url)).await;
    let (bus, db) = (setup.bus.clone(), setup.fixture.db());
    let group = Arc::new(setup.group.with_lease(Duration::from_millis(500)));
    let stop = CancellationToken::new();
    let running = keep_running(group, stop.clone());
    bus.append(&[travelling(1)]).await.unwrap();
    eventually("it runs", 5, async || (total(&db).await == (1, 1)).then_some(())).await;
    server.pause().await;
    let started = Instant::now();
    let event = travelling(2);
    assert!(bus.append(std::slice::from_ref(&event)).await.is_err());
    assert!(bus.progress(NAME).await.is_err());
    assert!(
        started.elapsed() < Duration::from_secs(6),
        "{:?}",
        started.elapsed()
    );
    tokio::time::sleep(Duration::from_secs(1)).await;
    server.resume().await;
    let resumed = Instant::now();
    eventually("appending works", 5, async || {
        bus.append(std::slice::from_ref(&event))
            .await
            .is_ok()
            .then_some(())
    })
    .await;
    eventually("and is read", 5, async || {
        (total(&db).await == (3, 2)).then_some(())
    })
    .await;
    println!("recovered within {:?}", resumed.elapsed());
    assert!(resumed.elapsed() < Duration::from_secs(5));
    stop.cancel();
    running.await.unwrap();
}

/// None is dropped to make room: the group stands still and says why.
#[tokio::test]
async fn a_group_keeps_so_many_letters_and_no_more() {
    let Some(place) = crate::support::place::redis().await else {
        return;
    };
    let bus = place.bus().await;
    let events: Vec<_> = (0..10_000).map(travelling).collect();
    for few in events.chunks(500) {
        let letters = few.iter().map(|event| bus.dead_letter(NAME, event, "no", 5));
        for result in futures::future::join_all(letters).await {
            result.unwrap();
        }
    }
    let refused = bus.dead_letter(NAME, &travelling(1), "no", 5).await;
    assert!(matches!(refused, Err(BusError::LettersFull(_))));
    bus.dead_letter(NAME, &events[0], "again", 5).await.unwrap();
    let first = bus.dead_letters(NAME, 0, 1).await.unwrap();
    bus.mark_replayed(NAME, first[0].id).await.unwrap();
    bus.dead_letter(NAME, &travelling(1), "no", 5).await.unwrap();
}

const KEYS: [&str; 5] = ["stream", "ids", "meta", "groups", "members"];

async fn ask<T: redis::FromRedisValue>(url: &str, command: &mut redis::Cmd) -> T {
    let client = redis::Client::open(url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    command.query_async(&mut connection).await.unwrap()
}

/// Everything that was there is gone (an empty data folder), or the last part of it (a machine's crash with appendfsync
/// everysec, or an older backup): the relay notices, and the group reads the history.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_has_lost_is_noticed_and_read_from_the_history() {
    let Some(server) = stores::own_redis(Durability::None).await else {
        return;
    };
    let place = Place::redis_at(&server.url);
    let Place::Redis { namespace, .. } = &place else {
        unreachable!()
    };
    let namespace = namespace.clone();
    let fixture = setup::fixture_on(place).await;
    let (bus, db, outbox) = (fixture.bus().await, fixture.db(), fixture.outbox().await);
    let sums = Sums::new();
    sums.strict.store(false, Ordering::SeqCst);
    let group = sums.group(&fixture, &bus, owner(outbox.clone()).await).await;
    let relay = async || while outbox.relay_step(bus.as_ref()).await.unwrap() > 0 {};
    group.join().await.unwrap();
    fixture.write(&outbox, 1..=10).await;
    relay().await;
    drain(&group).await;
    let copy = async |from: &str, to: &str| {
        for key in KEYS {
            let (from, to) = (
                format!("{{{namespace}}}:{from}{key}"),
                format!("{{{namespace}}}:{to}{key}"),
            );
            let _: i64 = ask(&server.url, redis::cmd("COPY").arg(from).arg(to).arg("REPLACE")).await;
        }
    };
    copy("", "backup-").await;
    fixture.write(&outbox, 11..=20).await;
    relay().await;
    assert_eq!(total(&db).await, (55, 10), "published and not read");
    copy("backup-", "").await;
    // Somebody else's events take the lost positions, so the end alone tells nothing.
    bus.append(&(1_001..=1_020).map(travelling).collect::<Vec<_>>())
        .await
        .unwrap();
    drain(&group).await;
    let others: i64 = (1_001..=1_020).sum();
    assert_eq!(total(&db).await, (55 + others, 30));
    assert!(!outbox.check(bus.as_ref()).await.unwrap());
    drain(&group).await;
    assert_eq!(total(&db).await, (210, 20), "what the history has, once");
    fixture.write(&outbox, [21]).await;
    relay().await;
    drain(&group).await;
    assert_eq!(total(&db).await, (231, 21));
    // All is gone, with an event under way.
    fixture.write(&outbox, [22]).await;
    relay().await;
    server.restart().await;
    assert_eq!(
        ask::<i64>(&server.url, &mut redis::cmd("DBSIZE")).await,
        0,
        "it kept nothing"
    );
    fixture.write(&outbox, [23]).await;
    eventually("the bus answers", 5, async || bus.end().await.ok()).await;
    group.join().await.unwrap();
    relay().await;
    drain(&group).await;
    assert_eq!(total(&db).await, ((1..=23).sum(), 23));
}

/// What is on the bus can still be read, acknowledged and trimmed, and groups can be built, so a bus that has filled up gets
/// empty again by itself.
#[tokio::test]
async fn a_full_server_takes_no_more_events_and_gives_those_it_has() {
    let Some(server) = stores::own_redis(Durability::None).await else {
        return;
    };
    let fixture = setup::fixture_on(Place::redis_at(&server.url)).await;
    let (bus, db, outbox) = (fixture.bus().await, fixture.db(), fixture.outbox().await);
    let sums = Sums::new();
    let group = sums.group(&fixture, &bus, owner(outbox.clone()).await).await;
    group.join().await.unwrap();
    fixture.write(&outbox, 1..=10).await;
    outbox.relay_step(bus.as_ref()).await.unwrap();
    let limit = async |bytes: i64| {
        let () = ask(
            &server.url,
            redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(bytes),
        )
        .await;
    };
    limit(1).await;
    fixture.write(&outbox, [11]).await;
    assert!(outbox.relay_step(bus.as_ref()).await.is_err(), "there is no room");
    assert!(outbox.check(bus.as_ref()).await.unwrap(), "nothing is missing");
    drain(&group).await;
    assert_eq!(total(&db).await, (55, 10));
    bus.missed("/users").await.unwrap();
    drain(&group).await;
    assert_eq!(total(&db).await, (66, 11), "from the history");
    assert_eq!(bus.trim(Duration::ZERO).await.unwrap(), 10);
    limit(0).await;
    while outbox.relay_step(bus.as_ref()).await.unwrap() > 0 {}
    drain(&group).await;
    assert_eq!(total(&db).await, (66, 11), "the eleventh once");
}
