//! The formulas over all orders of a history, as plainly as they are written, without bounds, eras or quanta.

#![allow(clippy::cast_precision_loss)] // small numbers

use std::collections::{BTreeMap, BTreeSet};

use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::history::{History, Placed};

/// Scores of candidates, sold ones only.
pub type Scores = BTreeMap<Uuid, f64>;

/// A history at a moment.
pub struct Oracle<'a> {
    pub history: &'a History,
    pub now: OffsetDateTime,
}

impl Oracle<'_> {
    fn decay(&self, order: &Placed, half_life_days: f64) -> f64 {
        let age_days = (self.now - order.at).as_seconds_f64() / 86_400.0;
        0.5_f64.powf(age_days / half_life_days)
    }

    fn with(&self, good: Uuid) -> impl Iterator<Item = &Placed> {
        self.history
            .orders
            .iter()
            .filter(move |order| order.goods.contains_key(&good))
    }

    fn n(&self, good: Uuid) -> f64 {
        self.with(good).map(|order| self.decay(order, 60.0)).sum()
    }

    fn w(&self, good: Uuid) -> f64 {
        self.with(good).map(|order| self.decay(order, 7.0)).sum()
    }

    fn c(&self, i: Uuid, j: Uuid) -> f64 {
        let both = self
            .with(i)
            .filter(|order| i != j && order.goods.contains_key(&j));
        both.map(|order| self.decay(order, 60.0).max(0.01) / order.goods.len() as f64)
            .sum()
    }

    fn f(&self, good: Uuid) -> f64 {
        let baskets = self.with(good).count() as f64;
        (self.n(good) + 10.0).powf(-0.7) * ((self.w(good) + 0.1) / (baskets + 10.0)).powf(0.3)
    }

    fn sold(&self, good: Uuid) -> bool {
        self.history.sold.get(&good).copied().unwrap_or(false)
    }

    fn goods(&self) -> impl Iterator<Item = Uuid> {
        self.history.goods.iter().copied()
    }

    /// In how many baskets the good is with another one of these.
    pub fn together(&self, anchors: &BTreeSet<Uuid>, good: Uuid) -> u32 {
        let with = self.with(good).filter(|order| {
            let mut goods = order.goods.keys();
            goods.any(|other| *other != good && anchors.contains(other))
        });
        u32::try_from(with.count()).unwrap()
    }

    pub fn also_bought(&self, product: Uuid) -> Scores {
        let scored = self
            .goods()
            .map(|good| (good, self.c(product, good) * self.f(good)));
        scored
            .filter(|(good, score)| *score > 0.0 && self.sold(*good))
            .collect()
    }

    pub fn bought_together(&self, products: &BTreeSet<Uuid>) -> Scores {
        let score = |good: Uuid| {
            let parts = products
                .iter()
                .map(|i| (self.n(*i) + 10.0).powf(-0.3) * self.c(*i, good));
            parts.sum::<f64>() * self.f(good)
        };
        let wanted = self.goods().filter(|good| {
            !products.contains(good) && self.sold(*good) && self.together(products, *good) >= 2
        });
        wanted.map(|good| (good, score(good))).collect()
    }

    /// The customer's orders, newest first.
    pub fn orders(&self, customer: Uuid) -> Vec<&Placed> {
        let mut orders: Vec<&Placed> = self
            .history
            .orders
            .iter()
            .filter(|order| order.customer == Some(customer))
            .collect();
        orders.sort_by_key(|order| std::cmp::Reverse((order.at, order.id)));
        orders
    }

    pub fn past(&self, customer: Uuid) -> BTreeSet<Uuid> {
        let orders = self.orders(customer);
        orders
            .iter()
            .flat_map(|order| order.goods.keys().copied())
            .collect()
    }

    fn times(&self, customer: Uuid, good: Uuid) -> usize {
        let orders = self.orders(customer);
        orders
            .iter()
            .filter(|order| order.goods.contains_key(&good))
            .count()
    }

    /// What a past good adds to the score of another.
    pub fn part(&self, customer: Uuid, past: Uuid, good: Uuid) -> f64 {
        let orders = self.orders(customer);
        let rank = 1 + orders
            .iter()
            .position(|order| order.goods.contains_key(&past))
            .unwrap();
        (self.n(past) + 10.0).powf(-0.3) * self.c(past, good) / (rank as f64).sqrt() * self.f(good)
    }

    fn new_score(&self, customer: Uuid, good: Uuid) -> f64 {
        let past = self.past(customer);
        past.into_iter().map(|past| self.part(customer, past, good)).sum()
    }

    /// New goods that past ones lead to.
    pub fn for_you(&self, customer: Uuid) -> Scores {
        let past = self.past(customer);
        let scored = self
            .goods()
            .filter(|good| !past.contains(good) && self.sold(*good))
            .map(|good| (good, self.new_score(customer, good)));
        scored.filter(|(_, score)| *score > 0.0).collect()
    }

    fn again(&self, customer: Uuid, good: Uuid) -> f64 {
        self.times(customer, good) as f64 * (self.w(good) + 1.0).powf(0.3)
    }

    /// All goods that are past, or that past ones lead to.
    pub fn all_goods(&self, customer: Uuid) -> Scores {
        let max = |score: &dyn Fn(Uuid) -> f64| self.goods().map(score).fold(0.0, f64::max);
        let again_max = max(&|good| self.again(customer, good));
        let new_max = max(&|good| self.new_score(customer, good));
        let share = |value: f64, max: f64| if max > 0.0 { value / max } else { 0.0 };
        let scored = self.goods().filter(|good| self.sold(*good)).map(|good| {
            let again = share(self.again(customer, good), again_max);
            (good, again + 0.3 * share(self.new_score(customer, good), new_max))
        });
        scored.filter(|(_, score)| *score > 0.0).collect()
    }

    pub fn buy_again(&self, customer: Uuid) -> Scores {
        let orders = self.orders(customer);
        let wanted = |good: &Uuid| {
            let with = orders.iter().filter(|order| order.goods.contains_key(good));
            let latest = with.clone().map(|order| order.at).max();
            let units: i64 = with.map(|order| order.goods[good]).sum();
            let returned = self.history.returns.get(&(customer, *good)).copied().unwrap_or(0);
            latest.is_some_and(|at| at <= self.now - Duration::days(7))
                && returned < units
                && self.sold(*good)
        };
        self.goods()
            .filter(wanted)
            .map(|good| (good, self.again(customer, good)))
            .collect()
    }

    /// What sells these days, or does not and was bought, with the number of baskets.
    pub fn popular(&self) -> BTreeMap<Uuid, (f64, usize)> {
        let mut popular: BTreeMap<Uuid, (f64, usize)> = BTreeMap::new();
        for order in &self.history.orders {
            for good in order.goods.keys().filter(|good| self.sold(**good)) {
                let (week, baskets) = popular.entry(*good).or_default();
                *week += self.decay(order, 7.0);
                *baskets += 1;
            }
        }
        for (week, _) in popular.values_mut().filter(|(week, _)| *week < 0.01) {
            *week = 0.0;
        }
        popular
    }
}
