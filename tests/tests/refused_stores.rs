//! Settings of stores that cannot be used: one line that names the setting, and nothing stays behind.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use emporium_service_kit::stores::{CARTS_STORE, CATALOG_SEARCH, EVENTS, SESSIONS_STORE};
use emporium_test_kit::TestPostgres;
use emporium_test_kit::stores::{self, Durability, RedisSettings};
use emporium_tests::ends::{ends_on, folder, says};
use emporium_tests::process::{Options, ShopProcess, emporium_postgres_pid};

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
    let line = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(line.matches(setting).count(), 1, "named once: {line}");
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
            CARTS_STORE,
            format!("redis://:{SECRET}@h/-1"),
            vec!["a number from 0 on"],
        ),
        (
            SESSIONS_STORE,
            format!("redis://:{SECRET}@h/sessions"),
            vec!["a number from 0 on"],
        ),
        (
            EVENTS,
            format!("redis://:{SECRET}@h?protocol=resp3"),
            vec!["leave away what begins with ?"],
        ),
        (
            CARTS_STORE,
            format!("postgres://u:p@h/d?sslmode=disable&pasword={SECRET}"),
            vec!["unknown parameter", "sslmode"],
        ),
        (
            CATALOG_SEARCH,
            format!("elasticsearch://u:{SECRET}@h/My-Shop"),
            vec!["index prefix"],
        ),
        (
            CATALOG_SEARCH,
            format!("elasticsearch://u:{SECRET}@h?shop=1"),
            vec!["no Elasticsearch URL"],
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
            "EMPORIUM_RECOMMENDATIONS_CACHE",
            format!("elasticsearch://u:{SECRET}@h"),
            vec!["\"elasticsearch\""],
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

/// Answers whatever comes as a web server answers what it does not understand.
fn pretends_to_be_a_web_server() -> u16 {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream
                .write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
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
    let web = pretends_to_be_a_web_server();
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
            vec!["6.2.14", "not supported", "use Redis 7.0"],
        ),
        (
            EVENTS,
            format!("redis://:{SECRET}@127.0.0.1:{nobody}"),
            vec!["refused"],
        ),
        (
            CARTS_STORE,
            format!("postgres://u:{SECRET}@127.0.0.1:{nobody}/d"),
            vec!["refused", "cannot be used", "see that it runs"],
        ),
        (
            EVENTS,
            format!("postgres://u:{SECRET}@127.0.0.1:{nobody}/d"),
            vec!["refused", "see that it runs"],
        ),
        (
            SESSIONS_STORE,
            format!("postgres://u:{SECRET}@127.0.0.1:{silent}/d"),
            vec!["no PostgreSQL spoke", "see that it runs"],
        ),
        (
            CARTS_STORE,
            format!("redis://:{SECRET}@127.0.0.1:{web}"),
            vec!["no Redis server", "see that host and port are right"],
        ),
        (
            EVENTS,
            format!("redis://127.0.0.1:{web}"),
            vec!["no Redis server", "see that host and port are right"],
        ),
        (
            SESSIONS_STORE,
            format!("postgres://u:{SECRET}@127.0.0.1:{web}/d"),
            vec!["no PostgreSQL server"],
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

#[tokio::test]
async fn a_postgres_that_refuses_says_why() {
    let database = TestPostgres::get().await.empty_database().await;
    let right = reqwest::Url::parse(&database.url).unwrap();
    let with = |change: &dyn Fn(&mut reqwest::Url)| {
        let mut url = right.clone();
        change(&mut url);
        url.to_string()
    };
    let wrong_password = with(&|url| url.set_password(Some(SECRET)).unwrap());
    let wrong_user = with(&|url| {
        url.set_username("nobody").unwrap();
        url.set_password(Some(SECRET)).unwrap();
    });
    let wrong_database = with(&|url| url.set_path("/nowhere"));
    let no_redis = format!("redis://:{SECRET}@127.0.0.1:{}", right.port().unwrap());
    let folder = folder();
    let credentials = "user or password are refused; see that it runs, and that host, port, user, password";
    for setting in [CARTS_STORE, EVENTS] {
        for (url, words) in [
            (&wrong_password, credentials),
            (&wrong_user, credentials),
            (&wrong_database, "no such database"),
            (&no_redis, "no Redis server"),
        ] {
            refuses_store(setting, url, &[words], folder.path());
        }
    }
    let own = ends_on(
        PROGRAM,
        &[(CARTS_STORE, &database.url)],
        &["stores"],
        folder.path(),
    );
    assert!(own.status.success(), "{own:?}");
}

/// Five services open the bus; what is wrong with it is the same for all of them.
#[tokio::test]
async fn what_a_bus_may_lose_is_told_once() {
    let Some(redis) = stores::own_redis(Durability::Everysec).await else {
        return;
    };
    let mut shop = ShopProcess::start(PROGRAM, &Options::default().on(EVENTS, &redis.url)).await;
    let said = shop.output();
    assert_eq!(said.matches("may lose events").count(), 1, "{said}");
    assert!(said.contains("appendfsync=everysec"), "{said}");
    redis.kill().await;
    let output = ends_on(PROGRAM, &[], &["stores"], shop.path());
    says(&output, &["not available", "see that it runs"]);
    let line = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(line.matches(EVENTS).count(), 1, "named once: {line}");
    shop.terminate();
    let output = ends_on(PROGRAM, &[(EVENTS, &redis.url)], &["stores"], shop.path());
    says(&output, &["EMPORIUM_EVENTS: ", "refused"]);
    let line = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(line.matches("see that it runs").count(), 1, "told once: {line}");
}
