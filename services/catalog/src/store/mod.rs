//! The truth: products, stock and reservations in the private PostgreSQL database. Tables carry the prefix `catalog_`, and
//! no statement names a schema.
//!
//! One row locks a product: its row in `catalog_stock`, which also counts its version. Locks are taken in this order
//! everywhere, so that transactions never wait for each other in a circle: reservation or projection, stock rows by product id,
//! search index (vocabulary and counters by their keys).

use emporium_event_bus::Outbox;
use emporium_service_kit::{Clock, Currency, Db};

use crate::search::postgres::PostgresSearch;

pub mod adjustments;
pub mod bulk;
pub mod inventory;
pub mod products;
pub mod recount;
pub mod reservations;
pub mod sales;
#[cfg(test)]
mod tests;

/// What every part of the store works with.
#[derive(Clone)]
pub struct Store {
    /// The private database.
    pub db: Db,
    /// Where events are written.
    pub outbox: Outbox,
    /// Time.
    pub clock: Clock,
    /// The shop's currency.
    pub currency: Currency,
    /// The search index in the same database, written in the same transactions.
    pub search: PostgresSearch,
}
