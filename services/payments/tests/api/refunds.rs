//! Giving money back.

use serde_json::json;
use uuid::Uuid;

use crate::{Shop, gbp};

#[tokio::test]
async fn refunds_are_once_an_id_and_never_more_than_the_charge() {
    let shop = Shop::start().await;
    let (saga, refund) = (Uuid::now_v7(), Uuid::now_v7());
    shop.refund(saga, refund, 1)
        .await
        .expect_problem(404, "not-found");
    shop.put(saga, "tok_ok", 1_000).await.expect(200);
    let first = shop.refund(saga, refund, 400).await.expect(201);
    assert_eq!(
        (&first["refund_id"], &first["amount"]),
        (&json!(refund), &gbp(400))
    );
    assert_eq!(first["charge"]["refunded"], gbp(400));
    assert_eq!(
        shop.refund(saga, refund, 400).await.expect(200)["charge"]["refunded"],
        gbp(400)
    );
    shop.refund(saga, refund, 401)
        .await
        .expect_problem(409, "refund-differs");
    shop.refund(saga, Uuid::now_v7(), 601)
        .await
        .expect_problem(422, "refund-exceeds-charge");
    let euros =
        json!({"refund_id": Uuid::now_v7(), "amount": {"amount": 1, "currency": "EUR"}, "reason": "r"});
    shop.gateway
        .post(&format!("/charges/{saga}/refunds"), euros)
        .await
        .expect_problem(422, "currency-differs");
    let other = Uuid::now_v7();
    shop.put(other, "tok_ok", 1_000).await.expect(200);
    shop.refund(other, refund, 400)
        .await
        .expect_problem(409, "refund-differs");
    // A refund may carry the saga's own id.
    shop.refund(saga, saga, 600).await.expect(201);
    assert_eq!(shop.get(saga).await.expect(200)["refunded"], gbp(1_000));
    assert_eq!(shop.books().await, [1_000, -2_000, 1_000, 0]);
    let events = shop.events(saga).await;
    assert_eq!(events.len(), 3);
    assert_eq!(
        events[1].2,
        json!({"refund_id": refund, "saga_id": saga, "order_id": saga, "customer_id": crate::customer(),
            "amount": gbp(400), "reason": "came back", "version": 3})
    );
}

#[tokio::test]
async fn refunds_at_once_stay_within_the_charge() {
    let shop = Shop::start().await;
    let saga = Uuid::now_v7();
    shop.put(saga, "tok_ok", 1_000).await.expect(200);
    let same = Uuid::now_v7();
    let asks = (0..40).map(|n| {
        let id = if n % 2 == 0 { same } else { Uuid::now_v7() };
        shop.refund(saga, id, 100)
    });
    let replies = futures::future::join_all(asks.collect::<Vec<_>>()).await;
    let made = replies.iter().filter(|reply| reply.status == 201).count();
    assert_eq!(made, 10);
    assert!(
        replies
            .iter()
            .all(|reply| matches!(reply.status, 200 | 201 | 422))
    );
    assert_eq!(shop.books().await, [0, -1_000, 1_000, 0]);
    assert_eq!(shop.events(saga).await.len(), 11);
}

#[tokio::test]
async fn one_refund_id_for_two_charges_at_once_is_one_refund() {
    let shop = Shop::start().await;
    for _ in 0..5 {
        let (one, two, refund) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
        shop.put(one, "tok_ok", 100).await.expect(200);
        shop.put(two, "tok_ok", 100).await.expect(200);
        let (a, b) = futures::join!(shop.refund(one, refund, 100), shop.refund(two, refund, 100));
        let mut statuses = [a.status, b.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409], "{} {}", a.text, b.text);
    }
}
