//! Signals: nothing is lost between the stages of a command, and the end comes in time.
#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, Instant};

use emporium_tests::process::emporium_postgres_pid;
use emporium_tests::{Admin, Options, ShopProcess};
use rustix::process::Signal;
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_shop-under-test");

#[tokio::test]
async fn a_signal_while_starting_stops_what_was_started() {
    let mut shop = ShopProcess::on_new_folder();
    let stages = [
        "creating the database cluster",
        "starting PostgreSQL",
        "preparing the databases",
        "starting the services",
    ];
    for stage in stages {
        shop.spawn(PROGRAM, &Options::default());
        shop.says(stage).await;
        let begun = Instant::now();
        assert!(shop.terminate().success(), "{stage}: {}", shop.output());
        assert!(
            begun.elapsed() < Duration::from_secs(8),
            "{stage}: {:?}",
            begun.elapsed()
        );
        assert!(
            shop.output().contains("Stopped before the shop was open."),
            "{stage}: {}",
            shop.output()
        );
        emporium_test_kit::eventually("no server stays behind", 10, async || {
            emporium_postgres_pid(&shop.path().join("postgres"))
                .is_none()
                .then_some(())
        })
        .await;
    }
    shop.start_again(PROGRAM, &Options::default()).await;
    Admin::of(&shop).await;
}

/// A request whose body never ends.
fn endless_request(shop: &ShopProcess) -> std::net::TcpStream {
    let keys: Value = serde_json::from_slice(&std::fs::read(shop.path().join("keys.json")).unwrap()).unwrap();
    let secret = emporium_service_kit::auth::Secret::new(keys["secrets"]["operator"].as_str().unwrap());
    let token = secret.token_for(emporium_service_kit::ServiceName::Catalog);
    let mut stream = std::net::TcpStream::connect(shop.url("catalog").trim_start_matches("http://")).unwrap();
    let request = format!(
        "POST /bulk/products HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{{\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

#[tokio::test]
async fn a_stop_has_one_deadline_and_a_second_signal_none() {
    let mut shop = ShopProcess::start(PROGRAM, &Options::default()).await;
    let endless = endless_request(&shop);
    let begun = Instant::now();
    assert!(shop.terminate().success(), "{}", shop.output());
    let took = begun.elapsed();
    assert!(
        took < Duration::from_millis(9_500),
        "containers are killed after ten seconds: {took:?}"
    );
    drop(endless);
    shop.start_again(PROGRAM, &Options::default()).await;
    let _endless = endless_request(&shop);
    shop.send(Signal::TERM);
    shop.says("Stopping").await;
    let begun = Instant::now();
    assert_eq!(shop.terminate().code(), Some(130), "{}", shop.output());
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    shop.start_again(PROGRAM, &Options::default()).await;
    Admin::of(&shop).await;
}

#[tokio::test]
async fn an_interrupted_seed_stops_its_shop_and_can_be_repeated() {
    let folder = tempfile::Builder::new()
        .permissions(PermissionsExt::from_mode(0o755))
        .tempdir()
        .unwrap();
    let child = Command::new(PROGRAM)
        .arg("--data-dir")
        .arg(folder.path())
        .args(["seed", "--scale", "medium"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    emporium_test_kit::eventually("the shop of the command is open", 60, async || {
        folder.path().join("running.json").exists().then_some(())
    })
    .await;
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        text.contains("error: interrupted") && text.contains("continues safely"),
        "{text}"
    );
    assert!(!folder.path().join("running.json").exists());
    assert!(
        emporium_postgres_pid(&folder.path().join("postgres")).is_none(),
        "no server stays behind"
    );
    let again = Command::new(PROGRAM)
        .arg("--data-dir")
        .arg(folder.path())
        .args(["seed", "--scale", "tiny"])
        .output()
        .unwrap();
    assert!(again.status.success(), "{again:?}");
}
