//! The figures of a history, computed plainly from its facts, as the contract says and without looking at any adapter.

use std::collections::{BTreeMap, BTreeSet};

use emporium_service_kit::days::Days;
use emporium_service_kit::{Currency, Money};
use time::{Date, Duration};
use uuid::Uuid;

use super::history::History;
use crate::events::{Line, Order, Outcome, Product, Refund};
use crate::model::{
    By, OrdersOfDay, PaymentsOfDay, ProductSales, Rank, RefundsOfDay, Revenue, Sales, TopProducts, Totals,
};

mod people;

pub use people::{baskets, cohorts, empty_searches, funnel, live, repeat};

impl History {
    fn orders(&self, days: Days, currency: Currency) -> impl Iterator<Item = &Order> {
        self.facts
            .confirmed
            .iter()
            .filter(move |order| order.total.currency == currency && days.contains(order.placed_at.date()))
    }

    fn refunds(&self, days: Days, currency: Currency) -> impl Iterator<Item = &Refund> {
        self.facts
            .refunds
            .iter()
            .filter(move |refund| refund.amount.currency == currency && days.contains(refund.at.date()))
    }

    fn product(&self, id: Uuid) -> Option<&Product> {
        self.versions
            .iter()
            .filter(|product| product.id == id)
            .max_by_key(|product| product.version)
    }

    fn category(&self, id: Uuid) -> Option<String> {
        self.product(id).map(|product| product.category.clone())
    }

    fn country_of(&self, refund: &Refund) -> Option<String> {
        let order = self
            .facts
            .confirmed
            .iter()
            .find(|order| Some(order.order_id) == refund.order_id)?;
        known(order)
    }
}

fn known(order: &Order) -> Option<String> {
    order.country.clone().filter(|country| !country.is_empty())
}

fn goods(line: &Line) -> i64 {
    line.quantity * line.unit_price
}

fn units(order: &Order) -> i64 {
    order.lines.iter().map(|line| line.quantity).sum()
}

fn bump(count: &mut Option<i64>) {
    if let Some(count) = count {
        *count += 1;
    }
}

fn add_order(sales: &mut Sales, order: &Order) {
    bump(&mut sales.orders);
    sales.lines += i64::try_from(order.lines.len()).unwrap();
    sales.units += units(order);
    sales.gross.amount += order.total.amount;
    sales.net.amount += order.total.amount;
}

fn add_refund(sales: &mut Sales, amount: i64) {
    sales.refunds.amount += amount;
    sales.net.amount -= amount;
}

fn period(day: Date, by: By) -> Date {
    match by {
        By::Week => day - Duration::days(i64::from(day.weekday().number_days_from_monday())),
        By::Month => day.replace_day(1).unwrap(),
        _ => day,
    }
}

/// The whole range in one group.
fn whole(history: &History, days: Days, currency: Currency, by: By) -> Sales {
    let mut total = Sales::nothing(None, by, currency);
    for order in history.orders(days, currency) {
        add_order(&mut total, order);
    }
    for refund in history.refunds(days, currency) {
        add_refund(&mut total, refund.amount.amount);
    }
    let of = |orders: &[Order]| {
        let counts =
            |order: &&Order| order.total.currency == currency && days.contains(order.placed_at.date());
        i64::try_from(orders.iter().filter(counts).count()).unwrap()
    };
    total.placed = total.placed.map(|_| of(&history.facts.placed));
    total.cancelled = total.cancelled.map(|_| of(&history.facts.cancelled));
    total
}

pub fn revenue(history: &History, days: Days, currency: Currency, by: By, limit: usize) -> Revenue {
    let mut groups: BTreeMap<Option<String>, Sales> = BTreeMap::new();
    let mut next = days.from;
    while matches!(by, By::Day | By::Week | By::Month) && next <= days.to {
        let key = Some(period(next, by).to_string());
        groups.insert(key.clone(), Sales::nothing(key, by, currency));
        next += Duration::DAY;
    }
    let mut group = |key: Option<String>, change: &mut dyn FnMut(&mut Sales)| {
        let nothing = || Sales::nothing(key.clone(), by, currency);
        change(groups.entry(key.clone()).or_insert_with(nothing));
    };
    let key_of = |order: &Order| match by {
        By::Country => known(order),
        _ => Some(period(order.placed_at.date(), by).to_string()),
    };
    if by == By::Category {
        for order in history.orders(days, currency) {
            for line in &order.lines {
                group(history.category(line.product_id), &mut |sales| {
                    sales.lines += 1;
                    sales.units += line.quantity;
                    sales.gross.amount += goods(line);
                    sales.net.amount += goods(line);
                });
            }
        }
        for line in history.refunds(days, currency).flat_map(|refund| &refund.lines) {
            group(history.category(line.product_id), &mut |sales| {
                add_refund(sales, goods(line));
            });
        }
    } else {
        for order in history.orders(days, currency) {
            group(key_of(order), &mut |sales| add_order(sales, order));
        }
        for refund in history.refunds(days, currency) {
            let key = match by {
                By::Country => history.country_of(refund),
                _ => Some(period(refund.at.date(), by).to_string()),
            };
            group(key, &mut |sales| add_refund(sales, refund.amount.amount));
        }
        for (orders, cancelled) in [(&history.facts.placed, false), (&history.facts.cancelled, true)] {
            let counts =
                |order: &&Order| order.total.currency == currency && days.contains(order.placed_at.date());
            for order in orders.iter().filter(counts) {
                group(key_of(order), &mut |sales| {
                    bump(if cancelled {
                        &mut sales.cancelled
                    } else {
                        &mut sales.placed
                    });
                });
            }
        }
    }
    arrange(history, groups.into_values().collect(), days, currency, by, limit)
}

fn arrange(
    history: &History,
    mut items: Vec<Sales>,
    days: Days,
    currency: Currency,
    by: By,
    limit: usize,
) -> Revenue {
    let total = whole(history, days, currency, by);
    let mut others = None;
    if matches!(by, By::Category | By::Country) {
        items.sort_by_key(|sales| (-sales.gross.amount, sales.key.clone()));
        if items.len() > limit {
            let mut rest = Sales::nothing(None, by, currency);
            for sales in items.split_off(limit) {
                rest = sum(&rest, &sales, 1);
            }
            others = Some(rest);
        }
    }
    let unallocated = (by == By::Category).then(|| {
        let parts = items.iter().chain(&others);
        let mut rest = parts.fold(total.clone(), |rest, part| sum(&rest, part, -1));
        (rest.lines, rest.units) = (0, 0);
        rest
    });
    Revenue {
        items,
        others,
        unallocated,
        total,
    }
}

fn sum(one: &Sales, other: &Sales, sign: i64) -> Sales {
    let count = |a: Option<i64>, b: Option<i64>| a.zip(b).map(|(a, b)| a + sign * b);
    let money = |a: Money, b: Money| Money::new(a.amount + sign * b.amount, a.currency);
    Sales {
        key: None,
        placed: count(one.placed, other.placed),
        cancelled: count(one.cancelled, other.cancelled),
        orders: count(one.orders, other.orders),
        lines: one.lines + sign * other.lines,
        units: one.units + sign * other.units,
        gross: money(one.gross, other.gross),
        refunds: money(one.refunds, other.refunds),
        net: money(one.net, other.net),
    }
}

pub fn top(
    history: &History,
    days: Days,
    currency: Currency,
    rank: Rank,
    category: Option<&str>,
) -> TopProducts {
    let none = Money::zero(currency);
    let mut products: BTreeMap<Uuid, ProductSales> = BTreeMap::new();
    let mut entry = |id: Uuid, change: &mut dyn FnMut(&mut ProductSales)| {
        let product = history.product(id);
        change(products.entry(id).or_insert_with(|| ProductSales {
            product_id: id,
            sku: product.map(|product| product.sku.clone()),
            name: product.map(|product| product.name.clone()),
            category: product.map(|product| product.category.clone()),
            brand: product.and_then(|product| product.brand.clone()),
            orders: 0,
            units: 0,
            gross: none,
            refunded_units: 0,
            refunds: none,
        }));
    };
    for order in history.orders(days, currency) {
        let distinct: BTreeSet<Uuid> = order.lines.iter().map(|line| line.product_id).collect();
        for id in distinct {
            entry(id, &mut |sales| sales.orders += 1);
        }
        for line in &order.lines {
            entry(line.product_id, &mut |sales| {
                sales.units += line.quantity;
                sales.gross.amount += goods(line);
            });
        }
    }
    for line in history.refunds(days, currency).flat_map(|refund| &refund.lines) {
        entry(line.product_id, &mut |sales| {
            sales.refunded_units += line.quantity;
            sales.refunds.amount += goods(line);
        });
    }
    let sold = |sales: &ProductSales| {
        sales.orders > 0 && category.is_none_or(|category| sales.category.as_deref() == Some(category))
    };
    let mut items: Vec<ProductSales> = products.into_values().filter(sold).collect();
    items.sort_by_key(|sales| match rank {
        Rank::Revenue => (-sales.gross.amount, -sales.units, sales.product_id),
        Rank::Units => (-sales.units, -sales.gross.amount, sales.product_id),
    });
    TopProducts { items }
}

/// Totals of the history's months, but for the extent, which other histories have a part in.
pub fn totals(history: &History) -> Totals {
    let days = history.days;
    let mut orders: BTreeMap<(Date, Option<String>, Currency), (i64, i64)> = BTreeMap::new();
    for order in &history.facts.confirmed {
        let key = (order.placed_at.date(), known(order), order.total.currency);
        let sum = orders.entry(key).or_default();
        *sum = (sum.0 + 1, sum.1 + order.total.amount);
    }
    let mut refunds: BTreeMap<(Date, Currency), (i64, i64)> = BTreeMap::new();
    for refund in &history.facts.refunds {
        let sum = refunds
            .entry((refund.at.date(), refund.amount.currency))
            .or_default();
        *sum = (sum.0 + 1, sum.1 + refund.amount.amount);
    }
    let mut payments: BTreeMap<(Date, Currency), [i64; 4]> = BTreeMap::new();
    for payment in &history.facts.payments {
        let (amount, at) = (payment.amount.amount, payment.at.date());
        let place = match payment.outcome {
            Outcome::Succeeded => 0,
            Outcome::Refunded => 2,
            _ => continue,
        };
        if amount > 0 {
            let sums = payments.entry((at, payment.amount.currency)).or_default();
            sums[place] += 1;
            sums[place + 1] += amount;
        }
    }
    Totals {
        from: days.from,
        to: days.to,
        first_day: None,
        last_day: None,
        orders: orders
            .into_iter()
            .map(|((day, country, currency), (orders, total))| OrdersOfDay {
                day,
                country,
                orders,
                total: Money::new(total, currency),
            })
            .collect(),
        refunds: refunds
            .into_iter()
            .map(|((day, currency), (refunds, amount))| RefundsOfDay {
                day,
                refunds,
                amount: Money::new(amount, currency),
            })
            .collect(),
        payments: payments
            .into_iter()
            .map(
                |((day, currency), [succeeded, taken, refunded, given])| PaymentsOfDay {
                    day,
                    succeeded,
                    succeeded_amount: Money::new(taken, currency),
                    refunded,
                    refunded_amount: Money::new(given, currency),
                },
            )
            .collect(),
    }
}
