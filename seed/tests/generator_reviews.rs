//! Reviews of the generated shop: the same bytes every time, one for a customer and a product, and worth reading.

#![allow(clippy::expect_used, reason = "a broken expectation fails the test")]

use std::collections::{BTreeMap, BTreeSet};

use emporium_seed::records::{Currency, OrderRecord, ReviewRecord};
use emporium_seed::{DEFAULT_SEED, Generator, Scale};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use uuid::Uuid;

fn generator(scale: Scale) -> Generator {
    Generator::new(scale, DEFAULT_SEED, Currency::GBP)
}

fn digest(generator: &Generator) -> String {
    let mut hasher = Sha256::new();
    for review in generator.reviews() {
        hasher.update(serde_json::to_vec(&review).expect("records are JSON"));
        hasher.update(b"\n");
    }
    let bytes = hasher.finalize();
    bytes
        .iter()
        .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

/// Pinned, as the other records are.
#[test]
fn the_same_seed_gives_the_same_reviews() {
    for (scale, pinned) in [(Scale::Tiny, TINY), (Scale::Small, SMALL)] {
        let first = digest(&generator(scale));
        assert_eq!(first, digest(&generator(scale)), "{scale}: two runs differ");
        assert_eq!(first, pinned, "{scale}: the bytes have changed");
    }
}

const TINY: &str = "80c179d7ae8b718450774f97040a6122d9f18e3fd832ec8f62cfd2da1d97d952";
const SMALL: &str = "c8961eb672f564ebd6a36a43876d430da9697442fd5d071579e2a957e40b48e3";

/// Who bought what, and when first.
fn bought(shop: &Generator) -> BTreeMap<(Uuid, Uuid), OffsetDateTime> {
    let mut bought = BTreeMap::new();
    for record in shop.orders() {
        let OrderRecord::Order(order) = record else {
            continue;
        };
        let customer = order.customer_id.expect("generated orders have one");
        for line in order.lines {
            bought
                .entry((customer, line.product_id))
                .or_insert(order.placed_at);
        }
    }
    bought
}

#[test]
fn a_customer_reviews_a_product_once_and_mostly_what_was_bought() {
    let shop = generator(Scale::Small);
    let bought = bought(&shop);
    let customers: BTreeSet<Uuid> = shop.users().map(|user| user.id).collect();
    let products: BTreeMap<Uuid, OffsetDateTime> = shop
        .products()
        .map(|product| (product.id, product.created_at))
        .collect();
    let (mut pairs, mut ids, mut of_buyers, mut count) = (BTreeSet::new(), BTreeSet::new(), 0, 0);
    for review in shop.reviews() {
        let pair = (review.author_id, review.product_id);
        assert!(pairs.insert(pair) && ids.insert(review.id), "{pair:?} twice");
        assert!(customers.contains(&review.author_id));
        assert!(
            products[&review.product_id] < review.created_at,
            "reviewed before it was sold"
        );
        count += 1;
        if let Some(at) = bought.get(&pair) {
            of_buyers += usize::from(*at < review.created_at);
        }
        for vote in &review.votes {
            assert!(vote.voter_id != review.author_id && customers.contains(&vote.voter_id));
        }
        let voters: BTreeSet<Uuid> = review.votes.iter().map(|vote| vote.voter_id).collect();
        assert_eq!(voters.len(), review.votes.len());
        assert!(review.answers.iter().all(|answer| answer.at > review.created_at));
    }
    println!("{count} reviews, {of_buyers} by buyers");
    assert!((1_500..4_000).contains(&count), "{count}");
    let others = count - of_buyers;
    assert!(
        others > 0 && others * 10 < count,
        "{others} of {count} did not buy"
    );
}

/// Most are content, some are not; products differ; texts say what the rating says, and seldom the same.
#[test]
fn reviews_are_plausible() {
    let reviews: Vec<ReviewRecord> = generator(Scale::Small).reviews().collect();
    let share = |wanted: &dyn Fn(&ReviewRecord) -> bool| {
        100 * reviews.iter().filter(|review| wanted(review)).count() / reviews.len()
    };
    let ratings = [1, 2, 3, 4, 5].map(|rating| share(&|review| review.rating == rating));
    println!("ratings in per cent: {ratings:?}");
    assert!(ratings[4] > ratings[3] && ratings[3] > ratings[2] && ratings[0] >= 3 && ratings[1] >= 3);
    let mut of_product: BTreeMap<Uuid, Vec<i64>> = BTreeMap::new();
    for review in &reviews {
        of_product
            .entry(review.product_id)
            .or_default()
            .push(review.rating);
    }
    let means: Vec<i64> = of_product
        .values()
        .filter(|ratings| ratings.len() >= 8)
        .map(|ratings| 10 * ratings.iter().sum::<i64>() / i64::try_from(ratings.len()).expect("few"))
        .collect();
    let (best, worst) = (
        means.iter().max().expect("some"),
        means.iter().min().expect("some"),
    );
    assert!(best - worst >= 10, "from {worst} to {best} tenths");
    let texts: BTreeSet<&str> = reviews.iter().map(|review| review.text.as_str()).collect();
    assert!(
        texts.len() * 100 > reviews.len() * 97,
        "{} texts of {}",
        texts.len(),
        reviews.len()
    );
    for (what, percent) in [
        (
            "pros or cons",
            share(&|review| review.attributes.contains_key("pros") || review.attributes.contains_key("cons")),
        ),
        (
            "photos",
            share(&|review| review.attributes.contains_key("photos")),
        ),
        ("votes", share(&|review| !review.votes.is_empty())),
        ("an answer", share(&|review| !review.answers.is_empty())),
    ] {
        println!("{percent} % have {what}");
        assert!((5..60).contains(&percent), "{percent} % have {what}");
    }
    for review in &reviews {
        let whole = format!(
            "{} {} {}",
            review.title,
            review.text,
            serde_json::to_string(&review.attributes).expect("JSON")
        );
        assert!(
            !review.title.contains(['{', '~']) && !review.text.contains(['{', '~']),
            "{whole}"
        );
        assert!(
            !review.text.contains("  ") && review.text.ends_with(['.', ')', '?']),
            "{whole}"
        );
        assert!(
            review.rating > 3 || !review.text.contains("Recommended"),
            "{whole}"
        );
        let has = |key| review.attributes.contains_key(key);
        assert!(
            !(review.rating == 1 && has("pros") || review.rating == 5 && has("cons")),
            "{whole}"
        );
    }
}

#[test]
#[ignore = "for reading; run with --nocapture"]
fn some_reviews_to_read() {
    for review in generator(Scale::Small).reviews().step_by(97).take(24) {
        println!(
            "{} ★ {}\n{}\n{:?}\n{:?}\n",
            review.rating, review.title, review.text, review.attributes, review.answers
        );
    }
}
