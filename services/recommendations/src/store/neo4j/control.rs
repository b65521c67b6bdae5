//! What a shop's graph is known by: its number, the projection's state, and the moment.

use emporium_event_bus::projection::{Generation, State, Versioned};
use emporium_service_kit::StoreError;
use serde::{Deserialize, Serialize};

use super::client::Tx;
use super::rows::{ShopRow, ValueRow};
use super::statements as cypher;

/// Builds of a shop; more of them nobody makes.
const BUILDS_BITS: u32 = 32;

/// The state as it is kept: in one property, so that it is read as a whole.
#[derive(Serialize, Deserialize)]
struct Kept {
    version: i64,
    state: State,
}

fn written(version: i64, state: &State) -> Result<String, StoreError> {
    let kept = Kept {
        version,
        state: state.clone(),
    };
    serde_json::to_string(&kept).map_err(|error| StoreError::Failed(error.into()))
}

fn read(row: Option<ValueRow>) -> Result<Versioned, StoreError> {
    let row = row.ok_or_else(|| StoreError::Failed("the shop's State is not there any more".into()))?;
    let kept: Kept = serde_json::from_str(&row.value).map_err(|error| StoreError::Failed(error.into()))?;
    Ok(Versioned {
        version: kept.version,
        state: kept.state,
    })
}

/// The number that rows of a generation begin with: no other generation has it, whatever shop's.
pub(super) fn build(shop: i64, generation: Generation) -> i64 {
    (shop << BUILDS_BITS) | generation.build
}

/// The shop's number; a new shop gets the next one, with an empty graph.
pub(super) async fn shop(tx: &mut Tx, name: &str) -> Result<i64, StoreError> {
    tx.run(&cypher::LOCK_COUNTER, []).await?;
    let known: Option<ShopRow> = tx.row(&cypher::SHOP, [("name", name.into())]).await?;
    if let Some(known) = known {
        return Ok(known.shop);
    }
    let next: Option<ShopRow> = tx.row(&cypher::NEXT_SHOP, []).await?;
    let shop = next
        .ok_or_else(|| StoreError::Failed("shops are not counted".into()))?
        .shop;
    let state = State::default();
    let parameters = [
        ("name", name.into()),
        ("shop", shop.into()),
        ("value", written(0, &state)?.into()),
        ("build", build(shop, state.live()).into()),
    ];
    tx.run(&cypher::CREATE_SHOP, parameters).await?;
    Ok(shop)
}

/// The state as it was committed last.
pub(super) async fn state(tx: &mut Tx, name: &str) -> Result<Versioned, StoreError> {
    read(tx.row(&cypher::READ_STATE, [("name", name.into())]).await?)
}

/// The same, and nobody changes it, nor applies anything, until the transaction ends. The lock is taken by a statement of its
/// own: one that reads and takes it may have read before.
pub(super) async fn locked_state(tx: &mut Tx, name: &str) -> Result<Versioned, StoreError> {
    tx.run(&cypher::LOCK_STATE, [("name", name.into())]).await?;
    state(tx, name).await
}

/// Keeps the next state; the lock is held. When another generation is read from now on, a new moment begins.
pub(super) async fn put_state(
    tx: &mut Tx,
    name: &str,
    shop: i64,
    before: &Versioned,
    next: &State,
) -> Result<(), StoreError> {
    let value = written(before.version + 1, next)?;
    tx.run(
        &cypher::WRITE_STATE,
        [("name", name.into()), ("value", value.into())],
    )
    .await?;
    if next.live() != before.state.live() {
        next_moment(tx, name, build(shop, next.live())).await?;
    }
    Ok(())
}

/// The last statement of an effect: shelves that are being made meet it, or come after it. It is the one statement that may
/// take the lock and change what the lock guards: only holders of the state's lock change that.
pub(super) async fn next_moment(tx: &mut Tx, name: &str, build: i64) -> Result<(), StoreError> {
    tx.run(
        &cypher::NEXT_MOMENT,
        [("name", name.into()), ("build", build.into())],
    )
    .await
}

/// The last statement of filling a generation that nobody reads: shelves do not care.
pub(super) async fn next_filled(tx: &mut Tx, name: &str) -> Result<(), StoreError> {
    tx.run(&cypher::NEXT_FILLED, [("name", name.into())]).await
}
