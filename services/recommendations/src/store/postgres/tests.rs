//! Fresh stores for the contract suite, and what is PostgreSQL's own: how much a shelf reads.

use std::sync::Arc;

use emporium_event_bus::CloudEvent;
use emporium_service_kit::{Clock, Db, ServiceName};
use emporium_test_kit::{OwnPostgres, TestPostgres, connect};
use time::Duration;
use time::macros::datetime;
use uuid::Uuid;

use super::PostgresRecommendations;
use crate::model::Scope;
use crate::scoring::{ALSO_BOUGHT_BASKETS_MAX, BASKETS_MAX};
use crate::store::contract::history::{order, product};
use crate::store::contract::outages::Own;
use crate::store::{RecommendationStore, Subject};

async fn opened(db: Db) -> Arc<dyn RecommendationStore> {
    PostgresRecommendations::migrate(&db).await.unwrap();
    // After all that tests order, but for what is meant to be of the future.
    let clock = Clock::manual(datetime!(2030-01-01 0:00 UTC));
    Arc::new(PostgresRecommendations::open(db, clock).await.unwrap())
}

/// A store in a database of its own.
pub async fn fresh() -> Option<Arc<dyn RecommendationStore>> {
    let database = TestPostgres::get().await.empty_database().await;
    Some(opened(connect(&database.url, ServiceName::Recommendations, 8)).await)
}

/// A store on a server of its own.
pub async fn own() -> Option<Own> {
    let server = OwnPostgres::start().await;
    // As many connections as the pause has calls.
    let store = opened(connect(&server.url, ServiceName::Recommendations, 14)).await;
    Some(Own {
        store,
        server: Box::new(server),
    })
}

/// Rows that the service's tables have given.
async fn rows_read(db: &Db) -> i64 {
    emporium_test_kit::postgres::rows_read(db, "^recommendations_(basket|purchase|good|return)_g").await
}

/// Orders of the same good, each with one of others; every hundredth is the customer's.
async fn sell(
    store: &Arc<dyn RecommendationStore>,
    best_seller: Uuid,
    others: &[Uuid],
    customer: Uuid,
    from: usize,
    to: usize,
) {
    let begin = datetime!(2029-01-01 0:00 UTC);
    let events: Vec<CloudEvent> = (from..to)
        .map(|n| {
            let at = begin + Duration::minutes(i64::try_from(n).unwrap());
            let customer = if n % 100 == 0 { Some(customer) } else { None };
            order(customer, at, &[best_seller, others[n % others.len()]])
        })
        .collect();
    for batch in events.chunks(1_000) {
        store
            .projection()
            .apply(&batch.iter().collect::<Vec<_>>())
            .await
            .unwrap();
    }
}

/// A shelf of a good that is in every order reads its newest baskets and no others, however many there are.
#[tokio::test]
async fn shelves_read_a_bounded_number_of_rows() {
    let database = TestPostgres::get().await.empty_database().await;
    let db = connect(&database.url, ServiceName::Recommendations, 1);
    let store = opened(db.clone()).await;
    let (best_seller, customer) = (Uuid::now_v7(), Uuid::now_v7());
    let others: Vec<Uuid> = (0..40).map(|_| Uuid::now_v7()).collect();
    let products: Vec<CloudEvent> = others.iter().map(|good| product(*good, 1, true)).collect();
    store
        .projection()
        .apply(&products.iter().collect::<Vec<_>>())
        .await
        .unwrap();
    let newest = i64::try_from(BASKETS_MAX).unwrap();
    let mut sold = 0;
    for orders in [4_000, 16_000] {
        sell(&store, best_seller, &others, customer, sold, orders).await;
        sold = orders;
        sqlx::query("ANALYZE").execute(&db).await.unwrap();
        let mut before = rows_read(&db).await;
        let mut read = async |what: &str, rows_max: i64| {
            let now = rows_read(&db).await;
            println!("{orders} orders, {what}: {} rows", now - before);
            assert!(
                now - before <= rows_max,
                "{what} read {} rows of {orders} orders",
                now - before
            );
            before = now;
        };
        let found = store.also_bought(best_seller, 50).await.unwrap();
        assert_eq!(found.items.len(), 40);
        let together: u32 = found.items.iter().filter_map(|item| item.together).sum();
        assert_eq!(usize::try_from(together).unwrap(), ALSO_BOUGHT_BASKETS_MAX);
        // Each of the newest once by the good and once by the order, the candidates, and some.
        read(
            "also bought",
            2 * i64::try_from(ALSO_BOUGHT_BASKETS_MAX).unwrap() + 50,
        )
        .await;
        store
            .bought_together(&[best_seller, others[0]], 50)
            .await
            .unwrap();
        read("bought together", 2 * 2 * newest + 100).await;
        store.for_you(customer, Scope::New, 10).await.unwrap();
        // The customer's own orders are a hundredth of all; each of the others' goods is an anchor with some hundred baskets.
        let own = i64::try_from(orders / 100).unwrap();
        read(
            "for you",
            2 * own + 2 * (newest + 2 * i64::try_from(orders / 40).unwrap()) + 300,
        )
        .await;
        store.buy_again(customer, 10).await.unwrap();
        // Once for what they have, once for the stamp.
        read("buy again", 2 * own + 100).await;
        store.popular(10).await.unwrap();
        read("popular", 50).await;
    }
}

/// What a rebuild has left in the other generation costs nothing: of both, no shelf reads more than of one.
#[tokio::test]
async fn shelves_read_nothing_of_the_other_generation() {
    let database = TestPostgres::get().await.empty_database().await;
    let db = connect(&database.url, ServiceName::Recommendations, 1);
    let store = opened(db.clone()).await;
    let (best_seller, customer, other) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
    let products: Vec<CloudEvent> = [best_seller, other]
        .iter()
        .map(|good| product(*good, 1, true))
        .collect();
    let products: Vec<&CloudEvent> = products.iter().collect();
    store.projection().apply(&products).await.unwrap();
    sell(&store, best_seller, &[other], customer, 0, 3_000).await;
    let shelves = async || {
        let before = rows_read(&db).await;
        store.also_bought(best_seller, 10).await.unwrap();
        store.for_you(customer, Scope::New, 10).await.unwrap();
        store.buy_again(customer, 10).await.unwrap();
        store.popular(10).await.unwrap();
        rows_read(&db).await - before
    };
    sqlx::query("ANALYZE").execute(&db).await.unwrap();
    let alone = shelves().await;
    for (table, generated) in [
        ("basket", ""),
        ("purchase", ""),
        ("good", "ALTER TABLE copied DROP week_step, DROP baskets_step;"),
        ("return", ""),
    ] {
        // By place: generated columns are the last ones.
        let sql = format!(
            "CREATE TEMP TABLE copied AS SELECT * FROM recommendations_{table}_g0; {generated}
             UPDATE copied SET generation = 1; INSERT INTO recommendations_{table}_g1 SELECT * FROM copied; DROP TABLE copied"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
            .execute(&db)
            .await
            .unwrap();
    }
    sqlx::query("ANALYZE").execute(&db).await.unwrap();
    let beside = shelves().await;
    // A page of a catalog more or less; the other generation has three thousand orders.
    assert!(
        beside <= alone + 50,
        "{beside} rows beside a full generation, {alone} without"
    );
}

/// `popular` reads little more than it shows, of goods that sell and of those that did; and it shows what sorting all of them
/// would.
#[tokio::test]
async fn popular_reads_a_bounded_number_of_rows() {
    let database = TestPostgres::get().await.empty_database().await;
    let db = connect(&database.url, ServiceName::Recommendations, 1);
    let store = opened(db.clone()).await;
    let goods: Vec<Uuid> = (0..2_000).map(|_| Uuid::now_v7()).collect();
    // In another order than that of their ids, which decide between equals.
    for goods in [&goods[25..], &goods[..25]] {
        let products: Vec<CloudEvent> = goods.iter().map(|good| product(*good, 1, true)).collect();
        let products: Vec<&CloudEvent> = products.iter().collect();
        store.projection().apply(&products).await.unwrap();
    }
    // The first ten are in all orders, the next ten in half of them, and so on.
    let orders = (1..=120).map(|n| {
        let at = datetime!(2014-01-01 0:00 UTC) + Duration::minutes(i64::from(n));
        let bought = goods.chunks(10).zip(1..).filter(|(_, nth)| n % nth == 0);
        order(None, at, &bought.map(|(ten, _)| ten).collect::<Vec<_>>().concat())
    });
    let orders: Vec<CloudEvent> = orders.collect();
    store
        .projection()
        .apply(&orders.iter().collect::<Vec<_>>())
        .await
        .unwrap();
    let check = async |goods: &[Uuid], rows_max: i64| {
        sqlx::query("ANALYZE").execute(&db).await.unwrap();
        let before = rows_read(&db).await;
        let found = store.popular(goods.len()).await.unwrap();
        let read = rows_read(&db).await - before;
        assert!(read <= rows_max, "{read} rows of 2,000 for {}", goods.len());
        let found: Vec<Uuid> = found.items.iter().map(|item| item.product_id).collect();
        assert_eq!(found, goods);
    };
    // Those of an order have the same numbers; so the id decides, which goes up.
    check(&goods[..10], 20).await;
    check(&goods[..25], 40).await;
    let last = goods[1_999];
    let live = order(None, datetime!(2029-01-01 0:00 UTC), &[last]);
    store.projection().apply(&[&live]).await.unwrap();
    check(&[&[last], &goods[..24]].concat(), 50).await;
}

/// What finds popular goods changes seldom: rows of goods that sell stay in their pages.
#[tokio::test]
async fn orders_keep_goods_in_their_pages() {
    let database = TestPostgres::get().await.empty_database().await;
    let db = connect(&database.url, ServiceName::Recommendations, 1);
    let store = opened(db.clone()).await;
    let (good, customer) = (Uuid::now_v7(), Uuid::now_v7());
    sell(&store, good, &[good], customer, 0, 1_000).await;
    let updates = async || -> (i64, i64) {
        rows_read(&db).await;
        let sql = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'recommendations_good_g0'";
        sqlx::query_as(sql).fetch_one(&db).await.unwrap()
    };
    let before = updates().await;
    for n in 1_000..1_200 {
        sell(&store, good, &[good], customer, n, n + 1).await;
    }
    let after = updates().await;
    let (all, in_page) = (after.0 - before.0, after.1 - before.1);
    println!("{in_page} of {all} in their page");
    assert_eq!(all, 200);
    assert!(in_page >= 180, "{in_page} of {all}");
}

/// Orders of an era that has not begun stand before others in the index, and not on the shelf.
#[tokio::test]
async fn orders_of_a_time_to_come_hide_nothing() {
    let store = fresh().await.unwrap();
    let goods: Vec<Uuid> = (0..12).map(|_| Uuid::now_v7()).collect();
    let mut events: Vec<CloudEvent> = goods.iter().map(|good| product(*good, 1, true)).collect();
    // Of the first seven, the beginning of a future era; the eighth is bought most, the others twice.
    let future = datetime!(1970-01-01 0:00 UTC) + Duration::weeks(16 * 400);
    let now = datetime!(2029-01-01 0:00 UTC);
    events.extend(goods[..7].iter().map(|good| order(None, future, &[*good])));
    events.extend((0..3).map(|_| order(None, now, &[goods[7]])));
    events.extend((0..2).map(|_| order(None, now, &goods[8..])));
    store
        .projection()
        .apply(&events.iter().collect::<Vec<_>>())
        .await
        .unwrap();
    let expected = [&goods[7..], &goods[..7]].concat();
    for limit in 1..=12 {
        let found = store.popular(limit).await.unwrap();
        let found: Vec<Uuid> = found.items.iter().map(|item| item.product_id).collect();
        assert_eq!(found, expected[..limit]);
    }
}

/// A generation that is built twice between two looks has the same number and is another one.
#[tokio::test]
async fn stamps_know_that_a_generation_was_built_again() {
    let database = TestPostgres::get().await.empty_database().await;
    let db = connect(&database.url, ServiceName::Recommendations, 1);
    let store = opened(db.clone()).await;
    let stamp = async || store.stamp(Subject::Everybody, &[]).await.unwrap().unwrap();
    let first = stamp().await;
    assert_eq!(stamp().await, first);
    for second in 1..=2 {
        let sql = "UPDATE recommendations_projections SET live = 1 - live, live_since = to_timestamp($1)";
        sqlx::query(sql)
            .bind(f64::from(second))
            .execute(&db)
            .await
            .unwrap();
    }
    assert_ne!(stamp().await, first, "generation 0 again, but another one");
}
