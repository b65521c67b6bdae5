//! Opening: the URL, what kind of server answers, and whether it will do.

use std::error::Error;
use std::sync::Arc;

use ::redis::aio::ConnectionManagerConfig;
use ::redis::cluster::ClusterClient;
use ::redis::{Client, ConnectionInfo, ErrorKind, IntoConnectionInfo, RedisError, cmd};

use super::single::Single;
use super::{CONNECT_TIMEOUT, Connection, Info, RECONNECT_PAUSE_MAX, RESPONSE_TIMEOUT, Redis};
use crate::StoreError;
use crate::metrics::Metrics;
use crate::store::own_words;

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
    /// What may follow in other URLs.
    #[error(
        "a Redis URL ends after the database: leave away what begins with ? or #; in a password, write %3F for ? and %23 for #"
    )]
    Options,
    /// The database in the URL.
    #[error("the database after the host has to be a number from 0 on, as in redis://host:6379/1")]
    DatabaseNumber,
    /// Nobody answers there.
    #[error("no answer: {0}")]
    Unreachable(String),
    /// User or password.
    #[error("user or password are refused")]
    Credentials,
    /// Something answers, but not as Redis does.
    #[error(
        "what answers there is no Redis server, or wants TLS; see that host and port are right, and write rediss:// for TLS"
    )]
    Foreign,
    /// The server's own reason.
    #[error("the server refuses: {0}")]
    Refused(String),
    /// Too old.
    #[error("{0} is not supported; use Redis 7.0, Valkey 7.2 or newer")]
    Version(String),
    /// A replica: it takes no writes.
    #[error("this is a replica, which takes no writes; name its master")]
    Replica,
    /// A database number on a cluster.
    #[error("a Redis Cluster has database 0 only; leave /{0} away")]
    ClusterDatabase(i64),
    /// A database number that the server does not have.
    #[error("the server has no database {0}; choose a smaller number, or raise `databases` in its settings")]
    Database(i64),
    /// A cluster that cannot serve every key.
    #[error(
        "the Redis Cluster is not whole: {0}; see that its masters run, and can be reached at the addresses that they announce"
    )]
    Cluster(String),
}

impl ConnectError {
    /// Whether the text says what to do. The others are of a server that is away or refuses.
    pub fn tells_remedy(&self) -> bool {
        !matches!(self, Self::Unreachable(_) | Self::Credentials | Self::Refused(_))
    }
}

/// Reads a URL. The driver would pass over most of what stands after a `?` or `#`, and take a negative number for a
/// database.
pub(crate) fn address(url: &str) -> Result<ConnectionInfo, ConnectError> {
    let parsed = ::redis::parse_redis_url(url).ok_or(ConnectError::Url)?;
    if parsed.query().is_some() || parsed.fragment().is_some() {
        return Err(ConnectError::Options);
    }
    let database = parsed.path().trim_matches('/');
    let is_number = database.bytes().all(|byte| byte.is_ascii_digit()) && database.parse::<i32>().is_ok();
    if !database.is_empty() && !is_number {
        return Err(ConnectError::DatabaseNumber);
    }
    url.into_connection_info().map_err(|_| ConnectError::Url)
}

impl Redis {
    /// Connects to the server that the URL names, or to the cluster that it is a node of. Fails when it does not answer
    /// within [`CONNECT_TIMEOUT`], refuses, or is none that will do.
    pub async fn connect(url: &str, metrics: Metrics) -> Result<Self, ConnectError> {
        let address = address(url)?;
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
        let redis = Self { connection, metrics };
        if redis.is_cluster() {
            redis.is_whole().await?;
        }
        Ok(redis)
    }
}

impl Redis {
    /// A node that answers says nothing of the others, nor of the keys that nobody serves.
    async fn is_whole(&self) -> Result<(), ConnectError> {
        self.ping().await.map_err(|error| match error {
            StoreError::Unavailable(cause) => ConnectError::Cluster(cause.to_string()),
            other => ConnectError::Cluster(other.to_string()),
        })
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
        (ErrorKind::AuthenticationFailed, _) | (_, Some("NOAUTH" | "WRONGPASS")) => ConnectError::Credentials,
        // Somebody took the connection, and hung up when Redis's protocol was spoken.
        (ErrorKind::Io, _) if hung_up(error) => ConnectError::Foreign,
        (ErrorKind::Io, _) => ConnectError::Unreachable(error.to_string()),
        (ErrorKind::ClusterConnectionNotFound, _) => ConnectError::Cluster(own_words(&error.to_string())),
        (_, Some("ERR")) if database != 0 => ConnectError::Database(database),
        (ErrorKind::Server(_) | ErrorKind::Extension, _) => {
            ConnectError::Refused(own_words(&error.to_string()))
        }
        _ => ConnectError::Foreign,
    }
}

/// The network's own error, and not the driver's about a name or an address.
fn hung_up(error: &RedisError) -> bool {
    error.source().is_some() && error.is_connection_dropped() && !error.is_connection_refusal()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_means_something_may_stand_in_a_url() {
        let database = |url: &str| address(url).map(|address| address.redis_settings().db());
        for (url, expected) in [
            ("redis://h", 0),
            ("redis://h/", 0),
            ("REDISS://u:p%3F%23@h:1/15", 15),
            ("redis://[::1]:1/2147483647", i64::from(i32::MAX)),
        ] {
            assert_eq!(database(url).unwrap(), expected, "{url}");
        }
        for url in [
            "redis://h?protocol=resp3",
            "redis://h/1?",
            "redis://u:12?b@h",
            "redis://h#insecure",
            "rediss://h/1#insecure",
        ] {
            assert!(matches!(database(url), Err(ConnectError::Options)), "{url}");
        }
        for path in ["-1", "+1", "abc", "0/1", "1.0", "2147483648", "%31"] {
            let read = database(&format!("redis://h/{path}"));
            assert!(matches!(read, Err(ConnectError::DatabaseNumber)), "{path}");
        }
        assert!(matches!(database("redis://"), Err(ConnectError::Url)));
    }
}
