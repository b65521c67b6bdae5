//! Watching an index: may it answer? Every instance does this for itself, whoever feeds.

use std::time::Duration;

use emporium_service_kit::metrics::{self, Metrics};
use prometheus::IntGauge;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::feed::{self, Feed};
use super::{FeedError, Indexer};
use crate::search::elasticsearch::fingerprint;
use crate::search::health::Fault;

/// How often it is looked at. A server that is back answers again within this and a search's time.
const EVERY: Duration = Duration::from_millis(500);

/// What is told of an index.
#[derive(Debug, Clone)]
pub struct Gauges {
    lag: IntGauge,
    healthy: IntGauge,
}

impl Gauges {
    /// Registered with a service's metrics.
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            lag: metrics.register(metrics::gauge(
                "emporium_search_lag",
                "Events that are not in the search index yet.",
            )),
            healthy: metrics.register(metrics::gauge(
                "emporium_search_healthy",
                "1 while the search index answers, 0 while the database answers for it.",
            )),
        }
    }
}

/// How old what an index knows is. The end of the history is noted with the time; once the index has come so far, it knows
/// everything up to that time.
#[derive(Debug)]
struct Freshness {
    as_of: Instant,
    next: Option<(i64, Instant)>,
}

impl Freshness {
    fn new(now: Instant) -> Self {
        Self {
            as_of: now,
            next: None,
        }
    }

    /// How far behind it is, having seen that the history ends here and the index is there.
    fn lag(&mut self, end: i64, position: i64, now: Instant) -> Duration {
        if let Some((noted, at)) = self.next
            && position >= noted
        {
            self.as_of = self.as_of.max(at);
            self.next = None;
        }
        if position >= end {
            self.as_of = now;
            self.next = None;
        } else if self.next.is_none() {
            self.next = Some((end, now));
        }
        now - self.as_of
    }
}

impl Indexer {
    /// Watches until told to stop.
    pub async fn watch(self, stop: CancellationToken) -> anyhow::Result<()> {
        tokio::select! {
            biased;
            () = stop.cancelled() => Ok(()),
            () = self.watch_for_ever() => Ok(()),
        }
    }

    async fn watch_for_ever(&self) {
        let mut freshness = Freshness::new(Instant::now());
        loop {
            match self.examine(&mut freshness).await {
                Ok(fault) => self.found(fault),
                // Without the database nobody can be answered at all, by whatever index.
                Err(error) => tracing::warn!(%error, "the search index is not watched"),
            }
            sleep(EVERY).await;
        }
    }

    fn found(&self, fault: Option<Fault>) {
        let is_news = self.outside.health.found(fault, Instant::now());
        let fault = self.outside.health.fault();
        self.gauges.healthy.set(i64::from(fault.is_none()));
        if is_news {
            match fault {
                None => tracing::info!("the search index answers"),
                Some(fault) => tracing::warn!(%fault, "the database answers searches"),
            }
        }
    }

    async fn examine(&self, freshness: &mut Freshness) -> Result<Option<Fault>, FeedError> {
        let (db, alias) = (&self.store.db, self.index().alias());
        // In this order: the index cannot have come further than the history's end that is read after it.
        let feed = feed::find(db, alias).await?;
        let end = self.store.outbox.end().await?;
        let position = feed.as_ref().map_or(0, |feed| feed.position);
        self.gauges.lag.set((end - position).max(0));
        let lag = freshness.lag(end, position, Instant::now());
        // Not only whether the server is there: whether it searches, and in time.
        let serving = match self.index().serving().await {
            Ok(None) => Ok(None),
            Ok(serving) => self.index().probe().await.map(|()| serving),
            Err(error) => Err(error),
        };
        let serving = match serving {
            Ok(serving) => serving,
            Err(error) => return Ok(Some(Fault::Silent(error.to_string()))),
        };
        let (Some(feed), Some(serving)) = (feed, serving) else {
            return Ok(Some(Fault::NotBuilt));
        };
        if serving.history != Some(feed.history) {
            // Before this database has ever built one, the alias may name what an earlier one left.
            let never_built = feed.index_name.is_none();
            return Ok(Some(if never_built {
                Fault::NotBuilt
            } else {
                Fault::Foreign
            }));
        }
        if serving.mapping.as_deref() != Some(&*fingerprint()) || !is_known(&feed, &serving.name) {
            return Ok(Some(Fault::NotBuilt));
        }
        Ok((lag > self.lag_max).then_some(Fault::Lagging(lag)))
    }
}

/// The index that serves is the one that is fed, or the one that takes its place at this moment.
fn is_known(feed: &Feed, name: &str) -> bool {
    [&feed.index_name, &feed.building]
        .into_iter()
        .flatten()
        .any(|known| known == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_is_the_age_of_what_is_known() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let mut freshness = Freshness::new(start);
        let mut lag = |end, position, s| freshness.lag(end, position, at(s)).as_secs();
        assert_eq!(lag(5, 5, 1), 0);
        assert_eq!(lag(9, 5, 2), 1, "known as of 1");
        assert_eq!(lag(20, 8, 4), 3, "9 is not reached");
        assert_eq!(lag(30, 9, 6), 4, "as of 2");
        assert_eq!(lag(40, 29, 7), 5, "30 is not reached");
        assert_eq!(lag(50, 31, 8), 2, "as of 6");
        assert_eq!(lag(50, 50, 90), 0);
        assert_eq!(lag(50, 50, 95), 0, "idle is not behind");
    }
}
