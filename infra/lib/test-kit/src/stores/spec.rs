//! What is to be started, whatever the source.

use super::kind::{RedisSettings, Store};

/// One server.
#[derive(Debug, Clone)]
pub(crate) enum Spec {
    /// A Redis server; of a cluster that is formed afterwards, if `cluster`.
    Redis { settings: RedisSettings, cluster: bool },
    /// An Elasticsearch server, with security and a password of its user `elastic`, or without.
    Elasticsearch { password: Option<String> },
}

impl Spec {
    /// As tests share it.
    pub(crate) fn plain(store: Store) -> Self {
        match store {
            Store::Redis | Store::RedisCluster => Self::Redis {
                settings: RedisSettings::default(),
                cluster: store == Store::RedisCluster,
            },
            Store::Elasticsearch => Self::Elasticsearch { password: None },
        }
    }

    pub(crate) fn store(&self) -> Store {
        match self {
            Self::Redis { cluster: false, .. } => Store::Redis,
            Self::Redis { cluster: true, .. } => Store::RedisCluster,
            Self::Elasticsearch { .. } => Store::Elasticsearch,
        }
    }

    /// The URL for somebody who may do everything.
    pub(crate) fn url(&self, port: u16) -> String {
        match self {
            Self::Redis { settings, .. } => {
                let password = settings.password.as_deref();
                let login = password
                    .map(|it| format!(":{}@", checked(it)))
                    .unwrap_or_default();
                format!("redis://{login}127.0.0.1:{port}")
            }
            Self::Elasticsearch { password } => {
                let login = password
                    .as_deref()
                    .map(|it| format!("elastic:{}@", checked(it)))
                    .unwrap_or_default();
                format!("http://{login}127.0.0.1:{port}")
            }
        }
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
