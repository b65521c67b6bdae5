//! Working in bursts: at once when there was nothing to do for a while, not again and again when there is much.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Lets one through at once, and the next one not before a while has passed since. What comes in between is worked on
/// together, so that a busy moment does not cost a wake-up for every event.
pub struct Pace {
    every: Duration,
    next: Instant,
    last: Instant,
}

impl Pace {
    /// At most one every `every`.
    pub fn new(every: Duration) -> Self {
        let now = Instant::now();
        Self {
            every,
            next: now,
            last: now,
        }
    }

    /// Waits until it is time for the next one; gives the time since the one before.
    pub async fn turn(&mut self) -> Duration {
        sleep_until(self.next).await;
        let now = Instant::now();
        let since = now - std::mem::replace(&mut self.last, now);
        self.next = now + self.every;
        since
    }
}
