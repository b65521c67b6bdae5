//! Registration, profile, lists, blocking.

use emporium_service_kit::ServiceName;
use emporium_test_kit::eventually;
use serde_json::json;
use uuid::Uuid;

use crate::{Shop, id};

#[tokio::test]
async fn callers_need_a_token_on_the_routes_list() {
    let shop = Shop::start().await;
    let path = format!("/users/{}", Uuid::new_v4());
    shop.users
        .anonymous()
        .get(&path)
        .await
        .expect_problem(401, "service-token-required");
    shop.users
        .as_caller(ServiceName::Payments)
        .get(&path)
        .await
        .expect_problem(403, "caller-not-allowed");
    shop.gateway.get(&path).await.expect_problem(404, "not-found");
    for (caller, path) in [
        (&shop.gateway, "/credentials/verify"),
        (&shop.gateway, "/bulk/users"),
        (&shop.orders, "/users"),
        (&shop.sessions, "/users/batch"),
    ] {
        caller
            .post(path, json!({}))
            .await
            .expect_problem(403, "caller-not-allowed");
    }
    let document = shop.users.anonymous().get("/openapi.json").await.expect(200);
    assert_eq!(
        document["paths"]["/users/{id}"]["get"]["x-callers"],
        json!(["gateway", "orders"])
    );
    assert_eq!(
        document["paths"]["/users/{id}/addresses/{address_id}"]["delete"]["x-callers"],
        json!(["gateway"])
    );
    shop.users.anonymous().get("/health/ready").await.expect(200);
    let metrics = shop.users.anonymous().get("/metrics").await.text;
    assert!(metrics.contains("emporium_http_request_duration_seconds"));
    shop.users.stop().await;
}

#[tokio::test]
async fn a_sign_up_makes_one_account_and_one_event() {
    let shop = Shop::start().await;
    let body = json!({"email": "  Ada@Example.COM ", "password": "analytical engine", "name": " Ada <b>King</b>; -- "});
    let user = shop.gateway.post("/users", &body).await.expect(201);
    assert_eq!(user["email"], "ada@example.com");
    assert_eq!(user["name"], "Ada <b>King</b>; --");
    assert_eq!(
        (
            &user["role"],
            &user["active"],
            &user["points"],
            &user["pending_points"]
        ),
        (&json!("customer"), &json!(true), &json!(0), &json!(0))
    );
    assert_eq!(
        (&user["origin"], &user["name_invented"]),
        (&json!("registered"), &json!(false))
    );
    assert_eq!((&user["version"], &user["preferences"]), (&json!(1), &json!({})));
    assert!(user.get("password_hash").is_none());
    assert_eq!(shop.user(&id(&user)).await, user);
    shop.gateway
        .post("/users", &body)
        .await
        .expect_problem(409, "email-taken");
    let events = shop.events(&id(&user)).await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].0, "user.registered.v1");
    assert_eq!(
        events[0].2,
        json!({"id": user["id"], "email": "ada@example.com", "name": user["name"], "role": "customer",
            "active": true, "origin": "registered", "version": 1})
    );
}

#[tokio::test]
async fn the_same_sign_up_at_once_makes_one_account() {
    let shop = Shop::start().await;
    let body = json!({"email": "race@example.com", "password": "12345678", "name": "Race"});
    let asks = (0..8).map(|_| shop.gateway.post("/users", &body));
    let statuses: Vec<u16> = futures_join(asks)
        .await
        .into_iter()
        .map(|reply| reply.status)
        .collect();
    assert_eq!(
        statuses.iter().filter(|status| **status == 201).count(),
        1,
        "{statuses:?}"
    );
    assert_eq!(
        statuses.iter().filter(|status| **status == 409).count(),
        7,
        "{statuses:?}"
    );
}

#[tokio::test]
async fn events_reach_the_bus_without_a_push() {
    let shop = Shop::start().await;
    shop.register("bus").await;
    let bus = emporium_event_bus::open(&shop.users.environment).await.unwrap();
    eventually("the event is on the bus", 5, async || {
        (bus.end().await.unwrap() == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn profiles_change_by_merge_patch_and_only_when_they_differ() {
    let shop = Shop::start().await;
    let user = shop.register("grace").await;
    let path = format!("/users/{}", id(&user));
    let patch = json!({"preferences": {"theme": {"dark": true, "font": 12}, "mail": "weekly", "big": 1e308}});
    let user = shop.gateway.patch(&path, patch).await.expect(200);
    assert_eq!(
        user["preferences"],
        json!({"theme": {"dark": true, "font": 12}, "mail": "weekly", "big": 1e308})
    );
    assert_eq!(user["version"], 2);
    let patch = json!({"name": " Grace Hopper ", "preferences": {"theme": {"font": null}, "mail": null, "big": null}});
    let user = shop.gateway.patch(&path, &patch).await.expect(200);
    assert_eq!(user["preferences"], json!({"theme": {"dark": true}}));
    assert_eq!(
        (&user["name"], &user["version"]),
        (&json!("Grace Hopper"), &json!(3))
    );
    // Once more, and nothing at all: no version, no event.
    assert_eq!(shop.gateway.patch(&path, &patch).await.expect(200), user);
    assert_eq!(shop.gateway.patch(&path, json!({})).await.expect(200), user);
    let too_large = json!({"preferences": {"a": "x".repeat(8 * 1024)}});
    shop.gateway
        .patch(&path, too_large)
        .await
        .expect_problem(422, "preferences-too-large");
    assert_eq!(shop.user(&id(&user)).await, user);
    let kinds: Vec<String> = shop
        .events(&id(&user))
        .await
        .into_iter()
        .map(|event| event.0)
        .collect();
    assert_eq!(
        kinds,
        ["user.registered.v1", "user.updated.v1", "user.updated.v1"]
    );
}

#[tokio::test]
async fn concurrent_patches_all_survive() {
    let shop = Shop::start().await;
    let user = shop.register("many").await;
    let path = format!("/users/{}", id(&user));
    let asks = (0..20).map(|n| {
        shop.gateway
            .patch(&path, json!({"preferences": {format!("key{n}"): n}}))
    });
    let asks: Vec<_> = asks.collect();
    for reply in futures_join(asks).await {
        reply.expect(200);
    }
    let preferences = shop.user(&id(&user)).await["preferences"].clone();
    assert_eq!(preferences.as_object().unwrap().len(), 20);
    shop.check_versions(&id(&user)).await;
}

#[tokio::test]
async fn blocking_is_an_event_and_idempotent() {
    let shop = Shop::start().await;
    let user = shop.register("mallory").await;
    let path = format!("/users/{}/status", id(&user));
    for _ in 0..2 {
        let user = shop
            .gateway
            .patch(&path, json!({"active": false}))
            .await
            .expect(200);
        assert_eq!((&user["active"], &user["version"]), (&json!(false), &json!(2)));
    }
    let events = shop.events(&id(&user)).await;
    assert_eq!(events.len(), 2);
    assert_eq!(
        (events[1].0.as_str(), &events[1].2["active"]),
        ("user.updated.v1", &json!(false))
    );
    let unknown = format!("/users/{}/status", Uuid::new_v4());
    shop.gateway
        .patch(&unknown, json!({"active": false}))
        .await
        .expect_problem(404, "not-found");
}

/// Makes an administrator and gives the address of their status.
async fn administrator(shop: &Shop, name: &str) -> String {
    let body = json!({"email": format!("{name}@shop.example"), "password": "correct horse", "name": name});
    let user = shop.operator.put("/administrator", body).await.expect(201);
    format!("/users/{}/status", id(&user))
}

#[tokio::test]
async fn the_last_active_administrator_cannot_be_blocked() {
    let shop = Shop::start().await;
    let (block, open) = (json!({"active": false}), json!({"active": true}));
    let first = administrator(&shop, "first").await;
    let refused = shop.gateway.patch(&first, &block).await;
    refused.expect_problem(409, "last-administrator");
    let customer = format!("/users/{}/status", id(&shop.register("mallory").await));
    shop.gateway.patch(&customer, &block).await.expect(200);
    let second = administrator(&shop, "second").await;
    // Twice is like once, also for who is the last but blocked already.
    for _ in 0..2 {
        shop.gateway.patch(&first, &block).await.expect(200);
    }
    let refused = shop.gateway.patch(&second, &block).await;
    refused.expect_problem(409, "last-administrator");
    shop.gateway.patch(&second, &open).await.expect(200);
    shop.gateway.patch(&first, &open).await.expect(200);
    shop.gateway.patch(&second, &block).await.expect(200);
    let refused = shop.gateway.patch(&first, &block).await;
    refused.expect_problem(409, "last-administrator");
    let events = shop.events(first.split('/').nth(2).unwrap()).await;
    assert_eq!(events.len(), 3, "a refusal is no event");
    shop.users.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn administrators_who_block_each_other_at_once_leave_one() {
    let shop = Shop::start().await;
    let mut all = Vec::new();
    for name in ["a", "b", "c", "d"] {
        all.push(administrator(&shop, name).await);
    }
    for round in 0..20 {
        let asks = all
            .iter()
            .map(|status| shop.gateway.patch(status, json!({"active": false})));
        let replies = futures_join(asks).await;
        let statuses: Vec<u16> = replies.iter().map(|reply| reply.status).collect();
        let blocked = statuses.iter().filter(|status| **status == 200).count();
        let refused = statuses.iter().filter(|status| **status == 409).count();
        assert_eq!((blocked, refused), (3, 1), "round {round}: {statuses:?}");
        for status in &all {
            shop.gateway
                .patch(status, json!({"active": true}))
                .await
                .expect(200);
        }
    }
    shop.users.stop().await;
}

#[tokio::test]
async fn the_list_is_paged_newest_first_and_searched() {
    let shop = Shop::start().await;
    let records: Vec<_> = (0..45)
        .map(|n| {
            // Three accounts a moment, so that a page boundary falls between equal times.
            let at = format!("2024-01-01T00:00:{:02}Z", n / 3);
            json!({"id": Uuid::now_v7(), "email": format!("u{n}@list.example"), "name": format!("Zoë{n} Smith-{n}"),
                "origin": "generated", "name_invented": true, "created_at": at})
        })
        .collect();
    shop.operator.bulk("/bulk/users", &records).await.expect(200);
    let mut seen = Vec::new();
    let mut path = "/users?limit=7".to_owned();
    loop {
        let page = shop.gateway.get(&path).await.expect(200);
        seen.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|user| (user["created_at"].as_str().unwrap().to_owned(), id(user))),
        );
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/users?limit=7&cursor={cursor}");
    }
    assert_eq!(seen.len(), 45);
    assert!(
        seen.is_sorted_by(|a, b| a > b),
        "newest first, without repetition"
    );
    let found = async |q: &str| -> usize {
        let reply = shop
            .gateway
            .get(&format!("/users?limit=100&q={q}"))
            .await
            .expect(200);
        reply["items"].as_array().unwrap().len()
    };
    assert_eq!(found("U44@").await, 1);
    assert_eq!(found("u4").await, 6); // u4, u40 to u44
    assert_eq!(found("smith").await, 45);
    assert_eq!(found("zo%C3%AB7").await, 1);
    assert_eq!(found("%20").await, 45);
    for nothing in ["nobody", "%25", "%27%20OR%201=1--", "%26%7C!:*()%3C-%3E", "a%5C"] {
        assert_eq!(found(nothing).await, 0, "{nothing}");
    }
}

#[tokio::test]
async fn batches_leave_out_the_unknown() {
    let shop = Shop::start().await;
    let (one, two) = (shop.register("one").await, shop.register("two").await);
    let ids = json!({"ids": [one["id"], Uuid::new_v4(), two["id"], one["id"]]});
    let batch = shop.orders.post("/users/batch", ids).await.expect(200);
    assert_eq!(batch["items"].as_array().unwrap().len(), 2);
    let many: Vec<Uuid> = (0..201).map(|_| Uuid::new_v4()).collect();
    shop.orders
        .post("/users/batch", json!({"ids": many}))
        .await
        .expect_problem(422, "invalid");
}

/// All of them at once.
pub async fn futures_join<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    futures::future::join_all(futures).await
}
