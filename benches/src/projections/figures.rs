//! `figures`: how long each answer of analytics takes at the medium scale.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use clap::Args;
use emporium_analytics::model::Activity;
use emporium_analytics::store::Group;
use emporium_benches::machine::Machine;
use emporium_benches::stores::places;
use emporium_service_kit::{Clock, ServiceName};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use uuid::Uuid;

use super::SAVED;
use super::ask::{ask, ask_once, times};
use super::history::{History, whole};
use super::results::{Answer, FiguresPart, Results};
use super::world::World;
use crate::open_loop::bind_to_cores;

const OWNERS: [ServiceName; 3] = [ServiceName::Catalog, ServiceName::Orders, ServiceName::Payments];
const DATABASE: &str = "emporium_analytics";
/// An answer takes less.
pub const AIM_MS: f64 = 1_000.0;
/// Activities that are recorded in one go.
const RECORDED_AT_ONCE: usize = 500;
/// More than a day may have by default.
const PER_DAY_MAX: i64 = 10_000_000;

/// How much there is, and how long it is asked.
#[derive(Debug, Clone, Args)]
pub struct FiguresArgs {
    /// Orders of two years.
    #[arg(long, default_value_t = 100_000)]
    orders: usize,
    /// Products in the catalog.
    #[arg(long, default_value_t = 50_000)]
    products: usize,
    /// Customers.
    #[arg(long, default_value_t = 25_000)]
    customers: usize,
    /// What visitors did in the last day.
    #[arg(long, default_value_t = 50_000)]
    activities: usize,
    /// Seconds for which each question is asked.
    #[arg(long, default_value_t = 5.0)]
    time: f64,
    /// Repeats what was drawn at random; a new one when it is not given.
    #[arg(long)]
    seed: Option<u64>,
    /// Where results go.
    #[arg(long, default_value = SAVED)]
    results: PathBuf,
}

/// Measures, and puts the result into the results' file.
pub fn run(args: &FiguresArgs) -> anyhow::Result<()> {
    ensure!(
        args.orders > 0 && args.products > 0 && args.time > 0.0,
        "there is nothing to measure"
    );
    bind_to_cores()?;
    let seed = args.seed.unwrap_or_else(rand::random);
    let machine = Machine::look(&std::env::temp_dir())?.line();
    eprintln!("{machine}\nseed {seed}");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let answers = runtime.block_on(measure(args, seed))?;
    let part = FiguresPart {
        machine,
        seed,
        orders: args.orders,
        products: args.products,
        activities: args.activities,
        answers,
    };
    print!("{}", super::page::figures_table(&part));
    Results::change(&args.results, |results| results.figures = Some(part))
}

async fn measure(args: &FiguresArgs, seed: u64) -> anyhow::Result<Vec<Answer>> {
    let mut world = World::make(&OWNERS, &[ServiceName::Analytics]).await?;
    // It makes its tables and joins the bus; what is filled in then is never taken for old.
    world.start(&[ServiceName::Analytics]).await?;
    eprintln!("Filling in {} orders", args.orders);
    let place = places::in_postgres(&world.postgres, ServiceName::Analytics, DATABASE).await?;
    let store = emporium_analytics::store::open_side(place.filling.clone(), Group::default())
        .await?
        .store;
    let mut history = History::new(seed, args.products, args.customers)?;
    let projection = store.projection();
    history.fill_products(&projection).await?;
    let took = history.fill_orders(&projection, args.orders, whole).await?;
    eprintln!("  the store took {:.1} s", took.as_secs_f64());
    let activities = activities(seed, &history.products, args.activities)?;
    for batch in activities.chunks(RECORDED_AT_ONCE) {
        store.record(batch, PER_DAY_MAX).await?;
    }
    world.postgres.settle(DATABASE).await?;
    let door = world.door(ServiceName::Analytics)?;
    let mut answers = Vec::new();
    for path in questions() {
        let paths = vec![path.clone()];
        // Blocking threads of the load generator, as everywhere; the runtime's other thread keeps the owners alive.
        let measured = tokio::task::block_in_place(|| {
            ask_once(&door, &paths)?;
            ask(&door, &paths, 0, Duration::from_secs_f64(args.time))
        })?;
        let times = times(&measured.latency_us);
        eprintln!(
            "  {path}: p50 {:.1} ms, p99 {:.1} ms of {}",
            times.p50_ms, times.p99_ms, times.calls
        );
        answers.push(Answer { path, times });
    }
    drop((store, projection, place));
    world.end().await?;
    Ok(answers)
}

/// Every question over all of the two years; totals over the year that they may be asked of.
fn questions() -> Vec<String> {
    let today = Clock::System.now().date();
    let days = |days: i64| format!("from={}&to={today}", today - time::Duration::days(days));
    let (long, year) = (days(729), days(365));
    vec![
        format!("/revenue?{long}&by=day"),
        format!("/revenue?{long}&by=week"),
        format!("/revenue?{long}&by=month"),
        format!("/revenue?{long}&by=category"),
        format!("/revenue?{long}&by=country"),
        format!("/top-products?{long}"),
        format!("/top-products?{long}&category=c-7&by=units"),
        format!("/funnel?{long}"),
        format!("/cohorts?{long}"),
        format!("/baskets?{long}"),
        format!("/repeat-rate?{long}"),
        "/live".to_owned(),
        format!("/empty-searches?{long}"),
        format!("/totals?{year}"),
    ]
}

/// What visitors did in the last day: mostly views, some searches of which some find nothing, carts and checkouts.
fn activities(seed: u64, products: &[Uuid], count: usize) -> anyhow::Result<Vec<Activity>> {
    let mut rng = StdRng::seed_from_u64(seed);
    let now = Clock::System.now();
    let visitors: Vec<Uuid> = (0..(count / 8).max(1)).map(|_| Uuid::new_v4()).collect();
    let mut activities = Vec::with_capacity(count);
    for _ in 0..count {
        let at = now - Duration::from_secs_f64(rng.random::<f64>() * 86_400.0);
        let millis = u64::try_from(at.unix_timestamp_nanos() / 1_000_000)?;
        let id = uuid::Builder::from_unix_timestamp_millis(millis, &rng.random()).into_uuid();
        let visitor = visitors[rng.random_range(0..visitors.len())];
        let product = products[rng.random_range(0..products.len())];
        let mut said = json!({"id": id, "visitor_id": visitor});
        let more = match rng.random_range(0..20) {
            0..=12 => json!({"kind": "view", "product_id": product}),
            13..=16 => {
                json!({"kind": "search", "query": format!("thing {}", rng.random_range(0..2_000)), "results": rng.random_range(0..3)})
            }
            17 | 18 => json!({"kind": "cart", "product_id": product, "quantity": 1}),
            _ => json!({"kind": "checkout", "customer_id": visitor}),
        };
        for (key, value) in more.as_object().into_iter().flatten() {
            said[key] = value.clone();
        }
        activities.push(serde_json::from_value(said)?);
    }
    Ok(activities)
}
