//! What was measured, as it is kept in `benches/results/projections-*.json`.

use std::path::Path;

use anyhow::Context;
use emporium_benches::stores::results::Comparison;
use serde::{Deserialize, Serialize};

/// All parts; each command replaces its own.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Results {
    /// Lag without kills.
    pub lag: Option<LagPart>,
    /// Lag with kills.
    pub kills: Option<LagPart>,
    /// "Customers who bought this also bought".
    pub also_bought: Option<AlsoBoughtPart>,
    /// Answers of analytics.
    pub figures: Option<FiguresPart>,
    /// Events into ClickHouse.
    pub ingest: Option<IngestPart>,
}

/// One run of `lag`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LagPart {
    /// Where and with what, in one line.
    pub machine: String,
    /// What repeats the run.
    pub seed: u64,
    /// Orders a second.
    pub orders_per_s: f64,
    /// Changes of accounts a second.
    pub users_per_s: f64,
    /// Seconds that are measured, after the warm-up.
    pub seconds: f64,
    /// Seconds before them.
    pub warm_up_s: f64,
    /// Products in the catalog.
    pub products: usize,
    /// Events that were published in the whole run.
    pub published: u64,
    /// Events on the bus in the end, those of the catalog included.
    pub on_bus: i64,
    /// How late the publisher's transactions were at worst, in milliseconds.
    pub publisher_late_max_ms: f64,
    /// How the processes shared the processors.
    pub shared: String,
    /// Cores that were busy while it was measured, of everything on the machine.
    pub busy_cores: f64,
    /// The bus itself, then every group.
    pub lags: Vec<Lag>,
    /// Kills, if there were any.
    pub killed: Option<Killed>,
    /// Seconds from the last order to the moment when every group had everything.
    pub drained_s: f64,
    /// Rows that were compared, by table.
    pub compared: Vec<Table>,
    /// Rebuilds at the end.
    pub rebuilt: Vec<Rebuilt>,
}

/// How long events took.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Lag {
    /// The consumer group; `bus`: until they could be read from the bus.
    pub group: String,
    /// Events that it takes.
    pub events: u64,
    /// Milliseconds from the moment when an event was due.
    pub p50_ms: f64,
    /// See above.
    pub p99_ms: f64,
    /// See above.
    pub max_ms: f64,
}

/// What was killed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Killed {
    /// How many processes, by SIGKILL.
    pub kills: usize,
    /// Of them while their group had events waiting or under way.
    pub at_work: usize,
    /// By service.
    pub by_service: Vec<(String, usize)>,
}

/// A table that was compared with what was published.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Table {
    /// Its name.
    pub table: String,
    /// Rows that were expected, and found, each with its content.
    pub rows: usize,
}

/// A rebuild.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Rebuilt {
    /// The projection.
    pub projection: String,
    /// Events of the histories that were read.
    pub events: i64,
    /// Seconds.
    pub seconds: f64,
    /// Whether digests of both generations were equal.
    pub equal: bool,
}

/// One run of `also-bought`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AlsoBoughtPart {
    /// Where and with what, in one line.
    pub machine: String,
    /// What repeats the run.
    pub seed: u64,
    /// Goods in the catalog.
    pub products: usize,
    /// Server and durability.
    pub server: String,
    /// Rounds of the comparison.
    pub rounds: usize,
    /// Seconds of a side's turn in them, and of each loop of requests a round.
    pub turn_s: f64,
    /// Each size.
    pub sizes: Vec<AlsoBoughtSize>,
}

/// At so many orders.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AlsoBoughtSize {
    /// Orders in the store.
    pub orders: usize,
    /// Seconds that the store took to apply those since the size before.
    pub filled_s: f64,
    /// Kinds of goods.
    pub goods: Vec<AlsoBought>,
}

/// Of one kind of goods.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AlsoBought {
    /// `best-sellers`, `as bought`, `any`, `tail`.
    pub goods: String,
    /// In how many baskets they are, on average.
    pub baskets_mean: f64,
    /// The store against a bare client that sends what it sends; in microseconds.
    pub store: Comparison,
    /// Through HTTP, without the cache.
    pub http: Times,
    /// Through HTTP, from the cache.
    pub cached: Times,
}

/// One run of `figures`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FiguresPart {
    /// Where and with what, in one line.
    pub machine: String,
    /// What repeats the run.
    pub seed: u64,
    /// Orders in the store.
    pub orders: usize,
    /// Products in the catalog.
    pub products: usize,
    /// Activities of visitors.
    pub activities: usize,
    /// Each question.
    pub answers: Vec<Answer>,
}

/// One run of `ingest`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct IngestPart {
    /// Where and with what, in one line.
    pub machine: String,
    /// What repeats the run.
    pub seed: u64,
    /// Server and durability.
    pub server: String,
    /// Orders whose events these are.
    pub orders: usize,
    /// Products in the catalog.
    pub products: usize,
    /// Each way in which they went in.
    pub rows: Vec<Ingested>,
}

/// Events that went in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ingested {
    /// How.
    pub way: String,
    /// Events of a batch; 0 where the consumer group decides.
    pub batch: usize,
    /// How many.
    pub events: usize,
    /// Seconds.
    pub took_s: f64,
    /// Of them a second.
    pub events_per_s: f64,
}

impl IngestPart {
    /// Notes a way, and tells of it.
    pub fn add(&mut self, way: &str, batch: usize, events: usize, took: std::time::Duration) {
        let took_s = took.as_secs_f64();
        #[allow(clippy::cast_precision_loss)] // far below 2^52
        let events_per_s = events as f64 / took_s;
        eprintln!("  {way}, {batch} a batch: {events_per_s:.0} events/s");
        self.rows.push(Ingested {
            way: way.to_owned(),
            batch,
            events,
            took_s,
            events_per_s,
        });
    }
}

/// A question and how long its answer took.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Answer {
    /// The path with its parameters.
    pub path: String,
    /// Through HTTP, one caller.
    pub times: Times,
}

/// Milliseconds of calls.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Times {
    /// The middle one.
    pub p50_ms: f64,
    /// 99 of 100 were not slower.
    pub p99_ms: f64,
    /// The slowest.
    pub max_ms: f64,
    /// How many.
    pub calls: u64,
}

impl Results {
    /// The results that are there; none is fine.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("reading {}", path.display()))
    }

    /// Changes a part and keeps the others.
    pub fn change(path: &Path, change: impl FnOnce(&mut Self)) -> anyhow::Result<()> {
        let mut results = Self::read(path)?;
        change(&mut results);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let text = serde_json::to_string_pretty(&results)? + "\n";
        std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))?;
        println!("results in {}", path.display());
        Ok(())
    }
}
