//! A blocked user has no session: not after the event, and not by a login that was under way.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use common::{World, verified, with_users, world};
use emporium_event_bus::CloudEvent;
use emporium_service_kit::{Clock, ServiceName};
use emporium_test_kit::eventually;
use serde_json::{Value, json};
use uuid::Uuid;
use wiremock::{Request, Respond, ResponseTemplate};

/// Puts `user.updated.v1` on the bus, as the users service's relay would.
async fn publish(world: &World, data: &Value) {
    let event: CloudEvent = serde_json::from_value(json!({
        "specversion": "1.0", "id": Uuid::now_v7(), "source": "/users", "type": "user.updated.v1",
        "subject": world.user_id, "time": "2030-01-01T00:00:00Z", "datacontenttype": "application/json",
        "aggregateversion": 2, "data": data,
    }))
    .unwrap();
    let bus = emporium_event_bus::open(&world.sessions.environment)
        .await
        .unwrap();
    bus.append(&[event]).await.unwrap();
}

fn user(world: &World, active: bool) -> Value {
    json!({"id": world.user_id, "email": "ann@example.org", "name": "Ann", "role": "customer", "active": active,
        "origin": "registered", "version": 2})
}

async fn ended(world: &World, token: &str) {
    eventually("the session ends", 10, async || {
        (world.look_up(token).await.status == 404).then_some(())
    })
    .await;
}

#[tokio::test]
async fn blocking_a_user_ends_the_sessions() {
    let world = world(Clock::System).await;
    let tokens = [world.token().await, world.token().await];
    publish(&world, &user(&world, true)).await;
    publish(&world, &json!({"id": Uuid::new_v4(), "active": false})).await;
    for token in &tokens {
        world.look_up(token).await.expect(200);
    }
    publish(&world, &user(&world, false)).await;
    for token in &tokens {
        ended(&world, token).await;
    }
    // Unblocked, or the event comes again: a new login works, at once.
    let token = world.token().await;
    world.look_up(&token).await.expect(200);
    world.sessions.stop().await;
}

#[tokio::test]
async fn an_unreadable_event_is_put_aside_and_can_be_replayed() {
    let world = world(Clock::System).await;
    let token = world.token().await;
    publish(&world, &json!({"id": "nobody", "active": false})).await;
    publish(&world, &user(&world, false)).await;
    ended(&world, &token).await;
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

/// The login is verified before the block and would begin its session after the revocation: it is verified again.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_under_way_does_not_outlive_the_block() {
    let (user_id, (asked, was_asked), (go_on, wait)) = (Uuid::now_v7(), channel(), channel());
    let slow = Slow {
        user_id,
        asked,
        go_on: Mutex::new(Some(wait)),
    };
    let world = with_users(Clock::System, slow, user_id).await;
    let revoke = async {
        tokio::task::spawn_blocking(move || was_asked.recv().unwrap())
            .await
            .unwrap();
        publish(&world, &user(&world, false)).await;
        let db = world.sessions.db();
        eventually("the revocation is done", 10, async || {
            let sql = "SELECT revocation FROM sessions_account WHERE revocation > 0";
            sqlx::query_scalar::<_, i64>(sql)
                .fetch_optional(&db)
                .await
                .unwrap()
        })
        .await;
        go_on.send(()).unwrap();
    };
    let (login, ()) = futures::join!(world.log_in("ann@example.org", "right"), revoke);
    login.expect_problem(403, "user-blocked");
    assert_eq!(
        world.users.received_requests().await.unwrap().len(),
        2,
        "verified twice"
    );
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM sessions_session")
        .fetch_one(&world.sessions.db())
        .await
        .unwrap();
    assert_eq!(left, 0);
    world.sessions.stop().await;
}
