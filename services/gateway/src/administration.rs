//! What administrators look after, composed from several services: projections and their dead letters, best-sellers.

use emporium_service_kit::client::CallError;
use emporium_service_kit::{Problem, ServiceName};
use futures::stream::{self, StreamExt};
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
/// Pages of dead letters that are looked through for those.
const LETTER_PAGES_MAX: usize = 20;
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

/// What came of replaying all dead letters of a consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Replays {
    /// How many are applied now.
    pub replayed: u32,
    /// How many are refused still.
    pub rejected: u32,
    /// True when there are more than one request replays.
    pub more: bool,
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

/// Replays the dead letters of a consumer that wait, the oldest hundred of them. One that is refused still stays; anything
/// else that goes wrong ends it, since it would go wrong with the next one too.
pub async fn replay_all(app: &App, name: &str) -> Result<Replays, Error> {
    let consumers = &app.clients.consumers;
    let (ids, more) = waiting_letters(app, name).await?;
    let mut replays = stream::iter(ids)
        .map(|id| consumers.replay(name, id))
        .buffered(REPLAYS_AT_ONCE);
    let (mut replayed, mut rejected) = (0, 0);
    while let Some(answer) = replays.next().await {
        match answer {
            Ok(_) => replayed += 1,
            Err(CallError::Problem { problem, .. }) if is_refusal(&problem) => rejected += 1,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Replays {
        replayed,
        rejected,
        more,
    })
}

/// The oldest dead letters that wait, and whether there are more, or may be.
async fn waiting_letters(app: &App, name: &str) -> Result<(Vec<i64>, bool), Error> {
    let (mut ids, mut after) = (Vec::new(), 0);
    // Those that were replayed stay in the list for a week.
    for _ in 0..LETTER_PAGES_MAX {
        let page = app
            .clients
            .consumers
            .dead_letters(name, after, LETTERS_PAGE)
            .await?;
        let waiting = page.iter().filter(|letter| letter.replayed_at.is_none());
        ids.extend(waiting.map(|letter| letter.id));
        let is_last = page.len() < LETTERS_PAGE as usize;
        if ids.len() > REPLAYED_MAX {
            ids.truncate(REPLAYED_MAX);
            return Ok((ids, true));
        }
        match page.last() {
            Some(last) if !is_last => after = last.id,
            _ => return Ok((ids, false)),
        }
    }
    Ok((ids, true))
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
