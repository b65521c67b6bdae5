//! `emporium evaluate recommendations`: figures that were counted by hand, of a file and of a shop that has imported it; and
//! the promised ones on the real data set.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};

use emporium_test_kit::stores;
use emporium_tests::process::without_settings;
use emporium_tests::{Options, ShopProcess, datasets, gift_shop};
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_shop-under-test");
/// Goods that one customer buys twice and nobody else wants, so that they are popular.
const FILLERS: [u32; 12] = [
    30_001, 30_002, 30_003, 30_004, 30_005, 30_006, 30_007, 30_008, 30_009, 30_010, 30_011, 30_012,
];

fn command(data_dir: &Path, arguments: &[&str]) -> Output {
    without_settings(&mut Command::new(PROGRAM))
        .arg("--data-dir")
        .arg(data_dir)
        .args(arguments)
        .current_dir(data_dir)
        .output()
        .unwrap()
}

fn evaluate(data_dir: &Path, arguments: &[&str]) -> Output {
    command(data_dir, &[&["evaluate", "recommendations"], arguments].concat())
}

fn figures(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[track_caller]
fn refused(output: &Output, words: &[&str]) {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let errors: Vec<&str> = text.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 1, "one line: {text}");
    for word in words {
        assert!(errors[0].contains(word), "{word:?} is missing in {:?}", errors[0]);
    }
}

/// From 10 June on, 12001 wants 20003, which goes with both past goods, and 12002 wants 20004, which goes with one. 12003 does
/// not come back, and 12004 was never there before.
fn file(folder: &Path) -> std::path::PathBuf {
    gift_shop::baskets(
        folder,
        &[
            ("500001", 1, "12001", &[20_001, 20_002]),
            ("500002", 2, "12002", &[20_001, 20_002, 20_003]),
            ("500003", 3, "12003", &[20_001, 20_004]),
            ("500004", 4, "12001", &[20_001]),
            ("500005", 5, "12009", &FILLERS),
            ("500006", 6, "12009", &FILLERS),
            ("500008", 10, "12001", &[20_003, 20_001]),
            ("500009", 11, "12002", &[20_004]),
            ("500010", 12, "12004", &[20_001]),
            // Cancelled, and so nobody's basket.
            ("C500007", 9, "12003", &[20_001]),
        ],
    )
}

fn check(figures: &Value) {
    let recall = |scope: &str, method: &str| figures[scope][method]["recall_at_10"].as_f64().unwrap();
    let new = [
        ("popularity", 0.0),
        ("raw", 1.0),
        ("cosine", 1.0),
        ("own_repeats", 0.0),
        ("service", 1.0),
    ];
    for (method, expected) in new {
        let one = &figures["new"][method];
        assert!(
            (recall("new", method) - expected).abs() < 1e-9,
            "{method}: {figures}"
        );
        assert_eq!(one["hit_rate_at_10"], expected, "{method}: {figures}");
        assert_eq!(one["recall_at_10_se"], 0.0, "{method}: {figures}");
        assert_eq!(one["customers"], 2, "{method}: {figures}");
    }
    // Half of one basket and nothing of the other; their deviation is 0.35, by the root of two customers 0.25.
    for method in ["popularity", "own_repeats"] {
        assert!((recall("all", method) - 0.25).abs() < 1e-9, "{method}: {figures}");
        let error = figures["all"][method]["recall_at_10_se"].as_f64().unwrap();
        assert!((error - 0.25).abs() < 1e-9, "{method}: {figures}");
        assert_eq!(
            figures["all"][method]["hit_rate_at_10"], 0.5,
            "{method}: {figures}"
        );
    }
    assert_eq!(
        figures.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["all", "new"]
    );
}

#[tokio::test]
async fn figures_of_a_few_baskets_are_exact_from_a_file_and_from_a_shop() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path());
    let path = path.to_str().unwrap();
    let dump = folder.path().join("lists.csv");
    let split = ["--split", "2011-06-10", "--format", "json"];
    let with_dump = [&split[..], &["--dump", dump.to_str().unwrap(), path]].concat();
    let of_file = figures(&evaluate(folder.path(), &with_dump));
    check(&of_file);
    let lists = std::fs::read_to_string(&dump).unwrap();
    assert_eq!(lists.lines().next(), Some("method,scope,customer,rank,code"));
    assert!(lists.contains("\ncosine,new,12001,1,20003A\n"), "{lists}");
    assert!(lists.contains("\npopularity,all,12002,1,20001A\n"), "{lists}");
    assert_eq!(
        lists.lines().count(),
        1 + 5 * 2 * 2 * 10,
        "ten of each method, scope and customer"
    );
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .flatten()
        .map(|one| one.file_name())
        .collect();
    assert_eq!(left.len(), 2, "neither a reject file nor half a dump: {left:?}");
    let table = evaluate(folder.path(), &["--split", "2011-06-10", path]);
    assert!(
        String::from_utf8_lossy(&table.stdout).contains("0.2500 ± 0.2500"),
        "{table:?}"
    );
    refused(
        &evaluate(folder.path(), &["--split", "2011-02-30", path]),
        &["2011-02-30", "no date"],
    );
    refused(
        &evaluate(folder.path(), &["--split", "2011-06-01", path]),
        &["no order before it", "2011-06-12"],
    );
    refused(
        &evaluate(folder.path(), &["--split", "2011-06-13", path]),
        &["no order from it on", "2011-06-01"],
    );
    refused(
        &evaluate(folder.path(), &["--split", "2011-06-12", path]),
        &["ordered again"],
    );
    refused(
        &evaluate(folder.path(), &["--split", "2011-06-10", "missing.csv"]),
        &["missing.csv"],
    );
    let nowhere = [&split[..], &["--dump", "/nowhere/lists.csv", path]].concat();
    refused(
        &evaluate(folder.path(), &nowhere),
        &["/nowhere/lists.csv", "--dump"],
    );

    let shop = ShopProcess::start(PROGRAM, &Options::default()).await;
    refused(
        &evaluate(shop.path(), &split),
        &["emporium import online-retail FILE"],
    );
    let import = command(shop.path(), &["import", "online-retail", path]);
    assert!(import.status.success(), "{import:?}");
    assert_eq!(figures(&evaluate(shop.path(), &split)), of_file);
}

/// Not figures that happen to agree: every customer's list, place by place.
#[tokio::test]
async fn lists_on_neo4j_are_the_lists_on_postgresql() {
    let Some(neo4j) = stores::neo4j().await else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = gift_shop::season(folder.path());
    let shop = format!("{}?shop=evaluation-{}", neo4j.url, uuid::Uuid::new_v4().simple());
    let lists = |on: &[&str], name: &str| {
        let dump = folder.path().join(name);
        let fixed = [
            "--split",
            "2011-06-20",
            "--format",
            "json",
            "--dump",
            dump.to_str().unwrap(),
        ];
        let arguments = [&fixed[..], on, &[file.to_str().unwrap()]].concat();
        let figures = figures(&evaluate(folder.path(), &arguments));
        (figures, std::fs::read_to_string(dump).unwrap())
    };
    let (figures, on_postgresql) = lists(&[], "postgresql.csv");
    let of_service = on_postgresql.lines().filter(|line| line.starts_with("service,"));
    assert!(of_service.count() > 2 * 30 * 10, "{figures}");
    let on = ["--on", shop.as_str()];
    let (figures_on_neo4j, on_neo4j) = lists(&on, "neo4j.csv");
    let differ = on_postgresql
        .lines()
        .zip(on_neo4j.lines())
        .find(|(one, other)| one != other);
    assert_eq!(differ, None, "the first place that differs");
    assert_eq!((figures, on_postgresql), (figures_on_neo4j, on_neo4j));
    // What has learnt once would learn twice.
    let arguments = [
        "--split",
        "2011-06-20",
        "--on",
        shop.as_str(),
        file.to_str().unwrap(),
    ];
    refused(
        &evaluate(folder.path(), &arguments),
        &["has orders already", "empty"],
    );
    let arguments = [
        "--split",
        "2011-06-20",
        "--on",
        "neo4j://h/d/e",
        file.to_str().unwrap(),
    ];
    refused(
        &evaluate(folder.path(), &arguments),
        &["EMPORIUM_RECOMMENDATIONS_STORE", "neo4j://"],
    );
}

/// Minutes in an unoptimised build.
#[tokio::test]
async fn the_gift_shops_figures_are_as_promised() {
    let Some(data) = datasets() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = std::fs::read_dir(data.join("online-retail"))
        .unwrap()
        .flatten()
        .next()
        .unwrap()
        .path();
    let file = file.canonicalize().unwrap();
    let arguments = [
        "--split",
        "2011-06-09",
        "--format",
        "json",
        file.to_str().unwrap(),
    ];
    let figures = figures(&evaluate(folder.path(), &arguments));
    println!("{figures}");
    let recall = |method: &str| figures["new"][method]["recall_at_10"].as_f64().unwrap();
    for (method, promised) in [("popularity", 0.019), ("raw", 0.036), ("cosine", 0.049)] {
        assert!((recall(method) - promised).abs() < 0.000_5, "{method}: {figures}");
        assert_eq!(figures["new"][method]["customers"], 1_461);
    }
    assert!(recall("service") >= 1.25 * recall("cosine"), "{figures}");
}
