//! Stock and reservations under concurrency, and against a model.

use std::collections::{BTreeMap, HashMap};

use emporium_service_kit::auth::{Callers, Secret};
use emporium_service_kit::config::database_options;
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::{Clock, Currency, Db, Environment, Money, ServiceName};
use emporium_test_kit::{TestDatabase, TestPostgres};
use futures::future::join_all;
use time::Duration;
use time::macros::datetime;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Store;
use crate::error::Error;
use crate::model::{NewProduct, ReservationLine, ReservationRequest, ReservationState, StockChange};

mod index;
mod model;
mod recount;

fn environment(database: &TestDatabase, clock: &Clock) -> Environment {
    let metrics = Metrics::new(ServiceName::Catalog);
    let options = database_options(&database.url).unwrap();
    Environment {
        service: ServiceName::Catalog,
        db: Some(Db::connect(options, 8, metrics.clone())),
        events_url: None,
        stores: emporium_service_kit::StoreUrls::default(),
        peers: HashMap::new(),
        secret: Secret::generate(),
        callers: Callers::default(),
        clock: clock.clone(),
        metrics,
        shutdown: CancellationToken::new(),
    }
}

/// A store on a database of its own, without background tasks, so that a test decides when they work.
async fn store(clock: &Clock) -> Store {
    let prepare = async |template: &TestDatabase| {
        let environment = environment(template, clock);
        let store = crate::open_store(&environment, Currency::GBP).await.unwrap();
        store.db.pool().close().await;
    };
    let database = TestPostgres::get().await.database("catalog store", prepare).await;
    crate::open_store(&environment(&database, clock), Currency::GBP)
        .await
        .unwrap()
}

fn manual() -> Clock {
    Clock::manual(datetime!(2025-06-01 12:00 UTC))
}

async fn product(store: &Store, sku: &str, stock: i64) -> Uuid {
    let new = NewProduct {
        sku: sku.to_owned(),
        name: format!("Thing {sku}"),
        description: String::new(),
        category: "things".to_owned(),
        price: Money::new(100, Currency::GBP),
        brand: None,
        attributes: [].into(),
    };
    let id = store.create(&new).await.unwrap().id;
    if stock > 0 {
        store
            .change_stock(
                id,
                &StockChange {
                    delta: stock,
                    reason: None,
                },
                None,
            )
            .await
            .unwrap();
    }
    id
}

fn request(store: &Store, lines: &[(Uuid, i64)], minutes: i64) -> ReservationRequest {
    let line = |&(product_id, quantity): &(Uuid, i64)| ReservationLine { product_id, quantity };
    ReservationRequest {
        lines: lines.iter().map(line).collect(),
        expires_at: store.clock.now() + Duration::minutes(minutes),
    }
}

/// (on hand, reserved) as kept.
async fn stock(store: &Store, id: Uuid) -> (i64, i64) {
    sqlx::query_as("SELECT on_hand, reserved FROM catalog_stock WHERE product_id = $1")
        .bind(id)
        .fetch_one(&store.db)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn three_hundred_buyers_get_a_hundred_units_between_them() {
    let store = store(&manual()).await;
    let id = product(&store, "HOT", 100).await;
    let held = join_all((0..300).map(|_| {
        let store = store.clone();
        async move {
            let request = request(&store, &[(id, 1)], 5);
            // A pool that is too busy says so; a saga then asks again.
            loop {
                match store.hold(Uuid::new_v4(), &request).await {
                    Ok(_) => return true,
                    Err(Error::OutOfStock(short)) => {
                        assert_eq!((short[0].requested, short[0].available), (1, 0));
                        return false;
                    }
                    Err(Error::Store(error)) => println!("again: {error}"),
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }))
    .await;
    assert_eq!(held.iter().filter(|held| **held).count(), 100);
    assert_eq!(stock(&store, id).await, (100, 100));
    assert!(!store.product(id).await.unwrap().in_stock);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn baskets_in_any_order_neither_deadlock_nor_oversell() {
    let store = store(&manual()).await;
    let mut ids = Vec::new();
    for n in 0..4 {
        ids.push(product(&store, &format!("P{n}"), 20).await);
    }
    let outcomes = join_all((0..120_usize).map(|n| {
        let (store, ids) = (store.clone(), ids.clone());
        async move {
            let mut lines: Vec<(Uuid, i64)> = (0..3).map(|k| (ids[(n + k * (1 + n % 3)) % 4], 1)).collect();
            lines.sort_unstable();
            lines.dedup();
            if n % 2 == 0 {
                lines.reverse();
            }
            let saga = Uuid::new_v4();
            let held = store.hold(saga, &request(&store, &lines, 5)).await;
            match held {
                Ok(held) if n % 3 == 0 => {
                    store.release(saga, false).await.unwrap();
                    drop(held);
                    Vec::new()
                }
                Ok(held) => held.lines,
                Err(Error::OutOfStock(_)) => Vec::new(),
                Err(error) => panic!("{error}"),
            }
        }
    }))
    .await;
    let mut reserved: BTreeMap<Uuid, i64> = BTreeMap::new();
    for line in outcomes.into_iter().flatten() {
        *reserved.entry(line.product_id).or_default() += line.quantity;
    }
    for id in ids {
        assert_eq!(
            stock(&store, id).await,
            (20, reserved.get(&id).copied().unwrap_or(0))
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_times_the_same_reservation_is_one() {
    let store = store(&manual()).await;
    let id = product(&store, "ONE", 10).await;
    let (saga, request) = (Uuid::new_v4(), request(&store, &[(id, 3)], 5));
    let answers = join_all((0..100).map(|_| store.hold(saga, &request))).await;
    let first = answers[0].as_ref().unwrap();
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap() == first));
    assert_eq!(stock(&store, id).await, (10, 3));
    let commits = join_all((0..20).map(|_| store.commit(saga))).await;
    assert!(
        commits
            .iter()
            .all(|c| c.as_ref().unwrap().state == ReservationState::Committed)
    );
    assert_eq!(stock(&store, id).await, (7, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_commit_release_and_expiry_exactly_one_wins() {
    let clock = manual();
    let store = store(&clock).await;
    let id = product(&store, "RACE", 100).await;
    for round in 0..20 {
        let saga = Uuid::new_v4();
        store.hold(saga, &request(&store, &[(id, 1)], 1)).await.unwrap();
        let before = stock(&store, id).await;
        let (commit, release, expiry, ()) = tokio::join!(
            store.commit(saga),
            store.release(saga, false),
            store.expire_step(),
            async { clock.advance(Duration::minutes(1)) }
        );
        expiry.unwrap();
        // Whoever came before the time was up may have won; whoever came later has not.
        let after = stock(&store, id).await;
        if commit.is_ok() {
            assert!(
                matches!(release, Err(Error::ReservationCommitted)),
                "round {round}"
            );
            assert_eq!(after, (before.0 - 1, before.1 - 1));
        } else {
            assert!(matches!(commit, Err(Error::ReservationGone)));
            release.unwrap();
            assert_eq!(after, (before.0, before.1 - 1));
        }
    }
}

/// A product's events have ascending versions without repetition, and the last one has the final stock.
async fn events_tell_the_story(store: &Store, id: Uuid) {
    let events: Vec<(String, i64, sqlx::types::Json<serde_json::Value>)> = sqlx::query_as(
        "SELECT type, version, data::jsonb FROM catalog_outbox WHERE subject = $1 ORDER BY written",
    )
    .bind(id.to_string())
    .fetch_all(&store.db)
    .await
    .unwrap();
    let versions: Vec<i64> = events.iter().map(|event| event.1).collect();
    let expected: Vec<i64> = (1..=i64::try_from(events.len()).unwrap()).collect();
    assert_eq!(versions, expected, "every change told, in order");
    let (_, version, sqlx::types::Json(last)) = events.last().unwrap();
    let (on_hand, reserved) = stock(store, id).await;
    assert_eq!(
        (last["on_hand"].as_i64(), last["reserved"].as_i64()),
        (Some(on_hand), Some(reserved))
    );
    assert_eq!(store.product(id).await.unwrap().version, *version);
}

#[tokio::test]
async fn the_reaper_works_in_batches_and_old_reservations_are_forgotten() {
    let clock = manual();
    let store = store(&clock).await;
    let id = product(&store, "MANY", 1_000).await;
    for _ in 0..130 {
        store
            .hold(Uuid::new_v4(), &request(&store, &[(id, 2)], 5))
            .await
            .unwrap();
    }
    assert_eq!(store.expire_step().await.unwrap(), 0, "nothing is due");
    clock.advance(Duration::minutes(5));
    assert_eq!(store.expire_step().await.unwrap(), 100);
    assert_eq!(store.expire_step().await.unwrap(), 30);
    assert_eq!(stock(&store, id).await, (1_000, 0));
    events_tell_the_story(&store, id).await;
    assert_eq!(store.forget_step().await.unwrap(), 0);
    clock.advance(Duration::days(31));
    assert_eq!(store.forget_step().await.unwrap(), 130);
}

/// A saga that never heard whether its commit happened, and was cancelled at its deadline.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn committed_units_come_back_once_when_asked_for() {
    let store = store(&manual()).await;
    let id = product(&store, "BACK", 10).await;
    let saga = Uuid::new_v4();
    store.hold(saga, &request(&store, &[(id, 4)], 5)).await.unwrap();
    store.commit(saga).await.unwrap();
    assert_eq!(stock(&store, id).await, (6, 0));
    assert!(matches!(
        store.release(saga, false).await,
        Err(Error::ReservationCommitted)
    ));
    let returns = join_all((0..10).map(|_| store.release(saga, true))).await;
    assert!(returns.iter().all(Result::is_ok));
    assert_eq!(
        stock(&store, id).await,
        (10, 0),
        "once, however often it is asked"
    );
    assert!(
        matches!(store.commit(saga).await, Err(Error::ReservationGone)),
        "a late commit is refused"
    );
}

/// Whoever wins, the units end in one place: all of them leave, or all of them are there again.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_return_meets_commit_and_expiry() {
    let clock = manual();
    let store = store(&clock).await;
    let id = product(&store, "MEET", 1_000).await;
    for round in 0..30 {
        let saga = Uuid::new_v4();
        store.hold(saga, &request(&store, &[(id, 3)], 1)).await.unwrap();
        let (commit, again, first, second, expiry, ()) = tokio::join!(
            store.commit(saga),
            store.commit(saga),
            store.release(saga, true),
            store.release(saga, true),
            store.expire_step(),
            async { clock.advance(Duration::minutes(round % 2)) }
        );
        for answer in [commit, again] {
            assert!(
                matches!(answer, Ok(_) | Err(Error::ReservationGone)),
                "round {round}: {answer:?}"
            );
        }
        first.unwrap();
        second.unwrap();
        expiry.unwrap();
        assert_eq!(stock(&store, id).await, (1_000, 0), "round {round}");
    }
    events_tell_the_story(&store, id).await;
}
