//! Signing in, and the administrator.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::accounts::futures_join;
use crate::{Shop, id};

#[tokio::test]
async fn only_the_right_password_is_right() {
    let shop = Shop::start().await;
    let user = shop.register("ada").await;
    let verify = async |email: &str, password: &str| {
        shop.sessions
            .post(
                "/credentials/verify",
                json!({"email": email, "password": password}),
            )
            .await
    };
    let right = verify(" ADA@example.com", "ada's password").await.expect(200);
    assert_eq!(
        right,
        json!({"user_id": user["id"], "role": "customer", "active": true})
    );
    let wrong = verify("ada@example.com", "ada's passwort").await;
    let unknown = verify("nobody@example.com", "ada's password").await;
    assert_eq!(
        wrong.text, unknown.text,
        "the answers do not tell which was wrong"
    );
    wrong.expect_problem(401, "wrong-credentials");
    let no_address = verify("not an address", "ada's password").await;
    no_address.expect_problem(401, "wrong-credentials");
    let path = format!("/users/{}/status", id(&user));
    shop.gateway
        .patch(&path, json!({"active": false}))
        .await
        .expect(200);
    let blocked = verify("ada@example.com", "ada's password").await.expect(200);
    assert_eq!(blocked["active"], false);
}

#[tokio::test]
async fn an_unknown_address_takes_as_long_as_a_wrong_password() {
    let shop = Shop::start().await;
    shop.register("ada").await;
    let quickest = async |email: &str| {
        let mut quickest = Duration::MAX;
        for _ in 0..5 {
            let started = Instant::now();
            let body = json!({"email": email, "password": "wrong password"});
            shop.sessions
                .post("/credentials/verify", body)
                .await
                .expect_problem(401, "wrong-credentials");
            quickest = quickest.min(started.elapsed());
        }
        quickest
    };
    let (known, unknown) = (
        quickest("ada@example.com").await,
        quickest("nobody@example.com").await,
    );
    // Skipping the hash would make it an order of magnitude; the machine's noise is far below a factor of three.
    assert!(
        unknown * 3 > known && known * 3 > unknown,
        "{known:?} and {unknown:?}"
    );
}

#[tokio::test]
async fn accounts_without_a_password_cannot_sign_in() {
    let shop = Shop::start().await;
    let record = json!({"id": uuid::Uuid::now_v7(), "email": "generated@example.com", "name": "G", "origin": "generated",
        "created_at": "2024-05-01T00:00:00Z", "password": null});
    shop.operator.bulk("/bulk/users", &[record]).await.expect(200);
    for password in ["", "null", "generated"] {
        let body = json!({"email": "generated@example.com", "password": password});
        shop.sessions
            .post("/credentials/verify", body)
            .await
            .expect_problem(401, "wrong-credentials");
    }
}

#[tokio::test]
async fn the_administrator_is_made_once() {
    let shop = Shop::start().await;
    let body =
        |password: &str| json!({"email": "admin@example.com", "password": password, "name": "Administrator"});
    let asks = (0..6).map(|_| shop.operator.put("/administrator", body("first password")));
    let asks: Vec<_> = asks.collect();
    let mut statuses: Vec<u16> = futures_join(asks)
        .await
        .iter()
        .map(|reply| reply.status)
        .collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 201]);
    let admin = shop
        .operator
        .put("/administrator", body("first password"))
        .await
        .expect(200);
    assert_eq!((&admin["role"], &admin["version"]), (&json!("admin"), &json!(1)));
    // Another password takes the place of the first: what the operator's file says is true.
    shop.operator
        .put("/administrator", body("second password"))
        .await
        .expect(200);
    let verify = async |password: &str| {
        let body = json!({"email": "admin@example.com", "password": password});
        shop.sessions.post("/credentials/verify", body).await
    };
    verify("first password")
        .await
        .expect_problem(401, "wrong-credentials");
    assert_eq!(verify("second password").await.expect(200)["role"], "admin");
    shop.check_versions(&id(&admin)).await;
    // A customer does not become one.
    shop.register("eve").await;
    let body = json!({"email": "eve@example.com", "password": "eve's password", "name": "Eve"});
    shop.operator
        .put("/administrator", body)
        .await
        .expect_problem(409, "email-taken");
}
