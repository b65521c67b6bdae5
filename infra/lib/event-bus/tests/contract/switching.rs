//! Moving between buses with events under way, by the outbox and the histories.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use emporium_event_bus::{Bus, ConsumerGroup, EventsReport, Outbox};

use crate::support::place::Place;
use crate::support::setup::{self, drain, owner};
use crate::support::sums::{NAME, Sums, total};

/// Relay and group work until there is nothing to do, as they do in running services.
async fn settle(outbox: &Outbox, bus: &Arc<dyn Bus>, group: &ConsumerGroup) {
    for _ in 0..2 {
        outbox.check(bus.as_ref()).await.unwrap();
        while outbox.relay_step(bus.as_ref()).await.unwrap() > 0 {}
        group.join().await.unwrap();
        drain(group).await;
    }
}

fn up_to(last: i64) -> (i64, i64) {
    ((1..=last).sum(), last)
}

pub async fn moving_to_another_bus_and_back_loses_nothing_and_counts_once(place: Place) {
    let fixture = setup::fixture_on(place).await;
    let (db, outbox) = (fixture.db(), fixture.outbox().await);
    let start = owner(outbox.clone()).await;
    let (here, there) = (fixture.bus().await, Place::postgres().await.bus().await);
    let sums = Sums::new();
    sums.strict.store(false, Ordering::SeqCst);
    let group_on = async |bus: &Arc<dyn Bus>| sums.group(&fixture, bus, start.clone()).await;
    fixture.write(&outbox, 1..=20).await;
    settle(&outbox, &here, &group_on(&here).await).await;
    assert_eq!(total(&db).await, up_to(20));
    let mut last = 20;
    for bus in [&there, &here, &there, &here] {
        // What is under way on the bus that is left: published and not read, and not even published.
        let left = if Arc::ptr_eq(bus, &there) { &here } else { &there };
        fixture.write(&outbox, last + 1..=last + 10).await;
        while outbox.relay_step(left.as_ref()).await.unwrap() > 0 {}
        fixture.write(&outbox, last + 11..=last + 15).await;
        last += 15;
        // Of new processes, as after a restart with another setting.
        settle(&outbox, bus, &group_on(bus).await).await;
        assert_eq!(total(&db).await, up_to(last));
        assert_eq!(bus.progress(NAME).await.unwrap().unwrap().lag, 0);
    }
}

/// Services move one by one: the consumer has read the history already when the owner still publishes elsewhere.
pub async fn a_relay_that_comes_late_has_the_groups_rebuilt(place: Place) {
    let fixture = setup::fixture_on(place).await;
    let (db, outbox) = (fixture.db(), fixture.outbox().await);
    let start = owner(outbox.clone()).await;
    let (old, new) = (Place::postgres().await.bus().await, fixture.bus().await);
    fixture.write(&outbox, 1..=5).await;
    while outbox.relay_step(old.as_ref()).await.unwrap() > 0 {}
    let group = Sums::new().group(&fixture, &new, start).await;
    group.join().await.unwrap();
    assert_eq!(total(&db).await, up_to(5));
    fixture.write(&outbox, 6..=8).await;
    while outbox.relay_step(old.as_ref()).await.unwrap() > 0 {}
    drain(&group).await;
    assert_eq!(total(&db).await, up_to(5), "on the bus that was left");
    assert!(!outbox.check(new.as_ref()).await.unwrap());
    drain(&group).await;
    assert_eq!(total(&db).await, up_to(8));
    assert!(outbox.check(new.as_ref()).await.unwrap(), "it has joined");
    fixture.write(&outbox, [9]).await;
    settle(&outbox, &new, &group).await;
    assert_eq!(total(&db).await, up_to(9));
    // And the same with the relay doing it all: it looks when it starts, not only when it publishes.
    assert!(!outbox.check(old.as_ref()).await.unwrap());
}

pub async fn a_report_counts_what_is_under_way(place: Place) {
    let fixture = setup::fixture_on(place).await;
    let (outbox, bus) = (fixture.outbox().await, fixture.bus().await);
    let start = owner(outbox.clone()).await;
    let group = Arc::new(Sums::new().group(&fixture, &bus, start).await);
    let report = EventsReport::of(&bus).group(&group).outbox(&outbox).shared();
    assert_eq!(report.inspect().await.lag, None, "not built yet");
    group.join().await.unwrap();
    fixture.write(&outbox, 1..=4).await;
    while outbox.relay_step(bus.as_ref()).await.unwrap() > 0 {}
    fixture.write(&outbox, 5..=7).await;
    let told = report.inspect().await;
    assert_eq!((told.lag, told.error.as_deref()), (Some(7), None));
    assert_eq!(
        (told.role.as_str(), told.adapter.as_str()),
        ("events", bus.adapter())
    );
    assert_eq!(told.lacks.len(), bus.lacks().len());
    assert!(told.version.is_some() && told.durability.is_some());
    while outbox.relay_step(bus.as_ref()).await.unwrap() > 0 {}
    drain(&group).await;
    assert_eq!(report.inspect().await.lag, Some(0));
}
