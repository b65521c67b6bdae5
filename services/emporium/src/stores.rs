//! `emporium stores`: which store each service uses, and how that store is.
//!
//! Of a running shop the services are asked, since only they know what they use. Without one, the stores that the settings
//! name are asked without starting anything, which tells before a start whether they can be used.

use std::fmt;
use std::path::Path;

use clap::Parser;
use emporium_catalog::search::elasticsearch::client::{Address, ConnectError};
use emporium_service_kit::client::{CallError, Client};
use emporium_service_kit::stores::{CATALOG_SEARCH, KNOWN, Known, RECOMMENDATIONS_CACHE};
use emporium_service_kit::{StartError, StoreReport, StoreUrls};
use serde::Serialize;

use crate::Error;
use crate::data_dir::DataDir;
use crate::operator::Operator;
use crate::shop::Shop;
use crate::terminal::{Format, note, say};

mod direct;
mod running;
mod table;

/// The row of the event bus, which belongs to no service.
const BUS: &str = "event bus";
/// A row's error when nobody has started what would use the store.
const NOT_RUNNING: &str = "not running";

/// Options of `emporium stores`.
#[derive(Debug, Clone, Parser)]
pub struct Options {
    /// How the stores are printed.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// A store of a service.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// The service, or `event bus`.
    service: String,
    /// What is known of it.
    #[serde(flatten)]
    report: StoreReport,
}

impl Row {
    fn new(service: impl fmt::Display, report: StoreReport) -> Self {
        Self {
            service: service.to_string(),
            report,
        }
    }

    /// Why the store cannot be used, after the setting, where there is one.
    fn complaint(&self) -> Option<(String, &str)> {
        let error = self
            .report
            .error
            .as_deref()
            .filter(|error| *error != NOT_RUNNING)?;
        let place = match &self.report.setting {
            Some(setting) => setting.clone(),
            None => format!("the {} service's {}", self.service, self.report.role),
        };
        Some((place, error))
    }
}

/// The complaints, one a setting: the services that share the bus may have found different things wrong with it.
fn complaints(rows: &[Row]) -> Vec<String> {
    let mut places: Vec<(String, Vec<&str>)> = Vec::new();
    for (place, error) in rows.iter().filter_map(Row::complaint) {
        match places.iter_mut().find(|(known, _)| *known == place) {
            Some((_, errors)) if errors.contains(&error) => {}
            Some((_, errors)) => errors.push(error),
            None => places.push((place, vec![error])),
        }
    }
    let line = |(place, errors): (String, Vec<&str>)| format!("{place}: {}", errors.join(", "));
    places.into_iter().map(line).collect()
}

/// Reads the settings. What only an adapter can tell of its URL is asked of it here, so that it is told before anything is
/// started too.
pub fn read(file: Option<&Path>) -> Result<StoreUrls, StartError> {
    let urls = StoreUrls::read(file)?;
    if let Some(url) = urls.get(CATALOG_SEARCH) {
        let refused = |error: ConnectError| urls.setting(CATALOG_SEARCH).refused(error.to_string());
        Address::read(url).map_err(refused)?;
    }
    Ok(urls)
}

/// Runs `emporium stores`. An error names every store that cannot be used; what was found is printed all the same.
pub async fn stores(urls: &StoreUrls, dir: &DataDir, options: &Options) -> Result<(), Error> {
    let runs = dir.is_taken()?;
    let rows = if runs {
        running::rows(&Operator::of_running(dir)?).await?
    } else {
        direct::rows(urls).await
    };
    match options.format {
        Format::Json => say(serde_json::to_string(&rows).unwrap_or_default()),
        Format::Table => {
            say(table::of(&rows));
            table::lacks(&rows).iter().for_each(say);
            if !runs {
                note("The shop does not run: the stores that the settings name were asked themselves.");
            }
        }
    }
    let complaints = complaints(&rows);
    if complaints.is_empty() {
        return Ok(());
    }
    Err(Error::Stores(complaints.join("; ")))
}

/// What a service tells of its stores.
pub async fn reports(service: &Client) -> Result<Vec<StoreReport>, CallError> {
    service.get("/stores").timeout(running::TIMEOUT).send().await
}

/// A line for each store that the settings of a shop name: what it is and where, without user and password.
pub async fn specialised(shop: &Shop) -> Vec<String> {
    let set: Vec<_> = KNOWN
        .iter()
        .filter(|known| shop.stores.get(known.name).is_some())
        .collect();
    if set.is_empty() {
        return Vec::new();
    }
    let rows = running::rows(&Operator::of(shop)).await.unwrap_or_default();
    let places: Vec<String> = set.iter().map(|known| place(known)).collect();
    // As wide as the lines above them are at least.
    let width = places.iter().map(String::len).fold(14, usize::max);
    let line = |(known, place): (&&Known, &String)| {
        let row = rows
            .iter()
            .find(|row| row.report.setting.as_deref() == Some(known.name));
        let version = row.and_then(|row| row.report.version.clone());
        let version = version.unwrap_or_else(|| shop.stores.setting(known.name).scheme());
        let address = shop.stores.address(known.name).unwrap_or_default();
        format!("{place:width$} {version} at {address}")
    };
    set.iter().zip(&places).map(line).collect()
}

/// Whose store it is.
fn place(known: &Known) -> String {
    match (known.service, known.name) {
        (None, _) => BUS.to_owned(),
        (Some(service), RECOMMENDATIONS_CACHE) => format!("{service} (cache)"),
        (Some(service), _) => service.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_named_once_whatever_its_services_found() {
        let row = |service: &str, role: &str, setting: Option<&str>, error: Option<&str>| {
            let mut report = StoreReport::of(role, setting, "redis");
            report.error = error.map(str::to_owned);
            Row::new(service, report)
        };
        let (events, carts) = (Some("EMPORIUM_EVENTS"), Some("EMPORIUM_CARTS_STORE"));
        let rows = [
            row("sessions", "events", events, Some("timed out")),
            row("carts", "store", carts, Some("refused")),
            row("catalog", "events", events, Some("down")),
            row("orders", "events", events, Some("timed out")),
            row("payments", "events", events, None),
            row("users", "store", None, Some("no answer")),
            row("orders", "store", None, Some(NOT_RUNNING)),
        ];
        assert_eq!(
            complaints(&rows),
            [
                "EMPORIUM_EVENTS: timed out, down",
                "EMPORIUM_CARTS_STORE: refused",
                "the users service's store: no answer",
            ]
        );
    }
}
