//! For how long what an instance has read of the record counts.
//!
//! An instance that was stopped, or was away from the record, may wake up in the middle of something. Whoever waits for an answer
//! is told so ([`Lease::check`]). Whoever writes into the store that a move fills must not go on at all, since by then the store may
//! serve, and be newer than what was to be written: that is [held](Term::hold), which gives up at the next thing to be sent.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use emporium_service_kit::StoreError;
use tokio::time::Instant;

/// The time until which an instance may act by what it has read.
#[derive(Clone)]
pub(crate) struct Lease(Arc<Inner>);

struct Inner {
    started: Instant,
    /// Milliseconds after `started`.
    until: AtomicU64,
    /// How often it ran out.
    lapses: AtomicU64,
}

impl Lease {
    /// One that ends then.
    pub fn new(until: Instant) -> Self {
        let lease = Self(Arc::new(Inner {
            started: Instant::now(),
            until: AtomicU64::new(0),
            lapses: AtomicU64::new(0),
        }));
        lease.extend(until);
        lease
    }

    /// Makes it end then, if that is later.
    pub fn extend(&self, until: Instant) {
        if self.check().is_err() {
            self.0.lapses.fetch_add(1, Ordering::SeqCst);
        }
        let millis = until.saturating_duration_since(self.0.started).as_millis();
        let millis = u64::try_from(millis).unwrap_or(u64::MAX);
        self.0.until.fetch_max(millis, Ordering::SeqCst);
    }

    /// Fails when it has run out.
    pub fn check(&self) -> Result<(), StoreError> {
        let now = self.0.started.elapsed().as_millis();
        if now <= u128::from(self.0.until.load(Ordering::SeqCst)) {
            return Ok(());
        }
        Err(StoreError::Unavailable(
            "this instance could not read lately where the data is".into(),
        ))
    }

    /// The time from now on until it runs out.
    pub fn term(&self) -> Term {
        Term {
            lease: self.clone(),
            lapses: self.0.lapses.load(Ordering::SeqCst),
        }
    }
}

/// A time without a lapse. It is over for good when the lease has run out once, also if that was extended later.
#[derive(Clone)]
pub(crate) struct Term {
    lease: Lease,
    lapses: u64,
}

impl Term {
    /// Fails when it is over.
    pub fn check(&self) -> Result<(), StoreError> {
        self.lease.check()?;
        if self.lease.0.lapses.load(Ordering::SeqCst) == self.lapses {
            return Ok(());
        }
        Err(StoreError::Unavailable(
            "another instance may have taken this work over".into(),
        ))
    }

    /// Does this work as long as the term lasts: looked at each time before something can be sent. What is dropped in the middle
    /// leaves its transaction to be rolled back.
    pub async fn hold<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let mut work = pin!(work);
        poll_fn(|context| {
            self.check()?;
            work.as_mut().poll(context)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;
    use std::time::Duration;

    use futures::poll;
    use tokio::sync::oneshot;
    use tokio::time::advance;

    use super::*;

    const SHORT: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn what_is_held_does_not_go_on_after_a_lapse() {
        let lease = Lease::new(Instant::now() + SHORT);
        let term = lease.term();
        for is_extended in [false, true] {
            let (sender, answer) = oneshot::channel::<()>();
            let mut sent = false;
            let term = if is_extended { lease.term() } else { term.clone() };
            let work = async {
                answer.await.map_err(|error| StoreError::Failed(error.into()))?;
                sent = true;
                Ok(())
            };
            let mut held = Box::pin(term.hold(work));
            assert!(poll!(&mut held).is_pending());
            advance(SHORT * 2).await;
            if is_extended {
                lease.extend(Instant::now() + SHORT);
                lease.check().unwrap();
            }
            sender.send(()).unwrap();
            assert!(matches!(
                poll!(&mut held),
                Poll::Ready(Err(StoreError::Unavailable(_)))
            ));
            drop(held);
            assert!(!sent);
            lease.extend(Instant::now() + SHORT);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_extended_in_time_goes_on() {
        let lease = Lease::new(Instant::now() + SHORT);
        let term = lease.term();
        for _ in 0..5 {
            advance(SHORT).await;
            lease.extend(Instant::now() + SHORT);
        }
        assert_eq!(term.hold(async { Ok(7) }).await.unwrap(), 7);
        advance(SHORT * 2).await;
        assert!(lease.check().is_err());
    }
}
