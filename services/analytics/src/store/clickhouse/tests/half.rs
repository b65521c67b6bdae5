//! Blocks that are not whole, races between members, and comparing while events come.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clickhouse::Client;
use emporium_event_bus::CloudEvent;
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::{Currency, ServiceName};
use emporium_test_kit::projection::{Beside, deliver};
use emporium_test_kit::stores;
use futures::future::{join, join_all};
use uuid::Uuid;

use super::{ClickHouse, ClickHouseAnalytics, empty_database, opened};
use crate::model::{By, What};
use crate::store::AnalyticsStore;
use crate::store::clickhouse::schema::MIGRATIONS;
use crate::store::contract::NOON;
use crate::store::contract::history::{activity, order, order_event};

fn confirmed() -> CloudEvent {
    order_event(
        "confirmed",
        &order(None, NOON, "GB", &[(Uuid::new_v4(), 1, 100)]),
        NOON,
    )
}

async fn run(client: &Client, sql: &str) {
    client.query_raw(sql).execute().await.unwrap();
}

async fn count(client: &Client, table: &str) -> u64 {
    client
        .query_raw(&format!("SELECT count() FROM {table}"))
        .fetch_one()
        .await
        .unwrap()
}

async fn orders(store: &ClickHouseAnalytics) -> Option<i64> {
    let day = emporium_service_kit::days::Days {
        from: NOON.date(),
        to: NOON.date(),
    };
    store
        .revenue(day, Currency::GBP, By::Day, 5)
        .await
        .unwrap()
        .total
        .orders
}

/// A writer ends between the table and its views, or half-way through them: whoever writes next publishes the block, and nothing
/// counts twice.
#[tokio::test(flavor = "multi_thread")]
async fn half_a_block_is_published_by_whoever_writes_next() {
    let Some(server) = stores::clickhouse().await else {
        return;
    };
    let (client, url) = empty_database(&server.url).await;
    let (first, second) = (opened(&url).await, opened(&url).await);
    first.projection().apply(&[&confirmed()]).await.unwrap();
    // A view that throws: the table has the block then, some views may, and the writer is told of an error.
    run(
        &client,
        "CREATE TABLE switch (thrown Bool) ENGINE = MergeTree ORDER BY tuple()",
    )
    .await;
    run(&client, "INSERT INTO switch VALUES (true)").await;
    run(
        &client,
        "CREATE MATERIALIZED VIEW thrower TO analytics_claim AS
         SELECT build, identity AS id, true AS is_event, noted_at
         FROM analytics_event_published WHERE throwIf((SELECT max(thrown) FROM switch)) = 1",
    )
    .await;
    // The sums are written by a view too, which is away meanwhile: certainly not whole.
    run(&client, "DETACH TABLE analytics_figure_of_event").await;
    let half = confirmed();
    assert!(first.projection().apply(&[&half]).await.is_err());
    run(&client, "ATTACH TABLE analytics_figure_of_event").await;
    run(&client, "DROP TABLE thrower").await;
    assert_eq!(
        (count(&client, "analytics_event").await, orders(&second).await),
        (2, Some(1))
    );

    // Another member, which knows nothing of it, writes something else; then the event comes again to both.
    second.projection().apply(&[&confirmed()]).await.unwrap();
    assert_eq!(orders(&second).await, Some(3), "the half block is whole");
    for store in [&first, &second] {
        store.projection().apply(&[&half]).await.unwrap();
    }
    assert_eq!(
        (count(&client, "analytics_event").await, orders(&first).await),
        (3, Some(3))
    );
}

/// Members on the same server, each with a memory of its own: every block is one member's, every event counts once.
#[tokio::test(flavor = "multi_thread")]
async fn members_race_for_blocks() {
    let Some(server) = stores::clickhouse().await else {
        return;
    };
    let (client, url) = empty_database(&server.url).await;
    let stores: Vec<ClickHouseAnalytics> = join_all((0..3).map(|_| opened(&url))).await;
    let events: Vec<CloudEvent> = (0..60).map(|_| confirmed()).collect();
    let visits: Vec<_> = (0..60)
        .map(|_| activity(Uuid::new_v4(), None, NOON, What::Checkout))
        .collect();
    let member = async |store: &ClickHouseAnalytics, turn: usize| {
        let mut mine = events.clone();
        mine.rotate_left(turn * 20);
        let projection = store.projection();
        let mut recorded = 0;
        for (events, visits) in mine.chunks(4).zip(visits.chunks(4)) {
            deliver(&*projection, events).await;
            recorded += store.record(visits, 1_000).await.unwrap().recorded;
        }
        recorded
    };
    let recorded = join_all(stores.iter().enumerate().map(|(turn, store)| member(store, turn))).await;
    assert_eq!(recorded.iter().sum::<usize>(), 60, "{recorded:?}");
    assert_eq!(
        (count(&client, "analytics_event").await, orders(&stores[0]).await),
        (60, Some(60))
    );
    let numbers: (u64, u64) = client
        .query_raw("SELECT max(block), uniqExact(block, writer) FROM analytics_event")
        .fetch_one()
        .await
        .unwrap();
    assert_eq!(numbers.0, numbers.1, "one writer a block, no number left out");
    // Each order has a product of its own. What the losers of races sent is in no view.
    let sums: (u64, u64) = client
        .query_raw(
            "SELECT count(), toUInt64(max(sold)) FROM (SELECT product_id, sum(orders) AS sold FROM analytics_figure
             WHERE part = 'product' GROUP BY product_id)",
        )
        .fetch_one()
        .await
        .unwrap();
    assert_eq!(sums, (60, 1));
}

/// A busy shop: two members apply all the time, and a comparison comes about all the same, right, with nobody refused.
#[tokio::test(flavor = "multi_thread")]
async fn builds_are_compared_while_events_come() {
    let Some(server) = stores::clickhouse().await else {
        return;
    };
    let (client, url) = empty_database(&server.url).await;
    let (first, second) = (opened(&url).await, opened(&url).await);
    let projection = first.projection();
    let beside = Beside::begin(&*projection, &["/orders"]).await;
    let done = AtomicBool::new(false);
    let feed = async |store: &ClickHouseAnalytics| {
        let projection: Arc<dyn emporium_event_bus::Consumer> = store.projection();
        let mut applied = 0;
        while !done.load(Ordering::SeqCst) {
            projection.apply(&[&confirmed(), &confirmed()]).await.unwrap();
            applied += 2;
        }
        applied
    };
    let compare = async {
        let mut compared = 0;
        for _ in 0..40 {
            if let Some(comparison) = beside.compare().await {
                assert!(comparison.equal(), "{:#?}", comparison.differences);
                compared += i32::from(comparison.tables[0].rows_live > 0);
            }
            if compared == 1 {
                break;
            }
        }
        done.store(true, Ordering::SeqCst);
        compared
    };
    let ((one, other), compared) = join(join(feed(&first), feed(&second)), compare).await;
    assert_eq!(compared, 1, "it comes to an answer");
    let held: u64 = client
        .query_raw("SELECT countIf(kind = 'hold') FROM analytics_event")
        .fetch_one()
        .await
        .unwrap();
    assert!(held > 0, "nobody stood still, so they were held");
    assert_eq!(orders(&first).await, Some(one + other));
    beside.are_equal("at the end").await;
}

/// Two that start at once on an empty database make the same tables; one that comes later has nothing to do.
#[tokio::test(flavor = "multi_thread")]
async fn members_migrate_at_the_same_time() {
    let Some(server) = stores::clickhouse().await else {
        return;
    };
    let (client, url) = empty_database(&server.url).await;
    let connect = || ClickHouse::connect(&url, Metrics::new(ServiceName::Analytics));
    let servers = [
        connect().await.unwrap(),
        connect().await.unwrap(),
        connect().await.unwrap(),
    ];
    for migrated in join_all(servers.iter().map(ClickHouseAnalytics::migrate)).await {
        assert_eq!(migrated.unwrap(), None);
    }
    assert_eq!(
        count(&client, "analytics_migration").await,
        MIGRATIONS.len() as u64
    );
    run(&client, "INSERT INTO analytics_migration (version) VALUES (99)").await;
    assert_eq!(ClickHouseAnalytics::migrate(&servers[0]).await.unwrap(), Some(99));
}
