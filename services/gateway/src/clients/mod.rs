//! The gateway's clients, one a service: business verbs, and only the fields that the gateway reads.
//!
//! The structs are tolerant readers: fields they do not name are ignored, so a provider may add some at any time. Where
//! they derive `Serialize` as well, what is read is also what the public API shows; nothing else can leak through.
//!
//! Reads are tried again by the kit's client (the only layer that does so); writes that are not idempotent are not.

pub mod activity;
pub mod analytics;
pub mod carts;
pub mod catalog;
pub mod monitoring;
pub mod orders;
pub mod payments;
pub mod projections;
mod reads;
pub mod recommendations;
pub mod reviews;
pub mod sessions;
pub mod users;

use std::time::{Duration, Instant};

use emporium_service_kit::client::{CallError, Client};
use emporium_service_kit::page::BATCH_MAX;
use emporium_service_kit::{Environment, ServiceName, StartError};
use futures::stream::{self, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

pub use activity::ActivityLog;
pub use analytics::Analytics;
pub use carts::Carts;
pub use catalog::Catalog;
pub use monitoring::Monitoring;
pub use orders::Orders;
pub use payments::Payments;
pub use projections::Consumers;
pub use reads::reads;
pub use recommendations::Recommendations;
pub use reviews::Reviews;
pub use sessions::Sessions;
pub use users::Users;

/// How long a read may take, all its tries together: a page should rather say what is missing than keep its reader waiting.
pub const READ_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a report may take, all its tries together: it is made of years of figures, and asked for by administrators only.
pub const REPORT_TIMEOUT: Duration = Duration::from_secs(4);
/// How long a service may take to say how it is.
pub const HEALTH_TIMEOUT: Duration = Duration::from_millis(500);
/// How many batch calls of one look-up are under way at once.
const BATCHES_AT_ONCE: usize = 4;

/// Every service that the gateway composes.
pub struct Clients {
    /// Identity, addresses, loyalty points.
    pub users: Users,
    /// Login sessions.
    pub sessions: Sessions,
    /// Products, search, stock.
    pub catalog: Catalog,
    /// Shopping carts.
    pub carts: Carts,
    /// Orders.
    pub orders: Orders,
    /// Charges and the ledger.
    pub payments: Payments,
    /// What goes with what, and for whom.
    pub recommendations: Recommendations,
    /// What customers think of products.
    pub reviews: Reviews,
    /// Where visitors' activities are told.
    pub activity: ActivityLog,
    /// Figures of the business.
    pub analytics: Analytics,
    /// How services and stores are doing.
    pub monitoring: Monitoring,
    /// What services keep of other services' events.
    pub consumers: Consumers,
    all: Vec<(ServiceName, Client)>,
}

impl Clients {
    /// Clients for all services; an address that is missing is an error that names it.
    pub fn new(environment: &Environment) -> Result<Self, StartError> {
        let of = |name| environment.client(name);
        let (users, sessions) = (of(ServiceName::Users)?, of(ServiceName::Sessions)?);
        let (catalog, carts) = (of(ServiceName::Catalog)?, of(ServiceName::Carts)?);
        let (orders, payments) = (of(ServiceName::Orders)?, of(ServiceName::Payments)?);
        let (recommendations, reviews) = (of(ServiceName::Recommendations)?, of(ServiceName::Reviews)?);
        let (analytics, monitoring) = (of(ServiceName::Analytics)?, of(ServiceName::Monitoring)?);
        let all = vec![
            (ServiceName::Users, users.clone()),
            (ServiceName::Sessions, sessions.clone()),
            (ServiceName::Catalog, catalog.clone()),
            (ServiceName::Carts, carts.clone()),
            (ServiceName::Orders, orders.clone()),
            (ServiceName::Payments, payments.clone()),
            (ServiceName::Recommendations, recommendations.clone()),
            (ServiceName::Reviews, reviews.clone()),
            (ServiceName::Analytics, analytics.clone()),
            (ServiceName::Monitoring, monitoring.clone()),
        ];
        let consumers = [
            &sessions,
            &catalog,
            &orders,
            &recommendations,
            &reviews,
            &analytics,
        ];
        Ok(Self {
            users: Users::new(users),
            consumers: Consumers::new(consumers.into_iter().cloned()),
            // By a client of its own: a report that takes too long must not hide how the projection stands.
            analytics: Analytics::new(of(ServiceName::Analytics)?),
            monitoring: Monitoring::new(monitoring),
            sessions: Sessions::new(sessions),
            catalog: Catalog::new(catalog),
            carts: Carts::new(carts),
            orders: Orders::new(orders),
            payments: Payments::new(payments),
            recommendations: Recommendations::new(recommendations),
            reviews: Reviews::new(reviews),
            // By a client of its own: a report that takes too long must not keep activities back, nor the other way round.
            activity: ActivityLog::new(of(ServiceName::Analytics)?),
            all,
        })
    }

    /// Asks every service at once whether it is ready; takes at most [`HEALTH_TIMEOUT`].
    pub async fn health(&self) -> Vec<ServiceHealth> {
        futures::future::join_all(self.all.iter().map(|(name, client)| health(*name, client))).await
    }
}

/// How a service is.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ServiceHealth {
    /// The service's name.
    pub name: String,
    /// `up`: ready for requests; `down`: it does not answer in time or is not ready.
    pub status: HealthStatus,
    /// How long the answer took, in milliseconds.
    pub latency_ms: u64,
}

/// Whether a service can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// Ready for requests.
    Up,
    /// Does not answer in time, or says that it is not ready.
    Down,
}

async fn health(name: ServiceName, client: &Client) -> ServiceHealth {
    let started = Instant::now();
    let answer = client
        .get("/health/ready")
        .timeout(HEALTH_TIMEOUT)
        .once()
        .done()
        .await;
    ServiceHealth {
        name: name.as_str().to_owned(),
        status: if answer.is_ok() {
            HealthStatus::Up
        } else {
            HealthStatus::Down
        },
        latency_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    }
}

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Runs the shop.
    Admin,
    /// Buys. Roles that the gateway does not know may do no more than this.
    #[serde(other)]
    Customer,
}

/// A list as services answer it when it always comes whole, and batches.
#[derive(Debug, Deserialize, ToSchema)]
struct Items<T> {
    items: Vec<T>,
}

/// `{"ids":[…]}`.
#[derive(Debug, Serialize)]
struct Ids {
    ids: Vec<Uuid>,
}

/// Looks many ids up, each once: one call for up to 200 different ids, and one more for each further 200. Unknown ids are
/// left out.
async fn batch<T: serde::de::DeserializeOwned>(
    client: &Client,
    path: &'static str,
    mut ids: Vec<Uuid>,
) -> Result<Vec<T>, CallError> {
    ids.sort_unstable();
    ids.dedup();
    let batches: Vec<Ids> = ids
        .chunks(BATCH_MAX)
        .map(|ids| Ids { ids: ids.to_vec() })
        .collect();
    let calls = batches.into_iter().map(|ids| async move {
        let call = client.post(path).json(&ids).idempotent();
        call.timeout(READ_TIMEOUT).send::<Items<T>>().await
    });
    let answers: Vec<Items<T>> = stream::iter(calls)
        .buffered(BATCHES_AT_ONCE)
        .try_collect()
        .await?;
    Ok(answers.into_iter().flat_map(|answer| answer.items).collect())
}

/// `None` for a 404, everything else as it is.
fn found<T>(answer: Result<T, CallError>) -> Result<Option<T>, CallError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
