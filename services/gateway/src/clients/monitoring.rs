//! The monitoring service: how services and stores are doing, and were.

use std::collections::BTreeMap;

use emporium_service_kit::client::{CallError, Client};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::{Items, REPORT_TIMEOUT};

/// Client of the monitoring service.
#[derive(Clone)]
pub struct Monitoring(Client);

/// Parameters of a question as they came: some of their names are made of labels' names.
pub type Pairs = [(String, String)];

/// A metric's history.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct MetricRange {
    /// The metric.
    pub metric: String,
    /// `gauge`, `counter` or `histogram`.
    pub kind: String,
    /// How its points were read.
    #[serde(rename = "as")]
    pub how: String,
    /// Where the first step begins.
    #[serde(with = "time::serde::rfc3339")]
    pub from: OffsetDateTime,
    /// Where the last step ends.
    #[serde(with = "time::serde::rfc3339")]
    pub to: OffsetDateTime,
    /// Length of a step, in seconds. Step n begins at `from` + n · `step_s`.
    pub step_s: i64,
    /// How far apart the points are that it was made of: `raw`, `minute`, `hour`.
    pub resolution: String,
    /// A quantile is at most this part of itself off; null where values are exact.
    pub relative_error: Option<f64>,
    /// One line a series, or a combination of labels.
    pub items: Vec<MetricLine>,
}

/// A line of a history.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct MetricLine {
    /// What it is of.
    pub labels: BTreeMap<String, String>,
    /// A value a step; null where nothing is known.
    pub values: Vec<Option<f64>>,
}

/// A board: the questions that are asked most, put together.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Board {
    /// As in its address.
    pub name: String,
    /// What it shows.
    pub title: String,
    /// Where the first step begins.
    #[serde(with = "time::serde::rfc3339")]
    pub from: OffsetDateTime,
    /// Where the last step ends.
    #[serde(with = "time::serde::rfc3339")]
    pub to: OffsetDateTime,
    /// Length of a step, in seconds.
    pub step_s: i64,
    /// The panels; all have the same steps.
    pub panels: Vec<Panel>,
}

/// A panel of a board.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Panel {
    /// For programs.
    pub name: String,
    /// For people.
    pub title: String,
    /// `per second`, `seconds`, `share`, `events`, …
    pub unit: String,
    /// False while no service exports what it asks for.
    pub known: bool,
    /// The lines; empty where there is nothing.
    pub items: Vec<MetricLine>,
}

/// A board that there is.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct BoardName {
    /// As in its address.
    pub name: String,
    /// What it shows.
    pub title: String,
}

/// A metric that there are points of.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct MetricName {
    /// Its name.
    pub name: String,
    /// `gauge`, `counter` or `histogram`.
    pub kind: String,
    /// How many series it has.
    pub series: i64,
}

impl Monitoring {
    pub(super) fn new(client: Client) -> Self {
        Self(client)
    }

    /// How a metric went. Problems: 404 `unknown-metric`; 422 `invalid`, `not-for-this-kind`, `step-unsuitable`,
    /// `too-many-series`, `too-much-work`; 503 `busy`.
    pub async fn range(&self, pairs: &Pairs) -> Result<MetricRange, CallError> {
        let call = self.0.get("/range").query(pairs).timeout(REPORT_TIMEOUT);
        call.send().await
    }

    /// A board; `name` is one that [`is_board_name`] lets through. Problems: 404 `unknown-board`, else as of
    /// [`Monitoring::range`].
    pub async fn board(&self, name: &str, pairs: &Pairs) -> Result<Board, CallError> {
        let call = self.0.get(format!("/boards/{name}")).query(pairs);
        call.timeout(REPORT_TIMEOUT).send().await
    }

    /// The boards that there are.
    pub async fn boards(&self) -> Result<Vec<BoardName>, CallError> {
        let call = self.0.get("/boards").timeout(REPORT_TIMEOUT);
        call.send::<Items<BoardName>>().await.map(|list| list.items)
    }

    /// The metrics that there are points of.
    pub async fn metric_names(&self) -> Result<Vec<MetricName>, CallError> {
        let call = self.0.get("/metric-names").timeout(REPORT_TIMEOUT);
        call.send::<Items<MetricName>>().await.map(|list| list.items)
    }
}

/// Whether a board may have this name: only such go into an address.
pub fn is_board_name(name: &str) -> bool {
    (1..=40).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'-' | b'_'))
}
