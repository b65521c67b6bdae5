//! Settings of stores that cannot be used: one line that names the setting, and nothing stays behind.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use emporium_service_kit::stores::{CARTS_STORE, CATALOG_SEARCH, EVENTS, SESSIONS_STORE};
use emporium_test_kit::stores::{self, Durability, RedisSettings};
use emporium_tests::ends::{ends_on, folder, says};
use emporium_tests::process::emporium_postgres_pid;

const PROGRAM: &str = env!("CARGO_BIN_EXE_shop-under-test");
/// A password that no output may show.
const SECRET: &str = "s3cr3t-of-the-test";

/// The program ends with one line that names the setting, and leaves nothing running.
#[track_caller]
fn refuses_store(setting: &str, url: &str, words: &[&str], data_dir: &std::path::Path) {
    let began = Instant::now();
    let output = ends_on(
        PROGRAM,
        &[(setting, url)],
        &["run", "--port", "0", "--sample", "none"],
        data_dir,
    );
    println!(
        "{setting}: {} after {:.1?}",
        String::from_utf8_lossy(&output.stderr).trim(),
        began.elapsed()
    );
    says(&output, words);
    says(&output, &[setting]);
    for text in [&output.stdout, &output.stderr] {
        assert!(!String::from_utf8_lossy(text).contains(SECRET));
    }
    assert_eq!(
        emporium_postgres_pid(&data_dir.join("postgres")),
        None,
        "nothing is left running"
    );
    assert!(!data_dir.join("running.json").exists());
}

#[test]
fn wrong_settings_of_stores_are_told_before_anything_is_started() {
    let above = folder();
    let data = above.path().join("data");
    let file = above.path().join("stores.toml");
    std::fs::write(&file, format!("[carts]\nstore = \"mysql://u:{SECRET}@h\"")).unwrap();
    let began = Instant::now();
    for (setting, url, words) in [
        (
            CARTS_STORE,
            format!("mysql://u:{SECRET}@h"),
            vec!["\"mysql\"", "redis://"],
        ),
        (CARTS_STORE, SECRET.to_owned(), vec!["scheme"]),
        (
            SESSIONS_STORE,
            format!("redis://:{SECRET}@h:port"),
            vec!["no redis URL"],
        ),
        (
            EVENTS,
            format!("elasticsearch://u:{SECRET}@h"),
            vec!["\"elasticsearch\""],
        ),
        (
            CATALOG_SEARCH,
            format!("elasticsearch://u:{SECRET}@"),
            vec!["no elasticsearch URL"],
        ),
        (
            "EMPORIUM_REVIEWS_STORE",
            format!("mongodb://u:{SECRET}@h"),
            vec!["this version keeps no reviews"],
        ),
        (
            "EMPORIUM_CART_STORE",
            format!("redis://:{SECRET}@h"),
            vec!["did you mean EMPORIUM_CARTS_STORE?"],
        ),
    ] {
        refuses_store(setting, &url, &words, &data);
    }
    let file = file.to_str().unwrap();
    for arguments in [
        vec!["run"],
        vec!["seed"],
        vec!["stores"],
        vec!["import", "icecat", file],
    ] {
        let output = ends_on(PROGRAM, &[("EMPORIUM_STORES", file)], &arguments, &data);
        says(&output, &[CARTS_STORE, file, "\"mysql\""]);
        assert!(!String::from_utf8_lossy(&output.stderr).contains(SECRET));
    }
    says(
        &ends_on(PROGRAM, &[], &["--stores", "/nowhere.toml"], &data),
        &["--stores /nowhere.toml"],
    );
    says(
        &ends_on(PROGRAM, &[], &["serve", "carts", "--stores", file], &data),
        &[CARTS_STORE, file],
    );
    says(
        &ends_on(PROGRAM, &[], &["--stores", file, "serve", "carts"], &data),
        &[CARTS_STORE, file],
    );
    // Two dozen starts of the program: had any of them begun with a database server, it would show here.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert!(!data.exists(), "the data folder is not touched");
}

/// Answers every command of a Redis client with `+OK`, and `INFO` as this version would.
fn pretends_to_be_redis(version: &'static str) -> u16 {
    use std::io::{BufRead, BufReader, Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let info = format!("# Server\r\nredis_version:{version}\r\n# Cluster\r\ncluster_enabled:0\r\n");
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (mut reader, mut writer) = (BufReader::new(stream.try_clone().unwrap()), stream);
            let info = info.clone();
            std::thread::spawn(move || {
                let number = |reader: &mut BufReader<std::net::TcpStream>| -> Option<usize> {
                    let mut line = String::new();
                    reader.read_line(&mut line).ok()?;
                    line.get(1..)?.trim().parse().ok()
                };
                // An array of bulk strings: https://redis.io/docs/latest/develop/reference/protocol-spec/
                while let Some(words) = number(&mut reader) {
                    let mut name = String::new();
                    for word in 0..words {
                        let Some(length) = number(&mut reader) else { return };
                        let mut bytes = vec![0; length + 2];
                        if reader.read_exact(&mut bytes).is_err() {
                            return;
                        }
                        if word == 0 {
                            name = String::from_utf8_lossy(&bytes[..length]).to_uppercase();
                        }
                    }
                    let answer = match name.as_str() {
                        "INFO" => format!("${}\r\n{info}\r\n", info.len()),
                        _ => "+OK\r\n".to_owned(),
                    };
                    if writer.write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

#[test]
fn stores_that_cannot_be_used_are_named_and_nothing_stays_behind() {
    let folder = folder();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap().port();
    let old = pretends_to_be_redis("6.2.14");
    for (setting, url, words) in [
        (
            SESSIONS_STORE,
            format!("redis://:{SECRET}@127.0.0.1:{nobody}"),
            vec!["refused"],
        ),
        (
            CARTS_STORE,
            format!("redis://127.0.0.1:{old}"),
            vec!["6.2.14", "not supported"],
        ),
        (
            EVENTS,
            format!("redis://127.0.0.1:{old}"),
            vec!["6.2.14", "not supported"],
        ),
        (
            EVENTS,
            format!("redis://:{SECRET}@127.0.0.1:{nobody}"),
            vec!["refused"],
        ),
        (
            CARTS_STORE,
            format!("postgres://u:{SECRET}@127.0.0.1:{nobody}/d"),
            vec!["cannot be used", "see that it runs"],
        ),
        (
            CATALOG_SEARCH,
            format!("elasticsearch://u:{SECRET}@127.0.0.1:{nobody}"),
            vec!["no answer"],
        ),
        (CATALOG_SEARCH, format!("elasticsearch://127.0.0.1:{old}"), vec![]),
        (
            SESSIONS_STORE,
            format!("redis://127.0.0.1:{silent}"),
            vec!["no answer"],
        ),
    ] {
        refuses_store(setting, &url, &words, folder.path());
    }
}

#[tokio::test]
async fn wrong_passwords_and_databases_are_told_as_such() {
    let settings = RedisSettings {
        durability: Durability::Always,
        password: Some(SECRET.to_owned()),
        ..RedisSettings::default()
    };
    let Some(closed) = stores::own_redis_with(settings).await else {
        return;
    };
    let Some(cluster) = stores::redis_cluster().await else {
        return;
    };
    let folder = folder();
    let open = format!("redis://127.0.0.1:{}", closed.port());
    for (setting, url, words) in [
        (SESSIONS_STORE, open.clone(), vec!["user or password"]),
        (
            CARTS_STORE,
            closed.url_as("default", "wrong"),
            vec!["user or password"],
        ),
        (EVENTS, closed.url_as("nobody", "wrong"), vec!["user or password"]),
        (CARTS_STORE, format!("{}/99", closed.url), vec!["no database 99"]),
        (
            CARTS_STORE,
            format!("{}/1", cluster.url.trim_end_matches('/')),
            vec!["database 0 only"],
        ),
        (
            SESSIONS_STORE,
            format!("{}/1", cluster.url.trim_end_matches('/')),
            vec!["database 0 only"],
        ),
    ] {
        refuses_store(setting, &url, &words, folder.path());
    }
    let right = ends_on(
        PROGRAM,
        &[(CARTS_STORE, closed.url.as_str())],
        &["stores"],
        folder.path(),
    );
    assert!(right.status.success(), "{right:?}");
    assert!(!String::from_utf8_lossy(&right.stdout).contains(SECRET));
}
