//! Turns within this process: who changes the same product's summary waits here instead of conflicting at the server, where all
//! but one would have to begin again. Nothing depends on it but speed: other processes know nothing of these turns.

use std::collections::BTreeSet;

use tokio::sync::{Mutex, MutexGuard};
use uuid::Uuid;

/// How many products may go side by side at most; products of one stripe share a turn.
const STRIPES: usize = 256;

/// The turns.
pub struct Turns(Vec<Mutex<()>>);

impl Turns {
    pub fn new() -> Self {
        Self((0..STRIPES).map(|_| Mutex::new(())).collect())
    }

    /// The turns of these products, in one order for everybody.
    pub async fn take(&self, products: impl IntoIterator<Item = Uuid>) -> Vec<MutexGuard<'_, ()>> {
        let stripes: BTreeSet<usize> = products.into_iter().map(|id| stripe(id, STRIPES)).collect();
        let mut turns = Vec::with_capacity(stripes.len());
        for place in stripes {
            turns.push(self.0[place].lock().await);
        }
        turns
    }
}

/// One of so many, by the random end of an id.
pub fn stripe(id: Uuid, count: usize) -> usize {
    let bytes = id.as_bytes();
    usize::from(bytes[15])
        .wrapping_mul(31)
        .wrapping_add(usize::from(bytes[14]))
        % count
}
