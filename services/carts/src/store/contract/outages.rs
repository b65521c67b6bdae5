//! The part of the suite about servers that die, or stand still, in the middle of the work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use emporium_service_kit::StoreError;
use emporium_test_kit::contract::{all_away, away, kill_amid};
use emporium_test_kit::eventually;
use futures::future::join_all;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Store, anonymous, at, purchase, put, quantities, start, user};
use crate::model::CartKey;
use crate::store::SetLine;

/// Longest time until a store that is back has to be used again, in seconds.
const RECOVERY_MAX: u64 = 5;
const WRITERS: usize = 8;

/// What is tested.
pub type Own = emporium_test_kit::Own<Store>;

/// Writes to a cart of its own without pause and remembers the last revision that was acknowledged.
struct Writer {
    key: CartKey,
    acknowledged: AtomicI64,
}

impl Writer {
    async fn run(&self, store: &Store, now: OffsetDateTime, stop: &AtomicBool) {
        let product = Uuid::new_v4();
        for quantity in (1..=999).cycle() {
            if stop.load(Ordering::SeqCst) {
                return;
            }
            match store.set_line(self.key, product, quantity, at(now)).await {
                Ok(SetLine::Done(cart)) => self.acknowledged.store(cart.revision, Ordering::SeqCst),
                Ok(SetLine::Full) => panic!("one line is not too many"),
                // Not a tight loop while nobody is there.
                Err(StoreError::Unavailable(_)) => tokio::time::sleep(Duration::from_millis(10)).await,
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn revision(&self) -> i64 {
        self.acknowledged.load(Ordering::SeqCst)
    }
}

/// The server is killed while carts are written to, and starts again: all that was acknowledged is there, and the store
/// works again within seconds.
pub async fn a_restart_loses_nothing(own: Own) {
    let Own { store, server } = own;
    let now = start();
    let (buyer, visitor, product) = (user(), anonymous(), Uuid::new_v4());
    put(&store, buyer, product, 5, now).await;
    let bought = purchase(buyer, &[(product, 2)], now);
    store.take_purchase(&bought, at(now)).await.unwrap();
    put(&store, visitor, product, 4, now).await;
    store.merge(buyer.id, visitor.id, at(now)).await.unwrap();

    let stop = Arc::new(AtomicBool::new(false));
    let new_writer = |_| {
        Arc::new(Writer {
            key: user(),
            acknowledged: AtomicI64::new(0),
        })
    };
    let writers: Vec<Arc<Writer>> = (0..WRITERS).map(new_writer).collect();
    let running: Vec<_> = writers
        .iter()
        .map(|writer| {
            let (writer, store, stop) = (writer.clone(), store.clone(), stop.clone());
            tokio::spawn(async move { writer.run(&store, now, &stop).await })
        })
        .collect();
    let revisions = || writers.iter().map(|writer| writer.revision()).collect();
    kill_amid(&*server, async || store.ping().await, RECOVERY_MAX, revisions).await;
    stop.store(true, Ordering::SeqCst);
    for ended in join_all(running).await {
        ended.unwrap();
    }

    for writer in &writers {
        let cart = store.find(writer.key, now).await.unwrap().unwrap();
        // A write whose answer was lost may be there as well.
        assert!(
            cart.revision >= writer.revision(),
            "{} < {}",
            cart.revision,
            writer.revision()
        );
    }
    let kept = store.take_purchase(&bought, at(now)).await.unwrap().unwrap();
    assert_eq!(
        quantities(&kept),
        [(product, 3 + 4)].into(),
        "the purchase is remembered, the merge kept"
    );
    assert_eq!(store.find(visitor, now).await.unwrap(), None);
}

/// The server stands still with its connections open: every verb fails in time, and works again soon after.
pub async fn a_pause_is_an_error_in_time(own: Own) {
    let Own { store, server } = own;
    let now = start();
    let (key, visitor, product) = (user(), anonymous(), Uuid::new_v4());
    put(&store, key, product, 2, now).await;
    put(&store, visitor, product, 3, now).await;
    server.pause().await;
    // The second round meets connections that are being opened.
    for _ in 0..2 {
        let bought = purchase(user(), &[(product, 1)], now);
        let calls = [
            away("find", store.find(key, now)),
            away("set_line", store.set_line(key, product, 2, at(now))),
            away("remove_line", store.remove_line(key, Uuid::new_v4(), at(now))),
            away("clear", store.clear(user(), at(now))),
            away("merge", store.merge(key.id, visitor.id, at(now))),
            away("take_purchase", store.take_purchase(&bought, at(now))),
            away("ping", store.ping()),
        ];
        all_away(server.error_max(), calls).await;
    }
    server.resume().await;
    let merged = eventually("it works again", RECOVERY_MAX, async || {
        store.merge(key.id, visitor.id, at(now)).await.ok()
    })
    .await;
    assert_eq!(
        quantities(&merged.cart.unwrap()),
        [(product, 5)].into(),
        "merged, and merged once"
    );
}
