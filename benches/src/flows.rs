//! What is asked for: each flow makes the same requests of the shop and of the floor.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rand_distr::{Distribution, Zipf};
use uuid::Uuid;

use crate::http::{Answer, write_request};
use crate::load::Worker;
use crate::prepare::{Customer, Material};

/// Popularity falls with the rank to the power of this.
const ZIPF_EXPONENT: f64 = 1.0;
/// How many different products a customer adds to the cart.
const CART_PRODUCTS: u64 = 5;
/// Lines of an ordered cart.
pub const ORDER_LINES: usize = 2;

/// A kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flow {
    /// A product by its id; ids by popularity.
    Detail,
    /// The first page of all products.
    List,
    /// A signed-in customer sets the quantity of a product in their cart.
    Cart,
    /// A signed-in customer orders a cart of two products, each customer once a round.
    Checkout,
    /// Products by one or two words.
    Search,
    /// The home page.
    HomePage,
    /// A product's page; ids by popularity.
    ProductPage,
    /// The result page of a search.
    SearchPage,
}

impl Flow {
    /// All flows, in the order of the results.
    pub const ALL: [Self; 8] = [
        Self::Detail,
        Self::List,
        Self::Cart,
        Self::Checkout,
        Self::Search,
        Self::HomePage,
        Self::ProductPage,
        Self::SearchPage,
    ];

    /// The name in results and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Detail => "product-detail",
            Self::List => "product-list",
            Self::Cart => "add-to-cart",
            Self::Checkout => "checkout",
            Self::Search => "search",
            Self::HomePage => "home-page",
            Self::ProductPage => "product-page",
            Self::SearchPage => "search-page",
        }
    }

    /// What is sent, for people.
    pub fn request(self) -> &'static str {
        match self {
            Self::Detail => "GET /api/products/{id}",
            Self::List => "GET /api/products",
            Self::Cart => "PUT /api/cart/items/{id}",
            Self::Checkout => "POST /api/orders",
            Self::Search => "GET /api/products?q=",
            Self::HomePage => "GET /",
            Self::ProductPage => "GET /products/{id}",
            Self::SearchPage => "GET /search?q=",
        }
    }

    /// Whether the floor answers it as well.
    pub fn has_floor(self) -> bool {
        matches!(self, Self::Detail | Self::List | Self::Cart | Self::Checkout)
    }

    /// `count` connections' worth of this flow. For checkouts the carts have to be filled.
    pub fn workers(self, to: SocketAddr, material: &Arc<Material>, count: usize) -> Vec<Box<dyn Worker>> {
        let next_customer = Arc::new(AtomicUsize::new(0));
        let one = |number: usize| -> Box<dyn Worker> {
            let dice = Dice::new(number);
            let material = material.clone();
            match self {
                Self::Cart => Box::new(AddToCart { to, material, dice }),
                Self::Checkout => Box::new(Checkout {
                    to,
                    material,
                    next: next_customer.clone(),
                }),
                _ => Box::new(Read {
                    flow: self,
                    to,
                    material,
                    dice,
                }),
            }
        };
        (0..count).map(one).collect()
    }
}

/// Fills the carts of the first `carts` customers, on `count` connections. A customer's cart always gets the same products,
/// so that filling it again changes nothing.
pub fn fillers(to: SocketAddr, material: &Arc<Material>, count: usize, carts: usize) -> Vec<Box<dyn Worker>> {
    let next = Arc::new(AtomicUsize::new(0));
    let carts = carts.min(material.customers.len());
    let one = |_| -> Box<dyn Worker> {
        Box::new(FillCarts {
            to,
            material: material.clone(),
            next: next.clone(),
            carts,
        })
    };
    (0..count).map(one).collect()
}

/// Asks for nothing that costs anything: what the generator and a bare server cost together.
pub fn null_workers(to: SocketAddr, count: usize) -> Vec<Box<dyn Worker>> {
    (0..count)
        .map(|_| -> Box<dyn Worker> { Box::new(Null { to }) })
        .collect()
}

/// Random choices; each worker has its own, the same in every round.
struct Dice {
    rng: StdRng,
}

impl Dice {
    fn new(number: usize) -> Self {
        Self {
            rng: StdRng::seed_from_u64(u64::try_from(number).unwrap_or(0)),
        }
    }

    /// One of `things`, the first ones most often.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )] // a rank
    fn popular<'a, T>(&mut self, things: &'a [T]) -> &'a T {
        let rank =
            Zipf::new(things.len() as f64, ZIPF_EXPONENT).map_or(1.0, |zipf| zipf.sample(&mut self.rng));
        &things[(rank as usize).clamp(1, things.len()) - 1]
    }

    fn below(&mut self, end: u64) -> u64 {
        self.rng.random_range(0..end)
    }
}

struct Read {
    flow: Flow,
    to: SocketAddr,
    material: Arc<Material>,
    dice: Dice,
}

impl Worker for Read {
    fn next(&mut self, request: &mut Vec<u8>) -> bool {
        let line = match self.flow {
            Flow::Detail => format!("GET /api/products/{}", self.product()),
            Flow::ProductPage => format!("GET /products/{}", self.product()),
            Flow::Search => format!("GET /api/products?q={}", self.query()),
            Flow::SearchPage => format!("GET /search?q={}", self.query()),
            Flow::HomePage => "GET /".to_owned(),
            Flow::List | Flow::Cart | Flow::Checkout => "GET /api/products".to_owned(),
        };
        write_request(request, self.to, &line, &[], "");
        true
    }
}

impl Read {
    fn product(&mut self) -> &Uuid {
        self.dice.popular(&self.material.products)
    }

    fn query(&mut self) -> &str {
        self.dice.popular::<String>(&self.material.queries)
    }
}

struct Null {
    to: SocketAddr,
}

impl Worker for Null {
    fn next(&mut self, request: &mut Vec<u8>) -> bool {
        write_request(request, self.to, "GET /null", &[], "");
        true
    }
}

struct AddToCart {
    to: SocketAddr,
    material: Arc<Material>,
    dice: Dice,
}

impl Worker for AddToCart {
    fn next(&mut self, request: &mut Vec<u8>) -> bool {
        let customers = &self.material.cart_customers;
        let customer = self.dice.below(customers.len() as u64);
        // A customer's products are always the same ones, so that the cart neither grows without end nor gets full.
        let chosen = customer * CART_PRODUCTS + self.dice.below(CART_PRODUCTS);
        let products = &self.material.ordered;
        let product = products[usize::try_from(chosen).unwrap_or(0) % products.len()];
        let quantity = 1 + self.dice.below(9);
        let customer = &customers[usize::try_from(customer).unwrap_or(0)];
        put(request, self.to, customer, product, quantity);
        true
    }
}

struct FillCarts {
    to: SocketAddr,
    material: Arc<Material>,
    next: Arc<AtomicUsize>,
    carts: usize,
}

impl Worker for FillCarts {
    fn next(&mut self, request: &mut Vec<u8>) -> bool {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if number >= self.carts * ORDER_LINES {
            return false;
        }
        let customer = &self.material.customers[number / ORDER_LINES];
        let product = *Dice::new(number).popular(&self.material.ordered);
        put(request, self.to, customer, product, 1);
        true
    }
}

fn put(request: &mut Vec<u8>, to: SocketAddr, customer: &Customer, product: Uuid, quantity: u64) {
    let line = format!("PUT /api/cart/items/{product}");
    let bearer = format!("Bearer {}", customer.token);
    write_request(
        request,
        to,
        &line,
        &[("authorization", &bearer)],
        &format!(r#"{{"quantity":{quantity}}}"#),
    );
}

struct Checkout {
    to: SocketAddr,
    material: Arc<Material>,
    next: Arc<AtomicUsize>,
}

impl Worker for Checkout {
    fn next(&mut self, request: &mut Vec<u8>) -> bool {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let Some(customer) = self.material.customers.get(number) else {
            return false;
        };
        let bearer = format!("Bearer {}", customer.token);
        let key = Uuid::new_v4().to_string();
        let headers = [
            ("authorization", bearer.as_str()),
            ("idempotency-key", key.as_str()),
        ];
        let body = format!(
            r#"{{"address_id":"{}","payment_token":"tok_ok"}}"#,
            customer.address_id
        );
        write_request(request, self.to, "POST /api/orders", &headers, &body);
        true
    }

    /// An order that was cancelled, or is still under way, is not what is measured.
    fn accepts(&mut self, answer: &Answer<'_>) -> bool {
        const CONFIRMED: &[u8] = br#""status":"confirmed""#;
        answer.status == 201 && answer.body.windows(CONFIRMED.len()).any(|part| part == CONFIRMED)
    }
}
