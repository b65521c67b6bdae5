//! Bare clients: they send commands as they were recorded and read the answers without looking into them. No retries, no
//! deadline around a call, no metrics, no spans; what they leave out is what an adapter costs.

use std::net::SocketAddr;

use ::redis::aio::MultiplexedConnection;
use anyhow::{Context, ensure};
use emporium_service_kit::client::http_builder;
use reqwest::Method;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::pool::PoolConnection;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgArguments, PgConnectOptions, PgPoolOptions, PgRow, PgTypeInfo};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, ConnectOptions, PgPool, Postgres, Row};

use super::record::{Command, Request, Statement};

mod others;

/// A client of one kind of server; cheap to clone, clones share its connections.
#[derive(Clone)]
pub enum Bare {
    /// The redis crate's multiplexed connection: one for all callers, as the adapters have it.
    Redis(MultiplexedConnection),
    /// A sqlx pool as large as the adapter's.
    Postgres(PgPool),
    /// reqwest's client and the server's base URL.
    Http(reqwest::Client, String),
    /// neo4rs's pool, as large as the adapter's.
    Neo4j(neo4rs::Graph),
    /// The driver's client and a database.
    MongoDb(mongodb::Database),
}

/// A parameter that depends on an earlier answer: a column of a statement's row, less a number.
#[derive(Debug, Clone, Copy)]
pub struct Dependent {
    /// The command that tells it.
    pub from: usize,
    /// The column (`bigint`) that tells it.
    pub column: &'static str,
    /// The command that needs it, as its first parameter (`bigint`).
    pub into: usize,
    /// What is taken off.
    pub less: i64,
}

impl Bare {
    /// A Redis client.
    pub async fn redis(url: &str) -> anyhow::Result<Self> {
        let client = ::redis::Client::open(url)?;
        let connection = client.get_multiplexed_async_connection().await;
        Ok(Self::Redis(
            connection.context("the bare Redis client cannot connect")?,
        ))
    }

    /// A PostgreSQL client with at most `connections` connections.
    pub fn postgres(options: PgConnectOptions, connections: u32) -> Self {
        Self::Postgres(
            PgPoolOptions::new()
                .max_connections(connections)
                .test_before_acquire(false)
                .connect_lazy_with(options.disable_statement_logging()),
        )
    }

    /// An HTTP client for the server at an address.
    pub fn http(address: SocketAddr) -> anyhow::Result<Self> {
        let client = http_builder().no_proxy().build()?;
        Ok(Self::Http(client, format!("http://{address}")))
    }

    /// Sends the commands one after the other, as they were recorded.
    pub async fn run(&self, commands: &[Command], dependent: Option<Dependent>) -> anyhow::Result<()> {
        match self {
            Self::Redis(connection) => run_redis(connection.clone(), commands).await,
            Self::Postgres(pool) => run_postgres(pool, commands, dependent).await,
            Self::Http(client, base) => {
                for command in commands {
                    let Command::Http(request) = command else { continue };
                    ask(client, base, request).await?;
                }
                Ok(())
            }
            Self::Neo4j(graph) => others::run_neo4j(graph, commands).await,
            Self::MongoDb(database) => others::run_mongodb(database, commands).await,
        }
    }
}

async fn run_redis(mut connection: MultiplexedConnection, commands: &[Command]) -> anyhow::Result<()> {
    for command in commands {
        let Command::Redis(arguments) = command else {
            continue;
        };
        let mut sent = ::redis::Cmd::with_capacity(arguments.len(), arguments.iter().map(Vec::len).sum());
        for argument in arguments {
            sent.arg(argument.as_slice());
        }
        let _: ::redis::Value = sent.query_async(&mut connection).await?;
    }
    Ok(())
}

/// Statements between `BEGIN` and `COMMIT` have one connection, all others any.
async fn run_postgres(
    pool: &PgPool,
    commands: &[Command],
    dependent: Option<Dependent>,
) -> anyhow::Result<()> {
    let mut held: Option<PoolConnection<Postgres>> = None;
    let mut told = 0;
    for (number, command) in commands.iter().enumerate() {
        match command {
            Command::Simple(text) if text.starts_with("BEGIN") => {
                let mut connection = pool.acquire().await?;
                sqlx::raw_sql(AssertSqlSafe(text.as_str()))
                    .execute(&mut *connection)
                    .await?;
                held = Some(connection);
            }
            Command::Simple(text) => {
                let text = sqlx::raw_sql(AssertSqlSafe(text.as_str()));
                match held.take() {
                    Some(mut connection) => text.execute(&mut *connection).await?,
                    None => text.execute(pool).await?,
                };
            }
            Command::Statement(statement) => {
                let less = dependent.filter(|it| it.into == number).map(|it| told - it.less);
                let rows = fetch(pool, held.as_mut(), query(statement, less)).await?;
                if let Some(it) = dependent.filter(|it| it.from == number) {
                    told = rows.first().context("no row to go on with")?.try_get(it.column)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

async fn fetch(
    pool: &PgPool,
    held: Option<&mut PoolConnection<Postgres>>,
    query: Query<'_, Postgres, PgArguments>,
) -> sqlx::Result<Vec<PgRow>> {
    match held {
        Some(connection) => query.fetch_all(&mut **connection).await,
        None => query.fetch_all(pool).await,
    }
}

fn query(statement: &Statement, first: Option<i64>) -> Query<'_, Postgres, PgArguments> {
    let mut query = sqlx::query(AssertSqlSafe(statement.sql.clone())).persistent(statement.persistent);
    for (number, (oid, value)) in statement.parameters.iter().enumerate() {
        query = match first {
            Some(first) if number == 0 => query.bind(first),
            _ => query.bind(Raw {
                oid: *oid,
                value: value.as_deref(),
            }),
        };
    }
    query
}

/// A parameter's bytes as they were recorded.
#[derive(Clone, Copy)]
struct Raw<'a> {
    oid: u32,
    value: Option<&'a [u8]>,
}

impl sqlx::Type<Postgres> for Raw<'_> {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(0))
    }
}

impl sqlx::Encode<'_, Postgres> for Raw<'_> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let Some(value) = self.value else {
            return Ok(IsNull::Yes);
        };
        buffer.extend_from_slice(value);
        Ok(IsNull::No)
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        Some(PgTypeInfo::with_oid(Oid(self.oid)))
    }
}

async fn ask(client: &reqwest::Client, base: &str, request: &Request) -> anyhow::Result<()> {
    let method = Method::from_bytes(request.method.as_bytes())?;
    let mut asked = client.request(method, format!("{base}{}", request.path));
    if let Some(kind) = &request.content_type {
        asked = asked.header("content-type", kind);
    }
    let answer = asked.body(request.body.clone()).send().await?;
    let status = answer.status();
    let body = answer.bytes().await?;
    ensure!(
        status.is_success(),
        "{status}: {}",
        String::from_utf8_lossy(&body)
    );
    Ok(())
}
