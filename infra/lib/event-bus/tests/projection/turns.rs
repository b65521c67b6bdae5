//! Who writes when: filling waits for living effects, and nobody writes for a rebuild that has another master.

use std::time::{Duration, Instant};

use emporium_event_bus::consumer::Unit;
use emporium_event_bus::projection::{BuildError, Cursor, Generations, Piece, Work};
use emporium_event_bus::{Consumer, history::HistoryItem};
use emporium_test_kit::eventually;
use uuid::Uuid;

use crate::beside::{LEASE, finish, settled, ten};
use crate::support::place::Place;
use crate::support::sums::{World, added};

/// Waits until such a statement waits for somebody's lock.
async fn waits_for_a_row(world: &World, statement: &str) {
    eventually(statement, 5, async || {
        let waiting: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE $1",
        )
        .bind(statement)
        .fetch_one(&world.db())
        .await
        .unwrap();
        (waiting > 0).then_some(())
    })
    .await;
}

/// Else both could hold rows that the other one needs.
pub async fn filling_and_living_effects_take_turns(place: Place) {
    let (world, member) = settled(place, 100).await;
    member.request_rebuild().await.unwrap();
    assert_eq!(member.rebuild_unit().await.unwrap(), Unit::Done);
    world.write(&[(1, 100)]).await;
    world.relay().await;
    world.sums.closed.send_replace(true);
    let living = world.member(LEASE).await;
    let living = tokio::spawn(async move { living.step().await });
    world.sums.entered.notified().await;
    let filling = tokio::spawn(async move {
        member.rebuild_unit().await.unwrap();
        member
    });
    waits_for_a_row(&world, "UPDATE users_projections%").await;
    world.sums.closed.send_replace(false);
    assert!(living.await.unwrap().unwrap() > 0);
    finish(&filling.await.unwrap()).await;
    let pings: Vec<_> = ten().into_iter().chain([(1, 100)]).collect();
    assert_eq!(world.content().await, added(&pings));
    assert_eq!(world.standing().await.outcome.unwrap().equal, Some(true));
}

/// Whether the projection's row may be changed just now.
async fn row_is_free(world: &World) -> bool {
    let mut tx = world.db().begin().await.unwrap();
    let taken = sqlx::query("SELECT FROM users_projections WHERE projection = 'sums' FOR UPDATE NOWAIT")
        .execute(&mut tx)
        .await;
    let code = |error: &sqlx::Error| error.as_database_error().and_then(|e| e.code().map(Into::into));
    match taken {
        Ok(_) => true,
        Err(error) => {
            let code: Option<String> = code(&error);
            assert_eq!(code.as_deref(), Some("55P03"), "{error}");
            false
        }
    }
}

/// Which generations an effect goes to is settled until it has committed.
pub async fn nobody_switches_under_an_effect(place: Place) {
    let (world, _) = settled(place, 100).await;
    assert!(row_is_free(&world).await);
    world.write(&[(1, 100)]).await;
    world.relay().await;
    world.sums.closed.send_replace(true);
    let living = world.member(LEASE).await;
    let living = tokio::spawn(async move { living.step().await });
    world.sums.entered.notified().await;
    assert!(!row_is_free(&world).await, "the effect holds it");
    world.sums.closed.send_replace(false);
    living.await.unwrap().unwrap();
    assert!(row_is_free(&world).await);
}

/// Which generation loses its claims is settled until they are gone: after a switch they would be the live one's.
pub async fn nobody_switches_under_the_removal_of_old_claims(place: Place) {
    let (world, _) = settled(place, 100).await;
    let claim = "INSERT INTO users_inbox (consumer, event_id) VALUES ('sums/0', gen_random_uuid())";
    world.run_sql(claim).await;
    let mut holder = world.db().begin().await.unwrap();
    sqlx::query("SELECT FROM users_inbox WHERE consumer = 'sums/0' FOR UPDATE")
        .execute(&mut holder)
        .await
        .unwrap();
    let projection = world.projection().await;
    let reaping = tokio::spawn(async move { projection.reap(emporium_event_bus::inbox::KEPT).await });
    waits_for_a_row(&world, "DELETE FROM users_inbox%").await;
    assert!(!row_is_free(&world).await, "who removes holds it");
    holder.rollback().await.unwrap();
    assert_eq!(reaping.await.unwrap().unwrap(), 1);
    assert!(row_is_free(&world).await);
}

/// Emptying a generation needs it for itself. While a long query reads it, others go on.
pub async fn emptying_holds_up_no_queries(place: Place) {
    let (world, member) = settled(place, 100).await;
    member.request_rebuild().await.unwrap();
    let mut reader = world.db().begin().await.unwrap();
    sqlx::query("SELECT FROM users_sum_g0")
        .execute(&mut reader)
        .await
        .unwrap();
    let beginning = tokio::spawn(async move {
        assert_eq!(member.rebuild_unit().await.unwrap(), Unit::Done);
        member
    });
    for _ in 0..3 {
        waits_for_a_row(&world, "TRUNCATE%").await;
        let asked = Instant::now();
        sqlx::query("SELECT FROM users_sum_g0")
            .execute(&world.db())
            .await
            .unwrap();
        assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    }
    reader.rollback().await.unwrap();
    finish(&beginning.await.unwrap()).await;
    assert_eq!(world.standing().await.outcome.unwrap().equal, Some(true));
}

fn is_lost<T>(result: &Result<T, BuildError>) -> bool {
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
        assert!(is_lost(&projection.begin(&work, &owners).await));
        assert!(is_lost(&projection.fill(&work, &piece).await));
        assert!(is_lost(&projection.renew(&work).await));
        assert!(is_lost(&projection.has_seen(&work, &[]).await));
        assert!(is_lost(&projection.compare(&work, &[]).await));
        assert!(is_lost(&projection.switch(&work, None).await));
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
