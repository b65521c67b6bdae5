//! Stores that a URL picks: what can go wrong with any of them, as far as a caller can act on it, and the setting that says
//! which one it is.

use crate::config::database_options;
use crate::db::look;
use crate::redis::REDIS;
use crate::stores::address_of;
use crate::{Db, Environment, Problem, Redis, StartError};

/// A store's own error: of sqlx, of a Redis client, of any other.
pub type StoreCause = Box<dyn std::error::Error + Send + Sync>;

/// The scheme of [`StoreSetting::scheme`] for PostgreSQL, the service's own database included.
pub const POSTGRES: &str = "postgres";

/// What to do about a store that is away or refuses.
pub const REMEDY: &str =
    "see that it runs, and that host, port, user, password and database in the URL are right";

/// Most connections to a PostgreSQL that is not the service's own database.
const CONNECTIONS_MAX: u32 = 8;

/// The most that is told of what a server said, in characters.
const OWN_WORDS_MAX: usize = 200;

/// What a server said, as a part of one line. It may be a server of any kind.
pub(crate) fn own_words(text: &str) -> String {
    text.chars()
        .map(|sign| if sign.is_control() { ' ' } else { sign })
        .take(OWN_WORDS_MAX)
        .collect()
}

/// A store call that failed. Each adapter says which of these its own errors are; for PostgreSQL, SQLSTATE does.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store is away or too busy: the same call may work in a moment. Becomes 503.
    #[error("the store is not available: {0}")]
    Unavailable(#[source] StoreCause),
    /// Two transactions got into each other's way; the same call may work now. Becomes 503 as well.
    #[error("the store asks to try the transaction again: {0}")]
    Conflict(#[source] StoreCause),
    /// A unique constraint; the name says which. Services turn the ones they expect into a 409 of their own.
    #[error("a row with that {constraint} exists")]
    Unique {
        /// The constraint's name.
        constraint: String,
        /// The store's own words.
        #[source]
        source: StoreCause,
    },
    /// A value that the store cannot keep, by its types or constraints, which validation should have found. Becomes 422.
    #[error("the store cannot keep a value: {0}")]
    Data(#[source] StoreCause),
    /// A fault in the statement or the data: ours to mend. Becomes 500.
    #[error("store call failed: {0}")]
    Failed(#[source] StoreCause),
}

impl StoreError {
    /// The violated unique constraint, if that is what happened.
    pub fn unique(&self) -> Option<&str> {
        match self {
            Self::Unique { constraint, .. } => Some(constraint),
            _ => None,
        }
    }

    /// True when the store refused the data: the same call will never work, whatever state the store is in.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Unique { .. } | Self::Data(_))
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(cause) => {
                tracing::warn!(error = %cause, "store not available");
                Self::unavailable(
                    "store-unavailable",
                    "The data store does not answer just now; try again.",
                )
            }
            StoreError::Conflict(cause) => {
                tracing::info!(error = %cause, "transactions in each other's way");
                Self::unavailable(
                    "try-again",
                    "Others changed the same data at this moment; try again.",
                )
            }
            StoreError::Unique { ref constraint, .. } => {
                tracing::error!(%constraint, "unexpected unique violation");
                Self::conflict("exists", "There is one already.")
            }
            StoreError::Data(cause) => {
                tracing::warn!(error = %cause, "validation let a value through that cannot be kept");
                Self::unprocessable("invalid", "A value cannot be kept.")
            }
            StoreError::Failed(cause) => {
                tracing::error!(error = %cause, "store call failed");
                Self::internal()
            }
        }
    }
}

/// The setting that says where a service keeps something, such as `EMPORIUM_CARTS_STORE`: a URL whose scheme picks the
/// adapter, or nothing for the service's own database. Its errors name the setting and never show the URL, which may hold a
/// password.
#[derive(Clone, Copy)]
pub struct StoreSetting<'a> {
    name: &'static str,
    url: Option<&'a str>,
}

impl<'a> StoreSetting<'a> {
    /// The setting `name` as it was read.
    pub fn new(name: &'static str, url: Option<&'a str>) -> Self {
        Self { name, url }
    }

    /// The URL's scheme in lower case, [`POSTGRES`] for both of its spellings and when nothing is set, that of the store also for
    /// its spellings with TLS (`rediss`, `neo4j+s`); empty when the URL has none.
    pub fn scheme(&self) -> String {
        let Some(url) = self.url else {
            return POSTGRES.to_owned();
        };
        let is_scheme = |text: &str| {
            text.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'+')
        };
        let scheme = url
            .split_once("://")
            .map(|(scheme, _)| scheme.to_ascii_lowercase())
            .filter(|scheme| is_scheme(scheme))
            .unwrap_or_default();
        match scheme.as_str() {
            "postgresql" => POSTGRES.to_owned(),
            // The same by TLS.
            "rediss" => REDIS.to_owned(),
            "elasticsearch+https" => "elasticsearch".to_owned(),
            "neo4j+s" => "neo4j".to_owned(),
            "clickhouse+https" => "clickhouse".to_owned(),
            "prometheus+https" => "prometheus".to_owned(),
            // The same by a name whose DNS records list the servers.
            "mongodb+srv" => "mongodb".to_owned(),
            _ => scheme,
        }
    }

    /// The URL, for an adapter that reads it itself; empty when nothing is set.
    pub fn url(&self) -> &'a str {
        self.url.unwrap_or_default()
    }

    /// Where the store is, for people: scheme, host, port and path, without user and password.
    pub fn address(&self) -> String {
        match self.url {
            None => "the service's own PostgreSQL".to_owned(),
            Some(url) => format!("{}://{}", self.scheme(), address_of(url)),
        }
    }

    /// The PostgreSQL that the setting names: the service's own database, or a small pool to another one, which is looked at
    /// first.
    pub async fn postgres(&self, environment: &Environment) -> Result<Db, StartError> {
        let Some(url) = self.url else {
            return environment.db();
        };
        let options = database_options(url).map_err(|_| self.refused("this is no PostgreSQL URL"))?;
        look(&options).await.map_err(|error| {
            let tells_remedy = error.tells_remedy();
            self.unusable(environment, error, tells_remedy)
        })?;
        Ok(Db::connect(options, CONNECTIONS_MAX, environment.metrics.clone()))
    }

    /// The Redis that the setting names.
    pub async fn redis(&self, environment: &Environment) -> Result<Redis, StartError> {
        Redis::connect(self.url(), environment.metrics.clone())
            .await
            .map_err(|error| {
                let tells_remedy = error.tells_remedy();
                self.unusable(environment, error, tells_remedy)
            })
    }

    /// Whether anything is set.
    pub fn is_set(&self) -> bool {
        self.url.is_some()
    }

    /// The server cannot be used, for a reason that says what to do about it or not.
    fn unusable(
        &self,
        environment: &Environment,
        error: impl Into<StoreCause>,
        tells_remedy: bool,
    ) -> StartError {
        let error = error.into();
        if tells_remedy {
            self.refused(error.to_string())
        } else {
            self.failed(environment, error)
        }
    }

    /// The setting cannot be used; `problem` must not show the URL.
    pub fn refused(&self, problem: impl Into<String>) -> StartError {
        StartError::BadSetting {
            setting: self.name.to_owned(),
            problem: problem.into(),
        }
    }

    /// There is no adapter for the scheme; `known` lists those that there are.
    pub fn unknown_scheme(&self, known: &[&str]) -> StartError {
        self.refused(format!(
            "there is no adapter for the scheme {:?}; use {}://, or unset it for the service's own database",
            self.scheme(),
            known.join(":// or ")
        ))
    }

    /// The store that the setting names cannot be brought up to date.
    pub fn not_migrated(&self, environment: &Environment, source: sqlx::migrate::MigrateError) -> StartError {
        if self.url.is_some() {
            return self.failed(environment, source);
        }
        StartError::Migrate {
            service: environment.service,
            source,
        }
    }

    /// The store that the setting names does not answer, or refuses.
    pub fn failed(&self, environment: &Environment, source: impl Into<StoreCause>) -> StartError {
        StartError::Store {
            service: environment.service,
            setting: self.name,
            source: source.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_picks_and_errors_show_no_url() {
        for (url, scheme) in [
            (None, "postgres"),
            (Some("postgres://h/d"), "postgres"),
            (Some("PostgreSQL://h/d"), "postgres"),
            (Some("redis://:secret@h/1"), "redis"),
            (Some("rediss://:secret@h/1"), "redis"),
            (Some("secret"), ""),
            (Some(":secret@h://"), ""),
            (Some(""), ""),
        ] {
            let setting = StoreSetting::new("EMPORIUM_CARTS_STORE", url);
            assert_eq!(setting.scheme(), scheme, "{url:?}");
            let text = setting.unknown_scheme(&["postgres", "redis"]).to_string();
            assert!(!text.contains("secret"), "{text}");
            assert!(text.contains("use postgres:// or redis://"), "{text}");
        }
    }
}
