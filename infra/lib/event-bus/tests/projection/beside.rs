//! Building the other generation: in place of an empty one, beside a living one, through kills and pauses.

use std::sync::Arc;
use std::time::Duration;

use emporium_event_bus::consumer::Unit;
use emporium_event_bus::projection::{Cause, Generations, Phase};
use emporium_event_bus::{Consumer, ConsumerGroup, GroupState, StartAt};
use emporium_service_kit::ServiceName;
use emporium_service_kit::metrics::Metrics;
use emporium_test_kit::eventually;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::place::Place;
use crate::support::setup::drain;
use crate::support::sums::{NAME, World, added};

pub const LEASE: Duration = Duration::from_secs(5);

/// Ten events of three writers.
pub fn ten() -> Vec<(i64, i64)> {
    (1..=10).map(|n| (n % 3, n)).collect()
}

/// A world with ten events applied.
pub async fn settled(place: Place, page: i64) -> (World, ConsumerGroup) {
    let world = World::on(place, page).await;
    world.write(&ten()).await;
    world.relay().await;
    let member = world.member(LEASE).await;
    drain(&member).await;
    assert_eq!(world.content().await, added(&ten()));
    (world, member)
}

/// Does units until the generations are switched.
pub async fn finish(member: &ConsumerGroup) {
    eventually("the rebuild is done", 20, async || {
        member.step().await.unwrap();
        (member.rebuild_unit().await.unwrap() == Unit::Switched).then_some(())
    })
    .await;
}

pub async fn a_new_projection_is_built_from_the_histories_and_switched(place: Place) {
    let (world, member) = settled(place, 4).await;
    let standing = world.standing().await;
    let outcome = standing.outcome.unwrap();
    assert_eq!(
        (standing.live, outcome.cause, outcome.equal),
        (1, Cause::Bus, None)
    );
    assert_eq!(outcome.events, 10);
    assert!(standing.rebuild.is_none());
    // What is on the bus as well counts once, and a restart builds nothing.
    world.bus.set_group(NAME, 0).await.unwrap();
    drain(&world.member(LEASE).await).await;
    drain(&member).await;
    assert_eq!(world.content().await, added(&ten()));
    assert_eq!(world.standing().await.live, 1);
    assert_eq!(member.rebuild_unit().await.unwrap(), Unit::Nothing);
}

/// Two processes consume and one of them rebuilds, again and again, while events come; queries never see less than before.
pub async fn a_rebuild_beside_running_members_ends_equal(place: Place) {
    let (world, _) = settled(place, 50).await;
    let (stop, mut pings) = (CancellationToken::new(), ten());
    let members: Vec<Arc<ConsumerGroup>> = vec![
        Arc::new(world.member(LEASE).await),
        Arc::new(world.member(LEASE).await),
    ];
    let mut tasks = vec![tokio::spawn(
        world.outbox.clone().relay(world.bus.clone(), stop.clone()),
    )];
    for member in &members {
        let (member, stop) = (member.clone(), stop.clone());
        tasks.push(tokio::spawn(async move { member.run(stop).await }));
    }
    let (mut seen, mut rebuilds) = (0, Vec::new());
    for n in 0..150_i64 {
        let some: Vec<_> = (0..10).map(|k| ((n + k) % 7, n)).collect();
        world.write(&some).await;
        world.outbox.wake();
        pings.extend(some);
        let standing = world.standing().await;
        if let Some(outcome) = standing.outcome.filter(|outcome| !rebuilds.contains(&outcome.id)) {
            if outcome.cause == Cause::Operator {
                assert_eq!(outcome.equal, Some(true), "{:?}", outcome.differences);
                assert_eq!(outcome.tables.len(), 1);
            }
            rebuilds.push(outcome.id);
        }
        if standing.rebuild.is_none() && n < 120 {
            members[usize::from(n % 2 == 0)].request_rebuild().await.unwrap();
        }
        let count: i64 = world.content().await.values().map(|sum| sum.1).sum();
        assert!(count >= seen, "{count} after {seen}");
        seen = count;
    }
    let expected = added(&pings);
    eventually("everything is counted once", 30, async || {
        let idle = world.standing().await.rebuild.is_none();
        (idle && world.content().await == expected).then_some(())
    })
    .await;
    let outcome = world.standing().await.outcome.unwrap();
    assert_eq!(
        (outcome.equal, outcome.cause),
        (Some(true), Cause::Operator),
        "{outcome:?}"
    );
    assert!(rebuilds.len() >= 2, "{rebuilds:?}");
    stop.cancel();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
}

pub async fn a_rebuild_goes_on_where_a_killed_member_left_it(place: Place) {
    let (world, member) = settled(place, 2).await;
    member.request_rebuild().await.unwrap();
    let lease = Duration::from_millis(700);
    let killed = world.member(lease).await;
    for _ in 0..3 {
        assert_eq!(killed.rebuild_unit().await.unwrap(), Unit::Done);
    }
    let rebuild = world.standing().await.rebuild.unwrap();
    assert_eq!(
        (rebuild.phase, rebuild.events, rebuild.total),
        (Phase::Reading, 4, Some(10))
    );
    assert_eq!(
        member.rebuild_unit().await.unwrap(),
        Unit::Nothing,
        "the other one is at it"
    );
    drop(killed);
    eventually("another one takes over", 15, async || {
        (member.rebuild_unit().await.unwrap() == Unit::Done).then_some(())
    })
    .await;
    assert_eq!(
        world.standing().await.rebuild.unwrap().events,
        6,
        "not from the beginning"
    );
    finish(&member).await;
    let outcome = world.standing().await.outcome.unwrap();
    assert_eq!(
        (outcome.id, outcome.equal, outcome.events),
        (rebuild.id, Some(true), 10)
    );
    assert_eq!(world.content().await, added(&ten()));
}

/// What the live one has not seen, the rebuilt one has: they are not compared before.
pub async fn a_rebuild_waits_for_a_paused_group(place: Place) {
    let (world, member) = settled(place, 4).await;
    member.pause().await.unwrap();
    world.write(&[(1, 100)]).await;
    world.relay().await;
    member.request_rebuild().await.unwrap();
    let waits = async || {
        member.step().await.unwrap();
        (member.rebuild_unit().await.unwrap() == Unit::Waits).then_some(())
    };
    eventually("all is read", 5, waits).await;
    assert_eq!(member.rebuild_unit().await.unwrap(), Unit::Waits);
    assert_eq!(world.content().await, added(&ten()), "the live one stands still");
    assert_eq!(world.standing().await.rebuild.unwrap().phase, Phase::Comparing);
    assert_eq!(member.status().state, GroupState::Paused);
    member.resume().await.unwrap();
    finish(&member).await;
    let mut pings = ten();
    pings.push((1, 100));
    assert_eq!(world.content().await, added(&pings));
    assert_eq!(world.standing().await.outcome.unwrap().equal, Some(true));
}

/// The bus keeps what a paused group has not passed, however old, so that what comes after the pause is whole; a rebuild
/// takes what is older from the history.
pub async fn a_pause_outlives_what_the_bus_keeps(place: Place) {
    let (world, member) = settled(place, 4).await;
    member.pause().await.unwrap();
    let late = [(1, 100), (2, 101), (3, 102)];
    world.write(&late).await;
    world.relay().await;
    member.request_rebuild().await.unwrap();
    assert_eq!(member.rebuild_unit().await.unwrap(), Unit::Done);
    assert!(
        world.bus.trim(Duration::ZERO).await.unwrap() >= 10,
        "what was passed"
    );
    assert_eq!(
        world.bus.trim(Duration::ZERO).await.unwrap(),
        0,
        "and nothing else"
    );
    member.resume().await.unwrap();
    finish(&member).await;
    let pings: Vec<_> = ten().into_iter().chain(late).collect();
    assert_eq!(world.content().await, added(&pings));
    assert_eq!(world.standing().await.outcome.unwrap().equal, Some(true));
}

/// While histories are read for the bus, queries go on with the live one, and what an operator had begun is void.
pub async fn a_bus_that_lacks_events_has_the_other_generation_built(place: Place) {
    let (world, member) = settled(place, 4).await;
    member.request_rebuild().await.unwrap();
    assert_eq!(member.rebuild_unit().await.unwrap(), Unit::Done);
    assert_eq!(member.rebuild_unit().await.unwrap(), Unit::Done);
    let beside = world.standing().await.rebuild.unwrap().id;
    // Never to come by the bus.
    world.write(&[(1, 100)]).await;
    world.outbox.page(0, 1).await.unwrap();
    world.bus.missed("/users").await.unwrap();
    assert_eq!(
        member.rebuild_unit().await.unwrap(),
        Unit::Nothing,
        "the bus has it built"
    );
    assert_eq!(world.content().await, added(&ten()));
    drain(&member).await;
    let mut pings = ten();
    pings.push((1, 100));
    assert_eq!(world.content().await, added(&pings));
    let standing = world.standing().await;
    let outcome = standing.outcome.unwrap();
    assert_eq!((outcome.cause, outcome.equal), (Cause::Bus, None));
    assert!(outcome.id != beside && standing.rebuild.is_none());
}

/// A member began to build for another bus, died, and the shop is back on this one, which has nothing to complain of.
pub async fn what_another_bus_left_half_built_is_finished(place: Place) {
    let (world, member) = settled(place, 4).await;
    let projection = world.projection().await;
    let work = projection.replace(Uuid::new_v4(), Duration::ZERO).await.unwrap();
    projection.begin(&work, &["/users".to_owned()]).await.unwrap();
    world.write(&[(2, 5)]).await;
    world.relay().await;
    drain(&member).await;
    let mut pings = ten();
    pings.push((2, 5));
    assert_eq!(world.content().await, added(&pings), "the live one is whole");
    finish(&member).await;
    assert_eq!(world.content().await, added(&pings));
    let outcome = world.standing().await.outcome.unwrap();
    assert_eq!((outcome.id, outcome.equal), (work.rebuild, None));
}

/// An event is read from a history long before the bus brings it: its claim must be there then, however old it is.
pub async fn what_is_claimed_while_building_stays(place: Place) {
    let (world, member) = settled(place, 100).await;
    world.write(&[(1, 100)]).await;
    world
        .run_sql("UPDATE users_outbox SET recorded_at = recorded_at - interval '40 days'")
        .await;
    member.request_rebuild().await.unwrap();
    for _ in 0..2 {
        assert_eq!(member.rebuild_unit().await.unwrap(), Unit::Done);
    }
    let projection = world.projection().await;
    let month = emporium_event_bus::inbox::KEPT;
    projection.reap(month).await.unwrap();
    finish(&member).await;
    projection.reap(month).await.unwrap();
    world.relay().await;
    drain(&member).await;
    let mut pings = ten();
    pings.push((1, 100));
    assert_eq!(world.content().await, added(&pings));
    // Later they go.
    world
        .run_sql("UPDATE users_projections SET live_since = live_since - interval '31 days'")
        .await;
    assert!(projection.reap(month).await.unwrap() >= 10);
}

/// Who has built the group for the bus has switched and did not say so yet. What is asked for at that moment is not forgotten.
pub async fn what_is_wanted_at_the_end_of_building_for_the_bus_is_done(place: Place) {
    let (world, member) = settled(place, 4).await;
    let builder = Uuid::new_v4();
    world.bus.missed("/users").await.unwrap();
    let sources = ["/users".to_owned()];
    let begun = world.bus.begin_rebuild(NAME, builder, LEASE, &sources).await;
    assert!(begun.unwrap().is_some());
    member.request_rebuild().await.unwrap();
    let wanted = world.standing().await.rebuild.unwrap();
    assert_eq!(wanted.cause, Cause::Operator);
    assert_eq!(member.rebuild_unit().await.unwrap(), Unit::Nothing, "not yet");
    world.bus.finish_rebuild(NAME, builder).await.unwrap();
    finish(&member).await;
    let outcome = world.standing().await.outcome.unwrap();
    assert_eq!((outcome.id, outcome.equal), (wanted.id, Some(true)));
    assert_eq!(world.content().await, added(&ten()));
}

/// Somebody wants a rebuild of a group that has no histories to read: the other generation would be made empty, and live.
pub async fn a_group_without_histories_builds_nothing(place: Place) {
    let (world, _) = settled(place, 4).await;
    let consumer = Arc::new(world.projection().await);
    consumer.want().await.unwrap();
    let metrics = Metrics::new(ServiceName::Users);
    let member = ConsumerGroup::new(world.bus.clone(), NAME, consumer, StartAt::End, &metrics);
    for _ in 0..3 {
        assert_eq!(member.rebuild_unit().await.unwrap(), Unit::Nothing);
    }
    assert_eq!(world.content().await, added(&ten()));
    assert_eq!(world.standing().await.rebuild.unwrap().phase, Phase::Wanted);
}
