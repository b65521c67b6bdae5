//! The projection has the same content here as in PostgreSQL.

use emporium_event_bus::CloudEvent;
use emporium_service_kit::{Clock, ServiceName};
use emporium_test_kit::projection::{Beside, deliveries};
use emporium_test_kit::{TestPostgres, connect, seed, stores};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use uuid::Uuid;

use crate::store::ReviewStore;

/// A random history of orders, users and reviews, which few customers and products share.
fn history(rng: &mut StdRng) -> Vec<CloudEvent> {
    let at = Clock::System.now() - time::Duration::days(1);
    let some = |rng: &mut StdRng, count: u32| -> Vec<Uuid> {
        (0..count).map(|_| Uuid::from_u128(rng.random())).collect()
    };
    let (customers, products) = (some(rng, 6), some(rng, 5));
    let mut events = Vec::new();
    for n in 0..160_i64 {
        let customer = customers[rng.random_range(0..customers.len())];
        let product = products[rng.random_range(0..products.len())];
        let (kind, data) = match rng.random_range(0..5) {
            0 | 1 => {
                let kind = if rng.random_bool(0.6) {
                    "order.confirmed.v1"
                } else {
                    "order.refunded.v1"
                };
                let line = json!({"product_id": product, "quantity": rng.random_range(1..4)});
                let customer = rng.random_bool(0.9).then_some(customer);
                (
                    kind,
                    json!({"order_id": Uuid::now_v7(), "customer_id": customer, "lines": [line]}),
                )
            }
            2 => {
                let name = format!("Zoë \u{1F600} {n}");
                let data =
                    json!({"id": customer, "name": name, "active": rng.random_bool(0.8), "version": n + 1});
                ("user.updated.v1", data)
            }
            _ => {
                let state = if rng.random_bool(0.7) { "visible" } else { "hidden" };
                let data = json!({"review_id": Uuid::now_v7(), "product_id": product, "author_id": customer,
                    "rating": rng.random_range(1..=5), "state": state, "version": n + 1});
                ("review.changed.v1", data)
            }
        };
        events.push(emporium_test_kit::event(
            kind,
            at + time::Duration::seconds(n),
            &data,
        ));
    }
    events
}

/// Delivers the history in a random order and repetition, rebuilds, and gives the tables with their digests.
async fn digests(
    store: &dyn ReviewStore,
    events: &[CloudEvent],
    rng: &mut StdRng,
) -> Vec<(String, i64, String)> {
    let projection = store.projection();
    for batch in deliveries(events, rng) {
        projection.apply(&batch).await.unwrap();
    }
    let beside = Beside::begin(&*projection, &["/orders"]).await;
    for batch in deliveries(events, rng) {
        beside.fill("/orders", &batch).await;
    }
    let comparison = beside.are_equal("built from the same events").await;
    let tables = comparison.tables.clone();
    beside.switch(&comparison).await;
    let digest = |table: emporium_event_bus::projection::Compared| {
        (table.table, table.rows_rebuilt, table.digest_rebuilt.unwrap())
    };
    tables.into_iter().map(digest).collect()
}

/// The same random history gives the same digests on both, whatever the order in which it comes.
#[tokio::test(flavor = "multi_thread")]
async fn digests_are_those_of_postgresql() {
    let Some(server) = stores::mongodb().await else {
        return;
    };
    let seed = seed();
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let events = history(&mut rng);
    let (mongo, _) = super::on(&server.url).await;
    let database = TestPostgres::get().await.empty_database().await;
    let db = connect(&database.url, ServiceName::Reviews, 4);
    let postgres = crate::store::postgres::tests::on(db).await.store;
    let here = digests(&mongo, &events, &mut rng).await;
    let there = digests(&*postgres, &events, &mut rng).await;
    assert_eq!(here, there);
    assert!(here.iter().all(|(_, rows, _)| *rows > 2), "{here:?}");
}
