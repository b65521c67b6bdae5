//! The background tasks: scraping, rolling up, tidying.

use std::sync::Arc;
use std::time::Duration;

use emporium_service_kit::{Clock, StoreError};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::scrape::Scraper;
use crate::store::{Recorded, Recorder, Tier};

/// How often is looked for rounds to roll up.
const ROLL_EVERY: Duration = Duration::from_secs(10);
/// Every so many looks old things are removed.
const TEND_EVERY: u32 = 6;
/// How long giving back the lease may take when the service stops; otherwise it runs out.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(1);

/// Scrapes and writes.
pub struct Keeper {
    scraper: Scraper,
    recorder: Arc<Recorder>,
    clock: Clock,
}

impl Keeper {
    /// A keeper of what the scraper brings.
    pub fn new(scraper: Scraper, recorder: Arc<Recorder>, clock: Clock) -> Self {
        Self {
            scraper,
            recorder,
            clock,
        }
    }

    /// Asks all services once and writes what they say, if it is this process that scrapes.
    pub async fn round(&self, spread: Duration) -> Result<Recorded, StoreError> {
        if !self.recorder.take(self.clock.now()).await? {
            return Ok(Recorded::NotMine);
        }
        let scrapes = self.scraper.round(spread).await;
        self.recorder.record(&scrapes, self.clock.now()).await
    }

    /// Rolls up all that is due.
    pub async fn roll_up(&self) -> Result<(), StoreError> {
        for tier in [Tier::Minute, Tier::Hour] {
            while self.recorder.roll_up(tier, self.clock.now()).await? > 0 {}
        }
        Ok(())
    }

    /// Scrapes at even intervals until told to stop. When the store is away, points are missing, but no count is: the next
    /// scrape that is written is compared with the last one that was.
    pub async fn scrape(&self, period: Duration, stop: CancellationToken) {
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = ticks.tick() => {}
            }
            self.one_round(period, &stop).await;
        }
        if let Ok(Err(error)) = timeout(RELEASE_TIMEOUT, self.recorder.release()).await {
            tracing::info!(%error, "lease not given back; it runs out");
        }
    }

    /// Asking is broken off when the service stops; writing is not, and ends by the store's own time-outs.
    async fn one_round(&self, period: Duration, stop: &CancellationToken) {
        let asked = async {
            // Several monitoring services, or other tasks with the same period, should not fall into step.
            sleep(period.mul_f64(rand::random_range(0.0..0.05))).await;
            if self.recorder.take(self.clock.now()).await? {
                Ok(Some(self.scraper.round(period / 4).await))
            } else {
                Ok(None)
            }
        };
        let scrapes = tokio::select! {
            () = stop.cancelled() => return,
            scrapes = asked => scrapes,
        };
        let recorded = match scrapes {
            Ok(Some(scrapes)) => self.recorder.record(&scrapes, self.clock.now()).await,
            Ok(None) => Ok(Recorded::NotMine),
            Err(error) => Err(error),
        };
        match recorded {
            Ok(Recorded::Done { round, points, .. }) => tracing::debug!(round, points, "scraped"),
            Ok(Recorded::NotMine) => tracing::debug!("another process scrapes"),
            Err(error) => tracing::warn!(%error, "a round of scrapes is not written"),
        }
    }

    /// Rolls up and tidies until told to stop.
    pub async fn tend(&self, stop: CancellationToken) {
        let mut ticks = interval(ROLL_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut looks = 0_u32;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let tends = looks.is_multiple_of(TEND_EVERY);
            looks = looks.wrapping_add(1);
            let work = async {
                self.roll_up().await?;
                if tends {
                    self.recorder.tend(self.clock.now()).await?;
                }
                Ok::<(), StoreError>(())
            };
            tokio::select! {
                () = stop.cancelled() => return,
                done = work => if let Err(error) = done {
                    tracing::warn!(%error, "not rolled up; trying again");
                }
            }
        }
    }
}
