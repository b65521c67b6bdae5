//! Working in bursts: at once when there was nothing to do for a while, not again and again when there is much.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Lets one through at once, and the next one not before a while has passed since. What comes in between is worked on
/// together, so that a busy moment does not cost a wake-up for every event.
pub struct Pace {
    every: Duration,
    last: Option<Instant>,
}

impl Pace {
    /// At most one every `every`.
    pub fn new(every: Duration) -> Self {
        Self { every, last: None }
    }

    /// Waits until it is time for the next one; gives the time since the one before, none for the first.
    pub async fn turn(&mut self) -> Duration {
        if let Some(last) = self.last {
            sleep_until(last + self.every).await;
        }
        let now = Instant::now();
        self.last.replace(now).map_or(Duration::ZERO, |last| now - last)
    }
}
