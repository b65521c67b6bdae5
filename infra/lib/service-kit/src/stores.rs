//! Which store each service uses: the settings, where they are read, and what they may name.
//!
//! A setting is an environment variable, or an entry of a TOML file that `--stores` names; the variable wins. What is not set
//! stays on the service's own PostgreSQL. In the file a setting may be written as the variable (`EMPORIUM_CARTS_STORE`), in
//! short (`carts_store`), or in a table (`[carts]` `store`).

use std::collections::BTreeMap;
use std::path::Path;

use crate::{ServiceName, StartError, StoreSetting};

/// The sessions' store.
pub const SESSIONS_STORE: &str = "EMPORIUM_SESSIONS_STORE";
/// The carts' store.
pub const CARTS_STORE: &str = "EMPORIUM_CARTS_STORE";
/// The catalog's search index.
pub const CATALOG_SEARCH: &str = "EMPORIUM_CATALOG_SEARCH";
/// The event bus.
pub const EVENTS: &str = "EMPORIUM_EVENTS";

/// A setting that there is.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// The environment variable.
    pub name: &'static str,
    /// Whose it is; `None` for the event bus, which all share, and for services that this version does not have.
    pub service: Option<ServiceName>,
    /// Schemes of the URLs it takes; empty when this version does not have what it is for.
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

const fn later(name: &'static str, what: &'static str) -> Known {
    Known {
        name,
        service: None,
        schemes: &[],
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
        &["postgres", "elasticsearch"],
        "the search index",
    ),
    later("EMPORIUM_RECOMMENDATIONS_STORE", "recommendations"),
    later("EMPORIUM_RECOMMENDATIONS_CACHE", "the recommendations' cache"),
    later("EMPORIUM_ANALYTICS_STORE", "analytics"),
    later("EMPORIUM_REVIEWS_STORE", "reviews"),
    later("EMPORIUM_MONITORING_STORE", "monitoring"),
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
    /// Reads the file, if there is one, and the environment.
    pub fn read(file: Option<&Path>) -> Result<Self, StartError> {
        let mut urls = Self::default();
        if let Some(path) = file {
            for (name, url) in in_file(path)? {
                urls.set(&name, url)?;
            }
        }
        for (name, value) in std::env::vars_os() {
            let Some(name) = name.to_str().filter(|name| looks_like_a_setting(name)) else {
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
        let known = KNOWN.iter().find(|known| known.name == name).ok_or_else(|| {
            let names: Vec<&str> = KNOWN.iter().map(|known| known.name).collect();
            bad(
                name,
                format!("there is no such setting; there are {}", names.join(", ")),
            )
        })?;
        if url.is_empty() {
            self.0.remove(known.name);
            return Ok(());
        }
        if known.schemes.is_empty() {
            let problem = format!("this version keeps no {}; unset it", known.what);
            return Err(bad(name, problem));
        }
        let setting = StoreSetting::new(known.name, Some(&url));
        if !known.schemes.contains(&setting.scheme().as_str()) {
            return Err(setting.unknown_scheme(known.schemes));
        }
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
}

/// A variable that somebody has misspelt must not be passed over.
fn looks_like_a_setting(name: &str) -> bool {
    let ends = ["_STORE", "_SEARCH", "_CACHE"];
    name == EVENTS || (name.starts_with("EMPORIUM_") && ends.iter().any(|end| name.ends_with(end)))
}

fn in_file(path: &Path) -> Result<Vec<(String, String)>, StartError> {
    let shown = format!("--stores {}", path.display());
    let text =
        std::fs::read_to_string(path).map_err(|error| bad(&shown, format!("cannot be read: {error}")))?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        // Its own text shows the line, and with it perhaps a password.
        let line = error
            .span()
            .map_or(1, |span| text[..span.start].lines().count().max(1));
        bad(&shown, format!("line {line} is no TOML: {}", error.message()))
    })?;
    let mut settings = Vec::new();
    flatten(&shown, "", &table, &mut settings)?;
    Ok(settings)
}

fn flatten(
    shown: &str,
    prefix: &str,
    table: &toml::Table,
    settings: &mut Vec<(String, String)>,
) -> Result<(), StartError> {
    for (key, value) in table {
        let name = format!("{prefix}{}", key.to_ascii_uppercase());
        match value {
            toml::Value::String(url) if name.starts_with("EMPORIUM_") => settings.push((name, url.clone())),
            toml::Value::String(url) => settings.push((format!("EMPORIUM_{name}"), url.clone())),
            toml::Value::Table(inner) if prefix.is_empty() => {
                flatten(shown, &format!("{name}_"), inner, settings)?;
            }
            _ => return Err(bad(shown, format!("{key} has to be a URL, as text"))),
        }
    }
    Ok(())
}

fn bad(setting: &str, problem: impl Into<String>) -> StartError {
    StartError::BadSetting {
        setting: setting.to_owned(),
        problem: problem.into(),
    }
}
