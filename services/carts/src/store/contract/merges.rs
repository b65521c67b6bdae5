//! The part of the suite about merging a visitor's cart into a customer's.

use std::collections::BTreeMap;

use futures::future::join_all;
use time::Duration;
use uuid::Uuid;

use super::{Store, anonymous, at, put, quantities, start, user};
use crate::model::{CartKey, LINES_MAX, QUANTITY_MAX};
use crate::store::Merged;

/// Merging adds up to 999, keeps the customer's lines and the visitor's newest, says what it left out, and does all that
/// once, also when it is asked for many times at once.
pub async fn merges_happen_once(store: Store) {
    let (key, visitor, now) = (user(), anonymous(), start());
    let (both, many, new) = (Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4());
    put(&store, key, both, 2, now).await;
    put(&store, key, many, 600, now).await;
    for (product, quantity) in [(both, 3), (many, 500), (new, 4)] {
        put(&store, visitor, product, quantity, now).await;
    }
    let outcomes = join_all((0..20).map(|_| store.merge(key.id, visitor.id, at(now)))).await;
    let dropped: u16 = outcomes
        .iter()
        .flat_map(|outcome| &outcome.as_ref().unwrap().dropped)
        .map(|line| line.quantity)
        .sum();
    assert_eq!(dropped, 101, "told once");
    let cart = store.find(key, now).await.unwrap().unwrap();
    assert_eq!(
        quantities(&cart),
        [(both, 5), (many, QUANTITY_MAX), (new, 4)].into()
    );
    assert_eq!(cart.revision, 3);
    assert_eq!(store.find(visitor, now).await.unwrap(), None);
    let later = now + Duration::hours(1);
    let again = store.merge(key.id, visitor.id, at(later)).await.unwrap();
    let expected = Merged {
        cart: Some(cart),
        dropped: Vec::new(),
    };
    assert_eq!(
        again, expected,
        "a repetition changes nothing, the expiry included"
    );
}

pub async fn full_carts_keep_their_own_lines(store: Store) {
    let (key, visitor, now) = (user(), anonymous(), start());
    for _ in 0..98 {
        put(&store, key, Uuid::new_v4(), 1, now).await;
    }
    let own = store.find(key, now).await.unwrap().unwrap().lines;
    let products: Vec<Uuid> = (0..5).map(|_| Uuid::new_v4()).collect();
    for (n, product) in (0..).zip(&products) {
        put(&store, visitor, *product, 3, now + Duration::seconds(n)).await;
    }
    let merged = store
        .merge(key.id, visitor.id, at(now + Duration::minutes(1)))
        .await
        .unwrap();
    let cart = merged.cart.unwrap();
    assert_eq!((cart.lines.len(), cart.revision), (LINES_MAX, 99));
    assert!(own.iter().all(|(product, line)| cart.lines[product] == *line));
    assert!(
        cart.lines.contains_key(&products[4]) && cart.lines.contains_key(&products[3]),
        "the newest"
    );
    let dropped: BTreeMap<Uuid, u16> = merged
        .dropped
        .iter()
        .map(|line| (line.product_id, line.quantity))
        .collect();
    assert_eq!(
        dropped,
        products[..3].iter().map(|product| (*product, 3)).collect()
    );
}

/// Several visitors' carts into one customer's, at once.
pub async fn concurrent_merges_lose_nothing(store: Store) {
    let (key, now) = (user(), start());
    let shared = Uuid::new_v4();
    let visitors: Vec<CartKey> = (0..8).map(|_| anonymous()).collect();
    for visitor in &visitors {
        put(&store, *visitor, shared, 2, now).await;
        put(&store, *visitor, Uuid::new_v4(), 1, now).await;
    }
    for outcome in join_all(
        visitors
            .iter()
            .map(|visitor| store.merge(key.id, visitor.id, at(now))),
    )
    .await
    {
        outcome.unwrap();
    }
    let cart = store.find(key, now).await.unwrap().unwrap();
    assert_eq!(
        (cart.lines.len(), cart.lines[&shared].quantity, cart.revision),
        (9, 16, 8)
    );
}

/// A visitor who goes on shopping in the middle of the merge: each product arrives, and arrives once.
pub async fn merges_and_writes_interleave(store: Store) {
    let (key, visitor, now) = (user(), anonymous(), start());
    let products: Vec<Uuid> = (0..60).map(|_| Uuid::new_v4()).collect();
    let putting = async {
        // One after the other, as a visitor does it, so that writes come at every moment of the merges.
        for (n, product) in (1..).zip(&products) {
            put(&store, visitor, *product, n, now).await;
            assert!(store.find(visitor, now).await.is_ok());
        }
    };
    let merging = async {
        for _ in 0..15 {
            let merges = (0..4).map(|_| store.merge(key.id, visitor.id, at(now)));
            for outcome in join_all(merges).await {
                assert!(outcome.unwrap().dropped.is_empty());
            }
        }
    };
    futures::join!(putting, merging);
    let merged = store.merge(key.id, visitor.id, at(now)).await.unwrap();
    let expected: BTreeMap<Uuid, u16> = products.iter().copied().zip(1..).collect();
    assert_eq!(quantities(&merged.cart.unwrap()), expected);
    assert_eq!(store.find(visitor, now).await.unwrap(), None);
}

/// Several customers who each take the same visitors' carts, all at once: each cart goes to exactly one of them.
pub async fn crossing_merges_lose_nothing(store: Store) {
    let now = start();
    let customers: Vec<CartKey> = (0..3).map(|_| user()).collect();
    let visitors: Vec<(CartKey, Uuid)> = (0..6).map(|_| (anonymous(), Uuid::new_v4())).collect();
    for (visitor, product) in &visitors {
        put(&store, *visitor, *product, 2, now).await;
    }
    let pairs = customers
        .iter()
        .flat_map(|customer| visitors.iter().map(move |one| (customer, one)));
    let merges = pairs.map(|(customer, (visitor, _))| store.merge(customer.id, visitor.id, at(now)));
    for outcome in join_all(merges).await {
        outcome.unwrap();
    }
    let mut found = Vec::new();
    for customer in &customers {
        let cart = store.find(*customer, now).await.unwrap();
        found.extend(cart.iter().flat_map(quantities));
    }
    found.sort_unstable();
    let mut expected: Vec<(Uuid, u16)> = visitors.iter().map(|(_, product)| (*product, 2)).collect();
    expected.sort_unstable();
    assert_eq!(found, expected);
}
