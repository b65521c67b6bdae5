//! Where metrics' points are kept.
//!
//! # Adding an adapter
//!
//! 1. Write `store/<name>.rs` with a type that implements [`MonitoringStore`]: what is asked of the past. How the points come
//!    into the store is no part of the trait, since stores differ in it: the PostgreSQL adapter has a [`Recorder`] that
//!    writes what this service scrapes; a Prometheus scrapes by itself, and its adapter only turns a [`Question`] into
//!    PromQL.
//! 2. Say what it lacks ([`MonitoringStore::lacks`]).
//! 3. Let [`open_side`] make it for its URL scheme: one more arm, with a recorder or without, and with its hours as a move sees
//!    them ([`hours`]). Add the scheme to
//!    `emporium_service_kit::stores::KNOWN`.
//! 4. Add one line to the end of `store/contract.rs`. The suite says what services exported when; how the adapter comes to
//!    know that is its `Feed`.
//!
//! What every adapter has to keep, and the suite checks:
//!
//! - **Nothing is made up.** A step of which nothing is known is `None`, a line of which nothing is known is left out, and no service's absence shows in another's lines.
//! - **A counter's increase is its increase**: over restarts of the service (a value below the one before counts from 0) and
//!   whatever the step.
//! - **The step does not change the facts**: counts, sums, least and greatest values of a long step are those of the short
//!   ones in it; quantiles are within [`crate::sketch::RELATIVE_ERROR`], those of histograms in the right bucket.
//! - **Bounded work**: an answer has at most [`SERIES_MAX`](crate::question::SERIES_MAX) lines of at most
//!   [`STEPS_MAX`](crate::question::STEPS_MAX) steps (and one that is cut by the span's beginning), or is an error that says
//!   what to do.
//! - **Whoever calls, waits seconds at most**: a store that does not answer is a [`StoreError::Unavailable`] in time.

use std::sync::Arc;

use async_trait::async_trait;
use emporium_moving::places::PostgresPlaces;
use emporium_moving::{Copied, Moving, Side, Timing};
use emporium_service_kit::report::{Inspect, Opened};
use emporium_service_kit::store::POSTGRES;
use emporium_service_kit::stores::MONITORING_STORE;
use emporium_service_kit::{Db, Environment, Lack, StartError, StoreError, StoreSetting};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::config::Config;
use crate::error::Error;
use crate::measures::Measures;
use crate::model::Kind;
use crate::question::{History, Question};

#[cfg(test)]
pub(crate) mod contract;
mod folding;
mod gated;
mod grouping;
mod hours;
mod ledger;
mod postgres;
mod prometheus;
mod steps;

use gated::GatedMonitoring;
use hours::NoJournal;
pub use ledger::Ledger;
use postgres::PostgresHours;
pub use postgres::{PostgresMonitoring, RESERVED, Recorded, Recorder, Tier};
use prometheus::PrometheusHours;
pub use prometheus::{PROMETHEUS, Point, PrometheusMonitoring};

/// What the contract offers and a store may lack, by its nature or its settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Capability {
    /// Increases are what was counted, to the last one.
    ExactIncreases,
    /// Rates are per second of the time for which something is known, and not of the whole step.
    RatesOfKnownTime,
    /// What a series counted before it was scraped for the first time counts, where its service was scraped before.
    CountsNewSeries,
    /// What was counted while nobody could scrape counts, however long that was and however short the step.
    CountsOverAbsences,
    /// A histogram begins anew as a whole.
    WholeHistogramResets,
    /// What a metric was before a new version of its service changed its kind does not mix with what it is now.
    KindsApart,
    /// Scrapes follow each other as they were made, whatever the clock said.
    OrderOfArrival,
    /// Hours of a year ago can be asked about.
    KeepsAYear,
}

impl Capability {
    /// What follows from its absence, for reports.
    pub fn lack(self) -> Lack {
        let (capability, consequence) = match self {
            Self::ExactIncreases => (
                "exact increases",
                "increases and rates are extrapolated to the edges of a step, so a count may be no whole number; a server of \
                 version 3.16 or newer counts exactly",
            ),
            Self::RatesOfKnownTime => (
                "rates of known time",
                "rates are per second of the whole step, also of one for a part of which nothing is known",
            ),
            Self::CountsNewSeries => (
                "counts new series",
                "what a series had counted before it was scraped for the first time is missing",
            ),
            Self::CountsOverAbsences => (
                "counts over absences",
                "what was counted while a service could not be scraped for more than five minutes, and more than a step, is missing",
            ),
            Self::WholeHistogramResets => (
                "whole resets of histograms",
                "the parts of a histogram are told to begin anew one by one: after a restart of its service, sums and means may \
                 be too low",
            ),
            Self::KindsApart => (
                "kinds kept apart",
                "what a metric measures is told by its name alone",
            ),
            Self::OrderOfArrival => (
                "order of arrival",
                "points are ordered by their time: where the clock was set back, increases are wrong",
            ),
            Self::KeepsAYear => (
                "keeps a year",
                "points are dropped earlier than after a year; set the server's retention",
            ),
        };
        Lack::new(capability, consequence)
    }
}

/// A metric that there are points of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Metric {
    /// Its name.
    pub name: String,
    /// What it measures now.
    pub kind: Kind,
    /// How many series it has.
    pub series: i64,
}

/// What is known of the past; the module's documentation says what an adapter has to keep.
#[async_trait]
pub trait MonitoringStore: Send + Sync {
    /// The metrics that there are points of, by name, the first `limit` of them.
    async fn metrics(&self, limit: usize) -> Result<Vec<Metric>, StoreError>;

    /// What a metric measures: when that changed with a new version of its service, as it is now. `None` when nobody
    /// exports it.
    async fn kind(&self, metric: &str) -> Result<Option<Kind>, StoreError>;

    /// How a metric went. `now` says how long ago the span is, and with that how fine a step can be.
    async fn history(&self, question: &Question, now: OffsetDateTime) -> Result<History, Error>;

    /// Fails when the store does not answer.
    async fn ping(&self) -> Result<(), StoreError>;

    /// What this store does not give, as far as it can be told; empty when it keeps the whole contract.
    fn lacks(&self) -> &[Capability];
}

/// A store that is open, and what collects into it.
pub struct Home {
    /// To ask.
    pub store: Arc<dyn MonitoringStore>,
    /// To write to; `None` where the store scrapes by itself.
    pub recorder: Option<Arc<Recorder>>,
    /// Says which hours a move has brought.
    pub ledger: Ledger,
}

/// What a store is opened with.
#[derive(Clone)]
pub struct Making {
    /// The service's settings.
    pub config: Config,
    /// What it measures of its own work, whichever store it collects into.
    pub measures: Measures,
}

impl Making {
    /// With these settings, in this service.
    pub fn new(config: &Config, environment: &Environment) -> Self {
        Self {
            config: config.clone(),
            measures: Measures::new(&environment.metrics),
        }
    }
}

/// Opens the store that `EMPORIUM_MONITORING_STORE` names, or the service's own database when it names none, with what moves
/// it to another one. An error is one line that names the setting; there is no falling back to another store.
///
/// Which store serves is written down in the service's own database, for those outside as well: a Prometheus has no place for it.
pub async fn open(
    environment: &Environment,
    making: &Making,
    timing: Timing,
) -> Result<Moving<Home>, StartError> {
    let setting = environment.stores.setting(MONITORING_STORE);
    let own = own_database(environment).await?;
    let address = setting.address();
    own.check(&address, environment.service, MONITORING_STORE).await?;
    let making = making.clone();
    let open = move |environment: Environment| open_side(environment, making.clone());
    Moving::open_with(environment, MONITORING_STORE, open, timing).await
}

/// The service's own database with all tables: also where the points are elsewhere, it keeps what is known of moves.
async fn own_database(environment: &Environment) -> Result<PostgresPlaces, StartError> {
    let db = environment.db()?;
    let failed = |source| StartError::Migrate {
        service: environment.service,
        source,
    };
    PostgresMonitoring::open(db.clone()).await.map_err(failed)?;
    PostgresPlaces::open(db, environment.service)
        .await
        .map_err(failed)
}

/// Opens the store that the environment's setting names. The scheme picks the adapter.
pub async fn open_side(environment: Environment, making: Making) -> Result<Side<Home>, StartError> {
    let setting = environment.stores.setting(MONITORING_STORE);
    let scheme = setting.scheme();
    if ![POSTGRES, PROMETHEUS].contains(&scheme.as_str()) {
        return Err(setting.unknown_scheme(&[POSTGRES, PROMETHEUS]));
    }
    let places = own_database(&environment).await?;
    let (own, clock) = (environment.db()?, environment.clock.clone());
    let ledger = Ledger::new(own, &places, &setting.address(), clock);
    if scheme == POSTGRES {
        let (alone, db) = on_postgres(&setting, &environment, &making, Some(&ledger)).await?;
        let records = Arc::new(PostgresHours::new(db, ledger.clone()));
        return Ok(side(alone, setting.address(), ledger, records));
    }
    let (alone, server) = on_prometheus(&setting, &environment, Some(&ledger)).await?;
    let records = Arc::new(PrometheusHours::new(server, ledger.clone()));
    Ok(side(alone, setting.address(), ledger, records))
}

/// A store without what moves it: nothing that a move has brought is answered.
pub struct Alone {
    /// To ask.
    pub store: Arc<dyn MonitoringStore>,
    /// To write to; `None` where the store scrapes by itself.
    pub recorder: Option<Arc<Recorder>>,
    /// To tell about.
    pub report: Arc<dyn Inspect>,
}

/// Opens the store that the setting names alone, to look at it: without the service's own database, if it is another one.
pub async fn open_alone(environment: &Environment, making: &Making) -> Result<Alone, StartError> {
    let setting = environment.stores.setting(MONITORING_STORE);
    match setting.scheme().as_str() {
        POSTGRES => Ok(on_postgres(&setting, environment, making, None).await?.0),
        PROMETHEUS => Ok(on_prometheus(&setting, environment, None).await?.0),
        _ => Err(setting.unknown_scheme(&[POSTGRES, PROMETHEUS])),
    }
}

async fn on_postgres(
    setting: &StoreSetting<'_>,
    environment: &Environment,
    making: &Making,
    ledger: Option<&Ledger>,
) -> Result<(Alone, Db), StartError> {
    let db = setting.postgres(environment).await?;
    let store = PostgresMonitoring::open(db.clone()).await;
    let mut store = store.map_err(|error| setting.not_migrated(environment, error))?;
    if let Some(ledger) = ledger {
        store = store.with_ledger(ledger.clone());
    }
    let recorder = Recorder::new(db.clone(), &making.config, making.measures.clone());
    let lacks = lacks_of(&store);
    let opened = Opened::<dyn MonitoringStore>::new(Arc::new(store), db.clone(), MONITORING_STORE, lacks);
    Ok((alone(opened, Some(Arc::new(recorder))), db))
}

async fn on_prometheus(
    setting: &StoreSetting<'_>,
    environment: &Environment,
    ledger: Option<&Ledger>,
) -> Result<(Alone, PrometheusMonitoring), StartError> {
    let mut store = PrometheusMonitoring::open(setting, environment).await?;
    tracing::info!(
        "Prometheus scrapes by itself; EMPORIUM_MONITORING_SCRAPE_* and _SERIES_MAX have no effect"
    );
    if let Some(ledger) = ledger {
        store = store.with_ledger(ledger.clone());
    }
    let (server, lacks) = (store.client(), lacks_of(&store));
    let shared = Arc::new(store.clone());
    let opened = Opened::<dyn MonitoringStore>::new(shared, server, MONITORING_STORE, lacks);
    Ok((alone(opened, None), store))
}

fn alone(opened: Opened<dyn MonitoringStore>, recorder: Option<Arc<Recorder>>) -> Alone {
    let Opened { store, report } = opened;
    Alone {
        store,
        recorder,
        report,
    }
}

/// Hours that are over are copied; nobody writes to them, so there is nothing to note.
fn side(alone: Alone, address: String, ledger: Ledger, records: Arc<dyn Copied>) -> Side<Home> {
    let Alone {
        store,
        recorder,
        report,
    } = alone;
    let register = ledger.register();
    let store = Arc::new(Home {
        store,
        recorder,
        ledger,
    });
    Side::of(Opened { store, report }, address, register).copying(records, Arc::new(NoJournal))
}

/// The store behind the gate of a move.
pub fn gated(moving: &Moving<Home>) -> Arc<dyn MonitoringStore> {
    Arc::new(GatedMonitoring::new(moving.gate()))
}

fn lacks_of(store: &dyn MonitoringStore) -> Vec<Lack> {
    store.lacks().iter().map(|lack| lack.lack()).collect()
}
