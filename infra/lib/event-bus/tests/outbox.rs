//! The outbox against a real PostgreSQL: nothing committed is lost, whatever the order of commits.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use emporium_service_kit::Clock;
use sqlx::Row;
use support::{Fixture, Ping, numbers};
use uuid::Uuid;

/// What the design avoids: with a sequence taken inside the business transaction, a reader that goes by the highest
/// number it has seen never sees a number that is committed late.
#[tokio::test]
async fn sequences_alone_lose_late_commits() {
    let fixture = Fixture::new().await;
    let db = fixture.db();
    sqlx::query("CREATE TABLE naive (position bigint GENERATED ALWAYS AS IDENTITY)")
        .execute(&db)
        .await
        .unwrap();
    let (mut slow, mut fast) = (db.begin().await.unwrap(), db.begin().await.unwrap());
    sqlx::query("INSERT INTO naive DEFAULT VALUES")
        .execute(&mut slow)
        .await
        .unwrap();
    sqlx::query("INSERT INTO naive DEFAULT VALUES")
        .execute(&mut fast)
        .await
        .unwrap();
    fast.commit().await.unwrap();
    let seen: i64 = sqlx::query_scalar("SELECT max(position) FROM naive")
        .fetch_one(&db)
        .await
        .unwrap();
    slow.commit().await.unwrap();
    let sql = "SELECT position FROM naive WHERE position > $1";
    let rest: Vec<i64> = sqlx::query_scalar(sql).bind(seen).fetch_all(&db).await.unwrap();
    assert!(
        rest.is_empty(),
        "the late commit is below what the reader has passed"
    );

    // The same interleaving through the outbox: the late commit gets a later position.
    let outbox = fixture.outbox().await;
    let (mut slow, mut fast) = (db.begin().await.unwrap(), db.begin().await.unwrap());
    outbox.write(&mut slow, &[Ping::event(1)]).await.unwrap();
    outbox.write(&mut fast, &[Ping::event(2)]).await.unwrap();
    fast.commit().await.unwrap();
    let first = outbox.page(0, 10).await.unwrap();
    assert_eq!(numbers(&first.items), [2]);
    slow.commit().await.unwrap();
    let second = outbox.page(first.next_after, 10).await.unwrap();
    assert_eq!(numbers(&second.items), [1]);
    assert!(second.at_end);
}

#[tokio::test]
async fn a_rolled_back_change_leaves_no_event() {
    let fixture = Fixture::new().await;
    let outbox = fixture.outbox().await;
    let mut tx = fixture.db().begin().await.unwrap();
    outbox.write(&mut tx, &[Ping::event(1)]).await.unwrap();
    tx.rollback().await.unwrap();
    assert!(outbox.page(0, 10).await.unwrap().items.is_empty());
}

/// Many writers, each holding its transaction for a different while, and a reader that follows positions all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reader_that_follows_positions_sees_every_commit_once_and_in_order() {
    const WRITERS: i64 = 12;
    const EACH: i64 = 25;
    let fixture = Fixture::new().await;
    let outbox = fixture.outbox().await;
    let db = fixture.db();
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let (db, outbox) = (db.clone(), outbox.clone());
        writers.push(tokio::spawn(async move {
            for n in 0..EACH {
                let mut tx = db.begin().await.unwrap();
                outbox.write(&mut tx, &[Ping::of(writer, n)]).await.unwrap();
                // Statements of different length inside the transaction mix up the order of commits.
                let pause = f64::from(u8::try_from((writer * 7 + n * 3) % 5).unwrap()) / 1_000.0;
                sqlx::query("SELECT pg_sleep($1)")
                    .bind(pause)
                    .execute(&mut tx)
                    .await
                    .unwrap();
                tx.commit().await.unwrap();
            }
        }));
    }
    let (mut after, mut seen, mut last_of) = (0, BTreeSet::new(), vec![-1; 12]);
    while seen.len() < usize::try_from(WRITERS * EACH).unwrap() {
        let page = outbox.page(after, 7).await.unwrap();
        for item in &page.items {
            assert!(item.position > after, "positions grow");
            after = item.position;
            let ping: Ping = item.event.data().unwrap();
            assert!(seen.insert((ping.writer, ping.number)), "seen twice");
            let last = &mut last_of[usize::try_from(ping.writer).unwrap()];
            assert_eq!(ping.number, *last + 1, "order holds per aggregate");
            *last = ping.number;
        }
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert!(outbox.page(after, 10).await.unwrap().items.is_empty());
}

/// A bulk load takes its positions itself. Writers before, beside and after it must still be seen in order, each once.
#[tokio::test]
async fn a_bulk_load_takes_positions_in_the_order_of_commits() {
    let fixture = Fixture::new().await;
    let (outbox, db) = (fixture.outbox().await, fixture.db());
    fixture.write(&outbox, 0..1_500).await;
    let (mut slow, mut bulk) = (db.begin().await.unwrap(), db.begin().await.unwrap());
    outbox.write(&mut slow, &[Ping::event(9_001)]).await.unwrap();
    let events: Vec<_> = (1_500..1_600).map(Ping::event).collect();
    outbox.write_bulk(&mut bulk, &events).await.unwrap();
    // What commits now has to wait for the load, or the load's positions would become readable after later ones.
    fixture.write(&outbox, [9_000]).await;
    let reader = tokio::spawn({
        let outbox = outbox.clone();
        async move { outbox.page(0, 1_000).await.unwrap() }
    });
    tokio::time::timeout(Duration::from_millis(100), outbox.page(1_500, 1_000))
        .await
        .unwrap_err();
    bulk.commit().await.unwrap();
    slow.commit().await.unwrap();
    let mut seen = numbers(&reader.await.unwrap().items);
    assert_eq!(seen, (0..1_000).collect::<Vec<_>>());
    let rest = outbox.page(1_000, 1_000).await.unwrap();
    assert!(rest.at_end);
    seen.extend(numbers(&rest.items));
    assert_eq!(seen[..1_600], (0..1_600).collect::<Vec<_>>());
    let late: BTreeSet<i64> = seen[1_600..].iter().copied().collect();
    assert_eq!(late, BTreeSet::from([9_000, 9_001]));
    let positions: Vec<i64> = rest.items.iter().map(|item| item.position).collect();
    assert_eq!(positions, (1_001..=1_602).collect::<Vec<_>>(), "no holes");
}

#[tokio::test]
async fn a_bulk_load_that_is_rolled_back_leaves_no_hole() {
    let fixture = Fixture::new().await;
    let (outbox, db) = (fixture.outbox().await, fixture.db());
    let mut bulk = db.begin().await.unwrap();
    outbox.write_bulk(&mut bulk, &[Ping::event(1)]).await.unwrap();
    bulk.rollback().await.unwrap();
    fixture.write(&outbox, [2]).await;
    let page = outbox.page(0, 10).await.unwrap();
    assert_eq!((page.items[0].position, numbers(&page.items)), (1, vec![2]));
}

#[tokio::test]
async fn events_are_cloudevents_with_their_trace() {
    let fixture = Fixture::new().await;
    let outbox = fixture.outbox().await;
    let trace = emporium_service_kit::trace::TraceContext::root();
    let subject = Uuid::new_v4();
    let event = trace
        .scope(async {
            emporium_event_bus::NewEvent::now(&Clock::System, subject, 7, &Ping { writer: 0, number: 1 })
                .unwrap()
        })
        .await;
    let mut tx = fixture.db().begin().await.unwrap();
    outbox.write(&mut tx, &[event]).await.unwrap();
    tx.commit().await.unwrap();
    let page = outbox.page(0, 1).await.unwrap();
    let json = serde_json::to_value(&page.items[0].event).unwrap();
    assert_eq!(json["specversion"], "1.0");
    assert_eq!(json["source"], "/users");
    assert_eq!(json["type"], "test.ping.v1");
    assert_eq!(json["subject"], subject.to_string());
    assert_eq!(json["aggregateversion"], 7);
    assert_eq!(json["traceparent"], trace.to_string());
    assert_eq!(json["data"]["number"], 1);
    let row = sqlx::query("SELECT count(*) AS n FROM users_outbox")
        .fetch_one(&fixture.db())
        .await
        .unwrap();
    assert_eq!(row.get::<i64, _>("n"), 1, "the history keeps its rows");
}
