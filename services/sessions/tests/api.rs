//! The API against real stores.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Backend, world};
use emporium_service_kit::{Clock, ServiceName};
use emporium_test_kit::Reply;
use serde_json::{Value, json};
use time::Duration;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

fn manual() -> Clock {
    Clock::manual(Clock::System.now())
}

#[tokio::test]
async fn each_route_has_its_callers() {
    let world = world(Backend::Postgres, Clock::System).await.unwrap();
    let orders = world.sessions.as_caller(ServiceName::Orders);
    let anonymous = world.sessions.anonymous();
    let user = format!("/users/{}/sessions", Uuid::new_v4());
    let token = json!({"token": "x"});
    for path in [
        "/sessions",
        "/sessions/lookup",
        "/sessions/revoke",
        "/dead-letters/1/replay",
    ] {
        anonymous
            .post(path, &token)
            .await
            .expect_problem(401, "service-token-required");
        orders
            .post(path, &token)
            .await
            .expect_problem(403, "caller-not-allowed");
    }
    orders
        .delete(&user)
        .await
        .expect_problem(403, "caller-not-allowed");
    orders
        .get("/dead-letters")
        .await
        .expect_problem(403, "caller-not-allowed");
    let operator = world.sessions.as_caller(ServiceName::Operator);
    assert_eq!(
        operator.get("/dead-letters").await.expect(200)["items"],
        json!([])
    );
    operator
        .post("/dead-letters/7/replay", json!({}))
        .await
        .expect_problem(404, "not-found");
    anonymous.get("/health/ready").await.expect(200);
    world.sessions.stop().await;
}

async fn a_session_from_login_to_logout(backend: Backend) {
    let Some(world) = world(backend, manual()).await else {
        return;
    };
    let now = world.sessions.environment.clock.now();
    let login = world.log_in("Admin@Example.org", "right").await.expect(201);
    let token = login["token"].as_str().unwrap();
    assert_eq!((token.len(), &login["role"]), (46, &json!("customer")));
    assert_eq!(login["user_id"], json!(world.user_id));
    let expected = (now + Duration::hours(24)).format(&Rfc3339).unwrap();
    assert_eq!(login["expires_at"], expected.as_str());
    let view = json!({"user_id": world.user_id, "role": "customer", "expires_at": login["expires_at"], "blocked": false});
    assert_eq!(world.look_up(token).await.expect(200), view);
    let admin = world.log_in("admin@example.org", "right").await.expect(201);
    assert_eq!(admin["role"], "admin");
    assert_ne!(admin["token"], login["token"]);
    let body = json!({"token": token});
    world.gateway.post("/sessions/revoke", &body).await.expect(204);
    world.gateway.post("/sessions/revoke", &body).await.expect(204);
    world.look_up(token).await.expect_problem(404, "no-session");
    world.look_up(admin["token"].as_str().unwrap()).await.expect(200);
    world.sessions.stop().await;
}

#[tokio::test]
async fn only_the_hash_of_a_token_is_kept() {
    let world = world(Backend::Postgres, Clock::System).await.unwrap();
    let token = world.token().await;
    let rows: Vec<String> = sqlx::query_scalar("SELECT s::text FROM sessions_session AS s")
        .fetch_all(&world.sessions.db())
        .await
        .unwrap();
    assert_eq!(rows.len(), 1);
    assert!(!rows[0].contains(&token));
    let attempts: Vec<String> = sqlx::query_scalar("SELECT a::text FROM sessions_attempt AS a")
        .fetch_all(&world.sessions.db())
        .await
        .unwrap();
    assert!(attempts.iter().all(|row| !row.contains("ann")), "{attempts:?}");
    let unlogged: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM pg_class WHERE relname LIKE 'sessions%' AND relpersistence <> 'p'",
    )
    .fetch_one(&world.sessions.db())
    .await
    .unwrap();
    assert_eq!(unlogged, 0, "a crash of PostgreSQL must log nobody out");
    world.sessions.stop().await;
}

async fn forged_tokens_are_no_tokens(backend: Backend) {
    let Some(world) = world(backend, Clock::System).await else {
        return;
    };
    let token = world.token().await;
    let mut flipped = token.clone();
    let first = if token.starts_with('A') { "B" } else { "A" };
    flipped.replace_range(..1, first);
    let long = "A".repeat(100_000);
    let zero = "A".repeat(46);
    for bad in [
        "",
        " ",
        "\u{0}",
        "' OR 1=1 --",
        "<script>",
        "ünïcödé",
        &token[1..],
        &format!("{token}="),
        &format!("{token}\n"),
        &flipped,
        &zero,
        &long,
    ] {
        world.look_up(bad).await.expect_problem(404, "no-session");
        let body = json!({"token": bad});
        world.gateway.post("/sessions/revoke", body).await.expect(204);
    }
    for (body, status) in [
        (json!({}), 400),
        (json!({"token": 7}), 400),
        (json!({"token": null}), 400),
    ] {
        assert_eq!(world.gateway.post("/sessions/lookup", body).await.status, status);
    }
    world.look_up(&token).await.expect(200);
    world.sessions.stop().await;
}

async fn sessions_slide_and_end(backend: Backend) {
    let clock = manual();
    let Some(world) = world(backend, clock.clone()).await else {
        return;
    };
    let (idle, used) = (world.token().await, world.token().await);
    clock.advance(Duration::hours(23));
    let slid = world.look_up(&used).await.expect(200);
    let expected = (clock.now() + Duration::hours(24)).format(&Rfc3339).unwrap();
    assert_eq!(slid["expires_at"], expected.as_str());
    clock.advance(Duration::hours(1));
    world.look_up(&idle).await.expect_problem(404, "no-session");
    for _ in 0..58 {
        world.look_up(&used).await.expect(200);
        clock.advance(Duration::hours(12));
    }
    // 30 days after the login, whatever the use.
    clock.advance(Duration::minutes(-1));
    world.look_up(&used).await.expect(200);
    clock.advance(Duration::hours(12));
    world.look_up(&used).await.expect_problem(404, "no-session");
    world.sessions.stop().await;
}

#[tokio::test]
async fn look_ups_mostly_read() {
    let world = world(Backend::Postgres, manual()).await.unwrap();
    let token = world.token().await;
    let writes = async || {
        let db = world.sessions.db();
        let sql = "SELECT xmin::text || ctid::text FROM sessions_session";
        sqlx::query_scalar::<_, String>(sql).fetch_one(&db).await.unwrap()
    };
    let before = writes().await;
    for _ in 0..20 {
        world.look_up(&token).await.expect(200);
        world.sessions.environment.clock.advance(Duration::seconds(2));
    }
    assert_eq!(writes().await, before, "within a minute");
    world.sessions.environment.clock.advance(Duration::seconds(20));
    world.look_up(&token).await.expect(200);
    assert_ne!(writes().await, before);
    world.sessions.stop().await;
}

async fn log_out_everywhere(backend: Backend) {
    let Some(world) = world(backend, Clock::System).await else {
        return;
    };
    let tokens = [world.token().await, world.token().await];
    let path = format!("/users/{}/sessions", world.user_id);
    let other = format!("/users/{}/sessions", Uuid::new_v4());
    world.gateway.delete(&other).await.expect(204);
    world.look_up(&tokens[0]).await.expect(200);
    for _ in 0..2 {
        world.gateway.delete(&path).await.expect(204);
    }
    for token in &tokens {
        world.look_up(token).await.expect_problem(404, "no-session");
    }
    world
        .gateway
        .delete("/users/nobody/sessions")
        .await
        .expect_problem(404, "not-found");
    let token = world.token().await;
    world.look_up(&token).await.expect(200);
    world.sessions.stop().await;
}

#[tokio::test]
async fn bad_logins_are_refused_before_they_are_verified() {
    let world = world(Backend::Postgres, Clock::System).await.unwrap();
    let long = "a".repeat(10_000);
    for (body, status) in [
        (json!({"email": "", "password": "right"}), 422),
        (json!({"email": "  ", "password": "right"}), 422),
        (json!({"email": "a\u{0}@b.org", "password": "right"}), 422),
        (json!({"email": "a\n@b.org", "password": "right"}), 422),
        (json!({"email": long, "password": "right"}), 422),
        (json!({"email": "a@b.org", "password": ""}), 422),
        (json!({"email": "a@b.org", "password": long}), 422),
        (json!({"email": "a@b.org"}), 400),
        (json!({"email": ["a@b.org"], "password": "right"}), 400),
        (json!({"email": "a@b.org", "password": 1}), 400),
        (json!(null), 400),
    ] {
        let answer = world.gateway.post("/sessions", &body).await;
        assert_eq!(answer.status, status, "{}", answer.text);
        assert_eq!(answer.content_type, "application/problem+json");
        assert!(
            !answer.text.contains("right"),
            "no password comes back: {}",
            answer.text
        );
    }
    let broken = world.gateway.request("POST", "/sessions");
    let broken = broken
        .header("content-type", "application/json")
        .body("{\"email\":");
    Reply::read(broken).await.expect_problem(400, "bad-json");
    assert_eq!(world.users.received_requests().await.unwrap().len(), 0);
    world.sessions.stop().await;
}

async fn the_users_service_decides(backend: Backend) {
    let Some(world) = world(backend, Clock::System).await else {
        return;
    };
    world
        .log_in("ann@example.org", "wrong")
        .await
        .expect_problem(401, "wrong-credentials");
    world
        .log_in("blocked@example.org", "wrong")
        .await
        .expect_problem(401, "wrong-credentials");
    world
        .log_in("blocked@example.org", "right")
        .await
        .expect_problem(403, "user-blocked");
    if backend == Backend::Postgres {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM sessions_session")
            .fetch_one(&world.sessions.db())
            .await
            .unwrap();
        assert_eq!(count, 0);
    }
    world.sessions.stop().await;
}

#[tokio::test]
async fn an_absent_users_service_is_a_503_that_counts_for_nothing() {
    let user = Uuid::now_v7();
    let world = common::with_users(
        Backend::Postgres,
        Clock::System,
        common::problem(503, "store-unavailable"),
        user,
    )
    .await
    .unwrap();
    for _ in 0..3 {
        let answer: Value = world
            .log_in("ann@example.org", "right")
            .await
            .expect_problem(503, "service-unavailable");
        assert_eq!(answer["service"], "users");
    }
    let noted: i64 = sqlx::query_scalar(
        "SELECT sum(cardinality(failed_at) + cardinality(pending_at))::bigint FROM sessions_attempt",
    )
    .fetch_one(&world.sessions.db())
    .await
    .unwrap();
    assert_eq!(noted, 0);
    world.sessions.stop().await;
}

/// Whoever waits in vain is told so before the gateway gives up: an attempt that depends on others' outcomes gets its 429,
/// one that a slow users service does not answer its 503.
#[tokio::test]
async fn a_login_ends_before_its_caller_gives_up() {
    let user = Uuid::now_v7();
    let slow = common::verified(user, "customer", true).set_delay(std::time::Duration::from_secs(20));
    let world = common::with_users(Backend::Postgres, Clock::System, slow, user)
        .await
        .unwrap();
    let logins = futures::future::join_all((0..11).map(|_| world.log_in("ann@example.org", "right"))).await;
    let mut statuses: Vec<u16> = logins.iter().map(|reply| reply.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [[429].as_slice(), &[503; 10]].concat());
    let noted: i64 = sqlx::query_scalar("SELECT sum(cardinality(failed_at))::bigint FROM sessions_attempt")
        .fetch_one(&world.sessions.db())
        .await
        .unwrap();
    assert_eq!(noted, 0);
    world.sessions.stop().await;
}

async fn the_hundred_and_first_session_ends_the_first(backend: Backend) {
    let Some(world) = world(backend, Clock::System).await else {
        return;
    };
    let first = world.token().await;
    let second = world.token().await;
    for _ in 0..99 {
        world.token().await;
    }
    world.look_up(&first).await.expect_problem(404, "no-session");
    world.look_up(&second).await.expect(200);
    world.sessions.stop().await;
}

on_every_store!(
    a_session_from_login_to_logout,
    forged_tokens_are_no_tokens,
    sessions_slide_and_end,
    log_out_everywhere,
    the_users_service_decides,
    the_hundred_and_first_session_ends_the_first,
);
