//! Which store the setting picks, and what a wrong one says: one clear line that names it and shows no password.
#![allow(clippy::unwrap_used)]

use emporium_reviews::build;
use emporium_service_kit::stores::REVIEWS_STORE;
use emporium_service_kit::{Clock, ServiceName};
use emporium_test_kit::service::absent;
use emporium_test_kit::{Keys, TestPostgres, TestService, connect};
use serde_json::json;
use uuid::Uuid;

#[tokio::test]
async fn the_store_setting_picks_the_adapter() {
    let name = ServiceName::Reviews;
    let peers = absent(&[ServiceName::Orders, ServiceName::Users, name]);
    let plain = TestService::start(name, &Keys::default(), &peers, Clock::System, build).await;
    for (url, message) in [
        ("mongodb+srv://h/secret", "mongodb"),
        (
            "mongodb://u:secret@127.0.0.1:9/none",
            "no server answers there that takes writes",
        ),
        ("postgres://[", "no postgres URL"),
        (
            "postgres://nobody:secret@127.0.0.1:9/none",
            "store cannot be used: ",
        ),
    ] {
        let text = plain.refusal(REVIEWS_STORE, url, build).await;
        assert!(text.contains(message), "{text}");
    }
    plain.stop().await;

    // Elsewhere: the review and its event are both there, and none is in the service's own database.
    let database = TestPostgres::get().await.empty_database().await;
    let url = database.url.clone();
    let elsewhere = TestService::start(
        name,
        &Keys::default(),
        &peers,
        Clock::System,
        async |environment| {
            let mut environment = environment.clone();
            environment.stores.set(REVIEWS_STORE, url.clone())?;
            build(&environment).await
        },
    )
    .await;
    let body = json!({"author_id": Uuid::new_v4(), "rating": 5, "title": "Good", "text": "It fits."});
    let list = format!("/products/{}/reviews", Uuid::new_v4());
    let gateway = elsewhere.as_caller(ServiceName::Gateway);
    gateway.post(&list, &body).await.expect(201);
    let events = gateway.get("/events").await.expect(200);
    assert_eq!(events["items"].as_array().unwrap().len(), 1);
    let there = connect(&database.url, name, 1);
    for (db, expected) in [(&there, 1), (&elsewhere.db(), 0)] {
        let sql = "SELECT (SELECT count(*) FROM reviews_review), (SELECT count(*) FROM reviews_outbox)";
        let rows: (i64, i64) = sqlx::query_as(sql).fetch_one(db).await.unwrap();
        assert_eq!(rows, (expected, expected));
    }
    elsewhere.stop().await;
}
