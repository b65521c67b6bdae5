//! Backlogs, old rows and wake-ups: always in bounded pieces, and never at the cost of an event.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use emporium_event_bus::bus::postgres::PostgresBus;
use emporium_event_bus::{Bus, BusError, ConsumerGroup, StartAt, inbox, open};
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::{Db, ServiceName};
use emporium_test_kit::eventually;
use support::setup::{self, Setup, drain, setup};
use support::sums::{NAME, Sums};
use support::{Fixture, numbers, travelling};
use tokio_util::sync::CancellationToken;

async fn run(db: &Db, sql: &'static str) {
    sqlx::raw_sql(sql).execute(db).await.unwrap();
}

async fn count(db: &Db, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(db).await.unwrap()
}

#[tokio::test]
async fn a_backlog_is_published_while_it_is_numbered() {
    const NUMBERED: &str = "SELECT count(position) FROM users_outbox";
    let fixture = Fixture::new().await;
    let (outbox, bus, db) = (fixture.outbox().await, fixture.bus().await, fixture.db());
    fixture.write(&outbox, 0..4_500).await;
    assert_eq!(outbox.relay_step(bus.as_ref()).await.unwrap(), 1_000);
    assert_eq!(count(&db, NUMBERED).await, 1_000, "one round a step");
    let page = outbox.page(0, 100).await.unwrap();
    assert_eq!(numbers(&page.items), (0..100).collect::<Vec<_>>());
    assert_eq!(
        count(&db, NUMBERED).await,
        1_000,
        "a page that is full needs no round"
    );
    // A page at the end of what is numbered goes on as far as it is long, and does not claim to be the last.
    let page = outbox.page(950, 1_000).await.unwrap();
    assert_eq!((page.items.len(), page.at_end), (1_000, false));
    assert_eq!(count(&db, NUMBERED).await, 2_000);
    let beyond = outbox.page(i64::MAX - 2_000, 1_000).await.unwrap();
    assert_eq!((beyond.items.len(), beyond.at_end), (0, false));
    assert_eq!(count(&db, NUMBERED).await, 4_000, "two rounds at most");
    let last = outbox.page(4_000, 1_000).await.unwrap();
    assert_eq!((last.items.len(), last.at_end), (500, true));
}

#[tokio::test]
async fn trimming_goes_in_batches_and_keeps_what_a_group_needs() {
    let Setup { fixture, bus, .. } = setup().await;
    let db = fixture.bus_db();
    run(
        &db,
        "INSERT INTO bus_log (position, id, source, type, subject, version, time, data, appended_at)
         SELECT n, gen_random_uuid(), '/users', 'x', 'x', 1, now(), '{}', now() - interval '40 days' + n * interval '1 s'
         FROM generate_series(1, 25000) AS n;
         UPDATE bus_head SET position = 25000; UPDATE bus_group SET position = 24990;
         CREATE FUNCTION bounded() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           IF (SELECT count(*) FROM gone) > 10000 THEN RAISE 'too many at once'; END IF; RETURN NULL; END $$;
         CREATE TRIGGER bounded AFTER DELETE ON bus_log REFERENCING OLD TABLE AS gone
           FOR EACH STATEMENT EXECUTE FUNCTION bounded();",
    )
    .await;
    assert_eq!(bus.trim(Duration::from_hours(50 * 24)).await.unwrap(), 0);
    assert_eq!(bus.trim(Duration::from_hours(24)).await.unwrap(), 24_990);
    assert_eq!(count(&db, "SELECT count(*) FROM bus_log").await, 10);
    assert_eq!(bus.trim(Duration::ZERO).await.unwrap(), 0);
    // Without any group nobody has passed anything.
    run(&db, "DELETE FROM bus_group").await;
    assert_eq!(bus.trim(Duration::ZERO).await.unwrap(), 0);
}

const OLD: &str = "UPDATE users_inbox SET handled_at = now() - interval '31 days'
                   WHERE event_id IN (SELECT event_id FROM users_inbox ORDER BY event_id LIMIT 3)";
const SEEN: &str = "SELECT count(*) FROM users_inbox";

/// Runs the group until it has had the time to clean up: after its first step.
async fn run_a_while(group: ConsumerGroup, bus: &Arc<dyn Bus>) {
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { group.run(stop).await }
    });
    for number in [201, 202] {
        bus.append(&[travelling(number)]).await.unwrap();
        eventually("the group has read it", 5, async || {
            let end = bus.end().await.unwrap();
            (bus.group_position(NAME).await.unwrap() == Some(end)).then_some(())
        })
        .await;
    }
    stop.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_running_group_forgets_events_of_long_ago() {
    let Setup {
        fixture, bus, group, ..
    } = setup().await;
    let db = fixture.db();
    bus.append(&(1..=10).map(travelling).collect::<Vec<_>>())
        .await
        .unwrap();
    drain(&group).await;
    run(&db, OLD).await;
    assert_eq!(
        inbox::reap(&db, ServiceName::Users, "another", inbox::KEPT)
            .await
            .unwrap(),
        0
    );
    run_a_while(group, &bus).await;
    assert_eq!(count(&db, SEEN).await, 10 - 3 + 2);
}

#[tokio::test]
async fn one_statement_claims_a_batch() {
    let fixture = setup::fixture().await;
    let db = fixture.db();
    let (a, b, c) = (travelling(1).id, travelling(2).id, travelling(3).id);
    let mut tx = db.begin().await.unwrap();
    let mut claimed = inbox::claim(&mut tx, ServiceName::Users, NAME, &[a, b, a])
        .await
        .unwrap();
    claimed.sort();
    let mut both = [a, b];
    both.sort();
    assert_eq!(claimed, both);
    let again = inbox::claim(&mut tx, ServiceName::Users, NAME, &[c, b]).await;
    assert_eq!(again.unwrap(), [c]);
    tx.commit().await.unwrap();
    // Ten events through a consumer: one INSERT for their claims, and one for their effect.
    let bus = fixture.bus().await;
    let group = Sums::new().group(&fixture, &bus, StartAt::End).await;
    group.join().await.unwrap();
    bus.append(&(20..30).map(travelling).collect::<Vec<_>>())
        .await
        .unwrap();
    let before = inserts(&fixture);
    drain(&group).await;
    assert_eq!(inserts(&fixture), before + 2);
}

/// How many statements of that kind the service's database was given.
fn inserts(fixture: &Fixture) -> u64 {
    let text = fixture.environment.metrics.render();
    let line = text.lines().find(|line| {
        line.starts_with("emporium_store_call_duration_seconds_count{") && line.contains("\"INSERT\"")
    });
    let (_, count) = line.unwrap().rsplit_once(' ').unwrap();
    count.parse().unwrap()
}

#[tokio::test]
async fn an_append_whose_wake_up_fails_is_an_append() {
    let fixture = Fixture::new().await;
    run(
        &fixture.bus_db(),
        "CREATE FUNCTION pg_notify(text, text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE 'no wake-ups'; END $$;
         DO $$ BEGIN
           EXECUTE format('ALTER DATABASE %I SET search_path = public, pg_catalog', current_database());
         END $$",
    )
    .await;
    let (outbox, bus) = (fixture.outbox().await, fixture.bus().await);
    fixture.write(&outbox, [1]).await;
    assert_eq!(outbox.relay_step(bus.as_ref()).await.unwrap(), 1);
    assert_eq!(outbox.relay_step(bus.as_ref()).await.unwrap(), 0);
    assert_eq!(bus.end().await.unwrap(), 1);
}

#[tokio::test]
async fn a_bad_setting_is_one_line_that_names_it_once() {
    let mut fixture = Fixture::new().await;
    let urls = [
        None,
        Some("kafka://localhost"),
        Some("postgres://u:secret@h:99999999/x"),
        Some("nonsense"),
        Some("postgres://u:secret@127.0.0.1:1/x"),
        Some("redis://:secret@127.0.0.1:1"),
    ];
    for url in urls {
        fixture.environment.events_url = url.map(str::to_owned);
        let error = open(&fixture.environment).await.err().unwrap();
        for text in [error.to_string(), error.into_start_error().to_string()] {
            assert_eq!(text.matches("EMPORIUM_").count(), 1, "{text}");
            assert!(text.starts_with("EMPORIUM_EVENTS: "), "{text}");
            assert_eq!(text.lines().count(), 1, "{text}");
            assert!(!text.contains("secret"), "{text}");
        }
    }
    let metrics = Metrics::new(ServiceName::Users);
    let error = PostgresBus::connect("postgres://127.0.0.1:1/x", metrics)
        .await
        .err()
        .unwrap();
    let BusError::Setting(problem) = error else {
        panic!("{error}")
    };
    assert!(
        problem.contains("refused") && problem.contains("see that it runs"),
        "{problem}"
    );
}

#[tokio::test]
async fn a_group_with_nothing_to_do_writes_nothing() {
    let Setup {
        fixture, bus, group, ..
    } = setup().await;
    let event = travelling(1);
    bus.append(std::slice::from_ref(&event)).await.unwrap();
    drain(&group).await;
    // An event that is there already leaves an empty position at the end, which is passed like any other.
    bus.append(&[event]).await.unwrap();
    drain(&group).await;
    assert_eq!(bus.group_position(NAME).await.unwrap(), Some(2));
    let place = async || {
        let sql = "SELECT ctid::text FROM bus_group WHERE name = 'sums'";
        sqlx::query_scalar::<_, String>(sql)
            .fetch_one(&fixture.bus_db())
            .await
            .unwrap()
    };
    let before = place().await;
    for _ in 0..3 {
        assert_eq!(group.step().await.unwrap(), 0);
    }
    assert_eq!(place().await, before, "no new version of the row");
}
