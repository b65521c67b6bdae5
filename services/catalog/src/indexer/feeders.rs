//! Runs what feeds and watches the indexes outside the database: the one that serves, and the one that a move fills.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use emporium_moving::Gate;
use emporium_moving::places::PostgresPlaces;
use emporium_moving::record::Standing;
use emporium_service_kit::StoreError;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Indexer;
use crate::home::{Home, Homes};

/// How often is looked which indexes there are.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// All that is known of indexes in this process.
#[derive(Clone)]
pub struct Feeders {
    /// Which one serves.
    pub gate: Gate<Home>,
    /// Those that are open.
    pub homes: Homes,
    /// What they are to the service.
    pub places: PostgresPlaces,
}

/// Those that are at work.
#[derive(Default)]
struct AtWork {
    stops: HashMap<Uuid, CancellationToken>,
    tasks: JoinSet<(Uuid, anyhow::Result<()>)>,
}

impl Feeders {
    /// Keeps them at work until told to stop.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut at_work = AtWork::default();
        while !stop.is_cancelled() {
            match self.wanted().await {
                Ok(wanted) => at_work.become_those(wanted, &stop),
                // Without the database nobody can be fed at all.
                Err(error) => tracing::warn!(%error, "which search indexes there are cannot be read"),
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleep(LOOK_EVERY) => {}
            }
        }
        while at_work.tasks.join_next().await.is_some() {}
        Ok(())
    }

    async fn wanted(&self) -> Result<Vec<Indexer>, StoreError> {
        let here = self.gate.here().store.clone();
        let others = self.homes.open().into_iter();
        let others: Vec<Arc<Home>> = others
            .filter(|home| home.indexer.is_some() && !Arc::ptr_eq(home, &here))
            .collect();
        let filled: BTreeSet<String> = if others.is_empty() {
            BTreeSet::new()
        } else {
            let all = self.places.all().await?.into_iter();
            all.filter(|(_, standing)| matches!(standing, Standing::Filling { .. }))
                .map(|(place, _)| place)
                .collect()
        };
        let others = others.iter().filter(|home| filled.contains(&home.address));
        let homes = std::iter::once(&here).chain(others);
        Ok(homes.filter_map(|home| home.indexer.clone()).collect())
    }
}

impl AtWork {
    fn become_those(&mut self, wanted: Vec<Indexer>, stop: &CancellationToken) {
        while let Some(ended) = self.tasks.try_join_next() {
            match ended {
                Ok((id, Ok(()))) => drop(self.stops.remove(&id)),
                Ok((id, Err(error))) => {
                    tracing::warn!(%error, "what feeds a search index has failed; trying again");
                    self.stops.remove(&id);
                }
                // Nobody knows whose it was: all are started again, and the lease lets one feed.
                Err(error) => {
                    tracing::error!(%error, "what feeds a search index has panicked");
                    self.stops.drain().for_each(|(_, stop)| stop.cancel());
                }
            }
        }
        let ids: BTreeSet<Uuid> = wanted.iter().map(Indexer::id).collect();
        self.stops.retain(|id, stop| {
            let stays = ids.contains(id);
            if !stays {
                stop.cancel();
            }
            stays
        });
        for indexer in wanted {
            let id = indexer.id();
            self.stops.entry(id).or_insert_with(|| {
                let stop = stop.child_token();
                let own = stop.clone();
                self.tasks.spawn(async move { (id, work(indexer, own).await) });
                stop
            });
        }
    }
}

async fn work(indexer: Indexer, stop: CancellationToken) -> anyhow::Result<()> {
    let watching = indexer.clone().watch(stop.clone());
    tokio::try_join!(indexer.run(stop), watching)?;
    Ok(())
}
