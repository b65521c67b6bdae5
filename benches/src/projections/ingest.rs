//! `ingest`: how many events a second analytics takes into ClickHouse, with its views in place.
//!
//! The same events four times, each into tables of its own: by the adapter's `apply`, as a consumer group calls it; by a bare
//! client that sends what a recorder saw the adapter send; by a bare client that sends the inserts only, which is what the rows
//! and their views cost; and from a bus on PostgreSQL, through a consumer group.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Args;
use emporium_analytics::store::{AnalyticsStore, Group, PROJECTION};
use emporium_benches::load::check_interrupted;
use emporium_benches::machine::Machine;
use emporium_benches::stores::places::{self, Place, Postgres};
use emporium_benches::stores::record::Command;
use emporium_benches::stores::servers::StoreServer;
use emporium_event_bus::{CloudEvent, Consumer, ConsumerGroup, StartAt, bus};
use emporium_service_kit::Environment;
use emporium_service_kit::report::Inspect;
use emporium_test_kit::stores::Store;
use tokio_util::sync::CancellationToken;

use super::SAVED;
use super::history::{History, whole};
use super::results::{IngestPart, Results};
use crate::open_loop::bind_to_cores;

/// Events a second that are aimed at.
pub const AIM: f64 = 100_000.0;
/// Events that are appended to the bus at once.
const APPENDED: usize = 500;
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How much there is.
#[derive(Debug, Clone, Args)]
pub struct IngestArgs {
    /// Orders of two years; each is some three events.
    #[arg(long, default_value_t = 200_000)]
    orders: usize,
    /// Events of a batch: a consumer group gives 2,000, bulk loads more.
    #[arg(long, value_delimiter = ',', default_values_t = [2_000, 20_000])]
    batches: Vec<usize>,
    /// Products in the catalog.
    #[arg(long, default_value_t = 5_000)]
    products: usize,
    /// Customers.
    #[arg(long, default_value_t = 25_000)]
    customers: usize,
    /// Repeats what was drawn at random; a new one when it is not given.
    #[arg(long)]
    seed: Option<u64>,
    /// Where results go.
    #[arg(long, default_value = SAVED)]
    results: PathBuf,
}

/// Measures, and puts the result into the results' file.
pub fn run(args: &IngestArgs) -> anyhow::Result<()> {
    ensure!(
        args.orders > 0 && args.products > 0 && !args.batches.contains(&0),
        "there is nothing to measure"
    );
    bind_to_cores()?;
    let seed = args.seed.unwrap_or_else(rand::random);
    let machine = Machine::look(&std::env::temp_dir())?.line();
    eprintln!("{machine}\nseed {seed}");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let part = runtime.block_on(measure(args, seed, machine))?;
    print!("{}", super::page::ingest_table(&part));
    Results::change(&args.results, |results| results.ingest = Some(part))
}

/// The events, and what stores have to know before them.
struct Load {
    history: History,
    events: Vec<CloudEvent>,
}

async fn measure(args: &IngestArgs, seed: u64, machine: String) -> anyhow::Result<IngestPart> {
    let server = StoreServer::get(Store::ClickHouse).await?;
    let server = server.context("there is no ClickHouse to be had")?;
    let mut history = History::new(seed, args.products, args.customers)?;
    let events = history.orders(args.orders, whole)?;
    let load = Load { history, events };
    eprintln!("{} events", load.events.len());
    let mut part = IngestPart {
        machine,
        seed,
        server: String::new(),
        orders: args.orders,
        products: args.products,
        rows: Vec::new(),
    };
    for batch in &args.batches {
        let mut place = server.place(&format!("ingest_{batch}")).await?;
        let (projection, report) = open(&place.environment, &load.history).await?;
        place.describe(report.as_ref()).await;
        part.server = format!("{}; durability: {}", place.server, place.durability);
        let took = apply(&projection, &load.events, *batch).await?;
        tell_calls(&place.environment);
        part.add("adapter", *batch, load.events.len(), took);
        let name = format!("recorded_{batch}");
        let sent = recorded(&server.place(&name).await?, &load, *batch).await?;
        for (way, database, is_sent) in [
            (
                "bare, the same requests",
                format!("same_{batch}"),
                (|_| true) as fn(&[u8]) -> bool,
            ),
            ("bare, inserts only", format!("inserts_{batch}"), is_insert),
        ] {
            let place = server.place(&database).await?;
            let took = replayed(&place, &load, &sent, (&name, &database), is_sent).await?;
            part.add(way, *batch, load.events.len(), took);
        }
    }
    let took = from_bus(&server.place("ingest_bus").await?, &load).await?;
    part.add("from the bus", 0, load.events.len(), took);
    Ok(part)
}

/// The projection, which knows the goods.
async fn open(
    environment: &Environment,
    history: &History,
) -> anyhow::Result<(Arc<dyn Consumer>, Arc<dyn Inspect>)> {
    let opened = emporium_analytics::store::open_side(environment.clone(), Group::default()).await?;
    let store: Arc<dyn AnalyticsStore> = opened.store;
    let projection = store.projection();
    history.fill_products(&projection).await?;
    Ok((projection, opened.report))
}

async fn apply(
    projection: &Arc<dyn Consumer>,
    events: &[CloudEvent],
    batch: usize,
) -> anyhow::Result<Duration> {
    let began = Instant::now();
    for batch in events.chunks(batch) {
        check_interrupted()?;
        let batch: Vec<&CloudEvent> = batch.iter().collect();
        projection.apply(&batch).await?;
    }
    Ok(began.elapsed())
}

/// Where the adapter's time went, by its own metrics.
fn tell_calls(environment: &Environment) {
    let text = environment.metrics.render();
    let calls = text.lines().filter(|line| {
        line.starts_with("emporium_store_call_duration_seconds_sum")
            || line.starts_with("emporium_store_call_duration_seconds_count")
    });
    for line in calls.filter(|line| !line.ends_with(" 0")) {
        eprintln!("    {line}");
    }
}

/// The adapter's requests.
async fn recorded(place: &Place, load: &Load, batch: usize) -> anyhow::Result<Vec<Command>> {
    let (projection, _) = open(&place.recorded, &load.history).await?;
    place.recorder.take()?;
    let mut sent = Vec::new();
    for batch in load.events.chunks(batch) {
        check_interrupted()?;
        let batch: Vec<&CloudEvent> = batch.iter().collect();
        projection.apply(&batch).await?;
        sent.extend(place.recorder.take()?.commands);
    }
    Ok(sent)
}

/// Those requests, or some of them, to another database that is as the first one was.
async fn replayed(
    place: &Place,
    load: &Load,
    sent: &[Command],
    (from, to): (&str, &str),
    is_sent: impl Fn(&[u8]) -> bool,
) -> anyhow::Result<Duration> {
    open(&place.environment, &load.history).await?;
    let here = |command: &Command| match command {
        Command::Http(request) => {
            let mut request = request.clone();
            request.path = request
                .path
                .replace(&format!("database={from}"), &format!("database={to}"));
            is_sent(&[request.path.as_bytes(), &request.body].concat()).then_some(Command::Http(request))
        }
        _ => None,
    };
    let sent: Vec<Command> = sent.iter().filter_map(here).collect();
    let began = Instant::now();
    place.bare.run(&sent, None).await?;
    Ok(began.elapsed())
}

/// An insert of rows, or of a block into what its views are made from.
fn is_insert(request: &[u8]) -> bool {
    request.windows(6).any(|part| part == b"INSERT")
}

/// From a bus that has all of them, through a consumer group.
async fn from_bus(place: &Place, load: &Load) -> anyhow::Result<Duration> {
    let postgres = tokio::task::spawn_blocking(Postgres::start).await??;
    let on = places::bus_on_postgres(&postgres, "ingest_bus").await?;
    let bus = bus::open(&on.filling).await?;
    let (projection, _) = open(&place.environment, &load.history).await?;
    bus.set_group(PROJECTION, bus.end().await?).await?;
    for events in load.events.chunks(APPENDED) {
        check_interrupted()?;
        bus.append(events).await?;
    }
    postgres.settle("ingest_bus").await?;
    let (end, metrics) = (bus.end().await?, &place.environment.metrics);
    let group = ConsumerGroup::new(bus.clone(), PROJECTION, projection, StartAt::End, metrics);
    let (stop, began) = (CancellationToken::new(), Instant::now());
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { group.run(stop).await }
    });
    while bus.group_position(PROJECTION).await? != Some(end) {
        check_interrupted()?;
        ensure!(!running.is_finished(), "the consumer group has ended");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let took = began.elapsed();
    stop.cancel();
    running.await??;
    Ok(took)
}
