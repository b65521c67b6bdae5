//! `GET /totals`: what reconciling compares.

use emporium_service_kit::Clock;
use serde_json::{Value, json};
use time::Duration;
use time::macros::datetime;
use uuid::Uuid;

use crate::{QUIET, Shop, gbp};

#[tokio::test]
async fn what_the_ledger_has_is_summed_by_day() {
    let clock = Clock::manual(datetime!(2026-03-01 23:59:59 UTC));
    let shop = Shop::start_with(clock.clone(), QUIET).await;
    let (kept, given_back, nothing) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
    shop.put(kept, "tok_ok", 1_000).await.expect(200);
    shop.put(given_back, "tok_ok", 300).await.expect(200);
    shop.put(nothing, "tok_ok", 0).await.expect(200);
    shop.put(Uuid::now_v7(), "tok_decline", 70).await.expect(200);
    clock.advance(Duration::seconds(1));
    shop.void(given_back).await.expect(200);
    shop.refund(kept, Uuid::now_v7(), 250).await.expect(201);
    let old = [
        json!({"record": "charge", "saga_id": Uuid::now_v7(), "order_id": Uuid::now_v7(), "customer_id": null,
            "amount": {"amount": 5, "currency": "EUR"}, "at": "2010-12-02T01:30:00+02:00"}),
        json!({"record": "refund", "refund_id": Uuid::now_v7(), "order_id": null, "amount": gbp(8),
            "at": "2010-12-01T00:00:00Z", "reason": "unmatched"}),
    ];
    shop.operator.bulk("/bulk/payments", &old).await.expect(200);

    let day = |day: &str, succeeded: (i64, i64), refunded: (i64, i64)| {
        json!({"day": day, "succeeded": succeeded.0, "succeeded_amount": gbp(succeeded.1),
            "refunded": refunded.0, "refunded_amount": gbp(refunded.1)})
    };
    let now = shop
        .operator
        .get("/totals?from=2026-03-01&to=2026-03-02")
        .await
        .expect(200);
    let expected = json!([
        day("2026-03-01", (2, 1_300), (0, 0)),
        day("2026-03-02", (0, 0), (2, 550))
    ]);
    assert_eq!(now["payments"], expected);
    assert_eq!(
        (&now["first_day"], &now["last_day"]),
        (&json!("2010-12-01"), &json!("2026-03-02"))
    );
    let then = shop
        .operator
        .get("/totals?from=2010-01-01&to=2010-12-31")
        .await
        .expect(200);
    let eur = |amount: i64| json!({"amount": amount, "currency": "EUR"});
    let euros = json!({"day": "2010-12-01", "succeeded": 1, "succeeded_amount": eur(5), "refunded": 0, "refunded_amount": eur(0)});
    assert_eq!(
        then["payments"],
        json!([euros, day("2010-12-01", (0, 0), (1, 8))])
    );
    the_events_tell_the_same_days(&shop).await;
}

/// Who sums up the events by their time gets the ledger's days, to the microsecond.
async fn the_events_tell_the_same_days(shop: &Shop) {
    let differing: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM payments_outbox AS o
         JOIN payments_ledger_transaction AS t
           ON t.reference = coalesce(o.data ->> 'refund_id', o.data ->> 'saga_id')::uuid
          AND t.kind = CASE WHEN o.type = 'payment.refunded.v1' THEN 'refund' ELSE 'charge' END
         WHERE o.type IN ('payment.succeeded.v1', 'payment.refunded.v1') AND o.time <> t.at",
    )
    .fetch_one(&shop.payments.db())
    .await
    .unwrap();
    assert_eq!(differing, 0);
}

/// The event carries the moment that is booked, also while time goes on between the two.
#[tokio::test]
async fn events_carry_the_moment_that_is_booked() {
    let shop = Shop::start().await;
    for _ in 0..20 {
        let saga = Uuid::now_v7();
        shop.put(saga, "tok_ok", 100).await.expect(200);
        shop.void(saga).await.expect(200);
    }
    the_events_tell_the_same_days(&shop).await;
}

#[tokio::test]
async fn totals_are_bounded_and_for_the_operator() {
    let shop = Shop::start().await;
    let empty = shop
        .operator
        .get("/totals?from=2010-01-01&to=2010-12-31")
        .await
        .expect(200);
    assert_eq!(
        (&empty["payments"], &empty["first_day"]),
        (&json!([]), &Value::Null)
    );
    for query in [
        "",
        "?to=2010-01-01",
        "?from=2010-01-01&to=2011-01-02",
        "?from=x&to=2010-01-01",
    ] {
        shop.operator
            .get(&format!("/totals{query}"))
            .await
            .expect_problem(422, "invalid");
    }
    let answer = shop.gateway.get("/totals?from=2010-01-01&to=2010-01-01").await;
    answer.expect_problem(403, "caller-not-allowed");
}
