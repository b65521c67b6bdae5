//! Slow looks at the medium scale, run by hand:
//!
//! ```text
//! cargo test --release -p emporium-analytics --test at_scale -- --ignored --nocapture --test-threads 1
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss
)]

mod support;

use std::time::{Duration, Instant};

use emporium_event_bus::CloudEvent;
use emporium_service_kit::Clock;
use emporium_test_kit::event;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use support::{gbp, paid, start};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::datetime;
use uuid::Uuid;

const PRODUCTS: usize = 50_000;
const CUSTOMERS: usize = 25_000;
const ORDERS: usize = 100_000;

struct Maker {
    rng: StdRng,
    products: Vec<Uuid>,
    customers: Vec<Uuid>,
}

impl Maker {
    fn new() -> Self {
        Self {
            rng: StdRng::seed_from_u64(5),
            products: (0..PRODUCTS).map(|_| Uuid::now_v7()).collect(),
            customers: (0..CUSTOMERS).map(|_| Uuid::now_v7()).collect(),
        }
    }

    /// Few products sell most: the square of an even distribution's place.
    fn product(&mut self) -> Uuid {
        let place = self.rng.random::<f64>().powi(2);
        self.products[(place * PRODUCTS as f64) as usize]
    }

    fn order(&mut self, at: OffsetDateTime, kind: &str) -> CloudEvent {
        let lines: Vec<Value> = (0..self.rng.random_range(1..6))
            .map(|_| json!({"product_id": self.product(), "quantity": self.rng.random_range(1..4), "unit_price": 999}))
            .collect();
        let customer = self.customers[self.rng.random_range(0..CUSTOMERS)];
        let country = ["GB", "FR", "DE", "NL", "IE"][self.rng.random_range(0..5)];
        let placed_at = at.format(&Rfc3339).unwrap();
        let data = json!({
            "order_id": Uuid::now_v7(), "customer_id": customer, "status": "confirmed", "lines": lines, "charges": [],
            "total": gbp(2_500), "placed_at": placed_at, "country": country,
            "reason": null, "source": "seed", "version": 1,
        });
        event(kind, at, &data)
    }
}

fn products(maker: &Maker) -> Vec<CloudEvent> {
    let product = |(n, id): (usize, &Uuid)| {
        let data = json!({"id": id, "sku": format!("S-{n}"), "name": format!("Thing {n}"), "category": format!("c-{}", n % 60),
            "brand": null, "version": 1});
        event("product.created.v1", datetime!(2024-01-01 00:00 UTC), &data)
    };
    maker.products.iter().enumerate().map(product).collect()
}

/// Every figure over two years of the medium scale, in less than a second.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; run by hand"]
async fn figures_take_less_than_a_second() {
    let mut maker = Maker::new();
    let mut history = products(&maker);
    let begin = datetime!(2024-01-01 00:00 UTC);
    for n in 0..ORDERS {
        let at = begin + Duration::from_secs(n as u64 * 2 * 365 * 86_400 / ORDERS as u64);
        history.push(maker.order(at, "order.confirmed.v1"));
        history.push(paid(&at.format(&Rfc3339).unwrap(), 2_500));
    }
    let (events, began) = (history.len(), Instant::now());
    let shop = start(Clock::System, &history).await;
    println!(
        "{events} events of histories in {:.1} s",
        began.elapsed().as_secs_f64()
    );
    let range = "from=2024-01-01&to=2025-12-31";
    for path in [
        format!("/revenue?{range}"),
        format!("/revenue?{range}&by=month"),
        format!("/revenue?{range}&by=category"),
        format!("/revenue?{range}&by=country"),
        format!("/top-products?{range}"),
        format!("/top-products?{range}&category=c-7&by=units"),
        format!("/baskets?{range}"),
        format!("/cohorts?{range}"),
        format!("/repeat-rate?{range}"),
        format!("/funnel?{range}"),
        "/live".to_owned(),
    ] {
        let mut times = Vec::new();
        for _ in 0..5 {
            let began = Instant::now();
            shop.gateway.get(&path).await.expect(200);
            times.push(began.elapsed());
        }
        times.sort_unstable();
        println!("{path}: median {:.0?}, slowest {:.0?}", times[2], times[4]);
        assert!(times[4] < Duration::from_secs(1), "{path} took {:?}", times[4]);
    }
    shop.service.stop().await;
}

/// A thousand orders a second, three events each, for half a minute: how long each batch of a fiftieth of a second takes from
/// being published to being applied.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute; run by hand"]
async fn a_thousand_orders_a_second() {
    const SECONDS: usize = 30;
    const BATCHES: usize = SECONDS * 50;
    let mut maker = Maker::new();
    let shop = start(Clock::System, &products(&maker)).await;
    let bus = emporium_event_bus::open(&shop.service.environment).await.unwrap();
    let clock = Clock::System;
    let batches: Vec<Vec<CloudEvent>> = (0..BATCHES)
        .map(|_| {
            let orders = (0..20).flat_map(|_| {
                let at = clock.now();
                [
                    maker.order(at, "order.placed.v1"),
                    paid(&at.format(&Rfc3339).unwrap(), 2_500),
                    maker.order(at, "order.confirmed.v1"),
                ]
            });
            orders.collect()
        })
        .collect();
    let began = Instant::now();
    let published = async {
        let mut published = Vec::with_capacity(BATCHES);
        for (n, batch) in batches.iter().enumerate() {
            tokio::time::sleep_until((began + Duration::from_millis(20) * u32::try_from(n).unwrap()).into())
                .await;
            bus.append(batch).await.unwrap();
            published.push((bus.end().await.unwrap(), began.elapsed()));
        }
        published
    };
    let applied = async {
        let (mut seen, mut last) = (Vec::new(), 0);
        while last < i64::try_from(BATCHES * 60).unwrap() {
            let at = bus.group_position("analytics").await.unwrap().unwrap_or(0);
            if at > last {
                seen.push((at, began.elapsed()));
                last = at;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        seen
    };
    let (published, applied) = tokio::join!(published, applied);
    let mut lags: Vec<Duration> = published
        .iter()
        .map(|(position, at)| {
            let (_, done) = applied.iter().find(|(reached, _)| reached >= position).unwrap();
            done.saturating_sub(*at)
        })
        .collect();
    lags.sort_unstable();
    let at = |share: f64| lags[((lags.len() - 1) as f64 * share) as usize];
    println!(
        "lag p50 {:.0?}, p99 {:.0?}, most {:.0?}",
        at(0.5),
        at(0.99),
        at(1.0)
    );
    let day = clock.now().date();
    let revenue = shop
        .gateway
        .get(&format!("/revenue?from={day}&to={day}"))
        .await
        .expect(200);
    assert_eq!(
        revenue["total"]["orders"],
        SECONDS * 1_000,
        "zero lost, zero double-counted"
    );
    assert!(at(0.99) < Duration::from_millis(250), "p99 {:?}", at(0.99));
    shop.service.stop().await;
}
