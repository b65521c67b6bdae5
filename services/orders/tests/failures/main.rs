//! Every step failing in every way: the order ends in time, and what it left behind is what its status says.
#![allow(clippy::unwrap_used)]

mod random;
#[path = "../support/mod.rs"]
mod support;
mod turmoil;

use std::time::Instant;

use emporium_service_kit::ServiceName;
use serde_json::{Value, json};
use support::{Fault, Money, Stage, assert_consistent, patient, quick};
use uuid::Uuid;

/// Losses after which a repetition finds everything in order.
pub const LOSSES: [Fault; 6] = [
    Fault::LostRequest,
    Fault::Hangs,
    Fault::LostAnswer,
    Fault::Broken,
    Fault::TooSlow,
    Fault::Slow,
];

/// A single loss anywhere is survived: the order is confirmed all the same.
#[tokio::test]
async fn one_lost_call_anywhere_changes_nothing() {
    let stage = Stage::start(patient()).await;
    let mut cases = Vec::new();
    for operation in [
        "reserve",
        "points",
        "charge",
        "commit",
        "confirm-points",
        "clear-cart",
    ] {
        for fault in LOSSES {
            let ada = stage.shop.customer();
            stage.shop.faults(ada, operation, &[fault]);
            cases.push((operation, fault, ada));
        }
    }
    let work = cases.iter().map(async |(operation, fault, ada)| {
        let order = stage.buy_patiently(*ada, "tok_ok").await.expect(201);
        assert_eq!(order["status"], "confirmed", "{operation} {fault:?} {order:#}");
        let order = stage.settled(&order["id"]).await;
        assert_consistent(&order, &stage.shop.traces(*ada)[0]);
    });
    futures::future::join_all(work).await;
    let (sagas, asked) = {
        let world = stage.shop.world();
        (world.sagas.len(), world.charges_asked)
    };
    assert_eq!(sagas, asked, "nobody is charged twice");
    stage.orders.stop().await;
}

/// What is refused is undone in reverse order.
#[tokio::test]
async fn a_refusal_at_each_step_is_compensated_in_reverse_order() {
    let stage = Stage::start(patient()).await;
    for (operation, reason, calls) in [
        ("reserve", "out-of-stock", &["reserve", "release"][..]),
        (
            "points",
            "points-refused",
            &["reserve", "points", "cancel-points", "release"],
        ),
        (
            "charge",
            "payment-refused",
            &["reserve", "points", "charge", "void", "cancel-points", "release"],
        ),
        (
            "commit",
            "reservation-gone",
            &[
                "reserve",
                "points",
                "charge",
                "commit",
                "void",
                "cancel-points",
                "release",
            ],
        ),
    ] {
        let ada = stage.shop.customer();
        stage.shop.faults(ada, operation, &[Fault::Refuse]);
        let order = stage.buy(ada, "tok_ok").await.expect(201);
        assert_eq!(
            (&order["status"], &order["reason"]),
            (&json!("cancelled"), &json!(reason))
        );
        assert_eq!(stage.shop.operations(&order), calls);
        assert_consistent(&order, &stage.shop.traces(ada)[0]);
        assert_eq!(
            stage.shop.world().people[&ada].cart.len(),
            1,
            "the cart is as it was"
        );
        // The same cart can be bought after all.
        let order = stage.buy(ada, "tok_ok").await.expect(201);
        assert_eq!(order["status"], "confirmed");
    }
    let ada = stage.shop.customer();
    let order = stage.buy(ada, "tok_decline").await.expect(201);
    assert_eq!(order["reason"], "payment-declined");
    assert_consistent(&order, &stage.shop.traces(ada)[0]);
    stage.orders.stop().await;
}

/// A service that stays away at a step: the order is cancelled at its deadline, what cannot be undone yet is undone when the
/// service is back, and late requests find tombstones.
#[tokio::test]
async fn a_service_that_is_away_cancels_at_the_deadline_and_is_told_later() {
    let stage = Stage::start(quick()).await;
    for (service, operation, fault) in [
        ("catalog", "reserve", Fault::LostRequest),
        ("catalog", "commit", Fault::LostAnswer),
        ("users", "points", Fault::LostAnswer),
        ("payments", "charge", Fault::LostRequest),
        ("payments", "charge", Fault::LostAnswer),
    ] {
        let ada = stage.shop.customer();
        let undo = match service {
            "catalog" => "release",
            "users" => "cancel-points",
            _ => "void",
        };
        stage.shop.faults(ada, operation, &[fault; 40]);
        stage.shop.faults(ada, "look-up", &[Fault::LostRequest; 40]);
        stage.shop.faults(ada, undo, &[Fault::LostRequest; 3]);
        let began = Instant::now();
        let order = stage.buy(ada, "tok_ok").await.expect(201);
        assert_eq!(
            (&order["status"], &order["reason"]),
            (&json!("cancelled"), &json!("timed-out")),
            "{service}"
        );
        assert!(began.elapsed().as_secs() < 12, "{:?}", began.elapsed());
        let order = stage.settled(&order["id"]).await;
        assert_consistent(&order, &stage.shop.traces_of(&order));
    }
    stage.orders.stop().await;
}

/// A request that arrives after everybody has given up finds the saga ended.
#[tokio::test]
async fn a_request_that_arrives_after_the_end_is_refused() {
    let stage = Stage::start(quick()).await;
    for operation in ["reserve", "points", "charge"] {
        let ada = stage.shop.customer();
        stage.shop.faults(ada, operation, &[Fault::ArrivesLate; 40]);
        let order = stage.buy(ada, "tok_ok").await.expect(201);
        assert_eq!(order["status"], "cancelled", "{operation}");
        let order = stage.settled(&order["id"]).await;
        let asked = stage.shop.operations(&order).len();
        emporium_test_kit::eventually("the late requests arrive", 5, async || {
            (stage.shop.operations(&order).len() > asked).then_some(())
        })
        .await;
        assert_consistent(&order, &stage.shop.traces(ada)[0]);
    }
    stage.orders.stop().await;
}

#[tokio::test]
async fn an_unanswered_charge_is_looked_up_before_anything_is_compensated() {
    let unhurried = emporium_orders::config::Config {
        saga_deadline_ms: 3_000,
        ..quick()
    };
    let stage = Stage::start(unhurried).await;
    let (ada, bob) = (stage.shop.customer(), stage.shop.customer());
    let order = stage.buy(ada, "tok_slow").await.expect(201);
    assert_eq!(order["status"], "confirmed");
    assert!(stage.shop.operations(&order).contains(&"look-up"));
    let order = stage.buy(bob, "tok_timeout").await.expect(201);
    assert_eq!(
        (&order["status"], &order["reason"]),
        (&json!("cancelled"), &json!("payment-timed-out"))
    );
    let calls = stage.shop.operations(&order);
    let (look_up, void) = (
        calls.iter().rposition(|call| *call == "look-up").unwrap(),
        calls.iter().position(|call| *call == "void").unwrap(),
    );
    assert!(look_up < void, "{calls:?}");
    assert_eq!(stage.shop.traces(bob)[0].charge, Some(Money::Voided));
    stage.orders.stop().await;
}

async fn later(stage: &Stage, customer: Uuid) -> Value {
    let order = stage.buy(customer, "tok_later").await.expect(202);
    assert_eq!(
        (&order["status"], &order["reason"]),
        (&json!("pending"), &json!("awaiting-payment"))
    );
    assert!(stage.shop.traces(customer)[0].extended);
    order
}

fn decide(stage: &Stage, order: &Value, outcome: Money) {
    let id: Uuid = order["id"].as_str().unwrap().parse().unwrap();
    stage.shop.world().sagas.get_mut(&id).unwrap().charge = Some(outcome);
}

#[tokio::test]
async fn a_later_payment_confirms_or_cancels_and_its_cart_is_not_sold_twice() {
    let stage = Stage::start(patient()).await;
    let (ada, bob, cy) = (
        stage.shop.customer(),
        stage.shop.customer(),
        stage.shop.customer(),
    );
    let order = later(&stage, ada).await;
    stage
        .buy(ada, "tok_ok")
        .await
        .expect_problem(409, "checkout-in-progress");
    let listed = stage.gateway.get("/orders?status=pending").await.expect(200);
    assert_eq!(listed["items"][0]["id"], order["id"]);
    decide(&stage, &order, Money::Succeeded);
    let order = stage.settled(&order["id"]).await;
    assert_eq!(
        (&order["status"], &order["reason"]),
        (&json!("confirmed"), &Value::Null)
    );
    assert_consistent(&order, &stage.shop.traces(ada)[0]);
    let order = later(&stage, bob).await;
    decide(&stage, &order, Money::Declined);
    let order = stage.settled(&order["id"]).await;
    assert_eq!(order["reason"], "payment-declined");
    assert_consistent(&order, &stage.shop.traces(bob)[0]);
    // Nobody calls back: it ends by itself.
    let order = later(&stage, cy).await;
    let order = stage.settled(&order["id"]).await;
    assert_eq!(order["reason"], "payment-timed-out");
    assert_consistent(&order, &stage.shop.traces(cy)[0]);
    // A customer whose order waits for its payment may fill the cart anew and order again.
    let dee = stage.shop.customer();
    later(&stage, dee).await;
    stage.shop.world().people.get_mut(&dee).unwrap().revision += 1;
    let order = stage.buy(dee, "tok_ok").await.expect(201);
    assert_eq!(order["status"], "confirmed");
    stage.orders.stop().await;
}

#[tokio::test]
async fn a_later_payment_whose_reservation_cannot_last_is_voided() {
    let stage = Stage::start(patient()).await;
    let ada = stage.shop.customer();
    stage.shop.faults(ada, "extend", &[Fault::Refuse]);
    let order = stage.buy(ada, "tok_later").await.expect(201);
    assert_eq!(order["reason"], "reservation-gone");
    assert_consistent(&order, &stage.shop.traces(ada)[0]);
    stage.orders.stop().await;
}

/// Carts away after the confirmation: the order is confirmed, the answer does not wait for ever, and the cart cannot be
/// bought again before its lines are taken out.
#[tokio::test]
async fn a_confirmed_order_pays_its_debts_when_the_services_are_back() {
    let stage = Stage::start(patient()).await;
    let ada = stage.shop.customer();
    stage.shop.faults(ada, "clear-cart", &[Fault::Hangs; 8]);
    stage.shop.faults(ada, "confirm-points", &[Fault::LostAnswer; 4]);
    let began = Instant::now();
    let order = stage.buy(ada, "tok_ok").await.expect(201);
    assert_eq!(order["status"], "confirmed");
    assert!(began.elapsed().as_secs() < 12, "{:?}", began.elapsed());
    stage
        .buy(ada, "tok_ok")
        .await
        .expect_problem(409, "checkout-in-progress");
    let order = stage.settled(&order["id"]).await;
    assert_consistent(&order, &stage.shop.traces(ada)[0]);
    stage.buy(ada, "tok_ok").await.expect_problem(422, "cart-empty");
    stage.orders.stop().await;
}

/// A client that hangs up stops nothing, and finds its answer under its key.
#[tokio::test]
async fn a_client_that_goes_away_finds_its_answer_later() {
    let stage = Stage::start(patient()).await;
    let ada = stage.shop.customer();
    stage.shop.faults(ada, "charge", &[Fault::Slow]);
    let body = stage.body(ada, "tok_ok");
    let request = stage
        .gateway
        .request("POST", &format!("/customers/{ada}/orders"))
        .header("idempotency-key", "key")
        .timeout(std::time::Duration::from_millis(40))
        .json(&body);
    request.send().await.unwrap_err();
    let order = emporium_test_kit::eventually("there is an answer", 10, async || {
        let reply = stage.post(ada, "key", &body).await;
        (reply.status != 409).then_some(reply)
    })
    .await
    .expect(201);
    assert_eq!(order["status"], "confirmed");
    assert_eq!(stage.shop.traces(ada).len(), 1);
    stage.orders.stop().await;
}

/// More customers than workers, a third of whom find everything sold.
#[tokio::test]
async fn many_customers_at_once_all_get_an_end() {
    let stage = Stage::start(support::usual()).await;
    let people: Vec<Uuid> = (0..120).map(|_| stage.shop.customer()).collect();
    for ada in people.iter().step_by(3) {
        stage.shop.faults(*ada, "reserve", &[Fault::Refuse; 20]);
    }
    let work = people.iter().map(|ada| stage.buy_patiently(*ada, "tok_ok"));
    let replies = futures::future::join_all(work).await;
    let confirmed = replies
        .into_iter()
        .map(|reply| reply.json)
        .filter(|order| order["status"] == "confirmed")
        .count();
    assert_eq!(confirmed, 80);
    stage.orders.stop().await;
}

/// A user who is away at the first look: nothing was ordered.
#[tokio::test]
async fn services_that_are_asked_before_an_order_exists_are_503_when_away() {
    let stage = Stage::start(quick()).await;
    for service in ["users", "carts", "catalog"] {
        let ada = stage.shop.customer();
        stage.shop.world().away.push(service);
        let problem = stage
            .buy(ada, "tok_ok")
            .await
            .expect_problem(503, "service-unavailable");
        assert_eq!(problem["service"], service);
        stage.shop.world().away.clear();
        assert!(stage.shop.traces(ada).is_empty());
    }
    assert_eq!(ServiceName::Orders, stage.orders.environment.service);
    stage.orders.stop().await;
}
