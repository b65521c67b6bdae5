//! What is outside the saga's hands: two processes at once, connections that break, a clock that is set back.

use std::time::Duration;

use emporium_orders::config::Config;
use emporium_service_kit::serve::{self, Running};
use emporium_service_kit::{Clock, Environment};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::{Fault, Stage, assert_consistent, patient, quick};

/// Another process of the service on the same database (in this process).
async fn second(stage: &Stage, config: &Config) -> Running {
    let environment = Environment {
        shutdown: CancellationToken::new(),
        metrics: emporium_service_kit::metrics::Metrics::new(stage.orders.environment.service),
        ..stage.orders.environment.clone()
    };
    let built = emporium_orders::build_with(&environment, config.clone())
        .await
        .unwrap();
    let listener = serve::listen("127.0.0.1:0").await.unwrap();
    serve::start(&environment, built, listener).unwrap()
}

/// Every step is done once in the timeline, and the order ended once.
async fn assert_nothing_twice(stage: &Stage, order: &Value) {
    let mut done: Vec<&str> = order["timeline"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["state"] == "done")
        .map(|entry| entry["step"].as_str().unwrap())
        .collect();
    let all = done.len();
    done.sort_unstable();
    done.dedup();
    assert_eq!(done.len(), all, "{order:#}");
    let ends: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM orders_outbox WHERE subject = $1 AND type IN ('order.confirmed.v1', 'order.cancelled.v1')",
    )
    .bind(order["id"].as_str().unwrap())
    .fetch_one(&stage.orders.db())
    .await
    .unwrap();
    assert_eq!(ends, 1, "{order:#}");
}

/// Leases that are far too short: the two take each other's sagas away in the middle of calls and in the queue for a free
/// worker, so sagas are driven by both at once, one of them with an old view.
#[tokio::test(flavor = "multi_thread")]
async fn two_processes_on_one_saga_do_it_once() {
    let config = Config {
        sagas_max: 3,
        lease_ms: 80,
        saga_deadline_ms: 6_000,
        ..quick()
    };
    let stage = Stage::start(config.clone()).await;
    // The other one has room for all of them at once, so that it works on those which the first one still has in its queue.
    let roomy = Config {
        sagas_max: 64,
        ..config
    };
    let running = second(&stage, &roomy).await;
    let people: Vec<(Uuid, &str)> = (0..40)
        .map(|n| {
            let ada = stage.shop.customer();
            for operation in ["points", "charge", "commit", "void", "clear-cart"] {
                stage.shop.faults(ada, operation, &[Fault::Slow; 3]);
            }
            (ada, ["tok_ok", "tok_decline", "tok_slow"][n % 3])
        })
        .collect();
    let work = people.iter().map(|(ada, token)| stage.buy_patiently(*ada, token));
    let replies = futures::future::join_all(work).await;
    for ((ada, _), reply) in people.iter().zip(replies) {
        let order = stage.settled(&reply.json["id"]).await;
        assert_eq!(stage.shop.traces(*ada).len(), 1);
        assert_consistent(&order, &stage.shop.traces_of(&order));
        assert_nothing_twice(&stage, &order).await;
    }
    let takeovers: i64 = sqlx::query_scalar("SELECT sum(claim - 1)::bigint FROM orders_saga")
        .fetch_one(&stage.orders.db())
        .await
        .unwrap();
    assert!(takeovers > 20, "{takeovers}: nobody got into anybody's way");
    running.stop().await;
    stage.orders.stop().await;
}

/// A saga is taken over while its worker is in the middle of a call that succeeds, or that decides the order: what the old
/// worker then writes must not count, so that the new one finds the step as it was and asks again.
#[tokio::test]
async fn a_worker_whose_saga_was_taken_over_writes_nothing() {
    let config = Config {
        call_timeout_ms: 3_000,
        charge_timeout_ms: 3_000,
        lease_ms: 4_000,
        ..patient()
    };
    let stage = Stage::start(config).await;
    let cases = [
        ("reserve", "tok_ok", ["reserve", "reserve"]),
        ("points", "tok_ok", ["points", "points"]),
        ("charge", "tok_ok", ["charge", "look-up"]),
        ("charge", "tok_decline", ["charge", "look-up"]),
        ("commit", "tok_ok", ["commit", "commit"]),
    ];
    let work = cases.map(async |(step, token, asked)| {
        let ada = stage.shop.customer();
        stage.shop.faults(ada, step, &[Fault::TooSlow]);
        let ((), reply) = tokio::join!(take_over(&stage, ada, step), stage.buy(ada, token));
        let order = stage.settled(&reply.json["id"]).await;
        let found = stage.shop.operations(&order);
        let again: Vec<_> = found.iter().filter(|name| asked.contains(name)).collect();
        assert_eq!(again, asked.each_ref(), "{step} {token} {found:?} {order:#}");
        let wanted = if token == "tok_ok" {
            "confirmed"
        } else {
            "cancelled"
        };
        assert_eq!(order["status"], wanted, "{step} {order:#}");
        assert_consistent(&order, &stage.shop.traces_of(&order));
        assert_nothing_twice(&stage, &order).await;
    });
    futures::future::join_all(work).await;
    stage.orders.stop().await;
}

/// Another worker claims the saga of a customer's order as soon as that step's call has been carried out, and dies.
async fn take_over(stage: &Stage, customer: Uuid, step: &'static str) {
    let db = stage.orders.db();
    let taken = "UPDATE orders_saga SET claim = claim + 1, worker = $3, due_at = now() + interval '2 seconds'
                 WHERE step = $2 AND order_id IN (SELECT id FROM orders_order WHERE customer_id = $1)";
    emporium_test_kit::eventually("the call is under way", 10, async || {
        let world = stage.shop.world();
        let of_customer = |id: &Uuid| {
            world
                .sagas
                .get(id)
                .is_some_and(|traces| traces.customer == Some(customer))
        };
        let called = world
            .log
            .iter()
            .any(|(id, operation)| *operation == step && of_customer(id));
        called.then_some(())
    })
    .await;
    let taken = sqlx::query(taken)
        .bind(customer)
        .bind(step)
        .bind(Uuid::new_v4())
        .execute(&db)
        .await
        .unwrap();
    assert_eq!(taken.rows_affected(), 1, "{step}: the call was over too soon");
}

/// The database drops every connection again and again, as when it is restarted: whatever was about to be written is lost
/// or its fate is unknown.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_drops_its_connections_loses_and_doubles_nothing() {
    let stage = Stage::start(patient()).await;
    let trouble = {
        let db = stage.orders.db();
        tokio::spawn(async move {
            for _ in 0..12 {
                let _ = sqlx::query(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                     WHERE datname = current_database() AND pid <> pg_backend_pid()",
                )
                .execute(&db)
                .await;
                tokio::time::sleep(Duration::from_millis(150)).await;
            }
        })
    };
    let people: Vec<Uuid> = (0..60).map(|_| stage.shop.customer()).collect();
    let work = people.iter().enumerate().map(async |(n, ada)| {
        tokio::time::sleep(Duration::from_millis(30) * u32::try_from(n).unwrap()).await;
        let token = if n % 4 == 0 { "tok_decline" } else { "tok_ok" };
        (stage.buy_patiently(*ada, token).await, token)
    });
    let replies = futures::future::join_all(work).await;
    trouble.await.unwrap();
    for (ada, (reply, token)) in people.iter().zip(replies) {
        let order = stage.settled(&reply.json["id"]).await;
        let wanted = if token == "tok_ok" {
            "confirmed"
        } else {
            "cancelled"
        };
        assert_eq!(order["status"], wanted, "{order:#}");
        assert_eq!(stage.shop.traces(*ada).len(), 1, "one order");
        assert_consistent(&order, &stage.shop.traces_of(&order));
        assert_nothing_twice(&stage, &order).await;
    }
    stage.orders.stop().await;
}

/// A clock that runs with the real one, from where it is.
fn ticking(clock: &Clock) -> tokio::task::JoinHandle<()> {
    let clock = clock.clone();
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        loop {
            ticks.tick().await;
            clock.advance(time::Duration::milliseconds(10));
        }
    })
}

/// An hour is repeated while sagas wait, and while a key is being worked on by nobody: neither waits for that hour.
#[tokio::test]
async fn a_clock_that_is_set_back_delays_no_saga_and_no_key() {
    let clock = Clock::manual(time::macros::datetime!(2030-10-27 02:59 UTC));
    let ticks = ticking(&clock);
    let stage = Stage::start_at(
        Config {
            answer_wait_ms: 100,
            saga_deadline_ms: 3_000,
            // So rarely that the call ends before the first look for sagas that lie too far ahead.
            poll_ms: 100,
            ..quick()
        },
        clock.clone(),
    )
    .await;
    // One waits for its charge, which never comes; another cannot reach payments at all and is between two attempts.
    let (waiting, trying) = (stage.shop.customer(), stage.shop.customer());
    stage.shop.faults(trying, "charge", &[Fault::LostRequest; 500]);
    stage.shop.faults(trying, "look-up", &[Fault::LostRequest; 500]);
    let waiting = stage.buy(waiting, "tok_timeout").await.expect(202);
    let trying = stage.buy(trying, "tok_ok").await.expect(202);
    // And somebody claimed a key and died.
    let ada = stage.shop.customer();
    let body = stage.body(ada, "tok_decline");
    let declined = stage.post(ada, "key", &body).await;
    stage.settled(&declined.json["id"]).await;
    let claimed =
        "UPDATE orders_idempotency SET order_id = NULL, status = NULL, body = NULL, claimed_until = $2
                   WHERE customer_id = $1";
    sqlx::query(claimed)
        .bind(ada)
        .bind(clock.now() + time::Duration::seconds(10))
        .execute(&stage.orders.db())
        .await
        .unwrap();
    stage
        .post(ada, "key", &body)
        .await
        .expect_problem(409, "request-in-progress");
    // And one is in the middle of a call: what its worker writes next is due soon, and keeps the deadline from before.
    let calling = stage.shop.customer();
    stage.shop.faults(calling, "reserve", &[Fault::Hangs; 500]);
    let calling = stage.buy(calling, "tok_ok").await.expect(202);
    clock.advance(-time::Duration::hours(1));
    for order in [waiting, trying, calling] {
        let order = stage.settled(&order["id"]).await;
        assert_eq!(order["status"], "cancelled", "{order:#}");
        assert_consistent(&order, &stage.shop.traces_of(&order));
    }
    let reply = stage.post(ada, "key", &body).await;
    assert!(reply.status < 300, "{}", reply.text);
    ticks.abort();
    stage.orders.stop().await;
}
