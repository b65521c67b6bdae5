//! Filling a store, and recording what is measured.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::bare::Bare;
use super::compare::{Call, Side};
use super::places::Place;
use super::record::{Command, Exchange, same};

/// Callers that fill a store.
const FILLERS: usize = 32;

/// An id for number `number` of a kind: the same in each run and on each adapter.
pub fn id(kind: &str, number: usize) -> Uuid {
    let digest = Sha256::digest(format!("{kind} {number}"));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

/// Makes calls 0 to `count`, many at once.
pub async fn fill(count: usize, make: impl Fn(usize) -> Call + Send + Sync + 'static) -> anyhow::Result<()> {
    let (next, make) = (Arc::new(AtomicUsize::new(0)), Arc::new(make));
    let fillers: Vec<_> = (0..FILLERS)
        .map(|_| {
            let (next, make) = (next.clone(), make.clone());
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return anyhow::Ok(());
                    }
                    make(number).await?;
                }
            })
        })
        .collect();
    for filler in fillers {
        filler.await?.context("filling the store")?;
    }
    Ok(())
}

/// Makes calls 0 to `count` one after the other through the recorder; gives what each of them said.
pub async fn record<F>(
    place: &Place,
    count: usize,
    call: impl Fn(usize) -> F,
) -> anyhow::Result<Vec<Exchange>>
where
    F: Future<Output = anyhow::Result<()>>,
{
    place.recorder.take()?;
    let mut exchanges = Vec::with_capacity(count);
    for number in 0..count {
        call(number).await?;
        exchanges.push(place.recorder.take()?);
    }
    Ok(exchanges)
}

/// Has the bare client say the same through the recorder; fails when it does not, or is told something else.
pub async fn check(place: &Place, exchanges: &[Exchange], reads: bool) -> anyhow::Result<()> {
    let Some(first) = exchanges.first() else {
        return Ok(());
    };
    if reads {
        // Connecting and preparing is nobody's answer.
        place.recorded_bare.run(&first.commands, None).await?;
        place.recorder.take()?;
    }
    for (number, exchange) in exchanges.iter().enumerate() {
        place.recorded_bare.run(&exchange.commands, None).await?;
        let mut bare = place.recorder.take()?;
        if number == 0 {
            // A write cannot be tried beforehand; what it sends besides is connecting and looking up types.
            bare.commands
                .retain(|command| exchange.commands.contains(command));
        }
        same(exchange, &bare, reads)
            .with_context(|| format!("{} is not compared with its like", place.adapter))?;
    }
    Ok(())
}

/// The bare client's side: what was recorded, by number.
pub fn replay(bare: &Bare, exchanges: Vec<Exchange>) -> Side {
    let commands: Vec<Arc<Vec<Command>>> = exchanges
        .into_iter()
        .map(|exchange| Arc::new(exchange.commands))
        .collect();
    let bare = bare.clone();
    Arc::new(move |_, index| {
        let (bare, commands) = (bare.clone(), commands[index].clone());
        Box::pin(async move { bare.run(&commands, None).await })
    })
}
