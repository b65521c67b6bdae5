//! Slow looks at real sizes and real data, run by hand:
//!
//! ```text
//! EMPORIUM_DATASETS=../shared/data cargo test --release -p emporium-catalog --test at_scale -- --ignored --nocapture
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::too_many_lines)]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::time::Instant;

use emporium_service_kit::stores::CATALOG_SEARCH;
use emporium_service_kit::{Clock, Environment, ServiceName};
use emporium_test_kit::{Caller, Keys, TestService, stores};
use serde_json::{Map, Value, json};
use uuid::Uuid;

async fn start() -> TestService {
    TestService::start(
        ServiceName::Catalog,
        &Keys::default(),
        &[],
        Clock::System,
        emporium_catalog::build,
    )
    .await
}

fn datasets() -> PathBuf {
    let folder =
        std::env::var_os("EMPORIUM_DATASETS").expect("EMPORIUM_DATASETS names the folder of the data sets");
    let folder = PathBuf::from(folder);
    // Tests run in the crate's folder; a relative path is meant from the workspace's.
    if folder.is_absolute() {
        return folder;
    }
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(folder)
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + number)
}

/// A line of Icecat as a bulk record, with its Icecat number.
fn icecat_record(line: &str) -> (String, Value) {
    let raw: Map<String, Value> = serde_json::from_str(line).unwrap();
    let text = |name: &str| {
        raw.get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let mut attributes: Map<String, Value> = raw
        .iter()
        .filter(|(name, _)| name.starts_with("attr_"))
        .map(|(name, value)| (name[7..].to_owned(), without_controls(value)))
        .collect();
    attributes.insert("manufacturer_part_number".into(), json!(text("name")));
    let kind = raw
        .get("attr_t_product_type")
        .and_then(Value::as_str)
        .unwrap_or("Other");
    let kind = if kind.chars().any(char::is_alphanumeric) {
        kind
    } else {
        "Other"
    };
    let number = text("id");
    let record = json!({
        "id": id(number.parse().unwrap()), "sku": format!("IC-{number}"), "name": text("title"), "description": text("short_description"),
        "category": kind, "category_name": kind, "brand": Some(text("supplier")).filter(|brand| !brand.is_empty()),
        "price": {"amount": raw["price"], "currency": "GBP"}, "attributes": attributes, "source": "icecat", "stock": 100,
        "created_at": "2020-01-01T00:00:00Z"
    });
    (number, record)
}

fn without_controls(value: &Value) -> Value {
    let clean = |text: &str| text.replace(char::is_control, " ");
    value
        .as_str()
        .map_or_else(|| value.clone(), |text| clean(text).into())
}

/// Prints how long the store worked, by kind of statement.
async fn store_times(catalog: &TestService) {
    let metrics = catalog.anonymous().get("/metrics").await.text;
    for line in metrics
        .lines()
        .filter(|line| line.starts_with("emporium_store_call_duration_seconds_sum"))
    {
        println!("  {line}");
    }
}

/// Fails when a list read a large table from end to end. Statistics are written with some delay, hence the wait.
async fn scans(catalog: &TestService) -> Vec<(String, i64)> {
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    sqlx::query_as(
        "SELECT relname::text, seq_scan FROM pg_stat_user_tables WHERE n_live_tup > 1000 ORDER BY 1",
    )
    .fetch_all(&catalog.db())
    .await
    .unwrap()
}

fn gain(rating: u32, rank: usize) -> f64 {
    f64::from(2_u32.pow(rating) - 1) / f64::from(u32::try_from(rank + 2).unwrap()).log2()
}

/// Normalised discounted cumulated gain of the first ten.
fn ndcg(found: &[Uuid], judged: &BTreeMap<Uuid, u32>) -> f64 {
    let reached: f64 = found
        .iter()
        .take(10)
        .enumerate()
        .map(|(rank, id)| gain(judged.get(id).copied().unwrap_or(0), rank))
        .sum();
    let mut best: Vec<u32> = judged.values().copied().collect();
    best.sort_unstable_by(|a, b| b.cmp(a));
    let ideal: f64 = best
        .iter()
        .take(10)
        .enumerate()
        .map(|(rank, rating)| gain(*rating, rank))
        .sum();
    reached / ideal
}

async fn found(operator: &Caller, adapter: &str, query: &str) -> Vec<Uuid> {
    let request =
        operator
            .request("GET", "/products")
            .query(&[("q", query), ("limit", "50"), ("index", adapter)]);
    let page = emporium_test_kit::Reply::read(request).await.expect(200);
    page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["id"].as_str().unwrap().parse().unwrap())
        .collect()
}

/// The service with its search on Elasticsearch, where that can be had, else as it is.
async fn start_with_elasticsearch() -> (TestService, Vec<&'static str>) {
    let Some(server) = stores::elasticsearch().await else {
        return (start().await, vec!["postgres"]);
    };
    let url = server
        .url
        .trim_end_matches('/')
        .replacen("http://", "elasticsearch://", 1);
    let setting = format!("{url}/t{}", Uuid::new_v4().simple());
    let build = async |environment: &Environment| {
        let mut environment = environment.clone();
        environment.stores.set(CATALOG_SEARCH, setting.clone())?;
        emporium_catalog::build(&environment).await
    };
    let catalog = TestService::start(ServiceName::Catalog, &Keys::default(), &[], Clock::System, build).await;
    (catalog, vec!["postgres", "elasticsearch"])
}

/// Queries with their judged documents.
type Queries = BTreeMap<String, BTreeMap<Uuid, u32>>;

/// Prints and gives the mean nDCG@10 of an adapter. The halves (every other query) tell how much of it hangs on which queries.
async fn quality(operator: &Caller, adapter: &str, queries: &Queries) -> f64 {
    let (mut all, mut condensed, mut halves) = (Vec::new(), Vec::new(), [Vec::new(), Vec::new()]);
    for (n, (query, judged)) in queries.iter().enumerate() {
        let mut found = found(operator, adapter, query).await;
        all.push(ndcg(&found, judged));
        halves[n % 2].push(ndcg(&found, judged));
        found.retain(|id| judged.contains_key(id));
        condensed.push(ndcg(&found, judged));
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / f64::from(u32::try_from(values.len()).unwrap());
    println!(
        "{adapter}: nDCG@10 over {} queries {:.3} (halves {:.3}, {:.3}), condensed {:.3}",
        all.len(),
        mean(&all),
        mean(&halves[0]),
        mean(&halves[1]),
        mean(&condensed)
    );
    mean(&all)
}

#[tokio::test]
#[ignore = "needs the Icecat data set"]
async fn relevance_on_icecat() {
    let (catalog, adapters) = start_with_elasticsearch().await;
    let (operator, gateway) = (
        catalog.as_caller(ServiceName::Operator),
        catalog.as_caller(ServiceName::Gateway),
    );
    let file = std::fs::File::open(datasets().join("icecat/products.jsonl.gz")).unwrap();
    let lines = BufReader::new(flate2::read::GzDecoder::new(file)).lines();
    let records: Vec<Value> = lines.map(|line| icecat_record(&line.unwrap()).1).collect();
    let started = Instant::now();
    let summary = operator.bulk("/bulk/products", &records).await.expect(200);
    println!(
        "{} of {} products in {:?}",
        summary["loaded"],
        records.len(),
        started.elapsed()
    );
    store_times(&catalog).await;
    assert!(
        summary["rejected_count"].as_u64().unwrap() * 1_000 < records.len() as u64,
        "{}",
        summary["rejected"]
    );
    let mut queries = Queries::new();
    for line in std::fs::read_to_string(datasets().join("icecat/judgments.csv"))
        .unwrap()
        .lines()
        .skip(1)
    {
        let mut fields = line.rsplitn(3, ',');
        let (rating, number, query) = (
            fields.next().unwrap(),
            fields.next().unwrap(),
            fields.next().unwrap(),
        );
        queries
            .entry(query.to_owned())
            .or_default()
            .insert(id(number.parse().unwrap()), rating.parse().unwrap());
    }
    queries.retain(|_, judged| judged.values().any(|rating| *rating > 0));
    for adapter in adapters {
        if adapter == "elasticsearch" {
            let started = Instant::now();
            emporium_test_kit::eventually("the index is built and has everything", 120, async || {
                let state = operator.get("/search/reindex").await.expect(200);
                (state["lag"] == 0 && state["fault"].is_null()).then_some(())
            })
            .await;
            println!("indexed {:?} after the load", started.elapsed());
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
        let mean = quality(&operator, adapter, &queries).await;
        assert!(mean >= if adapter == "postgres" { 0.69 } else { 0.73 });
        for path in [
            "q=laptop",
            "q=black%20laptop%20bag",
            "q=wirless%20muose",
            "category=notebook",
            "sort=price_asc",
        ] {
            time(&operator, &format!("/products?index={adapter}&{path}")).await;
        }
    }
    for path in [
        "/products?q=laptop",
        "/products?q=wirless%20mouse",
        "/products?q=black&category=notebook",
        "/suggest?q=lap",
        "/products?attr=product_colour:Black",
        "/products?brand=HP&sort=price_asc",
    ] {
        time(&gateway, path).await;
    }
    catalog.stop().await;
}

fn generated(number: u32) -> String {
    const NOUNS: [&str; 12] = [
        "mug",
        "lamp",
        "chair",
        "kettle",
        "backpack",
        "notebook",
        "headphones",
        "mouse",
        "desk",
        "scarf",
        "candle",
        "puzzle",
    ];
    const WORDS: [&str; 16] = [
        "blue", "large", "wooden", "classic", "compact", "steel", "soft", "bright", "folding", "garden",
        "travel", "deluxe", "ceramic", "cordless", "woven", "modern",
    ];
    let pick = |list: &[&'static str], salt: u32| {
        list[usize::try_from(number.wrapping_mul(2_654_435_761).rotate_left(salt) >> 4).unwrap() % list.len()]
    };
    let noun = pick(&NOUNS, 3);
    let description: String = (0..24)
        .map(|salt| pick(&WORDS, salt))
        .collect::<Vec<_>>()
        .join(" ");
    let record = json!({
        "id": id(number.into()), "sku": format!("G-{number:07}"), "name": format!("{} {} {noun} {}", pick(&WORDS, 5), pick(&WORDS, 9), number % 1_000),
        "description": description, "category": format!("{noun}-{}", pick(&WORDS, 13)), "category_name": noun, "brand": format!("Maker {}", number % 300),
        "price": {"amount": 99 + number % 90_000, "currency": "GBP"}, "attributes": {"colour": pick(&WORDS, 1), "material": pick(&WORDS, 17), "weight_g": number % 3_000, "gift": number.is_multiple_of(2)},
        "source": "seed", "stock": 100, "created_at": "2024-01-01T00:00:00Z"
    });
    format!("{record}\n")
}

async fn time(gateway: &Caller, path: &str) {
    let mut times = Vec::new();
    let mut page = Value::Null;
    for _ in 0..40 {
        let started = Instant::now();
        page = gateway.get(path).await.expect(200);
        times.push(started.elapsed());
    }
    let first = times[0];
    times.sort_unstable();
    println!(
        "{path}: first {first:.1?}, median {:.1?}, worst {:.1?}, total {}",
        times[20], times[39], page["total"]
    );
}

#[tokio::test]
#[ignore = "takes minutes; EMPORIUM_PRODUCTS sets the size"]
async fn lists_at_fifty_thousand_products() {
    let size: u32 = std::env::var("EMPORIUM_PRODUCTS").map_or(50_000, |size| size.parse().unwrap());
    let catalog = start().await;
    let (operator, gateway) = (
        catalog.as_caller(ServiceName::Operator),
        catalog.as_caller(ServiceName::Gateway),
    );
    let started = Instant::now();
    for from in (0..size).step_by(50_000) {
        let lines = (from..size.min(from + 50_000)).fold(String::new(), |mut lines, number| {
            let _ = write!(lines, "{}", generated(number));
            lines
        });
        emporium_test_kit::Reply::read(operator.request("POST", "/bulk/products").body(lines))
            .await
            .expect(200);
        println!(
            "{} products after {:?}",
            size.min(from + 50_000),
            started.elapsed()
        );
    }
    store_times(&catalog).await;
    let before = scans(&catalog).await;
    for path in [
        "/products",
        "/products?limit=100",
        "/products?sort=price_asc",
        "/products?sort=name",
        "/products?category=mug-blue",
        "/products?brand=Maker%207&sort=newest",
        "/products?category=mug-blue&price_min=1000&price_max=20000&sort=price_desc",
        "/products?in_stock=false",
        "/products?q=0000077",
        "/suggest?q=b",
        "/suggest?q=blue%20mu",
        "/suggest?q=mug",
        "/categories",
        &format!("/products/{}", id(77)),
    ] {
        time(&gateway, path).await;
    }
    assert_eq!(before, scans(&catalog).await, "no list reads a whole table");
    // Words and attributes of every twelfth product: here the planner may well read the narrow table of entries at once.
    for path in [
        "/products?attr=colour:blue&attr=gift:true",
        "/products?q=mug",
        "/products?q=blue%20mug",
        "/products?q=blue",
        "/products?q=cermic%20muf",
        "/products?q=blue&sort=price_asc",
    ] {
        time(&gateway, path).await;
    }
    catalog.stop().await;
}
