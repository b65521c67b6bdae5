//! `emporium rebuild` and `emporium reconcile`: of a shop that is open, after kills, and when something is wrong.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use emporium_service_kit::ServiceName;
use emporium_service_kit::auth::Secret;
use emporium_test_kit::{Caller, eventually};
use emporium_tests::process::without_settings;
use emporium_tests::{Admin, Customer, Options, ShopProcess, gift_shop};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_shop-under-test");
/// The projections with two generations.
const PROJECTIONS: [&str; 6] = [
    "sessions",
    "catalog",
    "orders",
    "recommendations",
    "reviews.ratings",
    "analytics",
];

fn command(data_dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    without_settings(&mut command)
        .arg("--data-dir")
        .arg(data_dir)
        .args(arguments)
        .current_dir(data_dir)
        .stdin(Stdio::null());
    command
}

async fn run(data_dir: &Path, arguments: &[&str]) -> Output {
    let mut command = command(data_dir, arguments);
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

/// Runs a command, and what it says in JSON.
async fn says(data_dir: &Path, code: i32, arguments: &[&str]) -> Value {
    let arguments = [arguments, &["--format", "json"]].concat();
    let output = run(data_dir, &arguments).await;
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {output:?}"))
}

/// The one line that an error is.
#[track_caller]
fn error(output: &Output, code: i32) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{text}");
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(lines.len(), 1, "one line: {text}");
    lines[0].to_owned()
}

fn operator(shop: &ShopProcess, name: ServiceName) -> Caller {
    let text = std::fs::read_to_string(shop.path().join("keys.json")).unwrap();
    let keys: Value = serde_json::from_str(&text).unwrap();
    let secret = Secret::new(keys["secrets"]["operator"].as_str().unwrap());
    Caller::new(&shop.url(name.as_str()), name, Some(&secret))
}

fn sum<'a>(report: &'a Value, what: &str) -> &'a Value {
    let found = report["compared"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["what"] == what);
    found.unwrap_or_else(|| panic!("no {what} in {report}"))
}

fn outcome<'a>(outcomes: &'a Value, projection: &str) -> &'a Value {
    let found = outcomes
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["projection"] == projection);
    found.unwrap_or_else(|| panic!("no {projection} in {outcomes}"))
}

/// Customers who order something again and again until they are told to stop.
struct Traffic {
    stop: Arc<AtomicBool>,
    confirmed: Arc<AtomicUsize>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Traffic {
    async fn begin(shop: &ShopProcess, customers: usize) -> Self {
        let product = Admin::of(shop).await.product("Bestseller", 1_999, 100_000).await;
        let (stop, confirmed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut tasks = Vec::new();
        for _ in 0..customers {
            let customer = Customer::sign_up(shop).await;
            let address = customer.add_address().await;
            let (stop, confirmed, product) = (stop.clone(), confirmed.clone(), product.clone());
            tasks.push(tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    // The shop may be killed below this customer: then nothing answers any more.
                    let item = customer.api.request("PUT", &format!("/api/cart/items/{product}"));
                    let _ = item.json(&json!({ "quantity": 1 })).send().await;
                    let body = json!({ "address_id": address, "payment_token": "tok_ok" });
                    let request = customer.api.request("POST", "/api/orders");
                    let key = uuid::Uuid::new_v4().to_string();
                    let answer = request.header("idempotency-key", key).json(&body).send().await;
                    if answer.is_ok_and(|answer| answer.status().as_u16() == 201) {
                        confirmed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }));
        }
        Self {
            stop,
            confirmed,
            tasks,
        }
    }

    async fn reaches(&self, orders: usize) {
        eventually("orders are confirmed", 60, async || {
            (self.confirmed.load(Ordering::Relaxed) >= orders).then_some(())
        })
        .await;
    }

    async fn end(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
        self.confirmed.load(Ordering::Relaxed)
    }
}

#[tokio::test]
async fn the_books_agree_and_a_changed_penny_is_found_and_mended() {
    let shop = ShopProcess::start(PROGRAM, &Options::default()).await;
    let folder = shop.path();
    let empty = says(folder, 0, &["reconcile"]).await;
    assert_eq!((&empty["equal"], &empty["compared"]), (&json!(true), &json!([])));
    let file = gift_shop::dirty(folder);
    let imported = run(folder, &["import", "online-retail", file.to_str().unwrap()]).await;
    assert!(imported.status.success(), "{imported:?}");
    // Orders that are confirmed, cancelled, and still waiting for their payment.
    let product = Admin::of(&shop).await.product("Teapot", 2_050, 50).await;
    for (token, ends) in [
        ("tok_ok", true),
        ("tok_ok", true),
        ("tok_decline", true),
        ("tok_later", false),
    ] {
        let customer = Customer::sign_up(&shop).await;
        let address = customer.add_address().await;
        customer.put(&product, 1).await;
        let order = customer.order(&address, token).await;
        assert!(matches!(order.status, 201 | 202), "{}", order.text);
        if ends {
            customer.ended(order.json["id"].as_str().unwrap()).await;
        }
    }
    let report = says(folder, 0, &["reconcile"]).await;
    assert_eq!(
        (&report["equal"], &report["differences"]),
        (&json!(true), &json!([])),
        "{report}"
    );
    let numbers = async |owner: &str, sql: &'static str| -> i64 {
        sqlx::query_scalar(sql).fetch_one(&shop.db(owner)).await.unwrap()
    };
    let confirmed = numbers(
        "orders",
        "SELECT count(*) FROM orders_order WHERE status = 'confirmed'",
    )
    .await;
    let taken = numbers(
        "payments",
        "SELECT sum(amount)::bigint FROM payments_charge WHERE state = 'succeeded'",
    )
    .await;
    assert!(confirmed > 600, "{confirmed}");
    for side in ["owner", "analytics"] {
        assert_eq!(sum(&report, "orders")[side]["number"], confirmed, "{report}");
        assert_eq!(
            sum(&report, "refunds")[side],
            json!({ "number": 1, "amount": 101 }),
            "{report}"
        );
        assert_eq!(sum(&report, "charges")[side]["amount"], taken, "{report}");
    }
    let explained = &report["explained"];
    assert_eq!(
        (&explained["orders_pending"], &explained["orders_cancelled"]),
        (&json!(1), &json!(1))
    );
    // Somebody alters analytics' own table by a penny.
    let spoil = "UPDATE analytics_sales_day SET gross = gross + 1
        WHERE day = '2010-07-01' AND generation = (SELECT live FROM analytics_projections WHERE projection = 'analytics')";
    let spoilt = sqlx::query(spoil).execute(&shop.db("analytics")).await.unwrap();
    assert_eq!(spoilt.rows_affected(), 1);
    let report = says(folder, 1, &["reconcile"]).await;
    let differences = report["differences"].as_array().unwrap();
    assert_eq!(
        (report["equal"].as_bool(), differences.len()),
        (Some(false), 1),
        "{report}"
    );
    let penny = differences[0]["analytics"]["amount"].as_i64().unwrap()
        - differences[0]["owner"]["amount"].as_i64().unwrap();
    assert_eq!(
        (penny, &differences[0]["day"], &differences[0]["country"]),
        (1, &json!("2010-07-01"), &json!("GB"))
    );
    let output = run(folder, &["reconcile"]).await;
    assert!(
        error(&output, 1).contains("1 of the rows compared differ"),
        "{output:?}"
    );
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("£0.01"),
        "{output:?}"
    );
    // A rebuild tells what was wrong, and mends it.
    let outcomes = says(folder, 1, &["rebuild", "analytics"]).await;
    let rebuilt = outcome(&outcomes, "analytics");
    assert_eq!(rebuilt["equal"], false, "{rebuilt}");
    let lines = rebuilt["differences"].to_string();
    assert!(
        lines.contains("analytics_sales_day") && lines.contains("2010-07-01"),
        "{rebuilt}"
    );
    assert_eq!(says(folder, 0, &["reconcile"]).await["equal"], true);
    let again = says(folder, 0, &["rebuild", "analytics"]).await;
    assert_eq!(outcome(&again, "analytics")["equal"], true, "{again}");
}

#[tokio::test]
async fn every_projection_is_rebuilt_while_orders_go_on() {
    let options = Options {
        sample: Some("tiny"),
        ..Options::default()
    };
    let shop = ShopProcess::start(PROGRAM, &options).await;
    let folder = shop.path();
    let list = says(folder, 0, &["rebuild", "--list"]).await;
    let names: Vec<&str> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, PROJECTIONS);
    let traffic = Traffic::begin(&shop, 2).await;
    traffic.reaches(2).await;
    let outcomes = says(folder, 0, &["rebuild", "--all"]).await;
    for name in PROJECTIONS {
        let one = outcome(&outcomes, name);
        assert_eq!(
            (&one["equal"], &one["method"]),
            (&json!(true), &json!("beside")),
            "{one}"
        );
        assert!(one["position"].as_i64().unwrap() > 0, "{one}");
        for table in one["tables"].as_array().unwrap() {
            assert_eq!(table["digest_live"], table["digest_rebuilt"], "{one}");
            assert_eq!(table["digest_live"].as_str().unwrap().len(), 32, "{one}");
        }
    }
    let filled = |name: &str| {
        let tables = outcome(&outcomes, name)["tables"].as_array().unwrap();
        tables
            .iter()
            .any(|table| table["rows_rebuilt"].as_i64().unwrap() > 0)
    };
    assert!(
        filled("orders") && filled("recommendations") && filled("analytics"),
        "{outcomes}"
    );
    // Still while orders come in: differences of the moment are none.
    let report = says(folder, 0, &["reconcile"]).await;
    let before = sum(&report, "orders")["owner"]["number"].as_i64().unwrap();
    let confirmed = traffic.end().await;
    let report = says(folder, 0, &["reconcile"]).await;
    let after = sum(&report, "orders")["owner"]["number"].as_i64().unwrap();
    let own = "SELECT count(*) FROM orders_order WHERE status = 'confirmed' AND source = 'shop'";
    let own: i64 = sqlx::query_scalar(own)
        .fetch_one(&shop.db("orders"))
        .await
        .unwrap();
    assert!(
        after >= before && own >= i64::try_from(confirmed).unwrap(),
        "{before} {after} {own} {confirmed}"
    );
    // What is wrong is told in a line.
    let output = run(folder, &["rebuild", "figures"]).await;
    assert!(error(&output, 1).contains("reviews.ratings"), "{output:?}");
    let nowhere = folder.join("nowhere");
    for arguments in [
        &["rebuild", "--all"][..],
        &["rebuild", "analytics"],
        &["reconcile"],
    ] {
        let mut command = Command::new(PROGRAM);
        without_settings(&mut command)
            .arg("--data-dir")
            .arg(&nowhere)
            .args(arguments);
        let output = command.output().unwrap();
        assert!(error(&output, 3).contains("no shop runs"), "{output:?}");
    }
    assert!(!nowhere.exists(), "a look makes nothing");
}

/// A rebuild that cannot end yet, since its projection is paused.
fn rebuild_in_the_background(folder: &Path) -> Child {
    command(folder, &["rebuild", "analytics"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn an_interrupted_rebuild_goes_on_and_the_next_command_joins_it() {
    let options = Options {
        sample: Some("tiny"),
        ..Options::default()
    };
    let shop = ShopProcess::start(PROGRAM, &options).await;
    let folder = shop.path();
    let analytics = operator(&shop, ServiceName::Analytics);
    assert_eq!(says(folder, 0, &["reconcile"]).await["equal"], true);
    analytics
        .post("/projections/analytics/pause", json!({}))
        .await
        .expect(200);
    let traffic = Traffic::begin(&shop, 1).await;
    traffic.reaches(1).await;
    traffic.end().await;
    // Analytics lacks an order and cannot get it: that is no difference, and no equality either.
    let output = run(folder, &["reconcile", "--wait", "2"]).await;
    assert!(error(&output, 4).contains("paused"), "{output:?}");
    let child = rebuild_in_the_background(folder);
    let comparing = async |wanted: &str| {
        eventually("the rebuild is as far as it gets", 40, async || {
            let status = analytics.get("/projections/analytics").await.expect(200);
            (status["rebuild"]["phase"] == wanted).then_some(status["rebuild"]["id"].clone())
        })
        .await
    };
    let id = comparing("comparing").await;
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(
        error(&output, 130).contains("goes on in the analytics service"),
        "{output:?}"
    );
    assert_eq!(comparing("comparing").await, id, "it goes on");
    let child = rebuild_in_the_background(folder);
    // It has asked when it says that it joins; without that, resuming first would end the rebuild before it came.
    let child = tokio::task::spawn_blocking(move || joined(child)).await.unwrap();
    analytics
        .post("/projections/analytics/resume", json!({}))
        .await
        .expect(200);
    let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap())
        .await
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("analytics: equal at position"),
        "{output:?}"
    );
    let status = analytics.get("/projections/analytics").await.expect(200);
    assert_eq!(status["outcome"]["id"], id, "{status}");
    assert_eq!(says(folder, 0, &["reconcile"]).await["equal"], true);
}

fn joined(mut child: Child) -> Child {
    use std::io::{BufRead, BufReader};
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("joining the rebuild") {
        line.clear();
        assert!(
            errors.read_line(&mut line).unwrap() > 0,
            "it ended without joining"
        );
    }
    child
}

/// The whole shop is killed while orders come in and a rebuild is under way, again and again; then the books agree, and the
/// rebuild that was left half-done ends equal.
#[tokio::test]
async fn kills_while_consuming_and_rebuilding_lose_and_double_nothing() {
    let options = Options {
        sample: Some("tiny"),
        ..Options::default()
    };
    let mut shop = ShopProcess::start(PROGRAM, &options).await;
    for round in 0..3_u64 {
        let traffic = Traffic::begin(&shop, 2).await;
        traffic.reaches(1).await;
        for (service, name) in [
            (ServiceName::Analytics, "analytics"),
            (ServiceName::Recommendations, "recommendations"),
        ] {
            let path = format!("/projections/{name}/rebuild");
            operator(&shop, service).post(&path, json!({})).await.expect(202);
        }
        // Killed after ever more time: not a wait for something, the injected failure itself.
        tokio::time::sleep(Duration::from_millis(20 + 60 * round)).await;
        shop.kill();
        traffic.end().await;
        shop.start_again(PROGRAM, &options).await;
        let report = says(shop.path(), 0, &["reconcile"]).await;
        assert_eq!(report["equal"], true, "round {round}: {report}");
    }
    let own = "SELECT count(*) FROM orders_order WHERE status = 'confirmed' AND source = 'shop'";
    let own: i64 = sqlx::query_scalar(own)
        .fetch_one(&shop.db("orders"))
        .await
        .unwrap();
    assert!(own >= 3, "orders came in");
    for name in PROJECTIONS {
        let outcomes = says(shop.path(), 0, &["rebuild", name]).await;
        assert_eq!(outcome(&outcomes, name)["equal"], true, "{outcomes}");
    }
    assert_eq!(says(shop.path(), 0, &["reconcile"]).await["equal"], true);
}
