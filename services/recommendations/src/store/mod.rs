//! Where purchases are kept, and goods are found by them.
//!
//! # Adding an adapter
//!
//! 1. Write `store/<name>.rs` (and a folder beside it) with a type that implements [`RecommendationStore`]. The verbs are
//!    the shelves of the shop. An adapter is free in its layout: PostgreSQL keeps baskets by good and by customer; a graph
//!    store has nodes and edges.
//! 2. Fetch, or traverse, a *bounded* piece of the graph, and score it with [`crate::scoring`]; or score in the store, by the
//!    same formulas.
//! 3. Its [`RecommendationStore::projection`] applies events. It has two generations, so that it can be rebuilt beside the
//!    live one: [`emporium_event_bus::projection`] says what they promise and how a store without transactions keeps it.
//! 4. Say what it lacks ([`RecommendationStore::lacks`]).
//! 5. Let [`open_side`] make it for its URL scheme: one more arm. Add the scheme to `emporium_service_kit::stores::KNOWN`.
//! 6. Add one line to the end of `store/contract.rs`: the whole suite, the comparison with an in-memory oracle over random
//!    histories included, then runs against it.
//!
//! What every adapter has to keep, and the suite checks:
//!
//! - **Every order counts once**, however often and in whatever order its events come: shelves, and digests of generations,
//!   are those of the set of events. So no floating-point sum is kept, since its bits depend on the order of additions.
//! - **Now is the time of the newest order**, if that is not in the future; else an imported old history would be of no
//!   weight at all. Without any order it is the clock's.
//! - **What is old is not gone**: after years without an order, one order leaves every shelf filled, by the formulas' floor of a
//!   pair and, on what is popular, by the number of baskets.
//! - **Only goods that the catalog has told of, and that are not archived, are suggested.** Others still count as what was
//!   bought.
//! - **Guests' baskets count** for what is bought together and what is popular; they have no shelf of their own.
//! - **Work is bounded** ([`crate::scoring`]'s bounds, [`CUSTOMER_BASKETS_MAX`], [`CUSTOMER_LINES_MAX`]), however many orders
//!   there are, of a good or of a customer.
//! - **A shelf is of one moment**, and in one order: by score, then by number of baskets, then by id.
//! - **Stamps** change with every order that names the subject, and when the live generation changes.
//! - **Whoever asks, waits seconds at most**: a store that does not answer is a [`StoreError::Unavailable`] in time.

use std::sync::Arc;

use async_trait::async_trait;
use emporium_event_bus::Consumer;
use emporium_moving::postgres::PostgresMoving;
use emporium_moving::register::Register;
use emporium_moving::{Moving, Side};
use emporium_service_kit::report::Opened;
use emporium_service_kit::store::POSTGRES;
use emporium_service_kit::{Environment, Lack, StartError, StoreError};
use time::Duration;
use uuid::Uuid;

use crate::model::{Scope, Suggestion};

mod change;
#[cfg(test)]
mod contract;
mod gated;
mod neo4j;
mod postgres;
mod shelf;

use gated::GatedRecommendations;
use neo4j::NEO4J;
pub use neo4j::Neo4jRecommendations;
pub use postgres::PostgresRecommendations;
#[cfg(test)]
pub(crate) use postgres::tests::fresh as fresh_postgres;

/// The projection, and the consumer group that feeds it.
pub const PROJECTION: &str = "recommendations";
/// The setting that names the store.
const SETTING: &str = "EMPORIUM_RECOMMENDATIONS_STORE";

/// So many of a customer's newest orders are looked at.
pub const CUSTOMER_BASKETS_MAX: usize = 1_000;
/// They are looked at until they come to so many goods, counted once an order; the order that reaches it is taken whole.
pub const CUSTOMER_LINES_MAX: usize = 20_000;
/// What was bought within this time is not offered to be bought again.
pub const JUST_BOUGHT: Duration = Duration::days(7);
/// What is suggested for a cart was bought with its goods more often than once.
pub const TOGETHER_MIN: u32 = 2;

/// What the contract offers and a store may lack, by its nature or its settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Capability {
    /// A shelf is of one moment, also while events are applied.
    OneMoment,
    /// The server ends a transaction whose client was cut off.
    EndsTransactions,
}

impl Capability {
    /// What follows from its absence, for reports.
    pub fn lack(self) -> Lack {
        match self {
            Self::OneMoment => Lack::new(
                "one moment",
                "a shelf may be made of purchases of the moments in which it was made",
            ),
            Self::EndsTransactions => Lack::new(
                "ends transactions",
                "a network that cuts a process off in the middle of a change leaves the projection locked until TCP gives up; set db.transaction.timeout to some minutes in the server's configuration",
            ),
        }
    }
}

/// Whose purchases a shelf is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A product's.
    Product(Uuid),
    /// A customer's.
    Customer(Uuid),
    /// Everybody's. Its stamp does not change with orders.
    Everybody,
}

/// A shelf as it was made.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    /// Best first.
    pub items: Vec<Suggestion>,
    /// The stamp of its subject at that moment.
    pub stamp: String,
}

/// A store of purchases; the module's documentation says what an adapter has to keep. `limit` is at most
/// [`LIMIT_MAX`](crate::model::LIMIT_MAX).
#[async_trait]
pub trait RecommendationStore: Send + Sync {
    /// What applies events: a projection with two generations.
    fn projection(&self) -> Arc<dyn Consumer>;

    /// Customers who bought this also bought: goods of the newest baskets with the product. Empty for a product that nobody
    /// bought.
    async fn also_bought(&self, product: Uuid, limit: usize) -> Result<Made, StoreError>;

    /// What goes with these products, without them: goods that are in at least [`TOGETHER_MIN`] baskets with them. Of more
    /// than [`ANCHORS_MAX`](crate::scoring::ANCHORS_MAX) products the first count. Its stamp is everybody's.
    async fn bought_together(&self, products: &[Uuid], limit: usize) -> Result<Made, StoreError>;

    /// What the customer may want, by what the customer's latest goods were bought with; filled up with what is popular. For
    /// somebody who bought nothing, all of it is.
    async fn for_you(&self, customer: Uuid, scope: Scope, limit: usize) -> Result<Made, StoreError>;

    /// What the customer may want again: goods bought before, without those that were [just bought](JUST_BOUGHT) or of which
    /// as many units were given back as bought.
    async fn buy_again(&self, customer: Uuid, limit: usize) -> Result<Made, StoreError>;

    /// What many buy these days; then, with a score of 0, what is in most baskets.
    async fn popular(&self, limit: usize) -> Result<Made, StoreError>;

    /// The subject's stamp now; `None` when one of `shown` is not sold any more.
    async fn stamp(&self, subject: Subject, shown: &[Uuid]) -> Result<Option<String>, StoreError>;

    /// Fails when the store does not answer.
    async fn ping(&self) -> Result<(), StoreError>;

    /// What this store does not give; empty when it keeps the whole contract.
    fn lacks(&self) -> &[Capability];
}

pub use emporium_moving::Group;

/// Opens the store that `EMPORIUM_RECOMMENDATIONS_STORE` names, or the service's own database when it names none, with what moves
/// it to another one. An error is one line that names the setting; there is no falling back to another store.
pub async fn open(
    environment: &Environment,
    group: &Group,
) -> Result<Moving<dyn RecommendationStore>, StartError> {
    let group = group.clone();
    Moving::open(environment, SETTING, move |environment| {
        open_side(environment, group.clone())
    })
    .await
}

/// The store behind the gate of a move.
pub fn gated(
    moving: &Moving<dyn RecommendationStore>,
    environment: &Environment,
) -> Result<Arc<dyn RecommendationStore>, StartError> {
    let gated = GatedRecommendations::new(moving.gate());
    let setting = environment.stores.setting(SETTING);
    Ok(Arc::new(
        gated.map_err(|error| setting.failed(environment, error))?,
    ))
}

/// Opens the store that the environment's setting names. The scheme picks the adapter.
pub async fn open_side(
    environment: Environment,
    group: Group,
) -> Result<Side<dyn RecommendationStore>, StartError> {
    let setting = environment.stores.setting(SETTING);
    match setting.scheme().as_str() {
        POSTGRES => {
            let db = setting.postgres(&environment).await?;
            let not_migrated = |error| setting.not_migrated(&environment, error);
            PostgresRecommendations::migrate(&db)
                .await
                .map_err(not_migrated)?;
            let moves = PostgresMoving::open(db.clone(), environment.service).await;
            let moves = moves.map_err(not_migrated)?;
            let store = PostgresRecommendations::open(db.clone(), environment.clock.clone()).await?;
            let lacks: Vec<Lack> = store.lacks().iter().map(|lack| lack.lack()).collect();
            let opened = Opened::new(Arc::new(store) as _, db, SETTING, lacks);
            Ok(side(opened, setting.address(), Arc::new(moves), &group))
        }
        NEO4J => {
            let store = Neo4jRecommendations::open(&setting, &environment).await?;
            let lacks: Vec<Lack> = store.lacks().iter().map(|lack| lack.lack()).collect();
            let (server, moves) = (store.client(), store.standing());
            // One database has the graphs of several shops.
            let address = format!("{}?shop={}", setting.address(), store.shop());
            let opened = Opened::new(Arc::new(store) as _, server, SETTING, lacks);
            Ok(side(opened, address, Arc::new(moves), &group))
        }
        _ => Err(setting.unknown_scheme(&[POSTGRES, NEO4J])),
    }
}

/// Nothing is copied: all of it is built from the owners' histories.
fn side(
    opened: Opened<dyn RecommendationStore>,
    address: String,
    register: Arc<dyn Register>,
    group: &Group,
) -> Side<dyn RecommendationStore> {
    let projection = opened.store.projection();
    Side::of(opened, address, register).building(projection, group)
}
