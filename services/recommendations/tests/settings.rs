//! Which store the setting picks, and what a wrong one says: one clear line that names it and shows no password.
#![allow(clippy::unwrap_used)]

use emporium_recommendations::{OWNERS, build};
use emporium_service_kit::stores::RECOMMENDATIONS_STORE;
use emporium_service_kit::{Clock, ServiceName};
use emporium_test_kit::service::absent;
use emporium_test_kit::{Keys, TestPostgres, TestService, connect};

#[tokio::test]
async fn the_store_setting_picks_the_adapter() {
    let (name, peers) = (ServiceName::Recommendations, absent(&OWNERS));
    let service = TestService::start(name, &Keys::default(), &peers, Clock::System, build).await;
    for (url, message) in [
        ("neo4j://u:secret@h/a/b", "this is no Neo4j URL; write neo4j://"),
        ("neo4j://u:secret@h?database=x", "only shop=name may stand"),
        ("neo4j://u:secret@127.0.0.1:9", "store cannot be used: "),
        ("postgres://[", "no postgres URL"),
        (
            "postgres://nobody:secret@127.0.0.1:9/none",
            "store cannot be used: ",
        ),
    ] {
        let text = service.refusal(RECOMMENDATIONS_STORE, url, build).await;
        assert!(text.contains(message), "{text}");
    }
    let database = TestPostgres::get().await.empty_database().await;
    let mut environment = service.environment.clone();
    environment
        .stores
        .set(RECOMMENDATIONS_STORE, database.url.clone())
        .unwrap();
    // The metrics of a second service of one process have to be its own.
    environment.metrics = emporium_service_kit::metrics::Metrics::new(name);
    assert!(build(&environment).await.is_ok());
    let there = connect(&database.url, name, 1);
    let sql = "SELECT count(*) FROM pg_class WHERE relname IN ('recommendations_basket', 'recommendations_projections')";
    let tables: i64 = sqlx::query_scalar(sql).fetch_one(&there).await.unwrap();
    assert_eq!(tables, 2, "all of it is there");
    service.stop().await;
}
