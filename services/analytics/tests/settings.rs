//! What a wrong setting says: one clear line that names it and shows no password.
#![allow(clippy::unwrap_used)]

use clap::Parser;
use emporium_analytics::{Config, OWNERS, build};
use emporium_service_kit::stores::ANALYTICS_STORE;
use emporium_service_kit::{Clock, ServiceName};
use emporium_test_kit::service::absent;
use emporium_test_kit::{Keys, TestPostgres, TestService};

#[tokio::test]
async fn the_store_setting_picks_the_adapter() {
    let (keys, peers) = (Keys::default(), absent(&OWNERS));
    let analytics = TestService::start(ServiceName::Analytics, &keys, &peers, Clock::System, build).await;
    for (url, message) in [
        ("mongodb://h/secret", "no adapter for the scheme \"mongodb\""),
        ("clickhouse://h?secret=1", "this is no ClickHouse URL"),
        (
            "clickhouse://u:secret@127.0.0.1:9",
            "store cannot be used: no answer",
        ),
        ("secret", "no adapter for the scheme \"\""),
        ("postgres://[", "no postgres URL"),
        (
            "postgres://nobody:secret@127.0.0.1:9/none",
            "store cannot be used: ",
        ),
    ] {
        let text = analytics.refusal(ANALYTICS_STORE, url, build).await;
        assert!(text.contains(message), "{text}");
    }
    let database = TestPostgres::get().await.empty_database().await;
    let mut environment = analytics.environment.clone();
    environment
        .stores
        .set(ANALYTICS_STORE, database.url.clone())
        .unwrap();
    assert!(build(&environment).await.is_ok());
    let there = emporium_test_kit::connect(&database.url, ServiceName::Analytics, 1);
    let tables: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM pg_class WHERE relname IN ('analytics_order', 'analytics_activity', 'analytics_projections')",
    )
    .fetch_one(&there)
    .await
    .unwrap();
    assert_eq!(tables, 3, "all of it is there");
    analytics.stop().await;
}

#[test]
fn settings_have_bounds() {
    let read = |name: &str, value: &str| Config::try_parse_from(["analytics", name, value]);
    for (name, value) in [
        ("--currency", "pounds"),
        ("--activity-days", "2"),
        ("--activity-days", "366"),
        ("--activity-per-day-max", "0"),
        ("--activity-per-day-max", "x"),
    ] {
        assert!(read(name, value).is_err(), "{name} {value}");
    }
    assert_eq!(read("--activity-days", "3").unwrap().activity_days, 3);
}
