//! Members of a group that die, hang, fail or are set back: the group goes on soon, and never from a wrong place.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use emporium_event_bus::bus::BusError;
use emporium_event_bus::{ConsumerGroup, StartAt};
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::{Db, ServiceName};
use emporium_test_kit::eventually;
use support::sum::{self, Setup, Sum, drain, setup, total};
use support::{claim, travelling};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const LEASE: Duration = Duration::from_secs(30);

async fn lease_left(db: &Db) -> f64 {
    let sql = "SELECT extract(epoch FROM leased_until - now())::float8 FROM bus_group WHERE name = 'sum'";
    sqlx::query_scalar(sql).fetch_one(db).await.unwrap()
}

#[tokio::test]
async fn a_killed_member_holds_the_group_for_seconds_only() {
    let Setup {
        fixture,
        bus,
        group,
        sum,
    } = setup().await;
    bus.append(&[travelling(1)]).await.unwrap();
    sum.closed.send_replace(true);
    let killed = tokio::spawn(async move { group.step().await });
    sum.entered.notified().await;
    assert!(lease_left(&fixture.bus_db()).await <= 5.0);
    killed.abort();
    assert!(killed.await.unwrap_err().is_cancelled());
    sum.closed.send_replace(false);
    // With a lease that is over sooner, so that the test is.
    sqlx::query("UPDATE bus_group SET leased_until = now() + interval '0.2 s'")
        .execute(&fixture.bus_db())
        .await
        .unwrap();
    let next = sum.group(&fixture, &bus, StartAt::End);
    eventually("the next member takes over", 5, async || {
        (next.step().await.unwrap() == 1).then_some(())
    })
    .await;
    assert_eq!(total(&fixture.db()).await, (1, 1));
}

#[tokio::test]
async fn a_batch_that_takes_longer_than_the_lease_keeps_it() {
    let Setup {
        fixture, bus, sum, ..
    } = setup().await;
    let lease = Duration::from_millis(300);
    let group = sum.group(&fixture, &bus, StartAt::End).with_lease(lease);
    bus.append(&[travelling(1)]).await.unwrap();
    sum.closed.send_replace(true);
    let slow = tokio::spawn(async move { group.step().await });
    sum.entered.notified().await;
    let (other, until) = (Uuid::new_v4(), tokio::time::Instant::now() + 3 * lease);
    while tokio::time::Instant::now() < until {
        assert!(claim(&bus, "sum", other, 1, lease).await.is_empty());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    sum.closed.send_replace(false);
    assert_eq!(slow.await.unwrap().unwrap(), 1);
}

#[tokio::test]
async fn a_member_that_fails_or_is_stopped_gives_the_group_back() {
    let Setup {
        fixture,
        bus,
        group,
        sum,
    } = setup().await;
    bus.append(&[travelling(1)]).await.unwrap();
    rename(&fixture.db(), "total", "elsewhere").await;
    let stop = CancellationToken::new();
    assert!(group.run(stop.clone()).await.is_err());
    let claimed = claim(&bus, "sum", Uuid::nil(), 1, LEASE).await;
    assert_eq!(claimed.len(), 1, "free at once");
    bus.release("sum", Uuid::nil()).await.unwrap();
    rename(&fixture.db(), "elsewhere", "total").await;
    sum.closed.send_replace(true);
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { group.run(stop).await }
    });
    sum.entered.notified().await;
    stop.cancel();
    running.await.unwrap().unwrap();
    assert_eq!(claim(&bus, "sum", Uuid::nil(), 1, LEASE).await.len(), 1);
}

async fn rename(db: &Db, from: &'static str, to: &'static str) {
    let sql = format!("ALTER TABLE {from} RENAME TO {to}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(db).await.unwrap();
}

#[tokio::test]
async fn setting_a_group_back_wins_against_a_running_member() {
    let Setup {
        fixture,
        bus,
        group,
        sum,
    } = setup().await;
    let events: Vec<_> = (1..=10).map(travelling).collect();
    bus.append(&events[..5]).await.unwrap();
    drain(&group).await;
    bus.append(&events[5..]).await.unwrap();
    sum.closed.send_replace(true);
    let group = Arc::new(group);
    let running = tokio::spawn({
        let group = group.clone();
        async move { group.step().await }
    });
    sum.entered.notified().await;
    bus.set_group("sum", 2).await.unwrap();
    sum.closed.send_replace(false);
    let error = running.await.unwrap().unwrap_err();
    assert!(matches!(error.downcast_ref(), Some(BusError::LeaseLost(_))));
    assert_eq!(bus.group_position("sum").await.unwrap(), Some(2));
    drain(&group).await;
    assert_eq!(bus.group_position("sum").await.unwrap(), Some(10));
    assert_eq!(total(&fixture.db()).await, (55, 10));
}

#[tokio::test]
async fn of_members_that_join_at_once_one_builds_and_none_moves_the_group_back() {
    let fixture = sum::fixture().await;
    let bus = fixture.bus().await;
    let (first, second) = (Uuid::new_v4(), Uuid::new_v4());
    let (a, b) = tokio::join!(
        bus.begin_rebuild("sum", first, LEASE),
        bus.begin_rebuild("sum", second, LEASE)
    );
    let begun = [a.unwrap(), b.unwrap()];
    assert_eq!(begun.iter().flatten().count(), 1, "{begun:?}");
    let (builder, other) = if begun[0].is_some() {
        (first, second)
    } else {
        (second, first)
    };
    assert_eq!(
        bus.group_position("sum").await.unwrap(),
        None,
        "not before it is built"
    );
    assert!(claim(&bus, "sum", other, 1, LEASE).await.is_empty());
    assert!(bus.finish_rebuild("sum", other).await.is_err());
    bus.append(&[travelling(1)]).await.unwrap();
    bus.finish_rebuild("sum", builder).await.unwrap();
    assert_eq!(claim(&bus, "sum", other, 1, LEASE).await.len(), 1);
    bus.acknowledge("sum", other, 1).await.unwrap();
    // Late to join: nothing to build, nothing moves.
    Sum::new()
        .group(&fixture, &bus, StartAt::End)
        .join()
        .await
        .unwrap();
    assert_eq!(bus.group_position("sum").await.unwrap(), Some(1));
}

#[tokio::test]
async fn a_group_with_nothing_to_do_writes_nothing() {
    let Setup {
        fixture, bus, group, ..
    } = setup().await;
    let event = travelling(1);
    bus.append(std::slice::from_ref(&event)).await.unwrap();
    drain(&group).await;
    // An event that is there already leaves an empty position at the end, which is passed like any other.
    bus.append(&[event]).await.unwrap();
    drain(&group).await;
    assert_eq!(bus.group_position("sum").await.unwrap(), Some(2));
    let place = async || {
        let sql = "SELECT ctid::text FROM bus_group WHERE name = 'sum'";
        sqlx::query_scalar::<_, String>(sql)
            .fetch_one(&fixture.bus_db())
            .await
            .unwrap()
    };
    let before = place().await;
    for _ in 0..3 {
        assert_eq!(group.step().await.unwrap(), 0);
    }
    assert_eq!(place().await, before, "no new version of the row");
}

#[tokio::test]
async fn two_groups_of_one_service_have_metrics_of_their_own() {
    let Setup { fixture, bus, .. } = setup().await;
    let metrics = Metrics::new(ServiceName::Users);
    bus.append(&[travelling(1)]).await.unwrap();
    bus.set_group("quick", 1).await.unwrap();
    bus.set_group("slow", 0).await.unwrap();
    for name in ["quick", "slow"] {
        let consumer =
            emporium_event_bus::Transactional::new(fixture.db(), ServiceName::Users, name, Sum::new());
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
