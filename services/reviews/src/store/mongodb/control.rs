//! The projection's state in this store, and the fences that keep effects and changes of it apart.
//!
//! Transactions run in snapshots, and reading locks nothing. So that an effect never goes to a generation that has ceased to be a
//! target, both write something that the other one writes: an effect one of [`FENCES`] documents, a change of the targets all
//! of them. Of two that overlap, the one that commits second is refused (error 112) and begins again. One document would do for
//! that, but then effects would refuse each other as well.

use emporium_event_bus::projection::{Generation, State, Versioned};
use emporium_service_kit::StoreError;
use mongodb::bson::{Bson, Document, doc};
use uuid::Uuid;

use super::client::{LONG_ANSWER, Mongo, Try};
use super::codec::{Fields, binary};
use super::error::{Fault, foreign};
use super::schema::{CONTROL, FENCE, FENCES};
use super::turns::stripe;
use super::tx::{Find, Tx};

/// The name of the state's document.
const STATE: &str = "ratings";
/// The name of the document by which effects are asked for a moment's rest.
const CLOSING: &str = "closing";

/// The state, for readers.
pub async fn state(tx: &mut Tx) -> Result<Versioned, Fault> {
    Ok(versioned(tx.one(CONTROL, doc! { "_id": STATE }).await?)?)
}

fn versioned(document: Option<Document>) -> Result<Versioned, StoreError> {
    let Some(document) = document else {
        return Ok(Versioned {
            version: 0,
            state: State::default(),
        });
    };
    let state = document.text("state")?;
    Ok(Versioned {
        version: document.long("revision")?,
        state: serde_json::from_str(&state).map_err(|_| foreign("state"))?,
    })
}

/// The state, for an effect: it steps aside while the targets are being changed.
pub async fn for_effect(tx: &mut Tx) -> Result<Versioned, Fault> {
    let find = Find::by(doc! { "_id": { "$in": [STATE, CLOSING] } });
    let (mut state, mut closing) = (None, None);
    for document in tx.find(CONTROL, find).await? {
        match document.get_str("_id") {
            Ok(STATE) => state = Some(document),
            _ => closing = document.has("by").then(|| document.uuid("by")).transpose()?,
        }
    }
    match closing {
        Some(by) if !tx.presses_on() => Err(Fault::Closing(by)),
        _ => Ok(versioned(state)?),
    }
}

/// Writes one fence: nobody changes the targets between this transaction's snapshot and its commit.
pub async fn touch(tx: &mut Tx, by: Uuid) -> Result<(), Fault> {
    let count = usize::try_from(FENCES).unwrap_or(1);
    let place = i32::try_from(stripe(by, count)).unwrap_or(0);
    write(tx, doc! { "_id": place }, 1).await
}

async fn write(tx: &mut Tx, which: Document, count: i64) -> Result<(), Fault> {
    let updates = [doc! { "q": which, "u": { "$inc": { "touched": 1_i64 } }, "multi": true }];
    let reply = tx
        .run(doc! { "update": FENCE, "updates": updates.to_vec() })
        .await?;
    if super::shape::count(&reply) == count {
        Ok(())
    } else {
        Err(Fault::Store(foreign("fences are missing")))
    }
}

/// Keeps the next state, in a transaction of the caller's; false when the state is not at this version any more.
pub async fn keep(tx: &mut Tx, version: i64, next: &State) -> Result<bool, Fault> {
    let text = serde_json::to_string(next).map_err(|error| StoreError::Failed(error.into()))?;
    keep_text(tx, STATE, version, &text).await
}

/// The same for the text of any document of [`CONTROL`].
pub async fn keep_text(tx: &mut Tx, name: &str, version: i64, text: &str) -> Result<bool, Fault> {
    let set = doc! { "$set": { "revision": version + 1, "state": text } };
    // A first one is made; whoever else makes it at the same time meets its key.
    let filter = doc! { "_id": name, "revision": version };
    let written = tx.update(CONTROL, vec![(filter, set.clone())], false).await?;
    if written > 0 || version > 0 {
        return Ok(written > 0);
    }
    if tx.one(CONTROL, doc! { "_id": name }).await?.is_some() {
        return Ok(false);
    }
    tx.update(CONTROL, vec![(doc! { "_id": name }, set)], true)
        .await?;
    Ok(true)
}

impl Mongo {
    /// The state as everybody sees it.
    pub async fn state(&self) -> Result<Versioned, StoreError> {
        let find = Find::by(doc! { "_id": STATE }).limit(1);
        versioned(self.read(find.command(CONTROL)).await?.pop())
    }

    /// Compare-and-swap of the state. When the targets change, no effect overlaps it.
    pub async fn swap(&self, version: i64, next: &State) -> Result<bool, StoreError> {
        let now = self.state().await?;
        if now.version != version {
            return Ok(false);
        }
        if places(&now.state.targets()) == places(&next.targets()) {
            return self
                .retried(Try::within(LONG_ANSWER), |at| {
                    self.try_swap(at, version, next, false)
                })
                .await;
        }
        self.close(Some(Uuid::now_v7())).await?;
        let swapped = self
            .retried(Try::within(LONG_ANSWER), |at| {
                self.try_swap(at, version, next, true)
            })
            .await;
        if !matches!(swapped, Ok(true)) {
            self.close(None).await?;
        }
        swapped
    }

    async fn try_swap(&self, at: Try, version: i64, next: &State, fenced: bool) -> Result<bool, Fault> {
        let mut tx = self.begin(at).await?;
        if fenced {
            write(&mut tx, doc! {}, i64::from(FENCES)).await?;
        }
        if !keep(&mut tx, version, next).await? {
            tx.abort().await?;
            return Ok(false);
        }
        if fenced {
            set_closing(&mut tx, None).await?;
        }
        tx.commit().await?;
        Ok(true)
    }

    /// Begs effects for a moment's rest, or no longer. It is a courtesy with an end of its own: nothing depends on it.
    async fn close(&self, by: Option<Uuid>) -> Result<(), StoreError> {
        self.retried(Try::within(LONG_ANSWER), |at| async move {
            let mut tx = self.begin(at).await?;
            set_closing(&mut tx, by).await?;
            tx.commit().await
        })
        .await
    }
}

async fn set_closing(tx: &mut Tx, by: Option<Uuid>) -> Result<(), Fault> {
    let by = by.map_or(Bson::Null, |by| binary(by.as_bytes().to_vec()));
    let set = doc! { "$set": { "by": by } };
    tx.update(CONTROL, vec![(doc! { "_id": CLOSING }, set)], false)
        .await?;
    Ok(())
}

fn places(targets: &[Generation]) -> Vec<(i16, i64)> {
    targets
        .iter()
        .map(|target| (target.place, target.build))
        .collect()
}
