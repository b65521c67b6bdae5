//! Claiming and acknowledging: who holds what, in which order it comes, and what a member that was relieved may not do.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use emporium_event_bus::Bus;
use emporium_event_bus::bus::{Batch, BusError, Capability};
use uuid::Uuid;

use crate::support::place::Place;
use crate::support::{built_from, claim, number, take, travelling};

const LEASE: Duration = Duration::from_secs(30);
const GROUP: &str = "sum";

/// A bus with the events 1 to `last` and a group before them.
async fn with_events(place: &Place, last: i64) -> Arc<dyn Bus> {
    let bus = place.bus().await;
    bus.append(&(1..=last).map(travelling).collect::<Vec<_>>())
        .await
        .unwrap();
    bus.set_group(GROUP, 0).await.unwrap();
    bus
}

fn positions(batch: &Batch) -> Vec<i64> {
    batch.deliveries.iter().map(|taken| taken.position).collect()
}

fn is_lost(result: &Result<(), BusError>) -> bool {
    matches!(result, Err(BusError::LeaseLost(_)))
}

fn lacks(bus: &Arc<dyn Bus>, capability: Capability) -> bool {
    bus.lacks().contains(&capability)
}

pub async fn a_member_gets_what_it_did_not_acknowledge_again(place: Place) {
    let bus = with_events(&place, 10).await;
    let member = Uuid::new_v4();
    for _ in 0..2 {
        let batch = take(&bus, GROUP, member, 4, LEASE).await;
        assert_eq!(positions(&batch), [1, 2, 3, 4]);
    }
    let batch = take(&bus, GROUP, member, 4, LEASE).await;
    bus.acknowledge(GROUP, member, &batch).await.unwrap();
    // Twice, as after a lost answer.
    bus.acknowledge(GROUP, member, &batch).await.unwrap();
    let progress = bus.progress(GROUP).await.unwrap().unwrap();
    assert_eq!((progress.position, progress.end, progress.lag), (4, 10, 6));
    let rest = take(&bus, GROUP, member, 100, LEASE).await;
    assert_eq!(positions(&rest), (5..=10).collect::<Vec<_>>());
    let number = number(&rest.deliveries[0].event);
    assert_eq!(number, 5, "the event at that place");
    bus.acknowledge(GROUP, member, &rest).await.unwrap();
    let progress = bus.progress(GROUP).await.unwrap().unwrap();
    assert_eq!((progress.position, progress.lag), (10, 0));
    assert_eq!(bus.progress("nobody").await.unwrap(), None);
    let nobody = bus.claim("nobody", member, &[], 1, LEASE).await.unwrap();
    assert!(nobody.is_none());
}

pub async fn a_member_that_was_relieved_can_acknowledge_nothing(place: Place) {
    let bus = with_events(&place, 6).await;
    let (first, second) = (Uuid::new_v4(), Uuid::new_v4());
    let taken = take(&bus, GROUP, first, 3, LEASE).await;
    bus.release(GROUP, first).await.unwrap();
    let same = take(&bus, GROUP, second, 3, LEASE).await;
    assert_eq!(positions(&taken), positions(&same));
    assert!(is_lost(&bus.acknowledge(GROUP, first, &taken).await));
    assert!(is_lost(&bus.renew(GROUP, first, LEASE).await));
    bus.renew(GROUP, second, LEASE).await.unwrap();
    // A lease that has run out is as good as released.
    bus.renew(GROUP, second, Duration::ZERO).await.unwrap();
    let third = Uuid::new_v4();
    let again = take(&bus, GROUP, third, 2, LEASE).await;
    assert_eq!(positions(&again), [1, 2], "less than the one before had");
    assert!(
        is_lost(&bus.acknowledge(GROUP, second, &same).await),
        "as a whole"
    );
    assert!(is_lost(&bus.renew(GROUP, second, LEASE).await));
    bus.acknowledge(GROUP, third, &again).await.unwrap();
    assert_eq!(bus.group_position(GROUP).await.unwrap(), Some(2));
    // One that comes back gets nothing of what it had acknowledged in vain, by that late batch either.
    let third_has = take(&bus, GROUP, third, 2, LEASE).await;
    let _ = bus
        .claim(GROUP, second, &["test.ping.v1"], 1, LEASE)
        .await
        .unwrap();
    assert!(is_lost(&bus.acknowledge(GROUP, second, &same).await) || lacks(&bus, Capability::Parallel));
    bus.acknowledge(GROUP, third, &third_has).await.unwrap();
    assert_eq!(bus.group_position(GROUP).await.unwrap(), Some(4));
    // What is not lost by somebody else's work is still there when the lease was over for a while.
    bus.release(GROUP, second).await.unwrap();
    let late = take(&bus, GROUP, third, 10, Duration::ZERO).await;
    bus.acknowledge(GROUP, third, &late).await.unwrap();
    assert_eq!(bus.progress(GROUP).await.unwrap().unwrap().lag, 0);
}

pub async fn members_share_or_queue_as_the_adapter_says(place: Place) {
    let bus = with_events(&place, 9).await;
    let members = [Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4()];
    let first = take(&bus, GROUP, members[0], 3, LEASE).await;
    if lacks(&bus, Capability::Parallel) {
        for other in &members[1..] {
            assert!(claim(&bus, GROUP, *other, 3, LEASE).await.is_empty(), "it queues");
        }
        bus.acknowledge(GROUP, members[0], &first).await.unwrap();
        assert!(
            claim(&bus, GROUP, members[1], 3, LEASE).await.is_empty(),
            "until it is released"
        );
        return;
    }
    let second = take(&bus, GROUP, members[1], 3, LEASE).await;
    let third = take(&bus, GROUP, members[2], 100, LEASE).await;
    assert_eq!(
        [positions(&second), positions(&third)],
        [vec![4, 5, 6], vec![7, 8, 9]]
    );
    bus.acknowledge(GROUP, members[2], &third).await.unwrap();
    let progress = bus.progress(GROUP).await.unwrap().unwrap();
    assert_eq!(
        (progress.position, progress.lag),
        (0, 6),
        "what is before it is under way"
    );
    bus.acknowledge(GROUP, members[0], &first).await.unwrap();
    assert_eq!(bus.group_position(GROUP).await.unwrap(), Some(3));
    bus.acknowledge(GROUP, members[1], &second).await.unwrap();
    assert_eq!(bus.group_position(GROUP).await.unwrap(), Some(9));
}

pub async fn what_was_left_behind_comes_as_the_adapter_says(place: Place) {
    let bus = with_events(&place, 3).await;
    let (dead, alive) = (Uuid::new_v4(), Uuid::new_v4());
    take(&bus, GROUP, dead, 3, LEASE).await;
    bus.append(&[travelling(4)]).await.unwrap();
    let newer = claim(&bus, GROUP, alive, 10, LEASE).await;
    if lacks(&bus, Capability::Ordered) {
        assert_eq!(newer.len(), 1);
        assert_eq!(newer[0].position, 4, "newer than what is under way");
    } else {
        assert!(newer.is_empty(), "not before what is under way");
    }
    bus.renew(GROUP, dead, Duration::ZERO).await.unwrap();
    let mut came: Vec<i64> = newer.iter().map(|taken| taken.position).collect();
    loop {
        let batch = take(&bus, GROUP, alive, 10, LEASE).await;
        came.extend(positions(&batch));
        bus.acknowledge(GROUP, alive, &batch).await.unwrap();
        if bus.progress(GROUP).await.unwrap().unwrap().lag == 0 {
            break;
        }
    }
    came.dedup(); // an adapter that is not ordered has given 4 twice
    let expected = if lacks(&bus, Capability::Ordered) {
        [4, 1, 2, 3]
    } else {
        [1, 2, 3, 4]
    };
    assert_eq!(came, expected);
}

/// Many members work at once; each now and then dies with a batch in its hands.
pub async fn members_that_die_again_and_again_lose_nothing(place: Place) {
    const EVENTS: i64 = 400;
    let bus = with_events(&place, EVENTS).await;
    let (done, steps) = (
        Arc::new(std::sync::Mutex::new(BTreeSet::new())),
        Arc::new(AtomicUsize::new(0)),
    );
    let workers: Vec<_> = (0..6)
        .map(|_| {
            let (bus, done, steps) = (bus.clone(), done.clone(), steps.clone());
            tokio::spawn(async move {
                let mut member = Uuid::new_v4();
                while bus.progress(GROUP).await.unwrap().unwrap().lag > 0 {
                    let lease = Duration::from_millis(100);
                    let Some(batch) = bus
                        .claim(GROUP, member, &["test.ping.v1"], 7, lease)
                        .await
                        .unwrap()
                    else {
                        continue;
                    };
                    if steps.fetch_add(1, Ordering::Relaxed) % 5 == 0 {
                        member = Uuid::new_v4(); // it has died, and another one comes
                        continue;
                    }
                    // The effect comes before the acknowledgement, as with an inbox.
                    done.lock().unwrap().extend(positions(&batch));
                    let _ = bus.acknowledge(GROUP, member, &batch).await;
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    let done = done.lock().unwrap();
    assert_eq!(
        done.iter().copied().collect::<Vec<_>>(),
        (1..=EVENTS).collect::<Vec<_>>()
    );
}

pub async fn a_group_that_is_rebuilt_gives_nobody_anything(place: Place) {
    let bus = with_events(&place, 4).await;
    let (member, builder) = (Uuid::new_v4(), Uuid::new_v4());
    let sources = ["/users".to_owned(), "/orders".to_owned()];
    built_from(&bus, GROUP, &sources, 0).await;
    let taken = take(&bus, GROUP, member, 4, LEASE).await;
    bus.missed("/nobody").await.unwrap();
    assert_eq!(bus.progress("nobody").await.unwrap(), None);
    bus.renew(GROUP, member, LEASE).await.unwrap();
    bus.missed("/users").await.unwrap();
    assert!(is_lost(&bus.acknowledge(GROUP, member, &taken).await));
    assert!(is_lost(&bus.renew(GROUP, member, LEASE).await));
    assert!(is_lost(&bus.finish_rebuild(GROUP, builder).await), "not begun");
    let begun = bus.begin_rebuild(GROUP, builder, LEASE, &sources).await.unwrap();
    assert_eq!(begun, Some(4));
    assert_eq!(
        bus.begin_rebuild(GROUP, member, LEASE, &sources).await.unwrap(),
        None
    );
    bus.append(&[travelling(5)]).await.unwrap();
    assert!(claim(&bus, GROUP, member, 9, LEASE).await.is_empty());
    assert_eq!(
        bus.trim(Duration::ZERO).await.unwrap(),
        4,
        "what comes after it stays"
    );
    bus.renew(GROUP, builder, LEASE).await.unwrap();
    bus.finish_rebuild(GROUP, builder).await.unwrap();
    let batch = take(&bus, GROUP, member, 9, LEASE).await;
    assert_eq!(positions(&batch), [5]);
    // Only groups that read a source are told of what it has not published here.
    bus.missed("/user").await.unwrap();
    bus.missed("/catalog").await.unwrap();
    bus.acknowledge(GROUP, member, &batch).await.unwrap();
    bus.missed("/orders").await.unwrap();
    assert_eq!(bus.progress(GROUP).await.unwrap(), None);
    // One who died while building is relieved when its lease is over.
    assert!(
        bus.begin_rebuild(GROUP, builder, Duration::ZERO, &sources)
            .await
            .unwrap()
            .is_some()
    );
    tokio::time::sleep(Duration::from_millis(2)).await;
    let relieved = bus.begin_rebuild(GROUP, member, LEASE, &sources).await.unwrap();
    assert!(relieved.is_some());
    assert!(is_lost(&bus.finish_rebuild(GROUP, builder).await));
    bus.finish_rebuild(GROUP, member).await.unwrap();
    assert_eq!(bus.progress(GROUP).await.unwrap().unwrap().lag, 0);
}
