//! The whole shop on all its specialised stores, held against the whole shop on PostgreSQL: the same seeded shop has the same
//! projections, the books agree to the penny, and the dashboards of operations answer.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use emporium_test_kit::eventually;
use emporium_tests::process::without_settings;
use emporium_tests::{Admin, Options, Polyglot, ShopProcess, gift_shop};
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_shop-under-test");

/// Runs a command of the program on a shop's data folder, and what it says in JSON.
async fn says(shop: &ShopProcess, arguments: &[&str]) -> Value {
    let text = runs(shop.path(), &[arguments, &["--format", "json"]].concat()).await;
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}"))
}

async fn runs(data_dir: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(PROGRAM);
    without_settings(&mut command)
        .arg("--data-dir")
        .arg(data_dir)
        .args(arguments)
        .current_dir(data_dir)
        .stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = output.await.unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A table's rows and digest, by projection and table.
type Content = BTreeMap<(String, String), (i64, String)>;

/// The content of every projection, after a rebuild that found no difference.
async fn rebuilt(shop: &ShopProcess) -> Content {
    // A new group builds its projection by itself at first, with nothing to compare with. Whoever asks for a rebuild meanwhile
    // joins that one, and asks again.
    let outcomes = eventually("every projection is compared", 120, async || {
        let outcomes = says(shop, &["rebuild", "--all"]).await;
        let mut all = outcomes.as_array().unwrap().iter();
        let compared = |one: &Value| one["projection"] == "catalog.search" || !one["equal"].is_null();
        all.all(compared).then_some(outcomes)
    })
    .await;
    let mut content = Content::new();
    for outcome in outcomes.as_array().unwrap() {
        let name = outcome["projection"].as_str().unwrap();
        assert_ne!(outcome["equal"], false, "{outcome}");
        for table in outcome["tables"].as_array().unwrap() {
            assert_eq!(table["equal"], true, "{name}: {table}");
            let text = |field: &str| table[field].as_str().unwrap().to_owned();
            let rows = table["rows_rebuilt"].as_i64().unwrap();
            content.insert((name.to_owned(), text("table")), (rows, text("digest_rebuilt")));
        }
    }
    content
}

/// A shop with seeded products, customers and reviews, and a piece of the gift shop's orders.
async fn filled(options: Options) -> ShopProcess {
    let sample = Some("tiny");
    let shop = ShopProcess::start(PROGRAM, &Options { sample, ..options }).await;
    let file = gift_shop::dirty(shop.path());
    runs(shop.path(), &["import", "online-retail", file.to_str().unwrap()]).await;
    shop
}

#[tokio::test]
async fn the_same_shop_has_the_same_projections_on_all_stores_as_on_postgresql() {
    let Some(stores) = Polyglot::get().await else {
        return;
    };
    let (full, embedded) = futures::join!(
        filled(stores.options(Options::default())),
        filled(Options::default())
    );
    let books = says(&full, &["reconcile"]).await;
    assert_eq!(
        (&books["equal"], &books["differences"]),
        (&json!(true), &json!([])),
        "{books}"
    );
    assert!(!books["compared"].as_array().unwrap().is_empty(), "{books}");
    let (full, embedded) = (rebuilt(&full).await, rebuilt(&embedded).await);
    for (projection, least) in [
        ("recommendations", 4),
        ("reviews.ratings", 3),
        ("analytics", 3),
        ("orders", 1),
        ("catalog", 1),
    ] {
        let tables = full.keys().filter(|(name, _)| name == projection).count();
        assert!(tables >= least, "{projection}: {full:?}");
    }
    assert!(
        full.values().filter(|(rows, _)| *rows > 0).count() > 8,
        "{full:?}"
    );
    assert_eq!(of_all_shops(full), of_all_shops(embedded));
}

/// Without the digests of tables in which each account has a row: each shop has an administrator of its own, whose id is made when
/// the shop is.
fn of_all_shops(mut content: Content) -> Content {
    for ((_, table), (_, digest)) in &mut content {
        if ["orders_customer", "reviews_author"].contains(&table.as_str()) {
            digest.clear();
        }
    }
    content
}

#[tokio::test]
async fn dashboards_of_operations_answer_from_prometheus() {
    let Some(stores) = Polyglot::get().await else {
        return;
    };
    let shop = ShopProcess::start(PROGRAM, &stores.options(Options::default())).await;
    let admin = Admin::of(&shop).await;
    let list = admin.api.get("/api/admin/monitoring/boards").await.expect(200);
    let names: Vec<String> = (list["items"].as_array().unwrap().iter())
        .map(|board| board["name"].as_str().unwrap().to_owned())
        .collect();
    assert!(names.len() >= 4, "{list}");
    for name in names {
        let path = format!("/api/admin/monitoring/boards/{name}");
        // The first points come with the first two scrapes.
        eventually(&format!("{name} has values"), 60, async || {
            let board = admin.api.get(&path).await.expect(200);
            let known = |panel: &Value| {
                let mut lines = panel["items"].as_array().into_iter().flatten();
                panel["known"] == true
                    && lines.any(|line| {
                        line["values"]
                            .as_array()
                            .into_iter()
                            .flatten()
                            .any(Value::is_number)
                    })
            };
            board["panels"]
                .as_array()
                .unwrap()
                .iter()
                .any(known)
                .then_some(())
        })
        .await;
    }
    let page = admin.api.get("/admin/operations").await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("<svg"), "{}", page.text);
}
