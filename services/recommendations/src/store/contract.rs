//! The suite that every adapter passes. An adapter joins it with one line at the end of this file.

use std::collections::BTreeSet;
use std::sync::Arc;

use emporium_event_bus::CloudEvent;
use emporium_test_kit::projection::{members_deliver, refuses_the_unreadable};
use serde_json::json;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{Made, RecommendationStore, Subject};
use crate::model::{Reason, Scope};

mod customers;
mod gaps;
pub mod history;
mod oracle;
pub mod outages;
mod random;

use customers::{
    buy_again_leaves_out_what_was_just_bought_or_given_back, customers_goods_lead_to_new_ones,
    super_customers_are_bounded, the_next_basket_may_hold_old_goods_too,
};
use gaps::{an_old_history_may_come_later, an_order_after_years_outdates_nothing};
use history::{confirmed_lines, order, product};
use outages::{a_pause_is_an_error_in_time, a_restart_loses_nothing};
use random::any_order_and_repetition_gives_the_same;

type Store = Arc<dyn RecommendationStore>;

const NOON: OffsetDateTime = datetime!(2024-03-10 12:00 UTC);

async fn apply(store: &Store, events: &[CloudEvent]) {
    emporium_test_kit::projection::apply(&*store.projection(), events).await;
}

/// Goods that the catalog has told of.
async fn goods<const N: usize>(store: &Store) -> [Uuid; N] {
    let goods = [(); N].map(|()| Uuid::now_v7());
    apply(store, &goods.map(|good| product(good, 1, true))).await;
    goods
}

fn ids(made: &Made) -> Vec<Uuid> {
    made.items.iter().map(|item| item.product_id).collect()
}

fn days_ago(days: i64) -> OffsetDateTime {
    NOON - Duration::days(days)
}

/// Nothing happened: every shelf is empty, and none fails.
async fn nothing_gives_empty_shelves(store: Store) {
    let id = Uuid::now_v7();
    for made in [
        store.also_bought(id, 50).await.unwrap(),
        store.bought_together(&[id], 50).await.unwrap(),
        store.bought_together(&[], 50).await.unwrap(),
        store.for_you(id, Scope::New, 50).await.unwrap(),
        store.for_you(id, Scope::All, 50).await.unwrap(),
        store.buy_again(id, 50).await.unwrap(),
        store.popular(50).await.unwrap(),
    ] {
        assert!(made.items.is_empty(), "{made:?}");
    }
    assert!(store.stamp(Subject::Product(id), &[]).await.unwrap().is_some());
    assert_eq!(
        store.stamp(Subject::Everybody, &[id]).await.unwrap(),
        None,
        "not sold"
    );
    store.ping().await.unwrap();
}

/// The companion wins over the best-seller that is in most baskets; each says why it is there.
async fn best_sellers_do_not_drown_companions(store: Store) {
    let [cup, saucer, best_seller, lamp] = goods(&store).await;
    let mut events = Vec::new();
    for n in 0..40 {
        events.push(order(None, days_ago(n % 20), &[best_seller, lamp]));
    }
    for n in 0..8 {
        events.push(order(None, days_ago(n), &[cup, saucer, best_seller]));
    }
    apply(&store, &events).await;
    let made = store.also_bought(cup, 10).await.unwrap();
    assert_eq!(ids(&made), [saucer, best_seller]);
    for item in &made.items {
        assert_eq!(
            (item.reason, item.because, item.together),
            (Reason::BoughtTogether, Some(cup), Some(8))
        );
    }
    assert_eq!(ids(&store.popular(2).await.unwrap()), [best_seller, lamp]);
    assert_eq!(ids(&store.also_bought(cup, 1).await.unwrap()), [saucer]);
}

/// Now is the newest order's time: a shop whose history ended long ago has shelves as on its last day. What is a year older
/// still tells, less. An order of the future, by the clock, is not now.
async fn now_is_the_time_of_the_newest_order(store: Store) {
    let [cup, saucer, plate] = goods(&store).await;
    apply(
        &store,
        &[
            order(None, days_ago(300), &[cup, plate]),
            order(None, days_ago(300), &[cup, plate]),
            order(None, NOON, &[cup, saucer]),
        ],
    )
    .await;
    let before = store.also_bought(cup, 10).await.unwrap();
    assert_eq!(ids(&before), [saucer, plate]);
    assert!(
        before.items[0].score > 5.0 * before.items[1].score,
        "the old ones have faded"
    );
    let popular = store.popular(10).await.unwrap();
    assert!((popular.items[0].score - 1.0).abs() < 1e-3, "{popular:?}");
    apply(
        &store,
        &[order(None, NOON + Duration::days(70), &[saucer, plate])],
    )
    .await;
    assert_eq!(ids(&store.also_bought(cup, 10).await.unwrap()), [saucer, plate]);
    let future = datetime!(2098-01-01 0:00 UTC);
    apply(&store, &[order(None, future, &[saucer, plate])]).await;
    assert_eq!(ids(&store.also_bought(cup, 10).await.unwrap()), [saucer, plate]);
    let both = store.also_bought(plate, 10).await.unwrap();
    assert!(both.items.iter().all(|item| item.score.is_finite()));
}

/// What is archived, or not told of, is on no shelf; a late event of an old version changes nothing.
async fn only_what_is_sold_is_suggested(store: Store) {
    let [cup, saucer, plate] = goods(&store).await;
    let (unknown, customer) = (Uuid::now_v7(), Uuid::now_v7());
    apply(
        &store,
        &[
            order(Some(customer), days_ago(20), &[cup, saucer, plate, unknown]),
            order(Some(customer), days_ago(10), &[cup, saucer, plate, unknown]),
            order(Some(Uuid::now_v7()), NOON, &[plate]),
        ],
    )
    .await;
    let shelves = async || -> Vec<BTreeSet<Uuid>> {
        let made = [
            store.also_bought(cup, 10).await,
            store.bought_together(&[cup], 10).await,
            store.for_you(customer, Scope::All, 10).await,
            store.buy_again(customer, 10).await,
            store.popular(10).await,
        ];
        made.into_iter()
            .map(|made| ids(&made.unwrap()).into_iter().collect())
            .collect()
    };
    let with_cup = BTreeSet::from([cup, saucer, plate]);
    let without_cup = BTreeSet::from([saucer, plate]);
    let all = [&without_cup, &without_cup, &with_cup, &with_cup, &with_cup].map(BTreeSet::clone);
    assert_eq!(shelves().await, all);
    let stamp = store.stamp(Subject::Everybody, &[saucer, plate]).await.unwrap();
    assert!(stamp.is_some());
    apply(&store, &[product(saucer, 3, false), product(saucer, 2, true)]).await;
    for (shelf, mut before) in shelves().await.into_iter().zip(all.clone()) {
        before.remove(&saucer);
        assert_eq!(shelf, before);
    }
    assert_eq!(
        store.stamp(Subject::Everybody, &[saucer, plate]).await.unwrap(),
        None
    );
    apply(&store, &[product(saucer, 4, true)]).await;
    assert_eq!(shelves().await, all);
    apply(&store, &[product(unknown, 1, true)]).await;
    assert!(shelves().await.iter().all(|shelf| shelf.contains(&unknown)));
}

/// A line counts when somebody chose and paid it, a good once an order; guests' baskets count.
async fn goods_are_what_was_bought(store: Store) {
    let [cup, gift, nothing] = goods(&store).await;
    let line = |id: Uuid, quantity: i64, price: i64| json!({"product_id": id, "quantity": quantity, "unit_price": price});
    let lines = [
        line(cup, 1, 100),
        line(cup, 2, 90),
        line(gift, 1, 0),
        line(nothing, 0, 100),
    ];
    apply(&store, &[confirmed_lines(Uuid::now_v7(), None, NOON, &lines)]).await;
    // An order without goods is not a basket, and not now.
    let gifts = [line(gift, 1, 0)];
    apply(
        &store,
        &[confirmed_lines(
            Uuid::now_v7(),
            None,
            NOON + Duration::days(9),
            &gifts,
        )],
    )
    .await;
    assert!(store.also_bought(cup, 10).await.unwrap().items.is_empty());
    let popular = store.popular(10).await.unwrap();
    assert_eq!(ids(&popular), [cup]);
    assert!((popular.items[0].score - 1.0).abs() < 1e-4);
    apply(&store, &[confirmed_lines(Uuid::now_v7(), None, NOON, &[])]).await;
}

/// A cart's goods lead to what was bought with them more often than once, and not to themselves.
async fn carts_are_completed(store: Store) {
    let [cup, saucer, spoon, cake] = goods(&store).await;
    let once = order(None, NOON, &[cup, cake]);
    let mut events = vec![once];
    for n in 0..3 {
        events.push(order(None, days_ago(n), &[cup, spoon]));
        events.push(order(None, days_ago(n), &[saucer, spoon, cup]));
    }
    apply(&store, &events).await;
    let one = store.bought_together(&[cup], 10).await.unwrap();
    assert_eq!(ids(&one), [spoon, saucer]);
    assert_eq!(
        (one.items[0].together, one.items[0].because),
        (Some(6), Some(cup))
    );
    let cart = store.bought_together(&[saucer, cup, saucer], 10).await.unwrap();
    assert_eq!(ids(&cart), [spoon]);
    assert!(ids(&store.bought_together(&[cup, saucer, spoon], 10).await.unwrap()).is_empty());
    // Of a long cart the first fifty are looked for; the others are not suggested either.
    let mut long: Vec<Uuid> = (0..49).map(|_| Uuid::now_v7()).collect();
    long.extend([cup, spoon]);
    assert_eq!(ids(&store.bought_together(&long, 1).await.unwrap()), [saucer]);
}

/// Stamps change with the orders of their subject, and with no others.
async fn stamps_change_with_orders(store: Store) {
    let [cup, lamp] = goods(&store).await;
    let (ada, bob) = (Uuid::now_v7(), Uuid::now_v7());
    let stamps = async || {
        let mut stamps = Vec::new();
        for subject in [Subject::Product(cup), Subject::Customer(ada), Subject::Everybody] {
            stamps.push(store.stamp(subject, &[cup]).await.unwrap().unwrap());
        }
        stamps
    };
    let first = stamps().await;
    apply(&store, &[order(Some(bob), NOON, &[lamp])]).await;
    assert_eq!(stamps().await, first);
    apply(&store, &[order(Some(ada), NOON, &[lamp])]).await;
    let second = stamps().await;
    assert_eq!((&second[0], &second[2]), (&first[0], &first[2]));
    assert_ne!(second[1], first[1]);
    // An older order, which comes late, changes it as well.
    apply(&store, &[order(Some(ada), days_ago(50), &[cup])]).await;
    let third = stamps().await;
    assert!(third[0] != second[0] && third[1] != second[1]);
    assert_eq!(store.also_bought(cup, 5).await.unwrap().stamp, third[0]);
    assert_eq!(store.for_you(ada, Scope::New, 5).await.unwrap().stamp, third[1]);
    assert_eq!(store.popular(5).await.unwrap().stamp, third[2]);
}

/// The same events from many members at once, each several times: every one counts once, and nobody is refused. They come in
/// different orders and have goods in common, so that members meet on many rows.
async fn members_at_the_same_time_count_once(store: Store) {
    let goods: Vec<Uuid> = (0..6).map(|_| Uuid::now_v7()).collect();
    let customer = Uuid::now_v7();
    let mut events = Vec::new();
    for n in 0..60 {
        let bought = [goods[n % 6], goods[(n * 5 + 1) % 6], goods[(n * 3 + 2) % 6]];
        events.push(order(Some(customer), NOON, &bought));
        events.push(product(goods[n % 6], i64::try_from(n).unwrap() + 1, true));
        events.push(history::refund(Some(customer), NOON, &[(goods[n % 6], 1)]));
    }
    members_deliver(&*store.projection(), &events).await;
    let popular = store.popular(10).await.unwrap();
    assert_eq!(popular.items.len(), 6);
    let baskets: f64 = popular.items.iter().map(|item| item.score).sum();
    let expected: usize = (0..60_usize)
        .map(|n| BTreeSet::from([n % 6, (n * 5 + 1) % 6, (n * 3 + 2) % 6]).len())
        .sum();
    assert!(
        (baskets - f64::from(u32::try_from(expected).unwrap())).abs() < 0.01,
        "{baskets} for {expected}"
    );
    let all = store.for_you(customer, Scope::All, 10).await.unwrap();
    let times: u32 = all.items.iter().filter_map(|item| item.times).sum();
    assert_eq!(times as usize, expected);
}

/// An event that nobody can read is refused with its name, and nothing of its batch stays.
async fn unreadable_events_are_refused(store: Store) {
    let [cup] = goods(&store).await;
    let good = order(None, NOON, &[cup]);
    refuses_the_unreadable(&*store.projection(), &good).await;
    assert!(store.popular(5).await.unwrap().items.is_empty());
    apply(&store, &[good]).await;
    assert_eq!(store.popular(5).await.unwrap().items.len(), 1);
}

/// `contract!(adapter, future of a fresh store, future of a store on a server of the test's own => tests of outages)`: every
/// test of the suite as `adapter::…`. A future gives `None` where the store cannot be had, which the test kit then lists as
/// not run.
macro_rules! contract {
    ($adapter:ident, $open:expr $(, $own:expr => $($outage:ident),+)?) => {
        mod $adapter {
            emporium_test_kit::contract_tests!($open => nothing_gives_empty_shelves,
                best_sellers_do_not_drown_companions, now_is_the_time_of_the_newest_order, only_what_is_sold_is_suggested,
                goods_are_what_was_bought, carts_are_completed, stamps_change_with_orders,
                members_at_the_same_time_count_once, unreadable_events_are_refused, customers_goods_lead_to_new_ones,
                the_next_basket_may_hold_old_goods_too, buy_again_leaves_out_what_was_just_bought_or_given_back,
                super_customers_are_bounded, an_order_after_years_outdates_nothing, an_old_history_may_come_later,
                any_order_and_repetition_gives_the_same);
            $(emporium_test_kit::contract_tests!($own => $($outage),+);)?
        }
    };
}

contract!(postgres, crate::store::postgres::tests::fresh(),
    crate::store::postgres::tests::own() => a_restart_loses_nothing, a_pause_is_an_error_in_time);
contract!(neo4j, crate::store::neo4j::tests::fresh(),
    crate::store::neo4j::tests::own() => a_restart_loses_nothing, a_pause_is_an_error_in_time);
