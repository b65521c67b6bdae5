//! Slow looks, run by hand:
//!
//! ```text
//! cargo test --release -p emporium-recommendations --test at_scale -- --ignored --nocapture --test-threads 1
//! ```
//!
//! `EMPORIUM_TEST_ORDERS` sets the number of orders (100,000, the medium scale), `EMPORIUM_TEST_LINES` the mean number of goods
//! of one (3).
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss
)]

mod support;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use emporium_event_bus::CloudEvent;
use emporium_recommendations::model::Scope;
use emporium_recommendations::store::{PostgresRecommendations, RecommendationStore};
use emporium_service_kit::{Clock, ServiceName};
use emporium_test_kit::{TestPostgres, connect};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use support::{Shop, confirmed, product};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::datetime;
use uuid::Uuid;

const PRODUCTS: usize = 50_000;
const CUSTOMERS: usize = 25_000;

fn setting(name: &str, usual: usize) -> usize {
    std::env::var(name).map_or(usual, |value| value.parse().unwrap())
}

struct Maker {
    rng: StdRng,
    products: Vec<Uuid>,
    customers: Vec<Uuid>,
    lines: usize,
}

impl Maker {
    fn new() -> Self {
        Self {
            rng: StdRng::seed_from_u64(5),
            products: (0..PRODUCTS).map(|_| Uuid::now_v7()).collect(),
            customers: (0..CUSTOMERS).map(|_| Uuid::now_v7()).collect(),
            lines: setting("EMPORIUM_TEST_LINES", 3),
        }
    }

    /// Few products sell most: the cube of an even distribution's place, so the first one has 2.7 % of all lines.
    fn product(&mut self) -> Uuid {
        let place = self.rng.random::<f64>().powi(3);
        self.products[(place * PRODUCTS as f64) as usize]
    }

    fn order(&mut self, at: OffsetDateTime) -> CloudEvent {
        let lines = self.rng.random_range(1..2 * self.lines);
        let goods: BTreeSet<Uuid> = (0..lines).map(|_| self.product()).collect();
        let customer = self.customers[self.rng.random_range(0..CUSTOMERS)];
        let goods: Vec<Uuid> = goods.into_iter().collect();
        confirmed(Some(customer), &at.format(&Rfc3339).unwrap(), &goods)
    }

    fn products(&self) -> Vec<CloudEvent> {
        self.products.iter().map(|id| product(*id, 1, "active")).collect()
    }
}

fn quantiles(what: &str, mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!(
        "{what}: p50 {:.1?}, p90 {:.1?}, p99 {:.1?}, most {:.1?} of {}",
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0),
        times.len()
    );
    at(0.99)
}

/// Every shelf uncached, for products as they are bought (so best-sellers often) and for the very first ones.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; run by hand"]
async fn shelves_without_the_cache() {
    let orders = setting("EMPORIUM_TEST_ORDERS", 100_000);
    let mut maker = Maker::new();
    let database = TestPostgres::get().await.empty_database().await;
    let db = connect(&database.url, ServiceName::Recommendations, 4);
    PostgresRecommendations::migrate(&db).await.unwrap();
    let store = PostgresRecommendations::open(db.clone(), Clock::System)
        .await
        .unwrap();
    let began = Instant::now();
    let projection = store.projection();
    for batch in maker.products().chunks(2_000) {
        projection.apply(&batch.iter().collect::<Vec<_>>()).await.unwrap();
    }
    let start = datetime!(2024-01-01 00:00 UTC);
    for first in (0..orders).step_by(1_000) {
        let batch: Vec<CloudEvent> = (first..orders.min(first + 1_000))
            .map(|n| maker.order(start + Duration::from_secs(n as u64 * 2 * 365 * 86_400 / orders as u64)))
            .collect();
        projection.apply(&batch.iter().collect::<Vec<_>>()).await.unwrap();
    }
    println!("{orders} orders in {:.1} s", began.elapsed().as_secs_f64());
    for sql in ["VACUUM ANALYZE", "CHECKPOINT"] {
        sqlx::query(sql).execute(&db).await.unwrap();
    }
    // Without the first calls, which fill caches and prepare statements.
    for n in 0..20 {
        store.also_bought(maker.products[n * 50], 50).await.unwrap();
        store.for_you(maker.customers[n], Scope::New, 50).await.unwrap();
    }
    let (mut also, mut best, mut you, mut again, mut popular, mut cart) = (
        Vec::new(),
        Vec::new(),
        Vec::new(),
        Vec::new(),
        Vec::new(),
        Vec::new(),
    );
    for n in 0..500 {
        let (good, customer) = (maker.product(), maker.customers[n * 7]);
        let began = Instant::now();
        store.also_bought(good, 10).await.unwrap();
        also.push(began.elapsed());
        let began = Instant::now();
        store.also_bought(maker.products[n % 20], 10).await.unwrap();
        best.push(began.elapsed());
        let began = Instant::now();
        store.for_you(customer, Scope::New, 10).await.unwrap();
        you.push(began.elapsed());
        let began = Instant::now();
        store.buy_again(customer, 10).await.unwrap();
        again.push(began.elapsed());
        let goods: Vec<Uuid> = (0..5).map(|_| maker.product()).collect();
        let began = Instant::now();
        store.bought_together(&goods, 10).await.unwrap();
        cart.push(began.elapsed());
        if n % 10 == 0 {
            let began = Instant::now();
            store.popular(10).await.unwrap();
            popular.push(began.elapsed());
        }
    }
    let p99 = quantiles("also bought", also);
    let p99_best = quantiles("also bought, best-sellers", best);
    let p99_you = quantiles("for you", you);
    quantiles("buy again", again);
    quantiles("cart of five", cart);
    quantiles("popular", popular);
    assert!(
        p99.max(p99_best) <= Duration::from_millis(20),
        "{p99:?} {p99_best:?}"
    );
    assert!(p99_you <= Duration::from_millis(150), "{p99_you:?}");
}

/// A thousand orders a second for half a minute: how long each batch of a fiftieth of a second takes from being published to
/// being applied.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute; run by hand"]
async fn a_thousand_orders_a_second() {
    const SECONDS: usize = 30;
    const BATCHES: usize = SECONDS * 50;
    let mut maker = Maker::new();
    let shop = Shop::start(&maker.products()).await;
    let bus = emporium_event_bus::open(&shop.service.environment).await.unwrap();
    let now = Clock::System.now();
    let batches: Vec<Vec<CloudEvent>> = (0..BATCHES)
        .map(|_| (0..20).map(|_| maker.order(now)).collect())
        .collect();
    let began = Instant::now();
    let publish = async {
        let mut published = Vec::with_capacity(BATCHES);
        for (n, batch) in batches.iter().enumerate() {
            tokio::time::sleep_until((began + Duration::from_millis(20) * u32::try_from(n).unwrap()).into())
                .await;
            bus.append(batch).await.unwrap();
            published.push((bus.end().await.unwrap(), began.elapsed()));
        }
        published
    };
    let watch = async {
        let (mut seen, mut last) = (Vec::new(), 0);
        while last < i64::try_from(BATCHES * 20).unwrap() {
            let at = bus.group_position("recommendations").await.unwrap().unwrap_or(0);
            if at > last {
                seen.push((at, began.elapsed()));
                last = at;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        seen
    };
    let (published, applied) = tokio::join!(publish, watch);
    let lags: Vec<Duration> = published
        .iter()
        .map(|(position, at)| {
            let (_, done) = applied.iter().find(|(reached, _)| reached >= position).unwrap();
            done.saturating_sub(*at)
        })
        .collect();
    let p99 = quantiles("lag", lags);
    let orders: i64 = sqlx::query_scalar("SELECT count(*) FROM recommendations_basket")
        .fetch_one(&shop.service.db())
        .await
        .unwrap();
    assert_eq!(
        orders,
        i64::try_from(BATCHES * 20).unwrap(),
        "zero lost, zero double-counted"
    );
    assert!(p99 <= Duration::from_millis(250), "{p99:?}");
    shop.service.stop().await;
}

/// The real shop's orders: one line a basket, `customer TAB invoice TAB time TAB codes` (RFC 3339; codes with spaces between
/// them), in the file that `EMPORIUM_TEST_BASKETS` names; `EMPORIUM_TEST_SPLIT` is the date.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a file of real orders; run by hand"]
async fn quality_on_real_orders() {
    use emporium_recommendations::evaluation::{Baselines, Basket, Figures, Method, Split, Trained};
    use futures::{StreamExt, stream};

    let text = std::fs::read_to_string(std::env::var("EMPORIUM_TEST_BASKETS").unwrap()).unwrap();
    let date = std::env::var("EMPORIUM_TEST_SPLIT").unwrap_or("2011-06-09".to_owned());
    let format = time::macros::format_description!("[year]-[month]-[day]");
    let date = time::Date::parse(&date, &format).unwrap();
    let baskets: Vec<Basket> = text
        .lines()
        .map(|line| {
            let parts: Vec<&str> = line.split('\t').collect();
            Basket {
                customer: parts[0].to_owned(),
                invoice: parts[1].to_owned(),
                at: OffsetDateTime::parse(parts[2], &Rfc3339).unwrap(),
                goods: parts[3].split(' ').map(str::to_owned).collect(),
            }
        })
        .collect();
    let split = Split::at(baskets, date);
    let baselines = Baselines::of(&split.train);
    let database = TestPostgres::get().await.empty_database().await;
    let db = connect(&database.url, ServiceName::Recommendations, 4);
    let began = Instant::now();
    let trained = Trained::open(db.clone(), &split.train).await.unwrap();
    println!("trained in {:.1} s", began.elapsed().as_secs_f64());
    sqlx::query("VACUUM ANALYZE").execute(&db).await.unwrap();
    for scope in [Scope::New, Scope::All] {
        let tests: Vec<_> = split
            .tests
            .iter()
            .filter(|test| !test.truth(scope).is_empty())
            .collect();
        for method in Method::ALL {
            let results: Vec<_> = tests
                .iter()
                .filter_map(|test| test.result(scope, &baselines.list(method, scope, test)))
                .collect();
            println!("{scope:?} {}: {:.4?}", method.name(), Figures::of(&results));
        }
        let trained = &trained;
        let lists = stream::iter(&tests).map(async |test| {
            let began = Instant::now();
            let list = trained.list(&test.customer, scope, 10).await.unwrap();
            (test.result(scope, &list).unwrap(), began.elapsed())
        });
        let (results, times): (Vec<_>, Vec<_>) = lists.buffered(2).unzip().await;
        println!("{scope:?} service: {:.4?}", Figures::of(&results));
        quantiles("for you, two at a time", times);
    }
}
