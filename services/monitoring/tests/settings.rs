//! What a wrong setting says: one clear line that names it and shows no password.
#![allow(clippy::unwrap_used)]

use clap::Parser;
use emporium_monitoring::{Config, build};
use emporium_service_kit::stores::MONITORING_STORE;
use emporium_service_kit::{Clock, ServiceName};
use emporium_test_kit::{Keys, TestPostgres, TestService};

#[tokio::test]
async fn the_store_setting_picks_the_adapter() {
    let keys = Keys::default();
    let monitoring = TestService::start(ServiceName::Monitoring, &keys, &[], Clock::System, build).await;
    for (url, message) in [
        ("cassandra://h/secret", "no adapter for the scheme \"cassandra\""),
        ("secret", "no adapter for the scheme \"\""),
        ("postgres://[", "no postgres URL"),
        (
            "postgres://nobody:secret@127.0.0.1:9/none",
            "store cannot be used: ",
        ),
        (
            "prometheus://secret",
            "no answer: no connection; see that it runs",
        ),
        (
            "prometheus://u:secret@127.0.0.1:9",
            "no answer: no connection; see that it runs",
        ),
        (
            "prometheus://u:secret@127.0.0.1:9/prefix",
            "write prometheus://host:port",
        ),
    ] {
        let text = monitoring.refusal(MONITORING_STORE, url, build).await;
        assert!(text.contains(message), "{text}");
    }
    let database = TestPostgres::get().await.empty_database().await;
    let mut environment = monitoring.environment.clone();
    environment.stores.set(MONITORING_STORE, database.url).unwrap();
    assert!(build(&environment).await.is_ok());
    monitoring.stop().await;
}

#[test]
fn settings_have_bounds() {
    let read = |name: &str, value: &str| Config::try_parse_from(["monitoring", name, value]);
    for (name, value) in [
        ("--scrape-period-ms", "50"),
        ("--scrape-period-ms", "-1"),
        ("--scrape-period-ms", "3600001"),
        ("--scrape-timeout-ms", "0"),
        ("--scrape-kib-max", "0"),
        ("--series-max", "10"),
        ("--series-max", "x"),
    ] {
        assert!(read(name, value).is_err(), "{name} {value}");
    }
    assert!(read("--scrape-period-ms", "0").unwrap().period().is_none());
    let quick = read("--scrape-period-ms", "100").unwrap();
    assert_eq!(quick.timeout().as_millis(), 50, "half a period");
}
