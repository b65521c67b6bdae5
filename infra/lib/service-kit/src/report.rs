//! What a service tells of its stores: `GET /stores`, for the operator, and from there `emporium stores`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{Db, StoreError};

/// How long a store may take to tell about itself.
pub const INSPECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Pings of which the median is the latency.
const PINGS: usize = 5;

/// Something that a trait's contract offers and that an adapter cannot give, with what follows from it. Each trait has a
/// typed list of its capabilities, which its contract suite reads; this is how an entry of it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lack {
    /// The capability, in a word or two.
    pub capability: String,
    /// What a user of the adapter has to know.
    pub consequence: String,
}

impl Lack {
    /// A capability, and what follows from its absence.
    pub fn new(capability: &str, consequence: &str) -> Self {
        Self {
            capability: capability.to_owned(),
            consequence: consequence.to_owned(),
        }
    }
}

/// A store as its service sees it just now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoreReport {
    /// What the service uses it for: `store`, `search`, `cache`, `events`.
    pub role: String,
    /// The setting that picks it.
    pub setting: Option<String>,
    /// `postgresql`, `redis`, `elasticsearch`, …
    pub adapter: String,
    /// The server's product and version.
    pub version: Option<String>,
    /// Median time of a round trip, in milliseconds.
    pub latency_ms: Option<f64>,
    /// What an acknowledged write survives, in the server's own settings.
    pub durability: Option<String>,
    /// Bytes of data.
    pub size_bytes: Option<i64>,
    /// Changes that are not in it yet, where it is fed by events.
    pub lag: Option<i64>,
    /// What the adapter lacks.
    pub lacks: Vec<Lack>,
    /// What it is busy with, if that keeps it from its work for a while: an index that is being built.
    /// Left out while there is nothing to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Why the rest is not known: the store does not answer.
    pub error: Option<String>,
}

impl StoreReport {
    /// A report in which only the adapter is known.
    pub fn of(role: &str, setting: Option<&str>, adapter: &str) -> Self {
        Self {
            role: role.to_owned(),
            setting: setting.map(str::to_owned),
            adapter: adapter.to_owned(),
            version: None,
            latency_ms: None,
            durability: None,
            size_bytes: None,
            lag: None,
            lacks: Vec::new(),
            state: None,
            error: None,
        }
    }

    /// With what the server says of itself, or why it says nothing.
    #[must_use]
    pub fn with(mut self, facts: Result<ServerFacts, StoreError>) -> Self {
        match facts {
            Ok(facts) => {
                self.version = Some(facts.version);
                self.latency_ms = Some(facts.latency_ms);
                self.durability = Some(facts.durability);
                self.size_bytes = facts.size_bytes;
            }
            Err(error) => self.error = Some(error.to_string()),
        }
        self
    }
}

/// What a server says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerFacts {
    /// Product and version.
    pub version: String,
    /// Median time of a round trip, in milliseconds.
    pub latency_ms: f64,
    /// What an acknowledged write survives.
    pub durability: String,
    /// Bytes of data, as far as the server tells.
    pub size_bytes: Option<i64>,
}

/// Whoever can tell about a store.
#[async_trait]
pub trait Inspect: Send + Sync {
    /// What is known without asking the store: role, setting, adapter, and what the adapter lacks.
    fn outline(&self) -> StoreReport;

    /// Asks the store; bounded by its adapter's time-outs, and by [`INSPECT_TIMEOUT`].
    async fn inspect(&self) -> StoreReport;
}

/// Median of a few round trips, in milliseconds.
pub async fn latency_ms<E, F>(ping: impl Fn() -> F) -> Result<f64, E>
where
    F: Future<Output = Result<(), E>>,
{
    let mut times = Vec::with_capacity(PINGS);
    for _ in 0..PINGS {
        let started = Instant::now();
        ping().await?;
        times.push(started.elapsed());
    }
    times.sort_unstable();
    Ok(times[PINGS / 2].as_secs_f64() * 1_000.0)
}

/// A server that can tell about itself: its client.
#[async_trait]
pub trait Server: Send + Sync {
    /// The adapter's name in reports.
    fn adapter(&self) -> &'static str;

    /// What it says of itself.
    async fn facts(&self) -> Result<ServerFacts, StoreError>;
}

#[async_trait]
impl Server for Db {
    fn adapter(&self) -> &'static str {
        "postgresql"
    }

    async fn facts(&self) -> Result<ServerFacts, StoreError> {
        let latency_ms = latency_ms(|| self.ping()).await?;
        let (version, commit, fsync, size): (String, String, String, i64) = sqlx::query_as(
            "SELECT current_setting('server_version'), current_setting('synchronous_commit'), current_setting('fsync'),
                    pg_database_size(current_database())",
        )
        .fetch_one(self)
        .await?;
        Ok(ServerFacts {
            version: format!("PostgreSQL {version}"),
            latency_ms,
            durability: format!("synchronous_commit={commit}, fsync={fsync}"),
            size_bytes: Some(size),
        })
    }
}

/// A store on a server, for reports.
pub struct StoreOn<S> {
    server: S,
    outline: StoreReport,
}

impl<S: Server + 'static> StoreOn<S> {
    /// What is kept on `server` as `role`, and what it lacks there; `setting` could pick another one.
    pub fn shared(
        server: S,
        role: &str,
        setting: Option<&str>,
        lacks: impl IntoIterator<Item = Lack>,
    ) -> Arc<dyn Inspect> {
        let mut outline = StoreReport::of(role, setting, server.adapter());
        outline.lacks = lacks.into_iter().collect();
        Arc::new(Self { server, outline })
    }

    /// A service's own store, for which there is no setting.
    pub fn own(server: S) -> Arc<dyn Inspect> {
        Self::shared(server, "store", None, [])
    }
}

#[async_trait]
impl<S: Server> Inspect for StoreOn<S> {
    fn outline(&self) -> StoreReport {
        self.outline.clone()
    }

    async fn inspect(&self) -> StoreReport {
        self.outline().with(self.server.facts().await)
    }
}

/// A store that a setting picked.
pub struct Opened<T: ?Sized> {
    /// To use.
    pub store: Arc<T>,
    /// To tell about.
    pub report: Arc<dyn Inspect>,
}

impl<T: ?Sized> Opened<T> {
    /// The store that is on `server`. Says in the log what it lacks.
    pub fn new(
        store: Arc<T>,
        server: impl Server + 'static,
        setting: &str,
        lacks: impl IntoIterator<Item = Lack>,
    ) -> Self {
        let report = StoreOn::shared(server, "store", Some(setting), lacks);
        for lack in report.outline().lacks {
            tracing::warn!(lacks = lack.capability, "{setting}: {}", lack.consequence);
        }
        Self { store, report }
    }
}
