//! The search index against the truth, after everything that changes it happened at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use emporium_event_bus::Consumer;
use emporium_event_bus::event::CloudEvent;
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::{Currency, Money, ServiceName};
use emporium_test_kit::eventually;
use emporium_test_kit::service::bus_database;
use futures::future::join_all;
use serde_json::json;
use uuid::Uuid;

use super::{manual, product, request, store};
use crate::error::Error;
use crate::model::{ProductPatch, StockChange};
use crate::store::bulk::ProductRecord;
use crate::store::sales::{GROUP, SalesCounter};
use crate::store::{Store, recount};

fn sale(products: &[Uuid]) -> CloudEvent {
    let id = Uuid::new_v4();
    let lines: Vec<_> = products
        .iter()
        .map(|id| json!({"product_id": id, "quantity": 2}))
        .collect();
    serde_json::from_value(json!({
        "specversion": "1.0", "id": id, "source": "/orders", "type": "order.confirmed.v1", "subject": id.to_string(),
        "time": "2025-01-01T00:00:00Z", "datacontenttype": "application/json", "aggregateversion": 3,
        "data": {"lines": lines}
    }))
    .unwrap()
}

fn record(number: u128) -> ProductRecord {
    serde_json::from_value(json!({
        "id": Uuid::from_u128((0x0190 << 112) + number), "sku": format!("B-{number}"), "name": format!("Bulk lamp {}", number % 7),
        "category": format!("shelf-{}", number % 3), "category_name": "Shelf", "brand": format!("Maker {}", number % 4),
        "price": {"amount": number * 700, "currency": "GBP"}, "source": "seed", "stock": number % 2,
        "created_at": "2020-02-03T04:05:06Z"
    }))
    .unwrap()
}

/// One of the things that happen to a product; being refused is fine.
async fn happen(store: &Store, ids: &[Uuid], n: usize) -> Result<(), Error> {
    let id = ids[(n * 7) % ids.len()];
    let change = |delta| StockChange { delta, reason: None };
    let number = i64::try_from(n).unwrap();
    match n % 8 {
        0 | 1 => {
            let patch = ProductPatch {
                name: Some(format!("Name {} of {}", n % 5, n % 3)),
                category: Some(format!("Shelf {}", n % 4)),
                brand: Some((!n.is_multiple_of(3)).then(|| format!("Maker {}", n % 4))),
                price: Some(Money::new(number * 300, Currency::GBP)),
                ..ProductPatch::default()
            };
            store.patch(id, &patch).await.map(drop)
        }
        2 => store.change_stock(id, &change(1), None).await.map(drop),
        3 => store.change_stock(id, &change(-1), None).await.map(drop),
        4 => {
            let saga = Uuid::new_v4();
            store.hold(saga, &request(store, &[(id, 1)], 5)).await?;
            store.release(saga, false).await
        }
        5 => {
            let saga = Uuid::new_v4();
            store.hold(saga, &request(store, &[(id, 1)], 5)).await?;
            store.commit(saga).await.map(drop)
        }
        6 => {
            let sold = sale(&[id, ids[n % ids.len()]]);
            SalesCounter(store.clone()).apply(&[&sold]).await.unwrap();
            Ok(())
        }
        _ if n.is_multiple_of(5) => store.archive(id).await.map(drop),
        _ => {
            let records = (0..9).map(|k| (k, record(u128::from(k) + n as u128))).collect();
            store.load_products(records).await.map(drop)
        }
    }
}

/// Numbers of rows in which the index and what it is made of differ, by what they are about.
async fn differences(store: &Store) -> (i64, i64, i64) {
    let entries = "SELECT count(*) FROM (
          SELECT p.id, p.name, p.category, p.brand, p.price, s.on_hand > s.reserved AS in_stock, s.popularity
          FROM catalog_product AS p JOIN catalog_stock AS s ON s.product_id = p.id WHERE NOT s.archived
        ) AS p FULL JOIN catalog_search_entry AS e ON e.product_id = p.id
        LEFT JOIN catalog_search_text AS t ON t.product_id = e.product_id
        WHERE (p.id, p.name, p.category, p.brand, p.price, p.in_stock, p.popularity) IS DISTINCT FROM
              (t.product_id, e.name, e.category, e.brand, e.price, e.in_stock, e.popularity)";
    let counters = "SELECT count(*) FROM (
          SELECT 'category' AS kind, category AS value, count(*) AS n FROM catalog_search_entry GROUP BY 2
          UNION ALL SELECT 'brand', brand, count(*) FROM catalog_search_entry WHERE brand IS NOT NULL GROUP BY 2
          UNION ALL SELECT 'price', width_bucket(price - 1, '{999,2499,4999,9999,24999,49999,99999}')::text, count(*)
            FROM catalog_search_entry GROUP BY 2
          UNION ALL SELECT 'total', '', count(*) FROM catalog_search_entry
        ) AS e FULL JOIN (SELECT kind, value, count FROM catalog_search_count WHERE count <> 0) AS c USING (kind, value)
        WHERE e.n IS DISTINCT FROM c.count";
    // Words that say nothing (\"of\") are not in the vocabulary.
    let words = "SELECT count(*) FROM (
          SELECT term, count(*) AS n FROM catalog_search_text, unnest(terms) AS term
          WHERE to_tsvector('english', term) <> '' GROUP BY 1
        ) AS t FULL JOIN (SELECT term, frequency FROM catalog_search_term WHERE frequency <> 0) AS v USING (term)
        WHERE t.n IS DISTINCT FROM v.frequency";
    let one = async |sql: &'static str| sqlx::query_scalar(sql).fetch_one(&store.db).await.unwrap();
    (one(entries).await, one(counters).await, one(words).await)
}

/// Products of which some version was never told of: an index outside would not hear of it.
async fn versions_without_event(store: &Store) -> i64 {
    let sql = "SELECT count(*) FROM catalog_stock AS s LEFT JOIN (
                 SELECT subject, count(DISTINCT version) AS versions FROM catalog_outbox GROUP BY 1
               ) AS o ON o.subject = s.product_id::text
               WHERE s.version IS DISTINCT FROM o.versions";
    sqlx::query_scalar(sql).fetch_one(&store.db).await.unwrap()
}

async fn popularity_events(store: &Store) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM catalog_outbox WHERE type = 'popularity.changed.v1'")
        .fetch_one(&store.db)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_index_agrees_with_the_products_after_everything_at_once() {
    let store = store(&manual()).await;
    let mut ids = Vec::new();
    for n in 0..10 {
        ids.push(product(&store, &format!("P{n}"), 2).await);
    }
    for round in 0..4 {
        let happened = join_all((0..60).map(|n| happen(&store, &ids, round * 60 + n))).await;
        for error in happened.into_iter().filter_map(Result::err) {
            assert!(
                matches!(
                    error,
                    Error::OutOfStock(_) | Error::StockNegative { .. } | Error::ProductArchived
                ),
                "{error}"
            );
        }
        assert_eq!(differences(&store).await, (0, 0, 0), "round {round}");
        assert_eq!(versions_without_event(&store).await, 0, "round {round}");
    }
}

#[tokio::test]
async fn an_order_that_comes_twice_in_one_batch_counts_once() {
    let store = store(&manual()).await;
    let id = product(&store, "TWICE", 0).await;
    let (one, other) = (sale(&[id]), sale(&[id]));
    let sales = SalesCounter(store.clone());
    sales.apply(&[&one, &other, &one]).await.unwrap();
    sales.apply(&[&one]).await.unwrap();
    assert_eq!(store.product(id).await.unwrap().popularity, 4);
    assert_eq!(
        popularity_events(&store).await,
        1,
        "one for all orders of a batch, none for a repeated one"
    );
    assert_eq!(versions_without_event(&store).await, 0);
}

/// Sold once each, in one order; more products than are brought over in one go.
async fn thousands_sold(store: &Store) -> (SalesCounter, Vec<Uuid>) {
    let records = (0..5_100).map(|n| (n, record(u128::from(n)))).collect();
    store.load_products(records).await.unwrap();
    let ids: Vec<Uuid> = (0..5_100).map(|n| record(n).id).collect();
    let sales = SalesCounter(store.clone());
    sales.apply(&[&sale(&ids)]).await.unwrap();
    assert_eq!(popularity_events(store).await, 5_100);
    (sales, ids)
}

/// Products by their popularity, in the truth and the index.
async fn by_popularity(store: &Store) -> Vec<(i64, i64, i64)> {
    sqlx::query_as("SELECT s.popularity, e.popularity, count(*) FROM catalog_stock AS s JOIN catalog_search_entry AS e USING (product_id) GROUP BY 1, 2 ORDER BY 1, 2")
        .fetch_all(&store.db)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_recount_changes_nothing_until_it_is_done_and_then_what_differs() {
    let store = store(&manual()).await;
    let (sales, ids) = thousands_sold(&store).await;
    sales.reset().await.unwrap();
    let recount = store.recount().await.unwrap().unwrap();
    // The first hundred were sold twice more than was counted, the last hundred never.
    for _ in 0..3 {
        sales.apply(&[&sale(&ids[..100])]).await.unwrap();
    }
    sales.apply(&[&sale(&ids[100..5_000])]).await.unwrap();
    assert_eq!(by_popularity(&store).await, [(2, 2, 5_100)]);
    assert!(store.bring_over(recount).await.unwrap());
    assert!(!store.bring_over(recount).await.unwrap());
    assert_eq!(
        by_popularity(&store).await,
        [(0, 0, 100), (2, 2, 4_900), (6, 6, 100)]
    );
    assert_eq!(popularity_events(&store).await, 5_300);
    assert_eq!(versions_without_event(&store).await, 0);
    // It is over: sales count at once.
    assert_eq!(store.recount().await.unwrap(), None);
    sales.apply(&[&sale(&ids[..1])]).await.unwrap();
    assert_eq!(store.product(ids[0]).await.unwrap().popularity, 8);
}

/// Somebody dies after the first products; sales come of those that are done and those that are not.
#[tokio::test]
async fn bringing_over_goes_on_where_it_was_and_misses_no_sale() {
    let store = store(&manual()).await;
    let (sales, ids) = thousands_sold(&store).await;
    sales.reset().await.unwrap();
    let recount = store.recount().await.unwrap().unwrap();
    sales.apply(&[&sale(&ids), &sale(&ids)]).await.unwrap();
    assert!(store.bring_over(recount).await.unwrap());
    let done = by_popularity(&store).await;
    assert!(done[0].2 > 0 && done[1].2 > 0, "some, not all: {done:?}");
    sales.apply(&[&sale(&ids)]).await.unwrap();
    while store.bring_over(recount).await.unwrap() {}
    assert_eq!(by_popularity(&store).await, [(6, 6, 5_100)]);
    assert_eq!(versions_without_event(&store).await, 0);
}

/// What a member found that has since been overtaken: another one has reset, and is in the middle of the history.
#[tokio::test]
async fn a_recount_that_was_begun_again_brings_nothing_over() {
    let store = store(&manual()).await;
    let id = product(&store, "AGAIN", 0).await;
    let sales = SalesCounter(store.clone());
    let one = sale(&[id]);
    sales.apply(&[&one]).await.unwrap();
    sales.reset().await.unwrap();
    let void = store.recount().await.unwrap().unwrap();
    sales.apply(&[&one]).await.unwrap();
    sales.reset().await.unwrap();
    assert!(!store.bring_over(void).await.unwrap());
    assert_eq!(store.product(id).await.unwrap().popularity, 2);
    sales.apply(&[&one]).await.unwrap();
    let recount = store.recount().await.unwrap().unwrap();
    assert!(
        !store.bring_over(recount).await.unwrap(),
        "it is as it was counted"
    );
    assert_eq!(popularity_events(&store).await, 1);
    assert_eq!(store.product(id).await.unwrap().popularity, 2);
}

#[tokio::test]
async fn nothing_is_brought_over_while_the_bus_has_the_group_built() {
    let store = store(&manual()).await;
    let id = product(&store, "BUILT", 0).await;
    let database = bus_database().await;
    let bus = emporium_event_bus::bus::open_at(&database.url, Metrics::new(ServiceName::Catalog))
        .await
        .unwrap();
    let (sales, member) = (SalesCounter(store.clone()), Uuid::new_v4());
    let orders = [sale(&[id]), sale(&[id])];
    // New on the bus, then built again: in the middle the first order is counted, and the second one is not.
    for popularity in [0, 4] {
        bus.request_rebuild(GROUP).await.unwrap();
        let begun = bus
            .begin_rebuild(GROUP, member, Duration::from_mins(1), &[])
            .await;
        begun.unwrap().unwrap();
        sales.reset().await.unwrap();
        sales.apply(&[&orders[0]]).await.unwrap();
        recount::look(&store, bus.as_ref()).await.unwrap();
        assert_eq!(store.product(id).await.unwrap().popularity, popularity);
        sales.apply(&[&orders[1]]).await.unwrap();
        bus.finish_rebuild(GROUP, member).await.unwrap();
        recount::look(&store, bus.as_ref()).await.unwrap();
        assert_eq!(store.product(id).await.unwrap().popularity, 4);
        assert_eq!(popularity_events(&store).await, 1);
        assert_eq!(store.recount().await.unwrap(), None);
    }
}

/// Between looking whether a recount is under way and counting aside, none ends.
#[tokio::test]
async fn a_recount_ends_after_the_sales_that_are_being_counted_aside() {
    let store = store(&manual()).await;
    let id = product(&store, "LATE", 0).await;
    SalesCounter(store.clone()).reset().await.unwrap();
    let recount = store.recount().await.unwrap().unwrap();
    let mut tx = store.db.begin().await.unwrap();
    assert!(recount::is_under_way(&mut tx).await.unwrap());
    let is_over = AtomicBool::new(false);
    let bring_over = async {
        let more = store.bring_over(recount).await.unwrap();
        is_over.store(true, Ordering::SeqCst);
        more
    };
    let sell = async {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        eventually("the other one waits, if it does", 10, async || {
            let waits: i64 = sqlx::query_scalar(waiting).fetch_one(&store.db).await.unwrap();
            (waits > 0 || is_over.load(Ordering::SeqCst)).then_some(())
        })
        .await;
        recount::add(&mut tx, &[(id, 2)].into()).await.unwrap();
        tx.commit().await.unwrap();
    };
    let (more, ()) = tokio::join!(bring_over, sell);
    assert!(more, "the sale was brought over");
    assert!(!store.bring_over(recount).await.unwrap());
    assert_eq!(store.product(id).await.unwrap().popularity, 2);
}

/// Members that count and one that brings over, all at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sales_beside_bringing_over_are_counted_once() {
    let store = store(&manual()).await;
    let mut ids = Vec::new();
    for n in 0..10 {
        ids.push(product(&store, &format!("P{n}"), 0).await);
    }
    for round in 1..=10 {
        SalesCounter(store.clone()).reset().await.unwrap();
        let recount = store.recount().await.unwrap().unwrap();
        let sell = async |n: usize| {
            let (one, other) = (sale(&ids[n % 7..]), sale(&ids[..=n % 9]));
            // Two members get the same events, in whatever order.
            let sell = async |orders: [&CloudEvent; 2]| SalesCounter(store.clone()).apply(&orders).await;
            let (first, second) = tokio::join!(sell([&one, &other]), sell([&other, &one]));
            first.unwrap();
            second.unwrap();
        };
        let bring_over = async || {
            while store.bring_over(recount).await.unwrap() {}
        };
        tokio::join!(
            join_all((0..6).map(sell)),
            bring_over(),
            join_all((6..12).map(sell)),
            bring_over(),
        );
        while store.bring_over(recount).await.unwrap() {}
        let sold: usize = (0..12).map(|n| 10 - n % 7 + n % 9 + 1).sum();
        let counted: i64 = sqlx::query_scalar("SELECT sum(popularity)::bigint FROM catalog_stock")
            .fetch_one(&store.db)
            .await
            .unwrap();
        assert_eq!(counted, 2 * i64::try_from(sold).unwrap(), "round {round}");
        assert_eq!(differences(&store).await, (0, 0, 0), "round {round}");
        assert_eq!(versions_without_event(&store).await, 0, "round {round}");
    }
}
