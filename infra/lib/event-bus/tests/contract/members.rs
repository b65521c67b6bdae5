//! Members of a group that die, hang, fail or are set back: the group goes on soon, and never from a wrong place.

use std::sync::Arc;
use std::time::Duration;

use emporium_event_bus::bus::BusError;
use emporium_event_bus::{ConsumerGroup, StartAt};
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::{Db, ServiceName};
use emporium_test_kit::eventually;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::place::Place;
use crate::support::setup::{self, Setup, drain, setup_on};
use crate::support::sums::{NAME, Sums, total};
use crate::support::{claim, take, travelling};

const LEASE: Duration = Duration::from_secs(30);

pub async fn a_killed_member_holds_the_group_for_its_lease_only(place: Place) {
    let Setup {
        fixture,
        bus,
        group,
        sums,
    } = setup_on(place).await;
    let lease = Duration::from_millis(400);
    let group = group.with_lease(lease);
    bus.append(&[travelling(1)]).await.unwrap();
    sums.closed.send_replace(true);
    let killed = tokio::spawn(async move { group.step().await });
    sums.entered.notified().await;
    killed.abort();
    assert!(killed.await.unwrap_err().is_cancelled());
    sums.closed.send_replace(false);
    let next = sums.group(&fixture, &bus, StartAt::End).await;
    assert_eq!(next.step().await.unwrap(), 0, "the lease goes on");
    let killed_at = std::time::Instant::now();
    eventually("the next member takes over", 5, async || {
        (next.step().await.unwrap() == 1).then_some(())
    })
    .await;
    assert!(killed_at.elapsed() < 3 * lease, "{:?}", killed_at.elapsed());
    assert_eq!(total(&fixture.db()).await, (1, 1));
}

pub async fn a_batch_that_takes_longer_than_the_lease_keeps_it(place: Place) {
    let Setup {
        fixture, bus, sums, ..
    } = setup_on(place).await;
    let lease = Duration::from_millis(300);
    let group = sums.group(&fixture, &bus, StartAt::End).await.with_lease(lease);
    bus.append(&[travelling(1)]).await.unwrap();
    sums.closed.send_replace(true);
    let slow = tokio::spawn(async move { group.step().await });
    sums.entered.notified().await;
    let (other, until) = (Uuid::new_v4(), tokio::time::Instant::now() + 3 * lease);
    while tokio::time::Instant::now() < until {
        assert!(claim(&bus, NAME, other, 1, lease).await.is_empty());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    sums.closed.send_replace(false);
    assert_eq!(slow.await.unwrap().unwrap(), 1);
}

pub async fn a_member_that_fails_or_is_stopped_gives_the_group_back(place: Place) {
    let Setup {
        fixture,
        bus,
        group,
        sums,
    } = setup_on(place).await;
    bus.append(&[travelling(1)]).await.unwrap();
    rename(&fixture.db(), "users_sum", "elsewhere").await;
    let stop = CancellationToken::new();
    assert!(group.run(stop.clone()).await.is_err());
    let claimed = claim(&bus, NAME, Uuid::nil(), 1, LEASE).await;
    assert_eq!(claimed.len(), 1, "free at once");
    bus.release(NAME, Uuid::nil()).await.unwrap();
    rename(&fixture.db(), "elsewhere", "users_sum").await;
    sums.closed.send_replace(true);
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { group.run(stop).await }
    });
    sums.entered.notified().await;
    stop.cancel();
    running.await.unwrap().unwrap();
    assert_eq!(claim(&bus, NAME, Uuid::nil(), 1, LEASE).await.len(), 1);
}

pub async fn setting_a_group_back_wins_against_a_running_member(place: Place) {
    let Setup {
        fixture,
        bus,
        group,
        sums,
    } = setup_on(place).await;
    let events: Vec<_> = (1..=10).map(travelling).collect();
    bus.append(&events[..5]).await.unwrap();
    drain(&group).await;
    bus.append(&events[5..]).await.unwrap();
    sums.closed.send_replace(true);
    let group = Arc::new(group);
    let running = tokio::spawn({
        let group = group.clone();
        async move { group.step().await }
    });
    sums.entered.notified().await;
    bus.set_group(NAME, 2).await.unwrap();
    sums.closed.send_replace(false);
    let error = running.await.unwrap().unwrap_err();
    assert!(matches!(error.downcast_ref(), Some(BusError::LeaseLost(_))));
    assert_eq!(bus.group_position(NAME).await.unwrap(), Some(2));
    drain(&group).await;
    assert_eq!(bus.group_position(NAME).await.unwrap(), Some(10));
    assert_eq!(total(&fixture.db()).await, (55, 10));
}

pub async fn of_members_that_join_at_once_one_builds_and_none_moves_the_group_back(place: Place) {
    let fixture = setup::fixture_on(place).await;
    let bus = fixture.bus().await;
    let (first, second) = (Uuid::new_v4(), Uuid::new_v4());
    let (a, b) = tokio::join!(
        bus.begin_rebuild(NAME, first, LEASE, &[]),
        bus.begin_rebuild(NAME, second, LEASE, &[])
    );
    let begun = [a.unwrap(), b.unwrap()];
    assert_eq!(begun.iter().flatten().count(), 1, "{begun:?}");
    let (builder, other) = if begun[0].is_some() {
        (first, second)
    } else {
        (second, first)
    };
    assert_eq!(
        bus.group_position(NAME).await.unwrap(),
        None,
        "not before it is built"
    );
    assert!(claim(&bus, NAME, other, 1, LEASE).await.is_empty());
    assert!(bus.finish_rebuild(NAME, other).await.is_err());
    bus.append(&[travelling(1)]).await.unwrap();
    bus.finish_rebuild(NAME, builder).await.unwrap();
    let batch = take(&bus, NAME, other, 1, LEASE).await;
    assert_eq!(batch.deliveries.len(), 1);
    bus.acknowledge(NAME, other, &batch).await.unwrap();
    // Late to join: nothing to build, nothing moves.
    Sums::new()
        .group(&fixture, &bus, StartAt::End)
        .await
        .join()
        .await
        .unwrap();
    assert_eq!(bus.group_position(NAME).await.unwrap(), Some(1));
}

pub async fn two_groups_of_one_service_have_metrics_of_their_own(place: Place) {
    let Setup { fixture, bus, .. } = setup_on(place).await;
    let metrics = Metrics::new(ServiceName::Users);
    bus.append(&[travelling(1)]).await.unwrap();
    bus.set_group("quick", 1).await.unwrap();
    bus.set_group("slow", 0).await.unwrap();
    for name in ["quick", "slow"] {
        let consumer = Sums::new().named(name, fixture.db()).await;
        let group = ConsumerGroup::new(bus.clone(), name, Arc::new(consumer), StartAt::End, &metrics);
        if name == "slow" {
            claim(&bus, name, Uuid::nil(), 1, LEASE).await;
        }
        group.step().await.unwrap();
    }
    let text = metrics.render();
    for line in [
        r#"emporium_consumer_lag{group="quick",service="users"} 0"#,
        r#"emporium_consumer_lag{group="slow",service="users"} 1"#,
        r#"emporium_dead_letters_total{group="quick",service="users"} 0"#,
        r#"emporium_dead_letters_total{group="slow",service="users"} 0"#,
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
}

async fn rename(db: &Db, from: &'static str, to: &'static str) {
    let sql = format!("ALTER TABLE {from} RENAME TO {to}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(db).await.unwrap();
}
