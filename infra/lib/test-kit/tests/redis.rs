//! A Redis of one's own really stops, dies and comes back, and what tests share really is shared.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use emporium_test_kit::stores::{self, Durability, OwnStore, RedisSettings};
use redis::RedisResult;
use redis::aio::MultiplexedConnection;

async fn connect(url: &str) -> RedisResult<MultiplexedConnection> {
    redis::Client::open(url)?.get_multiplexed_async_connection().await
}

async fn increment(connection: &mut MultiplexedConnection) -> RedisResult<i64> {
    redis::cmd("INCR").arg("counter").query_async(connection).await
}

async fn fresh(own: &OwnStore) -> MultiplexedConnection {
    connect(&own.url).await.expect("the server accepts connections")
}

#[tokio::test]
async fn a_paused_server_keeps_silent_and_goes_on_where_it_was() {
    let Some(own) = stores::own_redis(Durability::None).await else {
        return;
    };
    let mut connection = fresh(&own).await;
    assert_eq!(increment(&mut connection).await.unwrap(), 1);
    own.pause().await;
    let mut paused = connection.clone();
    let answer = tokio::time::timeout(Duration::from_millis(300), increment(&mut paused)).await;
    assert!(!matches!(answer, Ok(Ok(_))), "a paused server answered");
    own.resume().await;
    // The increment it got while it slept counts too.
    assert_eq!(increment(&mut fresh(&own).await).await.unwrap(), 3);
}

#[tokio::test]
async fn a_killed_server_is_gone_and_comes_back_with_what_it_acknowledged() {
    let Some(own) = stores::own_redis(Durability::Always).await else {
        return;
    };
    let mut connection = fresh(&own).await;
    for round in 1..=3_i64 {
        assert_eq!(increment(&mut connection).await.unwrap(), round);
        own.kill().await;
        assert!(
            increment(&mut connection).await.is_err(),
            "a killed server answered"
        );
        assert!(connect(&own.url).await.is_err(), "somebody listens on its port");
        own.restart().await;
        connection = fresh(&own).await;
    }
    let seen: i64 = redis::cmd("GET")
        .arg("counter")
        .query_async(&mut connection)
        .await
        .unwrap();
    assert_eq!(seen, 3);
}

#[tokio::test]
async fn without_durability_a_killed_server_has_forgotten_everything() {
    let Some(own) = stores::own_redis(Durability::None).await else {
        return;
    };
    assert_eq!(increment(&mut fresh(&own).await).await.unwrap(), 1);
    own.kill().await;
    own.restart().await;
    assert_eq!(increment(&mut fresh(&own).await).await.unwrap(), 1);
}

#[tokio::test]
async fn passwords_are_asked_for() {
    let settings = RedisSettings {
        password: Some("the-right-one".to_owned()),
        user: Some(("shop".to_owned(), "of-the-shop".to_owned())),
        ..RedisSettings::default()
    };
    let Some(own) = stores::own_redis_with(settings).await else {
        return;
    };
    assert_eq!(increment(&mut fresh(&own).await).await.unwrap(), 1);
    let mut shop = connect(&own.url_as("shop", "of-the-shop")).await.unwrap();
    assert_eq!(increment(&mut shop).await.unwrap(), 2);
    let wrong = connect(&own.url_as("shop", "guessed"))
        .await
        .expect_err("it is refused");
    assert_eq!(wrong.kind(), redis::ErrorKind::AuthenticationFailed);
    let nobody = async || increment(&mut connect(&format!("redis://127.0.0.1:{}", own.port())).await?).await;
    assert!(nobody().await.is_err(), "it takes commands from anybody");
}

#[tokio::test]
async fn the_shared_server_is_the_same_for_everybody() {
    let (Some(one), Some(other)) = (stores::redis().await, stores::redis().await) else {
        return;
    };
    assert_eq!(one, other);
    assert!(!one.version.is_empty());
    increment(&mut connect(&one.url).await.unwrap()).await.unwrap();
}

#[tokio::test]
async fn each_durability_is_what_the_server_runs_with() {
    for (durability, expected) in [
        (Durability::Everysec, ["yes", "everysec"]),
        (Durability::Always, ["yes", "always"]),
        (Durability::None, ["no", "everysec"]),
    ] {
        let Some(own) = stores::own_redis(durability).await else {
            return;
        };
        let mut connection = fresh(&own).await;
        let mut setting = async |name: &str| -> String {
            let mut get = redis::cmd("CONFIG");
            let (_, value): (String, String) = get
                .arg("GET")
                .arg(name)
                .query_async(&mut connection)
                .await
                .unwrap();
            value
        };
        assert_eq!(
            [setting("appendonly").await, setting("appendfsync").await],
            expected,
            "{durability:?}"
        );
        assert_eq!(
            setting("save").await.is_empty(),
            durability == Durability::None,
            "{durability:?}"
        );
        // From the file that all servers share.
        assert_eq!(setting("maxmemory-policy").await, "noeviction");
        assert_eq!(setting("active-expire-effort").await, "2");
    }
}

#[tokio::test]
async fn ones_own_cluster_comes_back_as_a_whole() {
    let Some(own) = stores::own_redis_cluster().await else {
        return;
    };
    let client = redis::cluster::ClusterClient::new(vec![own.url.as_str()]).unwrap();
    let mut connection = client.get_async_connection().await.unwrap();
    for key in ["a", "b", "c", "d"] {
        let () = redis::cmd("SET")
            .arg(key)
            .arg(key)
            .query_async(&mut connection)
            .await
            .unwrap();
    }
    own.kill().await;
    assert!(connect(&own.url).await.is_err(), "somebody listens on its port");
    own.restart().await;
    own.pause().await;
    own.resume().await;
    // Nodes that slept may take each other for dead for a moment.
    let again = async || client.get_async_connection().await.ok();
    let mut connection = emporium_test_kit::eventually("the cluster answers", 20, again).await;
    for key in ["a", "b", "c", "d"] {
        let seen: String = redis::cmd("GET")
            .arg(key)
            .query_async(&mut connection)
            .await
            .unwrap();
        assert_eq!(seen, key);
    }
}

#[tokio::test]
async fn the_cluster_answers_for_keys_of_every_slot_range() {
    let Some(cluster) = stores::redis_cluster().await else {
        return;
    };
    let client = redis::cluster::ClusterClient::new(vec![cluster.url]).unwrap();
    let mut connection = client.get_async_connection().await.unwrap();
    let mut ranges = std::collections::BTreeSet::new();
    for number in 0..40 {
        let key = format!("emporium-test-kit:{number}");
        let () = redis::cmd("SET")
            .arg(&key)
            .arg(number)
            .arg("EX")
            .arg(60)
            .query_async(&mut connection)
            .await
            .unwrap();
        let seen: i64 = redis::cmd("GET")
            .arg(&key)
            .query_async(&mut connection)
            .await
            .unwrap();
        assert_eq!(seen, number);
        let slot: u16 = redis::cmd("CLUSTER")
            .arg("KEYSLOT")
            .arg(&key)
            .query_async(&mut connection)
            .await
            .unwrap();
        ranges.insert(slot / 5462);
    }
    assert_eq!(ranges.len(), 3, "the keys do not reach every node");
}
