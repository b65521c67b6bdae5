//! The command line and the course of a run.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use emporium_benches::stores::page;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::bench::{Flows, Plan, Sides};
use crate::counters::calls_ms;
use crate::flows::Flow;
use crate::http::Api;
use crate::machine::{Machine, cpu_s, cpu_tree_s, memory};
use crate::open_loop::{self, OpenLoop};
use crate::prepare::{self, START_PAUSE, copy_databases, superuser_of};
use crate::process::Shop;
use crate::projections::{self, Projections};
use crate::report::{Call, Cpu, Results, SeedResult, ShopResults, markdown};
use crate::{audit, floor, import, load, profile};

/// Real sign-ups in each run: hashing passwords takes memory that belongs into the figures.
const SIGN_UPS: usize = 8;

/// Measures the shop against a bare floor, and the import against a plain COPY. Without a command, both.
#[derive(Debug, Parser)]
#[command(name = "emporium-benches")]
struct Cli {
    #[command(subcommand)]
    command: Option<What>,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Clone, Subcommand)]
enum What {
    /// Both: the shop under load, and the import.
    All,
    /// The shop under load.
    Run,
    /// The import of the gift shop's data.
    Import,
    /// Only compare the statements of shop and floor.
    Audit,
    /// Session look-ups through HTTP at a fixed rate, from each store.
    OpenLoop(OpenLoop),
    /// Consumers' lag, recommendations and analytics.
    #[command(subcommand)]
    Projections(Projections),
    /// Puts the results of `cargo bench` and `open-loop` into the page and the plot of the docs.
    StoresPage(page::Files),
}

#[derive(Debug, Clone, Parser)]
struct Options {
    /// Seconds instead of minutes: to see that it works, not to quote. Small data, short loops, part of the import's file.
    #[arg(long, global = true)]
    quick: bool,
    /// The sample data: tiny, small, medium or large [default: medium, with --quick small]
    #[arg(long, global = true)]
    scale: Option<String>,
    /// Rounds [default: 5, with --quick 2]
    #[arg(long, global = true)]
    rounds: Option<usize>,
    /// Seconds of each loop [default: 8, with --quick 1]
    #[arg(long, global = true)]
    seconds: Option<f64>,
    /// Only flows whose names contain this.
    #[arg(long, global = true)]
    flow: Option<String>,
    /// Write all results to this file.
    #[arg(long, global = true, value_name = "FILE")]
    json: Option<PathBuf>,
    /// A remark for the results, such as the date.
    #[arg(long, global = true)]
    label: Option<String>,
    /// Where the data goes while it runs [default: the system's folder for temporary files]
    #[arg(long, global = true, value_name = "FOLDER")]
    dir: Option<PathBuf>,
    /// After each flow, print where the database server's time went, statement by statement. Distorts the figures.
    #[arg(long, global = true)]
    profile: bool,
    /// Stop after the flows and wait for Enter, with the filled shop running, for a look with other tools.
    #[arg(long, global = true)]
    pause: bool,
}

impl Options {
    fn scale(&self) -> &str {
        self.scale
            .as_deref()
            .unwrap_or(if self.quick { "small" } else { "medium" })
    }

    fn plan(&self) -> Plan {
        Plan {
            rounds: self.rounds.unwrap_or(if self.quick { 2 } else { 5 }).max(1),
            seconds: self.seconds.unwrap_or(if self.quick { 1.0 } else { 8.0 }),
            warm_up_s: if self.quick { 0.5 } else { 3.0 },
        }
    }

    /// Customers who order once a round: more than can order in a loop.
    fn customers(&self) -> usize {
        if self.quick { 800 } else { 6_000 }
    }

    fn flows(&self) -> Vec<Flow> {
        let wanted = |flow: &Flow| self.flow.as_deref().is_none_or(|part| flow.name().contains(part));
        Flow::ALL.into_iter().filter(wanted).collect()
    }
}

/// The harness.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli.command.as_ref().unwrap_or(&What::All), &cli.options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(what: &What, options: &Options) -> anyhow::Result<()> {
    if cfg!(debug_assertions) {
        eprintln!("This is a debug build: its figures mean nothing. Use cargo run --release.");
    }
    if options.flows().is_empty() {
        bail!(
            "no flow is called like that; there are {}",
            Flow::ALL.map(Flow::name).join(", ")
        );
    }
    if let What::StoresPage(files) = what {
        return page::render(files);
    }
    watch_signals()?;
    if let What::OpenLoop(plan) = what {
        return open_loop::run(*plan);
    }
    if let What::Projections(what) = what {
        return projections::run(what);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let dir = data_folder(options.dir.as_deref())?;
    let machine = Machine::look(dir.path())?;
    let shop = match what {
        What::Import | What::OpenLoop(_) | What::Projections(_) | What::StoresPage(_) => None,
        What::Audit => return audit_only(&runtime, dir.path(), options),
        What::All | What::Run => Some(measure_shop(&runtime, dir.path(), options)?),
    };
    let import = match what {
        What::Run | What::Audit | What::OpenLoop(_) | What::Projections(_) | What::StoresPage(_) => None,
        What::All | What::Import => {
            let (rounds, lines_max) = (options.plan().rounds.min(3), options.quick.then_some(50_000));
            eprintln!("Import");
            import::measure(&runtime, dir.path(), rounds, lines_max)?
        }
    };
    let results = Results {
        label: options.label.clone(),
        machine,
        shop,
        import,
    };
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&results)?;
        std::fs::write(path, text + "\n").with_context(|| format!("writing {}", path.display()))?;
    }
    println!("{}", markdown(&results));
    Ok(())
}

/// Ctrl-C and SIGTERM end the loops; everything that was started is stopped and removed on the way out.
fn watch_signals() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    thread::spawn(move || {
        runtime.block_on(async {
            let signal = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
            let Ok(mut terminate) = signal else { return };
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            load::interrupt();
        });
    });
    Ok(())
}

/// A folder that the database server's user can reach.
fn data_folder(parent: Option<&Path>) -> anyhow::Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder
        .prefix("emporium-bench-")
        .permissions(std::fs::Permissions::from_mode(0o755));
    let made = match parent {
        Some(parent) => builder.tempdir_in(parent),
        None => builder.tempdir(),
    };
    made.context("making a folder for the data")
}

/// A filled shop and its floor.
struct Stage {
    shop: Shop,
    floor: crate::process::Program,
    floor_address: std::net::SocketAddr,
    material: Arc<prepare::Material>,
    start_new: Duration,
    seed: SeedResult,
}

impl Stage {
    fn sides(&self) -> Sides<'_> {
        Sides {
            shop: &self.shop,
            floor: &self.floor,
            floor_address: self.floor_address,
            material: self.material.clone(),
        }
    }
}

fn set_stage(runtime: &Runtime, dir: &Path, options: &Options) -> anyhow::Result<Stage> {
    let dir = dir.join("shop");
    let shop = Shop::start(&dir)?;
    let start_new = shop.started_in;
    eprintln!("Seeding, scale {}", options.scale());
    let seed = seed(&shop, options.scale())?;
    eprintln!(
        "  {} rows in {:.1} s, {:.0} rows/s",
        seed.rows, seed.seconds, seed.rows_per_s
    );
    eprintln!("Preparing customers and stock");
    let material = Arc::new(prepare::prepare(runtime, &shop, options.customers())?);
    let owners = shop.databases.clone();
    shop.stop()?;
    eprintln!("Copying the databases for the floor");
    copy_databases(runtime, &dir, &owners, options.profile)?;
    let shop = Shop::start(&dir)?;
    let (floor, floor_address) = floor::start(&shop)?;
    thread::sleep(START_PAUSE);
    Ok(Stage {
        shop,
        floor,
        floor_address,
        material,
        start_new,
        seed,
    })
}

fn audit_only(runtime: &Runtime, dir: &Path, options: &Options) -> anyhow::Result<()> {
    let stage = set_stage(runtime, dir, options)?;
    for (flow, audited) in audit::audit(runtime, &stage.sides())? {
        println!(
            "{flow}: {} statements in {} transactions, {} of them writing; shop and floor agree",
            audited.statements, audited.transactions, audited.commits
        );
    }
    stage.shop.stop()
}

fn measure_shop(runtime: &Runtime, dir: &Path, options: &Options) -> anyhow::Result<ShopResults> {
    let stage = set_stage(runtime, dir, options)?;
    let (sides, plan) = (stage.sides(), options.plan());
    let postgres = runtime.block_on(async {
        let mut admin = superuser_of(&stage.shop)?.connect("postgres").await?;
        anyhow::Ok(
            sqlx::query_scalar("SHOW server_version")
                .fetch_one(&mut admin)
                .await?,
        )
    })?;
    eprintln!("Comparing the statements of shop and floor");
    let statements = audit::audit(runtime, &sides)?;
    eprintln!("Generator");
    let generator = sides.generator(plan.seconds)?;
    sign_up(&stage.shop)?;
    let mut flows = Flows::new();
    for flow in options.flows() {
        eprintln!("{} ({})", flow.name(), flow.request());
        if options.profile {
            profile::begin(runtime, &stage.shop)?;
        }
        flows.insert(flow.name(), sides.measure(flow, plan)?);
        if options.profile {
            profile::print(runtime, &stage.shop)?;
        }
    }
    let calls = calls_ms(&stage.shop)?;
    let results = ShopResults {
        scale: options.scale().to_owned(),
        products: stage.material.products.len(),
        postgres,
        plan,
        start_new_s: stage.start_new.as_secs_f64(),
        start_again_s: stage.shop.started_in.as_secs_f64(),
        generator,
        statements,
        flows,
        memory: memory(stage.shop.pid())?,
        cpu: Cpu {
            shop_s: cpu_s(stage.shop.pid())?,
            postgres_s: cpu_tree_s(stage.shop.postgres_pid()?)?,
            floor_s: cpu_s(stage.floor.pid())?,
            generator_s: cpu_s(std::process::id())?,
        },
        calls: calls
            .into_iter()
            .map(|(name, (count, ms))| {
                (
                    name,
                    Call {
                        count,
                        mean_ms: ms / count,
                    },
                )
            })
            .collect(),
        seed: stage.seed,
    };
    if options.pause {
        pause(&stage.shop)?;
    }
    drop(stage.floor);
    stage.shop.stop()?;
    Ok(results)
}

fn seed(shop: &Shop, scale: &str) -> anyhow::Result<SeedResult> {
    let (took, output) = shop.command(&["seed", "--scale", scale])?;
    // Lines such as `products     50,000 new, 0 there already, 0 refused`.
    let new = output.lines().filter_map(|line| {
        let count = line.split(" new, ").next().filter(|_| line.contains(" new, "))?;
        count
            .split_whitespace()
            .last()?
            .replace(',', "")
            .parse::<u64>()
            .ok()
    });
    let rows: u64 = new.sum();
    if rows == 0 {
        bail!("the seed command loaded nothing: {output}");
    }
    #[allow(clippy::cast_precision_loss)] // a rate to look at
    let rows_per_s = rows as f64 / took.as_secs_f64();
    Ok(SeedResult {
        seconds: took.as_secs_f64(),
        rows,
        rows_per_s,
    })
}

/// Some people sign up and in, two at once as a browser and a phone would.
fn sign_up(shop: &Shop) -> anyhow::Result<()> {
    let mut api = Api::open(shop.gateway()?)?;
    for _ in 0..SIGN_UPS {
        let email = format!("{}@customers.example", Uuid::new_v4().simple());
        let user =
            serde_json::json!({ "email": email, "password": "correct horse battery", "name": "Ada Example" });
        api.call("POST /api/users", &user.to_string())?;
        let credentials = serde_json::json!({ "email": email, "password": "correct horse battery" });
        api.call("POST /api/sessions", &credentials.to_string())?;
    }
    Ok(())
}

fn pause(shop: &Shop) -> anyhow::Result<()> {
    eprintln!(
        "The shop is process {} at {}, its database server process {}. Press Enter to end.",
        shop.pid(),
        shop.gateway()?,
        shop.postgres_pid()?
    );
    std::io::stdin().read_line(&mut String::new())?;
    Ok(())
}
