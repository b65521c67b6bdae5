//! Late, double and missing answers.

use emporium_payments::config::Config;
use emporium_payments::{LATE, Payments, SLOW, SLOW_NOTICE};
use emporium_service_kit::Clock;
use emporium_test_kit::eventually;
use serde_json::json;
use time::Duration;
use time::macros::datetime;
use uuid::Uuid;

use crate::{QUIET, Shop, gbp};

fn standing_clock() -> Clock {
    Clock::manual(datetime!(2026-01-01 12:00 UTC))
}

/// Another instance on the same database: what it knows is what survives a restart.
async fn restarted(shop: &Shop) -> Payments {
    Payments::open(&shop.payments.environment, &QUIET).await.unwrap()
}

#[tokio::test]
async fn an_answer_within_three_seconds() {
    let config = Config {
        patience_ms: 2_500,
        ..QUIET
    };
    let shop = Shop::start_with(Clock::System, config).await;
    let started = std::time::Instant::now();
    let charge = shop.put(Uuid::now_v7(), "tok_timeout", 100).await.expect(200);
    assert_eq!(charge["state"], "pending");
    assert!(started.elapsed() < std::time::Duration::from_secs(3));
}

#[tokio::test]
async fn a_silent_provider_leaves_the_charge_pending_until_it_is_given_up() {
    let shop = Shop::start().await;
    let saga = Uuid::now_v7();
    assert_eq!(
        shop.put(saga, "tok_timeout", 100).await.expect(200)["state"],
        "pending"
    );
    assert_eq!(shop.get(saga).await.expect(200)["state"], "pending");
    assert_eq!(
        shop.call_back(saga, "succeeded").await.expect(200)["state"],
        "pending",
        "not an open charge"
    );
    for _ in 0..2 {
        let charge = shop.void(saga).await.expect(200);
        assert_eq!(
            (&charge["state"], &charge["reason"]),
            (&json!("voided"), &json!("voided"))
        );
    }
    shop.put(saga, "tok_timeout", 100)
        .await
        .expect_problem(409, "charge-voided");
    assert_eq!(shop.kinds(saga).await, ["payment.voided.v1"]);
}

#[tokio::test]
async fn the_second_answer_changes_nothing() {
    let shop = Shop::start().await;
    let saga = Uuid::now_v7();
    let charge = shop.put(saga, "tok_twice", 100).await.expect(200);
    assert_eq!(charge["state"], "succeeded");
    let waiting = async || -> bool {
        sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM payments_provider_request WHERE notify_at IS NOT NULL)",
        )
        .fetch_one(&shop.payments.db())
        .await
        .unwrap()
    };
    // The poll is a minute away: it is the request that wakes the task.
    eventually("the second answer is taken", 5, async || {
        (!waiting().await).then_some(())
    })
    .await;
    assert_eq!(shop.get(saga).await.expect(200), charge);
    assert_eq!(shop.kinds(saga).await, ["payment.succeeded.v1"]);
    assert_eq!(shop.books().await, [100, -100, 0, 0]);
}

#[tokio::test]
async fn an_open_charge_waits_for_its_callback() {
    let shop = Shop::start().await;
    let (yes, no) = (Uuid::now_v7(), Uuid::now_v7());
    for saga in [yes, no] {
        assert_eq!(
            shop.put(saga, "tok_later", 100).await.expect(200)["state"],
            "open"
        );
        assert_eq!(shop.get(saga).await.expect(200)["state"], "open");
    }
    let asks: Vec<_> = (0..10).map(|_| shop.call_back(yes, "succeeded")).collect();
    for reply in futures::future::join_all(asks).await {
        assert_eq!(reply.expect(200)["state"], "succeeded");
    }
    assert_eq!(
        shop.call_back(yes, "declined").await.expect(200)["state"],
        "succeeded",
        "the first one stands"
    );
    let declined = shop.call_back(no, "declined").await.expect(200);
    assert_eq!(
        (&declined["state"], &declined["reason"]),
        (&json!("declined"), &json!("card-declined"))
    );
    assert_eq!(
        shop.call_back(no, "succeeded").await.expect(200)["state"],
        "declined"
    );
    assert_eq!(
        shop.put(yes, "tok_later", 100).await.expect(200)["state"],
        "succeeded"
    );
    shop.call_back(Uuid::now_v7(), "succeeded")
        .await
        .expect_problem(404, "not-found");
    assert_eq!(shop.kinds(yes).await, ["payment.succeeded.v1"]);
    assert_eq!(shop.kinds(no).await, ["payment.declined.v1"]);
    assert_eq!(shop.books().await, [100, -100, 0, 0]);
}

#[tokio::test]
async fn a_callback_after_giving_up_is_refunded_at_once() {
    let shop = Shop::start().await;
    let saga = Uuid::now_v7();
    shop.put(saga, "tok_later", 100).await.expect(200);
    assert_eq!(shop.void(saga).await.expect(200)["state"], "voided");
    for _ in 0..2 {
        let charge = shop.call_back(saga, "succeeded").await.expect(200);
        assert_eq!(
            (&charge["state"], &charge["refunded"]),
            (&json!("voided"), &gbp(100))
        );
    }
    assert_eq!(shop.books().await, [0, -100, 100, 0]);
    let kinds = ["payment.voided.v1", "payment.succeeded.v1", "payment.refunded.v1"];
    assert_eq!(shop.kinds(saga).await, kinds);
}

#[tokio::test]
async fn a_slow_answer_is_found_by_asking_again() {
    let clock = standing_clock();
    let shop = Shop::start_with(clock.clone(), QUIET).await;
    let (asked, unasked) = (Uuid::now_v7(), Uuid::now_v7());
    for saga in [asked, unasked] {
        assert_eq!(
            shop.put(saga, "tok_slow", 100).await.expect(200)["state"],
            "pending"
        );
    }
    clock.advance(SLOW - Duration::seconds(1));
    assert_eq!(shop.get(asked).await.expect(200)["state"], "pending");
    clock.advance(Duration::seconds(1));
    assert_eq!(shop.get(asked).await.expect(200)["state"], "succeeded");
    // The provider tells of it only much later.
    let payments = restarted(&shop).await;
    assert_eq!(payments.notices_step().await.unwrap(), 0);
    clock.advance(SLOW_NOTICE);
    assert_eq!(payments.notices_step().await.unwrap(), 2);
    assert_eq!(payments.notices_step().await.unwrap(), 0);
    assert_eq!(shop.get(unasked).await.expect(200)["state"], "succeeded");
    assert_eq!(shop.kinds(asked).await, ["payment.succeeded.v1"]);
    assert_eq!(shop.books().await, [200, -200, 0, 0]);
}

#[tokio::test]
async fn giving_up_asks_once_more() {
    let clock = standing_clock();
    let shop = Shop::start_with(clock.clone(), QUIET).await;
    let saga = Uuid::now_v7();
    shop.put(saga, "tok_slow", 100).await.expect(200);
    clock.advance(SLOW);
    let charge = shop.void(saga).await.expect(200);
    assert_eq!(
        (&charge["state"], &charge["refunded"]),
        (&json!("succeeded"), &gbp(100))
    );
}

#[tokio::test]
async fn a_late_success_is_refunded_even_after_a_restart() {
    let clock = standing_clock();
    let shop = Shop::start_with(clock.clone(), QUIET).await;
    let (given_up, kept) = (Uuid::now_v7(), Uuid::now_v7());
    for saga in [given_up, kept] {
        assert_eq!(
            shop.put(saga, "tok_late", 100).await.expect(200)["state"],
            "pending"
        );
    }
    clock.advance(Duration::seconds(30));
    assert_eq!(shop.void(given_up).await.expect(200)["state"], "voided");
    let payments = restarted(&shop).await;
    assert_eq!(payments.notices_step().await.unwrap(), 0);
    clock.advance(LATE - Duration::seconds(30));
    assert_eq!(payments.notices_step().await.unwrap(), 2);
    let charge = shop.get(given_up).await.expect(200);
    assert_eq!(
        (&charge["state"], &charge["refunded"]),
        (&json!("voided"), &gbp(100))
    );
    assert_eq!(shop.get(kept).await.expect(200)["state"], "succeeded");
    assert_eq!(shop.books().await, [100, -200, 100, 0]);
}

#[tokio::test]
async fn late_answers_come_through_the_running_task() {
    let clock = standing_clock();
    let config = Config { poll_ms: 20, ..QUIET };
    let shop = Shop::start_with(clock.clone(), config).await;
    let saga = Uuid::now_v7();
    shop.put(saga, "tok_late", 100).await.expect(200);
    clock.advance(LATE);
    eventually("the late answer is taken", 5, async || {
        (shop.kinds(saga).await == ["payment.succeeded.v1"]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_crash_between_the_provider_and_the_books_is_made_good() {
    let clock = standing_clock();
    let shop = Shop::start_with(clock.clone(), QUIET).await;
    // The process ended after the provider had taken the money, before the charge knew.
    let sagas = [Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7()];
    for saga in sagas {
        shop.put(saga, "tok_timeout", 100).await.expect(200);
    }
    sqlx::query("UPDATE payments_provider_request SET outcome = 'succeeded', settles_at = created_at")
        .execute(&shop.payments.db())
        .await
        .unwrap();
    // Whoever asked may ask again, look, or be gone.
    assert_eq!(
        shop.put(sagas[0], "tok_timeout", 100).await.expect(200)["state"],
        "succeeded"
    );
    assert_eq!(shop.get(sagas[1]).await.expect(200)["state"], "succeeded");
    let payments = restarted(&shop).await;
    let start = (datetime!(1970-01-01 0:00 UTC), Uuid::nil());
    assert!(
        payments.reconcile_step(start).await.unwrap().is_none(),
        "too early"
    );
    clock.advance(Duration::seconds(61));
    let position = payments.reconcile_step(start).await.unwrap().unwrap();
    assert!(payments.reconcile_step(position).await.unwrap().is_none());
    assert_eq!(shop.kinds(sagas[2]).await, ["payment.succeeded.v1"]);
    assert_eq!(shop.books().await, [300, -300, 0, 0]);

    // The process ended before the provider was asked: the repeated request asks it.
    let saga = Uuid::now_v7();
    sqlx::query(
        "INSERT INTO payments_charge (saga_id, order_id, customer_id, amount, currency, state, created_at, updated_at)
         VALUES ($1, $1, $2, 100, 'GBP', 'pending', now(), now())",
    )
    .bind(saga)
    .bind(crate::customer())
    .execute(&shop.payments.db())
    .await
    .unwrap();
    assert_eq!(shop.get(saga).await.expect(200)["state"], "pending");
    assert_eq!(
        shop.put(saga, "tok_ok", 100).await.expect(200)["state"],
        "succeeded"
    );
}

/// A statement of this process that PostgreSQL makes wait for a lock.
async fn somebody_waits(shop: &Shop, statement: &str) -> bool {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM pg_stat_activity
         WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%' || $1 || '%')",
    )
    .bind(statement)
    .fetch_one(&shop.payments.db())
    .await
    .unwrap()
}

async fn outcome_at_the_provider(shop: &Shop, saga: Uuid) -> Option<String> {
    sqlx::query_scalar("SELECT outcome FROM payments_provider_request WHERE saga_id = $1")
        .bind(saga)
        .fetch_optional(&shop.payments.db())
        .await
        .unwrap()
        .flatten()
}

/// Nobody can write to the charge until this is dropped.
async fn hold_charge(shop: &Shop, saga: Uuid) -> emporium_service_kit::Tx {
    let mut tx = shop.payments.db().begin().await.unwrap();
    sqlx::query("SELECT FROM payments_charge WHERE saga_id = $1 FOR UPDATE")
        .bind(saga)
        .execute(&mut tx)
        .await
        .unwrap();
    tx
}

/// The request for the charge is held up on its way to the provider; the saga gives the charge up; then the request goes
/// on, the provider takes the money, and whoever asked for it dies before it hears of it.
#[tokio::test]
async fn a_charge_given_up_on_its_way_to_the_provider_keeps_no_money() {
    let shop = Shop::start().await;
    let payments = restarted(&shop).await;
    let saga = Uuid::now_v7();
    let mut provider_away = shop.payments.db().begin().await.unwrap();
    sqlx::query("LOCK TABLE payments_provider_request IN SHARE ROW EXCLUSIVE MODE")
        .execute(&mut provider_away)
        .await
        .unwrap();
    let new = emporium_payments::NewCharge {
        saga_id: saga,
        order_id: saga,
        customer_id: None,
        amount: emporium_service_kit::Money::new(100, emporium_service_kit::Currency::GBP),
    };
    let asking = tokio::spawn({
        let payments = payments.clone();
        async move { payments.charge(new, "tok_ok").await }
    });
    eventually("the request is on its way", 5, async || {
        somebody_waits(&shop, "INSERT INTO payments_provider_request")
            .await
            .then_some(())
    })
    .await;
    let mut voiding = tokio::spawn(async move { payments.void(saga).await });
    // Either it has looked already, or it waits behind the request.
    let _ = tokio::time::timeout(std::time::Duration::from_millis(300), &mut voiding).await;
    let deaf = hold_charge(&shop, saga).await;
    provider_away.rollback().await.unwrap();
    eventually("the provider has taken the money, or never will", 5, async || {
        (outcome_at_the_provider(&shop, saga).await.is_some()
            || somebody_waits(&shop, "payments_charge").await)
            .then_some(())
    })
    .await;
    asking.abort();
    let _ = asking.await;
    deaf.rollback().await.unwrap();
    if !voiding.is_finished() {
        voiding.await.unwrap().unwrap();
    }
    let charge = shop.get(saga).await.expect(200);
    let taken = outcome_at_the_provider(&shop, saga).await.is_some();
    assert_eq!(charge["refunded"], gbp(if taken { 100 } else { 0 }), "{charge}");
    shop.put(saga, "tok_ok", 100)
        .await
        .expect_problem(409, "charge-voided");
}

/// The process dies between the provider's callback and the books, and the callback is not repeated by who made it.
#[tokio::test]
async fn a_callback_that_was_cut_short_is_told_again() {
    let clock = standing_clock();
    let shop = Shop::start_with(clock.clone(), QUIET).await;
    let payments = restarted(&shop).await;
    let saga = Uuid::now_v7();
    shop.put(saga, "tok_later", 100).await.expect(200);
    let deaf = hold_charge(&shop, saga).await;
    let calling = tokio::spawn({
        let payments = payments.clone();
        async move {
            payments
                .called_back(saga, emporium_payments::Outcome::Succeeded)
                .await
        }
    });
    eventually("the provider knows the outcome", 5, async || {
        outcome_at_the_provider(&shop, saga).await
    })
    .await;
    calling.abort();
    let _ = calling.await;
    deaf.rollback().await.unwrap();
    clock.advance(Duration::try_from(emporium_payments::REPEAT).unwrap());
    assert_eq!(payments.notices_step().await.unwrap(), 1);
    assert_eq!(shop.get(saga).await.expect(200)["state"], "succeeded");
    assert_eq!(shop.books().await, [100, -100, 0, 0]);
}
