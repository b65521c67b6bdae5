//! The generated shop: the same bytes every time, unique identities, and customers who buy with a purpose.

#![allow(clippy::expect_used, reason = "a broken expectation fails the test")]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use emporium_seed::records::{Currency, OrderRecord, PaymentRecord, UserRecord, total};
use emporium_seed::{DEFAULT_SEED, DEMO_ACCOUNTS, Generator, Scale};
use serde::Serialize;
use sha2::{Digest, Sha256};

fn generator(scale: Scale) -> Generator {
    Generator::new(scale, DEFAULT_SEED, Currency::GBP)
}

fn digest<R: Serialize>(hasher: &mut Sha256, records: impl Iterator<Item = R>) {
    for record in records {
        hasher.update(serde_json::to_vec(&record).expect("records are JSON"));
        hasher.update(b"\n");
    }
}

/// The SHA-256 of all records as NDJSON: products, users, orders, payments.
fn bytes_of(generator: &Generator) -> String {
    let mut hasher = Sha256::new();
    digest(&mut hasher, generator.products());
    digest(&mut hasher, generator.users());
    digest(&mut hasher, generator.orders());
    digest(&mut hasher, generator.payments());
    hasher
        .finalize()
        .iter()
        .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

/// Pinned: a change here changes everybody's sample data, so it belongs into the changelog.
#[test]
fn the_same_seed_gives_the_same_bytes() {
    for (scale, pinned) in [(Scale::Tiny, TINY), (Scale::Small, SMALL)] {
        let first = bytes_of(&generator(scale));
        assert_eq!(first, bytes_of(&generator(scale)), "{scale}: two runs differ");
        assert_eq!(first, pinned, "{scale}: the bytes have changed");
    }
    assert_ne!(TINY, bytes_of(&Generator::new(Scale::Tiny, 2, Currency::GBP)));
}

const TINY: &str = "4e1bf5c82e6ab585a15b433098e54713e14102c6a78ec066a45b187ac33bf643";
const SMALL: &str = "ac30d6fae8ca5ff5f393825f468ffbf69a369f24347630735c9613a7218d7756";

fn assert_unique<T: Ord + std::fmt::Debug>(seen: &mut BTreeSet<T>, value: T) {
    assert!(!seen.contains(&value), "{value:?} comes twice");
    seen.insert(value);
}

#[test]
fn ids_skus_emails_and_numbers_are_unique_across_seeds_too() {
    let (mut ids, mut skus, mut emails, mut numbers) =
        (BTreeSet::new(), BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for seed in [DEFAULT_SEED, 2] {
        let shop = Generator::new(Scale::Small, seed, Currency::GBP);
        for product in shop.products() {
            assert_unique(&mut ids, product.id);
            assert_unique(&mut skus, product.sku.to_string());
        }
        // The demo accounts are the same people for every seed.
        for user in shop.users().skip(if seed == DEFAULT_SEED {
            0
        } else {
            DEMO_ACCOUNTS.len()
        }) {
            assert_unique(&mut ids, user.id);
            assert_unique(&mut emails, user.email);
            for address in user.addresses {
                assert_unique(&mut ids, address.id);
            }
        }
        for record in shop.orders() {
            match record {
                OrderRecord::Order(order) => {
                    assert_unique(&mut ids, order.id);
                    assert_unique(&mut numbers, order.number);
                }
                OrderRecord::Refund(refund) => assert_unique(&mut ids, refund.id),
            }
        }
    }
}

#[test]
fn scales_have_their_sizes_and_nest() {
    let (tiny, small) = (generator(Scale::Tiny), generator(Scale::Small));
    assert_eq!((tiny.products().count(), tiny.users().count()), (200, 100));
    assert!(tiny.products().eq(small.products().take(200)));
    assert!(tiny.users().eq(small.users().take(100)));
    let orders = tiny
        .orders()
        .filter(|record| matches!(record, OrderRecord::Order(_)))
        .count();
    assert_eq!(orders, 400);
    assert_eq!("medium".parse::<Scale>().expect("a scale"), Scale::Medium);
    assert!("huge".parse::<Scale>().is_err());
}

#[test]
fn only_demo_accounts_can_sign_in_and_they_have_a_history() {
    for scale in [Scale::Tiny, Scale::Small] {
        let shop = generator(scale);
        let demo: Vec<UserRecord> = shop.users().filter(|user| user.password.is_some()).collect();
        let expected: Vec<_> = DEMO_ACCOUNTS
            .iter()
            .map(|account| (account.email, Some(account.password)))
            .collect();
        let found: Vec<_> = demo
            .iter()
            .map(|user| (user.email.as_str(), user.password.as_deref()))
            .collect();
        assert_eq!(found, expected);
        for user in demo {
            let orders = shop.orders().filter(
                |record| matches!(record, OrderRecord::Order(order) if order.customer_id == Some(user.id)),
            );
            assert!(orders.count() >= 4, "{}", user.email);
        }
    }
}

#[test]
fn products_are_sold_as_they_are_described() {
    let shop = generator(Scale::Small);
    let mut categories = BTreeMap::<String, String>::new();
    for product in shop.products() {
        assert!(product.stock >= 100 && product.price.amount > 0);
        assert!(
            !product.name.contains(['{', '}', '~']) && !product.name.contains("  "),
            "{}",
            product.name
        );
        assert!(
            !product.description.contains(['{', '}', '~']),
            "{}",
            product.description
        );
        let sentences = product.description.matches(". ").count() + 1;
        assert!(
            (2..=6).contains(&sentences) && product.description.ends_with('.'),
            "{}",
            product.description
        );
        assert!(product.attributes.len() >= 3, "{}", product.name);
        let name = categories
            .entry(product.category)
            .or_insert(product.category_name.clone());
        assert_eq!(*name, product.category_name);
    }
    assert_eq!(categories.len(), 40);
}

#[test]
fn orders_add_up_and_fit_to_products_customers_and_payments() {
    let shop = generator(Scale::Small);
    let products: BTreeMap<_, _> = shop.products().map(|product| (product.id, product)).collect();
    let customers: BTreeMap<_, _> = shop.users().map(|user| (user.id, user)).collect();
    let mut payments = shop.payments();
    let mut paid = BTreeMap::new();
    let mut last_placed = None;
    for record in shop.orders() {
        match record {
            OrderRecord::Order(order) => {
                assert!(last_placed <= Some(order.placed_at), "orders come by time");
                last_placed = Some(order.placed_at);
                let customer = &customers[&order.customer_id.expect("no guests here")];
                assert!(customer.created_at <= order.placed_at);
                let default = customer
                    .addresses
                    .iter()
                    .find(|address| address.is_default)
                    .expect("a default address");
                assert_eq!(order.shipping_address, Some(default.into()));
                assert!(!order.lines.is_empty());
                for line in &order.lines {
                    let product = &products[&line.product_id];
                    assert_eq!(
                        (&line.sku, &line.name, line.unit_price),
                        (&product.sku, &product.name, product.price.amount)
                    );
                    assert!(product.created_at < order.placed_at && line.quantity > 0);
                }
                let amount = total(&order.lines, &order.charges);
                let Some(PaymentRecord::Charge {
                    order_id,
                    amount: charged,
                    ..
                }) = payments.next()
                else {
                    panic!("every order has its charge next");
                };
                assert_eq!((order_id, charged.amount), (order.id, amount));
                paid.insert(order.id, amount);
            }
            OrderRecord::Refund(refund) => {
                let left = paid
                    .get_mut(&refund.order_id.expect("matched"))
                    .expect("an earlier order");
                *left -= refund.amount;
                assert!(*left >= 0 && refund.amount == total(&refund.lines, &refund.charges));
                let Some(PaymentRecord::Refund { refund_id, .. }) = payments.next() else {
                    panic!("its payment is next")
                };
                assert_eq!(refund_id, refund.id);
            }
        }
    }
    assert!(payments.next().is_none());
}

/// A few products sell most, and things that go together are bought together more often than by chance.
#[test]
fn popularity_is_zipf_like_and_baskets_follow_tastes() {
    let shop = generator(Scale::Small);
    let traits: BTreeMap<_, _> = shop
        .products()
        .map(|product| {
            (
                product.id,
                (
                    product.category,
                    product
                        .attributes
                        .get("collection")
                        .cloned()
                        .map(|theme| format!("{theme:?}")),
                ),
            )
        })
        .collect();
    let mut sold = BTreeMap::<_, i64>::new();
    let mut category_orders = BTreeMap::<&str, u32>::new();
    let (mut orders, mut together, mut same_theme, mut pairs) = (0_u32, 0_u32, 0_u32, 0_u32);
    for record in shop.orders() {
        let OrderRecord::Order(order) = record else {
            continue;
        };
        orders += 1;
        let mut categories = BTreeSet::new();
        for line in &order.lines {
            *sold.entry(line.product_id).or_default() += line.quantity;
            categories.insert(traits[&line.product_id].0.as_str());
        }
        for (place, line) in order.lines.iter().enumerate() {
            for other in &order.lines[place + 1..] {
                if let (Some(one), Some(two)) = (&traits[&line.product_id].1, &traits[&other.product_id].1) {
                    pairs += 1;
                    same_theme += u32::from(one == two);
                }
            }
        }
        for category in &categories {
            *category_orders
                .entry(
                    traits
                        .values()
                        .map(|(slug, _)| slug.as_str())
                        .find(|slug| slug == category)
                        .expect("known"),
                )
                .or_default() += 1;
        }
        together += u32::from(categories.contains("garden-tools") && categories.contains("planters"));
    }
    let mut sold: Vec<i64> = sold.into_values().collect();
    sold.sort_unstable_by(|one, other| other.cmp(one));
    let (all, top): (i64, i64) = (sold.iter().sum(), sold.iter().take(200).sum());
    assert!(top * 100 > all * 30, "the best tenth sells {top} of {all}");

    let expected = f64::from(category_orders["garden-tools"]) * f64::from(category_orders["planters"])
        / f64::from(orders);
    let lift = f64::from(together) / expected;
    assert!(lift > 2.0, "garden tools and planters: lift {lift:.2}");
    let theme_lift = f64::from(same_theme) / f64::from(pairs) * 8.0;
    assert!(theme_lift > 1.5, "themes within a basket: lift {theme_lift:.2}");
    println!("best tenth {top} of {all} units, lift garden-tools/planters {lift:.2}, themes {theme_lift:.2}");
}

/// `cargo test -p emporium-seed --release -- --ignored --nocapture large` measures it.
#[test]
#[ignore = "a million products take a while; run it in release"]
fn the_large_scale_streams_in_little_memory() {
    let shop = generator(Scale::Large);
    let start = std::time::Instant::now();
    let bytes: usize = shop
        .products()
        .map(|product| serde_json::to_vec(&product).expect("JSON").len())
        .sum();
    println!("1,000,000 products, {bytes} bytes: {:?}", start.elapsed());
    let start = std::time::Instant::now();
    println!(
        "{} customers: {:?}",
        shop.users()
            .map(|user| u64::from(!serde_json::to_vec(&user).expect("JSON").is_empty()))
            .sum::<u64>(),
        start.elapsed()
    );
    let start = std::time::Instant::now();
    println!(
        "{} orders and refunds: {:?}",
        shop.orders()
            .map(|order| u64::from(!serde_json::to_vec(&order).expect("JSON").is_empty()))
            .sum::<u64>(),
        start.elapsed()
    );
    if let Some(mib) = support::peak_memory_mib() {
        println!("peak memory {mib} MiB");
        assert!(mib < 300);
    }
}
