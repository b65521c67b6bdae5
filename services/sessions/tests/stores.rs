//! The setting that picks the store, what the service tells of it, and Redis's own cases.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Instant;

use common::{Backend, World, build_on, world};
use emporium_service_kit::stores::SESSIONS_STORE;
use emporium_service_kit::{Clock, ServiceName};
use emporium_test_kit::stores::{self, RedisSettings};
use emporium_test_kit::{TestPostgres, eventually};
use time::Duration;

const UNUSABLE: &str = "EMPORIUM_SESSIONS_STORE: the sessions service's store cannot be used: ";

#[tokio::test]
async fn the_setting_picks_the_adapter_or_says_why_not() {
    let world = world(Backend::Postgres, Clock::System).await.unwrap();
    let environment = &world.sessions.environment;
    let mut bad: Vec<(String, &str)> = vec![
        ("cassandra://h/secret".to_owned(), "EMPORIUM_SESSIONS_STORE: "),
        ("secret".to_owned(), "EMPORIUM_SESSIONS_STORE: "),
        ("postgres://[".to_owned(), "EMPORIUM_SESSIONS_STORE: "),
        ("redis://[".to_owned(), "EMPORIUM_SESSIONS_STORE: "),
        ("postgres://nobody:secret@127.0.0.1:9/none".to_owned(), UNUSABLE),
        (
            "redis://:secret@127.0.0.1:9".to_owned(),
            "EMPORIUM_SESSIONS_STORE: the sessions service's store cannot be used: no answer",
        ),
    ];
    let settings = RedisSettings {
        password: Some("right".to_owned()),
        ..RedisSettings::default()
    };
    let redis = stores::own_redis_with(settings).await;
    if let Some(redis) = &redis {
        let refused = "EMPORIUM_SESSIONS_STORE: the sessions service's store cannot be used: user or password are refused";
        bad.push((format!("redis://127.0.0.1:{}", redis.port()), refused));
        bad.push((redis.url_as("default", "secret"), refused));
        let database = "EMPORIUM_SESSIONS_STORE: the server has no database 99";
        bad.push((format!("{}/99", redis.url), database));
    }
    if let Some(cluster) = stores::redis_cluster().await {
        let database = "EMPORIUM_SESSIONS_STORE: a Redis Cluster has database 0 only; leave /1 away";
        bad.push((format!("{}/1", cluster.url), database));
    }
    for (url, message) in bad {
        let error = world
            .sessions
            .refusal(SESSIONS_STORE, &url, emporium_sessions::build)
            .await;
        assert!(error.starts_with(message), "{error}");
    }
    let database = TestPostgres::get().await.empty_database().await;
    assert!(build_on(environment, Some(database.url)).await.is_ok());
    if let Some(redis) = redis {
        let numbered = format!("{}/3", redis.url);
        assert!(build_on(environment, Some(numbered)).await.is_ok());
    }
    world.sessions.stop().await;
}

/// What the operator is told of the store.
async fn the_store_is_reported(backend: Backend) {
    let Some(world) = world(backend, Clock::System).await else {
        return;
    };
    let operator = world.sessions.as_caller(ServiceName::Operator);
    let text = operator.get("/stores").await.expect(200).to_string();
    let (adapter, durability) = match backend {
        Backend::Postgres => ("postgresql", "synchronous_commit="),
        Backend::Redis => ("redis", "appendonly=yes, appendfsync=always"),
    };
    assert!(text.contains(&format!("\"adapter\":\"{adapter}\"")), "{text}");
    assert!(
        text.contains("\"setting\":\"EMPORIUM_SESSIONS_STORE\"") && text.contains(durability),
        "{text}"
    );
    world.sessions.stop().await;
}

async fn connection(world: &World) -> ::redis::aio::MultiplexedConnection {
    let client = ::redis::Client::open(world.redis.as_ref().unwrap().url.as_str()).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

/// All that the server keeps, as a thief would see it.
async fn everything(world: &World) -> Vec<String> {
    let mut connection = connection(world).await;
    let keys: Vec<String> = ::redis::cmd("KEYS")
        .arg("*")
        .query_async(&mut connection)
        .await
        .unwrap();
    let mut all = Vec::new();
    for key in keys {
        let kind: String = ::redis::cmd("TYPE")
            .arg(&key)
            .query_async(&mut connection)
            .await
            .unwrap();
        let read = match kind.as_str() {
            "hash" => ::redis::cmd("HGETALL").arg(&key).to_owned(),
            "zset" => ::redis::cmd("ZRANGE").arg(&key).arg(0).arg(-1).to_owned(),
            _ => ::redis::cmd("GET").arg(&key).to_owned(),
        };
        let value: ::redis::Value = read.query_async(&mut connection).await.unwrap();
        all.push(format!("{key} {value:?}"));
    }
    all
}

#[tokio::test]
async fn only_the_hash_of_a_token_is_kept() {
    let Some(world) = world(Backend::Redis, Clock::System).await else {
        return;
    };
    let token = world.token().await;
    let failed = world.log_in("ann@example.org", "wrong").await;
    failed.expect_problem(401, "wrong-credentials");
    let all = everything(&world).await;
    assert!(all.len() >= 4, "{all:?}");
    assert!(all.iter().all(|line| line.starts_with("sessions:")), "{all:?}");
    // Neither the token, nor its secret part, nor the address.
    for secret in [&token, &token[3..], "ann@"] {
        assert!(
            all.iter().all(|line| !line.contains(secret)),
            "{secret} in {all:?}"
        );
    }
    world.sessions.stop().await;
}

#[tokio::test]
async fn look_ups_mostly_read() {
    let clock = Clock::manual(Clock::System.now());
    let Some(world) = world(Backend::Redis, clock.clone()).await else {
        return;
    };
    let token = world.token().await;
    let mut connection = connection(&world).await;
    let mut writes = async || {
        let mut info = ::redis::cmd("INFO");
        let text: String = info
            .arg("persistence")
            .query_async(&mut connection)
            .await
            .unwrap();
        let line = text
            .lines()
            .find(|line| line.starts_with("rdb_changes_since_last_save"));
        line.unwrap().to_owned()
    };
    let before = writes().await;
    for _ in 0..20 {
        world.look_up(&token).await.expect(200);
        clock.advance(Duration::seconds(2));
    }
    assert_eq!(writes().await, before, "within a minute");
    clock.advance(Duration::seconds(20));
    world.look_up(&token).await.expect(200);
    assert_ne!(writes().await, before);
    world.sessions.stop().await;
}

/// A Redis that hangs or dies is a 503 in time; then all goes on, with the sessions that there were.
#[tokio::test]
async fn a_redis_that_is_away_is_a_503() {
    let Some(world) = world(Backend::Redis, Clock::System).await else {
        return;
    };
    let (token, redis) = (world.token().await, world.redis.as_ref().unwrap());
    let ready = async || world.sessions.anonymous().get("/health/ready").await.status;
    let away = async || {
        let started = Instant::now();
        let found = world.look_up(&token).await;
        found.expect_problem(503, "store-unavailable");
        assert!(started.elapsed().as_secs() < 3);
        let login = world.log_in("ann@example.org", "right").await;
        login.expect_problem(503, "store-unavailable");
        assert!(started.elapsed().as_secs() < 6);
        assert_eq!(ready().await, 503);
    };
    let back = async || {
        eventually("the session is there again", 5, async || {
            (world.look_up(&token).await.status == 200).then_some(())
        })
        .await;
        assert_eq!(ready().await, 200);
    };
    redis.pause().await;
    away().await;
    redis.resume().await;
    back().await;
    redis.kill().await;
    away().await;
    redis.restart().await;
    back().await;
    world.token().await;
    world.sessions.stop().await;
}

on_every_store!(the_store_is_reported);
