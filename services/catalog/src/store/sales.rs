//! Sales, as the orders service tells them: they make products popular.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use emporium_event_bus::event::{CloudEvent, NewEvent};
use emporium_event_bus::{ApplyError, Consumer, inbox};
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

/// Counts units sold. A whole batch of orders takes some six statements: events are claimed in the inbox together, and
/// products that many orders have are written once, with one event each.
pub struct SalesCounter(pub Store);

#[async_trait::async_trait]
impl Consumer for SalesCounter {
    fn kinds(&self) -> &'static [&'static str] {
        &[CONFIRMED]
    }

    async fn apply(&self, events: &[&CloudEvent]) -> Result<(), ApplyError> {
        let orders: Vec<(Uuid, Confirmed)> = events
            .iter()
            .map(|event| Ok((event.id, event.data()?)))
            .collect::<Result<_, serde_json::Error>>()?;
        let Self(store) = self;
        let mut tx = store.db.begin().await?;
        let ids: Vec<Uuid> = orders.iter().map(|(id, _)| *id).collect();
        let claimed = inbox::claim(&mut tx, ServiceName::Catalog, GROUP, &ids).await?;
        let mut claimed: HashSet<Uuid> = claimed.into_iter().collect();
        // Taken out, so that an event that comes twice in one batch counts once as well.
        let fresh = orders.iter().filter(|(id, _)| claimed.remove(id));
        let sold = units_sold(fresh.map(|(_, order)| order));
        if !sold.is_empty() {
            if recount::is_under_way(&mut tx).await? {
                recount::add(&mut tx, &sold).await?;
            } else {
                store.count(&mut tx, &sold).await?;
            }
        }
        tx.commit().await?;
        store.outbox.wake();
        Ok(())
    }

    fn can_reset(&self) -> bool {
        true
    }

    /// Begins counting anew, aside; products keep their popularity until that is done ([`recount`]).
    async fn reset(&self) -> Result<(), ApplyError> {
        let mut tx = self.0.db.begin().await?;
        inbox::reset(&mut tx, ServiceName::Catalog, GROUP).await?;
        recount::begin(&mut tx).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn unfinished_reset(&self) -> Result<Option<Uuid>, ApplyError> {
        Ok(inbox::unfinished_reset(&self.0.db, ServiceName::Catalog, GROUP).await?)
    }

    async fn rebuilt(&self, reset: Uuid) -> Result<bool, ApplyError> {
        Ok(inbox::rebuilt(&self.0.db, ServiceName::Catalog, GROUP, reset).await?)
    }

    async fn reap(&self, age: Duration) -> Result<u64, ApplyError> {
        Ok(inbox::reap(&self.0.db, ServiceName::Catalog, GROUP, age).await?)
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
