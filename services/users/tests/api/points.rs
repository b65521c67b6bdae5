//! Loyalty points: every step repeatable, in every order, also at once.

use emporium_test_kit::{Reply, seed};
use rand::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::accounts::futures_join;
use crate::{Shop, id};

async fn add(shop: &Shop, saga: Uuid, user: &str, points: i64) -> Reply {
    let body = json!({"user_id": user, "points": points});
    shop.orders.put(&format!("/points/{saga}"), body).await
}

async fn confirm(shop: &Shop, saga: Uuid) -> Reply {
    shop.orders
        .post(&format!("/points/{saga}/confirm"), json!(null))
        .await
}

async fn cancel(shop: &Shop, saga: Uuid) -> Reply {
    shop.orders
        .post(&format!("/points/{saga}/cancel"), json!(null))
        .await
}

async fn sums(shop: &Shop, user: &str) -> (Value, Value) {
    let user = shop.user(user).await;
    (user["points"].clone(), user["pending_points"].clone())
}

#[tokio::test]
async fn pending_then_confirmed_each_once() {
    let shop = Shop::start().await;
    let user = id(&shop.register("ada").await);
    let saga = Uuid::now_v7();
    confirm(&shop, saga).await.expect_problem(404, "not-found");
    for _ in 0..2 {
        let points = add(&shop, saga, &user, 40).await.expect(200);
        assert_eq!(
            points,
            json!({"saga_id": saga, "user_id": user, "points": 40, "state": "pending"})
        );
        assert_eq!(sums(&shop, &user).await, (json!(0), json!(40)));
    }
    add(&shop, saga, &user, 41)
        .await
        .expect_problem(409, "points-differ");
    let other = id(&shop.register("eve").await);
    add(&shop, saga, &other, 40)
        .await
        .expect_problem(409, "points-differ");
    for _ in 0..2 {
        assert_eq!(confirm(&shop, saga).await.expect(200)["state"], "confirmed");
        assert_eq!(sums(&shop, &user).await, (json!(40), json!(0)));
    }
    assert_eq!(
        add(&shop, saga, &user, 40).await.expect(200)["state"],
        "confirmed"
    );
    let kinds: Vec<String> = shop
        .events(&user)
        .await
        .into_iter()
        .map(|event| event.0)
        .collect();
    assert_eq!(
        kinds,
        ["user.registered.v1", "points.pending.v1", "points.confirmed.v1"]
    );
    shop.check_versions(&user).await;
    add(&shop, Uuid::now_v7(), &Uuid::new_v4().to_string(), 1)
        .await
        .expect_problem(404, "not-found");
}

#[tokio::test]
async fn cancelled_stays_cancelled() {
    let shop = Shop::start().await;
    let user = id(&shop.register("ada").await);
    let (pending, confirmed, unknown) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
    add(&shop, pending, &user, 5).await.expect(200);
    add(&shop, confirmed, &user, 7).await.expect(200);
    confirm(&shop, confirmed).await.expect(200);
    for saga in [pending, confirmed, unknown] {
        let first = cancel(&shop, saga).await.expect(200);
        assert_eq!(first["state"], "cancelled");
        assert_eq!(cancel(&shop, saga).await.expect(200), first);
        confirm(&shop, saga).await.expect_problem(409, "points-cancelled");
        add(&shop, saga, &user, 5)
            .await
            .expect_problem(409, "points-cancelled");
    }
    assert_eq!(sums(&shop, &user).await, (json!(0), json!(0)));
    shop.check_versions(&user).await;
}

#[tokio::test]
async fn everything_at_once_ends_in_sums_that_agree() {
    let shop = Shop::start().await;
    let user = id(&shop.register("ada").await);
    let mut rng = rand::rngs::StdRng::seed_from_u64(seed());
    let sagas: Vec<Uuid> = (0..6).map(|_| Uuid::now_v7()).collect();
    let steps: Vec<(Uuid, u8)> = (0..80)
        .map(|_| (sagas[rng.random_range(0..sagas.len())], rng.random_range(0..5)))
        .collect();
    let asks = steps.iter().map(|(saga, step)| {
        let (shop, user) = (&shop, &user);
        async move {
            match step {
                0..3 => add(shop, *saga, user, 10).await,
                3 => confirm(shop, *saga).await,
                _ => cancel(shop, *saga).await,
            }
        }
    });
    for reply in futures_join(asks.collect::<Vec<_>>()).await {
        assert!(matches!(reply.status, 200 | 404 | 409), "{}", reply.text);
    }
    let states: Vec<(String, i64)> =
        sqlx::query_as("SELECT state, sum(points)::bigint FROM users_points GROUP BY state")
            .fetch_all(&shop.users.db())
            .await
            .unwrap();
    let of = |state: &str| states.iter().find(|row| row.0 == state).map_or(0, |row| row.1);
    assert_eq!(
        sums(&shop, &user).await,
        (json!(of("confirmed")), json!(of("pending")))
    );
    shop.check_versions(&user).await;
}
