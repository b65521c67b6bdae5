//! What administrators look after, composed from several services: projections and their dead letters, best-sellers.

use std::time::{Duration, Instant};

use emporium_service_kit::client::CallError;
use emporium_service_kit::{Problem, ServiceName};
use futures::future::join_all;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::app::App;
use crate::clients::analytics::{ProductSales, Terms};
use crate::clients::catalog::ProductStatus;
use crate::clients::projections::{Act, Projection};
use crate::compose;
use crate::error::Error;

/// Dead letters that one request replays.
const REPLAYED_MAX: usize = 100;
/// How long one request goes on with that; a call that was begun then is waited for.
const REPLAY_TIME: Duration = Duration::from_secs(10);
/// Dead letters of a page.
const LETTERS_PAGE: u32 = 100;
/// How many are replayed at once.
const REPLAYS_AT_ONCE: usize = 4;

/// A projection and the service that keeps it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ProjectionView {
    /// The service.
    pub service: &'static str,
    /// How it stands.
    #[serde(flatten)]
    pub projection: Projection,
}

/// All projections.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProjectionList {
    /// By service.
    pub items: Vec<ProjectionView>,
    /// Always null: the list comes whole.
    pub next_cursor: Option<String>,
    /// Services that could not tell of theirs.
    pub degraded: Vec<&'static str>,
}

/// What came of replaying the dead letters of a consumer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Replays {
    /// How many are applied now.
    pub replayed: u32,
    /// How many are refused still.
    pub rejected: u32,
    /// Where the next request goes on, as its `after`; null when the end of the list was reached.
    pub next_after: Option<i64>,
    /// The code of what ended it early, such as `service-unavailable`; null when nothing did.
    pub error: Option<String>,
}

impl Replays {
    /// True when there are more than were looked at, or may be.
    pub fn more(&self) -> bool {
        self.next_after.is_some()
    }

    fn handled(&self) -> usize {
        self.replayed.saturating_add(self.rejected) as usize
    }
}

/// A product among those that sold most.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BestSeller {
    /// What it sold.
    #[serde(flatten)]
    pub sales: ProductSales,
    /// Whether it can be bought now; null when the catalog is away or does not know it.
    pub status: Option<ProductStatus>,
}

/// The products that sold most.
#[derive(Debug, Serialize, ToSchema)]
pub struct BestSellers {
    /// Best first, under the names that the catalog has now.
    pub items: Vec<BestSeller>,
    /// As of when.
    #[serde(with = "time::serde::rfc3339::option")]
    pub as_of: Option<OffsetDateTime>,
    /// Services that could not add their part: `catalog`. The names are then those that analytics heard last.
    pub degraded: Vec<&'static str>,
}

/// All projections of all services. A service that is away is named, and hides nobody else's.
pub async fn projections(app: &App) -> ProjectionList {
    let (mut items, mut degraded) = (Vec::new(), Vec::new());
    for (service, answer) in app.clients.consumers.list().await {
        let list = compose::kept(service, answer, &mut degraded).unwrap_or_default();
        items.extend(list.into_iter().map(|projection| view(service, projection)));
    }
    ProjectionList {
        items,
        next_cursor: None,
        degraded,
    }
}

/// One of them.
pub async fn projection(app: &App, name: &str) -> Result<ProjectionView, Error> {
    let (service, projection) = app.clients.consumers.one(name).await?;
    Ok(view(service, projection))
}

/// Pauses, resumes or rebuilds one.
pub async fn act(app: &App, name: &str, act: Act) -> Result<ProjectionView, Error> {
    let (service, projection) = app.clients.consumers.act(name, act).await?;
    tracing::info!(projection = name, ?act, "asked for by an administrator");
    Ok(view(service, projection))
}

fn view(service: ServiceName, projection: Projection) -> ProjectionView {
    ProjectionView {
        service: service.as_str(),
        projection,
    }
}

/// Replays the dead letters of a consumer that wait, the oldest hundred of those after the id `after`. One that is refused
/// still stays; anything else that goes wrong ends it, since it would go wrong with the next one too: what was done until
/// then is told, with where to go on. Only when nothing was done is it an error.
pub async fn replay_all(app: &App, name: &str, after: i64) -> Result<Replays, Error> {
    let deadline = Instant::now() + REPLAY_TIME;
    let mut done = Replays {
        next_after: Some(after),
        ..Replays::default()
    };
    while done.more() && done.handled() < REPLAYED_MAX && Instant::now() < deadline {
        if let Err(error) = replay_page(app, name, deadline, &mut done).await {
            if done.handled() == 0 {
                return Err(error.into());
            }
            done.error = Some(error.code().unwrap_or("service-unavailable").to_owned());
            break;
        }
    }
    Ok(done)
}

/// The next page of dead letters. Those that were replayed stay in the list for a week, and are passed over.
async fn replay_page(app: &App, name: &str, deadline: Instant, done: &mut Replays) -> Result<(), CallError> {
    let consumers = &app.clients.consumers;
    let after = done.next_after.unwrap_or(0);
    let page = consumers.dead_letters(name, after, LETTERS_PAGE).await?;
    let waiting: Vec<i64> = page
        .iter()
        .filter(|letter| letter.replayed_at.is_none())
        .map(|letter| letter.id)
        .collect();
    for ids in waiting.chunks(REPLAYS_AT_ONCE) {
        let left = REPLAYED_MAX.saturating_sub(done.handled());
        if left == 0 || Instant::now() >= deadline {
            return Ok(());
        }
        let ids = ids.get(..left).unwrap_or(ids);
        // All of them are waited for, so that each is counted.
        let answers = join_all(ids.iter().copied().map(|id| consumers.replay(name, id))).await;
        let mut failed = None;
        for (id, answer) in ids.iter().zip(answers) {
            match answer {
                Ok(_) => done.replayed += 1,
                Err(CallError::Problem { problem, .. }) if is_refusal(&problem) => done.rejected += 1,
                Err(error) => failed = failed.or(Some(error)),
            }
            if failed.is_none() {
                done.next_after = Some(*id);
            }
        }
        failed.map_or(Ok(()), Err)?;
    }
    let is_full = page.len() >= LETTERS_PAGE as usize;
    done.next_after = page.last().filter(|_| is_full).map(|last| last.id);
    Ok(())
}

/// The event is refused still, or somebody else has just seen to it.
fn is_refusal(problem: &Problem) -> bool {
    matches!(problem.status.as_u16(), 404 | 409)
}

/// The products that sold most, under their present names: one call to analytics, one to the catalog.
pub async fn best_sellers(app: &App, terms: &Terms<'_>) -> Result<BestSellers, CallError> {
    let top = app.clients.analytics.top_products(terms).await?;
    let ids = top.items.iter().map(|sales| sales.product_id).collect();
    let mut degraded = Vec::new();
    let products = compose::products(app, ids).await;
    let mut now = compose::kept(ServiceName::Catalog, products, &mut degraded).unwrap_or_default();
    let items = top.items.into_iter().map(|mut sales| {
        let product = now.remove(&sales.product_id);
        let status = product.as_ref().map(|product| product.status);
        if let Some(product) = product {
            sales.name = Some(product.name);
            sales.category = Some(product.category);
        }
        BestSeller { sales, status }
    });
    Ok(BestSellers {
        items: items.collect(),
        as_of: top.as_of,
        degraded,
    })
}
