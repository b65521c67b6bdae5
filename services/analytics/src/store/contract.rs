//! The suite that every adapter passes. An adapter joins it with one line at the end of this file.

use std::sync::Arc;

use emporium_event_bus::CloudEvent;
use emporium_service_kit::days::Days;
use emporium_service_kit::{Currency, Money, StoreError};
use time::macros::{date, datetime};
use time::{Date, Duration, OffsetDateTime};
use uuid::Uuid;

use super::{AnalyticsStore, Ranking};
use crate::model::{By, Rank, Sales};

mod delivery;
pub mod history;
mod oracle;
pub mod outages;
mod random;
mod visitors;

use delivery::{
    answers_are_of_one_moment, members_at_the_same_time_count_once, unreadable_events_are_refused,
};
use history::{gbp, order, order_event, product_event, refund_event};
use outages::{a_pause_is_an_error_in_time, a_restart_loses_nothing};
use random::{any_order_and_repetition_gives_the_same, any_order_and_repetition_gives_the_same_of_few};
use visitors::{
    activity_counts_once, batches_at_the_same_time_count_once, closed_days_keep_their_sums, days_are_bounded,
    funnels_count_visitors_of_a_day,
};

type Store = Arc<dyn AnalyticsStore>;

const GBP: Currency = Currency::GBP;
pub const NOON: OffsetDateTime = datetime!(2026-03-10 12:00 UTC);

fn days(from: Date, to: Date) -> Days {
    Days { from, to }
}

/// The day of [`NOON`].
fn today() -> Days {
    days(NOON.date(), NOON.date())
}

async fn apply(store: &Store, events: &[CloudEvent]) {
    emporium_test_kit::projection::apply(&*store.projection(), events).await;
}

async fn total(store: &Store, days: Days, by: By) -> Sales {
    store.revenue(days, GBP, by, 50).await.unwrap().total
}

/// Nothing happened: every figure says so, and none fails.
async fn nothing_gives_zeroes(store: Store) {
    let range = days(date!(2026 - 02 - 27), date!(2026 - 03 - 02));
    for by in [By::Day, By::Week, By::Month, By::Category, By::Country] {
        let revenue = store.revenue(range, GBP, by, 5).await.unwrap();
        assert_eq!(
            (revenue.total.gross, revenue.total.net, revenue.others),
            (gbp(0), gbp(0), None)
        );
        let keys: Vec<&str> = revenue
            .items
            .iter()
            .filter_map(|item| item.key.as_deref())
            .collect();
        let expected: &[&str] = match by {
            By::Day => &["2026-02-27", "2026-02-28", "2026-03-01", "2026-03-02"],
            By::Week => &["2026-02-23", "2026-03-02"],
            By::Month => &["2026-02-01", "2026-03-01"],
            By::Category | By::Country => &[],
        };
        assert_eq!(keys, expected);
    }
    let ranking = Ranking {
        days: range,
        currency: GBP,
        rank: Rank::Units,
        category: None,
        limit: 10,
    };
    assert!(store.top_products(&ranking).await.unwrap().items.is_empty());
    assert_eq!(store.funnel(range).await.unwrap().items.len(), 4);
    assert!(store.cohorts(range).await.unwrap().items.is_empty());
    let baskets = store.baskets(range, GBP).await.unwrap();
    assert_eq!(
        (baskets.orders, baskets.mean_value, baskets.by_units.len()),
        (0, None, 10)
    );
    assert_eq!(store.repeat(range).await.unwrap().repeat_rate, None);
    let live = store.live(NOON, GBP).await.unwrap();
    assert_eq!(
        (live.items.len(), live.items[59].minute, live.gross),
        (60, NOON, gbp(0))
    );
    assert!(store.empty_searches(range, 5).await.unwrap().items.is_empty());
    let totals = store.totals(range).await.unwrap().unwrap();
    assert_eq!((totals.first_day, totals.orders.len()), (None, 0));
    store.ping().await.unwrap();
}

/// An order counts when it is confirmed, on the day it was placed; what became of the others is counted beside.
async fn orders_count_when_confirmed(store: Store) {
    let late = datetime!(2026-03-10 23:59:59.999999 UTC);
    let product = Uuid::new_v4();
    let orders: Vec<_> = (0..3)
        .map(|_| order(None, late, "GB", &[(product, 2, 500)]))
        .collect();
    for order in &orders {
        apply(&store, &[order_event("placed", order, late)]).await;
    }
    let placed = total(&store, today(), By::Day).await;
    assert_eq!(
        (placed.placed, placed.orders, placed.gross),
        (Some(3), Some(0), gbp(0))
    );
    let later = late + Duration::days(2);
    apply(&store, &[order_event("confirmed", &orders[0], later)]).await;
    apply(&store, &[order_event("cancelled", &orders[1], later)]).await;
    let ended = total(&store, today(), By::Country).await;
    assert_eq!(
        (ended.placed, ended.cancelled, ended.orders),
        (Some(3), Some(1), Some(1))
    );
    assert_eq!((ended.gross, ended.units, ended.lines), (gbp(1_250), 2, 1));
    let after = days(date!(2026 - 03 - 11), date!(2026 - 03 - 20));
    assert_eq!(total(&store, after, By::Day).await.gross, gbp(0));
    // Told again by another event: the order is known.
    apply(&store, &[order_event("confirmed", &orders[0], later)]).await;
    assert_eq!(total(&store, today(), By::Day).await, {
        let mut same = ended;
        same.key = None;
        same
    });
}

/// A product's category is the present one, for sales of the past too; a late event of an old version changes nothing.
async fn categories_are_looked_up(store: Store) {
    let (id, other) = (Uuid::new_v4(), Uuid::new_v4());
    let version = |version: i64, category: &str| crate::events::Product {
        id,
        version,
        sku: "S".to_owned(),
        name: format!("Name {version}"),
        category: category.to_owned(),
        brand: None,
    };
    let order = order(None, NOON, "GB", &[(id, 1, 700), (id, 1, 100), (other, 1, 50)]);
    apply(&store, &[order_event("confirmed", &order, NOON)]).await;
    let keys = async || -> Vec<(Option<String>, Money)> {
        let revenue = store.revenue(today(), GBP, By::Category, 9).await.unwrap();
        let unallocated = revenue.unallocated.unwrap();
        assert_eq!(
            (unallocated.gross, unallocated.units),
            (gbp(250), 0),
            "the postage"
        );
        assert_eq!(revenue.total.gross, gbp(1_100));
        revenue
            .items
            .into_iter()
            .map(|item| (item.key, item.gross))
            .collect()
    };
    assert_eq!(keys().await, [(None, gbp(850))]);
    apply(&store, &[product_event(&version(3, "toys"), NOON)]).await;
    apply(&store, &[product_event(&version(2, "mugs"), NOON)]).await;
    assert_eq!(
        keys().await,
        [(Some("toys".to_owned()), gbp(800)), (None, gbp(50))]
    );
    apply(&store, &[product_event(&version(4, "lamps"), NOON)]).await;
    assert_eq!(
        keys().await,
        [(Some("lamps".to_owned()), gbp(800)), (None, gbp(50))]
    );
    let ranking = |category: Option<&str>| Ranking {
        days: today(),
        currency: GBP,
        rank: Rank::Revenue,
        category: category.map(str::to_owned),
        limit: 10,
    };
    let top = store.top_products(&ranking(None)).await.unwrap().items;
    assert_eq!(top.len(), 2);
    assert_eq!(
        (top[0].orders, top[0].units, top[0].name.as_deref()),
        (1, 2, Some("Name 4"))
    );
    assert_eq!((top[1].product_id, top[1].name.as_deref()), (other, None));
    let lamps = store.top_products(&ranking(Some("lamps"))).await.unwrap().items;
    assert_eq!(lamps.len(), 1);
    let toys = store.top_products(&ranking(Some("toys"))).await.unwrap().items;
    assert!(toys.is_empty(), "not any more");
}

/// A refund counts on its own day; it gets its order's country when the order comes.
async fn refunds_find_their_country(store: Store) {
    let order = order(None, NOON - Duration::days(9), "FR", &[(Uuid::new_v4(), 1, 900)]);
    let refund = |order_id: Option<Uuid>, amount: i64| crate::events::Refund {
        refund_id: Uuid::now_v7(),
        order_id,
        at: NOON,
        amount: gbp(amount),
        lines: Vec::new(),
    };
    let refunds = [
        refund(Some(order.order_id), 300),
        refund(None, 20),
        refund(Some(Uuid::new_v4()), 5),
    ];
    apply(&store, &refunds.iter().map(refund_event).collect::<Vec<_>>()).await;
    let countries = async || -> Vec<(Option<String>, Money)> {
        let revenue = store.revenue(today(), GBP, By::Country, 9).await.unwrap();
        assert_eq!((revenue.total.refunds, revenue.total.net), (gbp(325), gbp(-325)));
        revenue
            .items
            .into_iter()
            .map(|item| (item.key, item.net))
            .collect()
    };
    assert_eq!(countries().await, [(None, gbp(-325))]);
    apply(&store, &[order_event("confirmed", &order, NOON)]).await;
    assert_eq!(
        countries().await,
        [(None, gbp(-25)), (Some("FR".to_owned()), gbp(-300))]
    );
}

/// Amounts that no sum of 64 bits holds are an error where they are asked for, and harm nothing else.
async fn sums_do_not_wrap(store: Store) {
    let product = Uuid::new_v4();
    let huge = crate::events::Line {
        product_id: product,
        quantity: 1_000_000_000,
        unit_price: 1_000_000_000_000,
    };
    let refund = crate::events::Refund {
        refund_id: Uuid::now_v7(),
        order_id: None,
        at: NOON,
        amount: gbp(70),
        lines: vec![huge; 3],
    };
    let small = order(None, NOON, "GB", &[(product, 1, 100)]);
    apply(
        &store,
        &[refund_event(&refund), order_event("confirmed", &small, NOON)],
    )
    .await;
    let sales = total(&store, today(), By::Day).await;
    assert_eq!((sales.gross, sales.refunds), (gbp(350), gbp(70)));
    let by_category = store.revenue(today(), GBP, By::Category, 5).await;
    assert!(matches!(by_category, Err(StoreError::Data(_))), "{by_category:?}");

    let mut most = order(None, NOON, "GB", &[]);
    most.total = gbp(i64::MAX - 350);
    apply(&store, &[order_event("confirmed", &most, NOON)]).await;
    assert_eq!(total(&store, today(), By::Day).await.gross, gbp(i64::MAX));
    let mut more = order(None, NOON - Duration::DAY, "GB", &[]);
    more.total = gbp(1);
    apply(&store, &[order_event("confirmed", &more, NOON)]).await;
    let range = days(NOON.date() - Duration::DAY, NOON.date());
    for by in [By::Day, By::Month, By::Country] {
        let revenue = store.revenue(range, GBP, by, 5).await;
        assert!(matches!(revenue, Err(StoreError::Data(_))), "{by:?} {revenue:?}");
    }
}

/// What does not fit the limit is put together, so that the parts come to the whole.
async fn the_rest_is_put_together(store: Store) {
    let countries = ["AA", "BB", "CC", "DD", "EE"];
    let orders: Vec<CloudEvent> = (1..)
        .zip(countries)
        .map(|(n, country)| order(None, NOON, country, &[(Uuid::new_v4(), n, 100)]))
        .map(|order| order_event("confirmed", &order, NOON))
        .collect();
    apply(&store, &orders).await;
    let revenue = store.revenue(today(), GBP, By::Country, 2).await.unwrap();
    let keys: Vec<Option<&str>> = revenue.items.iter().map(|item| item.key.as_deref()).collect();
    assert_eq!(keys, [Some("EE"), Some("DD")]);
    let others = revenue.others.unwrap();
    assert_eq!(
        (others.key, others.orders, others.gross),
        (None, Some(3), gbp(600 + 3 * 250))
    );
    assert_eq!(
        (revenue.total.orders, revenue.total.gross),
        (Some(5), gbp(1_500 + 5 * 250))
    );
    let exact = store.revenue(today(), GBP, By::Country, 5).await.unwrap();
    assert_eq!((exact.items.len(), exact.others), (5, None));
}

/// The last hour is the minute of `now` and the 59 before it: what was placed a microsecond earlier is out, and so is what
/// another clock placed ahead. An order that is confirmed late counts where it was placed.
async fn the_last_hour_ends_at_its_edges(store: Store) {
    let edge = NOON - Duration::minutes(59);
    let moments = [
        edge - Duration::MICROSECOND,
        edge,
        NOON + Duration::seconds(59),
        NOON + Duration::minutes(1),
    ];
    for (n, at) in (1..).zip(moments) {
        let placed = order(None, at, "GB", &[(Uuid::new_v4(), n, 100)]);
        apply(
            &store,
            &[order_event("confirmed", &placed, NOON + Duration::HOUR)],
        )
        .await;
    }
    let live = store.live(NOON + Duration::seconds(30), GBP).await.unwrap();
    assert_eq!((live.orders, live.units, live.items.len()), (2, 2 + 3, 60));
    let at = |minute: usize| (live.items[minute].minute, live.items[minute].units);
    assert_eq!((at(0), at(59)), ((edge, 2), (NOON, 3)));
    let next = store.live(NOON + Duration::minutes(1), GBP).await.unwrap();
    assert_eq!((next.orders, next.units), (2, 3 + 4), "a minute later");
}

/// `contract!(adapter, how many random histories, future of a fresh store, future of a store on a server of the test's own => tests of outages)`: every
/// test of the suite as `adapter::…`. A future gives `None` where the store cannot be had, which the test kit then lists as
/// not run.
macro_rules! contract {
    ($adapter:ident, $histories:ident, $open:expr $(, $own:expr => $($outage:ident),+)?) => {
        mod $adapter {
            emporium_test_kit::contract_tests!($open => nothing_gives_zeroes, orders_count_when_confirmed,
                categories_are_looked_up, refunds_find_their_country, sums_do_not_wrap, the_rest_is_put_together,
                the_last_hour_ends_at_its_edges,
                members_at_the_same_time_count_once, answers_are_of_one_moment, unreadable_events_are_refused,
                $histories, activity_counts_once, batches_at_the_same_time_count_once,
                days_are_bounded, funnels_count_visitors_of_a_day, closed_days_keep_their_sums);
            $(emporium_test_kit::contract_tests!($own => $($outage),+);)?
        }
    };
}

contract!(postgres, any_order_and_repetition_gives_the_same, crate::store::postgres::tests::fresh(),
    crate::store::postgres::tests::own() => a_restart_loses_nothing, a_pause_is_an_error_in_time);
contract!(clickhouse, any_order_and_repetition_gives_the_same_of_few, crate::store::clickhouse::tests::fresh(),
    crate::store::clickhouse::tests::own() => a_restart_loses_nothing, a_pause_is_an_error_in_time);
