//! Consumers whose own store is away, or refuses an event; what holds on every bus is in `contract`.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use emporium_event_bus::consumer::ATTEMPTS_MAX;
use support::setup::{Setup, drain, setup};
use support::sums::{NAME, total};
use support::travelling;

#[tokio::test]
async fn a_store_that_is_away_makes_no_dead_letters() {
    let Setup {
        fixture, bus, group, ..
    } = setup().await;
    bus.append(&[travelling(1)]).await.unwrap();
    let db = fixture.db();
    // A statement that another session blocks until it times out is what a store that hangs looks like.
    let mut blocker = db.begin().await.unwrap();
    sqlx::query("LOCK TABLE users_sum IN ACCESS EXCLUSIVE MODE")
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
    assert!(bus.dead_letters(NAME, 0, 10).await.unwrap().is_empty());
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
            "ALTER TABLE users_sum RENAME TO elsewhere",
            "ALTER TABLE elsewhere RENAME TO users_sum",
        ),
        (
            "ALTER TABLE users_inbox RENAME TO elsewhere",
            "ALTER TABLE elsewhere RENAME TO users_inbox",
        ),
        (
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN RAISE 'no space' USING ERRCODE = '58030'; END $$;
             CREATE TRIGGER full_disk BEFORE INSERT ON users_sum EXECUTE FUNCTION full_disk()",
            "DROP TRIGGER full_disk ON users_sum",
        ),
    ] {
        sqlx::raw_sql(breaks).execute(&db).await.unwrap();
        assert!(group.step().await.is_err(), "{breaks}");
        assert!(group.step().await.is_err(), "{breaks}");
        sqlx::raw_sql(mends).execute(&db).await.unwrap();
        assert!(
            bus.dead_letters(NAME, 0, 10).await.unwrap().is_empty(),
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
    sqlx::raw_sql("ALTER TABLE users_sum ADD CHECK (total < 100)")
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
    let letters = bus.dead_letters(NAME, 0, 10).await.unwrap();
    assert_eq!((letters.len(), letters[0].attempts), (1, ATTEMPTS_MAX));
}
