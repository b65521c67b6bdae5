//! What a setting may be, and what is said of one that cannot be used.

use emporium_event_bus::bus::Capability;
use emporium_event_bus::{BusError, open};
use emporium_test_kit::eventually;
use emporium_test_kit::stores::{self, Durability, RedisSettings};

use crate::support::Fixture;

async fn refusal(fixture: &mut Fixture, url: &str) -> BusError {
    fixture.environment.events_url = Some(url.to_owned());
    open(&fixture.environment).await.err().unwrap()
}

fn check(error: BusError, secret: &str) {
    for text in [error.to_string(), error.into_start_error().to_string()] {
        assert_eq!(text.matches("EMPORIUM_").count(), 1, "{text}");
        assert!(text.starts_with("EMPORIUM_EVENTS: "), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(!text.contains(secret), "{text}");
    }
}

#[tokio::test]
async fn a_redis_that_cannot_be_used_is_one_line_that_names_the_setting() {
    let settings = RedisSettings {
        password: Some("the-right-one".to_owned()),
        ..RedisSettings::default()
    };
    let Some(server) = stores::own_redis_with(settings).await else {
        return;
    };
    let mut fixture = Fixture::new().await;
    let port = server.port();
    for url in [
        server.url_as("default", "s3cret"),
        format!("redis://127.0.0.1:{port}"),
        format!("{}/99", server.url),
        "redis://s3cret@127.0.0.1:1".to_owned(),
        "redis://127.0.0.1:s3cret".to_owned(),
        "rediss://:s3cret@127.0.0.1:1".to_owned(),
    ] {
        check(refusal(&mut fixture, &url).await, "s3cret");
    }
    fixture.environment.events_url = Some(server.url.clone());
    open(&fixture.environment).await.unwrap();
}

#[tokio::test]
async fn what_the_server_cannot_promise_is_declared() {
    for (durability, lacks) in [
        (Durability::Always, vec![Capability::Ordered]),
        (
            Durability::Everysec,
            vec![Capability::Ordered, Capability::Durable],
        ),
        (Durability::None, vec![Capability::Ordered, Capability::Durable]),
    ] {
        let Some(server) = stores::own_redis(durability).await else {
            return;
        };
        let mut fixture = Fixture::new().await;
        fixture.environment.events_url = Some(server.url.clone());
        let bus = open(&fixture.environment).await.unwrap();
        assert_eq!(bus.lacks(), lacks, "{durability:?}");
        for capability in bus.lacks() {
            assert!(!capability.lack().consequence.is_empty());
        }
    }
}

/// A replica that takes over may lack what its master acknowledged.
#[tokio::test]
async fn a_server_with_replicas_is_declared_and_a_replica_is_refused() {
    let Some(master) = stores::own_redis(Durability::Always).await else {
        return;
    };
    let Some(replica) = stores::own_redis(Durability::Always).await else {
        return;
    };
    let client = redis::Client::open(replica.url.as_str()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let () = redis::cmd("REPLICAOF")
        .arg("127.0.0.1")
        .arg(master.port())
        .query_async(&mut connection)
        .await
        .unwrap();
    let mut fixture = Fixture::new().await;
    let error = refusal(&mut fixture, &replica.url).await;
    assert!(error.to_string().contains("replica"), "{error}");
    check(error, &replica.port().to_string());
    fixture.environment.events_url = Some(master.url.clone());
    eventually("the replica has connected", 10, async || {
        let bus = open(&fixture.environment).await.unwrap();
        (bus.lacks() == [Capability::Ordered, Capability::Durable]).then_some(())
    })
    .await;
}
