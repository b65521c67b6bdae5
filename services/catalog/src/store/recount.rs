//! Counting sales anew, beside what products have, from the history of orders.
//!
//! Popularity is a projection with two generations ([`emporium_event_bus::projection`]) of an uncommon shape: the live generation is
//! always the column `catalog_stock.popularity`, which the search index and all pages follow; the other one is counted aside, in
//! `catalog_recount_units`. While that goes on, living orders count in both. In the end both are compared in one snapshot, in
//! which both have the same orders; then the products that differ get what was counted, some at a time, with one
//! `popularity.changed.v1` each, however many orders were read. Only then are the generations switched, which here means that the
//! numbers 0 and 1 change their sides: claims of orders go with what was counted aside.
//!
//! Why nothing is lost when it is brought over in steps: each step waits for sales that are being counted and keeps others
//! waiting, and sales between two steps count in both, so products that were brought over stay equal. Who dies in the middle is
//! followed by another member, which goes on with those that still differ; what had differed was noted before the first step.

use std::collections::{BTreeMap, HashMap};

use emporium_event_bus::ApplyError;
use emporium_event_bus::projection::Digest;
use emporium_service_kit::Tx;
use uuid::Uuid;

use super::Store;
use super::inventory::{self, Stock};
use super::sales::GROUP;

/// What is compared, as an outcome calls it.
const TABLE: &str = "catalog_stock.popularity";
/// Products brought over in one go.
const BATCH: i64 = 2_000;

/// Whether sales of this generation count in the products; those of the other one count aside. That stays so until the
/// transaction ends: whoever applies an event, or compares, holds the projection's row, or a snapshot of it.
pub async fn is_live(generation: i16, tx: &mut Tx) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT live = $2 FROM catalog_projections WHERE projection = $1")
        .bind(GROUP)
        .bind(generation)
        .fetch_one(tx)
        .await
}

/// Forgets what was counted aside.
pub async fn empty(tx: &mut Tx) -> Result<(), sqlx::Error> {
    sqlx::query("TRUNCATE catalog_recount_units").execute(tx).await?;
    Ok(())
}

/// Counts units aside.
pub async fn add(tx: &mut Tx, sold: &BTreeMap<Uuid, i64>) -> Result<(), sqlx::Error> {
    // In the order of the keys, as the map has them: several members count at once.
    sqlx::query(
        "INSERT INTO catalog_recount_units AS r (product_id, units) SELECT * FROM unnest($1::uuid[], $2::bigint[])
         ON CONFLICT (product_id) DO UPDATE SET units = r.units + excluded.units",
    )
    .bind(sold.keys().copied().collect::<Vec<_>>())
    .bind(sold.values().copied().collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}

/// What a generation says of the products that are known here and were sold. Others that were sold cannot be listed: no
/// generation has them.
pub async fn digest(generation: i16, tx: &mut Tx) -> Result<Digest, sqlx::Error> {
    let sold = if is_live(generation, tx).await? {
        "(SELECT product_id, popularity AS units FROM catalog_stock) AS s WHERE units <> 0"
    } else {
        "catalog_recount_units JOIN catalog_stock USING (product_id) WHERE units <> 0"
    };
    Digest::of_rows(TABLE, &["product_id", "units"], sold, tx).await
}

/// Products whose popularity is another than was counted aside: what it is, and what was counted. In the order of their ids, at
/// most `max`.
pub async fn differences(tx: &mut Tx, max: i64) -> Result<Vec<(Uuid, i64, i64)>, sqlx::Error> {
    sqlx::query_as(
        "SELECT product_id, popularity, coalesce(units, 0)
         FROM catalog_stock LEFT JOIN catalog_recount_units USING (product_id)
         WHERE popularity <> coalesce(units, 0) ORDER BY product_id LIMIT $1",
    )
    .bind(max)
    .fetch_all(tx)
    .await
}

/// The same for people.
pub async fn told(tx: &mut Tx, max: usize) -> Result<Vec<String>, sqlx::Error> {
    let found = differences(tx, i64::try_from(max).unwrap_or(i64::MAX)).await?;
    let line = |(product, was, is): (Uuid, i64, i64)| format!("popularity of {product}: was {was}, is {is}");
    Ok(found.into_iter().map(line).collect())
}

impl Store {
    /// Gives some products the popularity that was counted aside; false when all have theirs.
    pub async fn bring_over(&self, tx: &mut Tx) -> Result<bool, ApplyError> {
        let found = differences(tx, BATCH).await?;
        let found: HashMap<Uuid, i64> = found.into_iter().map(|(id, _, units)| (id, units)).collect();
        if found.is_empty() {
            // Of those before, whose transactions are committed.
            self.outbox.wake();
            return Ok(false);
        }
        let ids: Vec<Uuid> = found.keys().copied().collect();
        let locked = inventory::lock(tx, &ids).await?;
        let after: Vec<Stock> = locked
            .into_iter()
            .map(|stock| Stock {
                popularity: found.get(&stock.product_id).copied().unwrap_or(0),
                version: stock.version + 1,
                ..stock
            })
            .collect();
        self.tell_popularity(tx, &after).await?;
        Ok(true)
    }
}
