//! What this server cannot give.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use emporium_service_kit::stores::EVENTS;
use emporium_service_kit::{Redis, StoreError};

use crate::bus::Capability;

/// Lines about servers that this process has logged. Every service of a shop opens the bus for itself, and what is to be said
/// of it is the same for all. There are as many as there are kinds of promises: a few.
static TOLD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Says in one line, once in a process, what an operator has to know about a server that may lose what it acknowledged.
pub(super) async fn of(redis: &Redis) -> Result<&'static [Capability], StoreError> {
    let promises = redis.promises().await?;
    if promises.survive_power_loss() && !promises.evicts && !promises.replicated {
        return Ok(&[Capability::Ordered]);
    }
    let line = format!(
        "{EVENTS}: this Redis ({}{}{}) may lose events that it has acknowledged; give the bus an instance \
         of its own with appendonly yes, appendfsync always and maxmemory-policy noeviction",
        promises.durability,
        if promises.evicts { ", evicts keys" } else { "" },
        if promises.replicated {
            ", may fail over"
        } else {
            ""
        }
    );
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    if told.insert(line.clone()) {
        tracing::warn!("{line}");
    }
    Ok(&[Capability::Ordered, Capability::Durable])
}
