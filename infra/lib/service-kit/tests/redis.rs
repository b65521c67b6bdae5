//! The wrapper around Redis, on real servers.
#![allow(clippy::unwrap_used)]

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::redis::{CALL_TIMEOUT, ConnectError, Durability as Kept, Invocation, NamedScript};
use emporium_service_kit::report::Server;
use emporium_service_kit::{Redis, ServiceName, StoreError};
use emporium_test_kit::eventually;
use emporium_test_kit::stores::{self, Durability, RedisSettings};
use redis::cmd;
use uuid::Uuid;

static ADD_ONCE: LazyLock<NamedScript> = LazyLock::new(|| {
    NamedScript::new(
        "test.add_once",
        "if redis.call('SADD', KEYS[1], ARGV[1]) == 1 then redis.call('INCR', KEYS[2]) end
         return tonumber(redis.call('GET', KEYS[2]))",
    )
});

async fn connected(url: &str) -> (Redis, Metrics) {
    let metrics = Metrics::new(ServiceName::Carts);
    (Redis::connect(url, metrics.clone()).await.unwrap(), metrics)
}

async fn add(redis: &Redis, space: &str, id: u32) -> Result<i64, StoreError> {
    let run = Invocation::of(&ADD_ONCE)
        .key(format!("{{{space}}}:ids"))
        .key(format!("{{{space}}}:sum"))
        .arg(id);
    redis.run(&run).await
}

/// On one server and on a cluster: scripts and commands work, and each is in the metrics by name.
#[tokio::test(flavor = "multi_thread")]
async fn calls_are_made_and_measured() {
    for store in [stores::redis().await, stores::redis_cluster().await] {
        let Some(store) = store else { continue };
        let (redis, metrics) = connected(&store.url).await;
        let space = Uuid::new_v4().to_string();
        for id in [1, 2, 2] {
            add(&redis, &space, id).await.unwrap();
        }
        assert_eq!(add(&redis, &space, 1).await.unwrap(), 2);
        redis.ping().await.unwrap();
        let wrong: Result<i64, _> = redis
            .command("GET", cmd("GET").arg(format!("{{{space}}}:ids")))
            .await;
        assert!(matches!(wrong, Err(StoreError::Failed(_))), "{wrong:?}");
        let facts = redis.facts().await.unwrap();
        assert!(facts.version.contains(' ') && facts.latency_ms > 0.0, "{facts:?}");
        let text = metrics.render();
        for line in [
            r#"emporium_store_call_duration_seconds_count{operation="test.add_once",store="redis",service="carts"} 4"#,
            r#"emporium_store_errors_total{operation="GET",store="redis",service="carts"} 1"#,
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}

/// Nothing acknowledged is lost when the server is killed, the first call after it finds the new server by itself, and the
/// one that was under way is not done twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_costs_no_error_once_the_server_is_back() {
    let Some(own) = stores::own_redis(Durability::Always).await else {
        return;
    };
    let (redis, _) = connected(&own.url).await;
    let space = "restart";
    for id in 0..10 {
        add(&redis, space, id).await.unwrap();
    }
    let info = redis.info().await.unwrap();
    assert_eq!(
        redis.durability(&info).await,
        Kept::AppendOnly("always".to_owned())
    );
    own.kill().await;
    let started = Instant::now();
    let away = add(&redis, space, 10).await;
    assert!(matches!(away, Err(StoreError::Unavailable(_))), "{away:?}");
    assert!(started.elapsed() < CALL_TIMEOUT + Duration::from_secs(1));
    own.restart().await;
    let sum = eventually("the server is found again", 5, async || {
        add(&redis, space, 10).await.ok()
    })
    .await;
    assert_eq!(sum, 11);
    own.restart().await;
    assert_eq!(add(&redis, space, 11).await.unwrap(), 12, "without an error");
}

/// A server that stands still costs each call a bounded time, and is used again when it goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_pause_is_bounded() {
    let Some(own) = stores::own_redis(Durability::Everysec).await else {
        return;
    };
    let (redis, _) = connected(&own.url).await;
    add(&redis, "pause", 1).await.unwrap();
    own.pause().await;
    let started = Instant::now();
    let calls = (0..20).map(|id| add(&redis, "pause", id));
    for call in futures::future::join_all(calls).await {
        assert!(matches!(call, Err(StoreError::Unavailable(_))), "{call:?}");
    }
    assert!(
        started.elapsed() < CALL_TIMEOUT + Duration::from_secs(1),
        "all wait at once"
    );
    own.resume().await;
    eventually("it goes on", 5, async || redis.ping().await.ok()).await;
}

/// What cannot be used is refused at once, in a line that says why and shows no password.
#[tokio::test(flavor = "multi_thread")]
async fn what_will_not_do_is_refused() {
    let connect = async |url: &str| {
        let refused = Redis::connect(url, Metrics::new(ServiceName::Carts))
            .await
            .unwrap_err();
        assert!(!refused.to_string().contains("s3cret"), "{refused}");
        refused
    };
    for url in ["redis://", "redis://h:port", "nonsense"] {
        assert!(matches!(connect(url).await, ConnectError::Url), "{url}");
    }
    let nobody = connect("redis://:s3cret@127.0.0.1:1").await;
    assert!(matches!(nobody, ConnectError::Unreachable(_)), "{nobody}");
    if let Some(cluster) = stores::redis_cluster().await {
        let refused = connect(&format!("{}/3", cluster.url.trim_end_matches('/'))).await;
        assert!(matches!(refused, ConnectError::ClusterDatabase(3)), "{refused}");
    }
    let settings = RedisSettings {
        password: Some("right".into()),
        ..RedisSettings::default()
    };
    let Some(own) = stores::own_redis_with(settings).await else {
        return;
    };
    let address = own
        .url
        .rsplit('@')
        .next()
        .unwrap()
        .trim_start_matches("redis://")
        .to_owned();
    for user in ["", ":s3cret@", "nobody:s3cret@"] {
        let refused = connect(&format!("redis://{user}{address}")).await;
        assert!(matches!(refused, ConnectError::Credentials), "{user}: {refused}");
    }
    let refused = connect(&format!("redis://:right@{address}/99999")).await;
    assert!(matches!(refused, ConnectError::Database(99999)), "{refused}");
    connected(&format!("redis://default:right@{address}/3")).await;
}

/// What a cluster is asked of all its nodes, one by one.
async fn of_each_node(url: &str, command: &::redis::Cmd) -> Vec<String> {
    let open = async |url: &str| {
        let client = ::redis::Client::open(url).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    };
    let nodes: String = cmd("CLUSTER")
        .arg("NODES")
        .query_async(&mut open(url).await)
        .await
        .unwrap();
    let mut answers = Vec::new();
    for node in nodes.lines() {
        let address = node.split([' ', '@']).nth(1).unwrap();
        let mut connection = open(&format!("redis://{address}")).await;
        let value: ::redis::Value = command.query_async(&mut connection).await.unwrap();
        answers.push(format!("{value:?}"));
    }
    answers
}

/// A node answers although nobody serves some of the keys: no service may start on that.
#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_is_not_whole_is_refused() {
    let Some(own) = stores::own_redis_cluster().await else {
        return;
    };
    connected(&own.url).await;
    let mut forget = cmd("CLUSTER");
    forget.arg("DELSLOTS").arg(0);
    let mut info = cmd("CLUSTER");
    info.arg("INFO");
    of_each_node(&own.url, &forget).await;
    eventually("all nodes know", 10, async || {
        let states = of_each_node(&own.url, &info).await;
        states
            .iter()
            .all(|state| state.contains("cluster_state:fail"))
            .then_some(())
    })
    .await;
    let refused = Redis::connect(&own.url, Metrics::new(ServiceName::Carts))
        .await
        .unwrap_err();
    assert!(matches!(refused, ConnectError::Cluster(_)), "{refused}");
    assert!(
        refused.to_string().contains("see that its masters run"),
        "{refused}"
    );
}

/// A server that refuses a connection (here because its password was changed) is used again when it stops refusing, without a
/// restart of the service; until then callers are told to try again.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_connection_is_opened_again() {
    let settings = RedisSettings {
        password: Some("first".into()),
        ..RedisSettings::default()
    };
    let Some(own) = stores::own_redis_with(settings).await else {
        return;
    };
    let (redis, _) = connected(&own.url).await;
    let (operator, _) = connected(&own.url).await;
    let set = |password: &str| {
        let mut set = cmd("CONFIG");
        set.arg("SET").arg("requirepass").arg(password);
        set
    };
    let mut kill = cmd("CLIENT");
    kill.arg("KILL")
        .arg("TYPE")
        .arg("normal")
        .arg("SKIPME")
        .arg("yes");
    operator
        .command::<()>("CONFIG SET", &set("second"))
        .await
        .unwrap();
    operator.command::<i64>("CLIENT KILL", &kill).await.unwrap();
    for id in 0..20 {
        let refused = add(&redis, "refused", id).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    }
    operator.command::<()>("CONFIG SET", &set("first")).await.unwrap();
    eventually("it is used again", 5, async || {
        add(&redis, "refused", 1).await.ok()
    })
    .await;
}
