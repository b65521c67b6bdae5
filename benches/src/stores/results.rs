//! What was measured, as it is kept in `benches/results/stores-*.json`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::plan::Plan;

/// The environment variable that names the file.
pub const FILE_VARIABLE: &str = "EMPORIUM_BENCH_RESULTS";

/// All parts; each bench replaces its own.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Results {
    /// The comparisons by trait, such as `sessions`.
    pub traits: BTreeMap<String, Part>,
    /// Session look-ups through the service's HTTP.
    pub open_loop: Option<OpenLoopPart>,
}

/// One bench.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Part {
    /// Where and with what, in one line.
    pub machine: String,
    /// How much and how long.
    pub plan: Plan,
    /// How long all of it took, in seconds.
    pub took_s: f64,
    /// The figures.
    pub comparisons: Vec<Comparison>,
    /// Adapters that did not run, and why.
    pub not_run: Vec<String>,
}

/// Adapter against bare client.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Comparison {
    /// `postgres`, `redis`, `elasticsearch`, `neo4j`, `clickhouse`, `mongodb`, `prometheus`.
    pub adapter: String,
    /// What was done.
    pub work: String,
    /// How much was there.
    pub size: usize,
    /// How many did it at once.
    pub callers: usize,
    /// Product and version.
    pub server: String,
    /// What an acknowledged write survives, in the server's own settings.
    pub durability: String,
    /// Adapter's p50 to bare client's, of each round.
    pub ratio_p50: Ratio,
    /// The adapter's calls.
    pub adapter_us: Figures,
    /// The bare client's.
    pub bare_us: Figures,
}

/// A ratio over the rounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// The middle one.
    pub median: f64,
    /// Of all rounds.
    pub lowest: f64,
    /// Of all rounds.
    pub highest: f64,
}

/// Times of calls in microseconds.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Figures {
    /// Of all rounds together.
    pub p50: f64,
    /// Of all rounds together.
    pub p99: f64,
    /// Of all rounds together.
    pub mean: f64,
    /// The round with the lowest p50.
    pub p50_lowest: f64,
    /// The round with the highest p50.
    pub p50_highest: f64,
    /// How many calls.
    pub calls: u64,
    /// All callers together.
    pub calls_per_s: f64,
}

/// The open loop.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OpenLoopPart {
    /// Where and with what, in one line.
    pub machine: String,
    /// Requests due a second.
    pub rate_per_s: f64,
    /// Seconds of a target's turn.
    pub turn_s: f64,
    /// Rounds.
    pub rounds: usize,
    /// Sessions that are there.
    pub sessions: usize,
    /// What shared the processors.
    pub shared: String,
    /// Each target.
    pub targets: Vec<Target>,
    /// Targets that did not run, and why.
    pub not_run: Vec<String>,
}

/// What answered in the open loop. Latency counts from the moment when a request was due.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Target {
    /// `nothing`, `postgres`, `redis`.
    pub name: String,
    /// Product, version and durability of the store.
    pub store: String,
    /// Milliseconds, of all rounds together.
    pub p50_ms: f64,
    /// See above.
    pub p99_ms: f64,
    /// See above.
    pub p999_ms: f64,
    /// See above.
    pub max_ms: f64,
    /// p99 of each round.
    pub p99_ms_rounds: Vec<f64>,
    /// Requests.
    pub requests: u64,
    /// Share of requests that left later than a millisecond after they were due.
    pub late_share: f64,
    /// Processor time of the service a request, in microseconds.
    pub service_cpu_us: f64,
}

/// Where results go: the file that [`FILE_VARIABLE`] names, else one that is not committed.
pub fn file() -> PathBuf {
    std::env::var_os(FILE_VARIABLE).map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/emporium-benches/stores.json"),
        |file| {
            let file = PathBuf::from(file);
            // cargo runs benches in the package's folder, people write paths from the workspace's.
            if file.is_absolute() {
                file
            } else {
                Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file)
            }
        },
    )
}

impl Results {
    /// Reads a file; no file is no results.
    pub fn read(file: &Path) -> anyhow::Result<Self> {
        match std::fs::read_to_string(file) {
            Ok(text) => serde_json::from_str(&text).with_context(|| format!("reading {}", file.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("reading {}", file.display())),
        }
    }

    /// Writes the file.
    pub fn write(&self, file: &Path) -> anyhow::Result<()> {
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let text = serde_json::to_string_pretty(self)? + "\n";
        std::fs::write(file, text).with_context(|| format!("writing {}", file.display()))
    }
}
