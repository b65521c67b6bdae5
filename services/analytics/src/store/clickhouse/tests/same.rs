//! The same content as on PostgreSQL, whatever the layout.

use emporium_event_bus::CloudEvent;
use emporium_test_kit::projection::{Beside, deliveries};
use emporium_test_kit::stores;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::{empty_database, opened};
use crate::store::AnalyticsStore;
use crate::store::contract::history::{HISTORIES, random};
use crate::store::postgres;

/// Histories that are applied to both.
const MANY: u16 = 12;

/// The same events, in other orders and batches, give the digests that PostgreSQL has, of each table of each generation.
#[tokio::test(flavor = "multi_thread")]
async fn digests_are_those_of_postgres() {
    let Some(server) = stores::clickhouse().await else {
        return;
    };
    let (_, url) = empty_database(&server.url).await;
    let here = opened(&url).await;
    let there = postgres::tests::fresh().await.unwrap();
    let seed = emporium_test_kit::seed();
    let mut rng = StdRng::seed_from_u64(seed);
    let events: Vec<CloudEvent> = (0..MANY)
        .flat_map(|number| random(seed, HISTORIES - 1 - number * 60).events)
        .collect();
    let mut digests = Vec::new();
    let stores: [&dyn AnalyticsStore; 2] = [&here, &*there];
    for store in stores {
        let projection = store.projection();
        let beside = Beside::begin(&*projection, &["/orders"]).await;
        for batch in deliveries(&events, &mut rng) {
            beside.fill("/orders", &batch).await;
        }
        for batch in deliveries(&events, &mut rng) {
            projection.apply(&batch).await.unwrap();
        }
        digests.push(beside.are_equal("all").await.tables);
    }
    assert_eq!(digests[0].len(), 8);
    for table in &digests[1] {
        assert!(table.rows_live > 10, "{} tells nothing: {table:?}", table.table);
    }
    assert_eq!(digests[0], digests[1]);
}

/// What differs is told by rows, in PostgreSQL's words.
#[tokio::test(flavor = "multi_thread")]
async fn differences_are_told_by_rows() {
    let Some(server) = stores::clickhouse().await else {
        return;
    };
    let (client, url) = empty_database(&server.url).await;
    let store = opened(&url).await;
    let projection = store.projection();
    let history = random(7, 300);
    let events: Vec<&CloudEvent> = history.events.iter().collect();
    let beside = Beside::begin(&*projection, &["/orders"]).await;
    projection.apply(&events).await.unwrap();
    beside.are_equal("before").await;
    // Somebody has changed a product by hand.
    client
        .query_raw("INSERT INTO analytics_product SELECT build, product_id, version + 1, sku, 'other', category, brand
                    FROM analytics_product WHERE build = 0 LIMIT 1")
        .execute()
        .await
        .unwrap();
    let comparison = beside.compare().await.unwrap();
    let differs: Vec<&str> = (comparison.tables.iter())
        .filter(|table| !table.equal)
        .map(|table| table.table.as_str())
        .collect();
    assert_eq!(differs, ["analytics_product"]);
    assert_eq!(comparison.differences.len(), 1, "{:?}", comparison.differences);
    assert!(
        comparison.differences[0].contains("other"),
        "{:?}",
        comparison.differences
    );
}
