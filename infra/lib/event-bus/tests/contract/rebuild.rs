//! Rebuilding projections from histories: really from the start, while members run, and once more after a crash.

use std::sync::Arc;
use std::time::Duration;

use emporium_event_bus::consumer::{RebuildError, rebuild_projection};
use emporium_event_bus::{Bus, BusError, Consumer, ConsumerGroup, Outbox, StartAt, Transactional};
use emporium_service_kit::{Db, ServiceName};
use emporium_test_kit::eventually;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::Fixture;
use crate::support::place::Place;
use crate::support::sum::{self, Sum, drain, owner, total};

struct World {
    fixture: Fixture,
    bus: Arc<dyn Bus>,
    outbox: Outbox,
    start: StartAt,
}

/// An owner with the events 1 to 12 without 11, of which nothing is on the bus yet.
async fn world(place: Place) -> World {
    let fixture = sum::fixture_on(place).await;
    let outbox = fixture.outbox().await;
    fixture.write(&outbox, (1..=12).filter(|n| *n != 11)).await;
    World {
        bus: fixture.bus().await,
        start: owner(outbox.clone()).await,
        outbox,
        fixture,
    }
}

const ALL: (i64, i64) = (67, 11);

async fn spoil(db: &Db) {
    sqlx::query("UPDATE total SET sum = -1, count = 1000")
        .execute(db)
        .await
        .unwrap();
}

/// A group that an earlier version made at the bus's end, or from fewer owners, is built once when a member comes that reads
/// more; only then would a publisher that misses events have it rebuilt.
pub async fn a_group_that_was_built_from_fewer_histories_is_built_again(place: Place) {
    let world = world(place).await;
    let (bus, db) = (&world.bus, world.fixture.db());
    while world.outbox.relay_step(bus.as_ref()).await.unwrap() > 0 {}
    let earlier = Sum::new().group(&world.fixture, bus, StartAt::End);
    earlier.join().await.unwrap();
    drain(&earlier).await;
    assert_eq!(total(&db).await, (0, 0));
    bus.missed("/users").await.unwrap();
    assert!(bus.progress("sum").await.unwrap().is_some(), "not concerned");
    // The earlier one is at work.
    world.fixture.write(&world.outbox, [14]).await;
    world.outbox.relay_step(bus.as_ref()).await.unwrap();
    let (member, lease) = (Uuid::new_v4(), Duration::from_secs(30));
    let kinds = &["test.ping.v1"];
    let batch = bus.claim("sum", member, kinds, 10, lease).await.unwrap().unwrap();
    assert_eq!(batch.deliveries.len(), 1);
    let group = Sum::new().group(&world.fixture, bus, world.start.clone());
    drain(&group).await;
    assert_eq!(total(&db).await, (ALL.0 + 14, ALL.1 + 1));
    let late = bus.acknowledge("sum", member, &batch).await;
    assert!(matches!(late, Err(BusError::LeaseLost(_))), "{late:?}");
    // Built once: the next one, and one of the earlier version, find it as it should be.
    spoil(&db).await;
    for start in [world.start.clone(), StartAt::End] {
        drain(&Sum::new().group(&world.fixture, bus, start)).await;
        assert_eq!(total(&db).await, (-1, 1000));
    }
    bus.missed("/users").await.unwrap();
    assert_eq!(bus.progress("sum").await.unwrap(), None, "concerned");
}

pub async fn a_rebuild_makes_a_spoilt_projection_right(place: Place) {
    let world = world(place).await;
    let group = Sum::new().group(&world.fixture, &world.bus, world.start);
    let db = world.fixture.db();
    group.join().await.unwrap();
    assert_eq!(total(&db).await, ALL);
    while world.outbox.relay_step(world.bus.as_ref()).await.unwrap() > 0 {}
    drain(&group).await;
    assert_eq!(
        total(&db).await,
        ALL,
        "what is in the history and on the bus counts once"
    );
    spoil(&db).await;
    group.rebuild().await.unwrap();
    assert_eq!(total(&db).await, ALL);
    drain(&group).await;
    assert_eq!(total(&db).await, ALL);
}

pub async fn a_rebuild_that_died_half_way_is_begun_again(place: Place) {
    let world = world(place).await;
    let group = Sum::new().group(&world.fixture, &world.bus, world.start);
    let db = world.fixture.db();
    group.join().await.unwrap();
    group.request_rebuild().await.unwrap();
    let dead = Uuid::new_v4();
    let lease = Duration::from_millis(200);
    assert!(
        world
            .bus
            .begin_rebuild("sum", dead, lease, &[])
            .await
            .unwrap()
            .is_some()
    );
    spoil(&db).await;
    assert_eq!(group.step().await.unwrap(), 0, "the other one is at it");
    assert_eq!(total(&db).await, (-1, 1000));
    eventually("the rebuild is taken over", 5, async || {
        group.step().await.unwrap();
        (world.bus.group_position("sum").await.unwrap() == Some(0)).then_some(())
    })
    .await;
    assert_eq!(total(&db).await, ALL);
    assert!(world.bus.finish_rebuild("sum", dead).await.is_err());
}

/// Events keep coming and members keep running while the projection is reset and built again and again.
pub async fn rebuilds_beside_running_members_count_every_event_once(place: Place) {
    let world = world(place).await;
    let stop = CancellationToken::new();
    let members: Vec<Arc<ConsumerGroup>> = (0..2)
        .map(|_| Sum::new().group(&world.fixture, &world.bus, world.start.clone()))
        .map(Arc::new)
        .collect();
    let mut tasks = Vec::new();
    for member in &members {
        let (member, stop) = (member.clone(), stop.clone());
        tasks.push(tokio::spawn(async move { member.run(stop).await }));
    }
    tasks.push(tokio::spawn(
        world.outbox.clone().relay(world.bus.clone(), stop.clone()),
    ));
    let mut expected = ALL;
    for n in 100..160 {
        world.fixture.write(&world.outbox, [n]).await;
        world.outbox.wake();
        expected = (expected.0 + n, expected.1 + 1);
        if n % 10 == 0 {
            let answer = rebuild_projection(&members[usize::from(n % 20 == 0)]).await;
            assert_eq!(answer.unwrap(), 202);
        }
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
    let db = world.fixture.db();
    eventually("everything is counted once", 20, async || {
        let end = world.bus.end().await.unwrap();
        let read = world.bus.group_position("sum").await.unwrap() == Some(end) && end > 60;
        (read && total(&db).await == expected).then_some(())
    })
    .await;
    stop.cancel();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
}

/// The reset waits for effects under way: one that committed between its two deletions would be lost.
pub async fn a_reset_waits_for_effects_that_are_being_applied(place: Place) {
    let world = world(place).await;
    let sum = Sum::new();
    let group = sum.group(&world.fixture, &world.bus, world.start.clone());
    group.join().await.unwrap();
    while world.outbox.relay_step(world.bus.as_ref()).await.unwrap() > 0 {}
    drain(&group).await;
    world.fixture.write(&world.outbox, [100]).await;
    world.outbox.relay_step(world.bus.as_ref()).await.unwrap();
    sum.closed.send_replace(true);
    let running = tokio::spawn(async move { group.step().await });
    sum.entered.notified().await;
    let rebuild = Sum::new().group(&world.fixture, &world.bus, world.start);
    let rebuilding = tokio::spawn(async move { rebuild.rebuild().await });
    eventually("the reset waits for a lock", 5, async || {
        let sql = "SELECT count(*) FROM pg_locks WHERE relation = 'users_inbox'::regclass AND NOT granted";
        let waiting: i64 = sqlx::query_scalar(sql)
            .fetch_one(&world.fixture.db())
            .await
            .unwrap();
        (waiting > 0).then_some(())
    })
    .await;
    sum.closed.send_replace(false);
    assert!(running.await.unwrap().is_err(), "the member was fenced off");
    rebuilding.await.unwrap().unwrap();
    assert_eq!(total(&world.fixture.db()).await, (ALL.0 + 100, ALL.1 + 1));
}

/// A member emptied the projection for another bus, or long after another one had taken its place, and died. This bus knows
/// nothing of it: the group is ready here.
pub async fn a_reset_without_the_end_of_its_rebuild_is_noticed(place: Place) {
    let world = world(place).await;
    let (sum, db) = (Sum::new(), world.fixture.db());
    drain(&sum.group(&world.fixture, &world.bus, world.start.clone())).await;
    assert_eq!(total(&db).await, ALL);
    let elsewhere = Transactional::new(db.clone(), ServiceName::Users, "sum", Sum::new());
    elsewhere.reset().await.unwrap();
    assert_eq!(total(&db).await, (0, 0));
    assert!(world.bus.progress("sum").await.unwrap().is_some(), "ready");
    let reset = elsewhere.unfinished_reset().await.unwrap().unwrap();
    drain(&sum.group(&world.fixture, &world.bus, world.start.clone())).await;
    assert_eq!(total(&db).await, ALL);
    assert_eq!(elsewhere.unfinished_reset().await.unwrap(), None);
    assert!(
        !elsewhere.rebuilt(reset).await.unwrap(),
        "another reset came after it"
    );
}

pub async fn reading_a_history_ends_when_told_to_stop(place: Place) {
    let fixture = sum::fixture_on(place).await;
    let bus = fixture.bus().await;
    // Takes connections and never answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let owner = sum::client(&format!("http://{}", silent.local_addr().unwrap()));
    let group = Sum::new().group(&fixture, &bus, StartAt::Histories(vec![owner]));
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { group.run(stop).await }
    });
    let _connection = silent.accept().await.unwrap();
    stop.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(1), running).await;
    ended.expect("at once").unwrap().unwrap();
    assert_eq!(
        bus.group_position("sum").await.unwrap(),
        None,
        "it has not joined"
    );
}

pub async fn what_cannot_be_rebuilt_says_so(place: Place) {
    let world = world(place).await;
    let mut sum = Sum::new();
    let at_end = sum.group(&world.fixture, &world.bus, StartAt::End);
    sum.resettable = false;
    let no_reset = sum.group(&world.fixture, &world.bus, world.start);
    no_reset.join().await.unwrap();
    for group in [at_end, no_reset] {
        let error = group.request_rebuild().await.unwrap_err();
        assert!(matches!(error, RebuildError::Unsupported(_)));
        let problem = rebuild_projection(&group).await.unwrap_err();
        assert!(format!("{problem:?}").contains("not-rebuildable"), "{problem:?}");
    }
    assert!(world.bus.group_position("sum").await.unwrap().is_some());
    assert_eq!(total(&world.fixture.db()).await, ALL);
}
