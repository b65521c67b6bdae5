//! The shared Elasticsearch answers, and one's own can be tormented.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use emporium_service_kit::client::http_builder;
use emporium_test_kit::{eventually, stores};
use serde_json::{Value, json};

fn http() -> reqwest::Client {
    http_builder().timeout(Duration::from_secs(20)).build().unwrap()
}

async fn status(url: &str) -> Option<u16> {
    let answer = http().get(url).timeout(Duration::from_secs(1)).send().await;
    answer.ok().map(|answer| answer.status().as_u16())
}

#[tokio::test]
async fn the_shared_server_is_ready() {
    let Some(shared) = stores::elasticsearch().await else {
        return;
    };
    let root: Value = http()
        .get(&shared.url)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(root["version"]["number"], shared.version);
    let typo = http()
        .put(format!("{}/no-such-index/_doc/1", shared.url))
        .json(&json!({}))
        .send()
        .await
        .unwrap();
    assert_eq!(typo.status(), 404, "a write made an index");
}

#[tokio::test]
async fn ones_own_wants_its_password_pauses_and_survives_a_kill() {
    let Some(own) = stores::own_elasticsearch_with("the-right-one").await else {
        return;
    };
    let wrong = own.url_as("elastic", "guessed");
    assert_eq!(status(&wrong).await, Some(401));
    // A server that has just started may know nobody for a moment, while it makes the index of its users.
    eventually("the right one is taken", 30, async || {
        (status(&own.url).await == Some(200)).then_some(())
    })
    .await;
    let index = format!("{}/things", own.url);
    let made = http().put(&index).send().await.unwrap();
    assert_eq!(made.status(), 200);
    let document = format!("{index}/_doc/1");
    let written = http()
        .put(&document)
        .json(&json!({"name": "kettle"}))
        .send()
        .await
        .unwrap();
    assert_eq!(written.status(), 201);

    own.pause().await;
    assert_eq!(status(&own.url).await, None, "a paused server answered");
    own.resume().await;
    assert_eq!(http().get(&own.url).send().await.unwrap().status(), 200);

    own.kill().await;
    assert_eq!(status(&own.url).await, None, "a killed server answered");
    own.restart().await;
    let read: Value = http().get(&document).send().await.unwrap().json().await.unwrap();
    assert_eq!(read["_source"]["name"], "kettle", "{read}");
}
