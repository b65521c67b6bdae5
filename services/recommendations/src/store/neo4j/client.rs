//! The client: transactions of the driver, each in a task of its own.
//!
//! Why a task: a transaction of neo4rs that is dropped half-way sends nothing. Its connection goes back to the pool with the
//! transaction open, and so with its locks, until somebody takes that connection out again. A caller that is cancelled (a
//! browser that hangs up) would leave the projection locked. The task goes on and ends what it began: it commits, it rolls back,
//! or, where the server does not answer, it lets go of all connections of the pool, whose sockets are closed by that; the
//! server frees the locks of a closed connection at once.
//!
//! Nothing is repeated here: `Graph::run` and `Graph::execute`, which repeat what fails for up to a minute, are not used.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use emporium_service_kit::StoreError;
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::observe::{Call, observed};
use futures::future::BoxFuture;
use neo4rs::{BoltType, Config, ConfigBuilder, Error, Graph, Txn, query};
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use tracing::Instrument;

use super::address::Address;
use super::check::ConnectError;
use super::error::{no_answer, store_error, word};

/// The scheme, and the name in metrics and reports.
pub(crate) const NEO4J: &str = "neo4j";
/// Most connections, each with a thread of the server.
const CONNECTIONS_MAX: usize = 16;
/// Rows that the server sends at a time.
const FETCH: usize = 2_000;
/// How long a connection and the beginning of a transaction may take: what finds a server that stands still.
pub(super) const BEGIN_TIMEOUT: Duration = Duration::from_secs(2);
/// The same at start-up, where a server that has just begun itself takes seconds to let the first one in.
pub(super) const START_TIMEOUT: Duration = Duration::from_secs(20);
/// How long the end of a transaction may take. A disk may be slow.
const END_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the driver waits for a message: longer than all of ours, which end first.
const MESSAGE_TIMEOUT: Duration = Duration::from_mins(10);
/// After so long the network is asked whether the other side is there.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// A statement with a name: for metrics and spans the name, for the server the text. Values are parameters only.
#[derive(Debug)]
pub(super) struct Statement {
    /// A metric's label.
    pub name: &'static str,
    /// Cypher.
    pub text: &'static str,
}

const BEGIN: Statement = Statement {
    name: "BEGIN",
    text: "BEGIN",
};
const COMMIT: Statement = Statement {
    name: "COMMIT",
    text: "COMMIT",
};

/// A Neo4j server. Cheap to clone; all clones share the connections.
#[derive(Clone)]
pub(crate) struct Neo4j(Arc<Pool>);

struct Pool {
    config: Config,
    graph: RwLock<Graph>,
    metrics: Metrics,
}

/// A parameter.
pub(super) type Parameter = (&'static str, BoltType);

impl Neo4j {
    /// A client; it connects when it is used first.
    pub(super) fn new(address: &Address, metrics: Metrics) -> Result<Self, ConnectError> {
        let mut config = ConfigBuilder::new()
            .uri(&address.uri)
            .user(&address.user)
            .password(&address.password)
            .fetch_size(FETCH)
            .max_connections(CONNECTIONS_MAX)
            .connection_timeout(MESSAGE_TIMEOUT)
            .tcp_keepalive(KEEPALIVE)
            // By its name a connection's age, in truth the time to wait for one.
            .max_lifetime(BEGIN_TIMEOUT);
        if let Some(database) = &address.database {
            config = config.db(database.as_str());
        }
        let config = config.build().map_err(|_| ConnectError::Url)?;
        let graph = Graph::connect(config.clone()).map_err(|_| ConnectError::Url)?;
        Ok(Self(Arc::new(Pool {
            config,
            graph: RwLock::new(graph),
            metrics,
        })))
    }

    /// Does the work in a transaction and commits it; an error rolls it back. The work takes at most `within`. When the
    /// answer is an error that the store is away, the transaction may have been committed all the same.
    pub(super) async fn transaction<T, E, W>(&self, within: Duration, work: W) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        W: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, Result<T, E>> + Send + 'static,
    {
        self.in_a_task([BEGIN_TIMEOUT, within], work).await
    }

    /// The same at start-up.
    pub(super) async fn first_transaction<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, Result<T, StoreError>> + Send + 'static,
    {
        self.in_a_task([START_TIMEOUT, START_TIMEOUT], work).await
    }

    async fn in_a_task<T, E, W>(&self, within: [Duration; 2], work: W) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        W: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, Result<T, E>> + Send + 'static,
    {
        let client = self.clone();
        let task = async move { client.transact(within, work).await };
        let ended = tokio::spawn(task.in_current_span()).await;
        // It panics where the driver does; see ADR 18.
        ended.unwrap_or_else(|panicked| Err(StoreError::Unavailable(panicked.into()).into()))
    }

    async fn transact<T, E, W>(&self, [begin, within]: [Duration; 2], work: W) -> Result<T, E>
    where
        E: From<StoreError>,
        W: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, Result<T, E>> + Send,
    {
        let mut tx = Tx {
            txn: self.begin(begin).await?,
            metrics: self.0.metrics.clone(),
        };
        match timeout(within, work(&mut tx)).await {
            Ok(Ok(done)) => {
                self.commit(tx).await?;
                Ok(done)
            }
            Ok(Err(error)) => {
                self.roll_back(tx).await;
                Err(error)
            }
            Err(_) => {
                self.let_go();
                Err(no_answer().into())
            }
        }
    }

    async fn begin(&self, within: Duration) -> Result<Txn, StoreError> {
        let graph = self
            .0
            .graph
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let begun = async {
            match timeout(within, graph.start_txn()).await {
                Ok(begun) => begun.map_err(store_error),
                Err(_) => Err(no_answer()),
            }
        };
        observed(&self.0.metrics, call(&BEGIN), |_| 0, word, begun).await
    }

    async fn commit(&self, tx: Tx) -> Result<(), StoreError> {
        let committed = async {
            match timeout(END_TIMEOUT, tx.txn.commit()).await {
                Ok(committed) => committed.map_err(store_error),
                Err(_) => Err(no_answer()),
            }
        };
        let result = observed(&self.0.metrics, call(&COMMIT), |()| 0, word, committed).await;
        if result.is_err() {
            self.let_go();
        }
        result
    }

    /// The server has rolled back by itself what failed there, and ignores what comes then; so nothing of that is an error.
    async fn roll_back(&self, tx: Tx) {
        let ended = timeout(END_TIMEOUT, tx.txn.rollback()).await;
        if !matches!(ended, Ok(Ok(()) | Err(Error::Ignored(_) | Error::Neo4j(_)))) {
            self.let_go();
        }
    }

    /// Takes new connections from now on. The old ones are closed when nobody uses them any more.
    fn let_go(&self) {
        if let Ok(graph) = Graph::connect(self.0.config.clone()) {
            *self.0.graph.write().unwrap_or_else(PoisonError::into_inner) = graph;
        }
    }
}

/// A transaction under way.
pub(super) struct Tx {
    txn: Txn,
    metrics: Metrics,
}

impl Tx {
    /// Runs a statement that gives nothing.
    pub async fn run(
        &mut self,
        statement: &Statement,
        parameters: impl IntoIterator<Item = Parameter>,
    ) -> Result<(), StoreError> {
        let query = query(statement.text).params(parameters);
        let run = async { self.txn.run(query).await.map_err(store_error) };
        observed(&self.metrics, call(statement), |()| 0, word, run).await
    }

    /// Runs a statement and gives all of its rows.
    pub async fn rows<T: DeserializeOwned>(
        &mut self,
        statement: &Statement,
        parameters: impl IntoIterator<Item = Parameter>,
    ) -> Result<Vec<T>, StoreError> {
        let query = query(statement.text).params(parameters);
        let txn = &mut self.txn;
        let read = async {
            let mut stream = txn.execute(query).await.map_err(store_error)?;
            let mut rows = Vec::new();
            while let Some(row) = stream.next(&mut *txn).await.map_err(store_error)? {
                let row = row.to_strict().map_err(|error| store_error(error.into()))?;
                rows.push(row);
            }
            Ok(rows)
        };
        let count = |rows: &Vec<T>| rows.len() as u64;
        observed(&self.metrics, call(statement), count, word, read).await
    }

    /// Runs a statement that gives one row, or none.
    pub async fn row<T: DeserializeOwned>(
        &mut self,
        statement: &Statement,
        parameters: impl IntoIterator<Item = Parameter>,
    ) -> Result<Option<T>, StoreError> {
        Ok(self.rows(statement, parameters).await?.into_iter().next())
    }
}

fn call(statement: &Statement) -> Call<'static> {
    Call {
        system: NEO4J,
        operation: statement.name,
        text: statement.text,
    }
}
