//! What differs is told exactly, and the rebuilt generation replaces it.

use std::sync::atomic::Ordering;

use emporium_event_bus::consumer::Unit;
use emporium_test_kit::eventually;

use crate::beside::{LEASE, finish, settled, ten};
use crate::support::place::Place;
use crate::support::setup::drain;
use crate::support::sums::{NAME, World, added};

pub async fn a_spoilt_projection_is_told_and_replaced(place: Place) {
    let (world, member) = settled(place, 4).await;
    world
        .run_sql(
            "UPDATE users_sum SET total = total + 1 WHERE generation = 1 AND writer = 0;
             DELETE FROM users_sum WHERE generation = 1 AND writer = 1;
             INSERT INTO users_sum VALUES (1, 77, 5, 1)",
        )
        .await;
    member.request_rebuild().await.unwrap();
    finish(&member).await;
    assert_eq!(world.content().await, added(&ten()));
    let outcome = world.standing().await.outcome.unwrap();
    assert_eq!(outcome.equal, Some(false));
    assert_eq!(
        outcome.differences,
        [
            "users_sum (0): was (19,3), is (18,3)",
            "users_sum (1): was not there, is (22,4)",
            "users_sum (77): was (5,1), is not there any more",
        ]
    );
    let table = &outcome.tables[0];
    assert_eq!((table.rows_live, table.rows_rebuilt, table.equal), (3, 3, false));
    // The next one finds nothing.
    member.request_rebuild().await.unwrap();
    finish(&member).await;
    assert_eq!(world.standing().await.outcome.unwrap().equal, Some(true));
}

/// The consumer was mended meanwhile. The live one will never have that event, so it is not waited for.
pub async fn an_event_that_was_put_aside_is_applied_by_a_rebuild(place: Place) {
    let world = World::on(place, 4).await;
    world.sums.strict.store(true, Ordering::SeqCst);
    let member = world.member(LEASE).await;
    let pings: Vec<_> = ten().into_iter().chain([(1, 13), (2, 14)]).collect();
    let without: Vec<_> = pings.iter().copied().filter(|ping| ping.1 != 13).collect();
    drain(&member).await;
    world.write(&pings).await;
    world.relay().await;
    drain(&member).await;
    assert_eq!(world.content().await, added(&without));
    // As long as it is refused, it is on neither side.
    member.request_rebuild().await.unwrap();
    finish(&member).await;
    assert_eq!(world.content().await, added(&without));
    assert_eq!(world.standing().await.outcome.unwrap().equal, Some(true));
    let letters = world.bus.dead_letters(NAME, 0, 10).await.unwrap();
    assert_eq!((letters.len(), letters[0].replayed_at), (1, None));
    assert_eq!(world.bus.waiting_letters(NAME).await.unwrap(), 1);
    world.sums.strict.store(false, Ordering::SeqCst);
    member.request_rebuild().await.unwrap();
    finish(&member).await;
    assert_eq!(world.content().await, added(&pings));
    let outcome = world.standing().await.outcome.unwrap();
    assert_eq!(outcome.equal, Some(false));
    let told = &outcome.differences[0];
    assert!(
        told.contains("put aside") && told.contains(&letters[0].event.id.to_string()),
        "{told}"
    );
    // It is done with: replaying it changes nothing, and nobody has to.
    assert_eq!(world.bus.waiting_letters(NAME).await.unwrap(), 0);
    member.replay(&letters[0]).await.unwrap();
    assert_eq!(world.content().await, added(&pings));
}

/// Who rebuilt died between settling the letters and switching: whoever goes on does not wait for what never comes.
pub async fn a_kill_after_letters_were_settled_is_gone_on_from(place: Place) {
    let world = World::on(place, 100).await;
    world.sums.strict.store(true, Ordering::SeqCst);
    let member = world.member(LEASE).await;
    drain(&member).await;
    world.write(&[(1, 12), (1, 13)]).await;
    world.relay().await;
    drain(&member).await;
    world.sums.strict.store(false, Ordering::SeqCst);
    member.request_rebuild().await.unwrap();
    for _ in 0..2 {
        assert_eq!(member.rebuild_unit().await.unwrap(), Unit::Done);
    }
    let letters = world.bus.dead_letters(NAME, 0, 10).await.unwrap();
    world.bus.mark_replayed(NAME, letters[0].id).await.unwrap();
    assert_eq!(member.rebuild_unit().await.unwrap(), Unit::Switched);
    assert_eq!(world.content().await, added(&[(1, 12), (1, 13)]));
    let outcome = world.standing().await.outcome.unwrap();
    assert!(
        outcome.differences[0].contains(&letters[0].event.id.to_string()),
        "{:?}",
        outcome.differences
    );
}

/// While one is built, a letter that is replayed goes to both; when it comes again from a history, or is replayed once more
/// after the switch, it is known.
pub async fn a_letter_replayed_during_a_rebuild_counts_once_in_both(place: Place) {
    let world = World::on(place, 1).await;
    world.sums.strict.store(true, Ordering::SeqCst);
    let member = world.member(LEASE).await;
    drain(&member).await;
    world.write(&[(1, 12), (1, 13), (2, 14)]).await;
    world.relay().await;
    drain(&member).await;
    let letters = world.bus.dead_letters(NAME, 0, 10).await.unwrap();
    member.request_rebuild().await.unwrap();
    assert_eq!(member.rebuild_unit().await.unwrap(), Unit::Done);
    world.sums.strict.store(false, Ordering::SeqCst);
    member.replay(&letters[0]).await.unwrap();
    let pings = [(1, 12), (1, 13), (2, 14)];
    assert_eq!(world.content().await, added(&pings));
    finish(&member).await;
    assert_eq!(world.standing().await.outcome.unwrap().equal, Some(true));
    member.replay(&letters[0]).await.unwrap();
    assert_eq!(world.content().await, added(&pings));
}

/// The live one's claims of long ago were removed; the rebuilt one's are not missed there.
pub async fn old_events_are_compared_by_what_they_left(place: Place) {
    let (world, member) = settled(place, 4).await;
    world
        .run_sql(
            "UPDATE users_outbox SET recorded_at = recorded_at - interval '31 days';
             UPDATE users_inbox SET handled_at = handled_at - interval '31 days';
             UPDATE users_projections SET live_since = live_since - interval '31 days'",
        )
        .await;
    let consumer: &dyn emporium_event_bus::Consumer = &world.projection().await;
    assert_eq!(consumer.reap(emporium_event_bus::inbox::KEPT).await.unwrap(), 10);
    world.write(&[(1, 20)]).await;
    member.request_rebuild().await.unwrap();
    eventually("a young event is waited for", 5, async || {
        (member.rebuild_unit().await.unwrap() == Unit::Waits).then_some(())
    })
    .await;
    world.relay().await;
    finish(&member).await;
    let pings: Vec<_> = ten().into_iter().chain([(1, 20)]).collect();
    assert_eq!(world.content().await, added(&pings));
    let outcome = world.standing().await.outcome.unwrap();
    assert_eq!(outcome.equal, Some(true), "{:?}", outcome.differences);
}

/// A claim and its effect are gone, as after restoring an older backup, and the bus will not bring the event again: it is told
/// and not waited for.
pub async fn what_the_live_one_lost_is_told_and_not_waited_for(place: Place) {
    let (world, member) = settled(place, 4).await;
    let lost: uuid::Uuid = sqlx::query_scalar("SELECT id FROM users_outbox WHERE position = 10")
        .fetch_one(&world.db())
        .await
        .unwrap();
    world
        .run_sql(
            "DELETE FROM users_inbox WHERE consumer = 'sums/1'
               AND event_id = (SELECT id FROM users_outbox WHERE position = 10);
             UPDATE users_sum SET total = total - 10, number = number - 1 WHERE generation = 1 AND writer = 1;
             UPDATE users_outbox SET recorded_at = recorded_at - interval '2 minutes'",
        )
        .await;
    member.request_rebuild().await.unwrap();
    finish(&member).await;
    assert_eq!(world.content().await, added(&ten()));
    let outcome = world.standing().await.outcome.unwrap();
    assert_eq!(outcome.equal, Some(false));
    assert_eq!(
        outcome.differences,
        [
            format!("the rebuilt one has events that the live one lacks, such as {lost}"),
            "users_sum (1): was (12,3), is (22,4)".to_owned(),
        ]
    );
    member.request_rebuild().await.unwrap();
    finish(&member).await;
    let outcome = world.standing().await.outcome.unwrap();
    assert_eq!(outcome.equal, Some(true), "{:?}", outcome.differences);
}

/// Rows from before owners noted when they wrote an event down are dated by the event, so they are as old as it is.
pub async fn what_was_written_down_nobody_knows_when_is_as_old_as_it_says(place: Place) {
    let (world, member) = settled(place, 4).await;
    world
        .run_sql(
            "UPDATE users_outbox SET recorded_at = NULL, time = time - interval '40 days';
             DELETE FROM users_inbox WHERE consumer = 'sums/1'",
        )
        .await;
    member.request_rebuild().await.unwrap();
    finish(&member).await;
    let outcome = world.standing().await.outcome.unwrap();
    assert_eq!(outcome.equal, Some(true), "{:?}", outcome.differences);
}
