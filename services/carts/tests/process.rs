//! The service as a program of its own: how signals end it.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};

use emporium_service_kit::ServiceName;
use emporium_test_kit::{Caller, Keys, TestPostgres, eventually};
use sqlx::Connection;
use uuid::Uuid;

struct Program {
    child: Child,
    log: Lines<BufReader<ChildStderr>>,
    gateway: Caller,
    database_url: String,
}

impl Program {
    async fn start() -> Self {
        let keys = Keys::default();
        let database_url = TestPostgres::get().await.empty_database().await.url;
        // Whoever runs the tests may ignore SIGHUP (`nohup`), and children inherit that.
        let mut child = Command::new("env")
            .args(["--default-signal=HUP", env!("CARGO_BIN_EXE_emporium-carts")])
            .env("EMPORIUM_DATABASE_URL", &database_url)
            .env("EMPORIUM_LISTEN", "127.0.0.1:0")
            .env(
                "EMPORIUM_SERVICE_SECRET",
                keys.secret(ServiceName::Carts).expose(),
            )
            .env("EMPORIUM_CALLERS", keys.callers(ServiceName::Carts).to_setting())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let ready = line_with(&mut log, "address=");
        let address = ready.split("address=").nth(1).unwrap().trim();
        let gateway = Caller::new(
            &format!("http://{address}"),
            ServiceName::Carts,
            Some(keys.secret(ServiceName::Gateway)),
        );
        Self {
            child,
            log,
            gateway,
            database_url,
        }
    }

    fn signal(&self, name: &str) {
        let done = Command::new("sh")
            .args(["-c", "kill -s \"$0\" \"$1\"", name, &self.child.id().to_string()])
            .status();
        assert!(done.unwrap().success());
    }

    fn ended(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn line_with(log: &mut Lines<BufReader<ChildStderr>>, text: &str) -> String {
    log.map(Result::unwrap).find(|line| line.contains(text)).unwrap()
}

#[tokio::test]
async fn each_signal_ends_it_in_order() {
    for name in ["INT", "TERM", "HUP"] {
        let mut program = Program::start().await;
        program.signal(name);
        line_with(&mut program.log, "stopping");
        assert_eq!(program.ended().code(), Some(0), "SIG{name}");
    }
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let mut program = Program::start().await;
    let mut other = sqlx::PgConnection::connect(&program.database_url).await.unwrap();
    for sql in ["BEGIN", "LOCK TABLE carts_cart IN ACCESS EXCLUSIVE MODE"] {
        sqlx::query(sql).execute(&mut other).await.unwrap();
    }
    let gateway = program.gateway.clone();
    let stuck = tokio::spawn(async move {
        gateway
            .request("GET", &format!("/carts/user/{}", Uuid::new_v4()))
            .send()
            .await
    });
    eventually("the stuck request is under way", 10, async || {
        let text = program.gateway.get("/metrics").await.text;
        // One is this very request for the metrics.
        text.lines()
            .any(|line| line.starts_with("emporium_http_requests_in_flight") && line.ends_with(" 2"))
            .then_some(())
    })
    .await;
    program.signal("TERM");
    line_with(&mut program.log, "stopping");
    program.signal("TERM");
    assert_eq!(program.ended().code(), Some(130));
    assert!(stuck.await.unwrap().is_err());
}
