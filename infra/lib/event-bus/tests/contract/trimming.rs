//! Trimming: old enough, and acknowledged by everybody.

use std::time::Duration;

use uuid::Uuid;

use crate::support::place::Place;
use crate::support::setup::{Setup, drain, setup_on};
use crate::support::sums::NAME;
use crate::support::{built_from, bus_numbers, take, travelling};

const LEASE: Duration = Duration::from_secs(30);

pub async fn trimming_stays_behind_the_slowest_group(place: Place) {
    let Setup { bus, group, .. } = setup_on(place).await;
    let events: Vec<_> = (1..=10).map(travelling).collect();
    bus.append(&events).await.unwrap();
    built_from(&bus, "slow", &["/users".to_owned()], 4).await;
    drain(&group).await;
    assert_eq!(
        bus.trim(Duration::from_hours(1)).await.unwrap(),
        0,
        "not old enough"
    );
    assert_eq!(bus.trim(Duration::ZERO).await.unwrap(), 4);
    assert_eq!(bus.trim(Duration::ZERO).await.unwrap(), 0);
    assert_eq!(bus_numbers(&bus).await, [5, 6, 7, 8, 9, 10]);
    // A group that stands still for its rebuild keeps what it has not passed.
    bus.missed("/users").await.unwrap();
    assert_eq!(bus.progress("slow").await.unwrap(), None);
    assert_eq!(bus.trim(Duration::ZERO).await.unwrap(), 0);
    // One that is gone for good is removed by hand, and nothing is kept for it any more.
    bus.remove_group("slow").await.unwrap();
    bus.append(&[travelling(11)]).await.unwrap();
    assert_eq!(bus.trim(Duration::ZERO).await.unwrap(), 6);
    assert_eq!(bus_numbers(&bus).await, [11]);
    // The ids went with the events, so one of them would be appended again; positions go on.
    bus.append(&events[9..]).await.unwrap();
    assert_eq!(bus_numbers(&bus).await, [11, 10]);
    assert_eq!(bus.end().await.unwrap(), 12);
    // Without any group nobody has acknowledged anything.
    bus.remove_group(NAME).await.unwrap();
    assert_eq!(bus.trim(Duration::ZERO).await.unwrap(), 0);
}

pub async fn what_was_taken_and_not_acknowledged_is_not_trimmed(place: Place) {
    let Setup { bus, group, .. } = setup_on(place).await;
    bus.append(&(1..=6).map(travelling).collect::<Vec<_>>())
        .await
        .unwrap();
    bus.set_group("slow", 0).await.unwrap();
    drain(&group).await;
    let member = Uuid::new_v4();
    let batch = take(&bus, "slow", member, 2, LEASE).await;
    assert_eq!(bus.trim(Duration::ZERO).await.unwrap(), 0);
    bus.acknowledge("slow", member, &batch).await.unwrap();
    take(&bus, "slow", member, 100, Duration::ZERO).await;
    assert_eq!(bus.trim(Duration::ZERO).await.unwrap(), 2);
    let other = Uuid::new_v4();
    let rest = take(&bus, "slow", other, 100, LEASE).await;
    assert_eq!(rest.deliveries.len(), 4);
    assert_eq!(bus.trim(Duration::ZERO).await.unwrap(), 0, "nor after its lease");
    bus.acknowledge("slow", other, &rest).await.unwrap();
    assert_eq!(bus.trim(Duration::ZERO).await.unwrap(), 4);
    assert_eq!(bus_numbers(&bus).await, Vec::<i64>::new());
}

pub async fn a_long_backlog_is_trimmed_in_steps(place: Place) {
    let bus = place.bus().await;
    for from in (0..12_000).step_by(2_000) {
        let events: Vec<_> = (from..from + 2_000).map(travelling).collect();
        bus.append(&events).await.unwrap();
    }
    bus.set_group(NAME, 11_990).await.unwrap();
    assert_eq!(bus.trim(Duration::from_mins(10)).await.unwrap(), 0);
    assert_eq!(bus.trim(Duration::ZERO).await.unwrap(), 11_990);
    assert_eq!(bus_numbers(&bus).await, (11_990..12_000).collect::<Vec<_>>());
}
