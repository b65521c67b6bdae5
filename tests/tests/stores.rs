//! `emporium stores`, with the shop running and without it, and what a start says of the specialised stores.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};

use emporium_service_kit::stores::{CARTS_STORE, EVENTS, SESSIONS_STORE};
use emporium_test_kit::eventually;
use emporium_test_kit::stores::{self, Durability, RedisSettings};
use emporium_tests::process::without_settings;
use emporium_tests::{OWNERS, Options, Polyglot, ShopProcess};
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_shop-under-test");
const SECRET: &str = "s3cr3t-of-the-test";

fn stores_of(data_dir: &Path, settings: &[(&str, &str)], format: &str) -> Output {
    let output = without_settings(&mut Command::new(PROGRAM))
        .args(["stores", "--format", format, "--data-dir"])
        .arg(data_dir)
        .envs(settings.iter().copied())
        .output()
        .unwrap();
    for text in [&output.stdout, &output.stderr] {
        assert!(!String::from_utf8_lossy(text).contains(SECRET), "{output:?}");
    }
    output
}

/// The rows, which are all there is on standard output.
fn rows(output: &Output) -> Vec<Value> {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[track_caller]
fn row<'a>(rows: &'a [Value], service: &str, role: &str) -> &'a Value {
    let found = rows
        .iter()
        .find(|row| row["service"] == service && row["role"] == role);
    found.unwrap_or_else(|| panic!("no {role} of {service} in {rows:?}"))
}

fn error_line(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let errors: Vec<&str> = text.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 1, "one line: {text}");
    errors[0].to_owned()
}

#[tokio::test]
async fn without_a_shop_the_stores_that_are_set_are_asked() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("none");
    let output = stores_of(&data, &[], "json");
    assert!(output.status.success(), "{output:?}");
    let all = rows(&output);
    assert_eq!(all.len(), 13, "{all:?}");
    for row in &all {
        assert_eq!(
            (&row["adapter"], &row["error"]),
            (&"postgresql".into(), &"not running".into()),
            "{row}"
        );
        assert_eq!(row.as_object().unwrap().len(), 11, "{row}");
    }
    let table = stores_of(&data, &[], "table");
    assert!(
        String::from_utf8_lossy(&table.stdout).contains("postgresql (embedded)"),
        "{table:?}"
    );
    assert!(!data.exists(), "a look makes nothing");

    let settings = RedisSettings {
        durability: Durability::Always,
        password: Some(SECRET.to_owned()),
        ..RedisSettings::default()
    };
    let Some(redis) = stores::own_redis_with(settings).await else {
        return;
    };
    let output = stores_of(&data, &[(CARTS_STORE, &redis.url), (EVENTS, &redis.url)], "json");
    assert!(output.status.success(), "{output:?}");
    let all = rows(&output);
    for (service, role) in [("carts", "store"), ("event bus", "events")] {
        let row = row(&all, service, role);
        assert_eq!(
            (&row["adapter"], &row["error"]),
            (&"redis".into(), &Value::Null),
            "{row}"
        );
        assert!(row["version"].as_str().unwrap().contains(&redis.version), "{row}");
        assert!(
            row["latency_ms"].as_f64().unwrap() > 0.0 && row["size_bytes"].as_i64().unwrap() > 0,
            "{row}"
        );
        assert!(row["durability"].as_str().unwrap().contains("always"), "{row}");
    }
    assert_eq!(row(&all, "sessions", "store")["error"], "not running");
    let wrong = redis.url_as("default", "wrong");
    let output = stores_of(
        &data,
        &[(CARTS_STORE, &redis.url), (SESSIONS_STORE, &wrong)],
        "json",
    );
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(
        error_line(&output).contains("EMPORIUM_SESSIONS_STORE: user or password are refused"),
        "{output:?}"
    );
    assert_eq!(
        row(&rows(&output), "carts", "store")["error"],
        Value::Null,
        "one does not hide the others"
    );
}

/// The same set, looked at before a start: every adapter is asked as what it is.
#[tokio::test]
async fn without_a_shop_every_specialised_store_tells_of_itself() {
    let Some(stores) = Polyglot::get().await else {
        return;
    };
    let options = stores.options(Options::default());
    let settings: Vec<(&str, &str)> = (options.env.iter())
        .map(|(name, url)| (name.as_str(), url.as_str()))
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let output = stores_of(&folder.path().join("none"), &settings, "json");
    assert!(output.status.success(), "{output:?}");
    let all = rows(&output);
    for (service, role, adapter) in [
        ("sessions", "store", "redis"),
        ("carts", "store", "redis"),
        ("catalog", "search", "elasticsearch"),
        ("recommendations", "store", "neo4j"),
        ("recommendations", "cache", "redis"),
        ("reviews", "store", "mongodb"),
        ("analytics", "store", "clickhouse"),
        ("monitoring", "store", "prometheus"),
        ("event bus", "events", "redis"),
    ] {
        let row = row(&all, service, role);
        assert_eq!(
            (&row["adapter"], &row["error"]),
            (&adapter.into(), &Value::Null),
            "{row}"
        );
        assert!(
            row["version"].is_string() && row["durability"].is_string(),
            "{row}"
        );
    }
}

#[tokio::test]
async fn of_a_running_shop_every_service_tells() {
    let shop = ShopProcess::start(PROGRAM, &Options::default()).await;
    assert!(
        !shop.output().contains("Redis"),
        "nothing specialised, nothing said"
    );
    let output = stores_of(shop.path(), &[(CARTS_STORE, "redis://127.0.0.1:1")], "json");
    assert!(
        output.status.success(),
        "the shop's settings count, not the command's: {output:?}"
    );
    let all = rows(&output);
    for service in OWNERS {
        let row = row(&all, service, "store");
        assert_eq!(
            (&row["adapter"], &row["error"]),
            (&"postgresql".into(), &Value::Null),
            "{row}"
        );
        assert!(
            row["version"].as_str().unwrap().starts_with("PostgreSQL 18"),
            "{row}"
        );
        assert!(row["durability"].as_str().unwrap().contains("fsync=on"), "{row}");
        assert!(row["size_bytes"].as_i64().unwrap() > 1_000_000, "{row}");
    }
    let on_the_bus = OWNERS
        .into_iter()
        .filter(|name| !matches!(*name, "carts" | "monitoring"));
    for service in on_the_bus {
        let row = row(&all, service, "events");
        assert_eq!(row["setting"], EVENTS, "{row}");
        assert!(row["lag"].is_i64(), "{row}");
    }
}

#[tokio::test]
async fn specialised_stores_are_shown_with_what_they_lack_and_when_they_are_away() {
    let Some(stores) = Polyglot::get().await else {
        return;
    };
    let Some(redis) = stores::own_redis(Durability::Everysec).await else {
        return;
    };
    let options = stores.options(Options::default()).on(CARTS_STORE, &redis.url);
    let shop = ShopProcess::start(PROGRAM, &options).await;
    let at = format!("{} at 127.0.0.1:{}", redis.version, redis.port());
    let said = shop.output();
    let carts = said
        .lines()
        .find(|line| line.starts_with("carts ") && line.contains(" at "));
    assert!(carts.is_some_and(|line| line.ends_with(&at)), "{said}");
    for name in [
        "sessions",
        "catalog",
        "recommendations ",
        "recommendations (cache)",
        "reviews",
        "analytics",
        "monitoring",
        "event bus",
    ] {
        assert!(
            said.lines()
                .any(|line| line.starts_with(name) && line.contains(" at 127.0.0.1:")),
            "{name}: {said}"
        );
    }
    // Until the index is built, its row says that it cannot be used yet.
    let output = eventually("every store can be used", 60, async || {
        let output = stores_of(shop.path(), &[], "json");
        output.status.success().then_some(output)
    })
    .await;
    let all = rows(&output);
    for (service, role, adapter) in [
        ("sessions", "store", "redis"),
        ("carts", "store", "redis"),
        ("catalog", "store", "postgresql"),
        ("catalog", "search", "elasticsearch"),
        ("recommendations", "store", "neo4j"),
        ("recommendations", "cache", "redis"),
        ("reviews", "store", "mongodb"),
        ("analytics", "store", "clickhouse"),
        ("monitoring", "store", "prometheus"),
        ("orders", "events", "redis"),
        ("reviews", "events", "redis"),
    ] {
        let row = row(&all, service, role);
        assert_eq!(
            (&row["adapter"], &row["error"]),
            (&adapter.into(), &Value::Null),
            "{row}"
        );
        assert!(
            row["version"].is_string() && row["latency_ms"].is_number(),
            "{row}"
        );
    }
    // Once a second to the disk is less than the contract wants, so it is declared and said in words.
    let lacks = row(&all, "carts", "store")["lacks"].as_array().unwrap().clone();
    assert!(!lacks.is_empty());
    let table = stores_of(shop.path(), &[], "table");
    let text = String::from_utf8_lossy(&table.stdout).into_owned();
    for lack in lacks {
        assert!(text.contains(lack["consequence"].as_str().unwrap()), "{text}");
    }
    redis.kill().await;
    let output = stores_of(shop.path(), &[], "json");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(
        error_line(&output).starts_with("error: EMPORIUM_CARTS_STORE: "),
        "{output:?}"
    );
    let all = rows(&output);
    assert!(row(&all, "carts", "store")["error"].is_string());
    assert_eq!(
        row(&all, "sessions", "store")["error"],
        Value::Null,
        "the others answer"
    );
}
