//! One of the two stores of a move, as its service opens it, and what has to be moved.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use emporium_event_bus::Consumer;
use emporium_event_bus::projection::{Digest, Digester};
use emporium_service_kit::StoreError;
use emporium_service_kit::report::{Inspect, Opened};
use md5::{Digest as _, Md5};
use time::{Duration, OffsetDateTime};

use crate::projection::{Group, ProjectionBuild};
use crate::register::{Journal, Register};

/// Keys that are copied at a time.
pub const PAGE: usize = 500;
/// What expires so soon is not compared: one of the stores may have forgotten it already.
const EXPIRY_MARGIN: Duration = Duration::minutes(2);

/// A store that is open.
pub struct Side<S: ?Sized> {
    /// What the service asks.
    pub store: Arc<S>,
    /// Where it is, without secrets: scheme, host, port and path.
    pub address: String,
    /// What it tells of itself.
    pub report: Arc<dyn Inspect>,
    /// What it is to the service.
    pub register: Arc<dyn Register>,
    /// What is copied as it is, if anything is, with its journal.
    pub copied: Option<CopiedSide>,
    /// What is built from something else, if anything is.
    pub built: Option<Arc<dyn Built>>,
    /// What applies events, if anything does: while a move is under way, to both.
    pub projection: Option<Arc<dyn Consumer>>,
}

/// What is copied, and where writes to it are noted.
#[derive(Clone)]
pub struct CopiedSide {
    /// The records.
    pub records: Arc<dyn Copied>,
    /// What was written to.
    pub journal: Arc<dyn Journal>,
}

/// A record as it is moved: the same text from every store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// `<kind>:<what names it>`, the same in every store.
    pub key: String,
    /// What it says, in one spelling: JSON with its fields in one order, times as whole microseconds.
    pub content: String,
    /// When it is forgotten, if it is.
    pub expires_at: Option<OffsetDateTime>,
}

/// Some keys of a store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys {
    /// The keys. One may come again on a later page.
    pub keys: Vec<String>,
    /// What to ask for the next page with; `None` at the end.
    pub next: Option<String>,
}

/// What is the truth in a store, record by record. Every key that is there from the beginning of a listing to its end is listed.
///
/// What has expired is not there, whether the store has forgotten it or not.
#[async_trait]
pub trait Copied: Send + Sync {
    /// How many are copied at a time. The smaller wish of two stores counts.
    fn page(&self) -> usize {
        PAGE
    }

    /// The digests of all records that do not expire, one a kind, of texts `<key>\u{1f}<content>` as
    /// [`Digester`](emporium_event_bus::projection::Digester) makes them, from a store that sums them up by itself. Writes wait for
    /// it. `None`: they are listed and read for that.
    async fn digests(&self) -> Result<Option<Vec<Digest>>, StoreError> {
        Ok(None)
    }

    /// Keys, about `max` of them, after the page whose [`Keys::next`] was `after`.
    async fn keys(&self, after: Option<&str>, max: usize) -> Result<Keys, StoreError>;

    /// The records of these keys; those that are not there are left out.
    async fn read(&self, keys: &[String]) -> Result<Vec<Record>, StoreError>;

    /// Puts records as they are, in the place of what is there. May be repeated.
    async fn put(&self, records: &[Record]) -> Result<(), StoreError>;

    /// Removes the records of these keys, those that are there.
    async fn remove(&self, keys: &[String]) -> Result<(), StoreError>;

    /// Removes all.
    async fn clear(&self) -> Result<(), StoreError>;

    /// Where a listing of the other store goes on to find what this one lacks of a log. What is only ever appended, in one order,
    /// and is copied in that order, needs no marks in a journal: how far it was copied says the copy. `None` where nothing is
    /// such a log.
    async fn log_end(&self) -> Result<Option<String>, StoreError> {
        Ok(None)
    }
}

/// How far building is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Building {
    /// It is done, and follows by itself.
    Done,
    /// All is there; the store that serves has to catch up with what it was made from.
    Waits,
    /// It goes on; so many things are done, of so many if that is known.
    Under {
        /// Events, documents.
        done: i64,
        /// How many there are.
        total: Option<i64>,
    },
}

/// What is made from something else than the store it was in: a projection from histories, an index from a table.
#[async_trait]
pub trait Built: Send + Sync {
    /// Builds a piece of it. While a move is under way it is called on the store that is filled, until it is done; building that
    /// was interrupted goes on where it was, or begins anew, and `anew` says that it has to.
    async fn build(&self, anew: bool) -> anyhow::Result<Building>;

    /// The content, table by table, in one order in every store.
    async fn content(&self) -> anyhow::Result<Vec<Digest>>;

    /// Whether it holds nothing that a move would throw away.
    async fn is_empty(&self) -> anyhow::Result<bool> {
        Ok(self.content().await?.iter().all(|table| table.rows == 0))
    }

    /// Throws away what a move that was given up has built, where that is worth the trouble.
    async fn clear(&self) -> anyhow::Result<()> {
        Ok(())
    }

    /// Whether everything that had begun to change it, or the store that serves, when this was asked with `anew`, has reached both.
    async fn is_settled(&self, anew: bool) -> anyhow::Result<bool> {
        let _ = anew;
        Ok(true)
    }

    /// The content of this one and of the one it is moved to. What is made of something that changes even while a move closes
    /// has to look at both at once.
    async fn beside(&self, there: &dyn Built) -> anyhow::Result<(Vec<Digest>, Vec<Digest>)> {
        futures::try_join!(self.content(), there.content())
    }

    /// For [`Built::beside`], which has to know whom it is compared with.
    fn as_any(&self) -> Option<&dyn std::any::Any> {
        None
    }
}

/// All that both hold, table by table: what is copied by the kinds of its keys, then what is built. `now` is the same for both.
pub(crate) async fn contents<S: ?Sized>(
    here: &Side<S>,
    there: &Side<S>,
    now: OffsetDateTime,
) -> anyhow::Result<Contents> {
    let (mut own, mut other) = futures::try_join!(here.copied_content(now), there.copied_content(now))?;
    let copied = own.iter().chain(&other).map(|one| one.table.clone()).collect();
    match (&here.built, &there.built) {
        (Some(built), Some(beside)) => {
            let (ours, theirs) = built.beside(beside.as_ref()).await?;
            own.extend(ours);
            other.extend(theirs);
        }
        (None, None) => {}
        _ => anyhow::bail!("only one of the stores has something that is built"),
    }
    Ok(Contents { own, other, copied })
}

/// What both stores hold.
pub(crate) struct Contents {
    /// The one that serves.
    pub own: Vec<Digest>,
    /// The one that is filled.
    pub other: Vec<Digest>,
    /// What of it is copied, and not built.
    pub copied: BTreeSet<String>,
}

impl<S: ?Sized> Side<S> {
    /// A store that was opened, and where its record is. What has to be moved is told by [`Side::copying`] and [`Side::building`].
    pub fn of(opened: Opened<S>, address: String, register: Arc<dyn Register>) -> Self {
        Self {
            store: opened.store,
            address,
            report: opened.report,
            register,
            copied: None,
            built: None,
            projection: None,
        }
    }

    /// The same, of which these records are copied.
    #[must_use]
    pub fn copying(mut self, records: Arc<dyn Copied>, journal: Arc<dyn Journal>) -> Self {
        self.copied = Some(CopiedSide { records, journal });
        self
    }

    /// The same, of which this projection is built by the group.
    #[must_use]
    pub fn building(mut self, projection: Arc<dyn Consumer>, group: &Group) -> Self {
        self.built = Some(ProjectionBuild::shared(projection.clone(), group));
        self.projection = Some(projection);
        self
    }

    /// Whether it holds nothing that a move would throw away.
    pub async fn is_empty(&self) -> anyhow::Result<bool> {
        if let Some(copied) = &self.copied {
            let mut page = copied.records.keys(None, PAGE).await?;
            loop {
                if !copied.records.read(&page.keys).await?.is_empty() {
                    return Ok(false);
                }
                let Some(next) = page.next else { break };
                page = copied.records.keys(Some(&next), PAGE).await?;
            }
        }
        match &self.built {
            Some(built) => built.is_empty().await,
            None => Ok(true),
        }
    }

    async fn copied_content(&self, now: OffsetDateTime) -> anyhow::Result<Vec<Digest>> {
        match &self.copied {
            Some(copied) => match copied.records.digests().await? {
                Some(digests) => Ok(digests),
                None => Ok(digest(copied.records.as_ref(), now).await?),
            },
            None => Ok(Vec::new()),
        }
    }
}

/// The digests of all records, by the kinds of their keys.
async fn digest(records: &dyn Copied, now: OffsetDateTime) -> Result<Vec<Digest>, StoreError> {
    let mut kinds: BTreeMap<String, Digester> = BTreeMap::new();
    // A store may list a key twice. 16 bytes a key stand for it.
    let mut counted: HashSet<[u8; 16]> = HashSet::new();
    let mut after = None;
    loop {
        let page = records.keys(after.as_deref(), PAGE).await?;
        let fresh: Vec<String> = page
            .keys
            .into_iter()
            .filter(|key| counted.insert(Md5::digest(key.as_bytes()).into()))
            .collect();
        for record in records.read(&fresh).await? {
            if record.expires_at.is_some_and(|at| at <= now + EXPIRY_MARGIN) {
                continue;
            }
            let kind = record.key.split(':').next().unwrap_or_default();
            let digester = kinds.entry(kind.to_owned()).or_default();
            digester.add(&format!("{}\u{1f}{}", record.key, record.content));
        }
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    Ok(kinds
        .into_iter()
        .map(|(kind, digester)| digester.finish(&kind))
        .collect())
}

/// Some records as they are by now, to be put into another store.
pub(crate) struct Page {
    records: Vec<Record>,
    /// Keys of those that are not there any more.
    gone: Vec<String>,
}

impl Page {
    /// Reads the records of these keys.
    pub async fn read(from: &dyn Copied, keys: &[String]) -> Result<Self, StoreError> {
        // A store may list a key twice, and another one may not take it twice at once.
        let mut keys = keys.to_vec();
        keys.sort_unstable();
        keys.dedup();
        let records = from.read(&keys).await?;
        let there: HashSet<&str> = records.iter().map(|record| record.key.as_str()).collect();
        let is_gone = |key: &String| !there.contains(key.as_str());
        let gone = keys.iter().filter(|key| is_gone(key)).cloned().collect();
        Ok(Self { records, gone })
    }

    /// Makes the other store have the same.
    pub async fn put(&self, to: &dyn Copied) -> Result<(), StoreError> {
        if !self.records.is_empty() {
            to.put(&self.records).await?;
        }
        if !self.gone.is_empty() {
            to.remove(&self.gone).await?;
        }
        Ok(())
    }

    /// How many records there were.
    pub fn count(&self) -> i64 {
        i64::try_from(self.records.len()).unwrap_or(i64::MAX)
    }
}

/// A page of what the other store lacks of a log, and whether there is more.
pub(crate) async fn missing_of_log(
    from: &dyn Copied,
    to: &dyn Copied,
) -> Result<(Vec<String>, bool), StoreError> {
    let Some(end) = to.log_end().await? else {
        return Ok((Vec::new(), false));
    };
    let page = from.keys(Some(&end), PAGE).await?;
    Ok((page.keys, page.next.is_some()))
}
