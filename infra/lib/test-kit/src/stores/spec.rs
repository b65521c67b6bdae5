//! What is to be started, whatever the source.

use super::kind::{PrometheusSettings, RedisSettings, Store};

/// The password of servers that want one and were given none. Nobody else reaches them.
const PASSWORD: &str = "emporium-test";

/// One server.
#[derive(Debug, Clone)]
pub(crate) enum Spec {
    /// A Redis server; of a cluster that is formed afterwards, if `cluster`.
    Redis { settings: RedisSettings, cluster: bool },
    /// A Prometheus server.
    Prometheus(PrometheusSettings),
    /// A server of another kind, of whose settings tests vary only the password of its one user.
    Other { store: Store, password: Option<String> },
}

impl Spec {
    /// As tests share it.
    pub(crate) fn plain(store: Store) -> Self {
        match store {
            Store::Redis | Store::RedisCluster => Self::Redis {
                settings: RedisSettings::default(),
                cluster: store == Store::RedisCluster,
            },
            Store::Prometheus => Self::Prometheus(PrometheusSettings::default()),
            // Without a password Neo4j takes every password, which no test of credentials would notice.
            Store::Neo4j => Self::with_password(store, PASSWORD),
            Store::Elasticsearch | Store::ClickHouse | Store::MongoDb => Self::Other {
                store,
                password: None,
            },
        }
    }

    /// With this password of its one user.
    pub(crate) fn with_password(store: Store, password: &str) -> Self {
        Self::Other {
            store,
            password: Some(password.to_owned()),
        }
    }

    pub(crate) fn store(&self) -> Store {
        match self {
            Self::Redis { cluster: false, .. } => Store::Redis,
            Self::Redis { cluster: true, .. } => Store::RedisCluster,
            Self::Prometheus(_) => Store::Prometheus,
            Self::Other { store, .. } => *store,
        }
    }

    /// The URL for somebody who may do everything.
    pub(crate) fn url(&self, port: u16) -> String {
        let (scheme, user) = match self.store() {
            Store::Redis | Store::RedisCluster => ("redis", ""),
            Store::Elasticsearch => ("http", "elastic"),
            Store::Neo4j => ("neo4j", "neo4j"),
            Store::ClickHouse => ("clickhouse", "default"),
            Store::MongoDb => ("mongodb", "admin"),
            Store::Prometheus => ("prometheus", "emporium"),
        };
        let password = match self {
            Self::Redis { settings, .. } => &settings.password,
            Self::Prometheus(settings) => &settings.password,
            Self::Other { password, .. } => password,
        };
        let login = password
            .as_deref()
            .map(|password| format!("{user}:{}@", checked(password)))
            .unwrap_or_default();
        format!("{scheme}://{login}127.0.0.1:{port}")
    }
}

/// A name or password that needs quoting neither in a URL nor in a configuration file.
pub(crate) fn checked(word: &str) -> &str {
    assert!(
        !word.is_empty()
            && word
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)),
        "names and passwords of test servers consist of letters, digits, - and _"
    );
    word
}
