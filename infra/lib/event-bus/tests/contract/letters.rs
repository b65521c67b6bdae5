//! Dead letters: none is lost before it was replayed, none stays for ever after.

use std::time::Duration;

use emporium_event_bus::bus::DeadLetter;
use emporium_event_bus::{CloudEvent, EventData};
use emporium_service_kit::Clock;

use crate::support::place::Place;
use crate::support::{Ping, number, travelling};

fn numbers(letters: &[DeadLetter]) -> Vec<i64> {
    letters.iter().map(|letter| number(&letter.event)).collect()
}

pub async fn letters_are_kept_in_order_and_by_group(place: Place) {
    let bus = place.bus().await;
    let events: Vec<_> = (1..=5).map(travelling).collect();
    bus.set_group("a", 0).await.unwrap();
    for event in &events {
        bus.dead_letter("a", event, "no", 5).await.unwrap();
    }
    bus.dead_letter("b", &events[0], "never", 5).await.unwrap();
    // The same event again: one letter, the newer reason, more tries, its old place.
    bus.dead_letter("a", &events[1], "ü\n'\"", 5).await.unwrap();
    let all = bus.dead_letters("a", 0, 10).await.unwrap();
    assert_eq!(numbers(&all), [1, 2, 3, 4, 5]);
    assert_eq!((all[1].error.as_str(), all[1].attempts), ("ü\n'\"", 10));
    let letter = &all[0];
    assert_eq!(
        (letter.group.as_str(), letter.event.kind.as_str()),
        ("a", Ping::TYPE)
    );
    let data = |event: &CloudEvent| event.data::<serde_json::Value>().unwrap();
    assert_eq!(data(&letter.event), data(&events[0]));
    let age = Clock::System.now() - letter.at;
    assert!(age.abs() < time::Duration::minutes(1), "{age}");
    let page = bus.dead_letters("a", all[1].id, 2).await.unwrap();
    assert_eq!(numbers(&page), [3, 4]);
    let found = bus.find_dead_letter("a", all[2].id).await.unwrap().unwrap();
    assert_eq!((number(&found.event), found.replayed_at), (3, None));
    assert!(bus.find_dead_letter("b", all[2].id).await.unwrap().is_none());
    assert!(bus.find_dead_letter("a", i64::MAX).await.unwrap().is_none());
    bus.mark_replayed("a", i64::MAX).await.unwrap();
    assert_eq!(numbers(&bus.dead_letters("b", 0, 10).await.unwrap()), [1]);
}

pub async fn letters_go_some_time_after_their_replay_and_not_before(place: Place) {
    let bus = place.bus().await;
    bus.set_group("a", 0).await.unwrap();
    for number in 1..=4 {
        bus.dead_letter("a", &travelling(number), "no", 5).await.unwrap();
    }
    let letters = bus.dead_letters("a", 0, 10).await.unwrap();
    for letter in &letters[..3] {
        bus.mark_replayed("a", letter.id).await.unwrap();
    }
    let replayed = bus.find_dead_letter("a", letters[0].id).await.unwrap().unwrap();
    assert!(replayed.replayed_at.unwrap() >= replayed.at);
    // The second one failed again since, so it waits for another replay.
    bus.dead_letter("a", &letters[1].event, "again", 5).await.unwrap();
    bus.trim(Duration::ZERO).await.unwrap();
    assert_eq!(
        bus.dead_letters("a", 0, 10).await.unwrap().len(),
        4,
        "too early for all"
    );
    tokio::time::sleep(Duration::from_millis(2)).await;
    bus.trim_both(Duration::ZERO, Duration::ZERO).await.unwrap();
    assert_eq!(numbers(&bus.dead_letters("a", 0, 10).await.unwrap()), [2, 4]);
    let again = bus.find_dead_letter("a", letters[1].id).await.unwrap().unwrap();
    assert_eq!((again.replayed_at, again.attempts), (None, 10));
}
