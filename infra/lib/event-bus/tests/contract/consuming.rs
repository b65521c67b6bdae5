//! Consumer groups: every event counts once, whatever is delivered twice or cannot be applied.

use std::sync::atomic::Ordering;
use std::time::Duration;

use emporium_event_bus::consumer::ATTEMPTS_MAX;
use emporium_event_bus::{CloudEvent, EventData};
use uuid::Uuid;

use crate::support::place::Place;
use crate::support::setup::{Setup, drain, setup_on};
use crate::support::sums::{NAME, total};
use crate::support::{Ping, bus_numbers, take, travelling};

pub async fn redelivered_events_count_once(place: Place) {
    let Setup {
        fixture, bus, group, ..
    } = setup_on(place).await;
    let events: Vec<_> = (1..=10).map(travelling).collect();
    bus.append(&events).await.unwrap();
    bus.append(&events).await.unwrap();
    drain(&group).await;
    assert_eq!(total(&fixture.db()).await, (55, 10));
    // As after a crash between the effect and the acknowledgement: the group is set back and reads all again.
    bus.set_group(NAME, 0).await.unwrap();
    drain(&group).await;
    assert_eq!(total(&fixture.db()).await, (55, 10));
}

pub async fn one_bad_event_becomes_a_dead_letter_and_can_be_replayed(place: Place) {
    let Setup {
        fixture,
        bus,
        group,
        sums,
        ..
    } = setup_on(place).await;
    bus.append(&(11..=15).map(travelling).collect::<Vec<_>>())
        .await
        .unwrap();
    drain(&group).await;
    assert_eq!(
        total(&fixture.db()).await,
        (11 + 12 + 14 + 15, 4),
        "the others went through, once"
    );
    let letters = bus.dead_letters(NAME, 0, 10).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(
        (letters[0].attempts, letters[0].error.as_str()),
        (ATTEMPTS_MAX, "thirteen")
    );
    assert!(group.replay(&letters[0]).await.is_err(), "still refused");
    sums.strict.store(false, Ordering::SeqCst);
    group.replay(&letters[0]).await.unwrap();
    group.replay(&letters[0]).await.unwrap();
    assert_eq!(total(&fixture.db()).await, (65, 5), "replaying twice counts once");
    assert!(
        bus.find_dead_letter(NAME, letters[0].id)
            .await
            .unwrap()
            .unwrap()
            .replayed_at
            .is_some()
    );
}

pub async fn a_batch_of_large_events_is_short_and_loses_none(place: Place) {
    let Setup {
        fixture, bus, group, ..
    } = setup_on(place).await;
    let events: Vec<_> = (20..60)
        .map(|number| of_kind(Ping::TYPE, number, 600_000))
        .collect();
    for few in events.chunks(10) {
        bus.append(few).await.unwrap();
    }
    let batch = take(&bus, NAME, Uuid::nil(), 100, Duration::ZERO).await;
    assert!(
        (1..20).contains(&batch.deliveries.len()),
        "{}",
        batch.deliveries.len()
    );
    assert_eq!(
        batch.position,
        i64::try_from(batch.deliveries.len()).unwrap(),
        "no further than what was read"
    );
    drain(&group).await;
    assert_eq!(total(&fixture.db()).await, ((20..60).sum(), 40));
}

pub async fn events_that_are_there_already_are_left_out_of_a_long_append_as_well(place: Place) {
    let Setup {
        fixture, bus, group, ..
    } = setup_on(place).await;
    let events: Vec<_> = (20..220).map(travelling).collect();
    bus.append(&events[..100]).await.unwrap();
    let twice: Vec<_> = [&events[50..], &events[150..]].concat();
    bus.append(&twice).await.unwrap();
    drain(&group).await;
    assert_eq!(total(&fixture.db()).await, ((20..220).sum(), 200));
    assert_eq!(bus_numbers(&bus).await, (20..220).collect::<Vec<_>>());
}

fn of_kind(kind: &str, number: i64, padding: usize) -> CloudEvent {
    let mut event = travelling(number);
    kind.clone_into(&mut event.kind);
    let data = serde_json::json!({ "writer": 0, "number": number, "padding": noise(padding) });
    event.data = serde_json::value::to_raw_value(&data).unwrap();
    event
}

/// Text that cannot be made smaller.
fn noise(length: usize) -> String {
    (0..=length / 32)
        .map(|_| Uuid::new_v4().simple().to_string())
        .collect()
}

pub async fn what_a_group_does_not_want_is_passed(place: Place) {
    let Setup {
        fixture, bus, group, ..
    } = setup_on(place).await;
    let mut events: Vec<_> = (0..300).map(|number| of_kind("other.v1", number, 0)).collect();
    events.extend((1..=10).map(travelling));
    events.extend((0..300).map(|number| of_kind("other.v1", number, 0)));
    bus.append(&events).await.unwrap();
    let batch = take(&bus, NAME, Uuid::nil(), 10, Duration::ZERO).await;
    assert_eq!(
        (batch.deliveries.len(), batch.position, batch.passed),
        (10, 310, 310)
    );
    let all_wanted = batch
        .deliveries
        .iter()
        .all(|taken| taken.event.kind == Ping::TYPE);
    assert!(all_wanted);
    drain(&group).await;
    assert_eq!(bus.group_position(NAME).await.unwrap(), Some(610));
    assert_eq!(total(&fixture.db()).await, (55, 10));
}
