//! The projections of a running shop: what its services keep of each other's events, and the search index.

use std::time::Duration;

use comfy_table::{Table, presets};
use emporium_event_bus::consumer::GroupState;
use emporium_event_bus::projection::{ProjectionList, ProjectionStatus};
use emporium_service_kit::ServiceName;
use emporium_service_kit::client::{CallError, Client};
use futures::future::join_all;
use indicatif::HumanCount;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::operator::Operator;
use crate::provision::CONSUMERS;

/// What the search index is called here; the catalog answers for it at a route of its own.
const SEARCH: &str = "catalog.search";
/// Where the catalog tells of its index, and is asked for a new one.
pub const REINDEX: &str = "/search/reindex";
/// How long a service may take to say how a projection stands: it asks the bus and its store for that.
pub const TIMEOUT: Duration = Duration::from_secs(15);

/// How a projection is made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// A second generation is built beside the live one, compared with it, then switched to.
    Beside,
    /// A second index is built beside the one that answers, then switched to.
    Index,
}

/// A projection, and who keeps it.
#[derive(Debug, Clone)]
pub struct Projection {
    /// Its name.
    pub name: String,
    /// Its service.
    pub service: ServiceName,
    /// How it is made anew; `None` when it cannot be.
    pub method: Option<Method>,
    /// What its service said of it; nothing for the search index.
    pub status: Option<ProjectionStatus>,
}

/// What the catalog tells of its index.
#[derive(Debug, Clone, Deserialize)]
pub struct IndexState {
    /// The index that answers.
    pub index: Option<String>,
    /// The one that is being built.
    pub building: Option<String>,
    /// Whether one was asked for that is not finished.
    pub wanted: bool,
    /// Products that go into it.
    pub total: i64,
    /// Products that are in it.
    pub done: i64,
    /// Why the database answers instead.
    pub fault: Option<String>,
}

/// All that could be found, and the services that did not answer.
pub struct Found {
    /// By service, then name.
    pub projections: Vec<Projection>,
    /// A line each: who and why.
    pub away: Vec<String>,
}

/// Asks all services at once.
pub async fn find(operator: &Operator) -> Result<Found, Error> {
    let asked = CONSUMERS.map(async |service| {
        let client = operator.client(ServiceName::Operator, service)?;
        Ok::<_, Error>(of_service(&client).await)
    });
    let mut found = Found {
        projections: Vec::new(),
        away: Vec::new(),
    };
    for answer in join_all(asked).await {
        match answer? {
            Ok(mut projections) => found.projections.append(&mut projections),
            Err(error) => found.away.push(error.to_string()),
        }
    }
    Ok(found)
}

async fn of_service(client: &Client) -> Result<Vec<Projection>, CallError> {
    let list: ProjectionList = client.get("/projections").timeout(TIMEOUT).send().await?;
    let of = |status: ProjectionStatus| Projection {
        name: status.name.clone(),
        service: client.callee(),
        method: status.rebuildable.then_some(Method::Beside),
        status: Some(status),
    };
    let mut projections: Vec<Projection> = list.items.into_iter().map(of).collect();
    if client.callee() == ServiceName::Catalog && has_index(client).await? {
        projections.push(Projection {
            name: SEARCH.to_owned(),
            service: ServiceName::Catalog,
            method: Some(Method::Index),
            status: None,
        });
    }
    Ok(projections)
}

/// Whether searches go to an index outside the database, where it can lag and be lost. The one in the database changes with
/// the products, in their transactions.
async fn has_index(catalog: &Client) -> Result<bool, CallError> {
    match catalog.get(REINDEX).timeout(TIMEOUT).send::<IndexState>().await {
        Ok(_) => Ok(true),
        Err(error) if error.code() == Some("not-rebuildable") => Ok(false),
        Err(error) => Err(error),
    }
}

/// The list for people.
pub fn table(projections: &[Projection]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header(["projection", "service", "state", "behind", "rebuilt"]);
    table.add_rows(projections.iter().map(|projection| {
        let status = projection.status.as_ref();
        let lag = status.and_then(|status| status.group.lag_events);
        let lag = lag.and_then(|lag| u64::try_from(lag).ok());
        [
            projection.name.clone(),
            projection.service.to_string(),
            status.map_or("–", |status| word(status.group.state)).to_owned(),
            lag.map_or_else(|| "–".to_owned(), |lag| format!("{} events", HumanCount(lag))),
            how(projection.method).to_owned(),
        ]
    }));
    table
}

fn word(state: GroupState) -> &'static str {
    match state {
        GroupState::Running => "running",
        GroupState::Paused => "paused",
        GroupState::Rebuilding => "rebuilding",
        GroupState::Failing => "failing",
    }
}

fn how(method: Option<Method>) -> &'static str {
    match method {
        Some(Method::Beside) => "beside the live one, compared",
        Some(Method::Index) => "beside the index that answers",
        None => "not at all",
    }
}

/// The list for programs.
pub fn in_json(projections: &[Projection]) -> serde_json::Value {
    let of = |projection: &Projection| {
        let group = projection.status.as_ref().map(|status| &status.group);
        serde_json::json!({
            "name": projection.name,
            "service": projection.service,
            "method": projection.method,
            "status": group,
        })
    };
    projections.iter().map(of).collect()
}
