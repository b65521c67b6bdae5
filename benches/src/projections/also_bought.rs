//! `also-bought`: "customers who bought this also bought" at growing sizes, for best-sellers and for goods that hardly sell.
//!
//! The store is compared with a bare client that sends what a recorder saw the store send, as all stores are
//! (`emporium_benches::stores`); then the service is asked by HTTP, without its cache and with it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use emporium_benches::machine::Machine;
use emporium_benches::stores::compare::{Order, Side, compare};
use emporium_benches::stores::places::{self, Place};
use emporium_benches::stores::plan::Plan;
use emporium_benches::stores::prepare::{check, record, replay};
use emporium_benches::stores::results::Comparison;
use emporium_recommendations::store::RecommendationStore;
use emporium_service_kit::{Environment, ServiceName};
use hdrhistogram::Histogram;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use uuid::Uuid;

use super::SAVED;
use super::ask::{ask, ask_once, times};
use super::history::{History, confirmed};
use super::results::{AlsoBought, AlsoBoughtPart, AlsoBoughtSize, Results, Times};
use super::world::World;
use crate::open_loop::bind_to_cores;

const OWNERS: [ServiceName; 2] = [ServiceName::Catalog, ServiceName::Orders];
const SERVICE: ServiceName = ServiceName::Recommendations;
const DATABASE: &str = "emporium_recommendations";
/// What 99 of 100 uncached answers at the medium scale should not take longer than.
pub const AIM_MS: f64 = 20.0;
/// Orders of the medium scale.
pub const MEDIUM: usize = 100_000;
/// What the cost may grow by from the smallest size to the largest one.
pub const GROWTH_AIM: f64 = 3.0;
/// Different goods of a kind that are asked for.
const ASKED: usize = 200;
const BEST_SELLERS: usize = 20;
/// As long as a shelf on a page.
const LIMIT: usize = 10;

/// How much there is, and how long it is asked.
#[derive(Debug, Clone, Args)]
pub struct AlsoBoughtArgs {
    /// Orders at which it is measured, growing; medium is 100,000.
    #[arg(long, value_delimiter = ',', default_values_t = [50_000, MEDIUM, 1_000_000])]
    orders: Vec<usize>,
    /// Products in the catalog.
    #[arg(long, default_value_t = 50_000)]
    products: usize,
    /// Customers.
    #[arg(long, default_value_t = 25_000)]
    customers: usize,
    /// Rounds in which store and bare client take their turns.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Seconds of a turn.
    #[arg(long, default_value_t = 1.0)]
    turn_seconds: f64,
    /// Repeats what was drawn at random; a new one when it is not given.
    #[arg(long)]
    seed: Option<u64>,
    /// Where results go.
    #[arg(long, default_value = SAVED)]
    results: PathBuf,
}

impl AlsoBoughtArgs {
    fn plan(&self) -> Plan {
        Plan {
            rounds: self.rounds,
            turn_s: self.turn_seconds,
            callers: vec![1],
            entries: Vec::new(),
            products: Vec::new(),
            events: Vec::new(),
            orders: Vec::new(),
            reviews: Vec::new(),
            hours: Vec::new(),
        }
    }
}

/// Measures, and puts the result into the results' file.
pub fn run(args: &AlsoBoughtArgs) -> anyhow::Result<()> {
    let growing = args.orders.windows(2).all(|pair| pair[0] < pair[1]);
    ensure!(
        growing && args.orders.first().is_some_and(|first| *first > 0),
        "--orders has to grow"
    );
    ensure!(
        args.products > ASKED && args.rounds > 0 && args.turn_seconds > 0.0,
        "there is nothing to measure"
    );
    bind_to_cores()?;
    let seed = args.seed.unwrap_or_else(rand::random);
    let machine = Machine::look(&std::env::temp_dir())?.line();
    eprintln!("{machine}\nseed {seed}");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (server, sizes) = runtime.block_on(measure(args, seed))?;
    let part = AlsoBoughtPart {
        machine,
        seed,
        products: args.products,
        server,
        rounds: args.rounds,
        turn_s: args.turn_seconds,
        sizes,
    };
    print!("{}", super::page::also_bought_table(&part));
    Results::change(&args.results, |results| results.also_bought = Some(part))
}

async fn measure(args: &AlsoBoughtArgs, seed: u64) -> anyhow::Result<(String, Vec<AlsoBoughtSize>)> {
    let mut world = World::make(&OWNERS, &[SERVICE]).await?;
    // It makes its tables and joins the bus; what is filled in then is never taken for old.
    world.start(&[SERVICE]).await?;
    let place = places::in_postgres(&world.postgres, SERVICE, DATABASE).await?;
    let filling = emporium_recommendations::store::open_side(
        place.filling.clone(),
        emporium_recommendations::store::Group::default(),
    )
    .await?
    .store;
    let projection = filling.projection();
    let mut history = History::new(seed, args.products, args.customers)?;
    history.fill_products(&projection).await?;
    let (mut sizes, mut there) = (Vec::new(), 0);
    for orders in &args.orders {
        eprintln!("Filling in {} orders", orders - there);
        let tell = |order: &super::orders::Order| Ok(vec![confirmed(order)?]);
        let filled = history.fill_orders(&projection, orders - there, tell).await?;
        there = *orders;
        world.postgres.settle(DATABASE).await?;
        let mut goods = Vec::new();
        for (name, ids) in kinds(seed, &history.products) {
            let found = of_goods(&mut world, &place, args, (name, &ids, *orders)).await?;
            eprintln!(
                "  {name} at {orders}: store p50 {:.2} ms, p99 {:.2} ms, ratio {:.2}; HTTP p50 {:.2} ms, p99 {:.2} ms, cached p50 {:.2} ms",
                found.store.adapter_us.p50 / 1e3,
                found.store.adapter_us.p99 / 1e3,
                found.store.ratio_p50.median,
                found.http.p50_ms,
                found.http.p99_ms,
                found.cached.p50_ms
            );
            goods.push(found);
        }
        sizes.push(AlsoBoughtSize {
            orders: *orders,
            filled_s: filled.as_secs_f64(),
            goods,
        });
    }
    let server = format!("{}; durability: {}", place.server, place.durability);
    drop((filling, projection, place));
    world.end().await?;
    Ok((server, sizes))
}

/// Goods by how they sell: the first by popularity, as orders name them, any of all, and of the half that sells least.
fn kinds(seed: u64, products: &[Uuid]) -> [(&'static str, Vec<Uuid>); 4] {
    let mut rng = StdRng::seed_from_u64(seed);
    let any = |from: &[Uuid], rng: &mut StdRng| from.choose_multiple(rng, ASKED).copied().collect();
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )]
    let bought = |rng: &mut StdRng| {
        // By Zipf's law with exponent 1, the logarithm of the rank is nearly even.
        let rank = (products.len() as f64).powf(rng.random::<f64>()) as usize;
        products[rank.clamp(1, products.len()) - 1]
    };
    let as_bought = (0..ASKED).map(|_| bought(&mut rng)).collect();
    let whole = any(products, &mut rng);
    let tail = any(&products[products.len() / 2..], &mut rng);
    [
        ("best-sellers", products[..BEST_SELLERS].to_vec()),
        ("as bought", as_bought),
        ("any", whole),
        ("tail", tail),
    ]
}

async fn of_goods(
    world: &mut World,
    place: &Place,
    args: &AlsoBoughtArgs,
    (name, goods, orders): (&'static str, &[Uuid], usize),
) -> anyhow::Result<AlsoBought> {
    let baskets: f64 = {
        let mut database = world.connect_to(SERVICE).await?;
        sqlx::query_scalar(
            "SELECT coalesce(avg(baskets), 0)::float8 FROM recommendations_good
             WHERE good_id = ANY ($1)
               AND generation = (SELECT live FROM recommendations_projections WHERE projection = 'recommendations')",
        )
        .bind(goods)
        .fetch_one(&mut database)
        .await?
    };
    let store = by_store(place, goods, orders, &args.plan()).await?;
    Ok(AlsoBought {
        goods: name.to_owned(),
        baskets_mean: baskets,
        store,
        http: by_http(world, goods, args, 0).await?,
        cached: by_http(world, goods, args, 3_600).await?,
    })
}

/// The store against a bare client.
async fn by_store(place: &Place, goods: &[Uuid], orders: usize, plan: &Plan) -> anyhow::Result<Comparison> {
    let open = async |environment: &Environment| {
        let opened = emporium_recommendations::store::open_side(
            environment.clone(),
            emporium_recommendations::store::Group::default(),
        )
        .await?;
        anyhow::Ok(opened.store)
    };
    let (store, recorded): (Arc<dyn RecommendationStore>, _) =
        (open(&place.environment).await?, open(&place.recorded).await?);
    let find = |number: usize| {
        let (recorded, good) = (recorded.clone(), goods[number]);
        async move { Ok(recorded.also_bought(good, LIMIT).await.map(drop)?) }
    };
    find(0).await?;
    let exchanges = record(place, goods.len(), find).await?;
    check(place, &exchanges, true).await?;
    let goods: Arc<[Uuid]> = goods.into();
    let (count, store) = (goods.len(), store.clone());
    let adapter: Side = Arc::new(move |_, index| {
        let (store, good) = (store.clone(), goods[index]);
        Box::pin(async move { Ok(store.also_bought(good, LIMIT).await.map(drop)?) })
    });
    let bare = replay(&place.bare, exchanges);
    let workload = place.workload("also bought", orders, adapter, bare, Order::Cycle(count));
    compare(&workload, 1, plan).await
}

/// The service, which keeps shelves for so many seconds.
async fn by_http(
    world: &mut World,
    goods: &[Uuid],
    args: &AlsoBoughtArgs,
    cache_seconds: u64,
) -> anyhow::Result<Times> {
    let program = world
        .services
        .remove(&SERVICE)
        .context("the service does not run")?;
    tokio::task::block_in_place(|| program.stop())?;
    world.more = vec![(
        "EMPORIUM_RECOMMENDATIONS_CACHE_SECONDS",
        cache_seconds.to_string(),
    )];
    world.start(&[SERVICE]).await?;
    let door = world.door(SERVICE)?;
    let paths: Vec<String> = goods
        .iter()
        .map(|good| format!("/products/{good}/also-bought?limit={LIMIT}"))
        .collect();
    tokio::task::block_in_place(|| {
        // Statements are prepared, and caches filled, before anything counts.
        ask_once(&door, &paths)?;
        let mut us: Histogram<u64> = Histogram::new_with_bounds(1, 120_000_000, 3)?;
        let mut first = 0;
        for _ in 0..args.rounds {
            let measured = ask(&door, &paths, first, Duration::from_secs_f64(args.turn_seconds))?;
            first += usize::try_from(measured.completed)?;
            us.add(&measured.latency_us)?;
        }
        Ok(times(&us))
    })
}
