//! The background task that removes what has expired, in bounded batches. It only saves space: what has expired counts as
//! gone for every reader anyway.

use std::time::Duration;

use futures::future::BoxFuture;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use crate::{Clock, Environment, StoreError};

/// How much of each kind of thing one call removes: small enough that nobody notices the statement.
pub const BATCH: u32 = 1_000;

/// A task for [`crate::Service::task`] that calls `reap(now, BATCH)` until nothing much is left, and again every `period`.
/// `reap` gives how many things it removed.
pub fn task<F, R>(
    environment: &Environment,
    period: Duration,
    reap: F,
) -> impl Fn() -> BoxFuture<'static, anyhow::Result<()>> + Send + Sync + 'static
where
    F: Fn(OffsetDateTime, u32) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Result<u64, StoreError>> + Send + 'static,
{
    let (clock, stop) = (environment.clock.clone(), environment.shutdown.clone());
    move || Box::pin(run(reap.clone(), period, clock.clone(), stop.clone()))
}

async fn run<F, R>(reap: F, period: Duration, clock: Clock, stop: CancellationToken) -> anyhow::Result<()>
where
    F: Fn(OffsetDateTime, u32) -> R + Send,
    R: Future<Output = Result<u64, StoreError>> + Send,
{
    while !stop.is_cancelled() {
        let removed = reap(clock.now(), BATCH).await?;
        if removed > 0 {
            tracing::debug!(removed, "expired things removed");
        }
        if removed >= u64::from(BATCH) {
            continue;
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(period) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Whole batches are followed by the next one at once; anything less waits for the next period, or the end.
    #[tokio::test]
    async fn batches_follow_each_other_while_they_are_full() {
        let (stop, calls) = (CancellationToken::new(), AtomicUsize::new(0));
        let reap = async |_: OffsetDateTime, max: u32| {
            let call = calls.fetch_add(1, Ordering::SeqCst);
            if call == 2 {
                let stop = stop.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    stop.cancel();
                });
            }
            Ok(u64::from(if call < 2 { max } else { 1 }))
        };
        run(reap, Duration::from_hours(1), Clock::System, stop.clone())
            .await
            .unwrap();
        assert_eq!(calls.load(Ordering::SeqCst), 3);
    }
}
