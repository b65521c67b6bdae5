//! Appending: in order, each event once, whoever else appends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use emporium_event_bus::Bus;
use emporium_event_bus::bus::Mark;
use futures::future::join_all;
use uuid::Uuid;

use crate::support::place::Place;
use crate::support::{Fixture, Ping, bus_numbers, claim, take, travelling};

pub async fn what_is_there_already_is_left_out(place: Place) {
    let bus = place.bus().await;
    let events: Vec<_> = (1..=6).map(travelling).collect();
    bus.append(&[]).await.unwrap();
    assert_eq!(bus.end().await.unwrap(), 0);
    let first = bus.publish(&events[..4], None).await.unwrap().unwrap();
    assert_eq!((first.event, first.position), (events[3].id, 4));
    // Twice in one append, and in two.
    let again = [events[1].clone(), events[4].clone(), events[4].clone()];
    bus.append(&again).await.unwrap();
    bus.append(&events[5..]).await.unwrap();
    let known = bus.publish(&events[2..3], Some(&first)).await.unwrap().unwrap();
    assert_eq!(
        (known.event, known.position),
        (events[2].id, 3),
        "where it is already"
    );
    assert_eq!(bus_numbers(&bus).await, [1, 2, 3, 4, 5, 6]);
}

pub async fn appending_all_at_once_keeps_everybodys_order(place: Place) {
    const WRITERS: i64 = 8;
    let writers = (0..WRITERS).map(async |writer| {
        // Each by a connection of its own, as services do it; and everything twice, as relays after a crash do it.
        let bus = place.bus().await;
        for n in 0..20 {
            let events: Vec<_> = (0..3).map(|k| travelling(writer * 1_000 + n * 3 + k)).collect();
            let (once, twice) = tokio::join!(bus.append(&events), bus.append(&events));
            once.unwrap();
            twice.unwrap();
        }
    });
    join_all(writers).await;
    let bus = place.bus().await;
    let seen = bus_numbers(&bus).await;
    for writer in 0..WRITERS {
        let own: Vec<i64> = seen.iter().copied().filter(|n| n / 1_000 == writer).collect();
        let expected: Vec<i64> = (0..60).map(|n| writer * 1_000 + n).collect();
        assert_eq!(own, expected);
    }
}

pub async fn a_single_member_reads_in_the_order_of_positions_while_others_append(place: Place) {
    let bus = place.bus().await;
    bus.set_group("sum", 0).await.unwrap();
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let bus = bus.clone();
            tokio::spawn(async move {
                for n in 0..25 {
                    bus.append(&[travelling(writer * 100 + n), travelling(writer * 100 + n)])
                        .await
                        .unwrap();
                }
            })
        })
        .collect();
    let (member, mut seen, mut at) = (Uuid::new_v4(), 0, 0);
    while seen < 8 * 25 * 2 {
        let batch = take(&bus, "sum", member, 10, Duration::from_secs(30)).await;
        for delivery in &batch.deliveries {
            assert!(delivery.position > at);
            at = delivery.position;
            seen += 1;
        }
        bus.acknowledge("sum", member, &batch).await.unwrap();
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let more = claim(&bus, "sum", member, 10, Duration::from_secs(30)).await;
    assert!(more.is_empty());
}

pub async fn a_bus_knows_whether_it_has_what_a_publisher_marked(place: Place) {
    let bus = place.bus().await;
    let start = bus.publish(&[], None).await.unwrap().unwrap();
    assert_eq!((start.event, start.position), (Uuid::nil(), 0));
    let mark = bus
        .publish(&[travelling(1), travelling(2)], Some(&start))
        .await
        .unwrap();
    let mark = mark.unwrap();
    bus.append(&[travelling(3)]).await.unwrap();
    assert_eq!(
        bus.publish(&[], Some(&mark)).await.unwrap(),
        Some(mark),
        "it has it"
    );
    let wrong = [
        (
            "another bus",
            Mark {
                bus: Uuid::new_v4(),
                ..mark
            },
        ),
        (
            "another event there",
            Mark {
                event: Uuid::new_v4(),
                ..mark
            },
        ),
        ("elsewhere", Mark { position: 3, ..mark }),
        (
            "beyond its end",
            Mark {
                position: 100,
                ..mark
            },
        ),
    ];
    for (what, mark) in wrong {
        let answer = bus.publish(&[travelling(9)], Some(&mark)).await.unwrap();
        assert_eq!(answer, None, "{what}");
    }
    assert_eq!(bus.end().await.unwrap(), 3, "nothing was appended");
    // Trimmed is not lost.
    bus.set_group("sum", 2).await.unwrap();
    assert_eq!(bus.trim(Duration::ZERO).await.unwrap(), 2);
    assert_eq!(bus.publish(&[], Some(&mark)).await.unwrap(), Some(mark));
    assert!(
        bus.publish(&[travelling(4)], Some(&mark))
            .await
            .unwrap()
            .is_some()
    );
}

pub async fn who_waits_is_woken_by_an_append(place: Place) {
    let (bus, other) = (place.bus().await, place.bus().await);
    let mut fastest = Duration::MAX;
    for number in 1..=5 {
        let seen = bus.end().await.unwrap();
        let waiting = tokio::spawn({
            let bus = bus.clone();
            async move { bus.wait(seen, Duration::from_secs(20)).await }
        });
        // It may not listen yet; then the next append wakes it.
        let started = Instant::now();
        while !waiting.is_finished() {
            other.append(&[travelling(number)]).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        fastest = fastest.min(started.elapsed());
        waiting.await.unwrap();
    }
    assert!(fastest < Duration::from_millis(500), "{fastest:?}");
    let started = Instant::now();
    bus.wait(i64::MAX, Duration::from_millis(300)).await;
    assert!(started.elapsed() < Duration::from_secs(2), "bounded");
}

pub async fn two_relays_publish_every_event_once_and_in_order(place: Place) {
    let fixture = Fixture::on(place).await;
    let outbox = fixture.outbox().await;
    let bus: Arc<dyn Bus> = fixture.bus().await;
    let events: Vec<_> = (0..2_500).map(Ping::event).collect();
    let mut tx = fixture.db().begin().await.unwrap();
    outbox.write(&mut tx, &events).await.unwrap();
    tx.commit().await.unwrap();
    let drain = |outbox: emporium_event_bus::Outbox, bus: Arc<dyn Bus>| async move {
        while outbox.relay_step(bus.as_ref()).await.unwrap() > 0 {}
    };
    tokio::join!(
        drain(outbox.clone(), bus.clone()),
        drain(outbox.clone(), bus.clone())
    );
    assert_eq!(bus_numbers(&bus).await, (0..2_500).collect::<Vec<_>>());
    // A relay that crashed after publishing and before noting it publishes again; the bus drops the repetition.
    sqlx::query("UPDATE users_outbox_head SET published = 100")
        .execute(&fixture.db())
        .await
        .unwrap();
    drain(outbox.clone(), bus.clone()).await;
    assert_eq!(bus_numbers(&bus).await.len(), 2_500);
}
