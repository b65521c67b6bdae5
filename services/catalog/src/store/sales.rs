//! Sales, as the orders service tells them: they make products popular.

use std::collections::BTreeMap;
use std::time::Duration;

use emporium_event_bus::event::{CloudEvent, NewEvent};
use emporium_event_bus::projection::{Digest, Generations};
use emporium_event_bus::{ApplyError, Consumer, GenerationHandler, Outbox, PostgresProjection, Table};
use emporium_service_kit::{ServiceName, Tx};
use serde::Deserialize;
use uuid::Uuid;

use super::Store;
use super::inventory::{self, Stock};
use super::recount;
use crate::events::PopularityChanged;
use crate::search::postgres::Trade;

/// The consumer group.
pub const GROUP: &str = "catalog";
const CONFIRMED: &str = "order.confirmed.v1";
/// So many events at once are written as bulk loads write theirs, which is cheaper.
const MANY_EVENTS: usize = 200;
/// A quantity beyond this in one order is not believed.
const QUANTITY_MAX: i64 = 1_000_000;

/// What the catalog reads of a confirmed order.
#[derive(Debug, Deserialize)]
struct Confirmed {
    lines: Vec<Line>,
}

#[derive(Debug, Deserialize)]
struct Line {
    product_id: Uuid,
    quantity: i64,
}

/// Counts units sold. A whole batch of orders takes some eight statements: events are claimed in the inbox together, and
/// products that many orders have are written once, with one event each.
pub struct Sales(Store);

/// The consumer of orders: popularity as a projection, whose other generation [`recount`] counts aside.
pub struct SalesCounter {
    outbox: Outbox,
    projection: PostgresProjection<Sales>,
}

impl SalesCounter {
    /// Counts in that store.
    pub async fn open(store: &Store) -> Result<Self, sqlx::Error> {
        let (db, sales) = (store.db.clone(), Sales(store.clone()));
        Ok(Self {
            outbox: store.outbox.clone(),
            projection: PostgresProjection::open(db, ServiceName::Catalog, GROUP, sales).await?,
        })
    }
}

#[async_trait::async_trait]
impl Consumer for SalesCounter {
    fn kinds(&self) -> &'static [&'static str] {
        self.projection.kinds()
    }

    async fn apply(&self, events: &[&CloudEvent]) -> Result<(), ApplyError> {
        self.projection.apply(events).await?;
        self.outbox.wake();
        Ok(())
    }

    fn generations(&self) -> Option<&dyn Generations> {
        self.projection.generations()
    }

    async fn reap(&self, age: Duration) -> Result<u64, ApplyError> {
        self.projection.reap(age).await
    }
}

#[async_trait::async_trait]
impl GenerationHandler for Sales {
    fn kinds(&self) -> &'static [&'static str] {
        &[CONFIRMED]
    }

    /// None that is partitioned: what takes their place is in [`recount`].
    fn tables(&self) -> &'static [Table] {
        &[]
    }

    async fn handle(&self, events: &[&CloudEvent], generation: i16, tx: &mut Tx) -> Result<(), ApplyError> {
        let orders: Vec<Confirmed> = events
            .iter()
            .map(|event| event.data())
            .collect::<Result<_, _>>()?;
        let sold = units_sold(orders.iter());
        if sold.is_empty() {
            return Ok(());
        }
        if recount::is_live(generation, tx).await? {
            self.0.count(tx, &sold).await
        } else {
            Ok(recount::add(tx, &sold).await?)
        }
    }

    async fn empty(&self, _: i16, tx: &mut Tx) -> Result<(), ApplyError> {
        Ok(recount::empty(tx).await?)
    }

    async fn digest(&self, generation: i16, tx: &mut Tx) -> Result<Vec<Digest>, ApplyError> {
        Ok(vec![recount::digest(generation, tx).await?])
    }

    async fn differences(&self, _: i16, _: i16, max: usize, tx: &mut Tx) -> Result<Vec<String>, ApplyError> {
        Ok(recount::told(tx, max).await?)
    }

    async fn bring_over(&self, _: i16, _: i16, tx: &mut Tx) -> Result<bool, ApplyError> {
        self.0.bring_over(tx).await
    }
}

impl Store {
    /// Counts units in the products.
    async fn count(&self, tx: &mut Tx, sold: &BTreeMap<Uuid, i64>) -> Result<(), ApplyError> {
        let ids: Vec<Uuid> = sold.keys().copied().collect();
        // Products that are not known here are passed over: they cannot be listed either.
        let locked = inventory::lock(tx, &ids).await?;
        let after: Vec<Stock> = locked.iter().map(|stock| more_popular(stock, sold)).collect();
        self.tell_popularity(tx, &after).await
    }

    /// Writes the popularity of locked products, and the search index and events. Last thing before the commit.
    pub(super) async fn tell_popularity(&self, tx: &mut Tx, stocks: &[Stock]) -> Result<(), ApplyError> {
        let events = self.write_popularity(tx, stocks).await?;
        if events.len() >= MANY_EVENTS {
            self.outbox.write_bulk(tx, &events).await?;
        } else {
            self.outbox.write(tx, &events).await?;
        }
        Ok(())
    }

    /// Writes what was sold of locked products, and the search index; gives the events for the outbox.
    async fn write_popularity(&self, tx: &mut Tx, stocks: &[Stock]) -> Result<Vec<NewEvent>, ApplyError> {
        sqlx::query(
            "UPDATE catalog_stock AS s SET popularity = n.popularity, version = n.version, updated_at = $4
             FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) AS n (id, popularity, version)
             WHERE s.product_id = n.id",
        )
        .bind(stocks.iter().map(|stock| stock.product_id).collect::<Vec<_>>())
        .bind(stocks.iter().map(|stock| stock.popularity).collect::<Vec<_>>())
        .bind(stocks.iter().map(|stock| stock.version).collect::<Vec<_>>())
        .bind(self.clock.now())
        .execute(&mut *tx)
        .await?;
        let listed = stocks.iter().filter(|stock| !stock.archived);
        let trades: Vec<Trade> = listed.map(Stock::trade).collect();
        self.search.write_trades(tx, &trades).await?;
        let event = |stock: &Stock| {
            let data = PopularityChanged {
                product_id: stock.product_id,
                popularity: stock.popularity,
                version: stock.version,
            };
            NewEvent::now(&self.clock, stock.product_id, stock.version, &data)
        };
        Ok(stocks.iter().map(event).collect::<Result<_, _>>()?)
    }
}

fn units_sold<'a>(orders: impl Iterator<Item = &'a Confirmed>) -> BTreeMap<Uuid, i64> {
    let mut sold: BTreeMap<Uuid, i64> = BTreeMap::new();
    for line in orders.flat_map(|order| &order.lines) {
        let units = sold.entry(line.product_id).or_default();
        *units = units.saturating_add(line.quantity.clamp(0, QUANTITY_MAX));
    }
    sold
}

fn more_popular(stock: &Stock, sold: &BTreeMap<Uuid, i64>) -> Stock {
    let units = sold.get(&stock.product_id).copied().unwrap_or(0);
    Stock {
        popularity: stock.popularity.saturating_add(units),
        version: stock.version + 1,
        ..stock.clone()
    }
}
