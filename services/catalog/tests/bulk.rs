//! Bulk loads: products and the history of stock adjustments.
#![allow(clippy::unwrap_used, clippy::too_many_lines)]

use emporium_service_kit::{Clock, ServiceName};
use emporium_test_kit::{Caller, Keys, Reply, TestService};
use serde_json::{Value, json};
use uuid::Uuid;

async fn start() -> (TestService, Caller, Caller) {
    let catalog = TestService::start(
        ServiceName::Catalog,
        &Keys::default(),
        &[],
        Clock::System,
        emporium_catalog::build,
    )
    .await;
    let (operator, gateway) = (
        catalog.as_caller(ServiceName::Operator),
        catalog.as_caller(ServiceName::Gateway),
    );
    (catalog, operator, gateway)
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + number)
}

fn record(number: u128) -> Value {
    json!({
        "id": id(number), "sku": format!("S-{number}"), "name": format!("Lamp model {}", number % 50),
        "description": "Gives light", "category": "lamps", "category_name": "Lamps & light", "brand": null,
        "price": {"amount": 100 + u64::try_from(number % 5_000).unwrap(), "currency": "GBP"},
        "attributes": {"watts": 5.5, "style": "tab\there, line\nbreak and back\\slash"}, "source": "seed", "stock": 100,
        "popularity": 77, "created_at": "2020-02-03T04:05:06.789+01:00"
    })
}

fn with(number: u128, field: &str, value: Value) -> Value {
    let mut record = record(number);
    record[field] = value;
    record
}

fn counts(summary: &Value) -> [u64; 4] {
    ["received", "loaded", "unchanged", "rejected_count"].map(|name| summary[name].as_u64().unwrap())
}

#[tokio::test]
async fn products_load_once_with_their_events_and_can_be_found() {
    let (catalog, operator, gateway) = start().await;
    let records: Vec<Value> = (0..4_500).map(record).collect();
    let summary = operator.bulk("/bulk/products", &records).await.expect(200);
    assert_eq!(counts(&summary), [4_500, 4_500, 0, 0]);
    let again = operator.bulk("/bulk/products", &records).await.expect(200);
    assert_eq!(counts(&again), [4_500, 0, 4_500, 0]);
    let product = gateway.get(&format!("/products/{}", id(7))).await.expect(200);
    assert_eq!(
        (&product["stock"], &product["version"], &product["source"]),
        (&json!(100), &json!(1), &json!("seed"))
    );
    assert_eq!(product["popularity"], 0, "sales are counted from orders only");
    assert_eq!(product["attributes"], records[7]["attributes"]);
    assert_eq!(
        (&product["category_name"], &product["created_at"]),
        (&json!("Lamps & light"), &json!("2020-02-03T03:05:06.789Z"))
    );
    let found = gateway.get("/products?q=lmap%20model&limit=1").await.expect(200);
    assert_eq!(
        (&found["total"], &found["corrected_query"]),
        (&json!(4_500), &json!("lamp model"))
    );
    let lists = gateway.get("/products").await.expect(200);
    assert_eq!(
        (&lists["total"], &lists["facets"]["category"][0]["count"]),
        (&json!(4_500), &json!(4_500))
    );
    let history = gateway.get("/events?limit=1000").await.expect(200);
    let event = &history["items"][0]["event"];
    assert_eq!(
        (&event["type"], &event["time"]),
        (&json!("product.created.v1"), &json!("2020-02-03T03:05:06.789Z"))
    );
    assert_eq!(
        (&event["aggregateversion"], &event["data"]["on_hand"]),
        (&json!(1), &json!(100))
    );
    assert_eq!(total_events(&catalog).await, 4_500);
    catalog.stop().await;
}

async fn total_events(catalog: &TestService) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM catalog_outbox")
        .fetch_one(&catalog.db())
        .await
        .unwrap()
}

#[tokio::test]
async fn bad_records_are_rejected_one_by_one() {
    let (catalog, operator, gateway) = start().await;
    let bad = [
        with(1, "sku", json!("")),
        with(2, "name", json!("a\u{0}b")),
        with(3, "description", json!("x".repeat(5_001))),
        with(4, "price", json!({"amount": 5, "currency": "EUR"})),
        with(5, "price", json!({"amount": -5, "currency": "GBP"})),
        with(6, "stock", json!(-1)),
        with(7, "stock", json!(1e300)),
        with(8, "created_at", json!("0000-01-01T00:00:00Z")),
        with(9, "created_at", json!("9999-12-31T23:59:59Z")),
        with(10, "created_at", json!("yesterday")),
        with(11, "source", json!("elsewhere")),
        with(12, "attributes", json!({"k": {"deep": 1}})),
        with(13, "attributes", json!({"k": "\u{0}"})),
        with(14, "id", json!("x")),
        with(15, "category", json!("///")),
        with(16, "category_name", json!(" ")),
        with(17, "brand", json!("\u{7}")),
        json!([]),
        json!(null),
        with(18, "sku", json!("S-100")),
    ];
    let mut records = vec![record(100), record(100)];
    records.extend(bad.clone());
    let summary = operator.bulk("/bulk/products", &records).await.expect(200);
    assert_eq!(counts(&summary), [22, 1, 1, bad.len() as u64], "{summary}");
    let lines: Vec<u64> = summary["rejected"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["line"].as_u64().unwrap())
        .collect();
    assert!((3..=22).all(|line| lines.contains(&line)), "{lines:?}");
    assert_eq!(gateway.get("/products").await.expect(200)["total"], 1);
    let taken = operator
        .bulk("/bulk/products", &[with(101, "sku", json!("S-100"))])
        .await
        .expect(200);
    assert!(
        taken["rejected"][0]["reason"]
            .as_str()
            .unwrap()
            .contains("belongs to another product")
    );
    for text in ["{", "not json", "\u{0}", "{\"id\":\"\\ud800\"}"] {
        let request = operator
            .request("POST", "/bulk/products")
            .body(format!("{text}\n"));
        assert_eq!(counts(&Reply::read(request).await.expect(200)), [1, 0, 0, 1]);
    }
    catalog.stop().await;
}

/// Letters of four bytes in words of the longest kind fill a record, and would fill more than a `tsvector` holds.
#[tokio::test]
async fn the_largest_record_loads_and_is_found() {
    let (catalog, operator, gateway) = start().await;
    let letter = |number: u32| char::from_u32(0x2_0000 + number).unwrap();
    let word = |number: u32| {
        let end: String = [letter(number % 200), letter(number / 200)].iter().collect();
        format!("{}{end}", letter(0).to_string().repeat(62))
    };
    let text = |words: std::ops::Range<u32>| words.map(word).collect::<Vec<_>>().join(" ");
    let attributes: serde_json::Map<String, Value> = (0..27_u32)
        .map(|n| (format!("k{n}"), text(n * 148..(n + 1) * 148).into()))
        .collect();
    let mut large = with(1, "attributes", json!(attributes));
    large["description"] = text(4_000..4_060).into();
    let bytes = large.to_string().len();
    assert!((1_000_000..1 << 20).contains(&bytes), "{bytes}");
    let summary = operator
        .bulk("/bulk/products", &[large, record(2)])
        .await
        .expect(200);
    assert_eq!(counts(&summary), [2, 2, 0, 0], "{summary}");
    assert_eq!(gateway.get("/products?q=light").await.expect(200)["total"], 2);
    catalog.stop().await;
}

#[tokio::test]
async fn a_stream_that_breaks_off_leaves_whole_transactions() {
    let (catalog, operator, gateway) = start().await;
    let lines: Vec<String> = (0..4_500).map(|n| record(n).to_string()).collect();
    let whole = lines.join("\n");
    // 2,000 records make a transaction, so this ends in the third one.
    let parts: [Result<String, std::io::Error>; 2] = [Ok(whole), Err(std::io::Error::other("gone"))];
    let body = futures::stream::iter(parts);
    let sent = operator
        .request("POST", "/bulk/products")
        .body(reqwest_body(body))
        .send()
        .await;
    drop(sent);
    let total = emporium_test_kit::eventually("two transactions are there", 10, async || {
        let total = gateway.get("/products?limit=1").await.expect(200)["total"]
            .as_i64()
            .unwrap();
        (total == 4_000).then_some(total)
    })
    .await;
    assert_eq!(total_events(&catalog).await, total);
    let records: Vec<Value> = (0..4_500).map(record).collect();
    let summary = operator.bulk("/bulk/products", &records).await.expect(200);
    assert_eq!(
        counts(&summary),
        [4_500, 500, 4_000, 0],
        "run again, it ends in the same state"
    );
    catalog.stop().await;
}

fn reqwest_body(
    parts: impl futures::Stream<Item = Result<String, std::io::Error>> + Send + 'static,
) -> reqwest::Body {
    reqwest::Body::wrap_stream(parts)
}

#[tokio::test]
async fn loads_at_the_same_time_do_not_get_in_each_others_way() {
    let (catalog, operator, gateway) = start().await;
    let ascending: Vec<Value> = (0..3_000).map(record).collect();
    let descending: Vec<Value> = (1_000..4_000).rev().map(record).collect();
    let create = |n: u32| {
        let product = json!({"sku": format!("A-{n}"), "name": "Lamp", "category": "lamps", "price": {"amount": 1, "currency": "GBP"}});
        let gateway = gateway.clone();
        async move { gateway.post("/products", product).await.expect(201) }
    };
    let (one, other, _) = tokio::join!(
        operator.bulk("/bulk/products", &ascending),
        operator.bulk("/bulk/products", &descending),
        futures::future::join_all((0..20).map(create))
    );
    let (one, other) = (counts(&one.expect(200)), counts(&other.expect(200)));
    assert_eq!(one[1] + other[1], 4_000);
    assert_eq!(gateway.get("/products?limit=1").await.expect(200)["total"], 4_020);
    let frequency: i64 = sqlx::query_scalar("SELECT frequency FROM catalog_search_term WHERE term = 'lamp'")
        .fetch_one(&catalog.db())
        .await
        .unwrap();
    assert_eq!(frequency, 4_020);
    catalog.stop().await;
}

#[tokio::test]
async fn adjustments_are_history_and_leave_the_stock_alone() {
    let (catalog, operator, gateway) = start().await;
    operator
        .bulk("/bulk/products", &[record(1), record(2)])
        .await
        .expect(200);
    let adjustment = |number: u128, product: u128, delta: i64, at: &str| json!({"id": id(number), "product_id": id(product), "delta": delta, "reason": "damaged", "at": at, "reference": "C536379"});
    let records = [
        adjustment(51, 1, -5, "2010-12-02T00:00:00Z"),
        adjustment(50, 1, 3, "2010-12-01T00:00:00Z"),
        adjustment(52, 9, 1, "2010-12-01T00:00:00Z"),
        adjustment(53, 2, 1_000_000_001, "2010-12-01T00:00:00Z"),
        adjustment(50, 1, 3, "2010-12-01T00:00:00Z"),
    ];
    let summary = operator
        .bulk("/bulk/stock-adjustments", &records)
        .await
        .expect(200);
    assert_eq!(counts(&summary), [5, 2, 1, 2], "{summary}");
    let again = operator
        .bulk("/bulk/stock-adjustments", &records[..2])
        .await
        .expect(200);
    assert_eq!(counts(&again), [2, 0, 2, 0]);
    let product = gateway.get(&format!("/products/{}", id(1))).await.expect(200);
    assert_eq!((&product["stock"], &product["version"]), (&json!(100), &json!(3)));
    let history = gateway.get("/events?after=2").await.expect(200);
    let told: Vec<_> = history["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            (
                item["event"]["data"]["delta"].clone(),
                item["event"]["aggregateversion"].clone(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [(json!(3), json!(2)), (json!(-5), json!(3))],
        "in the order in which they happened"
    );
    assert_eq!(history["items"][0]["event"]["time"], "2010-12-01T00:00:00Z");
    catalog.stop().await;
}
