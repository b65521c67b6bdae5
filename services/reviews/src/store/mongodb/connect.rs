//! Opening: the URL, what kind of server answers, and whether it will do.

use std::time::Duration;

use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::{Environment, StoreError};
use mongodb::Client;
use mongodb::bson::{Document, doc};
use mongodb::error::ErrorKind;
use mongodb::options::{ClientOptions, ServerMonitoringMode};

use super::client::{ANSWER, Mongo, Try};
use super::control;
use super::error::{Failure, Fault, code};
use super::schema::{self, MigrateError};

/// The oldest version that has everything in use.
const VERSION_MIN: u32 = 6;
/// The database of a URL that names none.
const DATABASE: &str = "reviews";
/// How long finding a server that takes writes may take.
const REACH: Duration = Duration::from_secs(2);
/// How often the server is asked whether it is there, and how long it may take to say so, or to open a connection.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Most connections, unless the URL says it.
const CONNECTIONS_MAX: u32 = 32;

/// Why a MongoDB cannot be used; never shows the URL.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL.
    #[error(
        "this is no MongoDB URL; write mongodb://host:port/database, with user:password@ before the host where they are needed"
    )]
    Url,
    /// Nobody answers there.
    #[error("no server answers there that takes writes")]
    Unreachable,
    /// User or password.
    #[error("user or password are refused")]
    Credentials,
    /// The user may not do what is needed.
    #[error(
        "the user may not do all that is needed; grant it the role readWrite on the database, and dbAdmin for migrations"
    )]
    Rights,
    /// Too old.
    #[error("MongoDB {0} is not supported; use 6.0 or newer")]
    Version(String),
    /// A single server without transactions.
    #[error(
        "this server is no member of a replica set, so it has no transactions; start it with --replSet and initiate it (one node will do)"
    )]
    Standalone,
    /// Not the one that takes writes.
    #[error(
        "this member takes no writes; name the replica set in the URL (?replicaSet=…) instead of a direct connection to it"
    )]
    Secondary,
    /// Transactions fail.
    #[error("transactions do not work here: {0}; use a replica set on WiredTiger, MongoDB's default")]
    Transactions(String),
    /// The store cannot be brought up to date.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    /// Anything else that the server says.
    #[error("the server refuses: {0}")]
    Refused(String),
}

impl ConnectError {
    /// Whether the text says what to do. The others are of a server that is away or refuses.
    pub fn tells_remedy(&self) -> bool {
        !matches!(
            self,
            Self::Unreachable | Self::Credentials | Self::Refused(_) | Self::Migrate(MigrateError::Store(_))
        )
    }
}

impl From<Failure> for ConnectError {
    fn from(failure: Failure) -> Self {
        if let Failure::Driver(error) = &failure
            && is_authentication(error)
        {
            return Self::Credentials;
        }
        match failure.code() {
            Some(code::AUTHENTICATION_FAILED) => Self::Credentials,
            Some(code::UNAUTHORIZED) => Self::Rights,
            _ if failure.is_away() => Self::Unreachable,
            _ => Self::Refused(failure.to_string()),
        }
    }
}

fn is_authentication(error: &mongodb::error::Error) -> bool {
    matches!(*error.kind, ErrorKind::Authentication { .. })
        || matches!(&*error.kind, ErrorKind::ServerSelection { message, .. } if message.contains("uthentication failed"))
}

/// Connects to the server that the URL names, sees whether it will do, and brings the database up to date.
pub async fn open(url: &str, environment: &Environment) -> Result<Mongo, ConnectError> {
    let mongo = connect(url, environment.metrics.clone()).await?;
    schema::migrate(&mongo).await?;
    probe(&mongo).await?;
    Ok(mongo)
}

async fn connect(url: &str, metrics: Metrics) -> Result<Mongo, ConnectError> {
    let mut options = ClientOptions::parse(url).await.map_err(|_| ConnectError::Url)?;
    let database = options.default_database.clone();
    let database = database.unwrap_or_else(|| DATABASE.to_owned());
    options
        .app_name
        .get_or_insert_with(|| "emporium-reviews".to_owned());
    options.server_selection_timeout = Some(REACH);
    // A server that stands still is noticed by asking it in turns; the driver has no time-out for an answer. Connections that
    // were being opened meanwhile are given up then.
    options.connect_timeout = Some(HEARTBEAT);
    options.heartbeat_freq = Some(HEARTBEAT);
    options.server_monitoring_mode = Some(ServerMonitoringMode::Poll);
    options.max_pool_size.get_or_insert(CONNECTIONS_MAX);
    // One layer tries again: ours.
    options.retry_reads = Some(false);
    options.retry_writes = Some(false);
    // Every command says it for itself.
    options.read_concern = None;
    options.write_concern = None;
    options.selection_criteria = None;
    let client = Client::with_options(options).map_err(|_| ConnectError::Url)?;
    let first = Mongo::new(client.clone(), &database, metrics.clone(), String::new());
    let hello = first.command(doc! { "hello": 1 }).await?;
    let build = first.command(doc! { "buildInfo": 1 }).await?;
    suits(&hello, &build)?;
    Ok(Mongo::new(client, &database, metrics, product(&build)))
}

/// Whether a server that says this of itself will do.
fn suits(hello: &Document, build: &Document) -> Result<(), ConnectError> {
    let version = build.get_str("version").unwrap_or_default();
    let major = version
        .split('.')
        .next()
        .and_then(|major| major.parse::<u32>().ok());
    if major.is_none_or(|major| major < VERSION_MIN) {
        return Err(ConnectError::Version(version.chars().take(20).collect()));
    }
    let is_router = matches!(hello.get_str("msg"), Ok("isdbgrid"));
    if !is_router && hello.get_str("setName").is_err() {
        return Err(ConnectError::Standalone);
    }
    if !is_router && !matches!(hello.get_bool("isWritablePrimary"), Ok(true)) {
        return Err(ConnectError::Secondary);
    }
    Ok(())
}

/// Name and version. A server that speaks the protocol without being MongoDB has no such storage engines.
fn product(build: &Document) -> String {
    let version = build.get_str("version").unwrap_or("?");
    if is_mongodb(build) {
        format!("MongoDB {version}")
    } else {
        format!("a server that speaks MongoDB {version} and is another product")
    }
}

/// MongoDB's own builds say which source they are made from.
fn is_mongodb(build: &Document) -> bool {
    let source = build.get_str("gitVersion").unwrap_or_default();
    source.bytes().any(|byte| byte != b'0') && build.contains_key("storageEngines")
}

/// A transaction that writes and commits, as every verb does.
async fn probe(mongo: &Mongo) -> Result<(), ConnectError> {
    let work = async |at| {
        let mut tx = mongo.begin(at).await?;
        control::state(&mut tx).await?;
        control::touch(&mut tx, uuid::Uuid::new_v4()).await?;
        tx.commit().await
    };
    let probed: Result<(), StoreError> = mongo
        .retried(Try::within(ANSWER), |at| async move {
            let done: Result<(), Fault> = work(at).await;
            done
        })
        .await;
    probed.map_err(|error| match error {
        StoreError::Unavailable(_) => ConnectError::Unreachable,
        other => ConnectError::Transactions(other.to_string()),
    })
}

impl Mongo {
    /// Whether it is MongoDB itself, by what it says.
    pub fn is_mongodb(&self) -> bool {
        self.product().starts_with("MongoDB ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_that_will_not_do_are_told_what_is_missing() {
        let build = |version: &str| doc! { "version": version };
        let primary = doc! { "setName": "rs0", "isWritablePrimary": true };
        assert!(suits(&primary, &build("8.0.4")).is_ok());
        assert!(suits(&doc! { "msg": "isdbgrid" }, &build("6.0.1")).is_ok());
        let told = |hello: &Document, version: &str| suits(hello, &build(version)).unwrap_err().to_string();
        assert!(told(&primary, "5.0.31").contains("6.0 or newer"));
        assert!(told(&doc! { "isWritablePrimary": true }, "8.0.4").contains("--replSet"));
        assert!(told(&doc! { "setName": "rs0", "isWritablePrimary": false }, "8.0.4").contains("replicaSet"));
        assert_eq!(
            product(&doc! { "version": "8.0.4", "gitVersion": "ab01", "storageEngines": ["wiredTiger"] }),
            "MongoDB 8.0.4"
        );
        assert!(!product(&doc! { "version": "8.2.11", "gitVersion": "000" }).starts_with("MongoDB"));
    }
}
