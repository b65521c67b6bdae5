//! One order: who buys it, when, and what goes together in it.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::Distribution;
use time::{Duration, OffsetDateTime};

use super::customers::{Taste, category_number};
use super::products::Blueprint;
use super::seasons::REFERENCE;
use super::vocabulary::{CATEGORY_COUNT, category};
use super::{DEMO_ACCOUNTS, Generator, Stream};
use crate::ids;
use crate::records::{ChargeKind, Order, OrderCharge, OrderLine, OrderRecord, Refund, total};

/// Orders of each demo account, so that a visitor finds a history.
const ORDERS_PER_DEMO_ACCOUNT: u64 = 4;
/// Postage is free from this value on, in minor units.
const FREE_POSTAGE_FROM: i64 = 4_000;
/// How often a product is drawn anew to match the customer's taste.
const TASTE_TRIES: u32 = 12;
/// How often a customer is drawn anew: some buy a lot, and nobody before registering.
const CUSTOMER_TRIES: u32 = 24;

/// The demand of each category in each month, seasons included.
pub(super) fn demand_by_month() -> [[u32; CATEGORY_COUNT]; 12] {
    let mut demand = [[0; CATEGORY_COUNT]; 12];
    for (month, row) in (1_u8..).zip(&mut demand) {
        for (number, cell) in row.iter_mut().enumerate() {
            let category = category(number);
            *cell = category.demand * category.season.percent(month);
        }
    }
    demand
}

/// An order as it was made up.
pub(super) struct Drafted {
    /// The order, and its refund where something came back.
    pub records: Vec<OrderRecord>,
    /// The customer's number.
    pub buyer: u64,
    /// The products' numbers, line by line.
    pub products: Vec<u64>,
}

impl Drafted {
    /// When it was placed.
    pub fn placed_at(&self) -> OffsetDateTime {
        match self.records.first() {
            Some(OrderRecord::Order(order)) => order.placed_at,
            // Never: an order comes before its refund.
            Some(OrderRecord::Refund(_)) | None => REFERENCE,
        }
    }

    /// What was bought.
    pub fn lines(&self) -> &[OrderLine] {
        match self.records.first() {
            Some(OrderRecord::Order(order)) => &order.lines,
            Some(OrderRecord::Refund(_)) | None => &[],
        }
    }
}

impl Generator {
    /// The order number `index`, and its refund where something came back.
    pub(super) fn order_with_refund(&self, index: u64) -> impl Iterator<Item = OrderRecord> + use<> {
        self.drafted(index).records.into_iter()
    }

    /// The order number `index`, with what it was made of.
    pub(super) fn drafted(&self, index: u64) -> Drafted {
        let mut rng = self.rng(Stream::Order, index);
        let (order, buyer, products) = self.order(index, &mut rng);
        let refund = refund(&order, &mut rng);
        let mut order = order;
        if refund.as_ref().is_some_and(|refund| refund.lines == order.lines) {
            "returned".clone_into(&mut order.fulfilment);
        }
        let order = std::iter::once(OrderRecord::Order(order));
        Drafted {
            records: order.chain(refund.map(OrderRecord::Refund)).collect(),
            buyer,
            products,
        }
    }

    fn order(&self, index: u64, rng: &mut ChaCha8Rng) -> (Order, u64, Vec<u64>) {
        let placed_at = self.calendar.time_at(index, self.scale.orders());
        let buyer = self.buyer(index, placed_at, rng);
        let customer = self.customer(buyer);
        let (products, lines) = self
            .basket(&self.taste(buyer), placed_at, rng)
            .into_iter()
            .unzip();
        let lines: Vec<OrderLine> = lines;
        let charges = charges(total(&lines, &[]), &customer.address.country, rng);
        let letter = self.scale.name()[..1].to_uppercase();
        let number = format!("{letter}{:07}{}", index + 1, self.suffix.to_uppercase());
        let order = Order {
            id: ids::derive(placed_at, "seed/order", &self.key(self.scale.name(), index)),
            number,
            customer_id: Some(customer.id),
            placed_at,
            fulfilment: fulfilment(placed_at).to_owned(),
            source: "seed".to_owned(),
            reference: None,
            currency: self.currency,
            lines,
            charges,
            shipping_address: Some(customer.address),
        };
        (order, buyer, products)
    }

    /// The number of the customer who places the order number `index`.
    fn buyer(&self, index: u64, at: OffsetDateTime, rng: &mut ChaCha8Rng) -> u64 {
        let demo_orders = DEMO_ACCOUNTS.len() as u64 * ORDERS_PER_DEMO_ACCOUNT;
        let every = self.scale.orders() / demo_orders;
        if index % every == every / 2 {
            return (index / every) % DEMO_ACCOUNTS.len() as u64;
        }
        for _ in 0..CUSTOMER_TRIES {
            let candidate = rng.random_range(DEMO_ACCOUNTS.len() as u64..self.scale.customers());
            // A few customers buy ten times as often as most: one in 8 is always taken, the others one time in 10.
            let keen = candidate % 8 == 3 || rng.random_ratio(1, 10);
            if keen && self.customer(candidate).registered_at < at {
                return candidate;
            }
        }
        index % DEMO_ACCOUNTS.len() as u64
    }

    /// What is bought together: the first thing sets the tone, the others go with it.
    fn basket(&self, taste: &Taste, at: OffsetDateTime, rng: &mut ChaCha8Rng) -> Vec<(u64, OrderLine)> {
        let count = match rng.random_range(0..20) {
            0..6 => 1,
            6..11 => 2,
            11..15 => 3,
            15..18 => 4,
            _ => rng.random_range(5..=8),
        };
        let first = self.first_category(taste, at, rng);
        let theme = if rng.random_ratio(3, 4) {
            taste.themes[0]
        } else {
            taste.themes[1]
        };
        let mut lines: Vec<(u64, OrderLine)> = Vec::with_capacity(count);
        for place in 0..count {
            let category = if place == 0 || rng.random_ratio(2, 5) {
                first
            } else {
                companion(first, rng)
            };
            let blueprint = self.product_for(category, theme, taste, at, rng);
            let (product, article) = (blueprint.index, self.article(blueprint));
            if lines.iter().any(|(known, _)| *known == product) {
                continue;
            }
            let quantity = quantity(article.price, rng);
            let line = OrderLine {
                product_id: article.id,
                sku: article.sku,
                name: article.name,
                quantity,
                unit_price: article.price,
            };
            lines.push((product, line));
        }
        lines
    }

    /// One of the customer's favourites in season, or what everybody buys at that time.
    fn first_category(&self, taste: &Taste, at: OffsetDateTime, rng: &mut ChaCha8Rng) -> usize {
        let demand = &self.demand[usize::from(u8::from(at.month()) - 1)];
        if rng.random_ratio(7, 10) {
            weighted(
                taste
                    .categories
                    .map(|number| (number, demand[number]))
                    .into_iter(),
                rng,
            )
        } else {
            weighted(demand.iter().copied().enumerate(), rng)
        }
    }

    /// A popular product that was for sale at `at` and is to the customer's taste, if a few tries find one.
    fn product_for(
        &self,
        category: usize,
        theme: usize,
        taste: &Taste,
        at: OffsetDateTime,
        rng: &mut ChaCha8Rng,
    ) -> Blueprint {
        let mut rank = 0;
        for _ in 0..TASTE_TRIES {
            rank = self.draw_rank(rng);
            let candidate = self.blueprint(self.product_at_rank(category, rank));
            let favourite_brand = (taste.brand + category) % candidate.category.brands.len();
            let fits = candidate.theme == theme
                || (candidate.brand == favourite_brand && rng.random_ratio(1, 2))
                || rng.random_ratio(1, 20);
            if candidate.created_at < at && fits {
                return candidate;
            }
        }
        for next in rank..rank + self.per_category() {
            let candidate = self.blueprint(self.product_at_rank(category, next % self.per_category()));
            if candidate.created_at < at {
                return candidate;
            }
        }
        // Only if a whole category is younger than the order, which the share of recent products rules out.
        self.blueprint(self.product_at_rank(category, rank))
    }

    fn draw_rank(&self, rng: &mut ChaCha8Rng) -> u64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 1 and 25,000"
        )]
        let rank = self.popularity.map_or(1, |zipf| zipf.sample(rng) as u64);
        rank.saturating_sub(1).min(self.per_category() - 1)
    }
}

fn companion(first: usize, rng: &mut ChaCha8Rng) -> usize {
    let goes_with = category(first).goes_with;
    category_number(goes_with[rng.random_range(0..goes_with.len())])
}

/// Draws one of the numbers by weight.
fn weighted(choices: impl Iterator<Item = (usize, u32)> + Clone, rng: &mut ChaCha8Rng) -> usize {
    let total: u32 = choices.clone().map(|(_, weight)| weight).sum();
    let mut left = rng.random_range(0..total.max(1));
    let mut last = 0;
    for (number, weight) in choices {
        last = number;
        if left < weight {
            break;
        }
        left -= weight;
    }
    last
}

/// Cheap things are bought by the handful.
fn quantity(price: i64, rng: &mut ChaCha8Rng) -> i64 {
    match rng.random_range(0..10) {
        0..7 => 1,
        7..9 => 2,
        _ if price < 1_500 => rng.random_range(3..=8),
        _ => 1,
    }
}

fn charges(goods: i64, country: &str, rng: &mut ChaCha8Rng) -> Vec<OrderCharge> {
    let mut charges = Vec::new();
    if country != "GB" {
        charges.push(OrderCharge {
            kind: ChargeKind::Postage,
            name: "International delivery".to_owned(),
            amount: 995,
        });
    } else if goods < FREE_POSTAGE_FROM {
        charges.push(OrderCharge {
            kind: ChargeKind::Postage,
            name: "Standard delivery".to_owned(),
            amount: 395,
        });
    }
    if rng.random_ratio(4, 100) {
        charges.push(OrderCharge {
            kind: ChargeKind::Discount,
            name: "10% off voucher".to_owned(),
            amount: -(goods / 10),
        });
    }
    charges
}

/// How far a parcel has come by [`REFERENCE`].
fn fulfilment(placed_at: OffsetDateTime) -> &'static str {
    let age = REFERENCE - placed_at;
    if age > Duration::days(5) {
        "delivered"
    } else if age > Duration::days(1) {
        "shipped"
    } else {
        "none"
    }
}

/// One order in thirty sends a line back, if it is old enough. Discounted ones do not, so that no refund exceeds
/// what was paid.
fn refund(order: &Order, rng: &mut ChaCha8Rng) -> Option<Refund> {
    let wanted = rng.random_ratio(1, 30);
    let at = order.placed_at + Duration::minutes(rng.random_range(5 * 1_440..30 * 1_440));
    let mut line = order.lines[rng.random_range(0..order.lines.len())].clone();
    let discounted = order.charges.iter().any(|charge| charge.amount < 0);
    if !wanted || discounted || at >= REFERENCE {
        return None;
    }
    line.quantity = rng.random_range(1..=line.quantity);
    let lines = vec![line];
    Some(Refund {
        id: ids::derive(at, "seed/refund", order.id.as_bytes()),
        order_id: Some(order.id),
        customer_id: order.customer_id,
        at,
        source: "seed".to_owned(),
        reference: Some(order.number.clone()),
        currency: order.currency,
        amount: total(&lines, &[]),
        lines,
        charges: Vec::new(),
    })
}
