//! Charging and giving up.

use emporium_service_kit::ServiceName;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Shop, customer, gbp};

#[tokio::test]
async fn callers_need_a_token_on_the_routes_list() {
    let shop = Shop::start().await;
    let path = format!("/charges/{}", Uuid::now_v7());
    shop.payments
        .anonymous()
        .get(&path)
        .await
        .expect_problem(401, "service-token-required");
    shop.gateway.get(&path).await.expect_problem(404, "not-found");
    for caller in [ServiceName::Users, ServiceName::Catalog, ServiceName::Operator] {
        shop.payments
            .as_caller(caller)
            .get(&path)
            .await
            .expect_problem(403, "caller-not-allowed");
    }
    for (caller, method, path) in [
        (&shop.gateway, "PUT", path.clone()),
        (&shop.gateway, "POST", format!("{path}/void")),
        (
            &shop.orders,
            "POST",
            format!("/provider/callbacks/{}", Uuid::now_v7()),
        ),
        (&shop.orders, "GET", "/ledger/balance".to_owned()),
        (&shop.gateway, "POST", "/bulk/payments".to_owned()),
    ] {
        let request = caller.request(method, &path).json(&json!({}));
        emporium_test_kit::Reply::read(request)
            .await
            .expect_problem(403, "caller-not-allowed");
    }
}

#[tokio::test]
async fn a_charge_is_taken_once_and_booked() {
    let shop = Shop::start().await;
    let saga = Uuid::now_v7();
    let charge = shop.put(saga, "tok_ok", 4_995).await.expect(200);
    assert_eq!(
        charge,
        json!({"saga_id": saga, "order_id": saga, "customer_id": customer(), "amount": gbp(4_995), "state": "succeeded",
            "refunded": gbp(0), "reason": null, "provider_reference": format!("sim-{}", saga.simple()),
            "created_at": charge["created_at"], "updated_at": charge["updated_at"]})
    );
    assert_eq!(shop.put(saga, "tok_ok", 4_995).await.expect(200), charge);
    assert_eq!(
        shop.put(saga, "tok_decline", 4_995).await.expect(200),
        charge,
        "the token is the first one"
    );
    assert_eq!(shop.get(saga).await.expect(200), charge);
    shop.put(saga, "tok_ok", 4_996)
        .await
        .expect_problem(409, "charge-differs");
    let other_order = json!({"order_id": Uuid::now_v7(), "customer_id": customer(), "amount": gbp(4_995), "payment_token": "tok_ok"});
    shop.orders
        .put(&format!("/charges/{saga}"), other_order)
        .await
        .expect_problem(409, "charge-differs");
    assert_eq!(shop.books().await, [4_995, -4_995, 0, 0]);
    let events = shop.events(saga).await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].0, "payment.succeeded.v1");
    assert_eq!(
        events[0].2,
        json!({"saga_id": saga, "order_id": saga, "customer_id": customer(), "amount": gbp(4_995), "reason": null, "version": 2})
    );
}

#[tokio::test]
async fn a_hundred_requests_at_once_make_one_charge() {
    let shop = Shop::start().await;
    for token in ["tok_ok", "tok_twice", "tok_later"] {
        let saga = Uuid::now_v7();
        let asks: Vec<_> = (0..100).map(|_| shop.put(saga, token, 100)).collect();
        let mut states: Vec<Value> = Vec::new();
        for reply in futures::future::join_all(asks).await {
            states.push(reply.expect(200)["state"].clone());
        }
        let expected = if token == "tok_later" { "open" } else { "succeeded" };
        assert!(
            states.iter().all(|state| state == expected),
            "{token}: {states:?}"
        );
        let events = usize::from(token != "tok_later");
        assert_eq!(shop.events(saga).await.len(), events, "{token}");
    }
    assert_eq!(shop.books().await, [200, -200, 0, 0]);
}

#[tokio::test]
async fn declined_charges_move_nothing() {
    let shop = Shop::start().await;
    for (token, reason) in [("tok_decline", "card-declined"), ("tok_4242", "unknown-token")] {
        let saga = Uuid::now_v7();
        for _ in 0..2 {
            let charge = shop.put(saga, token, 100).await.expect(200);
            assert_eq!(
                (&charge["state"], &charge["reason"]),
                (&json!("declined"), &json!(reason))
            );
        }
        assert_eq!(shop.void(saga).await.expect(200)["state"], "declined");
        shop.refund(saga, Uuid::now_v7(), 1)
            .await
            .expect_problem(422, "refund-exceeds-charge");
        assert_eq!(shop.kinds(saga).await, ["payment.declined.v1"]);
    }
    assert_eq!(shop.books().await, [0; 4]);
}

#[tokio::test]
async fn giving_up_a_success_refunds_it_in_full_once() {
    let shop = Shop::start().await;
    let saga = Uuid::now_v7();
    shop.put(saga, "tok_ok", 1_000).await.expect(200);
    shop.refund(saga, Uuid::now_v7(), 300).await.expect(201);
    let asks: Vec<_> = (0..20).map(|_| shop.void(saga)).collect();
    for reply in futures::future::join_all(asks).await {
        let charge = reply.expect(200);
        assert_eq!(
            (&charge["state"], &charge["refunded"]),
            (&json!("succeeded"), &gbp(1_000))
        );
    }
    shop.put(saga, "tok_ok", 1_000)
        .await
        .expect_problem(409, "charge-voided");
    assert_eq!(shop.books().await, [0, -1_000, 1_000, 0]);
    let events = shop.events(saga).await;
    let kinds: Vec<&str> = events.iter().map(|event| event.0.as_str()).collect();
    assert_eq!(
        kinds,
        [
            "payment.succeeded.v1",
            "payment.refunded.v1",
            "payment.refunded.v1"
        ]
    );
    assert_eq!(events[2].2["amount"], gbp(700));
}

#[tokio::test]
async fn giving_up_the_unknown_refuses_what_comes_later() {
    let shop = Shop::start().await;
    let saga = Uuid::now_v7();
    for _ in 0..2 {
        let charge = shop.void(saga).await.expect(200);
        assert_eq!(
            (&charge["state"], &charge["order_id"]),
            (&json!("voided"), &Value::Null)
        );
    }
    shop.put(saga, "tok_ok", 100)
        .await
        .expect_problem(409, "charge-voided");
    assert_eq!(
        shop.call_back(saga, "succeeded").await.expect(200)["state"],
        "voided"
    );
    assert_eq!(shop.books().await, [0; 4]);
}

#[tokio::test]
async fn charging_and_giving_up_at_once_leaves_no_money_behind() {
    let shop = Shop::start().await;
    for round in 0..10 {
        let saga = Uuid::now_v7();
        let (put, void, again) =
            futures::join!(shop.put(saga, "tok_ok", 100), shop.void(saga), shop.void(saga));
        assert!(matches!(put.status, 200 | 409), "round {round}: {}", put.text);
        void.expect(200);
        let end = again.expect(200);
        // Whatever was first, the customer has the money back; a void that lost the race is repeated by the saga.
        assert_eq!(shop.void(saga).await.expect(200)["saga_id"], end["saga_id"]);
        shop.put(saga, "tok_ok", 100)
            .await
            .expect_problem(409, "charge-voided");
        let [clearing, sales, refunds, _] = shop.books().await;
        assert_eq!((clearing, sales + refunds), (0, 0), "round {round}");
    }
}

#[tokio::test]
async fn nothing_to_pay_is_paid_without_an_entry() {
    let shop = Shop::start().await;
    let saga = Uuid::now_v7();
    assert_eq!(
        shop.put(saga, "tok_ok", 0).await.expect(200)["state"],
        "succeeded"
    );
    assert_eq!(shop.void(saga).await.expect(200)["refunded"], gbp(0));
    assert_eq!(shop.books().await, [0; 4]);
    assert_eq!(shop.kinds(saga).await, ["payment.succeeded.v1"]);
}
