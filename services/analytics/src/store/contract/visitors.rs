//! The part of the suite about what visitors do.

use futures::future::join_all;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::history::{activity, order, order_event};
use super::{NOON, Store, apply, days, today};
use crate::model::{Activity, Recorded, Stages, What};

const UNBOUNDED: i64 = 1_000_000;

fn view() -> What {
    What::View {
        product_id: Uuid::new_v4(),
    }
}

fn search(query: &str, results: i64) -> What {
    What::Search {
        query: query.to_owned(),
        results,
    }
}

fn cart(quantity: i32) -> What {
    What::Cart {
        product_id: Uuid::new_v4(),
        quantity,
    }
}

fn recorded(received: usize, recorded: usize, repeated: usize, over_limit: usize) -> Recorded {
    Recorded {
        received,
        recorded,
        repeated,
        out_of_time: 0,
        over_limit,
    }
}

async fn stages(store: &Store) -> Stages {
    store.funnel(today()).await.unwrap().items[0].stages
}

/// What comes with a known id changes nothing, whatever else it says.
pub async fn activity_counts_once(store: Store) {
    assert_eq!(store.record(&[], UNBOUNDED).await.unwrap(), Recorded::default());
    let visitor = Uuid::new_v4();
    let (first, second) = (
        activity(visitor, None, NOON, view()),
        activity(visitor, None, NOON, search(" X  y ", 0)),
    );
    let batch = [first.clone(), second.clone(), first.clone()];
    assert_eq!(
        store.record(&batch, UNBOUNDED).await.unwrap(),
        recorded(3, 2, 1, 0)
    );
    assert_eq!(
        store.record(&batch, UNBOUNDED).await.unwrap(),
        recorded(3, 0, 3, 0)
    );
    let other = Activity {
        what: What::Checkout,
        visitor_id: Uuid::new_v4(),
        ..first
    };
    assert_eq!(
        store.record(&[other], UNBOUNDED).await.unwrap(),
        recorded(1, 0, 1, 0)
    );
    let expected = Stages {
        visitors: 1,
        viewed: 1,
        ..Stages::default()
    };
    assert_eq!(stages(&store).await, expected);
    let searches = store.empty_searches(today(), 10).await.unwrap().items;
    assert_eq!(
        (searches.len(), searches[0].query.as_str(), searches[0].searches),
        (1, "x y", 1)
    );
}

/// The same batches from several senders at once, overlapping, in different orders: each activity counts once.
pub async fn batches_at_the_same_time_count_once(store: Store) {
    let visitors: Vec<Uuid> = (0..20).map(|_| Uuid::new_v4()).collect();
    let items: Vec<Activity> = (0..300_usize)
        .map(|n| {
            let what = [view(), search("lost", 0), cart(1), What::Checkout][n % 4].clone();
            activity(visitors[n * 7 % 20], None, NOON, what)
        })
        .collect();
    let send = |turn: usize| {
        let (store, mut mine) = (store.clone(), items.clone());
        mine.rotate_left(turn * 31);
        if turn.is_multiple_of(2) {
            mine.reverse();
        }
        async move {
            let mut new = 0;
            for batch in mine.chunks(50) {
                new += store.record(batch, UNBOUNDED).await.unwrap().recorded;
            }
            new
        }
    };
    let new: usize = join_all((0..8).map(send)).await.into_iter().sum();
    assert_eq!(new, 300, "each was new to one of them");
    let searches = store.empty_searches(today(), 1).await.unwrap().items;
    assert_eq!(searches[0].searches, 75);
    assert_eq!(stages(&store).await.visitors, 20);
}

/// A day that has as many as are kept takes nothing more; other days go on, and what is known stays known.
pub async fn days_are_bounded(store: Store) {
    let items = |at: OffsetDateTime| -> Vec<Activity> {
        (0..10)
            .map(|_| activity(Uuid::new_v4(), None, at, view()))
            .collect()
    };
    let (first, second, other) = (items(NOON), items(NOON), items(NOON - Duration::DAY));
    assert_eq!(store.record(&first, 10).await.unwrap(), recorded(10, 10, 0, 0));
    let mixed: Vec<Activity> = [&second[..], &first[..4], &other[..]].concat();
    assert_eq!(store.record(&mixed, 10).await.unwrap(), recorded(24, 10, 4, 10));
    assert_eq!(stages(&store).await.visitors, 10);
    assert_eq!(
        store.record(&second, 11).await.unwrap().recorded,
        10,
        "with room again"
    );
}

/// Each visitor of a day counts once, at the furthest stage; who paid is known by the order of who began the checkout.
pub async fn funnels_count_visitors_of_a_day(store: Store) {
    let (buyer, waverer, other) = (Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4());
    let visitor = [(); 5].map(|()| Uuid::new_v4());
    let items = [
        activity(visitor[0], None, NOON, search("mug", 4)),
        activity(visitor[1], None, NOON, view()),
        activity(visitor[1], None, NOON, view()),
        activity(visitor[2], None, NOON, cart(0)),
        activity(visitor[2], None, NOON, cart(2)),
        activity(visitor[3], Some(buyer), NOON, What::Checkout),
        activity(visitor[4], Some(waverer), NOON, What::Checkout),
        // On another day they are other visitors.
        activity(visitor[3], Some(buyer), NOON - Duration::DAY, What::Checkout),
        // Who only looks on is not who pays.
        activity(visitor[1], Some(other), NOON, view()),
    ];
    store.record(&items, UNBOUNDED).await.unwrap();
    let events: Vec<_> = [
        order(Some(buyer), NOON + Duration::HOUR, "GB", &[]),
        order(Some(buyer), NOON + Duration::HOUR, "GB", &[]),
        order(Some(other), NOON, "GB", &[]),
        order(Some(waverer), NOON + Duration::DAY, "GB", &[]),
        order(None, NOON, "GB", &[]),
    ]
    .iter()
    .map(|order| order_event("confirmed", order, NOON))
    .collect();
    apply(&store, &events).await;
    let expected = Stages {
        visitors: 5,
        viewed: 4,
        carted: 3,
        began_checkout: 2,
        paid: 1,
    };
    assert_eq!(stages(&store).await, expected);
    let two = days(NOON.date() - Duration::DAY, NOON.date());
    let total = store.funnel(two).await.unwrap().total;
    assert_eq!((total.visitors, total.began_checkout, total.paid), (6, 3, 1));
}

/// Closing a day removes what single visitors did and leaves its sums; it is bounded, comes to an end, and leaves later days
/// alone.
pub async fn closed_days_keep_their_sums(store: Store) {
    let buyer = Uuid::new_v4();
    let mut items: Vec<Activity> = (0..130)
        .map(|n| activity(Uuid::new_v4(), None, NOON, search(&format!("nothing {n:03}"), 0)))
        .collect();
    items.extend((0..3).map(|_| activity(Uuid::new_v4(), None, NOON, search("often", 0))));
    items.push(activity(Uuid::new_v4(), Some(buyer), NOON, What::Checkout));
    items.extend((0..7).map(|_| activity(Uuid::new_v4(), None, NOON + Duration::DAY, view())));
    store.record(&items, UNBOUNDED).await.unwrap();
    apply(
        &store,
        &[order_event(
            "confirmed",
            &order(Some(buyer), NOON, "GB", &[]),
            NOON,
        )],
    )
    .await;
    let both = days(NOON.date(), NOON.date() + Duration::DAY);
    let before = store.funnel(both).await.unwrap();
    assert_eq!((before.total.visitors, before.total.paid), (141, 1));

    let (mut rounds, mut removed) = (0, 0);
    loop {
        let now = store.close_days(NOON.date() + Duration::DAY, 20).await.unwrap();
        assert!(now <= 3 * 20 + 1, "at most so many of each kind");
        if now == 0 {
            break;
        }
        (rounds, removed) = (rounds + 1, removed + now);
        assert!(rounds < 50, "it comes to an end");
    }
    assert!(
        removed >= 2 * 134 + 31,
        "visits, activities and rare searches: {removed}"
    );
    assert_eq!(store.funnel(both).await.unwrap(), before, "the sums stay");
    let searches = store.empty_searches(both, 200).await.unwrap().items;
    assert_eq!((searches.len(), searches[0].query.as_str()), (100, "often"));
    assert_eq!(
        searches[99].query, "nothing 098",
        "the most frequent ones, then by name"
    );
    // The day after is as it was: what is known there is still known.
    let again = store.record(&items[134..], UNBOUNDED).await.unwrap();
    assert_eq!(again, recorded(7, 0, 7, 0));
    assert_eq!(store.funnel(both).await.unwrap(), before);
}
