//! The part of the suite about servers that die, or stand still, in the middle of the work.

use std::sync::atomic::{AtomicBool, Ordering};

use emporium_event_bus::CloudEvent;
use emporium_test_kit::contract::{all_away, away};
use emporium_test_kit::eventually;
use emporium_test_kit::projection::{deliver, deliver_through_kills};
use futures::future::join;
use uuid::Uuid;

use super::history::{activity, gbp, order, order_event};
use super::{GBP, NOON, Store, apply, today, total};
use crate::model::{Activity, By, Rank, What};
use crate::store::Ranking;

/// Longest time until a store that is back has to be used again, in seconds.
const RECOVERY_MAX: u64 = 5;

/// What is tested.
pub type Own = emporium_test_kit::Own<Store>;

/// The server is killed while events and activities come, and starts again: each of them is there once.
pub async fn a_restart_loses_nothing(own: Own) {
    let Own { store, server } = own;
    let product = Uuid::new_v4();
    let events: Vec<CloudEvent> = (0..2_500)
        .map(|_| order_event("confirmed", &order(None, NOON, "GB", &[(product, 1, 100)]), NOON))
        .collect();
    let (projection, stopped) = (store.projection(), AtomicBool::new(false));
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
    let feeding = async {
        deliver_through_kills(&*projection, &events, &*server, async || store.ping().await).await;
        stopped.store(true, Ordering::SeqCst);
    };
    let (sent, ()) = join(visits, feeding).await;

    let sales = total(&store, today(), By::Day).await;
    assert_eq!((sales.orders, sales.gross), (Some(2_500), gbp(2_500 * 350)));
    assert_eq!(store.funnel(today()).await.unwrap().total.visitors, sent);
    // Delivered once more, all of it is known.
    deliver(&*projection, &events[..500]).await;
    assert_eq!(total(&store, today(), By::Category).await.units, 2_500);
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
    let (projection, events) = (store.projection(), [&event]);
    let calls = [
        away("revenue", store.revenue(today(), GBP, By::Country, 5)),
        away("top_products", store.top_products(&ranking)),
        away("funnel", store.funnel(today())),
        away("cohorts", store.cohorts(today())),
        away("baskets", store.baskets(today(), GBP)),
        away("repeat", store.repeat(today())),
        away("live", store.live(NOON, GBP)),
        away("empty_searches", store.empty_searches(today(), 5)),
        away("totals", store.totals(today())),
        away("record", store.record(std::slice::from_ref(&item), 9)),
        away("close_days", store.close_days(NOON.date(), 5)),
        away("ping", store.ping()),
        away("apply", projection.apply(&events)),
    ];
    all_away(server.error_max(), calls).await;
    server.resume().await;
    eventually("it works again", RECOVERY_MAX, async || {
        projection.apply(&events).await.ok()?;
        store.record(std::slice::from_ref(&item), 9).await.ok()
    })
    .await;
    assert_eq!(total(&store, today(), By::Day).await.orders, Some(1));
    assert_eq!(store.funnel(today()).await.unwrap().total.began_checkout, 1);
}
