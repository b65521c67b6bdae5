//! The background tasks: scraping, rolling up, tidying.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use emporium_moving::{Gate, Side};
use emporium_service_kit::{Clock, StoreError};
use futures::future::join_all;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::model::Scrape;
use crate::scrape::Scraper;
use crate::store::{Home, Recorded, Recorder, Tier};

/// How often is looked for rounds to roll up.
const ROLL_EVERY: Duration = Duration::from_secs(10);
/// Every so many looks old things are removed.
const TEND_EVERY: u32 = 6;
/// How long giving back the lease may take when the service stops; otherwise it runs out.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long is waited to hear which store serves.
const ASK_TIMEOUT: Duration = Duration::from_millis(100);

/// Scrapes and writes, into the store that serves if that does not scrape by itself; while such a store is filled by a move, into
/// that as well.
pub struct Keeper {
    scraper: Scraper,
    gate: Gate<Home>,
    clock: Clock,
    /// Into which it collected last.
    known: Mutex<Vec<Arc<Recorder>>>,
}

impl Keeper {
    /// A keeper of what the scraper brings.
    pub fn new(scraper: Scraper, gate: Gate<Home>, clock: Clock) -> Self {
        Self {
            scraper,
            gate,
            clock,
            known: Mutex::default(),
        }
    }

    /// Into which is collected now. While that cannot be told (a move closes, or the record of it cannot be read) it is those of
    /// before: nothing that is collected into one store too many is ever asked for.
    pub async fn recorders(&self) -> Vec<Arc<Recorder>> {
        let found: Mutex<Vec<Arc<Recorder>>> = Mutex::default();
        let note = |side: Arc<Side<Home>>| {
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            found.extend(side.store.recorder.clone());
            std::future::ready(Ok::<(), StoreError>(()))
        };
        let asked = async {
            !self.gate.is_closing()
                && timeout(ASK_TIMEOUT, self.gate.effect(note))
                    .await
                    .is_ok_and(|done| done.is_ok())
        };
        let is_told = asked.await;
        let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        let gone: Vec<Arc<Recorder>> = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if !is_told && (!known.is_empty() || !found.is_empty()) {
                // One that was told is one; the others cannot be known.
                let is_new = |one: &Arc<Recorder>| !known.iter().any(|known| Arc::ptr_eq(known, one));
                found.retain(is_new);
                known.append(&mut found);
                return known.clone();
            }
            let gone = known
                .iter()
                .filter(|known| !found.iter().any(|one| Arc::ptr_eq(known, one)));
            let gone = gone.cloned().collect();
            known.clone_from(&found);
            gone
        };
        release(&gone).await;
        found
    }

    /// Those of them into which this process collects: others may be other processes' just now.
    async fn taken(&self) -> Result<Vec<Arc<Recorder>>, StoreError> {
        let (mut taken, mut failed) = (Vec::new(), None);
        for recorder in self.recorders().await {
            match recorder.take(self.clock.now()).await {
                Ok(true) => taken.push(recorder),
                Ok(false) => {}
                // One that is away takes nothing from the others.
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            Some(error) if taken.is_empty() => Err(error),
            _ => Ok(taken),
        }
    }

    /// Asks all services once and writes what they say, if it is this process that scrapes.
    pub async fn round(&self, spread: Duration) -> Result<Recorded, StoreError> {
        let recorders = self.taken().await?;
        if recorders.is_empty() {
            return Ok(Recorded::NotMine);
        }
        let scrapes = self.scraper.round(spread).await;
        self.record(&recorders, &scrapes).await
    }

    async fn record(&self, recorders: &[Arc<Recorder>], scrapes: &[Scrape]) -> Result<Recorded, StoreError> {
        let mut recorded = Ok(Recorded::NotMine);
        for recorder in recorders {
            let done = recorder.record(scrapes, self.clock.now()).await;
            // That of the first one, which serves, unless it has failed.
            if !matches!(recorded, Ok(Recorded::Done { .. })) {
                recorded = done;
            }
        }
        recorded
    }

    /// Rolls up all that is due.
    pub async fn roll_up(&self) -> Result<(), StoreError> {
        for recorder in self.recorders().await {
            for tier in [Tier::Minute, Tier::Hour] {
                while recorder.roll_up(tier, self.clock.now()).await? > 0 {}
            }
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
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        release(&known).await;
    }

    /// Asking is broken off when the service stops; writing is not, and ends by the store's own time-outs.
    async fn one_round(&self, period: Duration, stop: &CancellationToken) {
        let asked = async {
            // Several monitoring services, or other tasks with the same period, should not fall into step.
            sleep(period.mul_f64(rand::random_range(0.0..0.05))).await;
            let recorders = self.taken().await?;
            if recorders.is_empty() {
                return Ok(None);
            }
            let scrapes = self.scraper.round(period / 4).await;
            Ok(Some((recorders, scrapes)))
        };
        let scrapes = tokio::select! {
            () = stop.cancelled() => return,
            scrapes = asked => scrapes,
        };
        let recorded = match scrapes {
            Ok(Some((recorders, scrapes))) => self.record(&recorders, &scrapes).await,
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
                    for recorder in self.recorders().await {
                        recorder.tend(self.clock.now()).await?;
                    }
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

/// Gives leases back, so that whoever collects next need not wait until they run out.
async fn release(recorders: &[Arc<Recorder>]) {
    let released = join_all(recorders.iter().map(|recorder| recorder.release()));
    let all = timeout(RELEASE_TIMEOUT, released).await.unwrap_or_default();
    for error in all.into_iter().filter_map(Result::err) {
        tracing::info!(%error, "lease not given back; it runs out");
    }
}
