//! The reaper: gives back stock that was reserved and never bought.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::store::Store;

/// How often it looks. Until it does, an expired reservation is refused but its stock not yet available.
const PAUSE: Duration = Duration::from_secs(1);
/// Looks between two rounds of forgetting old reservations.
const ROUNDS: u32 = 600;

/// Ends reservations whose time is up until told to stop.
pub async fn run(store: Store, stop: CancellationToken) -> anyhow::Result<()> {
    let mut round: u32 = 0;
    while !stop.is_cancelled() {
        let mut ended = store.expire_step().await?;
        if round.is_multiple_of(ROUNDS) {
            ended += usize::try_from(store.forget_step().await?)?;
        }
        // Full of work: go on at once, but stay within this round.
        if ended == 0 {
            round = round.wrapping_add(1);
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }
    Ok(())
}
