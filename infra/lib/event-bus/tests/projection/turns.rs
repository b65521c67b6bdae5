//! Who writes when: filling waits for living effects, and nobody writes for a rebuild that has another master.

use std::time::Duration;

use emporium_event_bus::consumer::Unit;
use emporium_event_bus::projection::{BuildError, Cursor, Generations, Piece, Work};
use emporium_event_bus::{Consumer, history::HistoryItem};
use emporium_test_kit::eventually;
use uuid::Uuid;

use crate::beside::{LEASE, finish, settled, ten};
use crate::support::place::Place;
use crate::support::sums::{World, added};

/// Else both could hold rows that the other one needs.
pub async fn filling_and_living_effects_take_turns(place: Place) {
    let (world, member) = settled(place, 100).await;
    member.request_rebuild().await.unwrap();
    assert_eq!(member.rebuild_unit().await.unwrap(), Unit::Done);
    world.write(&[(1, 100)]).await;
    world.relay().await;
    world.closed.send_replace(true);
    let living = world.member(LEASE).await;
    let living = tokio::spawn(async move { living.step().await });
    world.entered.notified().await;
    let filling = tokio::spawn(async move {
        member.rebuild_unit().await.unwrap();
        member
    });
    eventually("filling waits for the projection's row", 5, async || {
        let waiting: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'UPDATE users_projections%'",
        )
        .fetch_one(&world.db())
        .await
        .unwrap();
        (waiting > 0).then_some(())
    })
    .await;
    world.closed.send_replace(false);
    assert!(living.await.unwrap().unwrap() > 0);
    finish(&filling.await.unwrap()).await;
    let pings: Vec<_> = ten().into_iter().chain([(1, 100)]).collect();
    assert_eq!(world.content().await, added(&pings));
    assert_eq!(world.standing().await.outcome.unwrap().equal, Some(true));
}

fn is_lost<T>(result: Result<T, BuildError>) -> bool {
    matches!(result, Err(BuildError::Lost))
}

async fn rows(world: &World) -> (i64, serde_json::Value) {
    sqlx::query_as("SELECT (SELECT count(*) FROM users_sum), to_jsonb(p) FROM users_projections AS p")
        .fetch_one(&world.db())
        .await
        .unwrap()
}

pub async fn who_was_relieved_writes_nothing(place: Place) {
    let (world, member) = settled(place, 100).await;
    let projection = world.projection().await;
    let owners = ["/users".to_owned()];
    let first = projection.replace(Uuid::new_v4(), LEASE).await.unwrap();
    projection.begin(&first, &owners).await.unwrap();
    let second = projection.replace(Uuid::new_v4(), LEASE).await.unwrap();
    projection.begin(&second, &owners).await.unwrap();
    let other_member = Work {
        member: Uuid::new_v4(),
        ..second
    };
    let page = world.outbox.page(0, 100).await.unwrap();
    let items: Vec<&HistoryItem> = page.items.iter().collect();
    let piece = Piece {
        owner: "/users",
        items: &items,
        events: 10,
        cursor: Cursor::default(),
    };
    let before = rows(&world).await;
    for work in [first, other_member] {
        assert!(is_lost(projection.begin(&work, &owners).await));
        assert!(is_lost(projection.fill(&work, &piece).await));
        assert!(is_lost(projection.renew(&work).await));
        assert!(is_lost(projection.has_seen(&work, &[]).await));
        assert!(is_lost(projection.compare(&work, &[]).await));
        assert!(is_lost(projection.switch(&work, None).await));
        assert!(projection.take(work.member, LEASE).await.unwrap().is_none());
        projection.release(work.member).await.unwrap();
    }
    assert_eq!(rows(&world).await, before);
    assert!(projection.generations().is_some());
    projection.fill(&second, &piece).await.unwrap();
    assert!(rows(&world).await.0 > before.0);
    projection.release(second.member).await.unwrap();
    finish(&member.with_lease(Duration::from_secs(5))).await;
    assert_eq!(world.content().await, added(&ten()));
}
