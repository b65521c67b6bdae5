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
use crate::scoring::BASKETS_MAX;
use crate::store::RecommendationStore;
use crate::store::contract::history::{order, product};
use crate::store::contract::outages::Own;

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

/// Rows that the service's tables gave since the beginning. With one connection, which tells its counts at once.
async fn rows_read(db: &Db) -> i64 {
    for sql in [
        "SELECT pg_stat_force_next_flush()",
        "SELECT pg_stat_clear_snapshot()",
    ] {
        sqlx::query(sql).execute(db).await.unwrap();
    }
    sqlx::query_scalar(
        "SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::bigint FROM pg_stat_user_tables
         WHERE relname ~ '^recommendations_(basket|purchase|good|return)_g'",
    )
    .fetch_one(db)
    .await
    .unwrap()
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
        assert_eq!(usize::try_from(together).unwrap(), BASKETS_MAX);
        // Each of the newest once by the good and once by the order, the candidates, and some.
        read("also bought", 2 * newest + 50).await;
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
