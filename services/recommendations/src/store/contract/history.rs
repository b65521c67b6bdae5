//! Events as their owners make them, and random histories.

use std::collections::BTreeMap;

use emporium_event_bus::CloudEvent;
use emporium_test_kit::event;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// When random histories begin.
const BEGIN: OffsetDateTime = datetime!(2024-01-01 0:00 UTC);
/// How long they are, but for the years in which nobody bought anything.
const MINUTES: i64 = 500 * 24 * 60;
/// The longest such time. Weights of 15 years ago are gone, but for their floor.
const GAP_YEARS_MAX: i64 = 15;

fn lines(goods: &[(Uuid, i64)]) -> Vec<Value> {
    let line =
        |(id, quantity): &(Uuid, i64)| json!({"product_id": id, "quantity": quantity, "unit_price": 250});
    goods.iter().map(line).collect()
}

/// `order.confirmed.v1` of lines as they are.
pub fn confirmed_lines(
    order: Uuid,
    customer: Option<Uuid>,
    at: OffsetDateTime,
    lines: &[Value],
) -> CloudEvent {
    let data = json!({
        "order_id": order, "customer_id": customer, "status": "confirmed", "lines": lines,
        "charges": [{"kind": "postage", "name": "Postage", "amount": 250}], "placed_at": at.format(&Rfc3339).unwrap(),
        "country": "GB", "reason": null, "source": "shop", "version": 1, "of_tomorrow": [1, 2, 3],
    });
    event("order.confirmed.v1", at, &data)
}

/// A confirmed order of some units of each good.
pub fn order(customer: Option<Uuid>, at: OffsetDateTime, goods: &[Uuid]) -> CloudEvent {
    let goods: Vec<(Uuid, i64)> = goods.iter().map(|good| (*good, 2)).collect();
    confirmed_lines(Uuid::now_v7(), customer, at, &lines(&goods))
}

/// `order.refunded.v1`.
pub fn refund(customer: Option<Uuid>, at: OffsetDateTime, goods: &[(Uuid, i64)]) -> CloudEvent {
    let data = json!({"refund_id": Uuid::now_v7(), "order_id": null, "customer_id": customer,
        "amount": {"amount": 1, "currency": "GBP"}, "lines": lines(goods), "version": 2});
    event("order.refunded.v1", at, &data)
}

/// An event of a product's.
pub fn product(id: Uuid, version: i64, active: bool) -> CloudEvent {
    let (verb, status) = match (version, active) {
        (1, true) => ("created", "active"),
        (_, true) => ("updated", "active"),
        (_, false) => ("archived", "archived"),
    };
    let data =
        json!({"id": id, "version": version, "status": status, "sku": "S", "name": "N", "category": "c"});
    event(&format!("product.{verb}.v1"), BEGIN, &data)
}

/// An order as the oracle sees it.
#[derive(Debug, Clone)]
pub struct Placed {
    pub id: Uuid,
    pub customer: Option<Uuid>,
    pub at: OffsetDateTime,
    pub goods: BTreeMap<Uuid, i64>,
}

/// What happened around some goods and customers that no other history knows.
#[derive(Debug, Clone, Default)]
pub struct History {
    pub goods: Vec<Uuid>,
    pub customers: Vec<Uuid>,
    pub orders: Vec<Placed>,
    pub returns: BTreeMap<(Uuid, Uuid), i64>,
    /// Whether each is sold, of those that the catalog has told of.
    pub sold: BTreeMap<Uuid, bool>,
    pub events: Vec<CloudEvent>,
}

/// The random history with this number.
pub fn random(seed: u64, number: u16) -> History {
    let mut rng = StdRng::seed_from_u64(seed ^ (u64::from(number) << 40));
    let mut history = History {
        goods: (0..rng.random_range(2..9)).map(|_| Uuid::now_v7()).collect(),
        customers: (0..rng.random_range(1..4)).map(|_| Uuid::now_v7()).collect(),
        ..History::default()
    };
    for good in history.goods.clone() {
        for version in 1..=rng.random_range(0..4_i64) {
            let active = rng.random_bool(0.85);
            history.sold.insert(good, active);
            history.events.push(product(good, version, active));
        }
    }
    // Half of them: what is before some day happened years earlier.
    let gap = Gap {
        until: BEGIN + Duration::minutes(rng.random_range(0..MINUTES)),
        days: rng.random_range(0..2) * rng.random_range(1..=GAP_YEARS_MAX * 365),
    };
    for _ in 0..rng.random_range(1..14) {
        add_order(&mut history, &gap, &mut rng);
    }
    for _ in 0..rng.random_range(0..3) {
        let (customer, good) = (
            *history.customers.choose(&mut rng).unwrap(),
            *history.goods.choose(&mut rng).unwrap(),
        );
        let units = rng.random_range(1..5);
        *history.returns.entry((customer, good)).or_default() += units;
        history
            .events
            .push(refund(Some(customer), BEGIN, &[(good, units)]));
    }
    history
}

/// A time in which nobody bought anything.
struct Gap {
    until: OffsetDateTime,
    days: i64,
}

impl Gap {
    /// When what would have happened then without it did happen.
    fn shift(&self, at: OffsetDateTime) -> OffsetDateTime {
        if at < self.until {
            at - Duration::days(self.days)
        } else {
            at
        }
    }
}

fn add_order(history: &mut History, gap: &Gap, rng: &mut StdRng) {
    let at = gap.shift(BEGIN + Duration::minutes(rng.random_range(0..MINUTES)));
    let customer = rng
        .random_bool(0.8)
        .then(|| *history.customers.choose(rng).unwrap());
    let count = rng.random_range(1..=history.goods.len());
    let goods: Vec<(Uuid, i64)> = history
        .goods
        .choose_multiple(rng, count)
        .map(|good| (*good, rng.random_range(1..4)))
        .collect();
    let mut said = lines(&goods);
    // A line of the same good once more, one without a price, one without a quantity.
    said.push(json!({"product_id": goods[0].0, "quantity": 1, "unit_price": 1}));
    let other = history.goods.choose(rng).unwrap();
    said.push(json!({"product_id": other, "quantity": 3, "unit_price": 0}));
    said.push(json!({"product_id": other, "quantity": 0, "unit_price": 9}));
    let mut goods: BTreeMap<Uuid, i64> = goods.iter().copied().collect();
    let first: Uuid = serde_json::from_value(said[0]["product_id"].clone()).unwrap();
    *goods.get_mut(&first).unwrap() += 1;
    let id = Uuid::now_v7();
    history.events.push(confirmed_lines(id, customer, at, &said));
    history.orders.push(Placed {
        id,
        customer,
        at,
        goods,
    });
}
