//! Start-up errors: one line that says what to do; and the commands beside `run`.
#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

use emporium_tests::ends::{ends_on, folder, says};
use emporium_tests::{Admin, Options, ShopProcess};
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_shop-under-test");

/// Runs the program where it should end by itself.
fn ends(arguments: &[&str], data_dir: &std::path::Path) -> Output {
    ends_on(PROGRAM, &[], arguments, data_dir)
}

#[tokio::test]
async fn a_second_program_on_the_same_folder_is_told_so() {
    let shop = ShopProcess::start(PROGRAM, &Options::default()).await;
    says(
        &ends(&["--port", "0"], shop.path()),
        &["already runs", &shop.pid().to_string(), "--data-dir"],
    );
}

#[test]
fn a_port_in_use_is_named_with_the_remedy() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let folder = folder();
    says(&ends(&["--port", &port], folder.path()), &[&port, "--port"]);
    assert!(
        !folder.path().join("postgres").exists(),
        "nothing was started before that"
    );
    says(&ends(&["--port", "65533"], folder.path()), &["65533", "--port"]);
    // What a killed run left behind is nobody's address from the moment the folder is ours.
    std::fs::write(
        folder.path().join("running.json"),
        r#"{"pid":1,"urls":{},"databases":{}}"#,
    )
    .unwrap();
    says(&ends(&["--port", &port], folder.path()), &[&port]);
    assert!(!folder.path().join("running.json").exists());
}

#[test]
fn a_strict_umask_does_not_keep_the_database_server_out() {
    let folder = folder();
    let data = folder.path().join("above/data");
    let output = Command::new("sh")
        .args([
            "-c",
            "umask 077; exec \"$@\"",
            "sh",
            PROGRAM,
            "seed",
            "--scale",
            "tiny",
            "--data-dir",
        ])
        .arg(&data)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let expected = if rustix::process::geteuid().is_root() {
        [0o755, 0o711]
    } else {
        [0o700, 0o700]
    };
    assert_eq!([mode(data.parent().unwrap()), mode(&data)], expected);
    assert_eq!(mode(&data.join("keys.json")), 0o600);
}

#[test]
fn a_folder_that_cannot_be_written_is_named_with_the_remedy() {
    let folder = folder();
    let file = folder.path().join("a-file");
    std::fs::write(&file, "x").unwrap();
    says(&ends(&["--port", "0"], &file), &["a-file", "--data-dir"]);
    says(
        &ends(&["--port", "0"], &file.join("below")),
        &["a-file", "--data-dir"],
    );
    says(
        &ends(&["--port", "0"], std::path::Path::new("/proc/nowhere")),
        &["/proc/nowhere", "--data-dir"],
    );
}

#[tokio::test]
async fn a_broken_data_folder_is_named_with_the_remedy() {
    let mut shop = ShopProcess::start(PROGRAM, &Options::default()).await;
    assert!(shop.terminate().success());
    let keys = shop.path().join("keys.json");
    let good = std::fs::read(&keys).unwrap();
    std::fs::write(&keys, "{ half a fi").unwrap();
    says(&ends(&["--port", "0"], shop.path()), &["keys.json", "damaged"]);
    // A secret that everybody knows is none.
    let mut known: Value = serde_json::from_slice(&good).unwrap();
    known["secrets"]["orders"] = json!("");
    std::fs::write(&keys, known.to_string()).unwrap();
    says(
        &ends(&["--port", "0"], shop.path()),
        &["keys.json", "damaged", "orders"],
    );
    known["secrets"].as_object_mut().unwrap().remove("orders");
    std::fs::write(&keys, known.to_string()).unwrap();
    says(&ends(&["serve", "users"], shop.path()), &["keys.json", "orders"]);
    // A file of an earlier version or from a backup is fine: the server takes over its passwords.
    let mut other: Value = serde_json::from_slice(&good).unwrap();
    for (_, password) in other["passwords"].as_object_mut().unwrap() {
        *password = json!(password.as_str().unwrap().chars().rev().collect::<String>());
    }
    std::fs::write(&keys, other.to_string()).unwrap();
    std::fs::set_permissions(&keys, PermissionsExt::from_mode(0o644)).unwrap();
    shop.start_again(PROGRAM, &Options::default()).await;
    Admin::of(&shop).await;
    let mode = std::fs::metadata(&keys).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "a copy that anybody could read is closed");
    assert!(shop.terminate().success());
    std::fs::write(&keys, good).unwrap();
    let cluster = std::fs::read_dir(shop.path().join("postgres")).unwrap().flatten();
    let control = cluster
        .map(|entry| entry.path().join("global/pg_control"))
        .find(|path| path.exists())
        .unwrap();
    std::fs::write(&control, "garbage").unwrap();
    says(&ends(&["--port", "0"], shop.path()), &["postgres"]);
}

#[test]
fn bad_arguments_are_refused_with_help() {
    let folder = folder();
    for arguments in [
        vec!["--port", "abc"],
        vec!["--sample", "gigantic"],
        vec!["serve", "nothing"],
        vec!["seed", "--scale", "gigantic"],
        vec!["import", "online-retail"],
    ] {
        let output = ends(&arguments, folder.path());
        assert!(!output.status.success(), "{arguments:?}");
        assert!(
            String::from_utf8_lossy(&output.stderr).starts_with("error:"),
            "{arguments:?}"
        );
    }
    says(
        &ends(&["import", "icecat", "/nowhere/file.jsonl"], folder.path()),
        &["/nowhere/file.jsonl"],
    );
    says(
        &ends(&["serve", "users"], folder.path()),
        &["EMPORIUM_SERVICE_SECRET", "emporium keys"],
    );
}

#[tokio::test]
async fn keys_written_for_services_apart_let_them_know_each_other() {
    let folder = folder();
    let out = folder.path().join("keys");
    let status = Command::new(PROGRAM)
        .args(["keys", "--out"])
        .arg(&out)
        .status()
        .unwrap();
    assert!(status.success());
    let users = std::fs::read_to_string(out.join("users.env")).unwrap();
    assert!(users.contains("EMPORIUM_SERVICE_SECRET=") && users.contains("gateway="));
    assert_eq!(
        std::fs::metadata(out.join("users.env"))
            .unwrap()
            .permissions()
            .mode()
            & 0o777,
        0o600
    );
    let token = std::fs::read_to_string(out.join("prometheus.token")).unwrap();
    assert_eq!(token.len(), 64, "for a Prometheus");
    // One service alone, on a database of its own, called with a key from the files.
    let server = emporium_test_kit::TestPostgres::get().await;
    let (database, bus) = (
        server.empty_database().await,
        emporium_test_kit::service::bus_database().await,
    );
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut child = Command::new(PROGRAM)
        .args(["serve", "users", "--listen", &free.to_string()])
        .envs(users.lines().filter_map(|line| line.split_once('=')))
        .env("EMPORIUM_DATABASE_URL", &database.url)
        .env("EMPORIUM_EVENTS", &bus.url)
        .spawn()
        .unwrap();
    let gateway = std::fs::read_to_string(out.join("gateway.env")).unwrap();
    let secret = gateway
        .lines()
        .find_map(|line| line.strip_prefix("EMPORIUM_SERVICE_SECRET="))
        .unwrap();
    let secret = emporium_service_kit::auth::Secret::new(secret);
    let name = emporium_service_kit::ServiceName::Users;
    let caller = emporium_test_kit::Caller::new(&format!("http://{free}"), name, Some(&secret));
    emporium_test_kit::eventually("the service is ready", 20, async || {
        let answer = caller.request("GET", "/health/ready").send().await.ok()?;
        answer.status().is_success().then_some(())
    })
    .await;
    let body = json!({ "email": "apart@customers.example", "password": "long enough pw", "name": "Apart" });
    caller.post("/users", body).await.expect(201);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test]
async fn status_tells_how_the_services_are() {
    let mut shop = ShopProcess::start(PROGRAM, &Options::default()).await;
    let output = ends(&["status"], shop.path());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(text.matches(&shop.pid().to_string()).count(), 11, "{text}");
    assert!(
        text.contains(&shop.url("payments")) && !text.contains(" no "),
        "{text}"
    );
    shop.kill();
    // What the killed run left behind may name a process that is somebody else's by now.
    let file = shop.path().join("running.json");
    let mut left: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    left["pid"] = json!(std::process::id());
    std::fs::write(&file, left.to_string()).unwrap();
    let missing = shop.path().join("mistyped");
    for folder in [shop.path(), &missing] {
        let output = ends(&["status"], folder);
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        says(&output, &["no shop runs", "--data-dir"]);
    }
    assert!(!missing.exists(), "a look makes nothing");
}
