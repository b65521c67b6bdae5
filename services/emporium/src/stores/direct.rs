//! Asking stores themselves, while no shop runs. PostgreSQL is asked plainly, since opening it as its service does would
//! bring its tables up to date; the others are opened by the adapters that would use them, which then say what they lack. So
//! Neo4j, ClickHouse and MongoDB are brought up to date as by a start.

use std::collections::HashMap;

use emporium_catalog::search::SearchIndex;
use emporium_catalog::search::elasticsearch::ElasticSearch;
use emporium_event_bus::bus::{EventsReport, open_at};
use emporium_service_kit::auth::{Callers, Secret};
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::report::{INSPECT_TIMEOUT, StoreOn};
use emporium_service_kit::store::{POSTGRES, REMEDY};
use emporium_service_kit::stores::{
    ANALYTICS_STORE, CARTS_STORE, CATALOG_SEARCH, EVENTS, KNOWN, Known, MONITORING_STORE,
    RECOMMENDATIONS_CACHE, RECOMMENDATIONS_STORE, REVIEWS_STORE, SESSIONS_STORE,
};
use emporium_service_kit::{Clock, Environment, Lack, ServiceName, StartError, StoreReport, StoreUrls};
use futures::future::join_all;
use tokio_util::sync::CancellationToken;

use super::{BUS, NOT_RUNNING, Row};
use crate::provision::OWNERS;

/// What the sessions' adapter is told; nothing is kept by it here.
const SPANS: emporium_sessions::store::Spans = emporium_sessions::store::Spans {
    lifetime: time::Duration::days(30),
    window: time::Duration::minutes(15),
};

/// A row for each store that the services would use under these settings; those that are set are asked, at once.
pub(super) async fn rows(urls: &StoreUrls) -> Vec<Row> {
    let places = OWNERS.into_iter().flat_map(places).chain(
        KNOWN
            .iter()
            .filter(|known| known.name == EVENTS)
            .map(|known| (BUS.to_owned(), Some(known))),
    );
    join_all(places.map(async |(service, known)| {
        let report = match known {
            Some(known) => report(urls, known).await,
            None => not_running("store", None),
        };
        Row::new(service, report)
    }))
    .await
}

/// Where a service keeps something. The truth about products stays in the catalog's database whatever the index is; services
/// without a setting have no choice.
fn places(service: ServiceName) -> Vec<(String, Option<&'static Known>)> {
    let settings = KNOWN.iter().filter(|known| known.service == Some(service));
    let own = !settings.clone().any(|known| role(known) == "store");
    let own = own.then(|| (service.to_string(), None));
    own.into_iter()
        .chain(settings.map(|known| (service.to_string(), Some(known))))
        .collect()
}

fn role(known: &Known) -> &'static str {
    match known.name {
        EVENTS => "events",
        CATALOG_SEARCH => "search",
        RECOMMENDATIONS_CACHE => "cache",
        _ => "store",
    }
}

fn not_running(role: &str, setting: Option<&str>) -> StoreReport {
    let mut report = StoreReport::of(role, setting, "postgresql");
    report.error = Some(NOT_RUNNING.to_owned());
    report
}

async fn report(urls: &StoreUrls, known: &Known) -> StoreReport {
    if urls.get(known.name).is_none() {
        return not_running(role(known), Some(known.name));
    }
    let scheme = urls.setting(known.name).scheme();
    let asked = tokio::time::timeout(INSPECT_TIMEOUT, inspect(urls, known, &scheme)).await;
    let problem = match asked {
        Ok(Ok(report)) => return report,
        // What to do is told once, after all complaints.
        Ok(Err(StartError::BadSetting { problem, .. })) => problem.replace(&format!("; {REMEDY}"), ""),
        Ok(Err(StartError::Store { source, .. })) => source.to_string(),
        Ok(Err(other)) => other.to_string(),
        Err(_) => "no answer in time".to_owned(),
    };
    let adapter = if scheme == POSTGRES { "postgresql" } else { &scheme };
    let mut report = StoreReport::of(role(known), Some(known.name), adapter);
    report.error = Some(problem);
    report
}

/// What the store says of itself; an error never shows the URL.
async fn inspect(urls: &StoreUrls, known: &Known, scheme: &str) -> Result<StoreReport, StartError> {
    let environment = environment(urls, known);
    if scheme == POSTGRES {
        let db = urls.setting(known.name).postgres(&environment).await?;
        let asked = StoreOn::shared(db.clone(), role(known), Some(known.name), []);
        let report = asked.inspect().await;
        db.pool().close().await;
        return Ok(report);
    }
    let report = match known.name {
        SESSIONS_STORE => {
            emporium_sessions::store::open_side(environment, SPANS)
                .await?
                .report
        }
        CARTS_STORE => emporium_carts::store::open_side(environment).await?.report,
        RECOMMENDATIONS_STORE => {
            let nobody = emporium_recommendations::store::Group::default();
            emporium_recommendations::store::open_side(environment, nobody)
                .await?
                .report
        }
        RECOMMENDATIONS_CACHE => emporium_recommendations::cache::open(&environment).await?.report,
        ANALYTICS_STORE => {
            let nobody = emporium_analytics::store::Group::default();
            emporium_analytics::store::open_side(environment, nobody)
                .await?
                .report
        }
        REVIEWS_STORE => {
            let nobody = emporium_reviews::store::Group::default();
            emporium_reviews::store::open_side(environment, nobody)
                .await?
                .report
        }
        MONITORING_STORE => {
            let config = emporium_service_kit::config::from_env()?;
            let making = emporium_monitoring::store::Making::new(&config, &environment);
            emporium_monitoring::store::open_alone(&environment, &making)
                .await?
                .report
        }
        EVENTS => return bus(urls, &environment).await,
        _ => {
            let index = ElasticSearch::open(&urls.setting(known.name), &environment).await?;
            let lacks: Vec<Lack> = index.lacks().iter().map(|lack| lack.lack()).collect();
            StoreOn::shared(index, role(known), Some(known.name), lacks)
        }
    };
    Ok(report.inspect().await)
}

async fn bus(urls: &StoreUrls, environment: &Environment) -> Result<StoreReport, StartError> {
    let bus = open_at(urls.setting(EVENTS).url(), environment.metrics.clone()).await;
    let bus = bus.map_err(emporium_event_bus::BusError::into_start_error)?;
    let mut report = EventsReport::of(&bus).shared().inspect().await;
    // Nobody's events are counted here.
    report.lag = None;
    Ok(report)
}

/// What an adapter is opened in. It calls nobody and nobody calls it.
fn environment(urls: &StoreUrls, known: &Known) -> Environment {
    let service = known.service.unwrap_or(ServiceName::Operator);
    Environment {
        service,
        db: None,
        events_url: None,
        stores: urls.clone(),
        peers: HashMap::new(),
        secret: Secret::generate(),
        callers: Callers::default(),
        clock: Clock::System,
        metrics: Metrics::new(service),
        shutdown: CancellationToken::new(),
    }
}
