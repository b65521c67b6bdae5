//! Fresh stores for the contract suite, and what is PostgreSQL's own: how much a query reads.

use std::sync::Arc;

use emporium_event_bus::CloudEvent;
use emporium_service_kit::days::Days;
use emporium_service_kit::{Currency, Db, ServiceName};
use emporium_test_kit::{OwnPostgres, TestPostgres, connect};
use time::macros::{date, datetime};
use time::{Date, Duration};
use uuid::Uuid;

use super::PostgresAnalytics;
use crate::model::{By, Rank, TOTALS_ROWS_MAX, What};
use crate::store::contract::history::{activity, order, order_event};
use crate::store::contract::outages::Own;
use crate::store::{AnalyticsStore, Ranking};

async fn opened(db: Db) -> Arc<dyn AnalyticsStore> {
    PostgresAnalytics::migrate(&db).await.unwrap();
    Arc::new(PostgresAnalytics::open(db).await.unwrap())
}

/// A store in a database of its own.
pub async fn fresh() -> Option<Arc<dyn AnalyticsStore>> {
    let database = TestPostgres::get().await.empty_database().await;
    Some(opened(connect(&database.url, ServiceName::Analytics, 8)).await)
}

/// A store on a server of its own.
pub async fn own() -> Option<Own> {
    let server = OwnPostgres::start().await;
    // As many connections as the pause has calls.
    let store = opened(connect(&server.url, ServiceName::Analytics, 14)).await;
    Some(Own {
        store,
        server: Box::new(server),
    })
}

const FIRST: Date = date!(2024 - 01 - 01);
const DAYS: i64 = 500;
const ORDERS_A_DAY: i64 = 12;

/// A shop of 500 days, with twelve orders and twelve visitors each, from 400 products and 300 customers.
async fn grown(store: &Arc<dyn AnalyticsStore>) {
    let products: Vec<Uuid> = (0..400).map(|_| Uuid::new_v4()).collect();
    let customers: Vec<Uuid> = (0..300).map(|_| Uuid::new_v4()).collect();
    let mut events = Vec::new();
    for n in 0..DAYS * ORDERS_A_DAY {
        let at = datetime!(2024-01-01 06:00 UTC) + Duration::hours(2 * n);
        let place = usize::try_from(n).unwrap();
        let lines = [3, 7, 11].map(|step| (products[place * step % 400], 1, 100));
        let customer = customers[place * 13 % 300];
        let order = order(Some(customer), at, ["GB", "FR", "DE"][place % 3], &lines);
        events.push(order_event("confirmed", &order, at));
        if place.is_multiple_of(100) {
            let items = [activity(Uuid::new_v4(), Some(customer), at, What::Checkout)];
            store.record(&items, 1_000).await.unwrap();
        }
    }
    for batch in events.chunks(1_000) {
        let batch: Vec<&CloudEvent> = batch.iter().collect();
        store.projection().apply(&batch).await.unwrap();
    }
}

/// Rows that the service's tables have given.
async fn rows_read(db: &Db) -> i64 {
    emporium_test_kit::postgres::rows_read(db, "^analytics_").await
}

/// What is asked about a week reads a week, however old the shop is: neither other days, nor the other generation.
#[tokio::test]
async fn queries_read_what_they_are_about() {
    let database = TestPostgres::get().await.empty_database().await;
    let db = connect(&database.url, ServiceName::Analytics, 1);
    let store = opened(db.clone()).await;
    grown(&store).await;
    sqlx::query("ANALYZE").execute(&db).await.unwrap();
    let week = Days {
        from: FIRST + Duration::days(300),
        to: FIRST + Duration::days(306),
    };
    let orders = 7 * ORDERS_A_DAY;
    let mut before = rows_read(&db).await;
    let mut read = async |what: &str, rows_max: i64| {
        let now = rows_read(&db).await;
        assert!(now - before <= rows_max, "{what} read {} rows", now - before);
        println!("{what}: {} rows", now - before);
        before = now;
    };
    for by in [By::Day, By::Country] {
        store.revenue(week, Currency::GBP, by, 50).await.unwrap();
        read(&format!("{by:?}"), 7 * 3 + 20).await;
    }
    store
        .revenue(week, Currency::GBP, By::Category, 50)
        .await
        .unwrap();
    read("category", 3 * orders + 60).await;
    let ranking = Ranking {
        days: week,
        currency: Currency::GBP,
        rank: Rank::Units,
        category: None,
        limit: 10,
    };
    store.top_products(&ranking).await.unwrap();
    read("products", 3 * orders + 60).await;
    store.funnel(week).await.unwrap();
    read("funnel", orders + DAYS * ORDERS_A_DAY / 100 + 20).await;
    store.baskets(week, Currency::GBP).await.unwrap();
    read("baskets", orders + 20).await;
    store
        .live(week.start() + Duration::hours(7), Currency::GBP)
        .await
        .unwrap();
    read("live", 60 + 20).await;
    store.totals(week).await.unwrap();
    read("totals", 7 * 3 + 60).await;
    store.empty_searches(week, 10).await.unwrap();
    read("searches", 20).await;
    // These two look at customers' whole lives: each order, or customer's month, once.
    store.repeat(week).await.unwrap();
    read("repeat", DAYS * ORDERS_A_DAY + 60).await;
    store.cohorts(week).await.unwrap();
    read("cohorts", DAYS * ORDERS_A_DAY + 60).await;
}

/// An answer that would be too long is none; so much as it may have, it has.
#[tokio::test]
async fn totals_are_bounded() {
    let database = TestPostgres::get().await.empty_database().await;
    let db = connect(&database.url, ServiceName::Analytics, 2);
    let store = opened(db.clone()).await;
    let add = async |first: i32, last: i32| {
        sqlx::query(
            "INSERT INTO analytics_sales_day (generation, day, country, currency, orders)
             SELECT 0, '2024-03-01', n::text, 'GBP', 1 FROM generate_series($1, $2) AS n",
        )
        .bind(first)
        .bind(last)
        .execute(&db)
        .await
        .unwrap();
    };
    let range = Days {
        from: FIRST,
        to: FIRST + Duration::days(365),
    };
    add(1, 20_000).await;
    assert_eq!(
        store.totals(range).await.unwrap().unwrap().orders.len(),
        TOTALS_ROWS_MAX
    );
    add(20_001, 20_001).await;
    assert!(store.totals(range).await.unwrap().is_none());
    let revenue = store
        .revenue(range, Currency::GBP, By::Country, 200)
        .await
        .unwrap();
    assert_eq!(
        (revenue.items.len(), revenue.others.unwrap().orders),
        (200, Some(19_801))
    );
}
