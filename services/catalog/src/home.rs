//! Where searches are answered, and moving that: the index in the service's own database, or one outside.
//!
//! The products stay where they are, and so does the index in the database, which changes in their transactions; what moves is
//! who answers. So nothing is copied and no write ever waits: an index outside is built from the products and fed from their
//! history while the move is under way, and from the switch on. Going back, nothing is to be built.
//!
//! What the indexes are to the service (which one serves) is kept in the service's database, for those outside too: the index
//! server may be away, and then the database has to answer, which it can do only while it is known that it may.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use emporium_event_bus::projection::Digest;
use emporium_moving::places::PostgresPlaces;
use emporium_moving::side::Building;
use emporium_moving::{Built, Moving, Side, Timing};
use emporium_service_kit::stores::CATALOG_SEARCH;
use emporium_service_kit::{Environment, StartError, StoreError};

use crate::indexer::watch::Gauges;
use crate::indexer::{FeedError, Indexer, feed};
use crate::search::elasticsearch::ElasticSearch;
use crate::search::{choice, postgres};
use crate::store::Store;

mod compare;

/// How long to wait before a building is looked at again.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// For so long nobody feeds an index that was given up: by then everybody knows.
const HELD_S: f64 = 15.0;
/// How often, and at which intervals, it is tried to remove what is not wanted.
const CLEAR_TRIES: u32 = 20;
const CLEAR_PAUSE: Duration = Duration::from_millis(500);

/// Where searches are answered.
pub struct Home {
    /// Where it is, without secrets.
    pub address: String,
    /// What feeds the index, where it is outside the database.
    pub indexer: Option<Indexer>,
}

/// The homes that are open in this process: the one that serves, and others while something is moved.
#[derive(Clone, Default)]
pub struct Homes(Arc<Mutex<Vec<Weak<Home>>>>);

impl Homes {
    /// Those that somebody still uses.
    pub fn open(&self) -> Vec<Arc<Home>> {
        let mut homes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        homes.retain(|home| home.strong_count() > 0);
        homes.iter().filter_map(Weak::upgrade).collect()
    }

    fn add(&self, home: &Arc<Home>) {
        let mut homes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        homes.push(Arc::downgrade(home));
    }
}

/// What an index outside is made with.
#[derive(Clone)]
pub struct Making {
    /// The products.
    pub store: Store,
    /// How far behind it may be.
    pub lag_max: Duration,
    /// What is told of it.
    pub gauges: Arc<Gauges>,
}

/// Opens the index that `EMPORIUM_CATALOG_SEARCH` names, with what moves it. An error is one line that names the setting.
pub async fn open(
    environment: &Environment,
    making: &Making,
    homes: &Homes,
    timing: Timing,
) -> Result<(Moving<Home>, PostgresPlaces), StartError> {
    let setting = environment.stores.setting(CATALOG_SEARCH);
    let places = PostgresPlaces::open(making.store.db.clone(), environment.service).await;
    let places = places.map_err(|error| setting.not_migrated(environment, error))?;
    places
        .check(&setting.address(), environment.service, CATALOG_SEARCH)
        .await?;
    let (making, homes, kept) = (making.clone(), homes.clone(), places.clone());
    let open = move |environment: Environment| {
        let (making, homes, places) = (making.clone(), homes.clone(), kept.clone());
        async move { open_side(&environment, making, &homes, &places).await }
    };
    let moving = Moving::open_with(environment, CATALOG_SEARCH, open, timing).await?;
    Ok((moving, places))
}

async fn open_side(
    environment: &Environment,
    making: Making,
    homes: &Homes,
    places: &PostgresPlaces,
) -> Result<Side<Home>, StartError> {
    let address = environment.stores.setting(CATALOG_SEARCH).address();
    let Making {
        store,
        lag_max,
        gauges,
    } = making;
    let indexer = choice::open(environment)
        .await?
        .map(|outside| Indexer::new(store.clone(), outside, lag_max, gauges));
    let home = Arc::new(Home {
        address: address.clone(),
        indexer: indexer.clone(),
    });
    homes.add(&home);
    Ok(Side {
        store: home,
        report: match &indexer {
            Some(indexer) => Arc::new(indexer.clone()),
            None => postgres::report(store.db.clone()),
        },
        register: Arc::new(places.register(&address)),
        copied: None,
        built: Some(Arc::new(Index {
            address: address.clone(),
            store,
            indexer,
            homes: homes.clone(),
        })),
        projection: None,
        address,
    })
}

/// An index as a move sees it.
struct Index {
    address: String,
    store: Store,
    /// There is none where the index is in the database.
    indexer: Option<Indexer>,
    homes: Homes,
}

impl Index {
    /// How far the feeding of an index is stands under its alias, so two servers cannot have the same one.
    fn check_alias(&self, alias: &str) -> Result<(), StoreError> {
        let is_same = |home: &Arc<Home>| {
            let other = home.indexer.as_ref().map(|other| other.outside().index.alias());
            home.address != self.address && other == Some(alias)
        };
        if self.homes.open().iter().any(is_same) {
            let text = "both servers have the same index prefix; give the other one a prefix of its own, as in \
                        elasticsearch://host:port/prefix";
            return Err(StoreError::Data(text.into()));
        }
        Ok(())
    }
}

impl Index {
    /// Removes what was made from this database, when nobody feeds it any more.
    async fn remove_own(&self, index: &ElasticSearch) -> Result<(), StoreError> {
        let db = &self.store.db;
        let Some(feed) = feed::find(db, index.alias()).await? else {
            return Ok(());
        };
        feed::give_up(db, index.alias(), HELD_S).await?;
        for made in index.indices().await? {
            if made.history == Some(feed.history) {
                index.drop_index(&made.name).await?;
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Built for Index {
    /// Whoever feeds builds; here it is asked for and waited for.
    async fn build(&self, anew: bool) -> anyhow::Result<Building> {
        let Some(indexer) = &self.indexer else {
            return Ok(Building::Done);
        };
        let (db, index) = (&self.store.db, &indexer.outside().index);
        let alias = index.alias();
        if anew {
            self.check_alias(alias)?;
            feed::want(db, alias).await?;
        }
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(feed) = feed::find(db, alias).await? else {
            return Ok(Building::Under { done: 0, total: None });
        };
        if let Some(error) = feed.error {
            anyhow::bail!("the index is not fed: {error}");
        }
        if !feed.wanted && feed.building.is_none() {
            let serving = index.serving().await.map_err(StoreError::from)?;
            if serving.is_some_and(|serving| Some(serving.name) == feed.index_name) {
                return Ok(Building::Done);
            }
        }
        Ok(Building::Under {
            done: feed.done,
            total: Some(feed.total),
        })
    }

    async fn content(&self) -> anyhow::Result<Vec<Digest>> {
        Ok(self.beside(self).await?.0)
    }

    /// The index in the database is always there, and one that was made from this database is made again: nothing of either is
    /// thrown away. Another database's is another shop's.
    async fn is_empty(&self) -> anyhow::Result<bool> {
        let Some(indexer) = &self.indexer else {
            return Ok(true);
        };
        let index = &indexer.outside().index;
        let serving = index.serving().await.map_err(StoreError::from)?;
        let Some(serving) = serving else {
            return Ok(true);
        };
        let feed = feed::find(&self.store.db, index.alias()).await?;
        Ok(feed.is_some_and(|feed| serving.history == Some(feed.history)))
    }

    /// Tried for a while: nobody comes back to it.
    async fn clear(&self) -> anyhow::Result<()> {
        let Some(indexer) = &self.indexer else {
            return Ok(());
        };
        let mut tries = 1;
        loop {
            match self.remove_own(&indexer.outside().index).await {
                Err(error) if tries < CLEAR_TRIES => {
                    tracing::info!(%error, "the index that is not wanted is not removed yet");
                    tries += 1;
                    tokio::time::sleep(CLEAR_PAUSE).await;
                }
                done => return Ok(done?),
            }
        }
    }

    async fn beside(&self, there: &dyn Built) -> anyhow::Result<(Vec<Digest>, Vec<Digest>)> {
        let there = there.as_any().and_then(|there| there.downcast_ref::<Self>());
        let there = there.ok_or_else(|| anyhow::anyhow!("this is no search index"))?;
        let (own, other) = compare::both(self, there).await?;
        Ok((vec![own], vec![other]))
    }

    fn as_any(&self) -> Option<&dyn std::any::Any> {
        Some(self)
    }
}

impl From<FeedError> for StoreError {
    fn from(error: FeedError) -> Self {
        match error {
            FeedError::Index(error) => error.into(),
            other => Self::Unavailable(other.into()),
        }
    }
}
