//! The part of the suite about servers that die, or stand still, in the middle of the work.

use std::sync::atomic::{AtomicUsize, Ordering};

use emporium_event_bus::{ApplyError, CloudEvent};
use emporium_service_kit::StoreError;
use emporium_test_kit::{OwnServer, eventually};
use futures::future::join;
use uuid::Uuid;

use super::history::{order, product};
use super::{NOON, Store, apply};
use crate::model::Scope;
use crate::store::Subject;

/// Longest time until a store that is back has to be used again, in seconds.
const RECOVERY_MAX: u64 = 5;
/// Events of a batch.
const BATCH: usize = 5;
const ORDERS: u32 = 5_000;

/// A store on a server of the test's own, which keeps all that it acknowledges.
pub struct Own {
    pub store: Store,
    pub server: Box<dyn OwnServer>,
}

/// Delivers batches as the bus does: each again until it is acknowledged.
async fn deliver(store: &Store, events: &[CloudEvent], done: &AtomicUsize) {
    for batch in events.chunks(BATCH) {
        let batch: Vec<&CloudEvent> = batch.iter().collect();
        loop {
            match store.projection().apply(&batch).await {
                Ok(()) => break,
                // Not a tight loop while nobody is there.
                Err(ApplyError::Unavailable(_)) => {
                    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                }
                Err(error) => panic!("{error}"),
            }
        }
        done.fetch_add(1, Ordering::SeqCst);
    }
}

/// The server is killed while events come, and starts again: each of them counts once.
pub async fn a_restart_loses_nothing(own: Own) {
    let Own { store, server } = own;
    let (cup, customer) = (Uuid::now_v7(), Uuid::now_v7());
    let mut events = vec![product(cup, 1, true)];
    events.extend((0..ORDERS).map(|_| order(None, NOON, &[cup])));
    events.push(order(Some(customer), NOON, &[cup]));
    let done = AtomicUsize::new(0);
    let torment = async {
        for mark in [100, 400] {
            eventually("so many batches are acknowledged", 20, async || {
                (done.load(Ordering::SeqCst) >= mark).then_some(())
            })
            .await;
            server.kill().await;
            assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));
            server.restart().await;
        }
    };
    join(deliver(&store, &events, &done), torment).await;
    // Delivered once more, all of it is known.
    deliver(&store, &events[..500], &done).await;
    let popular = store.popular(5).await.unwrap();
    let baskets = popular.items[0].score;
    assert!(
        (baskets - (f64::from(ORDERS) + 1.0)).abs() < 0.5,
        "{baskets} baskets"
    );
    let all = store.for_you(customer, Scope::All, 5).await.unwrap();
    assert_eq!(all.items[0].times, Some(1));
}

/// The server stands still with its connections open: every verb fails in time, and works again soon after.
pub async fn a_pause_is_an_error_in_time(own: Own) {
    let Own { store, server } = own;
    let (cup, customer) = (Uuid::now_v7(), Uuid::now_v7());
    let event = order(Some(customer), NOON, &[cup]);
    apply(&store, &[product(cup, 1, true), event.clone()]).await;
    server.pause().await;
    let projection = store.projection();
    let cart = [cup];
    let calls = async {
        let reads = futures::future::join_all([
            is_away(store.also_bought(cup, 5)),
            is_away(store.bought_together(&cart, 5)),
            is_away(store.for_you(customer, Scope::New, 5)),
            is_away(store.for_you(customer, Scope::All, 5)),
            is_away(store.buy_again(customer, 5)),
            is_away(store.popular(5)),
            is_away(store.stamp(Subject::Customer(customer), &cart)),
            is_away(store.ping()),
        ]);
        join(reads, projection.apply(&[&event])).await
    };
    let (reads, applied) = tokio::time::timeout(server.error_max(), calls)
        .await
        .expect("errors in time");
    for (n, unavailable) in reads.into_iter().enumerate() {
        assert!(
            unavailable,
            "call {n} said something else than that the store is away"
        );
    }
    assert!(matches!(applied, Err(ApplyError::Unavailable(_))), "{applied:?}");
    server.resume().await;
    let all = eventually("it works again", RECOVERY_MAX, async || {
        store.projection().apply(&[&event]).await.ok()?;
        store.for_you(customer, Scope::All, 5).await.ok()
    })
    .await;
    assert_eq!(all.items[0].times, Some(1));
}

/// Whether a call says that the store is away.
fn is_away<'a, T>(
    call: impl Future<Output = Result<T, StoreError>> + Send + 'a,
) -> futures::future::BoxFuture<'a, bool> {
    Box::pin(async move { matches!(call.await, Err(StoreError::Unavailable(_))) })
}
