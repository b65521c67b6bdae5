//! The part of the suite about servers that die, or stand still, in the middle of the work.

use emporium_test_kit::contract::{all_away, away};
use emporium_test_kit::eventually;
use emporium_test_kit::projection::{deliver, deliver_through_kills};
use uuid::Uuid;

use super::history::{order, product};
use super::{NOON, Store, apply};
use crate::model::Scope;
use crate::store::Subject;

/// Longest time until a store that is back has to be used again, in seconds.
const RECOVERY_MAX: u64 = 5;
const ORDERS: u32 = 5_000;

/// What is tested.
pub type Own = emporium_test_kit::Own<Store>;

/// The server is killed while events come, and starts again: each of them counts once.
pub async fn a_restart_loses_nothing(own: Own) {
    let Own { store, server } = own;
    let (cup, customer) = (Uuid::now_v7(), Uuid::now_v7());
    let mut events = vec![product(cup, 1, true)];
    events.extend((0..ORDERS).map(|_| order(None, NOON, &[cup])));
    events.push(order(Some(customer), NOON, &[cup]));
    let projection = store.projection();
    deliver_through_kills(&*projection, &events, &*server, async || store.ping().await).await;
    // Delivered once more, all of it is known.
    deliver(&*projection, &events[..500]).await;
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
    let (projection, events, cart) = (store.projection(), [&event], [cup]);
    let calls = [
        away("also_bought", store.also_bought(cup, 5)),
        away("bought_together", store.bought_together(&cart, 5)),
        away("for_you, new", store.for_you(customer, Scope::New, 5)),
        away("for_you, all", store.for_you(customer, Scope::All, 5)),
        away("buy_again", store.buy_again(customer, 5)),
        away("popular", store.popular(5)),
        away("stamp", store.stamp(Subject::Customer(customer), &cart)),
        away("ping", store.ping()),
        away("apply", projection.apply(&events)),
    ];
    all_away(server.error_max(), calls).await;
    server.resume().await;
    let all = eventually("it works again", RECOVERY_MAX, async || {
        projection.apply(&events).await.ok()?;
        store.for_you(customer, Scope::All, 5).await.ok()
    })
    .await;
    assert_eq!(all.items[0].times, Some(1));
}
