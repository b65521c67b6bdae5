//! How events get into a build. All of it is done under the lock of the projection's state, so effects come one after another:
//! what is read stays as it is until the commit, and no two get into a deadlock.

use std::collections::{BTreeMap, HashMap, HashSet};

use emporium_event_bus::{ApplyError, CloudEvent};
use emporium_service_kit::StoreError;
use neo4rs::BoltType;
use time::OffsetDateTime;
use uuid::Uuid;

use super::client::Tx;
use super::rows::{GoodRow, Id, IdRow, ReturnRow, at, id, ids, map};
use super::statements as cypher;
use crate::events::{Facts, Order, Refund};
use crate::scoring::BASKET_GOODS_MAX;
use crate::store::change::{Change, changes};

/// Orders of a statement: some thousand relationships.
const ORDERS_MAX: usize = 250;

/// An event, and when it was written down.
pub(super) struct Item {
    pub event: CloudEvent,
    pub at: OffsetDateTime,
}

/// Applies to a build what it has not seen; says whether there was anything.
pub(super) async fn apply(tx: &mut Tx, build: i64, items: &[Item]) -> Result<bool, ApplyError> {
    let new = claim(tx, build, items).await?;
    if new.is_empty() {
        return Ok(false);
    }
    let facts = Facts::of(&new)?;
    let orders = new_orders(tx, build, &facts.orders).await?;
    put_goods(tx, build, changes(&facts.products, &orders)).await?;
    for orders in orders.chunks(ORDERS_MAX) {
        add_baskets(tx, build, orders).await?;
    }
    add_returns(tx, build, &facts.refunds).await?;
    Ok(true)
}

fn of(build: i64) -> (&'static str, BoltType) {
    ("build", build.into())
}

/// Events that the build has not seen, each once; it has seen them from now on.
async fn claim<'a>(tx: &mut Tx, build: i64, items: &'a [Item]) -> Result<Vec<&'a CloudEvent>, StoreError> {
    let mut named = HashSet::new();
    let items: Vec<&Item> = items.iter().filter(|item| named.insert(item.event.id)).collect();
    let row = |item: &&Item| map([("id", id(item.event.id)), ("at", at(item.at).into())]);
    let rows: BoltType = items.iter().map(row).collect();
    let new: Vec<IdRow> = tx.rows(&cypher::CLAIM, [of(build), ("events", rows)]).await?;
    let new: HashSet<Uuid> = new.iter().map(|row| row.id.0).collect();
    let is_new = |item: &&Item| new.contains(&item.event.id);
    Ok(items.into_iter().filter(is_new).map(|item| &item.event).collect())
}

/// An order counts by its basket, whatever event tells of it.
async fn new_orders<'a>(
    tx: &mut Tx,
    build: i64,
    orders: &'a BTreeMap<Uuid, Order>,
) -> Result<Vec<&'a Order>, StoreError> {
    if orders.is_empty() {
        return Ok(Vec::new());
    }
    let named = ids(orders.keys().copied());
    let known: Vec<IdRow> = tx
        .rows(&cypher::KNOWN_BASKETS, [of(build), ("ids", named)])
        .await?;
    let known: HashSet<Uuid> = known.iter().map(|row| row.id.0).collect();
    let is_new = |order: &&Order| !known.contains(&order.order_id);
    Ok(orders.values().filter(is_new).collect())
}

/// Sums are made here: Cypher's `sum` turns into a floating-point number where it overflows, and its `+` is an error there.
async fn put_goods(tx: &mut Tx, build: i64, changes: BTreeMap<Uuid, Change>) -> Result<(), StoreError> {
    if changes.is_empty() {
        return Ok(());
    }
    let named = ids(changes.keys().copied());
    let known: Vec<GoodRow> = tx.rows(&cypher::GOODS, [of(build), ("ids", named)]).await?;
    let known: HashMap<Uuid, GoodRow> = known.into_iter().map(|row| (row.id.0, row)).collect();
    let row = |(good, change): (&Uuid, &Change)| changed(*good, known.get(good), change).parameter();
    let rows: BoltType = changes.iter().map(row).collect();
    tx.run(&cypher::PUT_GOODS, [of(build), ("rows", rows)]).await
}

fn changed(good: Uuid, known: Option<&GoodRow>, change: &Change) -> GoodRow {
    let mut sums = known.map(GoodRow::sums).unwrap_or_default();
    sums.baskets = sums.baskets.saturating_add(change.sums.baskets);
    sums.season.add(&change.sums.season);
    sums.week.add(&change.sums.week);
    let before = known.map(|known| (known.version, known.active));
    let told = change.product.map(|product| (product.version, product.active));
    let (version, active) = match (before, told) {
        (Some(before), Some(told)) if told.0 <= before.0 => before,
        (_, Some(told)) => told,
        (before, None) => before.unwrap_or_default(),
    };
    GoodRow::new(good, version, active, &sums)
}

async fn add_baskets(tx: &mut Tx, build: i64, orders: &[&Order]) -> Result<(), StoreError> {
    let rows: BoltType = orders.iter().map(|order| basket(order)).collect();
    tx.run(&cypher::ADD_BASKETS, [of(build), ("rows", rows)]).await
}

fn basket(order: &Order) -> BoltType {
    // By id, as the map has them.
    let packed: Vec<u8> = order.goods.keys().flat_map(|good| *good.as_bytes()).collect();
    let tells_of_pairs = order.goods.len() <= BASKET_GOODS_MAX;
    map([
        ("id", id(order.order_id)),
        ("customer", order.customer_id.map(Id).into()),
        ("at", at(order.at).into()),
        (
            "size",
            i64::try_from(order.goods.len()).unwrap_or(i64::MAX).into(),
        ),
        ("packed", packed.into()),
        (
            "units",
            order.goods.values().copied().collect::<Vec<i64>>().into(),
        ),
        (
            "goods",
            ids(order.goods.keys().copied().filter(|_| tells_of_pairs)),
        ),
    ])
}

/// Units that nothing bounds, as digits.
async fn add_returns(tx: &mut Tx, build: i64, refunds: &[Refund]) -> Result<(), StoreError> {
    let mut units: BTreeMap<(Uuid, Uuid), i128> = BTreeMap::new();
    for refund in refunds {
        for (good, number) in &refund.goods {
            let sum = units.entry((refund.customer_id, *good)).or_default();
            *sum = sum.saturating_add(i128::from(*number));
        }
    }
    if units.is_empty() {
        return Ok(());
    }
    let key = |(customer, good): &(Uuid, Uuid)| map([("customer", id(*customer)), ("good", id(*good))]);
    let keys: BoltType = units.keys().map(key).collect();
    let before: Vec<ReturnRow> = tx
        .rows(&cypher::RETURNED_BEFORE, [of(build), ("rows", keys)])
        .await?;
    for row in before {
        let known: i128 = row
            .units
            .parse()
            .map_err(|error: std::num::ParseIntError| StoreError::Failed(error.into()))?;
        let sum = units.entry((row.customer.0, row.good.0)).or_default();
        *sum = sum.saturating_add(known);
    }
    let row = |((customer, good), units): (&(Uuid, Uuid), &i128)| {
        map([
            ("customer", id(*customer)),
            ("good", id(*good)),
            ("units", units.to_string().into()),
        ])
    };
    let rows: BoltType = units.iter().map(row).collect();
    tx.run(&cypher::PUT_RETURNS, [of(build), ("rows", rows)]).await
}
