//! Events as their owners make them, and random histories.

use emporium_event_bus::CloudEvent;
use emporium_service_kit::Money;
use emporium_service_kit::days::Days;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Date, Duration, Month, OffsetDateTime};
use uuid::{Builder, Uuid};

use crate::events::{Facts, Line, Order, Outcome, Payment, Product, Refund};
use crate::model::{Activity, What};

/// An event of a subject's version.
fn event(kind: &str, subject: Uuid, version: i64, at: OffsetDateTime, data: &Value) -> CloudEvent {
    CloudEvent {
        subject: subject.to_string(),
        aggregateversion: version,
        ..emporium_test_kit::event(kind, at, data)
    }
}

/// `order.placed.v1` and the like; `what` is the word in the middle.
pub fn order_event(what: &str, order: &Order, at: OffsetDateTime) -> CloudEvent {
    let lines: Vec<Value> = order.lines.iter().map(line).collect();
    let data = json!({
        "order_id": order.order_id, "customer_id": order.customer_id, "status": what, "lines": lines,
        "charges": [{"kind": "postage", "name": "Postage", "amount": 250}], "total": order.total,
        "placed_at": order.placed_at.format(&Rfc3339).unwrap(), "country": order.country, "reason": null,
        "source": "shop", "version": 1, "of_tomorrow": [1, 2, 3],
    });
    event(&format!("order.{what}.v1"), order.order_id, 1, at, &data)
}

fn line(line: &Line) -> Value {
    json!({"product_id": line.product_id, "quantity": line.quantity, "unit_price": line.unit_price})
}

pub fn refund_event(refund: &Refund) -> CloudEvent {
    let lines: Vec<Value> = refund.lines.iter().map(line).collect();
    let data = json!({
        "refund_id": refund.refund_id, "order_id": refund.order_id, "customer_id": null, "amount": refund.amount,
        "lines": lines, "version": 2,
    });
    event("order.refunded.v1", refund.refund_id, 2, refund.at, &data)
}

pub fn payment_event(payment: &Payment) -> CloudEvent {
    let saga = Uuid::new_v4();
    let what = match payment.outcome {
        Outcome::Succeeded => "succeeded",
        Outcome::Declined => "declined",
        Outcome::Voided => "voided",
        Outcome::Refunded => "refunded",
    };
    let data = json!({"saga_id": saga, "order_id": saga, "customer_id": null, "amount": payment.amount, "reason": null, "version": 1});
    event(&format!("payment.{what}.v1"), saga, 1, payment.at, &data)
}

pub fn product_event(product: &Product, at: OffsetDateTime) -> CloudEvent {
    let what = if product.version == 1 {
        "created"
    } else {
        "updated"
    };
    let data = json!({
        "id": product.id, "sku": product.sku, "name": product.name, "category": product.category, "brand": product.brand,
        "version": product.version, "price": {"amount": 100, "currency": "GBP"}, "status": "active",
    });
    event(
        &format!("product.{what}.v1"),
        product.id,
        product.version,
        at,
        &data,
    )
}

pub fn gbp(amount: i64) -> Money {
    Money::new(amount, "GBP".parse().unwrap())
}

/// A confirmed order's facts: lines of (product, quantity, price) and 250 of postage.
pub fn order(customer: Option<Uuid>, at: OffsetDateTime, country: &str, lines: &[(Uuid, i64, i64)]) -> Order {
    let lines: Vec<Line> = lines
        .iter()
        .map(|&(product_id, quantity, unit_price)| Line {
            product_id,
            quantity,
            unit_price,
        })
        .collect();
    let goods: i64 = lines.iter().map(|line| line.quantity * line.unit_price).sum();
    Order {
        order_id: Uuid::now_v7(),
        customer_id: customer,
        lines,
        total: gbp(goods + 250),
        placed_at: at,
        country: Some(country.to_owned()),
    }
}

pub fn activity(visitor: Uuid, customer: Option<Uuid>, at: OffsetDateTime, what: What) -> Activity {
    let millis = u64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap();
    let random = Uuid::new_v4().into_bytes()[..10].try_into().unwrap();
    Activity {
        id: Builder::from_unix_timestamp_millis(millis, &random).into_uuid(),
        visitor_id: visitor,
        customer_id: customer,
        what,
    }
}

/// What happened in two months that no other history touches.
pub struct History {
    pub days: Days,
    pub facts: Facts,
    /// Every version of every product.
    pub versions: Vec<Product>,
    pub activities: Vec<Activity>,
    pub events: Vec<CloudEvent>,
}

/// The months that belong to history `number`.
pub fn months(number: u16) -> Days {
    let year = 1970 + i32::from(number / 6);
    let month = u8::try_from(number % 6 * 2 + 1).unwrap();
    let first = |month: u8| Date::from_calendar_date(year, Month::try_from(month).unwrap(), 1).unwrap();
    let last = first(month + 1);
    Days {
        from: first(month),
        to: last.replace_day(last.month().length(year)).unwrap(),
    }
}

/// How many histories there are room for.
pub const HISTORIES: u16 = 780;

struct Maker {
    rng: StdRng,
    days: Days,
    customers: Vec<Uuid>,
    products: Vec<Uuid>,
}

impl Maker {
    /// Few moments, so that things meet; some at the edges of days.
    fn moment(&mut self) -> OffsetDateTime {
        let day = self.rng.random_range(0..self.days.count().min(70) / 10) * 10;
        let edges = [0, 86_399_999_999, 43_200_000_000, 43_230_000_000];
        let within = *edges.choose(&mut self.rng).unwrap();
        self.days.start() + Duration::days(day) + Duration::microseconds(within)
    }

    fn lines(&mut self) -> Vec<Line> {
        let count = *[0, 1, 1, 2, 3, 7].choose(&mut self.rng).unwrap();
        (0..count)
            .map(|_| Line {
                product_id: *self.products.choose(&mut self.rng).unwrap(),
                quantity: self.rng.random_range(1..=9),
                unit_price: self.rng.random_range(0..=2_000),
            })
            .collect()
    }

    fn money(&mut self, amount: i64) -> Money {
        let currency = if self.rng.random_bool(0.8) { "GBP" } else { "EUR" };
        Money::new(amount, currency.parse().unwrap())
    }

    fn order(&mut self) -> Order {
        let lines = self.lines();
        let goods: i64 = lines.iter().map(|line| line.quantity * line.unit_price).sum();
        let extra = self.rng.random_range(0..500);
        let countries = [Some("GB"), Some("GB"), Some("FR"), Some("DE"), Some(""), None];
        let customer = self.rng.random_bool(0.7);
        Order {
            order_id: Uuid::now_v7(),
            customer_id: customer.then(|| *self.customers.choose(&mut self.rng).unwrap()),
            lines,
            total: self.money(goods + extra),
            placed_at: self.moment(),
            country: countries.choose(&mut self.rng).unwrap().map(str::to_owned),
        }
    }

    fn refund(&mut self, orders: &[Order]) -> Refund {
        let known = orders.choose(&mut self.rng).filter(|_| self.rng.random_bool(0.6));
        let order_id = known.map(|order| order.order_id);
        let unknown = self.rng.random_bool(0.3);
        let amount = self.rng.random_range(0..3_000);
        Refund {
            refund_id: Uuid::now_v7(),
            order_id: order_id.or(unknown.then(Uuid::new_v4)),
            at: self.moment(),
            amount: self.money(amount),
            lines: self.lines(),
        }
    }

    fn payment(&mut self) -> Payment {
        let outcomes = [
            Outcome::Succeeded,
            Outcome::Declined,
            Outcome::Voided,
            Outcome::Refunded,
        ];
        let amount = self.rng.random_range(0..3_000) * i64::from(self.rng.random_bool(0.9));
        Payment {
            outcome: *outcomes.choose(&mut self.rng).unwrap(),
            at: self.moment(),
            amount: self.money(amount),
        }
    }

    fn versions(&mut self, id: Uuid) -> Vec<Product> {
        let count = self.rng.random_range(0..4);
        (1..=count)
            .map(|version| Product {
                id,
                version,
                sku: format!("S-{id}"),
                name: format!("Thing {version}"),
                category: (*["mugs", "lamps", "toys"].choose(&mut self.rng).unwrap()).to_owned(),
                brand: self.rng.random_bool(0.5).then(|| "Acme".to_owned()),
            })
            .collect()
    }

    /// Each visitor is one customer, or none.
    fn activity(&mut self) -> Activity {
        let who = self.rng.random_range(0..4_usize);
        let visitor = Uuid::from_u128(self.customers[0].as_u128() ^ (who as u128 + 1));
        let product_id = self.products[0];
        let what = match self.rng.random_range(0..5) {
            0 => What::View { product_id },
            1 => What::Cart {
                product_id,
                quantity: self.rng.random_range(0..3),
            },
            2 => What::Checkout,
            _ => What::Search {
                query: (*[" Red  mug", "red MUG", "lamp", ""]
                    .choose(&mut self.rng)
                    .unwrap())
                .to_owned(),
                results: self.rng.random_range(0..2),
            },
        };
        let at = self.moment();
        activity(visitor, self.customers.get(who).copied(), at, what)
    }
}

/// A random history; the same seed gives the same one, but for ids.
pub fn random(seed: u64, number: u16) -> History {
    let ids = |count: u8| (0..count).map(|_| Uuid::new_v4()).collect();
    let mut maker = Maker {
        rng: StdRng::seed_from_u64(seed ^ u64::from(number) << 32),
        days: months(number),
        customers: ids(3),
        products: ids(4),
    };
    let mut facts = Facts::default();
    let mut events = Vec::new();
    for _ in 0..maker.rng.random_range(0..9) {
        let order = maker.order();
        if maker.rng.random_bool(0.7) {
            events.push(order_event("placed", &order, order.placed_at));
            facts.placed.push(order.clone());
        }
        match maker.rng.random_range(0..8) {
            0 => {}
            1 => {
                events.push(order_event("cancelled", &order, order.placed_at));
                facts.cancelled.push(order);
            }
            _ => {
                events.push(order_event("confirmed", &order, order.placed_at));
                facts.confirmed.push(order);
            }
        }
    }
    for _ in 0..maker.rng.random_range(0..5) {
        facts.refunds.push(maker.refund(&facts.confirmed));
    }
    for _ in 0..maker.rng.random_range(0..6) {
        facts.payments.push(maker.payment());
    }
    let versions: Vec<Product> = maker
        .products
        .clone()
        .into_iter()
        .flat_map(|id| maker.versions(id))
        .collect();
    events.extend(facts.refunds.iter().map(refund_event));
    events.extend(facts.payments.iter().map(payment_event));
    events.extend(
        versions
            .iter()
            .map(|product| product_event(product, maker.days.start())),
    );
    let count = maker.rng.random_range(0..12);
    let activities = (0..count).map(|_| maker.activity()).collect();
    History {
        days: maker.days,
        facts,
        versions,
        activities,
        events,
    }
}
