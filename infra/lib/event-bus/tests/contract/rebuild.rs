//! Building projections from histories: really from the start, while members run, and once more after a crash. What is built
//! beside the live generation, and compared with it, is tested in `tests/projection`.

use std::sync::Arc;
use std::time::Duration;

use emporium_event_bus::consumer::{RebuildError, Unit, rebuild_projection};
use emporium_event_bus::{BusError, ConsumerGroup, StartAt};
use emporium_service_kit::Db;
use emporium_test_kit::eventually;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::place::Place;
use crate::support::setup::{Plain, client, drain, fixture_on};
use crate::support::sums::{NAME, Sums, World, total};

const LEASE: Duration = Duration::from_secs(30);

/// An owner with the events 1 to 12 without 11, of which nothing is on the bus yet.
async fn world(place: Place) -> World {
    let world = World::on(place, 1_000).await;
    write(&world, (1..=12).filter(|n| *n != 11)).await;
    world
}

async fn write(world: &World, numbers: impl IntoIterator<Item = i64>) {
    world.fixture.write(&world.outbox, numbers).await;
}

const ALL: (i64, i64) = (67, 11);

async fn spoil(db: &Db) {
    sqlx::query("UPDATE users_sum SET total = -1, number = 1000")
        .execute(db)
        .await
        .unwrap();
}

/// A group that an earlier version made at the bus's end, or from fewer owners, is built once when a member comes that reads
/// more; only then would a publisher that misses events have it rebuilt.
pub async fn a_group_that_was_built_from_fewer_histories_is_built_again(place: Place) {
    let world = world(place).await;
    let (bus, db) = (&world.bus, world.db());
    world.relay().await;
    let earlier = world.sums.group(&world.fixture, bus, StartAt::End).await;
    earlier.join().await.unwrap();
    drain(&earlier).await;
    assert_eq!(total(&db).await, (0, 0));
    bus.missed("/users").await.unwrap();
    assert!(bus.progress(NAME).await.unwrap().is_some(), "not concerned");
    // The earlier one is at work.
    write(&world, [14]).await;
    world.relay().await;
    let member = Uuid::new_v4();
    let kinds = &["test.ping.v1"];
    let batch = bus.claim(NAME, member, kinds, 10, LEASE).await.unwrap().unwrap();
    assert_eq!(batch.deliveries.len(), 1);
    drain(&world.member(LEASE).await).await;
    assert_eq!(total(&db).await, (ALL.0 + 14, ALL.1 + 1));
    let late = bus.acknowledge(NAME, member, &batch).await;
    assert!(matches!(late, Err(BusError::LeaseLost(_))), "{late:?}");
    // Built once: the next one, and one of the earlier version, find it as it should be.
    spoil(&db).await;
    for start in [world.start.clone(), StartAt::End] {
        drain(&world.sums.group(&world.fixture, bus, start).await).await;
        assert_eq!(total(&db).await, (-1, 1000));
    }
    bus.missed("/users").await.unwrap();
    assert_eq!(bus.progress(NAME).await.unwrap(), None, "concerned");
}

pub async fn a_rebuild_makes_a_spoilt_projection_right(place: Place) {
    let world = world(place).await;
    let (group, db) = (world.member(LEASE).await, world.db());
    group.join().await.unwrap();
    assert_eq!(total(&db).await, ALL);
    world.relay().await;
    drain(&group).await;
    assert_eq!(
        total(&db).await,
        ALL,
        "what is in the history and on the bus counts once"
    );
    // For an operator, beside it, and for the bus, which delivers nothing meanwhile.
    spoil(&db).await;
    group.request_rebuild().await.unwrap();
    eventually("it is switched", 10, async || {
        (group.rebuild_unit().await.unwrap() == Unit::Switched).then_some(())
    })
    .await;
    assert_eq!(total(&db).await, ALL);
    spoil(&db).await;
    world.bus.missed("/users").await.unwrap();
    group.join().await.unwrap();
    assert_eq!(total(&db).await, ALL);
    drain(&group).await;
    assert_eq!(total(&db).await, ALL);
}

pub async fn a_rebuild_that_died_half_way_is_begun_again(place: Place) {
    let world = world(place).await;
    let (bus, group, db) = (&world.bus, world.member(LEASE).await, world.db());
    group.join().await.unwrap();
    bus.missed("/users").await.unwrap();
    let (dead, lease) = (Uuid::new_v4(), Duration::from_millis(200));
    let begun = bus.begin_rebuild(NAME, dead, lease, &[]).await.unwrap();
    assert!(begun.is_some());
    spoil(&db).await;
    assert_eq!(group.step().await.unwrap(), 0, "the other one is at it");
    assert_eq!(total(&db).await, (-1, 1000));
    eventually("the rebuild is taken over", 5, async || {
        group.step().await.unwrap();
        (bus.group_position(NAME).await.unwrap() == Some(0)).then_some(())
    })
    .await;
    assert_eq!(total(&db).await, ALL);
    assert!(bus.finish_rebuild(NAME, dead).await.is_err());
}

/// Events keep coming and members keep running while the projection is built again and again, for operators and for the bus.
pub async fn rebuilds_beside_running_members_count_every_event_once(place: Place) {
    let world = world(place).await;
    let (stop, mut members) = (CancellationToken::new(), Vec::new());
    let mut tasks = vec![tokio::spawn(
        world.outbox.clone().relay(world.bus.clone(), stop.clone()),
    )];
    for _ in 0..2 {
        let member = Arc::new(world.member(Duration::from_secs(5)).await);
        let (running, stop) = (member.clone(), stop.clone());
        tasks.push(tokio::spawn(async move { running.run(stop).await }));
        members.push(member);
    }
    let mut expected = ALL;
    for n in 100..160 {
        write(&world, [n]).await;
        world.outbox.wake();
        expected = (expected.0 + n, expected.1 + 1);
        if n % 10 == 0 {
            let answer = rebuild_projection(&members[usize::from(n % 20 == 0)]).await;
            assert_eq!(answer.unwrap(), 202);
        }
        if n % 20 == 5 {
            world.bus.missed("/users").await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
    let db = world.db();
    eventually("everything is counted once", 20, async || {
        let end = world.bus.end().await.unwrap();
        let read = world.bus.group_position(NAME).await.unwrap() == Some(end) && end > 60;
        (read && total(&db).await == expected).then_some(())
    })
    .await;
    stop.cancel();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
}

/// One that commits in the middle would be in neither generation, or in one twice.
pub async fn building_waits_for_effects_that_are_being_applied(place: Place) {
    let world = world(place).await;
    let group = world.member(LEASE).await;
    group.join().await.unwrap();
    world.relay().await;
    drain(&group).await;
    write(&world, [100]).await;
    world.relay().await;
    world.sums.closed.send_replace(true);
    let running = tokio::spawn(async move { group.step().await });
    world.sums.entered.notified().await;
    world.bus.missed("/users").await.unwrap();
    let other = Sums::new()
        .group(&world.fixture, &world.bus, world.start.clone())
        .await;
    let building = tokio::spawn(async move { other.join().await });
    eventually("building waits for the row", 5, async || {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                   AND wait_event_type = 'Lock' AND query LIKE 'UPDATE users_projections%'";
        let waiting: i64 = sqlx::query_scalar(sql).fetch_one(&world.db()).await.unwrap();
        (waiting > 0).then_some(())
    })
    .await;
    world.sums.closed.send_replace(false);
    assert!(running.await.unwrap().is_err(), "the member was fenced off");
    building.await.unwrap().unwrap();
    assert_eq!(total(&world.db()).await, (ALL.0 + 100, ALL.1 + 1));
}

pub async fn reading_a_history_ends_when_told_to_stop(place: Place) {
    let fixture = fixture_on(place).await;
    let bus = fixture.bus().await;
    // Takes connections and never answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let owner = client(&format!("http://{}", silent.local_addr().unwrap()));
    let start = StartAt::Histories(vec![owner]);
    let group = Sums::new().group(&fixture, &bus, start).await;
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { group.run(stop).await }
    });
    let _connection = silent.accept().await.unwrap();
    stop.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(1), running).await;
    ended.expect("at once").unwrap().unwrap();
    assert_eq!(bus.group_position(NAME).await.unwrap(), None, "it has not joined");
}

/// Without histories there is nothing to build from, without generations nothing to build.
pub async fn what_cannot_be_rebuilt_says_so(place: Place) {
    let world = world(place).await;
    let (bus, db) = (&world.bus, world.db());
    let at_end = world.sums.group(&world.fixture, bus, StartAt::End).await;
    let plain = Plain::group(bus, StartAt::End);
    world.member(LEASE).await.join().await.unwrap();
    plain.join().await.unwrap();
    for group in [&at_end, &plain] {
        refuses(group).await;
    }
    for name in [NAME, "plain"] {
        assert!(bus.group_position(name).await.unwrap().is_some(), "{name}");
    }
    assert_eq!(total(&db).await, ALL);
    // It would have to pass over what is in the histories, so it does not begin; the group that there is stays.
    let astray = Plain::group(bus, world.start.clone());
    refuses(&astray).await;
    for error in [astray.join().await.unwrap_err(), astray.step().await.unwrap_err()] {
        assert!(
            matches!(error.downcast_ref(), Some(RebuildError::Unsupported(_))),
            "{error}"
        );
    }
    assert!(bus.group_position("plain").await.unwrap().is_some());
}

async fn refuses(group: &ConsumerGroup) {
    let error = group.request_rebuild().await.unwrap_err();
    assert!(matches!(error, RebuildError::Unsupported(_)));
    let problem = rebuild_projection(group).await.unwrap_err();
    assert!(format!("{problem:?}").contains("not-rebuildable"), "{problem:?}");
}
