//! Projections under measurement: how far consumers are behind at a given rate of orders, with and without being killed, and how
//! fast what they keep answers.

use std::path::PathBuf;

use clap::{Args, Subcommand};

mod also_bought;
mod ask;
mod book;
mod events;
mod expected;
mod figures;
mod history;
mod ingest;
mod kills;
mod lag;
mod orders;
mod owner;
mod page;
mod publish;
mod results;
mod verify;
mod watch;
mod world;

pub use world::{SERVICE, service_main};

/// Where results go that nobody has named a file for.
const SAVED: &str = "target/emporium-benches/projections.json";

/// What is measured.
#[derive(Debug, Clone, Subcommand)]
pub enum Projections {
    /// How long events take to every consumer; with --kills, whether each still counts once.
    Lag(lag::LagArgs),
    /// "Customers who bought this also bought", with and without the cache, at growing sizes.
    AlsoBought(also_bought::AlsoBoughtArgs),
    /// The answers of analytics.
    Figures(figures::FiguresArgs),
    /// How many events a second analytics takes into ClickHouse.
    Ingest(ingest::IngestArgs),
    /// Puts results into the page of the docs.
    Page(PageArgs),
}

/// Which results go where.
#[derive(Debug, Clone, Args)]
pub struct PageArgs {
    /// The results.
    #[arg(long, default_value = "benches/results/projections-two-cores.json")]
    results: PathBuf,
    /// The page whose figures are replaced.
    #[arg(long, default_value = "docs/src/benchmarks.md")]
    page: PathBuf,
}

/// Measures.
pub fn run(what: &Projections) -> anyhow::Result<()> {
    match what {
        Projections::Lag(args) => lag::run(args),
        Projections::AlsoBought(args) => also_bought::run(args),
        Projections::Figures(args) => figures::run(args),
        Projections::Ingest(args) => ingest::run(args),
        Projections::Page(args) => page::render(&args.results, &args.page),
    }
}
