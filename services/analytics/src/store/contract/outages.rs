//! The part of the suite about servers that die, or stand still, in the middle of the work.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use emporium_event_bus::{ApplyError, CloudEvent};
use emporium_service_kit::StoreError;
use emporium_test_kit::{OwnServer, eventually};
use futures::future::join;
use uuid::Uuid;

use super::history::{activity, gbp, order, order_event};
use super::{GBP, NOON, Store, apply, today, total};
use crate::model::{Activity, By, Rank, What};
use crate::store::Ranking;

/// Longest time until a store that is back has to be used again, in seconds.
const RECOVERY_MAX: u64 = 5;
/// Events of a batch.
const BATCH: usize = 5;

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

/// The server is killed while events and activities come, and starts again: each of them is there once.
pub async fn a_restart_loses_nothing(own: Own) {
    let Own { store, server } = own;
    let product = Uuid::new_v4();
    let events: Vec<CloudEvent> = (0..6_000)
        .map(|_| order_event("confirmed", &order(None, NOON, "GB", &[(product, 1, 100)]), NOON))
        .collect();
    let (done, stopped) = (AtomicUsize::new(0), AtomicBool::new(false));
    let visits = async {
        let mut sent = 0;
        while !stopped.load(Ordering::SeqCst) {
            let items: Vec<Activity> = (0..5)
                .map(|_| activity(Uuid::new_v4(), None, NOON, What::View { product_id: product }))
                .collect();
            // The same batch until there is an answer.
            while store.record(&items, 1_000_000).await.is_err() {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
            sent += 5;
        }
        sent
    };
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
    let feeding = async {
        join(deliver(&store, &events, &done), torment).await;
        stopped.store(true, Ordering::SeqCst);
    };
    let (sent, ()) = join(visits, feeding).await;

    let sales = total(&store, today(), By::Day).await;
    assert_eq!((sales.orders, sales.gross), (Some(6_000), gbp(6_000 * 350)));
    assert_eq!(store.funnel(today()).await.unwrap().total.visitors, sent);
    // Delivered once more, all of it is known.
    deliver(&store, &events[..500], &done).await;
    assert_eq!(total(&store, today(), By::Category).await.units, 6_000);
}

/// The server stands still with its connections open: every verb fails in time, and works again soon after.
pub async fn a_pause_is_an_error_in_time(own: Own) {
    let Own { store, server } = own;
    let event = order_event("confirmed", &order(None, NOON, "GB", &[]), NOON);
    let item = activity(Uuid::new_v4(), None, NOON, What::Checkout);
    apply(&store, std::slice::from_ref(&event)).await;
    server.pause().await;
    let ranking = Ranking {
        days: today(),
        currency: GBP,
        rank: Rank::Revenue,
        category: None,
        limit: 5,
    };
    let projection = store.projection();
    let calls = async {
        let reads = futures::future::join_all([
            is_away(store.revenue(today(), GBP, By::Country, 5)),
            is_away(store.top_products(&ranking)),
            is_away(store.funnel(today())),
            is_away(store.cohorts(today())),
            is_away(store.baskets(today(), GBP)),
            is_away(store.repeat(today())),
            is_away(store.live(NOON, GBP)),
            is_away(store.empty_searches(today(), 5)),
            is_away(store.totals(today())),
            is_away(store.record(std::slice::from_ref(&item), 9)),
            is_away(store.close_days(NOON.date(), 5)),
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
    eventually("it works again", RECOVERY_MAX, async || {
        store.projection().apply(&[&event]).await.ok()?;
        store.record(std::slice::from_ref(&item), 9).await.ok()
    })
    .await;
    assert_eq!(total(&store, today(), By::Day).await.orders, Some(1));
    assert_eq!(store.funnel(today()).await.unwrap().total.began_checkout, 1);
}

/// Whether a call says that the store is away.
fn is_away<'a, T>(
    call: impl Future<Output = Result<T, StoreError>> + Send + 'a,
) -> futures::future::BoxFuture<'a, bool> {
    Box::pin(async move { matches!(call.await, Err(StoreError::Unavailable(_))) })
}
