//! Popularity counted anew beside what products have, and brought over.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use emporium_event_bus::Consumer;
use emporium_event_bus::event::CloudEvent;
use emporium_event_bus::history::HistoryItem;
use emporium_event_bus::projection::{Cursor, Generations, Outcome, Piece, Work};
use emporium_service_kit::Clock;
use emporium_test_kit::eventually;
use futures::future::join_all;
use uuid::Uuid;

use super::index::{counter, differences, popularity_events, record, sale, versions_without_event};
use super::{manual, product, store};
use crate::store::Store;
use crate::store::sales::SalesCounter;

const OWNER: &str = "/orders";
const LEASE: Duration = Duration::from_mins(1);

fn generations(sales: &SalesCounter) -> &dyn Generations {
    sales.generations().unwrap()
}

/// Begins a recount, as a member does when an operator asks for it.
async fn begin(sales: &SalesCounter) -> Work {
    generations(sales).want().await.unwrap();
    let work = take(sales).await;
    generations(sales)
        .begin(&work, &[OWNER.to_owned()])
        .await
        .unwrap();
    work
}

/// A member takes the recount that is wanted or under way.
async fn take(sales: &SalesCounter) -> Work {
    let member = Uuid::new_v4();
    let rebuild = generations(sales).take(member, LEASE).await.unwrap().unwrap();
    Work {
        rebuild: rebuild.id,
        member,
        lease: LEASE,
    }
}

/// Applies orders as those of a history, which goes on or not.
async fn read(sales: &SalesCounter, work: &Work, orders: &[&CloudEvent], done: bool) {
    let item = |event: &&CloudEvent| HistoryItem {
        position: 1,
        event: (*event).clone(),
        recorded_at: Some(Clock::System.now()),
    };
    let items: Vec<HistoryItem> = orders.iter().map(item).collect();
    let piece = Piece {
        owner: OWNER,
        items: &items.iter().collect::<Vec<_>>(),
        events: 1,
        cursor: Cursor {
            after: 1,
            end: Some(1),
            done,
        },
    };
    generations(sales).fill(work, &piece).await.unwrap();
}

/// Compares and brings over.
async fn end(sales: &SalesCounter, work: &Work) -> Outcome {
    let comparison = generations(sales).compare(work, &[]).await.unwrap().unwrap();
    generations(sales).switch(work, Some(&comparison)).await.unwrap()
}

/// Sold once each, in one order; more products than are brought over in one go.
async fn thousands_sold(store: &Store) -> (SalesCounter, Vec<Uuid>, CloudEvent) {
    let records = (0..5_100).map(|n| (n, record(u128::from(n)))).collect();
    store.load_products(records).await.unwrap();
    let ids: Vec<Uuid> = (0..5_100).map(|n| record(n).id).collect();
    let sales = counter(store).await;
    let order = sale(&ids);
    sales.apply(&[&order]).await.unwrap();
    assert_eq!(popularity_events(store).await, 5_100);
    (sales, ids, order)
}

/// Products by their popularity, in the truth and the index.
async fn by_popularity(store: &Store) -> Vec<(i64, i64, i64)> {
    sqlx::query_as("SELECT s.popularity, e.popularity, count(*) FROM catalog_stock AS s JOIN catalog_search_entry AS e USING (product_id) GROUP BY 1, 2 ORDER BY 1, 2")
        .fetch_all(&store.db)
        .await
        .unwrap()
}

async fn popularity(store: &Store, id: Uuid) -> i64 {
    store.product(id).await.unwrap().popularity
}

/// What is wrong in the products is told and mended, with an event each; all others are left alone.
#[tokio::test]
async fn a_recount_changes_nothing_until_it_is_done_and_then_what_differs() {
    let store = store(&manual()).await;
    let (sales, ids, order) = thousands_sold(&store).await;
    let spoil = "UPDATE catalog_stock SET popularity = 7 WHERE product_id = ANY ($1)";
    sqlx::query(spoil)
        .bind(&ids[..100])
        .execute(&store.db)
        .await
        .unwrap();
    let work = begin(&sales).await;
    read(&sales, &work, &[&order], true).await;
    assert_eq!(popularity_events(&store).await, 5_100, "nothing yet");
    let outcome = end(&sales, &work).await;
    assert_eq!((outcome.id, outcome.equal), (work.rebuild, Some(false)));
    let table = &outcome.tables[0];
    assert_eq!(
        (table.rows_live, table.rows_rebuilt, table.equal),
        (5_100, 5_100, false)
    );
    let expected: Vec<String> = ids[..99]
        .iter()
        .map(|id| format!("popularity of {id}: was 7, is 2"))
        .chain(["… and perhaps more".to_owned()])
        .collect();
    assert_eq!(outcome.differences, expected);
    assert_eq!(by_popularity(&store).await, [(2, 2, 5_100)]);
    assert_eq!(popularity_events(&store).await, 5_200);
    assert_eq!(versions_without_event(&store).await, 0);
    // It is over: the next one finds nothing, and a sale counts in the products alone.
    let work = begin(&sales).await;
    read(&sales, &work, &[&order], true).await;
    let outcome = end(&sales, &work).await;
    assert_eq!((outcome.equal, outcome.differences.len()), (Some(true), 0));
    assert_eq!(popularity_events(&store).await, 5_200);
    sales.apply(&[&sale(&ids[..1]), &order]).await.unwrap();
    assert_eq!(popularity(&store, ids[0]).await, 4);
}

/// Orders that come while the history is read count at once, and are no difference, whether the history has them or not.
#[tokio::test]
async fn sales_during_a_recount_count_at_once_and_are_no_difference() {
    let store = store(&manual()).await;
    let (mug, lamp) = (product(&store, "MUG", 0).await, product(&store, "LAMP", 0).await);
    let sales = counter(&store).await;
    let [first, second, third] = [sale(&[mug]), sale(&[mug, lamp]), sale(&[lamp])];
    sales.apply(&[&first]).await.unwrap();
    let work = begin(&sales).await;
    sales.apply(&[&second]).await.unwrap();
    read(&sales, &work, &[&first, &second, &third], true).await;
    assert_eq!(
        (popularity(&store, mug).await, popularity(&store, lamp).await),
        (4, 2)
    );
    // The history has one that has not come yet: they are not compared before it has.
    assert!(generations(&sales).compare(&work, &[]).await.unwrap().is_none());
    sales.apply(&[&third]).await.unwrap();
    let outcome = end(&sales, &work).await;
    assert_eq!((outcome.equal, outcome.differences.len()), (Some(true), 0));
    assert_eq!(
        (popularity(&store, mug).await, popularity(&store, lamp).await),
        (4, 4)
    );
    assert_eq!(popularity_events(&store).await, 4);
}

/// Somebody dies after the first products; sales come of those that are done and those that are not. The outcome tells what
/// differed before the first.
#[tokio::test]
async fn bringing_over_goes_on_where_it_was_and_misses_no_sale() {
    let store = store(&manual()).await;
    let (sales, ids, order) = thousands_sold(&store).await;
    let spoil = "UPDATE catalog_stock SET popularity = popularity + 5";
    sqlx::query(spoil).execute(&store.db).await.unwrap();
    let work = begin(&sales).await;
    read(&sales, &work, &[&order], true).await;
    let refuse = format!(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
         CREATE TRIGGER refuse BEFORE UPDATE ON catalog_stock FOR EACH ROW
         WHEN (new.product_id = '{}' AND new.popularity < old.popularity) EXECUTE FUNCTION refuse()",
        ids[3_000]
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(refuse))
        .execute(&store.db)
        .await
        .unwrap();
    let comparison = generations(&sales).compare(&work, &[]).await.unwrap().unwrap();
    assert!(
        generations(&sales)
            .switch(&work, Some(&comparison))
            .await
            .is_err()
    );
    let done = by_popularity(&store).await;
    assert_eq!(done, [(2, 2, 2_000), (7, 2, 3_100)], "some, not all");
    sales.apply(&[&sale(&ids)]).await.unwrap();
    sqlx::raw_sql("DROP TRIGGER refuse ON catalog_stock")
        .execute(&store.db)
        .await
        .unwrap();
    generations(&sales).release(work.member).await.unwrap();
    let work = take(&sales).await;
    let outcome = end(&sales, &work).await;
    assert_eq!(outcome.differences, comparison.differences);
    assert_eq!(
        outcome.differences[0],
        format!("popularity of {}: was 7, is 2", ids[0])
    );
    assert_eq!(by_popularity(&store).await, [(4, 4, 5_100)]);
    assert_eq!(versions_without_event(&store).await, 0);
}

/// When the bus asks, there is nothing to compare with; another one in its place begins from nothing.
#[tokio::test]
async fn a_recount_that_was_begun_again_counts_once() {
    let store = store(&manual()).await;
    let id = product(&store, "AGAIN", 0).await;
    let sales = counter(&store).await;
    let one = sale(&[id]);
    let begun = begin(&sales).await;
    read(&sales, &begun, &[&one], false).await;
    let work = generations(&sales).replace(Uuid::new_v4(), LEASE).await.unwrap();
    generations(&sales)
        .begin(&work, &[OWNER.to_owned()])
        .await
        .unwrap();
    assert!(
        generations(&sales).switch(&begun, None).await.is_err(),
        "it was relieved"
    );
    read(&sales, &work, &[&one], true).await;
    assert_eq!(popularity(&store, id).await, 0);
    let outcome = generations(&sales).switch(&work, None).await.unwrap();
    assert_eq!((outcome.equal, outcome.events), (None, 1));
    assert_eq!(popularity(&store, id).await, 2);
    assert_eq!(popularity_events(&store).await, 1);
    sales.apply(&[&one]).await.unwrap();
    assert_eq!(popularity(&store, id).await, 2, "it is in the history");
}

/// While a step brings over, no sale is being counted.
#[tokio::test]
async fn a_step_waits_for_sales_that_are_being_counted() {
    let store = store(&manual()).await;
    let id = product(&store, "LATE", 0).await;
    let sales = counter(&store).await;
    let work = begin(&sales).await;
    read(&sales, &work, &[], true).await;
    let mut tx = store.db.begin().await.unwrap();
    // As who applies an event.
    sqlx::query("SELECT FROM catalog_projections FOR SHARE")
        .execute(&mut tx)
        .await
        .unwrap();
    let is_over = AtomicBool::new(false);
    let bring_over = async {
        generations(&sales).switch(&work, None).await.unwrap();
        is_over.store(true, Ordering::SeqCst);
    };
    let sell = async {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        eventually("the other one waits, if it does", 10, async || {
            let waits: i64 = sqlx::query_scalar(waiting).fetch_one(&store.db).await.unwrap();
            (waits > 0 || is_over.load(Ordering::SeqCst)).then_some(())
        })
        .await;
        assert!(!is_over.load(Ordering::SeqCst));
        crate::store::recount::add(&mut tx, &[(id, 2)].into())
            .await
            .unwrap();
        tx.commit().await.unwrap();
    };
    tokio::join!(bring_over, sell);
    assert_eq!(popularity(&store, id).await, 2, "the sale was brought over");
}

/// Members that count and one that brings over, all at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sales_beside_bringing_over_are_counted_once() {
    let store = store(&manual()).await;
    let mut ids = Vec::new();
    for n in 0..10 {
        ids.push(product(&store, &format!("P{n}"), 0).await);
    }
    let sales = counter(&store).await;
    let mut history: Vec<CloudEvent> = Vec::new();
    for round in 1..=10 {
        sqlx::query("UPDATE catalog_stock SET popularity = popularity + 3 WHERE product_id = $1")
            .bind(ids[round % 10])
            .execute(&store.db)
            .await
            .unwrap();
        let work = begin(&sales).await;
        read(&sales, &work, &history.iter().collect::<Vec<_>>(), true).await;
        let orders: Vec<[CloudEvent; 2]> = (0..12)
            .map(|n| [sale(&ids[n % 7..]), sale(&ids[..=n % 9])])
            .collect();
        let sell = async |pair: &[CloudEvent; 2]| {
            // Two members get the same events, in whatever order.
            let (there, back) = ([&pair[0], &pair[1]], [&pair[1], &pair[0]]);
            let (first, second) = tokio::join!(sales.apply(&there), sales.apply(&back));
            first.unwrap();
            second.unwrap();
        };
        let (.., outcome) = tokio::join!(
            join_all(orders[..6].iter().map(sell)),
            join_all(orders[6..].iter().map(sell)),
            end(&sales, &work),
        );
        assert_eq!(
            outcome.differences.len(),
            1,
            "round {round}: {:?}",
            outcome.differences
        );
        history.extend(orders.into_iter().flatten());
        let sold: usize = (0..12).map(|n| 10 - n % 7 + n % 9 + 1).sum();
        let counted: i64 = sqlx::query_scalar("SELECT sum(popularity)::bigint FROM catalog_stock")
            .fetch_one(&store.db)
            .await
            .unwrap();
        let expected = 2 * round * sold;
        assert_eq!(counted, i64::try_from(expected).unwrap(), "round {round}");
        assert_eq!(differences(&store).await, (0, 0, 0), "round {round}");
        assert_eq!(versions_without_event(&store).await, 0, "round {round}");
    }
}
