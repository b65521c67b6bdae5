//! What a wrong `EMPORIUM_CARTS_STORE` says: one clear line that names the setting and shows no password.
#![allow(clippy::unwrap_used)]

use emporium_carts::build;
use emporium_service_kit::stores::CARTS_STORE;
use emporium_service_kit::{Clock, ServiceName};
use emporium_test_kit::stores::{self, Durability, RedisSettings};
use emporium_test_kit::{Keys, TestService};

async fn started() -> TestService {
    TestService::start(ServiceName::Carts, &Keys::default(), &[], Clock::System, build).await
}

/// What the service says of the setting, which it refuses.
async fn refused(carts: &TestService, url: &str) -> String {
    carts.refusal(CARTS_STORE, url, build).await
}

#[tokio::test]
async fn the_store_setting_picks_the_adapter() {
    let carts = started().await;
    for (url, message) in [
        ("cassandra://h/secret", "no adapter for the scheme \"cassandra\""),
        ("secret", "no adapter for the scheme \"\""),
        ("postgres://[", "no postgres URL"),
        ("redis://[", "no redis URL"),
        (
            "postgres://nobody:secret@127.0.0.1:9/none",
            "store cannot be used: ",
        ),
        (
            "redis://nobody:secret@127.0.0.1:9",
            "store cannot be used: no answer: ",
        ),
    ] {
        let error = refused(&carts, url).await;
        assert!(error.contains(message), "{error}");
    }
    let database = emporium_test_kit::TestPostgres::get()
        .await
        .empty_database()
        .await;
    let mut environment = carts.environment.clone();
    environment.stores.set(CARTS_STORE, database.url).unwrap();
    assert!(build(&environment).await.is_ok());
    carts.stop().await;
}

#[tokio::test]
async fn a_redis_that_refuses_is_one_clear_line() {
    let settings = RedisSettings {
        durability: Durability::None,
        password: Some("right".to_owned()),
        user: None,
    };
    let Some(server) = stores::own_redis_with(settings).await else {
        return;
    };
    let carts = started().await;
    for url in [
        server.url_as("default", "secret"),
        format!("redis://127.0.0.1:{}", server.port()),
    ] {
        let error = refused(&carts, &url).await;
        assert!(error.contains("user or password are refused"), "{error}");
    }
    let error = refused(&carts, &format!("{}/99", server.url_as("default", "right"))).await;
    assert!(error.contains("the server has no database 99"), "{error}");
    carts.stop().await;
}

#[tokio::test]
async fn a_cluster_has_no_database_numbers() {
    let Some(cluster) = stores::redis_cluster().await else {
        return;
    };
    let carts = started().await;
    let error = refused(&carts, &format!("{}/1", cluster.url.trim_end_matches('/'))).await;
    assert!(
        error.contains("a Redis Cluster has database 0 only; leave /1 away"),
        "{error}"
    );
    carts.stop().await;
}
