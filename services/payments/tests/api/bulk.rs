//! Payments of the past.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Shop, gbp};

fn charge(saga: Uuid, amount: i64) -> Value {
    json!({"record": "charge", "saga_id": saga, "order_id": saga, "customer_id": null, "amount": gbp(amount),
        "at": "2010-12-01T08:26:00Z"})
}

fn refund(id: Uuid, order: Option<Uuid>, amount: i64) -> Value {
    json!({"record": "refund", "refund_id": id, "order_id": order, "amount": gbp(amount), "at": "2011-01-05T10:00:00+01:00",
        "reason": "cancelled invoice"})
}

#[tokio::test]
async fn a_load_repeated_changes_nothing() {
    let shop = Shop::start().await;
    let sagas: Vec<Uuid> = (0..2_600).map(|_| Uuid::now_v7()).collect();
    let mut records: Vec<Value> = sagas.iter().map(|saga| charge(*saga, 1_000)).collect();
    let (first, second, too_much, unmatched, unknown) = (
        Uuid::now_v7(),
        Uuid::now_v7(),
        Uuid::now_v7(),
        Uuid::now_v7(),
        Uuid::now_v7(),
    );
    records.push(refund(first, Some(sagas[0]), 600));
    records.push(refund(second, Some(sagas[0]), 400));
    records.push(refund(too_much, Some(sagas[0]), 1));
    records.push(refund(unmatched, None, 50));
    records.push(refund(unknown, Some(Uuid::now_v7()), 7));
    records.push(refund(first, Some(sagas[0]), 600));
    let loaded = shop.operator.bulk("/bulk/payments", &records).await.expect(200);
    assert_eq!(
        loaded,
        json!({"received": 2606, "loaded": 2605, "unchanged": 1, "rejected_count": 0, "rejected": []})
    );
    let books = shop.books().await;
    assert_eq!(books, [2_600_000 - 1_058, -2_600_000, 1_000, 58]);
    let again = shop.operator.bulk("/bulk/payments", &records).await.expect(200);
    assert_eq!((&again["loaded"], &again["unchanged"]), (&json!(0), &json!(2606)));
    assert_eq!(shop.books().await, books);

    let charge = shop.get(sagas[0]).await.expect(200);
    assert_eq!(
        (&charge["state"], &charge["refunded"]),
        (&json!("succeeded"), &gbp(1_000))
    );
    assert_eq!(charge["created_at"], "2010-12-01T08:26:00Z");
    assert_eq!(charge["updated_at"], "2011-01-05T09:00:00Z");
    let times: Vec<(String, i64, String)> = sqlx::query_as(
        "SELECT type, version, to_char(time AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')
         FROM payments_outbox WHERE subject = $1 ORDER BY written",
    )
    .bind(sagas[0].to_string())
    .fetch_all(&shop.payments.db())
    .await
    .unwrap();
    let event = |kind: &str, version: i64, at: &str| (kind.to_owned(), version, at.to_owned());
    assert_eq!(
        times,
        [
            event("payment.succeeded.v1", 1, "2010-12-01 08:26"),
            event("payment.refunded.v1", 2, "2011-01-05 09:00"),
            event("payment.refunded.v1", 3, "2011-01-05 09:00"),
        ]
    );
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM payments_outbox")
        .fetch_one(&shop.payments.db())
        .await
        .unwrap();
    assert_eq!(count, 2_605);
}

#[tokio::test]
async fn unmatched_refunds_are_their_own_aggregates_with_the_same_events_every_time() {
    let (saga, id) = (Uuid::now_v7(), Uuid::now_v7());
    let mut seen = Vec::new();
    for _ in 0..2 {
        let shop = Shop::start().await;
        let records = [charge(saga, 10), refund(id, None, 5)];
        shop.operator.bulk("/bulk/payments", &records).await.expect(200);
        let events = shop.events(id).await;
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].1, 1);
        assert_eq!(
            (&events[0].2["saga_id"], &events[0].2["order_id"]),
            (&Value::Null, &Value::Null)
        );
        let page = shop.orders.get("/events").await.expect(200);
        let ids: Vec<Value> = page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["event"]["id"].clone())
            .collect();
        seen.push(ids);
    }
    assert_eq!(seen[0].len(), 2);
    assert_eq!(seen[0], seen[1]);
}

#[tokio::test]
async fn two_loads_of_one_file_at_once() {
    let shop = Shop::start().await;
    let sagas: Vec<Uuid> = (0..300).map(|_| Uuid::now_v7()).collect();
    let mut records: Vec<Value> = sagas.iter().map(|saga| charge(*saga, 10)).collect();
    records.extend(sagas.iter().map(|saga| refund(Uuid::now_v7(), Some(*saga), 4)));
    let loads = (0..4).map(|_| shop.operator.bulk("/bulk/payments", &records));
    let mut loaded = 0;
    for reply in futures::future::join_all(loads.collect::<Vec<_>>()).await {
        loaded += reply.expect(200)["loaded"].as_u64().unwrap();
    }
    assert_eq!(loaded, 600);
    assert_eq!(shop.books().await, [1_800, -3_000, 1_200, 0]);
}

#[tokio::test]
async fn imported_charges_live_on() {
    let shop = Shop::start().await;
    let saga = Uuid::now_v7();
    shop.operator
        .bulk("/bulk/payments", &[charge(saga, 100)])
        .await
        .expect(200);
    shop.refund(saga, Uuid::now_v7(), 60).await.expect(201);
    // A further file knows a refund of the same order, worth more than is left: it happened, so it is booked apart.
    let late = refund(Uuid::now_v7(), Some(saga), 60);
    shop.operator.bulk("/bulk/payments", &[late]).await.expect(200);
    assert_eq!(shop.books().await, [-20, -100, 60, 60]);
    assert_eq!(
        shop.kinds(saga).await,
        ["payment.succeeded.v1", "payment.refunded.v1"]
    );
}

#[tokio::test]
async fn what_cannot_be_kept_is_refused_with_its_reason() {
    let shop = Shop::start().await;
    let with = |mut record: Value, field: &str, value: Value| {
        record[field] = value;
        record
    };
    let (c, r) = (|| charge(Uuid::now_v7(), 5), || refund(Uuid::now_v7(), None, 5));
    let bad = [
        (with(c(), "amount", gbp(-1)), "amount"),
        (with(c(), "amount", gbp(i64::MAX)), "amount"),
        (
            with(c(), "amount", json!({"amount": 1, "currency": "pounds"})),
            "currency",
        ),
        (with(c(), "amount", json!({"amount": 1.5, "currency": "GBP"})), ""),
        (with(c(), "at", json!("1969-12-31T23:59:59Z")), "at"),
        (with(c(), "at", json!("9999-12-31T23:59:59-23:59")), "at"),
        (with(c(), "record", json!("gift")), "variant"),
        (with(c(), "saga_id", json!("x")), ""),
        (with(r(), "amount", gbp(0)), "amount"),
        (with(r(), "reason", json!("a\u{0}")), "reason"),
        (with(r(), "reason", json!("")), "reason"),
        (with(r(), "reason", json!("x".repeat(201))), "reason"),
    ];
    let records: Vec<Value> = bad.iter().map(|(record, _)| record.clone()).collect();
    let summary = shop.operator.bulk("/bulk/payments", &records).await.expect(200);
    assert_eq!(
        (&summary["loaded"], &summary["rejected_count"]),
        (&json!(0), &json!(bad.len()))
    );
    let rejected = summary["rejected"].as_array().unwrap();
    for (n, (record, reason)) in bad.iter().enumerate() {
        let rejection = rejected
            .iter()
            .find(|rejection| rejection["line"] == n + 1)
            .unwrap();
        let text = rejection["reason"].as_str().unwrap();
        assert!(text.contains(reason), "{text} for {record}");
    }
    assert_eq!(shop.books().await, [0; 4]);
}
