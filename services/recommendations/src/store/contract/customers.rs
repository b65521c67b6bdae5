//! The part of the suite about customers' own shelves.

use time::Duration;
use uuid::Uuid;

use super::history::{order, product, refund};
use super::{NOON, Store, apply, days_ago, goods, ids};
use crate::model::{Reason, Scope};
use crate::store::CUSTOMER_BASKETS_MAX;

/// New goods by the customer's own, with the reason; what is popular follows, and is all there is for a newcomer.
pub async fn customers_goods_lead_to_new_ones(store: Store) {
    let [cup, saucer, lamp, bulb, popular] = goods(&store).await;
    let (ada, others) = (Uuid::now_v7(), Uuid::now_v7());
    let mut events = vec![
        order(Some(ada), days_ago(5), &[cup]),
        order(Some(ada), days_ago(40), &[lamp]),
    ];
    for n in 0..6 {
        events.push(order(Some(others), days_ago(n), &[cup, saucer]));
        events.push(order(None, days_ago(n), &[lamp, bulb]));
        events.push(order(None, days_ago(n), &[popular]));
    }
    apply(&store, &events).await;
    let made = store.for_you(ada, Scope::New, 10).await.unwrap();
    assert_eq!(ids(&made), [saucer, bulb, popular]);
    let reasons: Vec<_> = made
        .items
        .iter()
        .map(|item| (item.reason, item.because))
        .collect();
    assert_eq!(
        reasons,
        [
            (Reason::BoughtTogether, Some(cup)),
            (Reason::BoughtTogether, Some(lamp)),
            (Reason::Popular, None)
        ]
    );
    assert_eq!(ids(&store.for_you(ada, Scope::New, 1).await.unwrap()), [saucer]);
    // What was just bought is not new any more.
    apply(&store, &[order(Some(ada), NOON, &[saucer])]).await;
    assert_eq!(
        ids(&store.for_you(ada, Scope::New, 10).await.unwrap()),
        [bulb, popular]
    );
    let newcomer = store.for_you(Uuid::now_v7(), Scope::New, 3).await.unwrap();
    assert_eq!(newcomer.items, store.popular(3).await.unwrap().items);
    assert!(newcomer.items.iter().all(|item| item.reason == Reason::Popular));
}

/// Among all goods, those bought before and those that go with them, best first.
pub async fn the_next_basket_may_hold_old_goods_too(store: Store) {
    let [tea, milk, cake] = goods(&store).await;
    let ada = Uuid::now_v7();
    let mut events: Vec<_> = (0..4)
        .map(|n| order(Some(ada), days_ago(10 * n), &[tea]))
        .collect();
    events.push(order(Some(ada), days_ago(15), &[milk]));
    events.extend((0..3).map(|n| order(None, days_ago(n), &[tea, cake])));
    apply(&store, &events).await;
    let made = store.for_you(ada, Scope::All, 10).await.unwrap();
    let shown: Vec<_> = made
        .items
        .iter()
        .map(|item| (item.product_id, item.reason, item.because, item.times))
        .collect();
    assert_eq!(
        shown,
        [
            (tea, Reason::BoughtBefore, None, Some(4)),
            (cake, Reason::BoughtTogether, Some(tea), None),
            (milk, Reason::BoughtBefore, None, Some(1)),
        ]
    );
}

/// By how often, and how much others want it now; not what was bought within a week, nor what all came back of.
pub async fn buy_again_leaves_out_what_was_just_bought_or_given_back(store: Store) {
    let [tea, milk, cup, lamp] = goods(&store).await;
    let ada = Uuid::now_v7();
    apply(
        &store,
        &[
            order(Some(ada), days_ago(30), &[tea, milk, cup]),
            order(Some(ada), days_ago(20), &[tea, lamp]),
            order(Some(ada), days_ago(6), &[milk]),
            order(Some(Uuid::now_v7()), NOON, &[lamp]),
        ],
    )
    .await;
    let again = async || ids(&store.buy_again(ada, 10).await.unwrap());
    assert_eq!(again().await, [tea, lamp, cup]);
    let made = store.buy_again(ada, 1).await.unwrap();
    assert_eq!((made.items.len(), made.items[0].times), (1, Some(2)));
    // Orders are of two units each.
    apply(&store, &[refund(Some(ada), NOON, &[(cup, 1), (tea, 3)])]).await;
    assert_eq!(again().await, [tea, lamp, cup]);
    apply(
        &store,
        &[
            refund(Some(ada), NOON, &[(cup, 1)]),
            refund(None, NOON, &[(lamp, 9)]),
        ],
    )
    .await;
    assert_eq!(again().await, [tea, lamp]);
    // Two days later milk is wanted again, and more than tea, which fewer want.
    apply(&store, &[order(None, NOON + Duration::days(2), &[lamp])]).await;
    assert_eq!(again().await, [milk, tea, lamp]);
}

/// Of a customer with more orders than are looked at, the newest tell.
pub async fn super_customers_are_bounded(store: Store) {
    let [old, tea] = goods(&store).await;
    let ada = Uuid::now_v7();
    let mut events = vec![order(Some(ada), days_ago(300), &[old])];
    for n in 0..CUSTOMER_BASKETS_MAX {
        let at = days_ago(200) + Duration::minutes(i64::try_from(n).unwrap());
        events.push(order(Some(ada), at, &[tea]));
    }
    events.push(order(None, NOON, &[tea]));
    for batch in events.chunks(500) {
        apply(&store, batch).await;
    }
    let made = store.buy_again(ada, 10).await.unwrap();
    assert_eq!(ids(&made), [tea]);
    assert_eq!(made.items[0].times, u32::try_from(CUSTOMER_BASKETS_MAX).ok());
    // And of orders with very many goods, so many that they come to the bound.
    let bob = Uuid::now_v7();
    let mut events = vec![order(Some(bob), days_ago(300), &[old])];
    for n in 0..5_u32 {
        let many: Vec<Uuid> = (0..4_000).map(|_| Uuid::now_v7()).collect();
        events.push(order(Some(bob), days_ago(200 - i64::from(n)), &many));
        events.push(product(many[0], 1, true));
    }
    for event in events {
        apply(&store, &[event]).await;
    }
    assert_eq!(
        store.buy_again(bob, 10).await.unwrap().items.len(),
        5,
        "one of each large order, and not the old one"
    );
}
