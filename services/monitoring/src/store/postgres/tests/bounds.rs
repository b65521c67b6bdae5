//! What is kept is bounded: series, time, work.

use emporium_service_kit::Db;
use time::{Duration, OffsetDateTime};

use super::{Recorded, Tier, recorder, settle, tables};
use crate::model::Kind;
use crate::question::{As, Question};
use crate::store::MonitoringStore;
use crate::store::contract::{START, about, counter, gauge, histogram, labels, number, scrape, seconds};

async fn partitions(db: &Db, table: &str) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM pg_inherits WHERE inhparent = $1::regclass")
        .bind(table)
        .fetch_one(db)
        .await
        .unwrap()
}

/// What would be one series too many is refused and counted; what is there goes on; and what is said of scrapes has room.
#[tokio::test]
async fn series_are_bounded() {
    let (db, store) = tables().await;
    let writer = recorder(&db, 100);
    let many = |count: i32| {
        let reading = |n: i32| number(Kind::Counter, "many", labels("a", &[("n", &n.to_string())]), 5.0);
        (0..count).map(reading).collect::<Vec<_>>()
    };
    let refused = |recorded: Recorded| match recorded {
        Recorded::Done { refused, .. } => refused,
        Recorded::NotMine => panic!("it is"),
    };
    let at = |n: i64| START + seconds(5 * n);
    assert_eq!(
        refused(
            writer
                .record(&[scrape("a", at(0), many(50))], at(0))
                .await
                .unwrap()
        ),
        0
    );
    let next = [
        scrape("a", at(1), many(150)),
        scrape("b", at(1), vec![gauge("b", "g", 1.0)]),
    ];
    // 50 and what is said of a's scrapes (4) are there; 46 more go in, but b's comes after them.
    assert_eq!(
        refused(writer.record(&next, at(1)).await.unwrap()),
        150 - 50 - 46 + 1
    );
    let question = Question {
        by: Some(Vec::new()),
        ..about("many", As::Increase)
    };
    let history = store.history(&question, at(2)).await.unwrap();
    assert_eq!(
        history.lines[0].values,
        [Some(46.0 * 5.0)],
        "new ones began with 0"
    );
    let up = Question {
        by: Some(Vec::new()),
        ..about("up", As::Sum)
    };
    assert_eq!(
        store.history(&up, at(2)).await.unwrap().lines[0].values,
        [Some(3.0)]
    );
    let left = Question {
        by: Some(Vec::new()),
        ..about("scrape_samples_left_out", As::Max)
    };
    assert_eq!(
        store.history(&left, at(2)).await.unwrap().lines[0].values,
        [Some(54.0)]
    );
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM monitoring_series")
        .fetch_one(&db)
        .await
        .unwrap();
    assert_eq!(rows, 100 + 4);
}

/// Points go by partitions when they are old, raw ones not before they are rolled up; and no row is deleted one by one.
#[tokio::test]
async fn old_points_go_by_partitions() {
    let (db, _) = tables().await;
    let writer = recorder(&db, 1_000);
    let record = async |at: OffsetDateTime| {
        let said = [scrape("a", at, vec![counter("a", "c", 1.0)])];
        assert!(matches!(
            writer.record(&said, at).await.unwrap(),
            Recorded::Done { .. }
        ));
    };
    for minute in 0..60 {
        record(START + Duration::minutes(minute)).await;
    }
    let before = partitions(&db, "monitoring_level_raw").await;
    assert!(before >= 7, "{before}");
    let later = START + Duration::hours(3);
    // Nothing is rolled up yet, so nothing may go.
    writer.tend(later).await.unwrap();
    assert!(partitions(&db, "monitoring_level_raw").await >= before);
    for _ in 0..10 {
        settle(&writer, later).await;
    }
    let raw = partitions(&db, "monitoring_level_raw").await;
    assert!(
        raw <= 3,
        "only the last scrape's, and those that are made ahead: {raw}"
    );
    let minutes: i64 = sqlx::query_scalar("SELECT count(DISTINCT at) FROM monitoring_level_minute")
        .fetch_one(&db)
        .await
        .unwrap();
    assert_eq!(minutes, 60);
    for table in ["monitoring_level_minute", "monitoring_histogram_minute"] {
        assert!(partitions(&db, table).await <= 3, "{table}");
    }
    for _ in 0..10 {
        settle(&writer, START + Duration::days(3)).await;
    }
    let minutes: i64 = sqlx::query_scalar("SELECT count(*) FROM monitoring_level_minute")
        .fetch_one(&db)
        .await
        .unwrap();
    let hours: i64 = sqlx::query_scalar("SELECT count(DISTINCT at) FROM monitoring_level_hour")
        .fetch_one(&db)
        .await
        .unwrap();
    assert_eq!((minutes, hours), (0, 2));
    for _ in 0..10 {
        settle(&writer, START + Duration::days(500)).await;
    }
    let left: (i64, i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM monitoring_level_hour), (SELECT count(*) FROM monitoring_series),
                (SELECT count(*) FROM monitoring_round)",
    )
    .fetch_one(&db)
    .await
    .unwrap();
    assert_eq!(left, (0, 0, 0));
    // And a series that comes back is as new.
    record(START + Duration::days(500)).await;
}

/// A clock that leaps a year ahead for a moment takes little of the past with it, and what comes after it is kept.
#[tokio::test]
async fn a_leap_of_the_clock_does_little_harm() {
    let (db, store) = tables().await;
    let writer = recorder(&db, 1_000);
    let at = |n: i64| START + seconds(5 * n);
    let record = async |at: OffsetDateTime, value: f64| {
        let said = [scrape("a", at, vec![counter("a", "c", value)])];
        assert!(matches!(
            writer.record(&said, at).await.unwrap(),
            Recorded::Done { .. }
        ));
    };
    record(at(0), 0.0).await;
    record(at(1), 10.0).await;
    record(at(2) + Duration::days(365), 20.0).await;
    settle(&writer, at(2) + Duration::days(365)).await;
    record(at(3), 30.0).await;
    record(at(4), 40.0).await;
    settle(&writer, at(200)).await;
    let history = store.history(&about("c", As::Increase), at(200)).await.unwrap();
    assert_eq!(
        history.lines[0].values,
        [Some(30.0)],
        "what was counted in the leap is in the leap"
    );
}

/// A machine begins in 1970, until somebody tells it the time, perhaps in the middle of a round: the half century between makes
/// no partitions, and each point is where its clock was.
#[tokio::test]
async fn a_leap_over_half_a_century_makes_no_partitions() {
    let (db, store) = tables().await;
    let writer = recorder(&db, 1_000);
    let at = |n: i64| START + seconds(5 * n);
    let said = |name: &str, at: OffsetDateTime, value: f64| scrape(name, at, vec![counter(name, "c", value)]);
    let long_ago = OffsetDateTime::UNIX_EPOCH + seconds(77);
    let rounds = [
        [said("a", long_ago, 1.0), said("b", long_ago, 1.0)],
        [said("a", long_ago + seconds(5), 3.0), said("b", at(1), 3.0)],
        [said("a", at(2), 7.0), said("b", at(2), 7.0)],
    ];
    for round in &rounds {
        assert!(matches!(
            writer.record(round, round[1].at).await.unwrap(),
            Recorded::Done { .. }
        ));
    }
    settle(&writer, at(200)).await;
    for table in [
        "monitoring_level_raw",
        "monitoring_level_minute",
        "monitoring_level_hour",
    ] {
        let count = partitions(&db, table).await;
        assert!(count <= 6, "{table}: {count}");
    }
    let question = Question {
        by: Some(Vec::new()),
        ..about("c", As::Increase)
    };
    let history = store.history(&question, at(200)).await.unwrap();
    assert_eq!(history.lines[0].values, [Some(4.0 + 6.0)]);
    let then = Question {
        from: OffsetDateTime::UNIX_EPOCH,
        to: OffsetDateTime::UNIX_EPOCH + Duration::HOUR,
        ..question
    };
    let history = store.history(&then, at(200)).await.unwrap();
    assert!(
        history.lines.is_empty() || history.lines[0].values == [Some(2.0)],
        "{history:?}"
    );
}

/// Prints what a point takes in each table, and holds it to a bound: after an hour, in which each fourth series was busy.
#[tokio::test]
async fn a_series_takes_so_many_bytes() {
    const ROUNDS: i64 = 720;
    const EACH: i32 = 8;
    let (db, _) = tables().await;
    let writer = recorder(&db, 10_000);
    let begin = time::macros::datetime!(2026-03-02 10:00 UTC);
    let mut counts = [0_i64; 4];
    for n in 0..ROUNDS {
        let at = begin + seconds(5 * n);
        for (count, weight) in counts.iter_mut().zip([9, 5, 2, 1]) {
            *count += n * weight % 11;
        }
        let mut below = 0;
        let totals = counts.map(|count| {
            below += count;
            below
        });
        let mut said = Vec::new();
        for series in 0..EACH {
            let name = |form: &str| format!("{form}{series}");
            let busy = series % 4 == 0;
            let value = |value: i64| if busy { crate::number::float(value) } else { 0.0 };
            said.push(gauge("a", &name("g"), value(n * 7 % 31)));
            said.push(counter("a", &name("c"), value(n * n)));
            let seen = if busy { totals } else { [0; 4] };
            said.push(histogram("a", &name("h"), seen, value(totals[3] / 3)));
        }
        assert!(matches!(
            writer.record(&[scrape("a", at, said)], at).await.unwrap(),
            Recorded::Done { .. }
        ));
    }
    settle(&writer, begin + seconds(5 * ROUNDS + 700)).await;
    for (form, bounds) in [
        ("level", [110.0, 200.0, 400.0]),
        ("histogram", [220.0, 160.0, 160.0]),
    ] {
        for (tier, bound) in Tier::ALL.into_iter().zip(bounds) {
            let table = super::super::partitions::table(form, tier);
            let (row, busiest) = size(&db, &table).await;
            let points_a_day = match tier {
                Tier::Raw => 17_280.0,
                _ => 86_400.0 / crate::number::float(tier.length_s()),
            };
            let a_day = row * points_a_day / 1024.0;
            println!(
                "{table}: {row:.0} bytes a point (at most {busiest:.0}), {a_day:.0} KiB a series and day"
            );
            assert!(row < bound, "{table}: {row} bytes a point");
        }
    }
}

/// Bytes of a row with its line pointer and its entry in the index (24 and 4 bytes, pages 90 % full): the mean, and the most.
async fn size(db: &Db, table: &str) -> (f64, f64) {
    let sql = format!(
        "SELECT avg(pg_column_size(p.*))::float8, max(pg_column_size(p.*))::float8 FROM {table} AS p"
    );
    let (mean, most): (f64, f64) = sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .fetch_one(db)
        .await
        .unwrap();
    (mean + 4.0 + 28.0 / 0.9, most + 4.0 + 28.0 / 0.9)
}
