//! What the statements cost.

use std::time::{Duration, Instant};

use emporium_event_bus::CloudEvent;
use emporium_service_kit::ServiceName;
use emporium_test_kit::{TestPostgres, connect, event};
use serde_json::json;
use time::macros::datetime;
use uuid::Uuid;

use super::plans::{PRODUCTS, fill, numbered, pages};
use super::{on, opinion};
use crate::attributes::AttributeFilter;
use crate::listing::ProductReviews;
use crate::store::Draft;
use crate::store::contract::Bench;

/// What a batch of orders, a page and a change cost, by hand:
///
/// ```text
/// cargo test --release -p emporium-reviews --lib -- --ignored --nocapture what_things_cost
/// ```
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn what_things_cost() {
    let database = TestPostgres::get().await.empty_database().await;
    let db = connect(&database.url, ServiceName::Reviews, 4);
    let Bench { store, .. } = on(db.clone()).await;
    fill(&db).await;
    let print = |what: &str, mut times: Vec<Duration>| {
        times.sort_unstable();
        let at = |share: usize| times[(times.len() - 1) * share / 100];
        println!(
            "{what}: p50 {:?}, p99 {:?}, {} times",
            at(50),
            at(99),
            times.len()
        );
    };
    let mut batches = Vec::new();
    for _ in 0..20 {
        let orders: Vec<_> = (0..1_000).map(|n| order_of(n, 3)).collect();
        let events: Vec<_> = orders.iter().collect();
        let started = Instant::now();
        store.projection().apply(&events).await.unwrap();
        batches.push(started.elapsed());
    }
    print("1,000 orders of 3 lines", batches);
    let mut lists = Vec::new();
    for _ in 0..50 {
        for page in pages() {
            let started = Instant::now();
            store.of_product(&page).await.unwrap();
            lists.push(started.elapsed());
        }
    }
    print("a page of 20 of 60,000 reviews", lists);
    let (mut many, mut none) = (Vec::new(), Vec::new());
    for _ in 0..50 {
        for (text, times) in [("pros:p3", &mut many), ("size:none", &mut none)] {
            let attributes = AttributeFilter::read_all(&[text.to_owned()]).unwrap();
            let page = ProductReviews {
                attributes,
                verified: Some(true),
                ..pages().swap_remove(0)
            };
            let started = Instant::now();
            store.of_product(&page).await.unwrap();
            times.push(started.elapsed());
        }
    }
    print("a page of verified ones with an attribute that many have", many);
    print("a page of verified ones with an attribute that none has", none);
    let mut posts = Vec::new();
    for n in 0..500 {
        let draft = Draft {
            product_id: numbered(1, n % PRODUCTS),
            author_id: Uuid::new_v4(),
            author_name: None,
            opinion: opinion(3),
        };
        let started = Instant::now();
        store.post(&draft).await.unwrap();
        posts.push(started.elapsed());
    }
    print("a review posted", posts);
}

/// A confirmed order of so many lines, mostly of customers who have reviewed something.
fn order_of(n: u32, lines: u32) -> CloudEvent {
    let line = |line: u32| json!({"product_id": numbered(1, (n * 7 + line) % PRODUCTS), "quantity": 1});
    let lines: Vec<_> = (0..lines).map(line).collect();
    let data = json!({"order_id": Uuid::now_v7(), "customer_id": numbered(2, n * 50), "lines": lines});
    event("order.confirmed.v1", datetime!(2025-01-01 0:00 UTC), &data)
}
