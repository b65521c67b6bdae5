//! `emporium evaluate search`: exact figures on a small catalogue made for it, and the promised ones on the real data set.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};

use emporium_tests::process::without_settings;
use emporium_tests::{Options, Polyglot, ShopProcess, datasets};
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_shop-under-test");

fn command(data_dir: &Path, arguments: &[&str]) -> Output {
    without_settings(&mut Command::new(PROGRAM))
        .arg("--data-dir")
        .arg(data_dir)
        .args(arguments)
        .current_dir(data_dir)
        .output()
        .unwrap()
}

#[track_caller]
fn succeeds(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[track_caller]
fn says(output: &Output, words: &[&str]) {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let errors: Vec<&str> = text.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 1, "one line: {text}");
    for word in words {
        assert!(errors[0].contains(word), "{word:?} is missing in {:?}", errors[0]);
    }
}

/// Twelve products with a word that no sample product has, one of them with a second one.
fn catalogue() -> String {
    let line = |n: u32| {
        let title = if n == 7 {
            "Grumbleflux quuxometer"
        } else {
            "Grumbleflux"
        };
        let product = json!({
            "id": format!("90{n}"), "name": format!("GF-{n}"), "title": format!("{title} {n}"), "ean": [], "supplier": "Maker",
            "price": 1_000 + n, "short_description": "For a test.", "date_released": "2020-01-01T00:00:00Z"
        });
        format!("{product}\n")
    };
    (0..12).map(line).collect()
}

/// "quuxometer" finds its only relevant product; what "zeppelin" should find has another name; nobody wants "nothing".
const JUDGMENTS: &str =
    "query,docid,rating\nquuxometer,907,3\nquuxometer,901,0\nzeppelin,903,2\nnothing,903,0\n";

async fn small(options: Options, adapters: &[&str]) {
    let options = Options {
        sample: Some("tiny"),
        ..options
    };
    let shop = ShopProcess::start(PROGRAM, &options).await;
    let folder = shop.path();
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let judgments = file("judgments.csv", JUDGMENTS);
    let evaluate = ["evaluate", "search", "--judgments", &judgments];
    says(
        &command(folder, &evaluate),
        &["Icecat", "emporium import icecat FILE"],
    );
    succeeds(&command(
        folder,
        &["import", "icecat", &file("icecat.jsonl", &catalogue())],
    ));
    let dump = folder.join("lists.csv");
    let dump = dump.to_str().unwrap();
    let output = command(
        folder,
        &[&evaluate[..], &["--format", "json", "--dump", dump]].concat(),
    );
    let half = json!({ "ndcg_at_10": 0.5, "condensed": 0.5, "queries": 2 });
    let expected: Value = adapters
        .iter()
        .map(|name| ((*name).to_owned(), half.clone()))
        .collect::<serde_json::Map<_, _>>()
        .into();
    assert_eq!(
        serde_json::from_str::<Value>(&succeeds(&output)).unwrap(),
        expected
    );
    let lists = adapters
        .iter()
        .fold(String::new(), |text, name| text + *name + ",quuxometer,1,907\n");
    assert_eq!(
        std::fs::read_to_string(dump).unwrap(),
        format!("adapter,query,rank,id\n{lists}")
    );
    let table = succeeds(&command(folder, &evaluate));
    assert!(table.contains("0.500 ± 0.500"), "{table}");
    // All twelve, whatever else the shop holds: the condensed form may need more than the first ten.
    let many = file("many.csv", "query,docid,rating\ngrumbleflux,901,1\n");
    succeeds(&command(
        folder,
        &["evaluate", "search", "--judgments", &many, "--dump", dump],
    ));
    assert_eq!(
        std::fs::read_to_string(dump).unwrap().lines().count(),
        1 + 12 * adapters.len()
    );
    let wrong = file("wrong.csv", "query,docid,rating\nquuxometer,907,good\n");
    says(
        &command(folder, &["evaluate", "search", "--judgments", &wrong]),
        &["wrong.csv", "line 2", "good"],
    );
    let idle = file("idle.csv", "query,docid,rating\nquuxometer,907,0\n");
    says(
        &command(folder, &["evaluate", "search", "--judgments", &idle]),
        &["idle.csv", "no query has a relevant document"],
    );
    says(
        &command(
            folder,
            &[&evaluate[..], &["--dump", "/nowhere/lists.csv"]].concat(),
        ),
        &["/nowhere/lists.csv", "--dump"],
    );
}

#[tokio::test]
async fn figures_of_a_small_catalogue_are_exact() {
    small(Options::default(), &["postgres"]).await;
}

#[tokio::test]
async fn figures_of_a_small_catalogue_are_exact_on_elasticsearch_too() {
    let Some(stores) = Polyglot::get().await else {
        return;
    };
    small(stores.options(Options::default()), &["postgres", "elasticsearch"]).await;
}

#[tokio::test]
async fn the_real_catalogue_is_searched_as_well_as_promised() {
    let Some(data) = datasets() else { return };
    let Some(stores) = Polyglot::get().await else {
        return;
    };
    let shop = ShopProcess::start(PROGRAM, &stores.options(Options::default())).await;
    let path = |name: &str| {
        data.join("icecat")
            .join(name)
            .canonicalize()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned()
    };
    succeeds(&command(
        shop.path(),
        &["import", "icecat", &path("products.jsonl.gz")],
    ));
    let arguments = [
        "evaluate",
        "search",
        "--judgments",
        &path("judgments.csv"),
        "--format",
        "json",
    ];
    let text = succeeds(&command(shop.path(), &arguments));
    println!("{text}");
    let figures: Value = serde_json::from_str(&text).unwrap();
    for (adapter, least) in [("postgres", 0.69), ("elasticsearch", 0.73)] {
        assert_eq!(figures[adapter]["queries"], 55, "{text}");
        assert!(
            figures[adapter]["ndcg_at_10"].as_f64().unwrap() >= least,
            "{text}"
        );
    }
}
