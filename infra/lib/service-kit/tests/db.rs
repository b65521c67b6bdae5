//! The observed pool against a real PostgreSQL.
#![allow(clippy::unwrap_used)]

use std::error::Error;
use std::task::Poll;
use std::time::{Duration, Instant};

use emporium_service_kit::config::database_options;
use emporium_service_kit::db::STATEMENT_TIMEOUT;
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::{Db, Problem, ServiceName, StoreError};
use emporium_test_kit::{OwnPostgres, TestPostgres, connect, eventually};
use futures::future::join_all;
use sqlx::Executor;

async fn database(connections: u32) -> (Db, Db) {
    let url = TestPostgres::get().await.empty_database().await.url;
    let connect = |n| connect(&url, ServiceName::Users, n);
    let (db, other) = (connect(connections), connect(1));
    sqlx::query("CREATE TABLE notes (n integer)")
        .execute(&db)
        .await
        .unwrap();
    (db, other)
}

async fn count(db: &Db) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM notes")
        .fetch_one(db)
        .await
        .unwrap()
}

/// A request that goes away while its `BEGIN` is under way must not leave its connection in a transaction: the next
/// writer would write into it, be told of success, and lose the row.
#[tokio::test]
async fn a_begin_that_nobody_waits_for_leaves_no_open_transaction() {
    for polls in 1..=6 {
        let (db, other) = database(1).await;
        db.ping().await.unwrap();
        {
            let begin = db.begin();
            tokio::pin!(begin);
            for _ in 0..polls {
                let step = std::future::poll_fn(|cx| Poll::Ready(begin.as_mut().poll(cx).is_ready())).await;
                if step {
                    break;
                }
                // Lets the server's answer arrive between two polls.
                tokio::time::sleep(std::time::Duration::from_millis(3)).await;
            }
        }
        sqlx::query("INSERT INTO notes VALUES (1)")
            .execute(&db)
            .await
            .unwrap();
        assert_eq!(
            count(&other).await,
            1,
            "after {polls} polls: what was acknowledged is there for others"
        );
    }
}

#[tokio::test]
async fn a_transaction_that_is_dropped_rolls_back() {
    let (db, other) = database(2).await;
    let mut tx = db.begin().await.unwrap();
    sqlx::query("INSERT INTO notes VALUES (1)")
        .execute(&mut tx)
        .await
        .unwrap();
    drop(tx);
    assert_eq!(count(&db).await, 0);
    let mut tx = db.begin().await.unwrap();
    assert_eq!(tx.copy_in("COPY notes FROM STDIN", "1\n2\n").await.unwrap(), 2);
    tx.commit().await.unwrap();
    assert_eq!(count(&other).await, 2);
}

/// A request that goes away anywhere in a `COPY` must not leave its answer for the connection's next statement, nor its rows.
#[tokio::test]
async fn a_copy_that_nobody_waits_for_leaves_nothing() {
    let rows = "1\n".repeat(200_000);
    for polls in 0..14 {
        let (db, _) = database(1).await;
        let mut tx = db.begin().await.unwrap();
        let is_done = {
            let copy = tx.copy_in("COPY notes FROM STDIN", &rows);
            tokio::pin!(copy);
            let mut is_done = false;
            for _ in 0..polls {
                is_done = std::future::poll_fn(|cx| Poll::Ready(copy.as_mut().poll(cx).is_ready())).await;
                if is_done {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(polls)).await;
            }
            is_done
        };
        if polls > 0 && !is_done {
            let after = sqlx::query("INSERT INTO notes VALUES (2)").execute(&mut tx).await;
            assert!(after.is_err(), "after {polls} polls");
        }
        drop(tx);
        for n in 0..3_i32 {
            let answer: i32 = sqlx::query_scalar("SELECT $1 * 7")
                .bind(n)
                .fetch_one(&db)
                .await
                .unwrap();
            assert_eq!(answer, n * 7, "after {polls} polls: its own answer");
        }
        assert_eq!(count(&db).await, 0, "after {polls} polls");
    }
}

#[tokio::test]
async fn statements_are_counted_by_their_verb() {
    let metrics = Metrics::new(ServiceName::Users);
    let url = TestPostgres::get().await.empty_database().await.url;
    let db = Db::connect(database_options(&url).unwrap(), 1, metrics.clone());
    sqlx::query("SELECT * FROM generate_series(1, 5)")
        .fetch_all(&db)
        .await
        .unwrap();
    sqlx::query("SELECT 1 / 0").execute(&db).await.unwrap_err();
    let text = metrics.render();
    let has = |line: &str| {
        assert!(
            text.lines().any(|found| found == line),
            "{line} is not in\n{text}"
        );
    };
    has(
        "emporium_store_call_duration_seconds_count{operation=\"SELECT\",store=\"postgresql\",service=\"users\"} 2",
    );
    has("emporium_store_rows_total{operation=\"SELECT\",store=\"postgresql\",service=\"users\"} 5");
    has("emporium_store_errors_total{operation=\"SELECT\",store=\"postgresql\",service=\"users\"} 1");
}

/// What a caller can act on, by SQLSTATE, and the store's own error behind it.
#[tokio::test]
async fn errors_say_what_a_caller_can_do() {
    let (db, _) = database(1).await;
    sqlx::query("CREATE TABLE kept (n integer CONSTRAINT kept_once UNIQUE CHECK (n > 0) NOT NULL)")
        .execute(&db)
        .await
        .unwrap();
    let error = async |sql: &'static str| {
        let failed = sqlx::query(sql).execute(&db).await.unwrap_err();
        StoreError::from(failed)
    };
    for sql in [
        "SELECT 1 / 0",
        "INSERT INTO kept VALUES (99999999999)",
        "INSERT INTO kept VALUES (0)",
        "INSERT INTO kept VALUES (NULL)",
    ] {
        let refused = error(sql).await;
        assert!(
            matches!(refused, StoreError::Data(_)) && refused.is_refusal(),
            "{sql}: {refused:?}"
        );
        assert_eq!(Problem::from(refused).status, 422);
    }
    let twice = error("INSERT INTO kept VALUES (1), (1)").await;
    assert_eq!(twice.unique(), Some("kept_once"));
    assert!(twice.is_refusal());
    let ours = error("SELECT * FROM nowhere").await;
    assert!(matches!(ours, StoreError::Failed(_)) && !ours.is_refusal());
    let cause = ours.source().unwrap();
    assert!(cause.downcast_ref::<sqlx::Error>().is_some(), "{cause:?}");
    let away = error("SELECT pg_terminate_backend(pg_backend_pid())").await;
    assert!(matches!(away, StoreError::Unavailable(_)), "{away:?}");
    assert_eq!(Problem::from(away).status, 503);
}

/// A server that stands still ends no statement by its own time limit: the caller gives up by itself, and what it gave up is
/// of no harm when the server goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stands_still_is_given_up() {
    let own = OwnPostgres::start().await;
    let db = connect(&own.url, ServiceName::Users, 8);
    db.execute("CREATE TABLE notes (n integer)").await.unwrap();
    let mut open = db.begin().await.unwrap();
    open.execute("INSERT INTO notes VALUES (1)").await.unwrap();
    own.pause().await;
    let started = Instant::now();
    let many = join_all((0..20).map(|_| db.ping()));
    let (statement, stream, begun, many) = futures::join!(
        sqlx::query("SELECT 1").fetch_one(&mut open),
        sqlx::query("SELECT 1").fetch_all(&db),
        db.begin(),
        many
    );
    let errors = [statement.err(), stream.err(), begun.err()];
    for error in errors.into_iter().chain(many.into_iter().map(Result::err)) {
        let error = StoreError::from(error.unwrap());
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    }
    assert!(started.elapsed() < STATEMENT_TIMEOUT + Duration::from_secs(5));
    drop(open);
    own.resume().await;
    let count = eventually("it goes on", 5, async || {
        let count = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM notes").fetch_one(&db);
        count.await.ok()
    });
    assert_eq!(count.await, 0, "the open transaction was rolled back");
}
