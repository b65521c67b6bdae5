//! The servers of a run, and how adapters and bare clients reach them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use emporium_embedded_postgres::{Server, Settings};
use emporium_service_kit::auth::{Callers, Secret};
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::report::Server as _;
use emporium_service_kit::stores::{CATALOG_SEARCH, EVENTS};
use emporium_service_kit::{Clock, Db, Environment, Redis, ServiceName, StoreUrls};
use emporium_test_kit::stores::{self, Durability, OwnStore};
use futures::FutureExt;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::bare::Bare;
use super::record::{Protocol, Recorder};

/// Connections of a service's pool unless set otherwise (`EMPORIUM_POOL_SIZE`); the bare client has as many.
pub const POOL: u32 = 8;
/// Connections of the PostgreSQL bus.
const BUS_POOL: u32 = 3;
/// A rewrite of Redis's append-only file after filling has ended by then.
const SETTLE_MAX: Duration = Duration::from_mins(2);

/// A PostgreSQL server of the run's own, with the settings that the shop's has: durable.
pub struct Postgres {
    server: Server,
    // After the server, which is stopped before its files go.
    _folder: TempDir,
}

/// Who connects to PostgreSQL, and what for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// As the shop's services do: by the Unix socket where there is one.
    Socket,
    /// TCP at this port: as the bus is reached, or through a recorder.
    Tcp(u16),
}

impl Postgres {
    /// Starts it in a folder for temporary files.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_for(Settings::new("").max_connections)
    }

    /// The same for so many connections.
    pub fn start_for(max_connections: u16) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("emporium-bench-")
            .permissions(std::fs::Permissions::from_mode(0o755))
            .tempdir()?;
        let settings = Settings {
            max_connections,
            ..Settings::new(folder.path().join("postgres"))
        };
        let server = Server::start(&settings, |_| ())?;
        Ok(Self {
            server,
            _folder: folder,
        })
    }

    /// The server itself.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Its TCP port.
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// How to connect to a database.
    pub fn options(&self, database: &str, by: By) -> PgConnectOptions {
        let options = PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(self.port())
            .username(self.server.superuser())
            .password(self.server.password())
            .database(database)
            .ssl_mode(PgSslMode::Disable);
        match (by, self.server.socket_dir()) {
            (By::Socket, Some(folder)) => options.socket(folder),
            (By::Socket, None) => options,
            (By::Tcp(port), _) => options.port(port),
        }
    }

    /// The same as a URL.
    pub fn url(&self, database: &str, by: By) -> String {
        let (user, password) = (self.server.superuser(), self.server.password());
        let port = if let By::Tcp(port) = by { port } else { self.port() };
        let socket = self.server.socket_dir().filter(|_| by == By::Socket);
        let host = socket
            .map(|folder| format!("&host={}", folder.display()))
            .unwrap_or_default();
        format!("postgres://{user}:{password}@127.0.0.1:{port}/{database}?sslmode=disable{host}")
    }

    /// Makes an empty database.
    pub async fn create(&self, database: &str) -> anyhow::Result<()> {
        self.run("postgres", &format!("CREATE DATABASE {database}")).await
    }

    /// Once after filling, as autovacuum would have done in a shop that has run for a while.
    pub async fn settle(&self, database: &str) -> anyhow::Result<()> {
        self.run(database, "VACUUM (ANALYZE)").await?;
        self.run(database, "CHECKPOINT").await
    }

    /// Runs a statement of constants and names.
    async fn run(&self, database: &str, sql: &str) -> anyhow::Result<()> {
        let options = self.options(database, By::Socket).disable_statement_logging();
        let mut connection = PgConnection::connect_with(&options).await?;
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
        Ok(connection.close().await?)
    }
}

/// A pool as a service has it.
pub fn pool(service: ServiceName, options: PgConnectOptions, connections: u32) -> Db {
    Db::connect(options, connections, Metrics::new(service))
}

/// What a service is given, with these settings of stores.
pub fn environment(
    service: ServiceName,
    db: Option<Db>,
    settings: &[(&str, String)],
) -> anyhow::Result<Environment> {
    let mut urls = StoreUrls::default();
    for (name, url) in settings {
        urls.set(name, url.clone())?;
    }
    Ok(Environment {
        service,
        db,
        events_url: urls.get(emporium_service_kit::stores::EVENTS).map(str::to_owned),
        stores: urls,
        peers: HashMap::new(),
        secret: Secret::generate(),
        callers: Callers::new([]),
        clock: Clock::System,
        metrics: Metrics::new(service),
        shutdown: CancellationToken::new(),
    })
}

/// One adapter's store at one size: the adapter's environment and the bare client, both straight to the server and
/// through a recorder.
pub struct Place {
    /// The adapter's name, the scheme of its URL.
    pub adapter: &'static str,
    /// Product and version.
    pub server: String,
    /// What an acknowledged write survives, in the server's own settings.
    pub durability: String,
    /// For measuring.
    pub environment: Environment,
    /// For filling: on PostgreSQL without waiting for the disk.
    pub filling: Environment,
    /// For recording: one connection.
    pub recorded: Environment,
    /// The recorder between.
    pub recorder: Recorder,
    /// For measuring.
    pub bare: Bare,
    /// To see that it sends the same.
    pub recorded_bare: Bare,
}

/// A service's own database on PostgreSQL.
pub async fn on_postgres(postgres: &Postgres, service: ServiceName, database: &str) -> anyhow::Result<Place> {
    postgres.create(database).await?;
    in_postgres(postgres, service, database).await
}

/// The same in a database that is there.
pub async fn in_postgres(postgres: &Postgres, service: ServiceName, database: &str) -> anyhow::Result<Place> {
    let target = SocketAddr::from(([127, 0, 0, 1], postgres.port()));
    let recorder = Recorder::start(Protocol::Postgres, target).await?;
    let direct = postgres.options(database, By::Socket);
    let through = postgres.options(database, By::Tcp(recorder.address.port()));
    let fast = direct.clone().options([("synchronous_commit", "off")]);
    let given = |options, connections| environment(service, Some(pool(service, options, connections)), &[]);
    let db = pool(service, direct.clone(), POOL);
    let facts = db.facts().await?;
    Ok(Place {
        adapter: "postgres",
        server: facts.version,
        durability: facts.durability,
        environment: environment(service, Some(db), &[])?,
        filling: given(fast, 16)?,
        recorded: given(through.clone(), 1)?,
        bare: Bare::postgres(direct, POOL),
        recorded_bare: Bare::postgres(through, 1),
        recorder,
    })
}

/// The event bus on PostgreSQL, reached as in the shop: over TCP.
pub async fn bus_on_postgres(postgres: &Postgres, database: &str) -> anyhow::Result<Place> {
    postgres.create(database).await?;
    let target = SocketAddr::from(([127, 0, 0, 1], postgres.port()));
    let recorder = Recorder::start(Protocol::Postgres, target).await?;
    let through = recorder.address.port();
    let by_tcp = |port| postgres.options(database, By::Tcp(port));
    let facts = pool(ServiceName::Operator, by_tcp(postgres.port()), 1)
        .facts()
        .await?;
    let given = |port, more| {
        let url = postgres.url(database, By::Tcp(port)) + more;
        environment(ServiceName::Operator, None, &[(EVENTS, url)])
    };
    Ok(Place {
        adapter: "postgres",
        server: facts.version,
        durability: facts.durability,
        environment: given(postgres.port(), "")?,
        filling: given(postgres.port(), "&options[synchronous_commit]=off")?,
        recorded: given(through, "")?,
        bare: Bare::postgres(by_tcp(postgres.port()), BUS_POOL),
        recorded_bare: Bare::postgres(by_tcp(through), 1),
        recorder,
    })
}

/// A Redis server.
pub struct RedisServer {
    url: String,
    /// What a server of the run's own has to say of itself.
    promised: Option<&'static str>,
    /// Ends when it is dropped.
    _own: Option<OwnStore>,
}

impl RedisServer {
    /// The one that `EMPORIUM_TEST_REDIS` names, else one of the run's own; `None` when there is none to be had.
    pub async fn get(durability: Durability) -> anyhow::Result<Option<Self>> {
        if let Some(Ok(url)) = stores::Store::Redis.url_variable().map(std::env::var) {
            let url = url.trim_end_matches('/').to_owned();
            return Ok(Some(Self {
                url,
                promised: None,
                _own: None,
            }));
        }
        let promised = match durability {
            Durability::Always => "appendfsync=always",
            Durability::Everysec => "appendfsync=everysec",
            Durability::None => "memory only",
        };
        Ok(stores::own_redis(durability).boxed().await.map(|own| Self {
            url: own.url.clone(),
            promised: Some(promised),
            _own: Some(own),
        }))
    }

    /// The URL of one of its databases, at this address or its own.
    pub fn database(&self, number: usize, at: Option<SocketAddr>) -> anyhow::Result<String> {
        let mut url: reqwest::Url = self.url.parse().context("the Redis URL")?;
        url.set_path(&format!("/{number}"));
        if let Some(at) = at {
            url.set_ip_host(at.ip())
                .ok()
                .zip(url.set_port(Some(at.port())).ok())
                .context("a host")?;
        }
        Ok(url.into())
    }
}

/// A database of a Redis server, for the setting that picks the adapter.
pub async fn on_redis(
    redis: &RedisServer,
    service: ServiceName,
    setting: &str,
    number: usize,
) -> anyhow::Result<Place> {
    let recorder = Recorder::start(Protocol::Redis, address(&redis.url, 6379)?).await?;
    let (direct, through) = (
        redis.database(number, None)?,
        redis.database(number, Some(recorder.address))?,
    );
    let kit = Redis::connect(&direct, Metrics::new(service)).await?;
    let keys: i64 = kit.command("DBSIZE", &redis::cmd("DBSIZE")).await?;
    ensure!(
        keys == 0,
        "database {number} of the Redis server is not empty; the benches need an empty server"
    );
    let facts = kit.facts().await?;
    if let Some(promised) = redis.promised {
        let told = &facts.durability;
        ensure!(
            told.ends_with(promised),
            "the Redis server says {told:?}, and not {promised:?}"
        );
    }
    let given = |url: &String| environment(service, None, &[(setting, url.clone())]);
    Ok(Place {
        adapter: "redis",
        server: facts.version,
        durability: facts.durability,
        environment: given(&direct)?,
        filling: given(&direct)?,
        recorded: given(&through)?,
        bare: Bare::redis(&direct).await?,
        recorded_bare: Bare::redis(&through).await?,
        recorder,
    })
}

/// Waits until a Redis server writes no files but its log of commands.
pub async fn settle_redis(redis: &RedisServer) -> anyhow::Result<()> {
    let kit = Redis::connect(&redis.url, Metrics::new(ServiceName::Operator)).await?;
    let started = Instant::now();
    loop {
        let info = kit.info().await?;
        let busy = [
            "aof_rewrite_in_progress",
            "aof_rewrite_scheduled",
            "rdb_bgsave_in_progress",
        ];
        if busy.iter().all(|field| info.number(field).unwrap_or(0) == 0) {
            return Ok(());
        }
        if started.elapsed() > SETTLE_MAX {
            bail!(
                "the Redis server is still rewriting its files after {} s",
                SETTLE_MAX.as_secs()
            );
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// An Elasticsearch server.
pub struct ElasticServer {
    url: String,
    version: String,
    /// Ends when it is dropped.
    _own: Option<OwnStore>,
}

impl ElasticServer {
    /// The one that `EMPORIUM_TEST_ELASTICSEARCH` names, else one of the run's own; `None` when there is none to be had.
    pub async fn get() -> anyhow::Result<Option<Self>> {
        if stores::Store::Elasticsearch
            .url_variable()
            .and_then(std::env::var_os)
            .is_some()
        {
            let shared = stores::elasticsearch().boxed().await;
            return Ok(shared.map(|it| Self {
                url: it.url,
                version: it.version,
                _own: None,
            }));
        }
        Ok(stores::own_elasticsearch().boxed().await.map(|own| Self {
            url: own.url.clone(),
            version: own.version.clone(),
            _own: Some(own),
        }))
    }
}

/// Indices of an Elasticsearch server whose names begin with `prefix`.
pub async fn on_elasticsearch(elastic: &ElasticServer, prefix: &str) -> anyhow::Result<Place> {
    let address = address(&elastic.url, 9200)?;
    let recorder = Recorder::start(Protocol::Http, address).await?;
    let given = |at: SocketAddr| {
        let url = format!("elasticsearch://{at}/{prefix}");
        environment(ServiceName::Catalog, None, &[(CATALOG_SEARCH, url)])
    };
    Ok(Place {
        adapter: "elasticsearch",
        server: format!("Elasticsearch {}", elastic.version),
        durability: "index.translog.durability=request, the default".to_owned(),
        environment: given(address)?,
        filling: given(address)?,
        recorded: given(recorder.address)?,
        bare: Bare::http(address)?,
        recorded_bare: Bare::http(recorder.address)?,
        recorder,
    })
}

fn address(url: &str, port: u16) -> anyhow::Result<SocketAddr> {
    let url: reqwest::Url = url.parse().context("the server's URL")?;
    let host = url.host_str().context("a URL without a host")?;
    let found = std::net::ToSocketAddrs::to_socket_addrs(&(host, url.port().unwrap_or(port)))?.next();
    found.context("the server's name leads nowhere")
}
