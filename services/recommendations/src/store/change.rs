//! What a batch of events changes of goods, the same for every store.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::shelf::Sums;
use crate::decay::{Decayed, HalfLife};
use crate::events::{Order, Product};

/// What is new about a good.
#[derive(Debug, Default)]
pub(super) struct Change {
    /// The catalog has told of it.
    pub product: Option<Product>,
    /// To be added to what is kept.
    pub sums: Sums,
}

/// Of these products and orders, by id, since that is the order of writing.
pub(super) fn changes(products: &BTreeMap<Uuid, Product>, orders: &[&Order]) -> BTreeMap<Uuid, Change> {
    let mut changes: BTreeMap<Uuid, Change> = BTreeMap::new();
    for product in products.values() {
        changes.entry(product.id).or_default().product = Some(*product);
    }
    for order in orders {
        let season = Decayed::of(order.at, HalfLife::Season);
        let week = Decayed::of(order.at, HalfLife::Week);
        for good in order.goods.keys() {
            let sums = &mut changes.entry(*good).or_default().sums;
            sums.baskets += 1;
            sums.season.add(&season);
            sums.week.add(&week);
        }
    }
    changes
}
