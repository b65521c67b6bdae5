//! Redis (or Valkey), observed: one multiplexed connection, or one to each node of a Redis Cluster, shared by all callers.
//!
//! Every call is bounded by [`CALL_TIMEOUT`], reconnecting included. A call whose connection was lost is sent once more,
//! because a connection that nobody used tells of its server's restart only when it is used. So every command and every
//! script that goes through here must be **repeatable**: doing it twice is like doing it once.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use ::redis::cluster_async::ClusterConnection;
use ::redis::{Cmd, ErrorKind, FromRedisValue, RedisError, Script, ServerErrorKind};

use crate::StoreError;
use crate::metrics::Metrics;
use crate::observe::{self, Call};
use crate::report::{self, Server, ServerFacts};

mod connect;
mod facts;
mod scan;
mod single;

pub use connect::ConnectError;
pub(crate) use connect::address;
pub use facts::{Durability, Info, Promise, Promises};
pub use scan::Scanned;
use single::Single;

/// The scheme of [`crate::StoreSetting::scheme`], and the name in metrics and reports.
pub const REDIS: &str = "redis";
/// How long a connection may take to open.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a command may take.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a call may take altogether: the command, opening a lost connection, the command again.
pub const CALL_TIMEOUT: Duration = Duration::from_millis(2_500);
/// Longest pause between two tries to open a lost connection; a server that is back is found within it.
const RECONNECT_PAUSE_MAX: Duration = Duration::from_secs(1);

/// A Redis server or cluster. Cheap to clone; all clones share the connections.
#[derive(Clone)]
pub struct Redis {
    connection: Connection,
    metrics: Metrics,
}

#[derive(Clone)]
enum Connection {
    Single(Arc<Single>),
    Cluster(ClusterConnection),
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redis")
    }
}

/// A Lua script with a name: for metrics and spans the name, for the server the text (sent once, then called by its hash).
/// See [`Redis`]'s module: it has to be repeatable, and its keys have to share a hash tag.
pub struct NamedScript {
    name: &'static str,
    text: &'static str,
    script: Script,
}

impl std::fmt::Debug for NamedScript {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl NamedScript {
    /// A script of this text. The name is a metric's label: a constant.
    pub fn new(name: &'static str, text: &'static str) -> Self {
        Self {
            name,
            text,
            script: Script::new(text),
        }
    }
}

/// Keys and arguments of one run of a script.
#[derive(Debug)]
pub struct Invocation<'a> {
    named: &'a NamedScript,
    inner: ::redis::ScriptInvocation<'a>,
}

impl<'a> Invocation<'a> {
    /// A run of this script.
    pub fn of(named: &'a NamedScript) -> Self {
        Self {
            named,
            inner: named.script.prepare_invoke(),
        }
    }

    /// The next key (`KEYS[n]`).
    #[must_use]
    pub fn key(mut self, key: impl ::redis::ToRedisArgs) -> Self {
        self.inner.key(key);
        self
    }

    /// The next argument (`ARGV[n]`), or several of a list.
    #[must_use]
    pub fn arg(mut self, value: impl ::redis::ToRedisArgs) -> Self {
        self.inner.arg(value);
        self
    }
}

impl Redis {
    /// True for a Redis Cluster: keys of one call must share a hash tag there.
    pub fn is_cluster(&self) -> bool {
        matches!(self.connection, Connection::Cluster(_))
    }

    /// Sends one command. `operation` is its name, for metrics: a constant.
    pub async fn command<T: FromRedisValue>(
        &self,
        operation: &'static str,
        command: &Cmd,
    ) -> Result<T, StoreError> {
        self.observed(operation, operation, || async {
            match self.connection.clone() {
                Connection::Single(single) => command.query_async(&mut single.manager()).await,
                Connection::Cluster(mut connection) => command.query_async(&mut connection).await,
            }
        })
        .await
    }

    /// Runs a script: one round trip, all or nothing.
    pub async fn run<T: FromRedisValue>(&self, run: &Invocation<'_>) -> Result<T, StoreError> {
        self.observed(run.named.name, run.named.text, || async {
            match self.connection.clone() {
                Connection::Single(single) => run.inner.invoke_async(&mut single.manager()).await,
                Connection::Cluster(mut connection) => run.inner.invoke_async(&mut connection).await,
            }
        })
        .await
    }

    /// Fails when the server does not answer in time; of a cluster, when it cannot serve every key.
    pub async fn ping(&self) -> Result<(), StoreError> {
        if self.is_cluster() {
            // PING asks one node only, which may be alone.
            let info: String = self
                .command("CLUSTER INFO", ::redis::cmd("CLUSTER").arg("INFO"))
                .await?;
            return match Info::parse(&info).get("cluster_state") {
                Some("ok") => Ok(()),
                state => Err(StoreError::Unavailable(
                    format!("the cluster's state is {}", state.unwrap_or("not known")).into(),
                )),
            };
        }
        self.command("PING", &::redis::cmd("PING")).await
    }

    async fn observed<T, F>(
        &self,
        operation: &'static str,
        text: &str,
        work: impl Fn() -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, RedisError>>,
    {
        let call = Call {
            system: REDIS,
            operation,
            text,
        };
        let bounded = async {
            let answered = tokio::time::timeout(CALL_TIMEOUT, async {
                match work().await {
                    // The manager is already connecting again; the second call waits for it.
                    Err(error) if lost(&error) => work().await,
                    result => result,
                }
            });
            let timed_out = || RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut));
            answered.await.unwrap_or_else(|_| Err(timed_out()))
        };
        let result = observe::observed(&self.metrics, call, |_| 1, RedisError::category, bounded).await;
        match result {
            Ok(answer) => Ok(answer),
            Err(error) if self.is_refused(&error).await => Err(StoreError::Unavailable(error.into())),
            Err(error) => Err(store_error(error)),
        }
    }

    /// Whether the server refuses the connection, whatever it was asked; it is then opened anew for later calls. (The
    /// cluster's driver does that by itself.)
    async fn is_refused(&self, error: &RedisError) -> bool {
        match &self.connection {
            Connection::Single(single) if !error.is_io_error() => single.is_refused().await,
            _ => false,
        }
    }
}

/// The connection is gone, and the command perhaps not even sent.
fn lost(error: &RedisError) -> bool {
    error.is_connection_dropped() && !error.is_timeout()
}

/// Which of the errors that a caller can act on this is.
fn store_error(error: RedisError) -> StoreError {
    use ServerErrorKind as S;
    match error.kind() {
        ErrorKind::Io
        | ErrorKind::AuthenticationFailed
        | ErrorKind::ClusterConnectionNotFound
        | ErrorKind::Server(
            S::BusyLoading | S::ClusterDown | S::MasterDown | S::ReadOnly | S::TryAgain | S::Moved | S::Ask,
        ) => StoreError::Unavailable(error.into()),
        _ if is_passing(error.code()) => StoreError::Unavailable(error.into()),
        _ => StoreError::Failed(error.into()),
    }
}

/// Errors without a kind of their own that pass by themselves, or that the operator and not the caller mends: memory is
/// full, disk is full, a script runs too long, the password has changed, replicas are away.
fn is_passing(code: Option<&str>) -> bool {
    matches!(
        code,
        Some("OOM" | "MISCONF" | "BUSY" | "NOAUTH" | "WRONGPASS" | "NOREPLICAS" | "UNKILLABLE")
    )
}

#[async_trait]
impl Server for Redis {
    fn adapter(&self) -> &'static str {
        REDIS
    }

    async fn facts(&self) -> Result<ServerFacts, StoreError> {
        let latency_ms = report::latency_ms(|| self.ping()).await?;
        let info = self.info().await?;
        Ok(ServerFacts {
            version: info.product(),
            latency_ms,
            durability: self.durability(&info).await.to_string(),
            size_bytes: info.number("used_memory"),
        })
    }
}
