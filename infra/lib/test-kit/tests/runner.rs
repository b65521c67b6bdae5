//! The program `test-stores`: what it starts ends with it, whatever happens, and what is missing is told.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::process::{Command, Output, Stdio};

use emporium_test_kit::eventually;
use emporium_test_kit::stores::{self, Durability};
use serde_json::Value;

/// Set for this program when a test runs it again to do the helper's part.
const HELPER: &str = "EMPORIUM_TEST_KIT_HELPER";

fn runner() -> Command {
    alone(Command::new(env!("CARGO_BIN_EXE_test-stores")))
}

/// This program again, running one of the helpers.
fn helper(name: &str) -> Command {
    let mut command = alone(Command::new(std::env::current_exe().unwrap()));
    command.args(helper_arguments(name)).env(HELPER, "yes");
    command
}

fn helper_arguments(name: &str) -> [&str; 3] {
    ["--exact", name, "--nocapture"]
}

/// Without what a runner around these tests tells them, and without CI's strictness.
fn alone(mut command: Command) -> Command {
    for variable in ["EMPORIUM_TEST_STATE", "EMPORIUM_TEST_NOT_RUN", "CI"] {
        command.env_remove(variable);
    }
    // Nobody listens there, which is not found out before the command ends: these tests need no Elasticsearch.
    command.env("EMPORIUM_TEST_ELASTICSEARCH", "http://127.0.0.1:1");
    command
}

/// Neither Docker nor a place for downloads: nothing can be had.
fn without_stores(command: &mut Command) -> &mut Command {
    command
        .env("DOCKER_HOST", "unix:///nonexistent/docker.sock")
        .env("EMPORIUM_STORES_HOME", "/dev/null/stores")
        .env_remove("EMPORIUM_TEST_ELASTICSEARCH")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

async fn answers(url: &str) -> bool {
    let Ok(client) = redis::Client::open(url) else {
        return false;
    };
    client.get_multiplexed_async_connection().await.is_ok()
}

fn is_process(id: u32) -> bool {
    // The parent of a killed process may be slow to collect it.
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    !status.is_empty() && !status.contains("State:\tZ")
}

#[tokio::test]
async fn helper_asks_for_elasticsearch() {
    if std::env::var_os(HELPER).is_some() {
        let there = stores::elasticsearch().await.is_some();
        println!("elasticsearch is there: {there}");
    }
}

#[tokio::test]
async fn helper_starts_a_redis_and_waits_for_its_end() {
    if std::env::var_os(HELPER).is_some() {
        let own = stores::own_redis(Durability::None).await.unwrap();
        std::fs::write(std::env::var_os("URL_FILE").unwrap(), &own.url).unwrap();
        std::future::pending::<()>().await;
    }
}

#[test]
fn the_commands_exit_code_comes_back() {
    let output = runner()
        .args(["--", "sh", "-c", "test -d $EMPORIUM_TEST_STATE && exit 7"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(7), "{}", stderr(&output));
    let output = runner().args(["sh", "-c", "kill -KILL $$"]).output().unwrap();
    assert_eq!(output.status.code(), Some(128 + 9), "{}", stderr(&output));
    let output = runner().args(["/nonexistent/program"]).output().unwrap();
    assert_eq!(output.status.code(), Some(127), "{}", stderr(&output));
    assert_eq!(runner().output().unwrap().status.code(), Some(2));
}

#[tokio::test]
async fn what_is_missing_is_listed_by_name_at_the_end() {
    let mut command = runner();
    let program = std::env::current_exe().unwrap();
    command
        .arg("--")
        .arg(program)
        .args(helper_arguments("helper_asks_for_elasticsearch"))
        .env(HELPER, "yes");
    let output = without_stores(&mut command).output().unwrap();
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let list = text
        .find("not run, for want of a store: elasticsearch: ")
        .expect(&text);
    let list: Vec<&str> = text[list..].lines().collect();
    assert!(
        list[1].starts_with("  to run them: ") && list[1].contains("JDK"),
        "{text}"
    );
    assert_eq!(list[2..], ["  runner::helper_asks_for_elasticsearch"], "{text}");

    let output = without_stores(&mut command).env("CI", "true").output().unwrap();
    assert_ne!(
        output.status.code(),
        Some(0),
        "CI leaves something out: {}",
        stderr(&output)
    );
    assert!(stderr(&output).contains("not run, for want of a store: elasticsearch: "));
}

#[test]
fn in_ci_a_content_command_that_left_something_out_is_a_failure() {
    let note = r#"{"store":"redis-cluster","reason":"no room","test":"a::b"}"#;
    let script = format!("echo '{note}' >$EMPORIUM_TEST_NOT_RUN");
    let code = |ci: &str| {
        let mut command = runner();
        let output = command
            .args(["--", "sh", "-c", &script])
            .env("CI", ci)
            .output()
            .unwrap();
        assert!(
            stderr(&output).ends_with("or set EMPORIUM_TEST_REDIS_CLUSTER\n  a::b\n"),
            "{}",
            stderr(&output)
        );
        output.status.code()
    };
    assert_eq!(code("true"), Some(3));
    assert_eq!(code(""), Some(0));
}

#[tokio::test]
async fn without_runner_a_missing_store_is_none_and_in_ci_a_failure() {
    let mut command = helper("helper_asks_for_elasticsearch");
    let output = without_stores(&mut command).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("elasticsearch is there: false"));
    let reason =
        "runner::helper_asks_for_elasticsearch not run: no elasticsearch: Docker: no Docker engine: ";
    assert!(stderr(&output).contains(reason), "{}", stderr(&output));

    let output = without_stores(&mut command).env("CI", "true").output().unwrap();
    assert!(!output.status.success());
    assert!(
        stderr(&output).contains("no elasticsearch in CI: "),
        "{}",
        stderr(&output)
    );
}

#[tokio::test]
async fn a_url_that_nobody_serves_is_an_error_and_shows_no_password() {
    let mut command = helper("helper_asks_for_elasticsearch");
    command.env("EMPORIUM_TEST_ELASTICSEARCH", "http://elastic:geheim@127.0.0.1:1");
    let output = command.env("EMPORIUM_TEST_ANSWER_SECONDS", "1").output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("elasticsearch is there: false"));
    let text = stderr(&output);
    assert!(
        text.contains("the server of EMPORIUM_TEST_ELASTICSEARCH cannot be used: "),
        "{text}"
    );
    assert!(!text.contains("geheim"), "{text}");
}

#[tokio::test]
async fn a_killed_test_process_leaves_no_server() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("url");
    let mut child = helper("helper_starts_a_redis_and_waits_for_its_end")
        .env("URL_FILE", &file)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let url = eventually("the server starts", 120, async || non_empty(&file)).await;
    assert!(answers(&url).await);
    let data = std::env::temp_dir()
        .join("emporium-test-stores")
        .join(child.id().to_string());
    assert!(data.is_dir());
    child.kill().unwrap();
    child.wait().unwrap();
    eventually("the server ends", 20, async || {
        (!answers(&url).await).then_some(())
    })
    .await;
    eventually("its data goes", 20, async || (!data.exists()).then_some(())).await;
}

#[tokio::test]
async fn a_killed_runner_takes_everything_with_it() {
    ends_everything("KILL").await;
}

#[tokio::test]
async fn a_runner_that_is_asked_to_end_takes_everything_with_it() {
    ends_everything("TERM").await;
}

async fn ends_everything(signal: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("said");
    // A command whose own child ignores the polite signal.
    let script = format!(
        "(trap '' TERM; exec sleep 600) & until [ -s $EMPORIUM_TEST_STATE/redis.json ]; do sleep 0.05; done; \
         echo $! $EMPORIUM_TEST_STATE >{0}.new; mv {0}.new {0}; wait",
        file.display()
    );
    let mut child = runner()
        .args(["--", "sh", "-c", &script])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let said = eventually("the command knows of Redis", 120, async || non_empty(&file)).await;
    let (grandchild, state) = said.trim().split_once(' ').unwrap();
    let grandchild: u32 = grandchild.parse().unwrap();
    let url = url_of(&Path::new(state).join("redis.json"));
    assert!(answers(&url).await && is_process(grandchild));
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-s", signal, &id])
            .status()
            .unwrap()
            .success()
    );
    let status = child.wait().unwrap();
    assert_eq!(status.code(), (signal == "TERM").then_some(128 + 15));
    eventually("the server ends", 20, async || {
        (!answers(&url).await).then_some(())
    })
    .await;
    eventually("the command's child ends", 20, async || {
        (!is_process(grandchild)).then_some(())
    })
    .await;
    eventually("their data goes", 20, async || {
        (!Path::new(state).exists()).then_some(())
    })
    .await;
}

fn non_empty(file: &Path) -> Option<String> {
    std::fs::read_to_string(file).ok().filter(|text| !text.is_empty())
}

fn url_of(file: &Path) -> String {
    let decision: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    decision["Ok"]["url"].as_str().unwrap().to_owned()
}
