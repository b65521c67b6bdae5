//! Which store each service uses: the settings, where they are read, and what they may name.
//!
//! A setting is an environment variable, or an entry of a TOML file that `--stores` names; the variable wins, an empty one
//! takes the file's entry away. What is not set stays on the service's own PostgreSQL. Everything that can be told without
//! asking a store is told when the settings are read: unknown names, schemes without an adapter, texts that are no URL.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use crate::config::{database_options, parameters_problem};
use crate::redis::ConnectError;
use crate::{ServiceName, StartError, StoreSetting};

mod address;
pub(crate) use address::of as address_of;
mod file;
mod names;

/// The sessions' store.
pub const SESSIONS_STORE: &str = "EMPORIUM_SESSIONS_STORE";
/// The carts' store.
pub const CARTS_STORE: &str = "EMPORIUM_CARTS_STORE";
/// The catalog's search index.
pub const CATALOG_SEARCH: &str = "EMPORIUM_CATALOG_SEARCH";
/// The store of purchases.
pub const RECOMMENDATIONS_STORE: &str = "EMPORIUM_RECOMMENDATIONS_STORE";
/// The cache of recommendations.
pub const RECOMMENDATIONS_CACHE: &str = "EMPORIUM_RECOMMENDATIONS_CACHE";
/// The store of the business's figures.
pub const ANALYTICS_STORE: &str = "EMPORIUM_ANALYTICS_STORE";
/// The reviews' store.
pub const REVIEWS_STORE: &str = "EMPORIUM_REVIEWS_STORE";
/// The time series' store.
pub const MONITORING_STORE: &str = "EMPORIUM_MONITORING_STORE";
/// The event bus.
pub const EVENTS: &str = "EMPORIUM_EVENTS";

/// The longest URL, in bytes.
const URL_BYTES_MAX: usize = 2_048;

/// A setting that there is.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// The environment variable.
    pub name: &'static str,
    /// Whose it is; `None` for the event bus, which all share.
    pub service: Option<ServiceName>,
    /// Schemes of the URLs it takes.
    pub schemes: &'static [&'static str],
    /// What is kept there.
    pub what: &'static str,
}

const fn of(
    name: &'static str,
    service: ServiceName,
    schemes: &'static [&'static str],
    what: &'static str,
) -> Known {
    Known {
        name,
        service: Some(service),
        schemes,
        what,
    }
}

/// Every setting.
pub const KNOWN: [Known; 9] = [
    of(
        SESSIONS_STORE,
        ServiceName::Sessions,
        &["postgres", "redis"],
        "sessions and failed logins",
    ),
    of(CARTS_STORE, ServiceName::Carts, &["postgres", "redis"], "carts"),
    of(
        CATALOG_SEARCH,
        ServiceName::Catalog,
        &["elasticsearch"],
        "the search index",
    ),
    of(
        RECOMMENDATIONS_STORE,
        ServiceName::Recommendations,
        &["postgres", "neo4j"],
        "purchases, for recommendations",
    ),
    of(
        RECOMMENDATIONS_CACHE,
        ServiceName::Recommendations,
        &["postgres", "redis"],
        "shelves of recommendations, to be shown again",
    ),
    of(
        ANALYTICS_STORE,
        ServiceName::Analytics,
        &["postgres", "clickhouse"],
        "figures of the business",
    ),
    of(
        REVIEWS_STORE,
        ServiceName::Reviews,
        &["postgres", "mongodb"],
        "product reviews",
    ),
    of(
        MONITORING_STORE,
        ServiceName::Monitoring,
        &["postgres", "prometheus"],
        "time series",
    ),
    Known {
        name: EVENTS,
        service: None,
        schemes: &["postgres", "redis"],
        what: "the event bus",
    },
];

/// The settings that were made, checked as far as that goes without asking a store.
#[derive(Clone, Default)]
pub struct StoreUrls(BTreeMap<&'static str, String>);

impl std::fmt::Debug for StoreUrls {
    /// Names only: URLs hold passwords.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl StoreUrls {
    /// Reads the file, if there is one, and the environment. An empty path is none.
    pub fn read(file: Option<&Path>) -> Result<Self, StartError> {
        let file = file.filter(|path| !path.as_os_str().is_empty());
        Self::from_sources(file, std::env::vars_os())
    }

    fn from_sources(
        file: Option<&Path>,
        variables: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Self, StartError> {
        let mut urls = Self::default();
        if let Some(path) = file {
            for (name, url) in file::read(path)? {
                let entry = |error| match error {
                    StartError::BadSetting { setting, problem } => StartError::BadSetting {
                        setting: format!("{setting} (in {})", path.display()),
                        problem,
                    },
                    other => other,
                };
                urls.set(&name, url).map_err(entry)?;
            }
        }
        for (name, value) in variables {
            let Some(name) = name.to_str().filter(|name| names::is_meant(name)) else {
                continue;
            };
            let url = value
                .into_string()
                .map_err(|_| bad(name, "this is no text; write a URL"))?;
            urls.set(name, url)?;
        }
        Ok(urls)
    }

    /// Sets one. An empty text takes the setting away: containers' settings cannot be unset otherwise.
    pub fn set(&mut self, name: &str, url: String) -> Result<(), StartError> {
        let known = KNOWN
            .iter()
            .find(|known| known.name == name)
            .ok_or_else(|| names::unknown(name))?;
        if url.is_empty() || known.name == CATALOG_SEARCH && is_own_database(&url) {
            self.0.remove(known.name);
            return Ok(());
        }
        check(known, &url)?;
        self.0.insert(known.name, url);
        Ok(())
    }

    /// The URL of a setting, if it was made.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The setting, to open a store by.
    pub fn setting(&self, name: &'static str) -> StoreSetting<'_> {
        StoreSetting::new(name, self.get(name))
    }

    /// Where the store of a setting is, for people: host, port and what comes after them, without user and password. `None`
    /// when the setting was not made.
    pub fn address(&self, name: &str) -> Option<String> {
        self.get(name).map(address::of)
    }
}

/// The search index on PostgreSQL is in the catalog's own database and in no other, so its URL is but a scheme.
fn is_own_database(url: &str) -> bool {
    let scheme = url.trim_end_matches("//");
    scheme.eq_ignore_ascii_case("postgres:") || scheme.eq_ignore_ascii_case("postgresql:")
}

/// What can be said of a URL without asking its store.
fn check(known: &Known, url: &str) -> Result<(), StartError> {
    let setting = StoreSetting::new(known.name, Some(url));
    if url.len() > URL_BYTES_MAX {
        return Err(setting.refused(format!("this is longer than {URL_BYTES_MAX} bytes; write a URL")));
    }
    if url.chars().any(|sign| sign.is_whitespace() || sign.is_control()) {
        return Err(
            setting.refused("there is white space in this; write a URL, with %20 for a space in a password")
        );
    }
    let scheme = setting.scheme();
    if !known.schemes.contains(&scheme.as_str()) {
        return Err(setting.unknown_scheme(known.schemes));
    }
    let is_url = match scheme.as_str() {
        crate::store::POSTGRES => match parameters_problem(url) {
            Some(problem) => return Err(setting.refused(problem)),
            None => database_options(url).is_ok(),
        },
        crate::redis::REDIS => match crate::redis::address(url) {
            Err(ConnectError::Url) => false,
            Err(other) => return Err(setting.refused(other.to_string())),
            Ok(_) => true,
        },
        _ => reqwest::Url::parse(url).is_ok_and(|url| url.has_host()),
    };
    if is_url {
        return Ok(());
    }
    let problem = format!(
        "this is no {scheme} URL; write {scheme}://host:port, with user:password@ before the host where they are needed"
    );
    Err(setting.refused(problem))
}

fn bad(setting: &str, problem: impl Into<String>) -> StartError {
    StartError::BadSetting {
        setting: setting.to_owned(),
        problem: problem.into(),
    }
}

#[cfg(test)]
mod tests;
