//! Random histories, delivered in any order, any number of times, to both generations differently: the generations are equal,
//! and the figures are those of an in-memory oracle.

use emporium_event_bus::CloudEvent;
use emporium_service_kit::{Currency, Money};
use emporium_test_kit::projection::{Beside, deliveries};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::history::{HISTORIES, History, random};
use super::{GBP, Store, days, oracle};
use crate::model::{By, Rank, Totals};
use crate::store::Ranking;

/// How many histories; no two of them meet.
const SEQUENCES: u16 = 510;
/// How many for a store that takes its time for each small batch.
const SEQUENCES_FEW: u16 = 40;
/// How often the generations are compared: their digests are of all that was applied by then.
const COMPARISONS: u16 = 10;

pub async fn any_order_and_repetition_gives_the_same(store: Store) {
    histories(store, SEQUENCES).await;
}

/// The same with fewer histories.
pub async fn any_order_and_repetition_gives_the_same_of_few(store: Store) {
    histories(store, SEQUENCES_FEW).await;
}

async fn histories(store: Store, sequences: u16) {
    let seed = emporium_test_kit::seed();
    let mut rng = StdRng::seed_from_u64(seed);
    let first = rng.random_range(0..HISTORIES - sequences);
    let projection = store.projection();
    let beside = Beside::begin(&*projection, &["/orders"]).await;
    for number in first..first + sequences {
        let history = random(seed, number);
        let events: Vec<&CloudEvent> = history.events.iter().collect();
        beside.deliver(&events, &mut rng).await;
        for batch in deliveries(&history.activities, &mut rng) {
            let batch: Vec<_> = batch.into_iter().cloned().collect();
            store.record(&batch, 1_000_000).await.unwrap();
        }
        check(&store, &history, &mut rng).await;
        let every = sequences / COMPARISONS;
        if (number - first) % every == every - 1 {
            beside.are_equal(&format!("by history {number}")).await;
        }
    }
    // What was built the other way is read now, and says the same.
    let comparison = beside.compare().await.unwrap();
    let outcome = beside.switch(&comparison).await;
    assert_eq!(
        (outcome.equal, outcome.tables.len()),
        (Some(true), comparison.tables.len())
    );
    check(&store, &random_without_ids(), &mut rng).await;
    let rows: i64 = outcome.tables.iter().map(|table| table.rows_rebuilt).sum();
    assert!(
        rows > i64::from(sequences),
        "{rows} rows is too little to tell anything"
    );
}

/// A history of its own months, empty in both generations.
fn random_without_ids() -> History {
    let mut history = random(0, HISTORIES - 1);
    history.facts = crate::events::Facts::default();
    (history.versions, history.activities, history.events) = Default::default();
    history
}

async fn check(store: &Store, history: &History, rng: &mut StdRng) {
    let (all, eur) = (history.days, "EUR".parse::<Currency>().unwrap());
    let count = all.count();
    let (from, length) = (rng.random_range(0..count), rng.random_range(0..20));
    let from = all.from + time::Duration::days(from);
    let part = days(from, (from + time::Duration::days(length)).min(all.to));
    let limit = rng.random_range(1..4_u32);
    let narrow = if rng.random_bool(0.5) {
        (part, GBP)
    } else {
        (part, eur)
    };
    for (days, currency) in [(all, GBP), narrow] {
        let groups = [By::Day, By::Week, By::Month, By::Category, By::Country];
        for by in groups.choose_multiple(rng, 2).copied() {
            let expected = oracle::revenue(history, days, currency, by, limit as usize);
            let found = store.revenue(days, currency, by, limit).await.unwrap();
            assert_eq!(found, expected, "{by:?} {days:?}");
        }
    }
    let rank = if rng.random_bool(0.5) {
        Rank::Revenue
    } else {
        Rank::Units
    };
    let category = rng.random_bool(0.3).then(|| "mugs".to_owned());
    let expected = oracle::top(history, part, GBP, rank, category.as_deref());
    let ranking = Ranking {
        days: part,
        currency: GBP,
        rank,
        category,
        limit: 100,
    };
    assert_eq!(store.top_products(&ranking).await.unwrap(), expected);
    people(store, history, part).await;
    let now = history
        .facts
        .confirmed
        .first()
        .map_or(all.start(), |order| order.placed_at + time::Duration::minutes(17));
    assert_eq!(
        store.live(now, GBP).await.unwrap(),
        oracle::live(history, now, GBP)
    );
    let found = store.totals(all).await.unwrap().unwrap();
    assert_eq!(comparable(found), comparable(oracle::totals(history)));
}

async fn people(store: &Store, history: &History, part: emporium_service_kit::days::Days) {
    let all = history.days;
    let mut found = store.baskets(part, GBP).await.unwrap();
    let mut expected = oracle::baskets(history, part, GBP);
    for baskets in [&mut found, &mut expected] {
        // The last bits of a division are nobody's contract.
        for mean in [&mut baskets.mean_lines, &mut baskets.mean_units] {
            *mean = mean.map(|mean| (mean * 1e6).round());
        }
    }
    assert_eq!(found, expected);
    assert_eq!(store.funnel(all).await.unwrap(), oracle::funnel(history, all));
    let mut searches = store.empty_searches(part, 100).await.unwrap();
    searches
        .items
        .sort_by(|a, b| (b.searches, &a.query).cmp(&(a.searches, &b.query)));
    assert_eq!(searches, oracle::empty_searches(history, part));
    assert_eq!(store.cohorts(all).await.unwrap(), oracle::cohorts(history));
    assert_eq!(store.repeat(part).await.unwrap(), oracle::repeat(history, part));
}

/// Without the extent, which all histories have a part in, and in one order.
fn comparable(mut totals: Totals) -> Totals {
    (totals.first_day, totals.last_day) = (None, None);
    let currency = |money: Money| money.currency;
    totals
        .orders
        .sort_by_key(|row| (row.day, row.country.clone(), currency(row.total)));
    totals.refunds.sort_by_key(|row| (row.day, currency(row.amount)));
    totals
        .payments
        .sort_by_key(|row| (row.day, currency(row.succeeded_amount)));
    totals
}
