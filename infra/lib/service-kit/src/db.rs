//! PostgreSQL, observed: every statement of every service runs through [`Db`] or [`Tx`], which measure it once (span
//! with the OpenTelemetry database conventions, histogram by operation) and nowhere else.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use futures::stream::{BoxStream, Stream};
use futures::{FutureExt, StreamExt};
use sqlx::error::BoxDynError;
use sqlx::migrate::{MigrateError, Migration, Migrator};
use sqlx::postgres::{
    PgArguments, PgConnectOptions, PgPoolOptions, PgQueryResult, PgRow, PgStatement, PgTypeInfo,
};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, Either, Execute, Executor, PgPool, Postgres, SqlSafeStr,
    SqlStr,
};
use tokio::time::Sleep;

use crate::ServiceName;
use crate::metrics::{Metrics, Operation};
use crate::observe::{self, Call};

mod connect;
mod error;
mod tx;
pub use connect::{ConnectError, look};
pub use error::StoreError;
pub use tx::Tx;

const STORE: &str = "postgresql";

/// How long a request waits for a connection before it is told that the store is away.
pub const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a single statement of a request may run (bulk loads take more for their own transaction, [`Tx::allow`]).
pub const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a single statement of a bulk load may run: a chunk is bounded, but the machine may be busy with ten others.
pub const BULK_STATEMENT_TIMEOUT: Duration = Duration::from_mins(10);
/// The server ends statements that take too long. One that stands still ends nothing: after this much longer, the caller
/// gives up by itself.
const SERVER_GRACE: Duration = Duration::from_secs(1);
/// How long a caller waits for a statement.
const ANSWER_TIMEOUT: Duration = STATEMENT_TIMEOUT.saturating_add(SERVER_GRACE);
/// How long a transaction may wait for its next statement: a process that stands still must not hold its locks for ever.
pub const IDLE_IN_TRANSACTION_TIMEOUT: Duration = Duration::from_secs(15);

/// A connection that was idle for so long is looked at before it is used.
const PING_AFTER: Duration = Duration::from_secs(1);

/// A service's pool of connections to its private database.
#[derive(Clone)]
pub struct Db {
    pool: PgPool,
    metrics: Metrics,
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Db")
    }
}

impl Db {
    /// Connects lazily: a store that is away shows at the first statement, not here. `connections_max` bounds the pool.
    pub fn connect(options: PgConnectOptions, connections_max: u32, metrics: Metrics) -> Self {
        let statement = STATEMENT_TIMEOUT.as_millis().to_string();
        let idle_in_transaction = IDLE_IN_TRANSACTION_TIMEOUT.as_millis().to_string();
        let idle = Duration::from_mins(10);
        let pool = PgPoolOptions::new()
            .max_connections(connections_max)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .idle_timeout(idle)
            // A ping before each statement would double the round trips. A connection that rested is pinged: after a
            // restart of the server, the pool's dead connections then cost no request.
            .test_before_acquire(false)
            .before_acquire(|connection, meta| {
                Box::pin(async move { Ok(meta.idle_for < PING_AFTER || connection.ping().await.is_ok()) })
            })
            // Statements are observed here, once; sqlx's own log would say everything again.
            .connect_lazy_with(options.disable_statement_logging().options([
                ("statement_timeout", statement.as_str()),
                (
                    "idle_in_transaction_session_timeout",
                    idle_in_transaction.as_str(),
                ),
            ]));
        Self { pool, metrics }
    }

    /// Runs the migrations that are missing, under a lock, recording them in `<prefix>_migrations`. A migration may take
    /// longer than a request's statement, and so may waiting for another instance that migrates.
    pub async fn migrate(&self, migrator: &Migrator, prefix: &str) -> Result<(), MigrateError> {
        let mut own = Migrator::with_migrations(migrator.migrations.to_vec());
        own.dangerous_set_table_name(format!("{prefix}_migrations"));
        let mut connection = self.pool.acquire().await?;
        connection.execute("SET statement_timeout = 0").await?;
        let migrated = own.run(&mut *connection).await;
        // Not back into the pool, where statements have a time limit.
        connection.close().await?;
        migrated
    }

    /// The same for tables that many services have: `{prefix}` in the migrations stands for the service, and they are recorded in
    /// `<service>_<what>_migrations`.
    pub async fn migrate_for(
        &self,
        service: ServiceName,
        what: &str,
        migrator: &Migrator,
    ) -> Result<(), MigrateError> {
        let migrations = migrator
            .iter()
            .map(|migration| {
                let sql = migration.sql.as_str().replace("{prefix}", service.as_str());
                Migration::new(
                    migration.version,
                    migration.description.clone(),
                    migration.migration_type,
                    AssertSqlSafe(sql).into_sql_str(),
                    migration.no_tx,
                )
            })
            .collect();
        self.migrate(
            &Migrator::with_migrations(migrations),
            &format!("{service}_{what}"),
        )
        .await
    }

    /// Begins a transaction.
    ///
    /// The round trip runs in a task of its own, which nobody can cancel: a future that is dropped between sending `BEGIN`
    /// and reading its answer would give a connection with an open transaction back to the pool, and whoever got it next
    /// would write into a transaction that nobody commits.
    #[allow(clippy::disallowed_methods)] // the one place
    pub async fn begin(&self) -> Result<Tx, sqlx::Error> {
        let started = Instant::now();
        let pool = self.pool.clone();
        let begun = tokio::spawn(async move { pool.begin().await });
        let inner = match tokio::time::timeout(ANSWER_TIMEOUT, begun).await {
            Ok(begun) => begun.unwrap_or(Err(sqlx::Error::WorkerCrashed)),
            Err(_) => Err(no_answer()),
        };
        self.metrics
            .store_call(Operation::Begin, started.elapsed(), 0, inner.is_err());
        Ok(Tx {
            inner: Some(inner?),
            metrics: self.metrics.clone(),
            answer_timeout: ANSWER_TIMEOUT,
        })
    }

    /// The pool itself, for LISTEN and for closing. Statements go through `&Db`.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Notes the pool's size in the metrics.
    pub fn record_pool(&self) {
        let (size, idle) = (
            i64::from(self.pool.size()),
            i64::try_from(self.pool.num_idle()).unwrap_or(0),
        );
        self.metrics.0.pool.with_label_values(&["idle"]).set(idle);
        self.metrics.0.pool.with_label_values(&["used"]).set(size - idle);
        let max = self.pool.options().get_max_connections();
        self.metrics.0.pool_max.set(i64::from(max));
    }

    /// Fails when the store does not answer within the acquire timeout.
    pub async fn ping(&self) -> Result<(), sqlx::Error> {
        self.execute("SELECT 1").await.map(|_| ())
    }
}

impl<'c> Executor<'c> for &'c Db {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let (query, watch) = observe(query, &self.metrics, ANSWER_TIMEOUT);
        Observed::new((&self.pool).fetch_many(query), watch).boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let (query, watch) = observe(query, &self.metrics, ANSWER_TIMEOUT);
        watch.one((&self.pool).fetch_optional(query)).boxed()
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, sqlx::Error>>
    where
        'c: 'e,
    {
        (&self.pool).prepare_with(sql, parameters)
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<sqlx::Describe<Postgres>, sqlx::Error>>
    where
        'c: 'e,
    {
        (&self.pool).describe(sql)
    }
}

/// A query taken apart, so that its text can be read before it runs.
struct Taken {
    sql: SqlStr,
    statement: Option<PgStatement>,
    arguments: Option<Result<Option<PgArguments>, BoxDynError>>,
    persistent: bool,
}

impl Execute<'_, Postgres> for Taken {
    fn sql(self) -> SqlStr {
        self.sql
    }
    fn statement(&self) -> Option<&PgStatement> {
        self.statement.as_ref()
    }
    fn take_arguments(&mut self) -> Result<Option<PgArguments>, BoxDynError> {
        self.arguments.take().unwrap_or(Ok(None))
    }
    fn persistent(&self) -> bool {
        self.persistent
    }
}

fn observe<'q, E: 'q + Execute<'q, Postgres>>(
    mut query: E,
    metrics: &Metrics,
    timeout: Duration,
) -> (Taken, Watch) {
    let arguments = Some(query.take_arguments());
    let (statement, persistent) = (query.statement().cloned(), query.persistent());
    let sql = query.sql().into_sql_str();
    let operation = operation_of(sql.as_str());
    let span = observe::span(Call {
        system: STORE,
        operation: operation.as_str(),
        text: sql.as_str(),
    });
    let watch = Watch {
        metrics: metrics.clone(),
        operation,
        started: Instant::now(),
        timeout,
        rows: 0,
        failed: false,
        span,
    };
    (
        Taken {
            sql,
            statement,
            arguments,
            persistent,
        },
        watch,
    )
}

/// The verb of a statement, from a closed list: a label must never have unbounded values.
fn operation_of(sql: &str) -> Operation {
    let first = sql.trim_start();
    Operation::ALL
        .into_iter()
        .find(|operation| {
            let verb = operation.as_str();
            first
                .get(..verb.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(verb))
        })
        .unwrap_or(Operation::Other)
}

/// Measures one statement from its making to its drop.
struct Watch {
    metrics: Metrics,
    operation: Operation,
    started: Instant,
    timeout: Duration,
    rows: u64,
    failed: bool,
    span: tracing::Span,
}

impl Watch {
    async fn one(
        mut self,
        call: BoxFuture<'_, Result<Option<PgRow>, sqlx::Error>>,
    ) -> Result<Option<PgRow>, sqlx::Error> {
        let answered = tokio::time::timeout(self.timeout, call).await;
        let result = answered.unwrap_or_else(|_| Err(no_answer()));
        match &result {
            Ok(row) => self.rows = u64::from(row.is_some()),
            Err(error) => self.fail(error),
        }
        result
    }

    fn fail(&mut self, error: &sqlx::Error) {
        self.failed = true;
        let code = error
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::code);
        self.span
            .record("error.type", code.as_deref().unwrap_or("connection"));
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.span.record("db.response.returned_rows", self.rows);
        self.metrics
            .store_call(self.operation, self.started.elapsed(), self.rows, self.failed);
    }
}

/// The server neither answered nor ended the statement.
fn no_answer() -> sqlx::Error {
    let cause = std::io::Error::new(
        std::io::ErrorKind::TimedOut,
        "the database server does not answer",
    );
    sqlx::Error::Io(cause)
}

struct Observed<'e> {
    inner: BoxStream<'e, Result<Either<PgQueryResult, PgRow>, sqlx::Error>>,
    watch: Watch,
    timer: Pin<Box<Sleep>>,
    ended: bool,
}

impl<'e> Observed<'e> {
    fn new(inner: BoxStream<'e, Result<Either<PgQueryResult, PgRow>, sqlx::Error>>, watch: Watch) -> Self {
        Self {
            inner,
            timer: Box::pin(tokio::time::sleep(watch.timeout)),
            watch,
            ended: false,
        }
    }
}

impl Stream for Observed<'_> {
    type Item = Result<Either<PgQueryResult, PgRow>, sqlx::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let mut step = self.inner.poll_next_unpin(cx);
        if step.is_pending() && self.timer.as_mut().poll(cx).is_ready() {
            self.ended = true;
            step = Poll::Ready(Some(Err(no_answer())));
        }
        match &step {
            Poll::Ready(Some(Ok(Either::Right(_)))) => self.watch.rows += 1,
            Poll::Ready(Some(Err(error))) => self.watch.fail(error),
            _ => {}
        }
        step
    }
}
