//! Removes what has expired, in bounded batches. It only saves space: expired carts read as empty anyway.

use std::sync::Arc;
use std::time::Duration;

use emporium_service_kit::Environment;

use crate::store::CartStore;

const PERIOD: Duration = Duration::from_mins(5);
/// Small enough that nobody notices the statement.
const BATCH: u32 = 1_000;

/// Reaps until told to stop.
pub async fn run(store: Arc<dyn CartStore>, environment: Environment) -> anyhow::Result<()> {
    let stop = &environment.shutdown;
    while !stop.is_cancelled() {
        let removed = store.reap(environment.clock.now(), BATCH).await?;
        if removed > 0 {
            tracing::debug!(removed, "expired carts and purchases removed");
            continue;
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(PERIOD) => {}
        }
    }
    Ok(())
}
