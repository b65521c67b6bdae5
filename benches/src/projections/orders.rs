//! The script of a run: who orders what and when, drawn from a seed.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rand_distr::{Distribution, Exp1, Zipf};
use time::OffsetDateTime;
use uuid::Uuid;

use super::events::Line;

/// How popularity falls with rank: the first product sells twice as often as the second one.
const ZIPF: f64 = 1.0;
/// Lines of an order: one and an exponential rest with this mean, bounded.
const LINES_MORE: f64 = 2.0;
const LINES_MAX: f64 = 60.0;
/// Shares of orders: by guests, declined, given back in part.
const GUESTS: f64 = 0.1;
const DECLINED: f64 = 0.03;
const REFUNDED: f64 = 0.03;
const COUNTRIES: [&str; 8] = ["GB", "GB", "GB", "GB", "DE", "FR", "IE", "NL"];

/// What becomes of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Paid and confirmed.
    Confirmed,
    /// The payment is declined, and the order cancelled.
    Declined,
    /// Confirmed, and later one unit is given back.
    Refunded,
}

/// An order.
#[derive(Debug, Clone)]
pub struct Order {
    /// Its id.
    pub id: Uuid,
    /// Its saga's.
    pub saga: Uuid,
    /// None for a guest.
    pub customer: Option<Uuid>,
    /// Distinct products.
    pub lines: Vec<Line>,
    /// Minor units.
    pub total: i64,
    /// ISO 3166 alpha-2.
    pub country: &'static str,
    /// When it was due.
    pub placed_at: OffsetDateTime,
    /// What becomes of it.
    pub fate: Fate,
}

/// Money back for one unit.
#[derive(Debug, Clone, Copy)]
pub struct Refund {
    /// Its id.
    pub id: Uuid,
    /// What came back.
    pub line: Line,
    /// Minor units.
    pub amount: i64,
}

impl Order {
    /// One unit of its first line.
    pub fn refund(&self) -> Refund {
        let line = Line {
            quantity: 1,
            ..self.lines[0]
        };
        Refund {
            // Of the order's id, so that both owners name the same.
            id: Uuid::from_u128(self.id.as_u128() ^ 1),
            line,
            amount: line.unit_price,
        }
    }

    /// Units of all lines.
    pub fn units(&self) -> i64 {
        self.lines.iter().map(|line| line.quantity).sum()
    }
}

/// A customer's account as it is now.
#[derive(Debug, Clone)]
pub struct User {
    /// The account.
    pub id: Uuid,
    /// As they want to be called.
    pub name: String,
    /// False when blocked.
    pub active: bool,
    /// Of the account.
    pub version: i64,
}

/// Draws orders and changes of accounts; the same from the same seed.
pub struct Script {
    rng: StdRng,
    products: Vec<Uuid>,
    popularity: Zipf<f64>,
    users: Vec<User>,
}

impl Script {
    /// `products` are in the order of their popularity.
    pub fn new(seed: u64, products: Vec<Uuid>, customers: usize) -> anyhow::Result<Self> {
        let mut rng = StdRng::seed_from_u64(seed);
        let users = (0..customers.max(1))
            .map(|number| User {
                id: uuid::Builder::from_random_bytes(rng.random()).into_uuid(),
                name: format!("Customer {number}"),
                active: true,
                version: 1,
            })
            .collect();
        #[allow(clippy::cast_precision_loss)] // far below 2^52
        let count = products.len().max(1) as f64;
        let popularity = Zipf::new(count, ZIPF)?;
        Ok(Self {
            rng,
            products,
            popularity,
            users,
        })
    }

    /// A product, the popular ones often.
    pub fn product(&mut self) -> Uuid {
        let rank = self.rank();
        self.products[rank]
    }

    /// A product's place by popularity, from 0.
    fn rank(&mut self) -> usize {
        let drawn = self.popularity.sample(&mut self.rng);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // from 1 to the number of products
        let rank = drawn as usize;
        rank.clamp(1, self.products.len()) - 1
    }

    /// A price that a product always has, from 0.99 to 99.99.
    fn price(product: Uuid) -> i64 {
        i64::try_from(product.as_u128() % 100).unwrap_or(0) * 100 + 99
    }

    /// An order that is due at a moment.
    pub fn order(&mut self, at: OffsetDateTime) -> Order {
        let more: f64 = Exp1.sample(&mut self.rng);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // bounded
        let count = 1 + (more * LINES_MORE).min(LINES_MAX) as usize;
        let mut quantities = BTreeMap::new();
        for _ in 0..count {
            quantities.insert(self.product(), self.rng.random_range(1..4));
        }
        let line = |(product_id, quantity): (Uuid, i64)| Line {
            product_id,
            quantity,
            unit_price: Self::price(product_id),
        };
        let lines: Vec<Line> = quantities.into_iter().map(line).collect();
        let goods: i64 = lines.iter().map(|line| line.quantity * line.unit_price).sum();
        let customer = self.users[self.rng.random_range(0..self.users.len())].id;
        let fate = match self.rng.random::<f64>() {
            share if share < DECLINED => Fate::Declined,
            share if share < DECLINED + REFUNDED => Fate::Refunded,
            _ => Fate::Confirmed,
        };
        Order {
            id: self.id(at),
            saga: self.id(at),
            customer: (self.rng.random::<f64>() >= GUESTS).then_some(customer),
            lines,
            total: goods,
            country: COUNTRIES[self.rng.random_range(0..COUNTRIES.len())],
            placed_at: at,
            fate,
        }
    }

    /// A UUIDv7 of a moment; unlike the kit's, the same from the same seed.
    fn id(&mut self, at: OffsetDateTime) -> Uuid {
        let millis = u64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &self.rng.random()).into_uuid()
    }

    /// An account that was just changed: blocked, unblocked or renamed.
    pub fn user(&mut self) -> User {
        let number = self.rng.random_range(0..self.users.len());
        let blocks = self.rng.random::<bool>();
        let user = &mut self.users[number];
        user.version += 1;
        if blocks {
            user.active = !user.active;
        } else {
            user.name = format!("Customer {number}, {}", user.version);
        }
        user.clone()
    }
}
