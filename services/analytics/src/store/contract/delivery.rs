//! The part of the suite about how events come: many at once, while others ask, and such as nobody can read.

use std::sync::atomic::{AtomicBool, Ordering};

use emporium_test_kit::projection::{members_deliver, refuses_the_unreadable};
use futures::future::join;
use time::Duration;
use uuid::Uuid;

use super::history::{gbp, order, order_event, payment_event, product_event, refund_event};
use super::{GBP, NOON, Store, apply, days, today, total};
use crate::events::{Outcome, Payment, Product, Refund};
use crate::model::By;
use crate::store::Capability;

/// The same events from many members at once, each several times: every one lands once, and nobody is refused. They are of two
/// days and come in different orders, so that members meet on many rows.
pub async fn members_at_the_same_time_count_once(store: Store) {
    let (products, customer): (Vec<Uuid>, Uuid) = ((0..5).map(|_| Uuid::new_v4()).collect(), Uuid::new_v4());
    let mut events = Vec::new();
    for n in 0..60_usize {
        let at = NOON - Duration::DAY * i32::try_from(n % 2).unwrap();
        let lines = [(products[n % 5], 1, 100), (products[(n * 3 + 1) % 5], 1, 100)];
        let order = order(Some(customer), at, ["GB", "FR", "DE"][n % 3], &lines);
        events.push(order_event("placed", &order, at));
        events.push(order_event("confirmed", &order, at));
        events.push(refund_event(&Refund {
            refund_id: Uuid::now_v7(),
            order_id: Some(order.order_id),
            at,
            amount: gbp(1),
            lines: order.lines.clone(),
        }));
        events.push(payment_event(&Payment {
            outcome: Outcome::Succeeded,
            at,
            amount: order.total,
        }));
        events.push(product_event(
            &Product {
                id: products[n % 5],
                version: i64::try_from(n).unwrap() + 1,
                sku: "S".to_owned(),
                name: "N".to_owned(),
                category: "mugs".to_owned(),
                brand: None,
            },
            at,
        ));
    }
    members_deliver(&*store.projection(), &events).await;
    let both = days(NOON.date() - Duration::DAY, NOON.date());
    let sales = total(&store, both, By::Day).await;
    assert_eq!(
        (sales.placed, sales.orders, sales.units),
        (Some(60), Some(60), 120)
    );
    assert_eq!((sales.gross, sales.refunds), (gbp(60 * 450), gbp(60)));
    let totals = store.totals(both).await.unwrap().unwrap();
    assert_eq!(
        (totals.payments[0].succeeded, totals.payments[0].succeeded_amount),
        (30, gbp(30 * 450))
    );
    let repeat = store.repeat(both).await.unwrap();
    assert_eq!(
        (repeat.customers, repeat.orders, repeat.repeat_rate),
        (1, 60, Some(1.0))
    );
}

/// An answer that is made while events come has all of a batch or nothing of it, in each of its parts.
pub async fn answers_are_of_one_moment(store: Store) {
    let product = Uuid::new_v4();
    let done = AtomicBool::new(false);
    let feed = async {
        for _ in 0..150 {
            let order = order(None, NOON, "GB", &[(product, 2, 100)]);
            let payment = Payment {
                outcome: Outcome::Succeeded,
                at: NOON,
                amount: order.total,
            };
            apply(
                &store,
                &[order_event("confirmed", &order, NOON), payment_event(&payment)],
            )
            .await;
        }
        done.store(true, Ordering::SeqCst);
    };
    let read = async {
        let (mut torn, mut between) = (0, 0);
        while !done.load(Ordering::SeqCst) {
            let revenue = store.revenue(today(), GBP, By::Category, 5).await.unwrap();
            let (units, unallocated) = (revenue.total.units, revenue.unallocated.unwrap());
            torn += i64::from(unallocated.gross != gbp(units / 2 * 250));
            let totals = store.totals(today()).await.unwrap().unwrap();
            let ordered: i64 = totals.orders.iter().map(|row| row.total.amount).sum();
            let paid: i64 = totals
                .payments
                .iter()
                .map(|row| row.succeeded_amount.amount)
                .sum();
            torn += i64::from(ordered != paid);
            between += i64::from((1..300).contains(&units));
        }
        (torn, between)
    };
    let ((), (torn, between)) = join(feed, read).await;
    assert!(between > 5, "only {between} answers were made meanwhile");
    if !store.lacks().contains(&Capability::OneMoment) {
        assert_eq!(torn, 0, "of {between} answers");
    }
    assert_eq!(total(&store, today(), By::Day).await.orders, Some(150));
}

/// An event that nobody can read is refused with its name, and nothing of its batch stays.
pub async fn unreadable_events_are_refused(store: Store) {
    let good = order_event("confirmed", &order(None, NOON, "GB", &[]), NOON);
    refuses_the_unreadable(&*store.projection(), &good).await;
    assert_eq!(total(&store, today(), By::Day).await.orders, Some(0));
    apply(&store, &[good]).await;
    assert_eq!(total(&store, today(), By::Day).await.orders, Some(1));
}
