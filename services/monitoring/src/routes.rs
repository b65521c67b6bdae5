//! The HTTP interface.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::HOST;
use emporium_service_kit::extract::{Path, Query};
use emporium_service_kit::problem::ProblemDocument;
use emporium_service_kit::{Api, Clock, ServiceName};
use garde::Validate;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio::sync::{Semaphore, SemaphorePermit};
use utoipa::{OpenApi, ToSchema};
use utoipa_axum::routes;

use crate::boards::{self, Board};
use crate::error::Error;
use crate::model::{Kind, Labels};
use crate::question::{As, History, Line};
use crate::sketch::RELATIVE_ERROR;
use crate::store::{Metric, MonitoringStore};
use crate::targets::{TargetGroup, Targets};

mod parameters;

pub use parameters::Span;

/// So many questions are answered at once: the others of the pool's connections are for writing.
pub const QUESTIONS_MAX: usize = 4;
/// Most metrics that are listed.
const METRICS_MAX: usize = 2_000;
/// How long a question waits for its turn.
const TURN_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(3);

/// What every handler works with.
#[derive(Clone)]
pub struct App {
    pub store: Arc<dyn MonitoringStore>,
    pub clock: Clock,
    pub questions: Arc<Semaphore>,
    pub targets: Targets,
}

impl App {
    /// Waits for a turn.
    async fn turn(&self) -> Result<SemaphorePermit<'_>, Error> {
        match tokio::time::timeout(TURN_TIMEOUT, self.questions.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(Error::Busy),
        }
    }
}

#[derive(OpenApi)]
#[openapi(info(
    title = "Emporium monitoring",
    description = "Scrapes every service's metrics and answers how they went: an hour of points, a day of minutes, a year of hours."
))]
struct Document;

const READERS: &[ServiceName] = &[ServiceName::Gateway, ServiceName::Operator];

/// A Prometheus asks with a token of the monitoring service for itself, and so can ask nothing else.
const SCRAPERS: &[ServiceName] = &[ServiceName::Monitoring];

/// All routes, each with its callers.
pub fn api() -> Api<App> {
    Api::new(Document::openapi())
        .allow(READERS, routes!(get_metric_names))
        .allow(READERS, routes!(get_range))
        .allow(READERS, routes!(get_boards))
        .allow(READERS, routes!(get_board))
        .allow(SCRAPERS, routes!(get_scrape_targets))
}

/// A query's parameters as they come: some of their names are made of labels' names.
#[derive(Debug, Deserialize, Validate)]
#[serde(transparent)]
struct Pairs(#[garde(skip)] Vec<(String, String)>);

/// The metrics that there are points of.
#[derive(Debug, Serialize, ToSchema)]
struct MetricNames {
    /// By name; at most 2,000.
    items: Vec<Metric>,
    /// False when there are more.
    complete: bool,
}

/// A metric's history.
#[derive(Debug, Serialize, ToSchema)]
struct Range {
    /// The metric.
    metric: String,
    /// What it measures.
    kind: Kind,
    /// How its points were read.
    #[serde(rename = "as")]
    how: String,
    /// Where the first step begins.
    #[serde(with = "time::serde::rfc3339")]
    from: OffsetDateTime,
    /// Where the last step ends.
    #[serde(with = "time::serde::rfc3339")]
    to: OffsetDateTime,
    /// Length of a step, in seconds. Step n begins at `from` + n · `step_s`.
    step_s: i64,
    /// How far apart the points are that it was made of: `raw`, `minute`, `hour`.
    resolution: String,
    /// A quantile is at most this part of itself off; null where values are exact, or lie within a histogram's bucket.
    relative_error: Option<f64>,
    /// One line a series, or a combination of the labels in `by`; at most 100, in the order of their labels.
    items: Vec<RangeLine>,
}

/// A line of a history.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RangeLine {
    /// What it is of.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub labels: Labels,
    /// A value a step; null where nothing is known.
    pub values: Vec<Option<f64>>,
}

impl From<Line> for RangeLine {
    fn from(line: Line) -> Self {
        Self {
            labels: line.labels,
            values: line.values,
        }
    }
}

impl Range {
    fn of(metric: String, how: As, history: History) -> Self {
        let is_sketched = matches!(how, As::Quantile(_)) && history.kind != Kind::Histogram;
        Self {
            metric,
            kind: history.kind,
            how: how.to_string(),
            from: history.windows.from,
            to: history.windows.to(),
            step_s: history.windows.step_s,
            resolution: history.resolution.to_owned(),
            relative_error: is_sketched.then_some(RELATIVE_ERROR),
            items: history.lines.into_iter().map(RangeLine::from).collect(),
        }
    }
}

/// The boards that there are.
#[derive(Debug, Serialize, ToSchema)]
struct BoardNames {
    /// Each with what it shows.
    items: Vec<BoardName>,
}

/// A board that there is.
#[derive(Debug, Serialize, ToSchema)]
struct BoardName {
    /// As in its address.
    name: String,
    /// What it shows.
    title: String,
}

/// The metrics that there are points of.
#[utoipa::path(get, path = "/metric-names", responses((status = 200, body = MetricNames)))]
async fn get_metric_names(State(app): State<App>) -> Result<Json<MetricNames>, Error> {
    let mut items = app.store.metrics(METRICS_MAX + 1).await?;
    let complete = items.len() <= METRICS_MAX;
    items.truncate(METRICS_MAX);
    Ok(Json(MetricNames { items, complete }))
}

/// How a metric went. Besides the parameters listed, `label.<name>=<value>` keeps only series with that label, and
/// `not.<name>=<value>` leaves those out; at most 10 of each.
#[utoipa::path(get, path = "/range",
    params(
        ("metric" = String, Query, description = "The metric's name; a histogram's without _bucket, _sum or _count"),
        ("as" = Option<String>, Query, description = "`rate`, `increase`, `avg`, `min`, `max`, `sum`, `quantile(0.99)`; default: `avg` of a gauge, else `rate`"),
        ("from" = Option<String>, Query, description = "RFC 3339; default an hour before `to`"),
        ("to" = Option<String>, Query, description = "RFC 3339; default now"),
        ("step" = Option<i64>, Query, description = "Seconds; at most 1,000 steps; default: as it suits the span"),
        ("by" = Option<String>, Query, description = "Labels, separated by commas: series that have the same become one line"),
    ),
    responses((status = 200, body = Range),
        (status = 404, body = ProblemDocument, description = "`unknown-metric`"),
        (status = 422, body = ProblemDocument, description = "`invalid`, `not-for-this-kind`, `step-unsuitable` with `multiple_of_s`, `too-many-series` with `found` and `max`, `too-much-work`"),
        (status = 503, body = ProblemDocument, description = "`busy`, `store-unavailable`")))]
async fn get_range(State(app): State<App>, Query(pairs): Query<Pairs>) -> Result<Json<Range>, Error> {
    let now = app.clock.now();
    let asked = parameters::question(pairs.0, now)?;
    let _turn = app.turn().await?;
    let mut question = asked.question;
    if !asked.is_way_given {
        question.how = boards::usual_way(&*app.store, &question.metric).await?;
    }
    let history = app.store.history(&question, now).await?;
    Ok(Json(Range::of(question.metric, question.how, history)))
}

/// The boards that there are.
#[utoipa::path(get, path = "/boards", responses((status = 200, body = BoardNames)))]
async fn get_boards() -> Json<BoardNames> {
    let items = boards::ALL.iter().map(|board| BoardName {
        name: board.name.to_owned(),
        title: board.title.to_owned(),
    });
    Json(BoardNames {
        items: items.collect(),
    })
}

/// A board: the questions that are asked most, put together.
#[utoipa::path(get, path = "/boards/{name}",
    params(("name" = String, Path, description = "`services`, `stores`, `consumers`, `sagas`, `pools`, `events`"),
        ("from" = Option<String>, Query, description = "RFC 3339; default an hour before `to`"),
        ("to" = Option<String>, Query, description = "RFC 3339; default now"),
        ("step" = Option<i64>, Query, description = "Seconds; at most 1,000 steps; default: as it suits the span")),
    responses((status = 200, body = Board),
        (status = 404, body = ProblemDocument, description = "`unknown-board`"),
        (status = 422, body = ProblemDocument, description = "`invalid`, `step-unsuitable` with `multiple_of_s`, `too-much-work`"),
        (status = 503, body = ProblemDocument, description = "`busy`, `store-unavailable`")))]
async fn get_board(
    State(app): State<App>,
    Path(name): Path<String>,
    Query(pairs): Query<Pairs>,
) -> Result<Json<Board>, Error> {
    let now = app.clock.now();
    let plan = boards::find(&name)?;
    let span = parameters::span(pairs.0, now)?;
    let _turn = app.turn().await?;
    Ok(Json(boards::show(&*app.store, plan, &span, now).await?))
}

/// The services to scrape, as the HTTP service discovery of Prometheus wants them.
#[utoipa::path(get, path = "/scrape-targets", responses((status = 200, body = Vec<TargetGroup>)))]
async fn get_scrape_targets(State(app): State<App>, headers: HeaderMap) -> Json<Vec<TargetGroup>> {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    Json(app.targets.list(host))
}
