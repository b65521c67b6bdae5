//! The part of the suite about bought goods.

use futures::future::join_all;
use uuid::Uuid;

use super::{Store, at, purchase, put, quantities, start, user};
use crate::store::Purchase;

/// A saga's purchase is taken off once, however often it is reported; what was added since stays.
pub async fn purchases_happen_once_a_saga(store: Store) {
    let (key, now) = (user(), start());
    let (some, all, kept) = (Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4());
    for (product, quantity) in [(some, 5), (all, 2), (kept, 1)] {
        put(&store, key, product, quantity, now).await;
    }
    let bought = purchase(key, &[(some, 3), (all, 4), (Uuid::new_v4(), 1)], now);
    for outcome in join_all((0..20).map(|_| store.take_purchase(&bought, at(now)))).await {
        let cart = outcome.unwrap().unwrap();
        assert_eq!(
            (quantities(&cart), cart.revision),
            ([(some, 2), (kept, 1)].into(), 4)
        );
    }
    put(&store, key, all, 6, now).await;
    let again = store.take_purchase(&bought, at(now)).await.unwrap().unwrap();
    assert_eq!((quantities(&again)[&all], again.revision), (6, 5));
    let unrelated = purchase(key, &[(Uuid::new_v4(), 1)], now);
    let same = store.take_purchase(&unrelated, at(now)).await.unwrap().unwrap();
    assert_eq!(same.revision, 5, "nothing of it was in the cart");
}

/// A saga is remembered when there was no cart, and when the cart was cleared in between; and it is its customer's.
pub async fn purchases_are_remembered_without_a_cart(store: Store) {
    let (key, other, product, now) = (user(), user(), Uuid::new_v4(), start());
    let bought = purchase(key, &[(product, 1)], now);
    assert_eq!(store.take_purchase(&bought, at(now)).await.unwrap(), None);
    put(&store, key, product, 1, now).await;
    let kept = store.take_purchase(&bought, at(now)).await.unwrap().unwrap();
    assert_eq!(quantities(&kept), [(product, 1)].into());
    store.clear(key, at(now)).await.unwrap();
    put(&store, key, product, 1, now).await;
    let kept = store.take_purchase(&bought, at(now)).await.unwrap().unwrap();
    assert_eq!(quantities(&kept), [(product, 1)].into());

    put(&store, other, product, 1, now).await;
    let same_saga = Purchase {
        user_id: other.id,
        ..bought
    };
    let taken = store.take_purchase(&same_saga, at(now)).await.unwrap().unwrap();
    assert!(taken.lines.is_empty());
}

/// Purchases against writes to the same cart: whatever the order, no unit is lost or taken twice.
pub async fn purchases_and_writes_interleave(store: Store) {
    let (key, product, now) = (user(), Uuid::new_v4(), start());
    put(&store, key, product, 500, now).await;
    let sagas: Vec<Purchase> = (0..20).map(|_| purchase(key, &[(product, 7)], now)).collect();
    let others: Vec<Uuid> = (0..20).map(|_| Uuid::new_v4()).collect();
    let taking = join_all(sagas.iter().map(|bought| store.take_purchase(bought, at(now))));
    let putting = join_all(others.iter().map(|other| store.set_line(key, *other, 1, at(now))));
    let (taken, set) = futures::join!(taking, putting);
    assert!(
        taken.into_iter().all(|outcome| outcome.is_ok()) && set.into_iter().all(|outcome| outcome.is_ok())
    );
    let cart = store.find(key, now).await.unwrap().unwrap();
    assert_eq!(
        (cart.lines[&product].quantity, cart.lines.len(), cart.revision),
        (500 - 140, 21, 41)
    );
}
