//! Sample data and real data: loaded while the shop runs and when it does not, twice, and killed half-way.
#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use emporium_tests::{Options, ShopProcess, datasets, gift_shop};

const PROGRAM: &str = env!("CARGO_BIN_EXE_shop-under-test");

fn run(data_dir: &Path, arguments: &[&str]) -> String {
    let output = Command::new(PROGRAM)
        .arg("--data-dir")
        .arg(data_dir)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{arguments:?}: {text}");
    println!("{text}");
    text
}

/// Everything that a load writes, as one comparable text: counts and digests of each owner's tables.
async fn state(shop: &ShopProcess) -> String {
    let mut text = String::new();
    for (owner, table, columns) in [
        (
            "users",
            "users_account WHERE role = 'customer'",
            "id, email, name, origin",
        ),
        ("catalog", "catalog_product", "id, sku, name, price"),
        (
            "orders",
            "orders_order",
            "id, customer_id, status, total, placed_at",
        ),
        (
            "orders",
            "orders_line",
            "order_id, product_id, quantity, unit_price",
        ),
        ("orders", "orders_refund", "id, order_id, amount"),
        ("payments", "payments_charge", "saga_id, amount, refunded, state"),
        (
            "users",
            "users_outbox WHERE data->>'role' = 'customer'",
            "id, type",
        ),
        // Orders are counted later, and how many at once is chance: one such event stands for all of them.
        (
            "catalog",
            "catalog_outbox WHERE type <> 'popularity.changed.v1'",
            "id, type",
        ),
        ("orders", "orders_outbox", "id, type"),
        ("payments", "payments_outbox", "id, type"),
    ] {
        let sql = format!(
            "SELECT count(*), coalesce(sum(hashtextextended(row({columns})::text, 0)::numeric), 0)::text FROM {table}"
        );
        let row: (i64, String) = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .fetch_one(&shop.db(owner))
            .await
            .unwrap();
        writeln!(text, "{table} {} {}", row.0, row.1).unwrap();
    }
    text
}

#[tokio::test]
async fn a_load_changes_nothing_the_second_time_and_survives_a_kill() {
    let files = tempfile::tempdir().unwrap();
    let file = gift_shop::dirty(files.path());
    let rejects = files.path().join("rejected.csv");
    let import = [
        "import",
        "online-retail",
        file.to_str().unwrap(),
        "--rejects",
        rejects.to_str().unwrap(),
    ];
    let options = Options::default();
    let mut whole = ShopProcess::start(PROGRAM, &options).await;
    // Into a running shop; then the same again; then into the folder of a stopped one.
    let said = run(whole.path(), &import);
    assert!(
        said.contains("read") && said.contains("rejected") && !said.contains(" 0 guest orders"),
        "{said}"
    );
    assert!(
        std::fs::read_to_string(&rejects).unwrap().lines().count() >= 2,
        "the unreadable line is there, with its reason"
    );
    let first = state(&whole).await;
    run(whole.path(), &import);
    assert_eq!(state(&whole).await, first, "a second run changes nothing");
    assert!(whole.terminate().success());
    run(whole.path(), &import);
    whole.start_again(PROGRAM, &options).await;
    assert_eq!(
        state(&whole).await,
        first,
        "neither does one without a running shop"
    );
    // The same into another shop, killed again and again on the way, program and importer alike.
    let mut broken = ShopProcess::start(PROGRAM, &options).await;
    for attempt in 0..4_u64 {
        let mut child = Command::new(PROGRAM)
            .arg("--data-dir")
            .arg(broken.path())
            .args(import)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Killed after ever more time: not a wait for something, the injected failure itself.
        tokio::time::sleep(Duration::from_millis(60 + 150 * attempt)).await;
        if attempt % 2 == 0 {
            child.kill().unwrap();
        } else {
            broken.kill();
        }
        // An importer that has not looked yet when the shop is killed starts one of its own, and has the folder until then.
        child.wait().unwrap();
        if attempt % 2 == 1 {
            broken.start_again(PROGRAM, &options).await;
        }
    }
    run(broken.path(), &import);
    assert_eq!(
        state(&broken).await,
        first,
        "killed half-way and run again, it ends in the same state"
    );
}

#[tokio::test]
async fn sample_data_fills_an_empty_shop_once() {
    let options = Options {
        sample: Some("tiny"),
        ..Options::default()
    };
    let mut shop = ShopProcess::start(PROGRAM, &options).await;
    let listing = shop.visitor().get("/api/products?limit=1").await.expect(200);
    assert_eq!(listing["total"], 200);
    let before = state(&shop).await;
    assert!(shop.terminate().success());
    shop.start_again(PROGRAM, &options).await;
    assert_eq!(state(&shop).await, before);
    let demo = emporium_seed::DEMO_ACCOUNTS[0];
    let body = serde_json::json!({ "email": demo.email, "password": demo.password });
    shop.visitor().post("/api/sessions", body).await.expect(201);
    let sql = "SELECT email FROM users_account WHERE origin = 'generated' AND email NOT LIKE 'demo%' LIMIT 1";
    let generated: String = sqlx::query_scalar(sql)
        .fetch_one(&shop.db("users"))
        .await
        .unwrap();
    let body = serde_json::json!({ "email": generated, "password": "" });
    let refused = shop.visitor().post("/api/sessions", body).await.status;
    assert!((400..500).contains(&refused));
}

#[tokio::test]
async fn the_real_gift_shop_and_the_real_catalogue() {
    let Some(folder) = datasets() else { return };
    let shop = ShopProcess::start(PROGRAM, &Options::default()).await;
    let files = tempfile::tempdir().unwrap();
    let rejects = files.path().join("rejected.csv");
    let csv = std::fs::read_dir(folder.join("online-retail"))
        .unwrap()
        .flatten()
        .next()
        .unwrap()
        .path();
    let started = Instant::now();
    run(
        shop.path(),
        &[
            "import",
            "online-retail",
            csv.to_str().unwrap(),
            "--rejects",
            rejects.to_str().unwrap(),
        ],
    );
    println!(
        "gift shop: {:.1} s (unoptimised build)",
        started.elapsed().as_secs_f64()
    );
    let first = state(&shop).await;
    let icecat = folder.join("icecat/products.jsonl.gz");
    run(
        shop.path(),
        &[
            "import",
            "icecat",
            icecat.to_str().unwrap(),
            "--rejects",
            rejects.to_str().unwrap(),
        ],
    );
    assert_ne!(state(&shop).await, first);
    for query in ["christmas", "laptop", "chrsitmas"] {
        let found = shop
            .visitor()
            .get(&format!("/api/products?q={query}"))
            .await
            .expect(200);
        assert!(!found["items"].as_array().unwrap().is_empty(), "{query}: {found}");
    }
}
