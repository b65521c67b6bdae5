//! Consumer groups on a real bus: every event once, whatever is delivered twice, crashes or cannot be applied.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::atomic::Ordering;
use std::time::Duration;

use emporium_event_bus::bus::BusError;
use emporium_event_bus::consumer::ATTEMPTS_MAX;
use emporium_event_bus::{CloudEvent, EventData};
use support::sum::{Setup, drain, setup, total};
use support::{Ping, claim, travelling};
use uuid::Uuid;

#[tokio::test]
async fn redelivered_events_count_once() {
    let Setup {
        fixture, bus, group, ..
    } = setup().await;
    let events: Vec<_> = (1..=10).map(travelling).collect();
    bus.append(&events).await.unwrap();
    bus.append(&events).await.unwrap();
    drain(&group).await;
    assert_eq!(total(&fixture.db()).await, (55, 10));
    // As after a crash between the effect and the acknowledgement: the group is set back and reads all again.
    bus.set_group("sum", 0).await.unwrap();
    drain(&group).await;
    assert_eq!(total(&fixture.db()).await, (55, 10));
}

#[tokio::test]
async fn one_bad_event_becomes_a_dead_letter_and_can_be_replayed() {
    let Setup {
        fixture,
        bus,
        group,
        sum,
        ..
    } = setup().await;
    bus.append(&(11..=15).map(travelling).collect::<Vec<_>>())
        .await
        .unwrap();
    drain(&group).await;
    assert_eq!(
        total(&fixture.db()).await,
        (11 + 12 + 14 + 15, 4),
        "the others went through, once"
    );
    let letters = bus.dead_letters("sum", 0, 10).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(
        (letters[0].attempts, letters[0].error.as_str()),
        (ATTEMPTS_MAX, "thirteen")
    );
    assert!(group.replay(&letters[0]).await.is_err(), "still refused");
    sum.strict.store(false, Ordering::SeqCst);
    group.replay(&letters[0]).await.unwrap();
    group.replay(&letters[0]).await.unwrap();
    assert_eq!(total(&fixture.db()).await, (65, 5), "replaying twice counts once");
    assert!(
        bus.find_dead_letter("sum", letters[0].id)
            .await
            .unwrap()
            .unwrap()
            .replayed_at
            .is_some()
    );
}

#[tokio::test]
async fn a_group_has_one_active_member_and_is_taken_over() {
    let Setup { bus, .. } = setup().await;
    bus.append(&[travelling(1)]).await.unwrap();
    let (first, second) = (Uuid::new_v4(), Uuid::new_v4());
    let lease = Duration::from_secs(30);
    assert_eq!(claim(&bus, "sum", first, 10, lease).await.len(), 1);
    assert!(
        claim(&bus, "sum", second, 10, lease).await.is_empty(),
        "the first one holds it"
    );
    bus.release("sum", first).await.unwrap();
    let taken = claim(&bus, "sum", second, 10, lease).await;
    assert_eq!(taken.len(), 1);
    let late = bus.acknowledge("sum", first, taken[0].position).await;
    assert!(
        matches!(late, Err(BusError::LeaseLost(_))),
        "a member that lost the group cannot move it"
    );
    bus.acknowledge("sum", second, taken[0].position).await.unwrap();
    // A lease that has run out is as good as released.
    claim(&bus, "sum", second, 10, Duration::ZERO).await;
    bus.append(&[travelling(2)]).await.unwrap();
    assert_eq!(claim(&bus, "sum", first, 10, lease).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn positions_become_readable_in_order_under_concurrent_appends() {
    let Setup { bus, .. } = setup().await;
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
        for delivery in claim(&bus, "sum", member, 10, Duration::from_secs(30)).await {
            assert!(delivery.position > at);
            at = delivery.position;
            seen += 1;
        }
        bus.acknowledge("sum", member, at).await.unwrap();
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert!(
        claim(&bus, "sum", member, 10, Duration::from_secs(30))
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn trimming_stays_behind_the_slowest_group() {
    let Setup { bus, group, .. } = setup().await;
    bus.append(&(1..=10).map(travelling).collect::<Vec<_>>())
        .await
        .unwrap();
    bus.set_group("slow", 4).await.unwrap();
    drain(&group).await;
    assert_eq!(bus.trim(Duration::ZERO).await.unwrap(), 4);
    assert_eq!(bus.trim(Duration::from_hours(1)).await.unwrap(), 0);
}

#[tokio::test]
async fn a_store_that_is_away_makes_no_dead_letters() {
    let Setup {
        fixture, bus, group, ..
    } = setup().await;
    bus.append(&[travelling(1)]).await.unwrap();
    let db = fixture.db();
    // A statement that another session blocks until it times out is what a store that hangs looks like.
    let mut blocker = db.begin().await.unwrap();
    sqlx::query("LOCK TABLE total IN ACCESS EXCLUSIVE MODE")
        .execute(&mut blocker)
        .await
        .unwrap();
    sqlx::query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()")
        .execute(&mut blocker)
        .await
        .unwrap();
    let failed = tokio::select! {
        result = group.step() => result,
        () = tokio::time::sleep(Duration::from_millis(300)) => Err(anyhow::anyhow!("waits")),
    };
    assert!(failed.is_err());
    blocker.rollback().await.unwrap();
    drain(&group).await;
    assert_eq!(total(&db).await, (1, 1));
    assert!(bus.dead_letters("sum", 0, 10).await.unwrap().is_empty());
}

/// A table that is gone is no event's fault, and would be every event's.
#[tokio::test]
async fn a_store_that_is_not_in_order_makes_no_dead_letters() {
    let Setup {
        fixture, bus, group, ..
    } = setup().await;
    let db = fixture.db();
    bus.append(&[travelling(1), travelling(2)]).await.unwrap();
    for (breaks, mends) in [
        (
            "ALTER TABLE total RENAME TO elsewhere",
            "ALTER TABLE elsewhere RENAME TO total",
        ),
        (
            "ALTER TABLE users_inbox RENAME TO elsewhere",
            "ALTER TABLE elsewhere RENAME TO users_inbox",
        ),
        (
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN RAISE 'no space' USING ERRCODE = '58030'; END $$;
             CREATE TRIGGER full_disk BEFORE UPDATE ON total EXECUTE FUNCTION full_disk()",
            "DROP TRIGGER full_disk ON total",
        ),
    ] {
        sqlx::raw_sql(breaks).execute(&db).await.unwrap();
        assert!(group.step().await.is_err(), "{breaks}");
        assert!(group.step().await.is_err(), "{breaks}");
        sqlx::raw_sql(mends).execute(&db).await.unwrap();
        assert!(
            bus.dead_letters("sum", 0, 10).await.unwrap().is_empty(),
            "{breaks}"
        );
    }
    drain(&group).await;
    assert_eq!(total(&db).await, (3, 2));
}

#[tokio::test]
async fn an_event_that_the_store_refuses_becomes_a_dead_letter_after_a_while() {
    let Setup {
        fixture, bus, group, ..
    } = setup().await;
    let db = fixture.db();
    sqlx::raw_sql("ALTER TABLE total ADD CHECK (sum < 100)")
        .execute(&db)
        .await
        .unwrap();
    bus.append(&[travelling(1), travelling(500), travelling(2)])
        .await
        .unwrap();
    let started = std::time::Instant::now();
    drain(&group).await;
    assert!(
        started.elapsed() > Duration::from_secs(1),
        "a passing trouble has time to pass"
    );
    assert_eq!(total(&db).await, (3, 2));
    let letters = bus.dead_letters("sum", 0, 10).await.unwrap();
    assert_eq!((letters.len(), letters[0].attempts), (1, ATTEMPTS_MAX));
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

#[tokio::test]
async fn what_a_group_does_not_want_is_passed_unread() {
    let Setup {
        fixture, bus, group, ..
    } = setup().await;
    let mut events: Vec<_> = (0..300).map(|number| of_kind("other.v1", number, 0)).collect();
    events.extend((1..=10).map(travelling));
    events.extend((0..300).map(|number| of_kind("other.v1", number, 0)));
    bus.append(&events).await.unwrap();
    let batch = bus
        .claim("sum", Uuid::nil(), &[Ping::TYPE], 10, Duration::ZERO)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((batch.deliveries.len(), batch.position), (10, 310));
    assert!(
        batch
            .deliveries
            .iter()
            .all(|delivery| delivery.event.kind == Ping::TYPE)
    );
    let batch = bus
        .claim("sum", Uuid::nil(), &[Ping::TYPE], 11, Duration::ZERO)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((batch.deliveries.len(), batch.position), (10, 610));
    assert_eq!(group.step().await.unwrap(), 610);
    assert_eq!(bus.group_position("sum").await.unwrap(), Some(610));
    assert_eq!(total(&fixture.db()).await, (55, 10));
}

#[tokio::test]
async fn a_batch_of_large_events_is_short_and_loses_none() {
    let Setup {
        fixture, bus, group, ..
    } = setup().await;
    let events: Vec<_> = (20..60)
        .map(|number| of_kind(Ping::TYPE, number, 600_000))
        .collect();
    for few in events.chunks(10) {
        bus.append(few).await.unwrap();
    }
    let batch = bus
        .claim("sum", Uuid::nil(), &[Ping::TYPE], 100, Duration::ZERO)
        .await
        .unwrap()
        .unwrap();
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

#[tokio::test]
async fn events_that_are_there_already_are_left_out_of_a_long_append_as_well() {
    let Setup {
        fixture, bus, group, ..
    } = setup().await;
    let events: Vec<_> = (20..220).map(travelling).collect();
    bus.append(&events[..100]).await.unwrap();
    let twice: Vec<_> = [&events[50..], &events[150..]].concat();
    bus.append(&twice).await.unwrap();
    drain(&group).await;
    assert_eq!(total(&fixture.db()).await, ((20..220).sum(), 200));
    assert_eq!(fixture.bus_numbers().await, (20..220).collect::<Vec<_>>());
}
