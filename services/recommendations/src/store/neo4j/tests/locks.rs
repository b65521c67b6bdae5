//! What locks are for: swaps that are not lost, shelves of one moment, and that whoever ends in the middle leaves none.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use emporium_event_bus::CloudEvent;
use emporium_event_bus::projection::ProjectionStore;
use emporium_service_kit::StoreError;
use futures::future::join_all;
use time::macros::datetime;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::shared;
use crate::store::contract::history::{order, product};
use crate::store::neo4j::client::Statement;
use crate::store::neo4j::control;
use crate::store::{RecommendationStore, Subject};

/// Whoever says that a swap succeeded was the only one with that version.
#[tokio::test(flavor = "multi_thread")]
async fn no_swap_is_lost() {
    let Some(store) = shared().await else { return };
    let feed = store.projection.store();
    let swaps = async || {
        let mut won = 0;
        for _ in 0..40 {
            let before = feed.load().await.unwrap();
            let mut next = before.state.clone();
            next.replace(
                Uuid::now_v7(),
                Uuid::now_v7(),
                Duration::from_secs(1),
                datetime!(2030-01-01 0:00 UTC),
            );
            won += i64::from(feed.swap(before.version, &next).await.unwrap());
        }
        won
    };
    let won: i64 = join_all((0..4).map(|_| swaps())).await.iter().sum();
    println!("{won} of 160 swaps");
    assert_eq!(feed.load().await.unwrap().version, won);
    assert!((1..160).contains(&won), "they met");
}

/// While orders of both goods come, by the hundred, a shelf has as many of them as its stamp says.
#[tokio::test(flavor = "multi_thread")]
async fn a_shelf_is_of_one_moment() {
    let Some(store) = shared().await else { return };
    let store = Arc::new(store);
    let (at, done) = (datetime!(2029-01-01 0:00 UTC), AtomicBool::new(false));
    let pairs: Vec<[Uuid; 2]> = (0..12).map(|_| [Uuid::now_v7(), Uuid::now_v7()]).collect();
    let goods: Vec<CloudEvent> = pairs
        .iter()
        .flatten()
        .map(|good| product(*good, 1, true))
        .collect();
    let projection = store.projection();
    projection.apply(&goods.iter().collect::<Vec<_>>()).await.unwrap();
    let write = async {
        for _ in 0..12 {
            // Fifteen orders of each pair.
            let orders: Vec<CloudEvent> = pairs
                .iter()
                .flat_map(|pair| (0..15).map(|_| order(None, at, pair)))
                .collect();
            projection
                .apply(&orders.iter().collect::<Vec<_>>())
                .await
                .unwrap();
        }
        done.store(true, Ordering::SeqCst);
    };
    let read = async |turn: usize| {
        let mut seen = 0;
        for [good, other] in pairs.iter().cycle().skip(turn) {
            let made = store.also_bought(*good, 5).await.unwrap();
            let together = made.items.iter().find(|item| item.product_id == *other);
            let together = together.and_then(|item| item.together).unwrap_or(0);
            assert!(made.stamp.ends_with(&format!("/{together}")), "{made:?}");
            seen += 1;
            if done.load(Ordering::SeqCst) {
                break;
            }
        }
        seen
    };
    let ((), shelves) = futures::join!(write, join_all((0..3).map(read)));
    let shelves: usize = shelves.iter().sum();
    println!("{shelves} shelves");
    let stamp = store
        .stamp(Subject::Product(pairs[0][0]), &[])
        .await
        .unwrap()
        .unwrap();
    assert!(
        shelves > 10 && stamp.ends_with("/180"),
        "{shelves} shelves, {stamp}"
    );
}

/// Who asks and hangs up leaves no transaction open: the next one gets the lock at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_is_cancelled_leaves_no_lock() {
    let Some(store) = shared().await else { return };
    let at = datetime!(2029-01-01 0:00 UTC);
    let good = Uuid::now_v7();
    let projection = store.projection();
    for wait in 1..25 {
        let event = order(None, at, &[good]);
        let cut = timeout(Duration::from_millis(wait), projection.apply(&[&event])).await;
        assert!(cut.is_err() || wait > 2, "nothing is that fast");
        let begun = Instant::now();
        projection.apply(&[&event]).await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
    let stamp = store.stamp(Subject::Product(good), &[]).await.unwrap().unwrap();
    assert!(stamp.ends_with("/24"), "{stamp}");
}

/// A statement that the server refuses ends its transaction there, with its locks.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_fails_leaves_no_lock() {
    const WRONG: Statement = Statement {
        name: "wrong",
        text: "UNWIND [0] AS x CREATE (:Wrong {x: 1 / x})",
    };
    let Some(store) = shared().await else { return };
    let name = store.moments.name.clone();
    for _ in 0..20 {
        let locked = name.clone();
        let failed: Result<(), StoreError> = store
            .client
            .transaction(Duration::from_secs(5), move |tx| {
                Box::pin(async move {
                    control::locked_state(tx, &locked).await?;
                    tx.run(&WRONG, []).await
                })
            })
            .await;
        assert!(matches!(failed, Err(StoreError::Failed(_))), "{failed:?}");
        let begun = Instant::now();
        let before = store.projection.store().load().await.unwrap();
        let swapped = store.projection.store().swap(before.version, &before.state).await;
        assert!(swapped.unwrap() && begun.elapsed() < Duration::from_secs(3));
    }
}

/// Several shops in one database see nothing of each other.
#[tokio::test(flavor = "multi_thread")]
async fn shops_keep_apart() {
    let (Some(one), Some(other)) = (shared().await, shared().await) else {
        return;
    };
    let at = datetime!(2029-01-01 0:00 UTC);
    let goods = [Uuid::now_v7(), Uuid::now_v7()];
    let events = [
        product(goods[0], 1, true),
        product(goods[1], 1, true),
        order(None, at, &goods),
    ];
    one.projection()
        .apply(&events.iter().collect::<Vec<_>>())
        .await
        .unwrap();
    assert_eq!(one.also_bought(goods[0], 5).await.unwrap().items.len(), 1);
    assert_eq!(other.also_bought(goods[0], 5).await.unwrap().items, []);
    assert_eq!(other.popular(5).await.unwrap().items, []);
    // Each counts the same event for itself.
    other
        .projection()
        .apply(&events.iter().collect::<Vec<_>>())
        .await
        .unwrap();
    assert_eq!(other.also_bought(goods[0], 5).await.unwrap().items.len(), 1);
}
