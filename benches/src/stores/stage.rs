//! The course of one bench: stores, workloads, comparisons, criterion, results.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use criterion::Criterion;
use emporium_test_kit::stores::{Durability, Store};
use tokio::runtime::Runtime;

use super::compare::{Order, Side, Workload, compare};
use super::page;
use super::places::{ElasticServer, Place, Postgres, RedisServer};
use super::plan::Plan;
use super::results::{Comparison, Part, Results, file};
use super::servers::StoreServer;
use super::steps::Stepper;
use crate::machine::Machine;

/// The store besides PostgreSQL that a bench wants.
#[derive(Debug, Clone, Copy)]
pub enum Wanted {
    /// Redis, with this durability.
    Redis(Durability),
    /// Elasticsearch.
    Elasticsearch,
    /// Another server; with Neo4j, a Redis for what is cached.
    Server(Store),
}

/// What workloads are made on.
pub struct Stage {
    /// How much and how long.
    pub plan: Plan,
    /// Always there.
    pub postgres: Postgres,
    /// When there is one to be had, and when the bench wants one.
    pub redis: Option<RedisServer>,
    /// As above.
    pub elasticsearch: Option<ElasticServer>,
    /// As above.
    pub server: Option<StoreServer>,
    /// Adapters that do not run, and why.
    pub not_run: Vec<String>,
    /// Kept until the end: they hold connections.
    places: Vec<Place>,
}

impl Stage {
    /// Starts what the bench wants.
    pub async fn set(plan: Plan, wanted: Wanted) -> anyhow::Result<Self> {
        let postgres = tokio::task::spawn_blocking(Postgres::start).await??;
        let (mut redis, mut elasticsearch, mut server) = (None, None, None);
        let mut missing = Vec::new();
        match wanted {
            Wanted::Redis(durability) => {
                redis = RedisServer::get(durability).await?;
                missing.extend(redis.is_none().then_some(Store::Redis));
            }
            Wanted::Elasticsearch => {
                elasticsearch = ElasticServer::get().await?;
                missing.extend(elasticsearch.is_none().then_some(Store::Elasticsearch));
            }
            Wanted::Server(store) => {
                server = StoreServer::get(store).await?;
                missing.extend(server.is_none().then_some(store));
                if store == Store::Neo4j {
                    redis = RedisServer::get(Durability::None).await?;
                    missing.extend(redis.is_none().then_some(Store::Redis));
                }
            }
        }
        let remedy = |store: Store| format!("{store}: there is no server to be had; {}", store.remedy());
        Ok(Self {
            plan,
            postgres,
            redis,
            elasticsearch,
            server,
            not_run: missing.into_iter().map(remedy).collect(),
            places: Vec::new(),
        })
    }

    /// Adds what was made on a place.
    pub fn keep(&mut self, place: Place, all: &mut Vec<Workload>, made: Vec<Workload>) {
        self.places.push(place);
        all.extend(made);
    }
}

impl Place {
    /// A workload on this place.
    pub fn workload(
        &self,
        work: &'static str,
        size: usize,
        adapter: Side,
        bare: Side,
        order: Order,
    ) -> Workload {
        Workload {
            adapter: self.adapter,
            work,
            size,
            server: self.server.clone(),
            durability: self.durability.clone(),
            adapter_side: adapter,
            bare_side: bare,
            order,
        }
    }
}

/// One bench from the command line to its results. `workloads` makes them.
pub fn bench(
    name: &'static str,
    wanted: Wanted,
    workloads: impl AsyncFnOnce(&mut Stage) -> anyhow::Result<Vec<Workload>>,
) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        return ExitCode::SUCCESS;
    }
    let quick = arguments.iter().any(|argument| argument == "--test");
    match run(name, quick, wanted, workloads) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(
    name: &'static str,
    quick: bool,
    wanted: Wanted,
    workloads: impl AsyncFnOnce(&mut Stage) -> anyhow::Result<Vec<Workload>>,
) -> anyhow::Result<()> {
    let (plan, started) = (Plan::read(quick)?, Instant::now());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let machine = Machine::look(&std::env::temp_dir())?.line();
    println!("{name}: {machine}");
    let (mut stage, all) = runtime.block_on(async {
        let mut stage = Stage::set(plan.clone(), wanted).await?;
        let all = workloads(&mut stage).await?;
        anyhow::Ok((stage, all))
    })?;
    println!(
        "{name}: filled, recorded and checked after {:.0} s",
        started.elapsed().as_secs_f64()
    );
    let comparisons = comparisons(&runtime, &all, &plan)?;
    means(&runtime, name, &all)?;
    let part = Part {
        machine,
        plan,
        took_s: started.elapsed().as_secs_f64(),
        comparisons,
        not_run: std::mem::take(&mut stage.not_run),
    };
    println!("\n{}", page::table(&part.comparisons));
    for line in &part.not_run {
        println!("{name}: NOT RUN: {line}");
    }
    let path = file();
    let mut results = Results::read(&path)?;
    results.traits.insert(name.to_owned(), part);
    results.write(&path)?;
    println!(
        "{name}: {:.0} s; results in {}",
        started.elapsed().as_secs_f64(),
        path.display()
    );
    // Connections close before the servers end.
    drop(all);
    runtime.block_on(async { drop(stage) });
    Ok(())
}

fn comparisons(runtime: &Runtime, all: &[Workload], plan: &Plan) -> anyhow::Result<Vec<Comparison>> {
    let mut comparisons = Vec::new();
    for workload in all {
        for callers in &plan.callers {
            let compared = runtime.block_on(compare(workload, *callers, plan))?;
            println!(
                "  {} {} {} ×{callers}: p50 {:.0} µs, bare {:.0} µs, ratio {:.2} ({:.2}–{:.2})",
                compared.adapter,
                compared.work,
                compared.size,
                compared.adapter_us.p50,
                compared.bare_us.p50,
                compared.ratio_p50.median,
                compared.ratio_p50.lowest,
                compared.ratio_p50.highest
            );
            comparisons.push(compared);
        }
    }
    Ok(comparisons)
}

/// criterion's own figures: the mean of batches of one caller, with confidence intervals, kept from run to run in
/// `target/criterion`, to see whether a change of an adapter made a difference.
fn means(runtime: &Runtime, name: &str, all: &[Workload]) -> anyhow::Result<()> {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(700))
        .without_plots()
        .configure_from_args();
    for workload in all {
        let title = format!("{name}/{}/{}/{}", workload.work, workload.adapter, workload.size);
        let (mut stepper, mut failed) = (Stepper::new(workload), None);
        criterion.bench_function(&title, |bencher| {
            bencher.iter_custom(|count| match runtime.block_on(stepper.steps(count)) {
                Ok(took) => took.max(Duration::from_nanos(1)),
                Err(error) => {
                    failed = Some(error);
                    Duration::from_secs(1)
                }
            });
        });
        if let Some(error) = failed {
            return Err(error.context(title));
        }
        runtime.block_on(stepper.finish())?;
    }
    criterion.final_summary();
    Ok(())
}
