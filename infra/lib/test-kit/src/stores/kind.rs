//! The stores, and where they come from.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A kind of server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Store {
    /// One Redis server.
    Redis,
    /// A Redis Cluster of three masters.
    RedisCluster,
    /// One Elasticsearch server.
    Elasticsearch,
    /// One Neo4j server.
    Neo4j,
    /// One ClickHouse server, or its engine behind an HTTP interface of ours.
    ClickHouse,
    /// A MongoDB replica set of one server, or SecantusDB, which speaks its protocol.
    MongoDb,
    /// One Prometheus server. Nobody shares it: what it scrapes, and who may write to it, is each test's own.
    Prometheus,
}

impl Store {
    /// Those that tests share.
    pub const SHARED: [Self; 6] = [
        Self::Redis,
        Self::RedisCluster,
        Self::Elasticsearch,
        Self::Neo4j,
        Self::ClickHouse,
        Self::MongoDb,
    ];

    /// As it is named in output and in file names.
    pub fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::RedisCluster => "redis-cluster",
            Self::Elasticsearch => "elasticsearch",
            Self::Neo4j => "neo4j",
            Self::ClickHouse => "clickhouse",
            Self::MongoDb => "mongodb",
            Self::Prometheus => "prometheus",
        }
    }

    /// The folder of `infra/stores` with its script.
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Self::RedisCluster => "redis",
            other => other.name(),
        }
    }

    /// The environment variable with the URL of a server to use instead of starting one, where tests share one.
    pub fn url_variable(self) -> Option<&'static str> {
        match self {
            Self::Redis => Some("EMPORIUM_TEST_REDIS"),
            Self::RedisCluster => Some("EMPORIUM_TEST_REDIS_CLUSTER"),
            Self::Elasticsearch => Some("EMPORIUM_TEST_ELASTICSEARCH"),
            Self::Neo4j => Some("EMPORIUM_TEST_NEO4J"),
            Self::ClickHouse => Some("EMPORIUM_TEST_CLICKHOUSE"),
            Self::MongoDb => Some("EMPORIUM_TEST_MONGODB"),
            Self::Prometheus => None,
        }
    }

    /// What to do where it cannot be had.
    pub fn remedy(self) -> String {
        let install = match self {
            Self::Redis | Self::RedisCluster | Self::ClickHouse | Self::MongoDb => {
                "start Docker, or install python3-pip"
            }
            Self::Elasticsearch => "start Docker, or install maven and a JDK 21 or newer",
            Self::Neo4j => "start Docker, or install maven and a JDK 17 or newer",
            Self::Prometheus => "install Go, or a prometheus 3.16 or newer",
        };
        match self.url_variable() {
            Some(variable) => format!("{install}, or set {variable}"),
            None => install.to_owned(),
        }
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a server comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Somebody gave its URL in the environment: a person, or the runner `test-stores`.
    Environment,
    /// A container of the official image.
    Docker,
    /// A script of `infra/stores`.
    Scripts,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Environment => "the environment",
            Self::Docker => "Docker",
            Self::Scripts => "infra/stores",
        })
    }
}

/// A server that all tests of a run share. It is never paused or stopped: for that there is
/// [`OwnStore`](super::OwnStore).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedStore {
    /// Its URL; of a cluster, the first node's.
    pub url: String,
    /// Where it comes from.
    pub source: Source,
    /// The version it tells, for example `8.2.3`.
    pub version: String,
}

/// How much of what it acknowledged a Redis server keeps when it is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// All but the last second's (`appendfsync everysec`).
    #[default]
    Everysec,
    /// Everything (`appendfsync always`).
    Always,
    /// Nothing: it writes no files.
    None,
}

impl Durability {
    /// As the script's `DURABILITY` has it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Everysec => "everysec",
            Self::Always => "always",
            Self::None => "none",
        }
    }
}

/// What a Redis server of a test's own is to be like.
#[derive(Debug, Clone, Default)]
pub struct RedisSettings {
    /// How much it keeps when it is killed.
    pub durability: Durability,
    /// The password of the user `default`; none: everybody may do everything.
    pub password: Option<String>,
    /// Name and password of one more user, who may do everything.
    pub user: Option<(String, String)>,
}

/// What a Prometheus server of a test's own is to be like.
#[derive(Debug, Clone, Default)]
pub struct PrometheusSettings {
    /// The URL of a list of targets, and the file with the token for it; none: nothing is scraped.
    pub targets: Option<(String, PathBuf)>,
    /// Time between two scrapes, such as `100ms`; none: the configuration's.
    pub scrape_interval: Option<&'static str>,
    /// Whether it evaluates the recording rules of `infra/stores/prometheus`.
    pub rules: bool,
    /// How much older than the newest point of its series a point may be that others write, such as `400d`; none: nobody may
    /// write.
    pub written: Option<&'static str>,
    /// How long points are kept, such as `15d`; none: as long as the shop wants.
    pub retention: Option<&'static str>,
    /// The password of its user `emporium`; none: everybody may ask.
    pub password: Option<String>,
}
