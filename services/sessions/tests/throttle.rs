//! Failed logins are limited for each address, over all instances, also when they come at once.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Backend, World, build_on, world};
use emporium_service_kit::auth::Secret;
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::{Clock, Environment, ServiceName, serve};
use emporium_test_kit::{Caller, Reply};
use futures::future::join_all;
use serde_json::json;
use time::Duration;
use tokio_util::sync::CancellationToken;

fn statuses(replies: &[Reply]) -> (usize, usize, usize) {
    let count = |status| replies.iter().filter(|reply| reply.status == status).count();
    (count(201), count(401), count(429))
}

/// Another instance of the service on the same store.
async fn second_instance(world: &World) -> (serve::Running, Caller) {
    let environment = Environment {
        metrics: Metrics::new(ServiceName::Sessions),
        shutdown: CancellationToken::new(),
        ..world.sessions.environment.clone()
    };
    let url = world.redis.as_ref().map(|redis| redis.url.clone());
    let service = build_on(&environment, url).await.unwrap();
    let listener = serve::listen("127.0.0.1:0").await.unwrap();
    let running = serve::start(&environment, service, listener).unwrap();
    let secret: &Secret = world.sessions.keys.secret(ServiceName::Gateway);
    let caller = Caller::new(
        &format!("http://{}", running.address),
        ServiceName::Sessions,
        Some(secret),
    );
    (running, caller)
}

async fn ten_failures_lock_an_address_for_a_while(backend: Backend) {
    let clock = Clock::manual(Clock::System.now());
    let Some(world) = world(backend, clock.clone()).await else {
        return;
    };
    let spellings = ["ann@example.org", "ANN@example.org", "Ann@Example.Org"];
    for spelling in spellings.iter().cycle().take(10) {
        world
            .log_in(spelling, "wrong")
            .await
            .expect_problem(401, "wrong-credentials");
        clock.advance(Duration::seconds(10));
    }
    let asked = world.users.received_requests().await.unwrap().len();
    for password in ["wrong", "right"] {
        let answer = world.log_in("ann@example.org", password).await;
        assert_eq!(
            answer.headers["retry-after"], "200",
            "the first failure was 100 s ago"
        );
        answer.expect_problem(429, "too-many-attempts");
    }
    assert_eq!(
        world.users.received_requests().await.unwrap().len(),
        asked,
        "nobody was asked"
    );
    world.log_in("bob@example.org", "right").await.expect(201);
    clock.advance(Duration::seconds(199));
    let answer = world.log_in("ann@example.org", "right").await;
    assert_eq!(answer.headers["retry-after"], "1");
    clock.advance(Duration::seconds(1));
    world.log_in("ann@example.org", "right").await.expect(201);
    world.sessions.stop().await;
}

async fn guesses_at_once_and_at_several_instances_are_limited_too(backend: Backend) {
    let Some(world) = world(backend, Clock::System).await else {
        return;
    };
    let (running, other) = second_instance(&world).await;
    let body = json!({"email": "ann@example.org", "password": "wrong"});
    let guesses = (0..60).map(|n| {
        let caller = if n % 2 == 0 { &world.gateway } else { &other };
        caller.post("/sessions", &body)
    });
    let replies = join_all(guesses).await;
    assert_eq!(statuses(&replies), (0, 10, 50));
    for reply in replies.iter().filter(|reply| reply.status == 429) {
        let wait: u32 = reply.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=300).contains(&wait));
    }
    running.stop().await;
    world.sessions.stop().await;
}

async fn right_passwords_at_once_all_come_in(backend: Backend) {
    let Some(world) = world(backend, Clock::System).await else {
        return;
    };
    let replies = join_all((0..60).map(|_| world.log_in("ann@example.org", "right"))).await;
    assert_eq!(statuses(&replies), (60, 0, 0));
    world.sessions.stop().await;
}

on_every_store!(
    ten_failures_lock_an_address_for_a_while,
    guesses_at_once_and_at_several_instances_are_limited_too,
    right_passwords_at_once_all_come_in,
);
