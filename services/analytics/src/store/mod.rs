//! Where figures are kept.
//!
//! # Adding an adapter
//!
//! 1. Write `store/<name>.rs` (and a folder beside it) with a type that implements [`AnalyticsStore`]. The verbs are the
//!    questions that people have about the business, so an adapter is free in its layout: PostgreSQL sums up as events come;
//!    a column store may keep rows and sum up when it is asked.
//! 2. Its [`AnalyticsStore::projection`] applies events. It has two generations, so that it can be rebuilt beside the live
//!    one: [`emporium_event_bus::projection`] says what they promise and how a store without transactions keeps it.
//! 3. Say what it lacks ([`AnalyticsStore::lacks`]).
//! 4. Let [`open_side`] make it for its URL scheme: one more arm. Add the scheme to `emporium_service_kit::stores::KNOWN`.
//! 5. Add one line to the end of `store/contract.rs`: the whole suite, the comparison with an in-memory oracle over random
//!    histories included, then runs against it.
//!
//! What every adapter has to keep, and the suite checks:
//!
//! - **Every event lands once**, however often and in whatever order it comes: figures, and digests of generations, are those
//!   of the set of events. So nothing is summed up under what may change (a product's category, an order's fate); that is
//!   looked up when it is asked for.
//! - **Orders count when they are confirmed, on the day they were placed**; refunds on their own day, under their order's
//!   country as soon as it is known.
//! - **Days are UTC**, sums exact. A sum beyond 64 bits is [`StoreError::Data`], never a wrong number.
//! - **An answer is of one moment**: no figure of it has an event that another one lacks.
//! - **Activity counts once an id**, for [`LATE_MAX`](crate::model::LATE_MAX) at least.
//! - **Whoever asks, waits seconds at most**: a store that does not answer is a [`StoreError::Unavailable`] in time.

use std::sync::Arc;

use async_trait::async_trait;
use emporium_event_bus::Consumer;
use emporium_moving::postgres::PostgresMoving;
use emporium_moving::register::{Journal, Register};
use emporium_moving::{Copied, Moving, Side};
use emporium_service_kit::days::Days;
use emporium_service_kit::report::Opened;
use emporium_service_kit::store::POSTGRES;
use emporium_service_kit::stores::ANALYTICS_STORE;
use emporium_service_kit::{Currency, Environment, Lack, StartError, StoreError, StoreSetting};
use time::{Date, Duration, OffsetDateTime};

use crate::model::{
    Activity, Baskets, By, Cohorts, EmptySearches, Funnel, Live, Rank, Recorded, Repeat, Revenue,
    TopProducts, Totals,
};

mod clickhouse;
#[cfg(test)]
mod contract;
mod copied;
mod gated;
mod postgres;
mod shapes;

pub use clickhouse::{CLICKHOUSE, ClickHouse, ClickHouseAnalytics, ConnectError};
use clickhouse::{ClickHouseMoving, ClickHouseRecords};
use gated::GatedAnalytics;
pub use postgres::PostgresAnalytics;
use postgres::PostgresRecords;

/// The projection, and the consumer group that feeds it.
pub const PROJECTION: &str = "analytics";

/// What the contract offers and a store may lack, by its nature or its settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Capability {
    /// An answer is of one moment, also while events are applied.
    OneMoment,
}

impl Capability {
    /// What follows from its absence, for reports.
    pub fn lack(self) -> Lack {
        match self {
            Self::OneMoment => Lack::new(
                "one moment",
                "figures of one answer may differ by the events of the moments in which it was made",
            ),
        }
    }
}

/// How much activity is kept.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// For how long single activities are kept.
    pub kept: Duration,
    /// How many of a day.
    pub per_day_max: i64,
}

/// What is asked about products.
#[derive(Debug, Clone)]
pub struct Ranking {
    /// When they sold.
    pub days: Days,
    /// In which currency.
    pub currency: Currency,
    /// By what they are ranked; the other one, and then the id, decides between equals.
    pub rank: Rank,
    /// Only those whose category now is this one.
    pub category: Option<String>,
    /// How many, 1 to 100.
    pub limit: u32,
}

/// A store of figures; the module's documentation says what an adapter has to keep.
#[async_trait]
pub trait AnalyticsStore: Send + Sync {
    /// What applies events: a projection with two generations.
    fn projection(&self) -> Arc<dyn Consumer>;

    /// Revenue in groups; of categories and countries the first `limit`, and all others together.
    async fn revenue(
        &self,
        days: Days,
        currency: Currency,
        by: By,
        limit: u32,
    ) -> Result<Revenue, StoreError>;

    /// The products that sold most, refunds not taken off.
    async fn top_products(&self, ranking: &Ranking) -> Result<TopProducts, StoreError>;

    /// How far visitors came, day by day.
    async fn funnel(&self, days: Days) -> Result<Funnel, StoreError>;

    /// Customers by the month of their first purchase, for the months that begin in `months`.
    async fn cohorts(&self, months: Days) -> Result<Cohorts, StoreError>;

    /// How large baskets are.
    async fn baskets(&self, days: Days, currency: Currency) -> Result<Baskets, StoreError>;

    /// Who came back, in any currency.
    async fn repeat(&self, days: Days) -> Result<Repeat, StoreError>;

    /// Sales of the sixty minutes that end with the one of `now`.
    async fn live(&self, now: OffsetDateTime, currency: Currency) -> Result<Live, StoreError>;

    /// Searches that found nothing, most frequent first.
    async fn empty_searches(&self, days: Days, limit: u32) -> Result<EmptySearches, StoreError>;

    /// What orders, refunds and payments come to, all at one moment; `None` when a list would have more than
    /// [`TOTALS_ROWS_MAX`](crate::model::TOTALS_ROWS_MAX) rows.
    async fn totals(&self, days: Days) -> Result<Option<Totals>, StoreError>;

    /// Counts what is new of these activities, all of which are [in time](Activity::in_time) and at most
    /// [`BATCH_MAX`](crate::model::BATCH_MAX); all or none. Of a day that has `per_day_max` by now, nothing is taken. Gives
    /// `recorded`, `repeated` and `over_limit`.
    async fn record(&self, activities: &[Activity], per_day_max: i64) -> Result<Recorded, StoreError>;

    /// The days before `before` that are not closed, oldest first. Days are closed from the oldest on.
    async fn open_days(&self, before: Date) -> Result<Vec<Date>, StoreError>;

    /// Closes days before `before`, which is longer ago than [`LATE_MAX`](crate::model::LATE_MAX), and removes what is
    /// not needed any more of closed ones: at most `max` of each kind of thing. Gives how many; 0 when all is done.
    async fn close_days(&self, before: Date, max: u32) -> Result<u64, StoreError>;

    /// Fails when the store does not answer.
    async fn ping(&self) -> Result<(), StoreError>;

    /// What this store does not give; empty when it keeps the whole contract.
    fn lacks(&self) -> &[Capability];
}

pub use emporium_moving::Group;

/// Opens the store that `EMPORIUM_ANALYTICS_STORE` names, or the service's own database when it names none, with what moves it to
/// another one. An error is one line that names the setting; there is no falling back to another store.
pub async fn open(
    environment: &Environment,
    group: &Group,
) -> Result<Moving<dyn AnalyticsStore>, StartError> {
    let group = group.clone();
    Moving::open(environment, ANALYTICS_STORE, move |environment| {
        open_side(environment, group.clone())
    })
    .await
}

/// The store behind the gate of a move.
pub fn gated(
    moving: &Moving<dyn AnalyticsStore>,
    environment: &Environment,
) -> Result<Arc<dyn AnalyticsStore>, StartError> {
    let gated = GatedAnalytics::new(moving.gate());
    let setting = environment.stores.setting(ANALYTICS_STORE);
    Ok(Arc::new(
        gated.map_err(|error| setting.failed(environment, error))?,
    ))
}

/// Opens the store that the environment's setting names. The scheme picks the adapter.
pub async fn open_side(
    environment: Environment,
    group: Group,
) -> Result<Side<dyn AnalyticsStore>, StartError> {
    let setting = environment.stores.setting(ANALYTICS_STORE);
    let clock = environment.clock.clone();
    match setting.scheme().as_str() {
        POSTGRES => {
            let db = setting.postgres(&environment).await?;
            let not_migrated = |error| setting.not_migrated(&environment, error);
            PostgresAnalytics::migrate(&db).await.map_err(not_migrated)?;
            let moves = PostgresMoving::open(db.clone(), environment.service).await;
            let moves = Arc::new(moves.map_err(not_migrated)?);
            let store = PostgresAnalytics::open(db.clone()).await?;
            let lacks: Vec<Lack> = store.lacks().iter().map(|lack| lack.lack()).collect();
            let opened = Opened::new(Arc::new(store) as _, db.clone(), ANALYTICS_STORE, lacks);
            let records = Arc::new(PostgresRecords::new(db));
            Ok(side(opened, setting.address(), records, moves, &group))
        }
        CLICKHOUSE => {
            let server = clickhouse(&environment, &setting).await?;
            let store = ClickHouseAnalytics::open(server.clone(), clock.clone());
            let lacks: Vec<Lack> = store.lacks().iter().map(|lack| lack.lack()).collect();
            let opened = Opened::new(Arc::new(store) as _, server.clone(), ANALYTICS_STORE, lacks);
            let records = Arc::new(ClickHouseRecords::new(server.clone(), clock.clone()));
            let moves = Arc::new(ClickHouseMoving::new(server, clock));
            Ok(side(opened, setting.address(), records, moves, &group))
        }
        _ => Err(setting.unknown_scheme(&[POSTGRES, CLICKHOUSE])),
    }
}

/// What visitors do is copied; figures are built from the owners' histories.
fn side(
    opened: Opened<dyn AnalyticsStore>,
    address: String,
    records: Arc<dyn Copied>,
    moves: Arc<impl Register + Journal + 'static>,
    group: &Group,
) -> Side<dyn AnalyticsStore> {
    let projection = opened.store.projection();
    Side::of(opened, address, moves.clone())
        .copying(records, moves)
        .building(projection, group)
}

/// The ClickHouse that the setting names, with its tables.
async fn clickhouse(environment: &Environment, setting: &StoreSetting<'_>) -> Result<ClickHouse, StartError> {
    let refused = |error: ConnectError| {
        if error.tells_remedy() {
            setting.refused(error.to_string())
        } else {
            setting.failed(environment, error)
        }
    };
    let server = ClickHouse::connect(setting.url(), environment.metrics.clone()).await;
    let server = server.map_err(refused)?;
    match ClickHouseAnalytics::migrate(&server).await {
        Ok(None) => Ok(server),
        Ok(Some(version)) => Err(refused(ConnectError::Newer(version))),
        Err(error) => Err(setting.failed(environment, error)),
    }
}
