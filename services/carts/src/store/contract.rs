//! The suite that every adapter passes. An adapter joins it with one line at the end of this file.

use std::collections::BTreeMap;
use std::sync::Arc;

use emporium_service_kit::Clock;
use futures::future::join_all;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{CartStore, Moment, Purchase, SetLine};
use crate::model::{CartKey, CartKind, LINES_MAX, StoredCart};

mod merges;
mod model_based;
pub mod outages;
mod purchases;

use merges::{
    concurrent_merges_lose_nothing, crossing_merges_lose_nothing, full_carts_keep_their_own_lines,
    merges_and_writes_interleave, merges_happen_once,
};
use outages::{a_pause_is_an_error_in_time, a_restart_loses_nothing};
use purchases::{
    purchases_and_writes_interleave, purchases_are_remembered_without_a_cart, purchases_happen_once_a_saga,
};

type Store = Arc<dyn CartStore>;

const TTL: Duration = Duration::days(30);

/// A store's own expiry goes by the real time, so tests begin at the present and only look ahead.
fn start() -> OffsetDateTime {
    Clock::System.now()
}

fn at(now: OffsetDateTime) -> Moment {
    Moment {
        now,
        expires_at: now + TTL,
    }
}

fn user() -> CartKey {
    CartKey::user(Uuid::new_v4())
}

fn anonymous() -> CartKey {
    CartKey {
        kind: CartKind::Anonymous,
        id: Uuid::new_v4(),
    }
}

fn purchase(user: CartKey, lines: &[(Uuid, u32)], now: OffsetDateTime) -> Purchase {
    Purchase {
        user_id: user.id,
        saga_id: Uuid::new_v4(),
        quantities: lines.iter().copied().collect(),
        remembered_until: now + TTL,
    }
}

fn quantities(cart: &StoredCart) -> BTreeMap<Uuid, u16> {
    cart.lines.iter().map(|(id, line)| (*id, line.quantity)).collect()
}

async fn put(store: &Store, key: CartKey, product: Uuid, quantity: u16, now: OffsetDateTime) -> StoredCart {
    match store.set_line(key, product, quantity, at(now)).await.unwrap() {
        SetLine::Done(cart) => cart,
        SetLine::Full => panic!("the cart is full"),
    }
}

/// Writes come and go; each bumps the revision only when it changes something, and moves the expiry either way.
async fn revisions_count_changes(store: Store) {
    let (key, product, now) = (user(), Uuid::new_v4(), start());
    assert_eq!(store.find(key, now).await.unwrap(), None);
    assert_eq!(store.remove_line(key, product, at(now)).await.unwrap(), None);
    store.clear(key, at(now)).await.unwrap();
    assert_eq!(
        store.find(key, now).await.unwrap(),
        None,
        "nothing was made by it"
    );

    let first = put(&store, key, product, 2, now).await;
    assert_eq!((first.revision, first.updated_at), (1, now));
    let later = now + Duration::hours(1);
    let same = put(&store, key, product, 2, later).await;
    assert_eq!(
        (same.revision, same.updated_at, same.expires_at),
        (1, now, later + TTL)
    );
    let more = put(&store, key, product, 3, later).await;
    assert_eq!((more.revision, more.updated_at), (2, later));
    assert_eq!(
        more.lines[&product].added_at, now,
        "a line keeps the time it came in"
    );

    let gone = store.remove_line(key, product, at(later)).await.unwrap().unwrap();
    assert_eq!((gone.revision, gone.lines.len()), (3, 0));
    let again = store.remove_line(key, product, at(later)).await.unwrap().unwrap();
    assert_eq!(again.revision, 3);
    put(&store, key, product, 1, later).await;
    store.clear(key, at(later)).await.unwrap();
    store.clear(key, at(later)).await.unwrap();
    let cleared = store.find(key, later).await.unwrap().unwrap();
    assert_eq!(
        (cleared.revision, cleared.lines.len()),
        (5, 0),
        "a cleared cart keeps its revision"
    );
}

/// The same id as a customer and as a visitor are two carts.
async fn kinds_are_apart(store: Store) {
    let (id, product, now) = (Uuid::new_v4(), Uuid::new_v4(), start());
    let kind = CartKind::Anonymous;
    put(&store, CartKey { kind, id }, product, 2, now).await;
    assert_eq!(store.find(CartKey::user(id), now).await.unwrap(), None);
    let merged = store.merge(id, id, at(now)).await.unwrap();
    assert_eq!(quantities(&merged.cart.unwrap()), [(product, 2)].into());
    assert_eq!(store.find(CartKey { kind, id }, now).await.unwrap(), None);
}

/// An expired cart does not exist for any verb, whether it was reaped or not.
async fn expired_carts_are_empty(store: Store) {
    let (key, visitor, product, now) = (user(), anonymous(), Uuid::new_v4(), start());
    for cart in [key, visitor] {
        put(&store, cart, product, 2, now).await;
        put(&store, cart, Uuid::new_v4(), 2, now).await;
    }
    let end = now + TTL;
    let just_before = end - Duration::microseconds(1);
    assert!(store.find(key, just_before).await.unwrap().is_some());
    assert_eq!(store.find(key, end).await.unwrap(), None);
    assert_eq!(store.remove_line(key, product, at(end)).await.unwrap(), None);
    let merged = store.merge(key.id, visitor.id, at(end)).await.unwrap();
    assert_eq!((merged.cart, merged.dropped.len()), (None, 0));
    let bought = purchase(key, &[(product, 1)], end);
    assert_eq!(store.take_purchase(&bought, at(end)).await.unwrap(), None);
    let fresh = put(&store, key, product, 7, end).await;
    assert_eq!(
        (fresh.revision, quantities(&fresh)),
        (1, [(product, 7)].into()),
        "a new cart"
    );

    let stale = user();
    put(&store, stale, product, 1, now).await;
    put(&store, visitor, product, 4, end).await;
    let merged = store
        .merge(stale.id, visitor.id, at(end))
        .await
        .unwrap()
        .cart
        .unwrap();
    assert_eq!(
        (merged.revision, quantities(&merged)),
        (1, [(product, 4)].into()),
        "nothing of the expired one"
    );
}

/// In bounded batches, and only what has expired.
async fn reaping_is_bounded(store: Store) {
    let now = start();
    let (live, product) = (user(), Uuid::new_v4());
    for _ in 0..7 {
        let old = anonymous();
        put(&store, old, product, 1, now).await;
        let bought = purchase(CartKey::user(old.id), &[(product, 1)], now);
        store.take_purchase(&bought, at(now)).await.unwrap();
    }
    let later = now + TTL + Duration::days(2);
    put(&store, live, product, 1, later).await;
    let mut removed = 0;
    for round in 0.. {
        assert!(round < 10, "it comes to an end");
        let batch = store.reap(later, 3).await.unwrap();
        assert!(batch <= 2 * 3, "at most 3 carts and 3 purchases");
        removed += batch;
        if batch == 0 {
            break;
        }
    }
    // A store that forgets by itself removes nothing here.
    assert!(removed == 14 || removed == 0, "{removed}");
    assert_eq!(store.find(live, later).await.unwrap().unwrap().lines.len(), 1);
}

/// The hundred-and-first line is refused, and so is any beyond it when they come at once.
async fn lines_are_limited(store: Store) {
    let (key, now) = (user(), start());
    let products: Vec<Uuid> = (0..130).map(|_| Uuid::new_v4()).collect();
    let puts = products
        .iter()
        .map(|product| store.set_line(key, *product, 1, at(now)));
    let outcomes = join_all(puts).await;
    let done = outcomes
        .iter()
        .filter(|o| matches!(o, Ok(SetLine::Done(_))))
        .count();
    let full = outcomes.iter().filter(|o| matches!(o, Ok(SetLine::Full))).count();
    assert_eq!((done, full), (LINES_MAX, 30));
    let cart = store.find(key, now).await.unwrap().unwrap();
    assert_eq!((cart.lines.len(), cart.revision), (LINES_MAX, 100));
    let there = *cart.lines.keys().next().unwrap();
    assert_eq!(
        put(&store, key, there, 9, now).await.revision,
        101,
        "lines that are there may change"
    );
    store.remove_line(key, there, at(now)).await.unwrap();
    put(&store, key, Uuid::new_v4(), 1, now).await;
}

/// Concurrent writes to one cart: none is lost, and each is counted.
async fn concurrent_writes_all_count(store: Store) {
    let (key, now) = (user(), start());
    let products: Vec<Uuid> = (0..40).map(|_| Uuid::new_v4()).collect();
    let shared = Uuid::new_v4();
    let own = products
        .iter()
        .map(|product| store.set_line(key, *product, 5, at(now)));
    let same = (1..=40).map(|quantity| store.set_line(key, shared, quantity, at(now)));
    for outcome in join_all(own.chain(same)).await {
        assert!(matches!(outcome.unwrap(), SetLine::Done(_)));
    }
    let cart = store.find(key, now).await.unwrap().unwrap();
    assert_eq!((cart.lines.len(), cart.revision), (41, 80));
    assert!(products.iter().all(|product| cart.lines[product].quantity == 5));
}

async fn behaves_like_the_model(store: Store) {
    model_based::check(&store);
}

/// `contract!(adapter, future of a fresh store, future of a store on a server of the test's own => tests of outages)`: every
/// test of the suite as `adapter::…`. A future gives `None` where the store cannot be had, which the test kit then lists as
/// not run.
macro_rules! contract {
    ($adapter:ident, $open:expr $(, $own:expr => $($outage:ident),+)?) => {
        mod $adapter {
            emporium_test_kit::contract_tests!($open => revisions_count_changes, kinds_are_apart, expired_carts_are_empty,
                reaping_is_bounded, lines_are_limited, concurrent_writes_all_count, merges_happen_once,
                full_carts_keep_their_own_lines, concurrent_merges_lose_nothing, merges_and_writes_interleave,
                crossing_merges_lose_nothing, purchases_happen_once_a_saga, purchases_are_remembered_without_a_cart,
                purchases_and_writes_interleave, behaves_like_the_model);
            $(emporium_test_kit::contract_tests!($own => $($outage),+);)?
        }
    };
}

contract!(postgres, crate::store::postgres::tests::fresh(),
    crate::store::postgres::tests::own() => a_restart_loses_nothing, a_pause_is_an_error_in_time);
contract!(redis, crate::store::redis::tests::fresh(),
    crate::store::redis::tests::own() => a_restart_loses_nothing, a_pause_is_an_error_in_time);
contract!(redis_cluster, crate::store::redis::tests::fresh_in_cluster(),
    crate::store::redis::tests::own_cluster() => a_restart_loses_nothing, a_pause_is_an_error_in_time);
