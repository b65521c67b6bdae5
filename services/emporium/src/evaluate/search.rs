//! Asking the catalog, as `GET /api/products` does, each search adapter in turn.

use std::time::{Duration, Instant};

use emporium_service_kit::client::{CallError, Client};
use emporium_service_kit::{ServiceName, StoreReport};
use futures::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;

use super::judgments::Judgments;
use crate::Error;
use crate::operator::Operator;
use crate::stores;
use crate::terminal::Later;

/// The adapters by their names in figures, and in the catalog's parameter `index`.
const POSTGRES: &str = "postgres";
const ELASTICSEARCH: &str = "elasticsearch";
/// The largest page of the catalog.
const PAGE: &str = "100";
/// Products of each list. Ten of them count, and for the condensed form ten that are judged, which reach as far as this in
/// a list with many that nobody has looked at.
const LENGTH: usize = 100;
/// A large shop on a slow machine still answers a search within this.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How often a search is tried that gets no answer, and the pauses in between: an index that was busy is looked at again
/// within seconds.
const TRIES: usize = 20;
const TRY_AGAIN_MS: std::ops::Range<u64> = 500..1_500;
/// Searches at once.
const AT_ONCE: usize = 2;
/// How many judged products are looked for before it is said that there is no catalogue.
const PROBES: usize = 20;
/// How long the index may take to catch up, and how often it is asked.
const CATCH_UP: Duration = Duration::from_mins(10);
/// How long its server may be silent.
const SILENCE: Duration = Duration::from_secs(15);
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// What one adapter has found: for each query the first Icecat products, by Icecat's ids.
#[derive(Debug)]
pub(super) struct Lists {
    /// The adapter.
    pub adapter: &'static str,
    /// Query and ids, best first, in the order of queries.
    pub found: Vec<(String, Vec<String>)>,
}

/// The part of a page that is read.
#[derive(Deserialize)]
struct ProductPage {
    items: Vec<Product>,
    next_cursor: Option<String>,
    degraded: Vec<String>,
}

#[derive(Deserialize)]
struct Product {
    sku: String,
    source: String,
}

impl Product {
    /// Icecat's id, for a product of the Icecat catalogue: the importer makes it the SKU, after `IC-`.
    fn icecat_id(&self) -> Option<String> {
        let id = self.sku.strip_prefix("IC-").filter(|_| self.source == "icecat");
        id.map(str::to_owned)
    }
}

/// Searches for every judged query by every adapter of the shop.
pub(super) async fn lists(operator: &Operator, judgments: &Judgments) -> Result<Vec<Lists>, Error> {
    let catalog = operator.client(ServiceName::Operator, ServiceName::Catalog)?;
    let mut adapters = vec![POSTGRES];
    if caught_up(&catalog).await? {
        adapters.push(ELASTICSEARCH);
    }
    if !has_icecat(&catalog, judgments).await? {
        return Err(Error::Other(
            "the catalogue has no judged Icecat product; load it with `emporium import icecat FILE`"
                .to_owned(),
        ));
    }
    let mut progress = Later::begin();
    let mut all = Vec::new();
    for adapter in adapters {
        let searches = judgments.keys().map(|query| {
            let catalog = &catalog;
            async move { Ok::<_, Error>((query.clone(), list(catalog, adapter, query).await?)) }
        });
        let mut answers = stream::iter(searches).buffered(AT_ONCE);
        let mut found = Vec::with_capacity(judgments.len());
        while let Some(answer) = answers.try_next().await? {
            found.push(answer);
            progress.tell(format_args!(
                "{adapter}: {} of {} queries",
                found.len(),
                judgments.len()
            ));
        }
        all.push(Lists { adapter, found });
    }
    progress.end();
    Ok(all)
}

/// Waits until the search index has every change. True when there is one beside PostgreSQL's, which is part of the truth
/// and never behind.
async fn caught_up(catalog: &Client) -> Result<bool, Error> {
    let begun = Instant::now();
    let mut progress = Later::begin();
    loop {
        let reports: Vec<StoreReport> = stores::reports(catalog).await.map_err(failed)?;
        let index = reports.into_iter().find(|report| report.adapter == ELASTICSEARCH);
        let Some(index) = index else { return Ok(false) };
        // The error may be that it is being built, or has not been looked at yet.
        let waits_for = match (index.error.or(index.state), index.lag.unwrap_or(0)) {
            (None, 0) => {
                progress.end();
                return Ok(true);
            }
            (None, lag) => format!("it has {lag} changes to catch up with"),
            (Some(error), _) => error,
        };
        progress.tell(format_args!("waiting for the search index: {waits_for}"));
        let patience = if index.version.is_some() {
            CATCH_UP
        } else {
            SILENCE
        };
        if begun.elapsed() > patience {
            let setting = index.setting.as_deref().unwrap_or(ELASTICSEARCH);
            return Err(Error::Other(format!(
                "{setting}: the search index is not ready: {waits_for}; see `emporium stores`, and try again later"
            )));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Looks for a few judged products by their Icecat id.
async fn has_icecat(catalog: &Client, judgments: &Judgments) -> Result<bool, Error> {
    let relevant = |ratings: &super::ndcg::Ratings| {
        let best = ratings.iter().max_by(|one, other| one.1.total_cmp(other.1));
        best.map(|(document, _)| document.clone())
    };
    for document in judgments.values().filter_map(relevant).take(PROBES) {
        let attribute = format!("icecat_id:{document}");
        let page: ProductPage = catalog
            .get("/products")
            .query(&[("attr", attribute.as_str()), ("limit", "1"), ("index", POSTGRES)])
            .timeout(TIMEOUT)
            .send()
            .await
            .map_err(failed)?;
        if page.items.iter().any(|product| product.icecat_id().is_some()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The first [`LENGTH`] Icecat products of a query's list, which is read on until there are so many or it ends.
async fn list(catalog: &Client, adapter: &str, query: &str) -> Result<Vec<String>, Error> {
    let mut found = Vec::with_capacity(LENGTH);
    let mut cursor: Option<String> = None;
    loop {
        let mut parameters = vec![("q", query), ("limit", PAGE), ("index", adapter)];
        parameters.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let page = page(catalog, &parameters).await?;
        // Figures of another index under this one's name would be worse than none.
        if !page.degraded.is_empty() {
            return Err(Error::Other(format!(
                "{adapter} did not answer the search for {query:?}; see `emporium stores`, and try again"
            )));
        }
        let wanted = LENGTH - found.len();
        found.extend(page.items.iter().filter_map(Product::icecat_id).take(wanted));
        cursor = page.next_cursor;
        if found.len() == LENGTH || cursor.is_none() {
            return Ok(found);
        }
    }
}

/// A page of the catalog. An index that does not answer a customer in time is asked again here: what is measured is which
/// answers it gives, not how fast.
async fn page(catalog: &Client, parameters: &[(&str, &str)]) -> Result<ProductPage, Error> {
    let mut tries = 1;
    loop {
        let call = catalog.get("/products").query(parameters);
        match call.timeout(TIMEOUT).once().send().await {
            Ok(page) => return Ok(page),
            Err(error) if error.is_unavailable() && tries < TRIES => tries += 1,
            Err(error) => return Err(failed(error)),
        }
        tokio::time::sleep(Duration::from_millis(rand::random_range(TRY_AGAIN_MS))).await;
    }
}

fn failed(source: CallError) -> Error {
    Error::Call {
        what: "asking the catalog",
        source,
    }
}
