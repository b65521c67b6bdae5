//! A blocked user can do nothing with a session: not after the event, and not by a login that was under way.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use common::{Backend, World, user_event, verified, with_users, world};
use emporium_service_kit::{Clock, ServiceName};
use emporium_test_kit::eventually;
use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;
use wiremock::{Request, Respond, ResponseTemplate};

/// Puts `user.updated.v1` on the bus, as the users service's relay would.
async fn publish(world: &World, version: i64, data: &Value) {
    publish_of(world, world.sessions.environment.clock.now(), version, data).await;
}

/// The same of something that happened at that time.
async fn publish_of(world: &World, time: OffsetDateTime, version: i64, data: &Value) {
    let event = user_event("user.updated.v1", world.user_id, version, time, data);
    world.publish(&[event]).await;
}

/// Publishes that the user of that version is active, or not.
async fn user_is(world: &World, version: i64, active: bool) {
    let user = json!({"id": world.user_id, "email": "ann@example.org", "name": "Ann", "role": "customer",
        "active": active, "origin": "registered", "version": version});
    publish(world, version, &user).await;
}

async fn becomes(world: &World, token: &str, blocked: bool) {
    eventually("the session is marked", 10, async || {
        let view = world.look_up(token).await.expect(200);
        (view["blocked"] == blocked).then_some(())
    })
    .await;
}

async fn blocking_a_user_marks_the_sessions_and_unblocking_gives_them_back(backend: Backend) {
    let Some(world) = world(backend, Clock::System).await else {
        return;
    };
    let tokens = [world.token().await, world.token().await];
    user_is(&world, 2, true).await;
    publish(&world, 2, &json!({"id": Uuid::new_v4(), "active": false})).await;
    world.caught_up().await;
    for token in &tokens {
        assert_eq!(world.look_up(token).await.expect(200)["blocked"], false);
    }
    user_is(&world, 3, false).await;
    for token in &tokens {
        becomes(&world, token, true).await;
        let view = world.look_up(token).await.expect(200);
        assert_eq!(view["user_id"], json!(world.user_id));
    }
    // Who was unblocked can log in at once, before the event has come.
    let early = world.token().await;
    assert_eq!(world.look_up(&early).await.expect(200)["blocked"], false);
    user_is(&world, 4, true).await;
    for token in &tokens {
        becomes(&world, token, false).await;
    }
    // The old block comes again, when it is not true any more.
    user_is(&world, 3, false).await;
    world.caught_up().await;
    for token in tokens.iter().chain([&early]) {
        assert_eq!(world.look_up(token).await.expect(200)["blocked"], false);
    }
    world.sessions.stop().await;
}

async fn a_blocked_session_can_be_ended(backend: Backend) {
    let Some(world) = world(backend, Clock::System).await else {
        return;
    };
    let tokens = [world.token().await, world.token().await];
    user_is(&world, 2, false).await;
    becomes(&world, &tokens[1], true).await;
    let body = json!({"token": tokens[0]});
    world.gateway.post("/sessions/revoke", body).await.expect(204);
    world.look_up(&tokens[0]).await.expect_problem(404, "no-session");
    let everywhere = format!("/users/{}/sessions", world.user_id);
    world.gateway.delete(&everywhere).await.expect(204);
    world.look_up(&tokens[1]).await.expect_problem(404, "no-session");
    world.sessions.stop().await;
}

/// What happened before the oldest session that there may be concerns none: a store may have forgotten what came after it.
async fn ancient_news_is_passed_over(backend: Backend) {
    let Some(world) = world(backend, Clock::System).await else {
        return;
    };
    let token = world.token().await;
    let lifetime = time::Duration::days(30);
    let blocked = json!({"id": world.user_id, "active": false});
    let now = world.sessions.environment.clock.now();
    publish_of(&world, now - lifetime - time::Duration::minutes(1), 2, &blocked).await;
    world.caught_up().await;
    assert_eq!(world.look_up(&token).await.expect(200)["blocked"], false);
    publish_of(&world, now - lifetime + time::Duration::minutes(1), 2, &blocked).await;
    becomes(&world, &token, true).await;
    world.sessions.stop().await;
}

#[tokio::test]
async fn an_unreadable_event_is_put_aside_and_can_be_replayed() {
    let world = world(Backend::Postgres, Clock::System).await.unwrap();
    let token = world.token().await;
    publish(&world, 1, &json!({"id": "nobody", "active": false})).await;
    user_is(&world, 2, false).await;
    becomes(&world, &token, true).await;
    let operator = world.sessions.as_caller(ServiceName::Operator);
    let letters = eventually("the dead letter is there", 10, async || {
        let letters = operator.get("/dead-letters").await.expect(200);
        (letters["items"].as_array().unwrap().len() == 1).then_some(letters)
    })
    .await;
    let replay = format!("/dead-letters/{}/replay", letters["items"][0]["id"]);
    operator
        .post(&replay, json!({}))
        .await
        .expect_problem(409, "still-rejected");
    world.sessions.stop().await;
}

/// Says that the user is active, but only after the test let go; from then on, that the user is blocked.
struct Slow {
    user_id: Uuid,
    asked: Sender<()>,
    go_on: Mutex<Option<Receiver<()>>>,
}

impl Respond for Slow {
    fn respond(&self, _: &Request) -> ResponseTemplate {
        let first = self.go_on.lock().unwrap().take();
        let active = first.is_some();
        if let Some(go_on) = first {
            self.asked.send(()).unwrap();
            go_on.recv_timeout(Duration::from_secs(20)).unwrap();
        }
        verified(self.user_id, "customer", active)
    }
}

/// The login is verified before the block and would begin its session after it: it is verified again.
async fn a_login_under_way_does_not_outlive_the_block(backend: Backend) {
    let (user_id, (asked, was_asked), (go_on, wait)) = (Uuid::now_v7(), channel(), channel());
    let slow = Slow {
        user_id,
        asked,
        go_on: Mutex::new(Some(wait)),
    };
    let Some(world) = with_users(backend, Clock::System, slow, user_id).await else {
        return;
    };
    let revoke = async {
        tokio::task::spawn_blocking(move || was_asked.recv().unwrap())
            .await
            .unwrap();
        user_is(&world, 2, false).await;
        world.caught_up().await;
        go_on.send(()).unwrap();
    };
    let (login, ()) = futures::join!(world.log_in("ann@example.org", "right"), revoke);
    login.expect_problem(403, "user-blocked");
    assert_eq!(
        world.users.received_requests().await.unwrap().len(),
        2,
        "verified twice"
    );
    if backend == Backend::Postgres {
        let left: i64 = sqlx::query_scalar("SELECT count(*) FROM sessions_session")
            .fetch_one(&world.sessions.db())
            .await
            .unwrap();
        assert_eq!(left, 0);
    }
    world.sessions.stop().await;
}

on_every_store!(
    blocking_a_user_marks_the_sessions_and_unblocking_gives_them_back,
    a_blocked_session_can_be_ended,
    a_login_under_way_does_not_outlive_the_block,
    ancient_news_is_passed_over,
);
