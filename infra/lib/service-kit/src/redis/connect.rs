//! Opening: the URL, what kind of server answers, and whether it will do.

use std::sync::Arc;

use ::redis::aio::ConnectionManagerConfig;
use ::redis::cluster::ClusterClient;
use ::redis::{Client, ConnectionInfo, ErrorKind, IntoConnectionInfo, RedisError, cmd};

use super::single::Single;
use super::{CONNECT_TIMEOUT, Connection, Info, RECONNECT_PAUSE_MAX, RESPONSE_TIMEOUT, Redis};
use crate::metrics::Metrics;

/// The oldest version that has every command in use.
const VERSION_MIN: u32 = 7;
/// Commands that may wait for the connection's writer: more callers than a service has requests.
const QUEUE: usize = 1_024;
/// How often a lost connection is tried to be opened again before the waiting calls are told; the next call tries again.
const RECONNECTS: u8 = 3;

/// Why a Redis cannot be used; never shows the URL.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL.
    #[error(
        "this is no Redis URL; write redis://host:port, with user:password@ and /database where they are needed"
    )]
    Url,
    /// Nobody answers there.
    #[error("no answer: {0}")]
    Unreachable(String),
    /// User or password.
    #[error("user or password are refused")]
    Credentials,
    /// Something answers, but not as Redis does.
    #[error("this is no Redis server: {0}")]
    Foreign(String),
    /// Too old.
    #[error("{0} is not supported; 7.0 is the oldest version that is")]
    Version(String),
    /// A replica: it takes no writes.
    #[error("this is a replica, which takes no writes; name its master")]
    Replica,
    /// A database number on a cluster.
    #[error("a Redis Cluster has database 0 only; leave /{0} away")]
    ClusterDatabase(i64),
    /// A database number that the server does not have.
    #[error("the server has no database {0}")]
    Database(i64),
}

impl Redis {
    /// Connects to the server that the URL names, or to the cluster that it is a node of. Fails when it does not answer
    /// within [`CONNECT_TIMEOUT`], refuses, or is none that will do.
    pub async fn connect(url: &str, metrics: Metrics) -> Result<Self, ConnectError> {
        let address = url.into_connection_info().map_err(|_| ConnectError::Url)?;
        let database = address.redis_settings().db();
        let refused = |error: RedisError| refusal(&error, database);
        // A cluster refuses the choice of a database before it tells that it is one.
        let first = address.redis_settings().clone().set_db(0);
        let info = look(address.clone().set_redis_settings(first)).await?;
        if info.is_cluster() && database != 0 {
            return Err(ConnectError::ClusterDatabase(database));
        }
        if info.version_major().is_none_or(|major| major < VERSION_MIN) {
            return Err(ConnectError::Version(info.product()));
        }
        if info.is_replica() && !info.is_cluster() {
            return Err(ConnectError::Replica);
        }
        let connection = if info.is_cluster() {
            let client = ClusterClient::builder([address])
                .connection_timeout(CONNECT_TIMEOUT)
                .response_timeout(RESPONSE_TIMEOUT)
                .retries(RECONNECTS.into())
                .build()
                .map_err(refused)?;
            Connection::Cluster(client.get_async_connection().await.map_err(refused)?)
        } else {
            let client = Client::open(address).map_err(refused)?;
            let config = ConnectionManagerConfig::new()
                .set_connection_timeout(Some(CONNECT_TIMEOUT))
                .set_response_timeout(Some(RESPONSE_TIMEOUT))
                .set_max_delay(RECONNECT_PAUSE_MAX)
                .set_number_of_retries(RECONNECTS.into())
                .set_pipeline_buffer_size(QUEUE);
            Connection::Single(Arc::new(Single::open(client, config).await.map_err(refused)?))
        };
        Ok(Self { connection, metrics })
    }
}

/// A first look, by a connection of its own: what is it?
async fn look(address: ConnectionInfo) -> Result<Info, ConnectError> {
    let client = Client::open(address).map_err(|_| ConnectError::Url)?;
    let asked = tokio::time::timeout(CONNECT_TIMEOUT + RESPONSE_TIMEOUT, async {
        let mut connection = client.get_multiplexed_async_connection().await?;
        cmd("INFO").query_async::<String>(&mut connection).await
    });
    match asked.await {
        Ok(Ok(text)) => Ok(Info::parse(&text)),
        Ok(Err(error)) => Err(refusal(&error, 0)),
        Err(_) => Err(ConnectError::Unreachable("the time is up".to_owned())),
    }
}

fn refusal(error: &RedisError, database: i64) -> ConnectError {
    match (error.kind(), error.code()) {
        (ErrorKind::AuthenticationFailed, _) | (_, Some("NOAUTH" | "WRONGPASS" | "NOPERM")) => {
            ConnectError::Credentials
        }
        (ErrorKind::Io, _) => ConnectError::Unreachable(error.to_string()),
        (_, Some("ERR")) if database != 0 => ConnectError::Database(database),
        _ => ConnectError::Foreign(error.to_string()),
    }
}
