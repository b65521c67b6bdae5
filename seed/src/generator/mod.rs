//! A shop that never was: products, customers with tastes, two years of their orders, and what they think of what they bought.
//!
//! Every product, customer and order is a pure function of the seed and its number: each has a ChaCha stream of its
//! own. So nothing is kept in memory, a million products stream in a few megabytes, and the same seed gives the same
//! bytes whatever is asked for first. The scales nest: the 200 products and 100 customers of [`Scale::Tiny`] are the
//! first ones of all larger scales, with the same ids; orders belong to their scale.

mod customers;
pub mod opinions;
mod orders;
mod products;
mod reviews;
pub mod seasons;
mod text;
pub mod vocabulary;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::Zipf;
use serde::Serialize;
use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use crate::records::{Currency, OrderRecord, PaymentRecord, ProductRecord, ReviewRecord, UserRecord};
use seasons::Calendar;
use vocabulary::CATEGORY_COUNT;

/// The seed unless another is asked for.
pub const DEFAULT_SEED: u64 = 1;

/// How steeply popularity falls from the best seller on: the product of rank r sells like 1/r.
const ZIPF_EXPONENT: f64 = 1.0;

/// An account of the sample data that can sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DemoAccount {
    /// Its e-mail address.
    pub email: &'static str,
    /// Its password, no secret.
    pub password: &'static str,
    /// Its name.
    pub name: &'static str,
}

/// The accounts of the sample data that can sign in, whatever the seed and the scale.
pub const DEMO_ACCOUNTS: [DemoAccount; 3] = [
    DemoAccount {
        email: "demo1@emporium.example",
        password: "emporium-demo-1",
        name: "Demo Donnelly",
    },
    DemoAccount {
        email: "demo2@emporium.example",
        password: "emporium-demo-2",
        name: "Deepa Demonstra",
    },
    DemoAccount {
        email: "demo3@emporium.example",
        password: "emporium-demo-3",
        name: "Dylan Demoson",
    },
];

/// How much sample data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scale {
    /// 200 products, 100 customers, 400 orders.
    Tiny,
    /// 2,000 products, 1,000 customers, 4,000 orders.
    Small,
    /// 50,000 products, 25,000 customers, 100,000 orders.
    Medium,
    /// 1,000,000 products, 500,000 customers, 2,000,000 orders.
    Large,
}

impl Scale {
    /// All scales, the smallest first.
    pub const ALL: [Self; 4] = [Self::Tiny, Self::Small, Self::Medium, Self::Large];

    /// How many products.
    pub fn products(self) -> u64 {
        match self {
            Self::Tiny => 200,
            Self::Small => 2_000,
            Self::Medium => 50_000,
            Self::Large => 1_000_000,
        }
    }

    /// How many customers: one for two products, [`DEMO_ACCOUNTS`] included.
    pub fn customers(self) -> u64 {
        self.products() / 2
    }

    /// How many orders: four a customer in two years.
    pub fn orders(self) -> u64 {
        self.products() * 2
    }

    /// The name, as on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tiny => "tiny",
            Self::Small => "small",
            Self::Medium => "medium",
            Self::Large => "large",
        }
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// There is no scale of that name.
#[derive(Debug, thiserror::Error)]
#[error("the scales are tiny, small, medium and large, not {0:?}")]
pub struct UnknownScale(String);

impl FromStr for Scale {
    type Err = UnknownScale;

    fn from_str(text: &str) -> Result<Self, UnknownScale> {
        Self::ALL
            .into_iter()
            .find(|scale| scale.name() == text)
            .ok_or_else(|| UnknownScale(text.to_owned()))
    }
}

/// What a stream of randomness is for: each kind has its own, so that a new field of one changes no other.
#[derive(Clone, Copy)]
enum Stream {
    Product = 1,
    Customer = 2,
    Taste = 3,
    Order = 4,
    Review = 5,
    Quality = 6,
}

/// Makes the sample data of one seed and scale.
pub struct Generator {
    seed: u64,
    scale: Scale,
    currency: Currency,
    /// Distinguishes SKUs, e-mails and order numbers of other seeds; empty for [`DEFAULT_SEED`].
    suffix: String,
    calendar: Calendar,
    /// Ranks of a category's products; there is one, as every category has products in every scale.
    popularity: Option<Zipf<f64>>,
    /// Sums of the categories' demand by month, for drawing one.
    demand: [[u32; CATEGORY_COUNT]; 12],
}

impl Generator {
    /// A generator; nothing is made before an iterator asks for it.
    pub fn new(scale: Scale, seed: u64, currency: Currency) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "at most 25,000")]
        let per_category = (scale.products() / CATEGORY_COUNT as u64) as f64;
        Self {
            seed,
            scale,
            currency,
            suffix: if seed == DEFAULT_SEED {
                String::new()
            } else {
                format!("-s{seed}")
            },
            calendar: Calendar::of_two_years(),
            popularity: Zipf::new(per_category, ZIPF_EXPONENT).ok(),
            demand: orders::demand_by_month(),
        }
    }

    /// The scale asked for.
    pub fn scale(&self) -> Scale {
        self.scale
    }

    /// All products.
    pub fn products(&self) -> impl Iterator<Item = ProductRecord> + '_ {
        (0..self.scale.products()).map(|index| self.product(index))
    }

    /// All customers, the demo accounts first.
    pub fn users(&self) -> impl Iterator<Item = UserRecord> + '_ {
        (0..self.scale.customers()).map(|index| self.user(index))
    }

    /// All orders by time, each followed by its refund where there is one.
    pub fn orders(&self) -> impl Iterator<Item = OrderRecord> + '_ {
        (0..self.scale.orders()).flat_map(|index| self.order_with_refund(index))
    }

    /// The payments of the orders and their refunds.
    pub fn payments(&self) -> impl Iterator<Item = PaymentRecord> + '_ {
        self.orders()
            .filter_map(|record| record.payment("Returned goods"))
    }

    /// Reviews of bought goods, one for a customer and a product, by the orders that they follow. To know which pairs there
    /// were, this keeps eight bytes a review.
    pub fn reviews(&self) -> impl Iterator<Item = ReviewRecord> + '_ {
        let mut seen = HashSet::new();
        (0..self.scale.orders()).flat_map(move |index| self.reviews_of_order(index, &mut seen))
    }

    /// The randomness of one thing.
    fn rng(&self, stream: Stream, index: u64) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream((stream as u64) << 48 | index);
        rng
    }

    /// A natural key of this seed.
    fn key(&self, kind: &str, index: u64) -> Vec<u8> {
        format!("{kind}/{}/{index}", self.seed).into_bytes()
    }
}
