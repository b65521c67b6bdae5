//! `emporium move`: what a service keeps goes to another store and back while the shop trades, through a kill in the middle.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use emporium_service_kit::stores::{
    ANALYTICS_STORE, CARTS_STORE, CATALOG_SEARCH, EVENTS, KNOWN, MONITORING_STORE, RECOMMENDATIONS_STORE,
    REVIEWS_STORE, SESSIONS_STORE,
};
use emporium_test_kit::eventually;
use emporium_test_kit::stores::{self, Durability};
use emporium_tests::ends::{ends_on, folder, says};
use emporium_tests::process::without_settings;
use emporium_tests::{Admin, Customer, Options, Polyglot, ShopProcess};
use serde_json::Value;
use tokio::task::JoinHandle;

const PROGRAM: &str = env!("CARGO_BIN_EXE_shop-under-test");
/// Every service whose store can be moved, with its setting.
const MOVED: [(&str, &str); 7] = [
    ("carts", CARTS_STORE),
    ("sessions", SESSIONS_STORE),
    ("catalog", CATALOG_SEARCH),
    ("recommendations", RECOMMENDATIONS_STORE),
    ("analytics", ANALYTICS_STORE),
    ("reviews", REVIEWS_STORE),
    ("monitoring", MONITORING_STORE),
];

/// `emporium move` with these arguments. It is a process of its own, so that the shop can be killed meanwhile.
async fn moves(dir: &Path, arguments: &[&str]) -> Output {
    command(dir, arguments).output().await.unwrap()
}

fn command(dir: &Path, arguments: &[&str]) -> tokio::process::Command {
    let mut command = Command::new(PROGRAM);
    without_settings(&mut command)
        .arg("move")
        .args(arguments)
        .arg("--data-dir")
        .arg(dir)
        .stdin(Stdio::null());
    let mut command = tokio::process::Command::from(command);
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// What the command prints for programs, which is all there is on standard output.
#[track_caller]
fn status(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Both stores held the same, and so much of it.
#[track_caller]
fn verified(status: &Value, ending: &str) {
    let last = &status["last"];
    assert_eq!(last["ending"], ending, "{status}");
    let tables = last["verified"].as_array().unwrap();
    assert!(
        !tables.is_empty() && tables.iter().all(|table| table["equal"] == true),
        "{status}"
    );
}

/// A customer who changes the cart all the time, and what the cart has to hold.
struct Shopper {
    customer: Customer,
    product: String,
    stop: Arc<AtomicBool>,
    task: JoinHandle<i64>,
}

impl Shopper {
    async fn begin(shop: &ShopProcess, product: &str) -> Self {
        let customer = Customer::sign_up(shop).await;
        let stop = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(shops(customer.clone(), product.to_owned(), stop.clone()));
        Self {
            customer,
            product: product.to_owned(),
            stop,
            task,
        }
    }

    /// The quantity that was acknowledged last.
    async fn ends(self) -> (Customer, String, i64) {
        self.stop.store(true, Ordering::SeqCst);
        (self.customer, self.product, self.task.await.unwrap())
    }
}

/// Sets the quantity to 1, 2, … 99, 1, …; one that was not acknowledged is set again until it is, so that the last one counts.
async fn shops(customer: Customer, product: String, stop: Arc<AtomicBool>) -> i64 {
    let mut quantity = 0;
    loop {
        if quantity > 0 && stop.load(Ordering::SeqCst) {
            return quantity;
        }
        let next = quantity % 99 + 1;
        let path = format!("/api/cart/items/{product}");
        let request = customer
            .api
            .request("PUT", &path)
            .json(&serde_json::json!({ "quantity": next }));
        match request.send().await {
            Ok(answer) if answer.status().is_success() => quantity = next,
            // The shop is down, or writes waited for too long.
            Ok(answer) => assert!(answer.status().is_server_error(), "{}", answer.status()),
            Err(_) => {}
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn services_with_one_store_and_wrong_urls_are_told_in_one_line() {
    let above = folder();
    let data = above.path().join("none");
    for (arguments, words) in [
        (
            &["move", "orders", "--to", "redis://h"][..],
            &["one store", "sessions, catalog, carts"][..],
        ),
        (&["move", "gateway"], &["keeps nothing"]),
        (
            &["move", "carts", "--to", "mongodb://:s3cr3t@h"],
            &["--to", "redis://", "postgres:"],
        ),
        (
            &["move", "carts", "--to", "@/none/such"],
            &["/none/such cannot be read"],
        ),
    ] {
        let output = ends_on(PROGRAM, &[], arguments, &data);
        says(&output, words);
        assert!(!said(&output).contains("s3cr3t"), "{output:?}");
    }
    assert!(!data.exists(), "nothing is made");
    let output = moves(&data, &["carts"]).await;
    assert_eq!(output.status.code(), Some(3), "no shop runs: {output:?}");
}

#[tokio::test]
async fn carts_go_to_redis_under_traffic_through_a_kill_and_come_back() {
    let Some(redis) = stores::own_redis(Durability::Always).await else {
        return;
    };
    // The same ports after each start: the shoppers go on.
    let plain = Options {
        port: Some(free_ports()),
        ..Options::default()
    };
    let mut shop = ShopProcess::start(PROGRAM, &plain).await;
    let admin = Admin::of(&shop).await;
    let product = admin.product("A thing", 100, 1_000).await;
    let mut shoppers = Vec::new();
    for _ in 0..4 {
        shoppers.push(Shopper::begin(&shop, &product).await);
    }

    // Killed as soon as the service has noted that it is moved; started again; the same command joins.
    let first = command(shop.path(), &["carts", "--to", &redis.url])
        .spawn()
        .unwrap();
    eventually("the move is under way", 30, async || {
        let output = moves(shop.path(), &["carts", "--format", "json"]).await;
        (!status(&output)["move"].is_null()).then_some(())
    })
    .await;
    shop.kill();
    shop.start_again(PROGRAM, &plain).await;
    let again = moves(shop.path(), &["carts", "--to", &redis.url, "--format", "json"]).await;
    assert!(again.status.success(), "{}", said(&again));
    verified(&status(&again), "switched");
    assert_eq!(status(&again)["setting"], CARTS_STORE);
    let first = first.wait_with_output().await.unwrap();
    assert!(
        first.status.success(),
        "who looks on survives the restart: {}",
        said(&first)
    );
    let text = String::from_utf8_lossy(&first.stdout);
    for word in [
        "moved from",
        "records copied",
        "equal",
        "set EMPORIUM_CARTS_STORE to that URL",
    ] {
        assert!(text.contains(word), "{word}: {text}");
    }

    // What was acknowledged is there, in the store that serves.
    let carts = all_as_acknowledged(shoppers).await;
    shop.terminate();

    // The setting that contradicts it is refused, and says which one holds; the right one runs.
    shop.spawn(PROGRAM, &plain);
    shop.wait_for_end().await;
    let refused = shop.output();
    assert!(
        refused.contains("EMPORIUM_CARTS_STORE: ")
            && refused.contains(&format!("redis://127.0.0.1:{}", redis.port())),
        "{refused}"
    );
    let right = plain.clone().on(CARTS_STORE, &redis.url);
    shop.start_again(PROGRAM, &right).await;
    for (customer, product, quantity) in &carts {
        let cart = customer.cart().await;
        assert_eq!(cart, [(product.clone(), *quantity)]);
    }

    // And back, under traffic again.
    let mut shoppers = Vec::new();
    for _ in 0..4 {
        shoppers.push(Shopper::begin(&shop, &product).await);
    }
    let back = moves(shop.path(), &["carts", "--to", "postgres:"]).await;
    assert!(back.status.success(), "{}", said(&back));
    let text = String::from_utf8_lossy(&back.stdout).into_owned();
    assert!(text.contains("unset EMPORIUM_CARTS_STORE"), "{text}");
    all_as_acknowledged(shoppers).await;
    shop.terminate();
    shop.start_again(PROGRAM, &plain).await;
    for (customer, product, quantity) in &carts {
        assert_eq!(customer.cart().await, [(product.clone(), *quantity)]);
    }
}

async fn all_as_acknowledged(shoppers: Vec<Shopper>) -> Vec<(Customer, String, i64)> {
    let mut all = Vec::new();
    for shopper in shoppers {
        let (customer, product, quantity) = shopper.ends().await;
        assert_eq!(
            customer.cart().await,
            [(product.clone(), quantity)],
            "nothing acknowledged is lost"
        );
        all.push((customer, product, quantity));
    }
    all
}

/// The first of a dozen ports that nobody uses just now.
fn free_ports() -> u16 {
    let is_free = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
    let starts = (21_000..30_000).step_by(16);
    let mut starts = starts.skip(std::process::id() as usize % 500);
    starts.find(|first| (*first..first + 12).all(is_free)).unwrap()
}

#[tokio::test]
async fn a_shadowed_move_waits_for_a_decision_and_can_be_cancelled() {
    let Some(redis) = stores::own_redis(Durability::Always).await else {
        return;
    };
    let shop = ShopProcess::start(PROGRAM, &Options::default()).await;
    let admin = Admin::of(&shop).await;
    let product = admin.product("A thing", 100, 1_000).await;
    let shopper = Shopper::begin(&shop, &product).await;
    // A cart that is written to all the time says nothing; this one lies still.
    let quiet = Customer::sign_up(&shop).await;
    quiet.put(&product, 7).await;
    // The URL in a file, as whoever has a password in it would do.
    let file = shop.path().join("url");
    std::fs::write(&file, format!("{}\n", redis.url)).unwrap();
    let at = format!("@{}", file.display());
    let to: [&str; 5] = ["carts", "--to", &at, "--format", "json"];
    let shadowed = moves(shop.path(), &[&to[..], &["--shadow"]].concat()).await;
    assert!(shadowed.status.success(), "{}", said(&shadowed));
    assert_eq!(status(&shadowed)["move"]["undecided"], true, "{shadowed:?}");
    eventually("answers are compared", 30, async || {
        quiet.cart().await;
        let now = status(&moves(shop.path(), &["carts", "--format", "json"]).await);
        (now["move"]["shadow"]["compared"].as_u64() > Some(3)).then_some(())
    })
    .await;
    let looked = moves(shop.path(), &["carts"]).await;
    assert!(looked.status.success(), "{looked:?}");
    let text = String::from_utf8_lossy(&looked.stdout).into_owned();
    assert!(
        text.contains(" 0 different") && text.contains("--switch"),
        "{text}"
    );

    let cancelled = moves(shop.path(), &["carts", "--cancel", "--format", "json"]).await;
    assert!(cancelled.status.success(), "{}", said(&cancelled));
    assert_eq!(status(&cancelled)["last"]["ending"], "cancelled");
    for nothing in ["--cancel", "--switch"] {
        let output = moves(shop.path(), &["carts", nothing]).await;
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(
            said(&output).contains("no move of carts is under way"),
            "{output:?}"
        );
    }
    // The cancelled one has left nothing, so it can begin anew; this time it is decided for.
    let shadowed = moves(shop.path(), &[&to[..], &["--shadow"]].concat()).await;
    assert!(shadowed.status.success(), "{}", said(&shadowed));
    let switched = moves(shop.path(), &["carts", "--switch", "--format", "json"]).await;
    assert!(switched.status.success(), "{}", said(&switched));
    verified(&status(&switched), "switched");
    all_as_acknowledged(vec![shopper]).await;
    assert_eq!(quiet.cart().await, [(product, 7)]);
}

#[tokio::test]
async fn every_service_with_two_stores_goes_there_and_back() {
    let Some(stores) = Polyglot::get().await else {
        return;
    };
    // A move concerns all that is in a store, so the Redis that tests share is none to move to.
    let Some(redis) = stores::own_redis(Durability::Always).await else {
        return;
    };
    let polyglot = stores.options(Options {
        sample: Some("tiny"),
        ..Options::default()
    });
    // The bus stays where it is.
    let (moved, fixed) =
        (polyglot.env.iter().cloned()).partition(|(name, _)| MOVED.iter().any(|(_, own)| own == name));
    let moved: Vec<(String, String)> = moved;
    let fixed: Vec<(String, String)> = fixed;
    let fixed = fixed
        .into_iter()
        .filter(|(name, _)| name == EVENTS || !KNOWN.iter().any(|known| known.name == name));
    let embedded = Options {
        env: fixed.collect(),
        ..polyglot
    };
    let shop = ShopProcess::start(PROGRAM, &embedded).await;
    let product = Admin::of(&shop).await.product("A thing", 100, 1_000).await;
    let customer = Customer::sign_up(&shop).await;
    customer.put(&product, 7).await;
    for (service, setting) in MOVED {
        let url = match setting {
            CARTS_STORE | SESSIONS_STORE => &redis.url,
            _ => &moved.iter().find(|(name, _)| name == setting).unwrap().1,
        };
        for to in [url.as_str(), "postgres:"] {
            let output = moves(shop.path(), &[service, "--to", to, "--format", "json"]).await;
            assert!(output.status.success(), "{service}: {}", said(&output));
            verified(&status(&output), "switched");
            println!("{service}: {}", status(&output)["last"]);
            // Signed in with the session of before, and with the cart of before.
            assert_eq!(customer.cart().await, [(product.clone(), 7)]);
        }
    }
}
