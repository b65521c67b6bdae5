//! The search index against the truth, after everything that changes it happened at once.

use emporium_event_bus::Consumer;
use emporium_event_bus::event::CloudEvent;
use emporium_service_kit::{Currency, Money};
use futures::future::join_all;
use serde_json::json;
use uuid::Uuid;

use super::{manual, product, request, store};
use crate::error::Error;
use crate::model::{ProductPatch, StockChange};
use crate::store::Store;
use crate::store::bulk::ProductRecord;
use crate::store::sales::SalesCounter;

pub(super) async fn counter(store: &Store) -> SalesCounter {
    SalesCounter::open(store).await.unwrap()
}

pub(super) fn sale(products: &[Uuid]) -> CloudEvent {
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

pub(super) fn record(number: u128) -> ProductRecord {
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
            counter(store).await.apply(&[&sold]).await.unwrap();
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
pub(super) async fn differences(store: &Store) -> (i64, i64, i64) {
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
pub(super) async fn versions_without_event(store: &Store) -> i64 {
    let sql = "SELECT count(*) FROM catalog_stock AS s LEFT JOIN (
                 SELECT subject, count(DISTINCT version) AS versions FROM catalog_outbox GROUP BY 1
               ) AS o ON o.subject = s.product_id::text
               WHERE s.version IS DISTINCT FROM o.versions";
    sqlx::query_scalar(sql).fetch_one(&store.db).await.unwrap()
}

pub(super) async fn popularity_events(store: &Store) -> i64 {
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
    let sales = counter(&store).await;
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
