//! Stock: units on hand and units reserved of them. Everything that moves units goes through [`Store::move_stock`].

use std::collections::HashMap;

use emporium_event_bus::event::NewEvent;
use emporium_service_kit::{Tx, ids};
use sqlx::FromRow;
use uuid::Uuid;

use super::Store;
use crate::error::Error;
use crate::events::StockChanged;
use crate::model::{ON_HAND_MAX, Product, StockChange};
use crate::search::postgres::Trade;

/// A product's stock, locked.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Stock {
    /// The product.
    pub product_id: Uuid,
    /// Units in the warehouse.
    pub on_hand: i64,
    /// Units of them that are kept for orders.
    pub reserved: i64,
    /// Units sold.
    pub popularity: i64,
    /// Whether it is off sale.
    pub archived: bool,
    /// The product's version.
    pub version: i64,
}

impl Stock {
    /// Units that can still be reserved.
    pub fn available(&self) -> i64 {
        self.on_hand - self.reserved
    }

    /// The state after a move, with the next version.
    fn after(&self, movement: &Movement) -> Self {
        Self {
            on_hand: self.on_hand.saturating_add(movement.on_hand),
            reserved: self.reserved.saturating_add(movement.reserved),
            version: self.version + 1,
            ..self.clone()
        }
    }

    /// As the search index is told.
    pub fn trade(&self) -> Trade {
        Trade {
            id: self.product_id,
            version: self.version,
            in_stock: self.available() > 0,
            popularity: self.popularity,
        }
    }
}

/// Units that move.
#[derive(Debug, Clone)]
pub struct Movement {
    /// The product.
    pub product_id: Uuid,
    /// Change of the units on hand.
    pub on_hand: i64,
    /// Change of the units reserved.
    pub reserved: i64,
    /// What to call it.
    pub reason: String,
    /// On whose behalf.
    pub reference: Option<Uuid>,
}

/// Locks products in the order of their ids; unknown ones are left out.
pub async fn lock(tx: &mut Tx, ids: &[Uuid]) -> Result<Vec<Stock>, sqlx::Error> {
    sqlx::query_as(
        "SELECT product_id, on_hand, reserved, popularity, archived, version FROM catalog_stock
         WHERE product_id = ANY ($1) ORDER BY product_id FOR UPDATE",
    )
    .bind(ids)
    .fetch_all(tx)
    .await
}

impl Store {
    /// Carries out moves of locked products, writes their events and keeps the search index up to date. Gives whether a
    /// product came into stock or ran out, so that the caller forgets summaries after the commit.
    pub async fn move_stock(
        &self,
        tx: &mut Tx,
        locked: Vec<Stock>,
        movements: &[Movement],
    ) -> Result<bool, Error> {
        let before: HashMap<Uuid, Stock> = locked
            .into_iter()
            .map(|stock| (stock.product_id, stock))
            .collect();
        let mut after: HashMap<Uuid, Stock> = HashMap::new();
        let mut events = Vec::with_capacity(movements.len());
        for movement in movements {
            let id = movement.product_id;
            let now = after
                .get(&id)
                .or_else(|| before.get(&id))
                .ok_or(Error::UnknownProduct)?;
            let next = now.after(movement);
            events.push(NewEvent::now(
                &self.clock,
                id,
                next.version,
                &changed(&next, movement),
            )?);
            after.insert(id, next);
        }
        self.write_stock(tx, after.values()).await?;
        self.outbox.write(tx, &events).await?;
        let turned: Vec<Trade> = after
            .values()
            .filter(|stock| !stock.archived)
            .filter(|stock| {
                before
                    .get(&stock.product_id)
                    .is_some_and(|b| (b.available() > 0) != (stock.available() > 0))
            })
            .map(Stock::trade)
            .collect();
        self.search.write_trades(tx, &turned).await?;
        Ok(!turned.is_empty())
    }

    async fn write_stock(
        &self,
        tx: &mut Tx,
        stocks: impl Iterator<Item = &Stock> + Clone,
    ) -> Result<(), sqlx::Error> {
        sqlx::query(
            "UPDATE catalog_stock AS s
             SET on_hand = n.on_hand, reserved = n.reserved, version = n.version, updated_at = $5
             FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[]) AS n (id, on_hand, reserved, version)
             WHERE s.product_id = n.id",
        )
        .bind(stocks.clone().map(|stock| stock.product_id).collect::<Vec<_>>())
        .bind(stocks.clone().map(|stock| stock.on_hand).collect::<Vec<_>>())
        .bind(stocks.clone().map(|stock| stock.reserved).collect::<Vec<_>>())
        .bind(stocks.map(|stock| stock.version).collect::<Vec<_>>())
        .bind(self.clock.now())
        .execute(tx)
        .await?;
        Ok(())
    }

    /// After the commit of moves.
    pub fn moved(&self, turned: bool) {
        self.outbox.wake();
        if turned {
            self.search.forget_summaries();
        }
    }

    /// Changes the units on hand; with a key, at most once.
    pub async fn change_stock(
        &self,
        id: Uuid,
        change: &StockChange,
        key: Option<&str>,
    ) -> Result<Product, Error> {
        let reason = change.reason.as_deref().unwrap_or("adjusted").trim();
        let mut tx = self.db.begin().await?;
        let locked = lock(&mut tx, &[id]).await?;
        let stock = locked.first().ok_or(Error::UnknownProduct)?;
        if let Some(key) = key
            && was_done(&mut tx, id, key, change.delta, reason).await?
        {
            tx.rollback().await?;
            return self.product(id).await;
        }
        check(stock, change.delta)?;
        sqlx::query(
            "INSERT INTO catalog_stock_adjustment (id, product_id, delta, reason, at, idempotency_key)
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(ids::new(&self.clock))
        .bind(id)
        .bind(change.delta)
        .bind(reason)
        .bind(self.clock.now())
        .bind(key)
        .execute(&mut tx)
        .await?;
        let movement = Movement {
            product_id: id,
            on_hand: change.delta,
            reserved: 0,
            reason: reason.to_owned(),
            reference: None,
        };
        let turned = self.move_stock(&mut tx, locked, &[movement]).await?;
        tx.commit().await?;
        self.moved(turned);
        self.product(id).await
    }
}

fn changed(stock: &Stock, movement: &Movement) -> StockChanged {
    StockChanged {
        product_id: stock.product_id,
        on_hand: stock.on_hand,
        reserved: stock.reserved,
        available: stock.available(),
        reason: movement.reason.clone(),
        reference: movement.reference,
        version: stock.version,
    }
}

fn check(stock: &Stock, delta: i64) -> Result<(), Error> {
    let available = stock.available();
    if available.saturating_add(delta) < 0 {
        return Err(Error::StockNegative { available });
    }
    if stock.on_hand.saturating_add(delta) > ON_HAND_MAX {
        return Err(Error::Invalid {
            field: "delta",
            message: format!("there can be at most {ON_HAND_MAX} of a product"),
        });
    }
    Ok(())
}

/// Whether this key's change was made before; an error when it was another one.
async fn was_done(tx: &mut Tx, id: Uuid, key: &str, delta: i64, reason: &str) -> Result<bool, Error> {
    let done: Option<(i64, String)> = sqlx::query_as(
        "SELECT delta, reason FROM catalog_stock_adjustment WHERE product_id = $1 AND idempotency_key = $2",
    )
    .bind(id)
    .bind(key)
    .fetch_optional(tx)
    .await?;
    match done {
        None => Ok(false),
        Some((done_delta, done_reason)) if (done_delta, done_reason.as_str()) == (delta, reason) => Ok(true),
        Some(_) => Err(Error::KeyReused),
    }
}
