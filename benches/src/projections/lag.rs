//! `lag`: how long events take from the moment they are due to being applied by each consumer, and, with kills, whether each
//! counts once.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::ensure;
use clap::Args;
use emporium_benches::machine::{Machine, busy_s};
use emporium_service_kit::ServiceName;
use serde_json::{Value, json};
use uuid::Uuid;

use super::kills::{self, PAUSE};
use super::orders::Script;
use super::publish::{Pace, Published, publish};
use super::results::{Killed, Lag, LagPart, Results};
use super::watch::{self, GROUPS, Look, Watch};
use super::world::World;
use super::{SAVED, verify};
use crate::open_loop::{bind_to_cores, shared_by};

/// Those whose outboxes this process writes.
const OWNERS: [ServiceName; 3] = [ServiceName::Users, ServiceName::Orders, ServiceName::Payments];
/// From the last kill to the last order.
const AFTER_KILLS: Duration = Duration::from_secs(5);
/// What 99 of 100 events should not take longer than.
pub const AIM_MS: f64 = 250.0;
/// Products that are loaded in one request.
const LOADED_AT_ONCE: usize = 1_000;

/// How much and how long.
#[derive(Debug, Clone, Args)]
pub struct LagArgs {
    /// Orders that are placed each second.
    #[arg(long, default_value_t = 1_000.0)]
    orders: f64,
    /// Accounts that change each second.
    #[arg(long, default_value_t = 20.0)]
    users: f64,
    /// Seconds that are measured. With kills, at least as long as they take.
    #[arg(long, default_value_t = 60.0)]
    time: f64,
    /// Seconds before them.
    #[arg(long, default_value_t = 10.0)]
    warm_up: f64,
    /// Products in the catalog.
    #[arg(long, default_value_t = 5_000)]
    products: usize,
    /// Customers with accounts.
    #[arg(long, default_value_t = 20_000)]
    customers: usize,
    /// Processes of consumers that are killed, one at a time, at random.
    #[arg(long, default_value_t = 0)]
    kills: usize,
    /// Repeats what was drawn at random; a new one when it is not given.
    #[arg(long)]
    seed: Option<u64>,
    /// Do not rebuild the projections at the end.
    #[arg(long)]
    no_rebuild: bool,
    /// Where results go.
    #[arg(long, default_value = SAVED)]
    results: PathBuf,
}

impl LagArgs {
    fn pace(&self) -> Pace {
        #[allow(clippy::cast_precision_loss)] // a number of kills
        let killing = PAUSE.as_secs_f64() * self.kills as f64;
        let measured = if self.kills > 0 {
            self.time.max(killing + AFTER_KILLS.as_secs_f64())
        } else {
            self.time
        };
        Pace {
            orders_per_s: self.orders,
            users_per_s: self.users,
            time: Duration::from_secs_f64(self.warm_up + measured),
        }
    }
}

/// Measures, verifies, and puts the result into the results' file.
pub fn run(args: &LagArgs) -> anyhow::Result<()> {
    ensure!(
        args.orders > 0.0 && args.time > 0.0 && args.warm_up >= 0.0,
        "there is nothing to measure"
    );
    let shared = shared_by(
        "Publisher, every consumer's service and the database server",
        bind_to_cores()?,
    );
    let seed = args.seed.unwrap_or_else(rand::random);
    let machine = Machine::look(&std::env::temp_dir())?.line();
    eprintln!("{machine}\nseed {seed}");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut part = runtime.block_on(measure(args, seed))?;
    (part.machine, part.shared) = (machine, shared);
    print!("{}", super::page::lag_table(&part));
    Results::change(&args.results, |results| {
        *(if args.kills > 0 {
            &mut results.kills
        } else {
            &mut results.lag
        }) = Some(part);
    })
}

async fn measure(args: &LagArgs, seed: u64) -> anyhow::Result<LagPart> {
    eprintln!("Starting the server and {} services", GROUPS.len());
    let services = GROUPS.map(|group| group.service);
    let mut world = World::make(&OWNERS, &services).await?;
    world.start(&services).await?;
    let products: Vec<Uuid> = (0..args.products).map(|_| Uuid::now_v7()).collect();
    load(&world, &products).await?;
    verify::drained(&world).await?;
    let script = Script::new(seed, products, args.customers)?;
    let ran = publish_and_kill(&mut world, args, script, seed).await?;
    let mut bus = world.connect_to_bus().await?;
    let lags = watch::lags(&mut bus, &ran.looks, &ran.published.due, ran.window).await?;
    let on_bus = sqlx::query_scalar("SELECT count(*) FROM bus_log")
        .fetch_one(&mut bus)
        .await?;
    eprintln!("Comparing every row with what was published");
    let compared = verify::compare(&world, &ran.published.book).await?;
    let rebuilt = if args.no_rebuild {
        Vec::new()
    } else {
        eprintln!("Rebuilding the projections beside the live ones");
        let rebuilt = verify::rebuild(&world).await?;
        // What was rebuilt is live by now.
        verify::compare(&world, &ran.published.book).await?;
        rebuilt
    };
    world.end().await?;
    Ok(part(args, seed, &ran, lags, on_bus, (compared, rebuilt)))
}

fn part(
    args: &LagArgs,
    seed: u64,
    ran: &Ran,
    lags: Vec<Lag>,
    on_bus: i64,
    (compared, rebuilt): (Vec<super::results::Table>, Vec<super::results::Rebuilt>),
) -> LagPart {
    LagPart {
        machine: String::new(),
        seed,
        orders_per_s: args.orders,
        users_per_s: args.users,
        seconds: ran.window.1.saturating_sub(ran.window.0).as_secs_f64(),
        warm_up_s: args.warm_up,
        products: args.products,
        published: ran.published.book.events.values().sum(),
        on_bus,
        publisher_late_max_ms: ran.published.behind_max.as_secs_f64() * 1e3,
        shared: String::new(),
        busy_cores: ran.busy_cores,
        lags,
        killed: (args.kills > 0).then(|| ran.killed.clone()),
        drained_s: ran.drained.as_secs_f64(),
        compared,
        rebuilt,
    }
}

/// Loads products as an administrator would, through the catalog, which publishes them.
async fn load(world: &World, products: &[Uuid]) -> anyhow::Result<()> {
    eprintln!("Loading {} products", products.len());
    let record = |(number, id): (usize, &Uuid)| {
        json!({
            "id": id, "sku": format!("BENCH-{number}"), "name": format!("Thing {number}"), "category": format!("c-{}", number % 40),
            "category_name": format!("Category {}", number % 40), "price": {"amount": 999, "currency": "GBP"},
            "source": "seed", "stock": 1_000_000, "created_at": "2026-01-01T00:00:00Z",
        })
        .to_string()
    };
    let (address, bearer) = world.door(ServiceName::Catalog)?;
    let client = emporium_service_kit::client::http_builder().no_proxy().build()?;
    let lines: Vec<String> = products.iter().enumerate().map(record).collect();
    for chunk in lines.chunks(LOADED_AT_ONCE) {
        let asked = client
            .post(format!("http://{address}/bulk/products"))
            .header("authorization", &bearer)
            .header("content-type", "application/x-ndjson")
            .body(chunk.join("\n"));
        let answer: Value = asked.send().await?.error_for_status()?.json().await?;
        ensure!(
            answer["loaded"] == chunk.len(),
            "products were not loaded: {}",
            answer["rejected"][0]
        );
    }
    Ok(())
}

/// What there is after publishing.
struct Ran {
    published: Published,
    looks: Vec<Look>,
    /// When events were due that are measured.
    window: (Duration, Duration),
    killed: Killed,
    drained: Duration,
    busy_cores: f64,
}

async fn publish_and_kill(
    world: &mut World,
    args: &LagArgs,
    script: Script,
    seed: u64,
) -> anyhow::Result<Ran> {
    let pace = args.pace();
    eprintln!("Publishing for {:.0} s", pace.time.as_secs_f64());
    let bus = world.connect_to_bus().await?;
    let mut services = std::mem::take(&mut world.services);
    let (began, busy) = (Instant::now(), busy_s()?);
    let watch = Watch::start(bus, began);
    let warm_up = Duration::from_secs_f64(args.warm_up);
    let killing = kills::kill(world, &mut services, &watch, (args.kills, seed), warm_up);
    let telling = tell(&watch, pace.time);
    let (published, killed) = tokio::select! {
        both = async { futures::try_join!(publish(world, script, pace, began), killing) } => both?,
        never = telling => never?,
    };
    let (ended, used) = (Instant::now(), busy_s()? - busy);
    let busy_cores = used / began.elapsed().as_secs_f64();
    verify::drained(world).await?;
    let drained = ended.elapsed();
    kills::all_run(&mut services)?;
    // One look more than it takes: the last events have to be seen by the watch, too.
    tokio::time::sleep(watch::LOOK * 20).await;
    let looks = watch.end().await?;
    world.services = services;
    Ok(Ran {
        published,
        looks,
        window: (warm_up, pace.time),
        killed,
        drained,
        busy_cores,
    })
}

/// Progress, for whoever waits.
async fn tell<T>(watch: &Watch, time: Duration) -> anyhow::Result<T> {
    let started = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_secs(10)).await;
        watch.check()?;
        let behind: Vec<&str> = watch.last().map_or_else(Vec::new, |look| {
            let places = GROUPS
                .iter()
                .enumerate()
                .filter(|(place, _)| look.is_behind(*place));
            places.map(|(_, group)| group.name).collect()
        });
        eprintln!(
            "  {:.0} of {:.0} s; behind just now: {}",
            started.elapsed().as_secs_f64(),
            time.as_secs_f64(),
            if behind.is_empty() {
                "nobody".to_owned()
            } else {
                behind.join(", ")
            }
        );
    }
}
