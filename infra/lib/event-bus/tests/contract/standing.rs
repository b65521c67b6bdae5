//! How a group stands: its lag in events and time, whether it is paused, what it fails at. Pausing it, and resuming it.

use std::time::Duration;

use emporium_event_bus::{Bus, GroupState, StartAt};
use emporium_test_kit::eventually;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::place::Place;
use crate::support::setup::{Setup, drain, fixture_on, owner, setup_on};
use crate::support::sums::{NAME, Sums, total};
use crate::support::{claim, take, travelling};

const LEASE: Duration = Duration::from_secs(30);

pub async fn nothing_is_delivered_while_a_group_is_paused(place: Place) {
    let bus = place.bus().await;
    bus.append(&(1..=6).map(travelling).collect::<Vec<_>>())
        .await
        .unwrap();
    for group in ["a", "b"] {
        bus.set_group(group, 0).await.unwrap();
    }
    let (first, second) = (Uuid::new_v4(), Uuid::new_v4());
    let held = take(&bus, "a", first, 2, LEASE).await;
    bus.set_paused("a", true).await.unwrap();
    for member in [first, second] {
        assert!(
            bus.claim("a", member, &["test.ping.v1"], 9, LEASE)
                .await
                .unwrap()
                .is_none()
        );
    }
    // What is under way is kept and acknowledged.
    bus.renew("a", first, LEASE).await.unwrap();
    bus.acknowledge("a", first, &held).await.unwrap();
    let progress = bus.progress("a").await.unwrap().unwrap();
    assert!(
        progress.paused && (progress.position, progress.lag) == (2, 4),
        "{progress:?}"
    );
    // It is the group's: not the other one's, and not forgotten by whoever comes later.
    assert_eq!(claim(&bus, "b", second, 9, LEASE).await.len(), 6);
    assert!(!bus.progress("b").await.unwrap().unwrap().paused);
    let later = place.bus().await;
    later.set_group("a", 1).await.unwrap();
    assert!(later.is_paused("a").await.unwrap());
    assert!(claim(&later, "a", second, 9, LEASE).await.is_empty());
    later.set_paused("a", false).await.unwrap();
    assert_eq!(claim(&bus, "a", second, 9, LEASE).await.len(), 5);
    // A group that there is not cannot be paused, and a new one begins unpaused.
    bus.set_paused("c", true).await.unwrap();
    assert!(!bus.is_paused("c").await.unwrap());
    bus.set_paused("a", true).await.unwrap();
    bus.remove_group("a").await.unwrap();
    bus.set_group("a", 0).await.unwrap();
    assert!(!bus.is_paused("a").await.unwrap());
}

/// Members in two processes mind it at once and go on at once.
pub async fn a_resumed_group_goes_on_at_once(place: Place) {
    let Setup {
        fixture, bus, sums, ..
    } = setup_on(place).await;
    let stop = CancellationToken::new();
    let (mut members, mut tasks) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        let member = sums.group(&fixture, &fixture.bus().await, StartAt::End).await;
        let member = Arc::new(member);
        let (running, stop) = (member.clone(), stop.clone());
        tasks.push(tokio::spawn(async move { running.run(stop).await }));
        members.push(member);
    }
    bus.append(&[travelling(1)]).await.unwrap();
    let db = fixture.db();
    eventually("the first event", 5, async || {
        (total(&db).await.1 == 1).then_some(())
    })
    .await;
    members[0].pause().await.unwrap();
    bus.append(&[travelling(2)]).await.unwrap();
    eventually("both know", 5, async || {
        let know = |member: &Arc<emporium_event_bus::ConsumerGroup>| {
            let status = member.status();
            status.state == GroupState::Paused && status.lag_events == Some(1)
        };
        members.iter().all(know).then_some(())
    })
    .await;
    assert_eq!(total(&db).await, (1, 1));
    let resumed = std::time::Instant::now();
    members[1].resume().await.unwrap();
    eventually("the second event", 5, async || {
        (total(&db).await.1 == 2).then_some(())
    })
    .await;
    assert!(
        resumed.elapsed() < Duration::from_millis(800),
        "{:?}",
        resumed.elapsed()
    );
    stop.cancel();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
}

pub async fn a_paused_group_is_rebuilt_when_it_is_resumed(place: Place) {
    let fixture = fixture_on(place).await;
    let (outbox, bus) = (fixture.outbox().await, fixture.bus().await);
    fixture.write(&outbox, 1..=5).await;
    let group = Sums::new()
        .group(&fixture, &bus, owner(outbox.clone()).await)
        .await;
    group.join().await.unwrap();
    group.pause().await.unwrap();
    fixture.write(&outbox, 6..=7).await;
    bus.missed("/users").await.unwrap();
    drain(&group).await;
    assert_eq!(group.status().state, GroupState::Paused);
    assert_eq!(total(&fixture.db()).await, (15, 5), "as it was");
    let begun = bus.begin_rebuild(NAME, Uuid::new_v4(), LEASE, &[]).await.unwrap();
    assert_eq!(begun, None);
    assert_eq!(bus.progress(NAME).await.unwrap(), None, "the wish is kept");
    group.resume().await.unwrap();
    drain(&group).await;
    assert_eq!(total(&fixture.db()).await, (28, 7));
    assert_eq!(group.status().state, GroupState::Running);
    // One that is under way when the group is paused ends, and then nothing more is delivered.
    bus.missed("/users").await.unwrap();
    let builder = Uuid::new_v4();
    bus.begin_rebuild(NAME, builder, LEASE, &[])
        .await
        .unwrap()
        .unwrap();
    group.pause().await.unwrap();
    bus.renew(NAME, builder, LEASE).await.unwrap();
    bus.finish_rebuild(NAME, builder).await.unwrap();
    assert!(bus.progress(NAME).await.unwrap().unwrap().paused);
    assert!(claim(&bus, NAME, builder, 1, LEASE).await.is_empty());
}

pub async fn lag_is_told_in_events_and_in_time(place: Place) {
    let Setup { bus, group, .. } = setup_on(place).await;
    let waited = async |bus: &Arc<dyn Bus>| bus.progress(NAME).await.unwrap().unwrap().waited;
    assert_eq!(waited(&bus).await, Duration::ZERO);
    group.step().await.unwrap();
    let idle = group.status();
    assert_eq!(
        (idle.state, idle.lag_events, idle.lag_ms),
        (GroupState::Running, Some(0), Some(0))
    );
    bus.append(&[travelling(1)]).await.unwrap();
    let appended = std::time::Instant::now();
    eventually("time passes", 5, async || {
        (waited(&bus).await >= Duration::from_millis(200)).then_some(())
    })
    .await;
    assert!(waited(&bus).await < appended.elapsed() + Duration::from_millis(300));
    bus.append(&[travelling(2)]).await.unwrap();
    assert!(
        waited(&bus).await >= Duration::from_millis(200),
        "of the first one"
    );
    group.pause().await.unwrap();
    group.step().await.unwrap();
    let behind = group.status();
    assert_eq!((behind.state, behind.lag_events), (GroupState::Paused, Some(2)));
    assert!(
        behind.lag_ms.unwrap() >= 200 && behind.as_of.unwrap() < idle.as_of.unwrap() + Duration::from_secs(1)
    );
    group.resume().await.unwrap();
    // What was taken and not acknowledged is not done either.
    let (member, other) = (Uuid::new_v4(), Uuid::new_v4());
    take(&bus, NAME, member, 1, LEASE).await;
    assert!(waited(&bus).await >= Duration::from_millis(200));
    bus.release(NAME, member).await.unwrap();
    let batch = take(&bus, NAME, other, 1, LEASE).await;
    bus.acknowledge(NAME, other, &batch).await.unwrap();
    let first = appended.elapsed();
    let progress = bus.progress(NAME).await.unwrap().unwrap();
    assert!(
        progress.lag == 1 && progress.waited < first,
        "{progress:?} {first:?}"
    );
    bus.release(NAME, other).await.unwrap();
    drain(&group).await;
    let done = group.status();
    assert_eq!(
        (done.lag_events, done.lag_ms, done.position),
        (Some(0), Some(0), Some(2))
    );
    assert!(done.as_of.unwrap() > behind.as_of.unwrap());
}

pub async fn a_member_that_fails_says_so(place: Place) {
    let Setup {
        fixture, bus, group, ..
    } = setup_on(place).await;
    let db = fixture.db();
    bus.append(&[travelling(1)]).await.unwrap();
    sqlx::raw_sql("ALTER TABLE users_sum RENAME TO elsewhere")
        .execute(&db)
        .await
        .unwrap();
    for failures in 1..=2 {
        group.step().await.unwrap_err();
        let status = group.status();
        assert_eq!(
            (status.state, status.failures, status.lag_events),
            (GroupState::Failing, failures, Some(1))
        );
        assert!(status.error.unwrap().contains("users_sum"));
    }
    sqlx::raw_sql("ALTER TABLE elsewhere RENAME TO users_sum")
        .execute(&db)
        .await
        .unwrap();
    drain(&group).await;
    let status = group.status();
    assert_eq!(
        (status.state, status.error, status.failures),
        (GroupState::Running, None, 0)
    );
    // What is put aside is counted.
    bus.append(&[travelling(13)]).await.unwrap();
    drain(&group).await;
    group.step().await.unwrap();
    assert_eq!(group.status().dead_letters, 1);
    let letter = bus.dead_letters(NAME, 0, 1).await.unwrap().remove(0);
    bus.mark_replayed(NAME, letter.id).await.unwrap();
    assert_eq!(bus.waiting_letters(NAME).await.unwrap(), 0);
}
