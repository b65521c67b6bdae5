//! Visitors and customers; how large their baskets are, and when they bought.

use std::collections::{BTreeMap, BTreeSet};

use emporium_service_kit::days::Days;
use emporium_service_kit::{Currency, Money};
use time::{Date, Duration, OffsetDateTime};
use uuid::Uuid;

use super::units;
use crate::events::Order;
use crate::model::{
    Baskets, Bucket, Cohort, Cohorts, EmptySearch, EmptySearches, Funnel, FunnelDay, Live, LiveMinute,
    Repeat, Retained, Stages, What, normal,
};
use crate::store::contract::history::History;

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap()
}

pub fn funnel(history: &History, days: Days) -> Funnel {
    let mut furthest: BTreeMap<(Date, Uuid), (i16, Option<Uuid>)> = BTreeMap::new();
    for activity in &history.activities {
        let day = activity.moment().unwrap().date();
        let (stage, customer) = furthest.entry((day, activity.visitor_id)).or_default();
        *stage = (*stage).max(activity.what.stage());
        if activity.what == What::Checkout {
            *customer = activity.customer_id;
        }
    }
    let bought = |day: Date, customer: Uuid| {
        let theirs = |order: &Order| order.customer_id == Some(customer) && order.placed_at.date() == day;
        history.facts.confirmed.iter().any(theirs)
    };
    let mut total = Stages::default();
    let mut items = Vec::new();
    let mut day = days.from;
    while day <= days.to {
        let visitors: Vec<(i16, Option<Uuid>)> = furthest
            .iter()
            .filter(|((of, _), _)| *of == day)
            .map(|(_, how)| *how)
            .collect();
        let reached = |stage: i16| count(visitors.iter().filter(|visitor| visitor.0 >= stage).count());
        let paid =
            |&&(_, customer): &&(i16, Option<Uuid>)| customer.is_some_and(|customer| bought(day, customer));
        let stages = Stages {
            visitors: reached(0),
            viewed: reached(1),
            carted: reached(2),
            began_checkout: reached(3),
            paid: count(visitors.iter().filter(paid).count()),
        };
        total.visitors += stages.visitors;
        total.viewed += stages.viewed;
        total.carted += stages.carted;
        total.began_checkout += stages.began_checkout;
        total.paid += stages.paid;
        items.push(FunnelDay { day, stages });
        day += Duration::DAY;
    }
    Funnel { items, total }
}

pub fn empty_searches(history: &History, days: Days) -> EmptySearches {
    let mut found: BTreeMap<String, i64> = BTreeMap::new();
    for activity in &history.activities {
        if let What::Search { query, results: 0 } = &activity.what
            && days.contains(activity.moment().unwrap().date())
            && !normal(query).is_empty()
        {
            *found.entry(normal(query)).or_default() += 1;
        }
    }
    let mut items: Vec<EmptySearch> = found
        .into_iter()
        .map(|(query, searches)| EmptySearch { query, searches })
        .collect();
    items.sort_by_key(|item| -item.searches);
    EmptySearches { items }
}

#[allow(clippy::cast_precision_loss)]
fn share(part: i64, whole: i64) -> f64 {
    part as f64 / whole as f64
}

pub fn cohorts(history: &History) -> Cohorts {
    let mut months: BTreeMap<Uuid, BTreeMap<Date, i64>> = BTreeMap::new();
    for order in &history.facts.confirmed {
        let month = order.placed_at.date().replace_day(1).unwrap();
        if let Some(customer) = order.customer_id {
            *months.entry(customer).or_default().entry(month).or_default() += 1;
        }
    }
    let first = |months: &BTreeMap<Date, i64>| *months.keys().next().unwrap();
    let cohorts: BTreeSet<Date> = months.values().map(first).collect();
    let items = cohorts.into_iter().map(|cohort| {
        let members: Vec<&BTreeMap<Date, i64>> =
            months.values().filter(|months| first(months) == cohort).collect();
        let customers = count(members.len());
        let again = count(
            members
                .iter()
                .filter(|months| months.values().sum::<i64>() > 1)
                .count(),
        );
        let active: BTreeSet<Date> = members.iter().flat_map(|months| months.keys().copied()).collect();
        let retained = active.into_iter().map(|month| {
            let active = count(
                members
                    .iter()
                    .filter(|months| months.contains_key(&month))
                    .count(),
            );
            let since = (month.year() - cohort.year()) * 12 + i32::from(month.month() as u8)
                - i32::from(cohort.month() as u8);
            Retained {
                months: since,
                customers: active,
                share: share(active, customers),
            }
        });
        Cohort {
            month: cohort,
            customers,
            bought_again: again,
            share_again: share(again, customers),
            retained: retained.collect(),
        }
    });
    Cohorts {
        items: items.collect(),
    }
}

pub fn repeat(history: &History, days: Days) -> Repeat {
    let mut customers: BTreeMap<Uuid, (i64, bool)> = BTreeMap::new();
    let mut guest_orders = 0;
    for order in &history.facts.confirmed {
        let within = days.contains(order.placed_at.date());
        match order.customer_id {
            Some(customer) => {
                let entry = customers.entry(customer).or_default();
                entry.0 += i64::from(within);
                entry.1 |= order.placed_at < days.start();
            }
            None => guest_orders += i64::from(within),
        }
    }
    customers.retain(|_, (orders, _)| *orders > 0);
    let all = count(customers.len());
    let again = count(customers.values().filter(|(orders, _)| *orders > 1).count());
    let returning = count(customers.values().filter(|(_, before)| *before).count());
    Repeat {
        customers: all,
        orders: customers.values().map(|(orders, _)| orders).sum(),
        guest_orders,
        repeat_customers: again,
        repeat_rate: (all > 0).then(|| share(again, all)),
        returning_customers: returning,
        returning_rate: (all > 0).then(|| share(returning, all)),
    }
}

fn classes(sizes: &[i64]) -> Vec<Bucket> {
    let bounds = [
        (0, 0),
        (1, 1),
        (2, 2),
        (3, 3),
        (4, 4),
        (5, 5),
        (6, 10),
        (11, 20),
        (21, 50),
        (51, i64::MAX),
    ];
    bounds
        .into_iter()
        .map(|(from, to)| Bucket {
            from,
            to: Some(to).filter(|to| *to != i64::MAX),
            orders: count(sizes.iter().filter(|size| (from..=to).contains(size)).count()),
        })
        .collect()
}

/// Means come in thousandths, rounded: the last bits of a division are nobody's contract.
pub fn baskets(history: &History, days: Days, currency: Currency) -> Baskets {
    let orders: Vec<&Order> = history.orders(days, currency).collect();
    let lines: Vec<i64> = orders.iter().map(|order| count(order.lines.len())).collect();
    let sizes: Vec<i64> = orders.iter().map(|order| units(order)).collect();
    let (number, worth) = (
        count(orders.len()),
        orders.iter().map(|order| order.total.amount).sum::<i64>(),
    );
    let mean = |of: &[i64]| (number > 0).then(|| share(of.iter().sum(), number));
    Baskets {
        orders: number,
        mean_lines: mean(&lines),
        mean_units: mean(&sizes),
        mean_value: (number > 0).then(|| Money::new((2 * worth + number) / (2 * number), currency)),
        by_lines: classes(&lines),
        by_units: classes(&sizes),
    }
}

pub fn live(history: &History, now: OffsetDateTime, currency: Currency) -> Live {
    let none = Money::zero(currency);
    let last = now.replace_second(0).unwrap().replace_nanosecond(0).unwrap();
    let mut live = Live {
        items: Vec::new(),
        orders: 0,
        units: 0,
        gross: none,
    };
    for ago in (0..60).rev() {
        let minute = last - Duration::minutes(ago);
        let mut item = LiveMinute {
            minute,
            orders: 0,
            units: 0,
            gross: none,
        };
        let within = |order: &&Order| {
            order.total.currency == currency && (minute..minute + Duration::MINUTE).contains(&order.placed_at)
        };
        for order in history.facts.confirmed.iter().filter(within) {
            item.orders += 1;
            item.units += units(order);
            item.gross.amount += order.total.amount;
        }
        live.orders += item.orders;
        live.units += item.units;
        live.gross.amount += item.gross.amount;
        live.items.push(item);
    }
    live
}
