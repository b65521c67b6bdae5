//! Counting sales anew, when the group of the bus is rebuilt from the history of orders.
//!
//! While that goes on, units are counted aside and products keep the popularity they had. When the bus says that the group is
//! built, each product whose count came out differently is told of once, however many orders were read. Counting in the
//! products themselves would take their popularity to nothing and back in hundreds of steps, with an event for each that all
//! readers have to follow.
//!
//! A recount has an id, which comes with the reset and so with the emptied inbox, in one transaction. From then on all sales
//! are counted aside, those of living orders too, until a transaction finds no product that differs and ends the recount.
//! So dying anywhere loses nothing: in the middle of the history the next member resets again, which begins another recount;
//! afterwards whoever looks next brings over what still differs.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use emporium_event_bus::{ApplyError, Bus};
use emporium_service_kit::Tx;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Store;
use super::inventory::{self, Stock};
use super::sales::GROUP;

/// How often it is looked whether a recount is done: how long its result, and sales since, may wait for the products.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Products brought over in one go.
const BATCH: i64 = 2_000;

/// Begins a recount in the transaction that forgets which orders were counted; one that was under way is void.
pub async fn begin(tx: &mut Tx) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE catalog_recount SET id = gen_random_uuid()")
        .execute(&mut *tx)
        .await?;
    sqlx::query("DELETE FROM catalog_recount_units")
        .execute(tx)
        .await?;
    Ok(())
}

/// Whether sales are counted aside. That stays so until the transaction ends.
pub async fn is_under_way(tx: &mut Tx) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT id IS NOT NULL FROM catalog_recount FOR SHARE")
        .fetch_one(tx)
        .await
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

/// Brings over what was counted, whenever the bus says that the group is built, until told to stop.
pub async fn run(store: Store, bus: Arc<dyn Bus>, stop: CancellationToken) -> anyhow::Result<()> {
    let look_for_ever = async {
        loop {
            look(&store, bus.as_ref()).await?;
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    // Stopping in the middle is like a crash there.
    tokio::select! {
        biased;
        () = stop.cancelled() => Ok(()),
        result = look_for_ever => result,
    }
}

/// Brings over what was counted, if the bus says that the group is built.
pub async fn look(store: &Store, bus: &dyn Bus) -> anyhow::Result<()> {
    // In this order: the bus answers for the recount that was found, or for a later one, which changes the id.
    if let Some(recount) = store.recount().await?
        && bus.progress(GROUP).await?.is_some()
    {
        while store.bring_over(recount).await? {}
    }
    Ok(())
}

impl Store {
    /// The recount that is under way.
    pub async fn recount(&self) -> Result<Option<Uuid>, sqlx::Error> {
        sqlx::query_scalar("SELECT id FROM catalog_recount")
            .fetch_one(&self.db)
            .await
    }

    /// Gives some products the popularity that this recount found, or ends it when all have theirs; true when there is more to
    /// do. Does nothing when it is not under way any more.
    pub async fn bring_over(&self, recount: Uuid) -> Result<bool, ApplyError> {
        let mut tx = self.db.begin().await?;
        // Waits for sales that are being counted aside, and keeps others waiting.
        let held: Option<bool> =
            sqlx::query_scalar("SELECT true FROM catalog_recount WHERE id = $1 FOR UPDATE")
                .bind(recount)
                .fetch_optional(&mut tx)
                .await?;
        if held.is_none() {
            tx.rollback().await?;
            return Ok(false);
        }
        let found: HashMap<Uuid, i64> = differences(&mut tx).await?.into_iter().collect();
        if found.is_empty() {
            end(&mut tx).await?;
        } else {
            let ids: Vec<Uuid> = found.keys().copied().collect();
            let locked = inventory::lock(&mut tx, &ids).await?;
            let after: Vec<Stock> = locked
                .into_iter()
                .map(|stock| Stock {
                    popularity: found.get(&stock.product_id).copied().unwrap_or(0),
                    version: stock.version + 1,
                    ..stock
                })
                .collect();
            self.tell_popularity(&mut tx, &after).await?;
        }
        tx.commit().await?;
        self.outbox.wake();
        if found.is_empty() {
            tracing::info!("sales are counted anew");
        }
        Ok(!found.is_empty())
    }
}

/// Products whose popularity is another than was counted, with what was.
async fn differences(tx: &mut Tx) -> Result<Vec<(Uuid, i64)>, sqlx::Error> {
    sqlx::query_as(
        "SELECT product_id, coalesce(units, 0) FROM catalog_stock LEFT JOIN catalog_recount_units USING (product_id)
         WHERE popularity <> coalesce(units, 0) LIMIT $1",
    )
    .bind(BATCH)
    .fetch_all(tx)
    .await
}

/// All is brought over: from here on sales are counted in the products again.
async fn end(tx: &mut Tx) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE catalog_recount SET id = NULL")
        .execute(&mut *tx)
        .await?;
    sqlx::query("DELETE FROM catalog_recount_units")
        .execute(tx)
        .await?;
    Ok(())
}
