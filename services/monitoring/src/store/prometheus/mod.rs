//! Points in a Prometheus, which scrapes the services by itself.
//!
//! The adapter only asks. A question becomes one PromQL expression ([`promql`]), evaluated once a step; what PromQL has no
//! words for is folded from the points themselves ([`points`]). Before that it is looked up which series a question is about:
//! that bounds the work, chooses between scraped points and the hours that recording rules make ([`plan`]), and says by how much
//! an answer would be too large.

use std::sync::Arc;

use async_trait::async_trait;
use emporium_service_kit::report::{self, ServerFacts};
use emporium_service_kit::{Environment, StartError, StoreError, StoreSetting};
use time::{Duration, OffsetDateTime};

use super::grouping::{MATCHED_MAX, into_lines, too_many};
use super::{Capability, Metric, MonitoringStore};
use crate::error::Error;
use crate::model::{Kind, Labels};
use crate::question::{As, History, Line, Question, Windows};

mod answer;
mod check;
mod client;
mod connect;
mod names;
mod plan;
mod points;
mod promql;
pub(super) mod remote_write;
mod selector;
#[cfg(test)]
pub(super) mod tests;

use answer::{Lines, Matrix};
use check::Server;
use client::{CallError, Client, LOOK_TIMEOUT, Request};
use connect::ConnectError;
use plan::{Amount, POINTS_MAX, Plan, look_back_s, plan};
use promql::{Asked, Ranges, Tier};
use selector::{Values, matchers};

pub use client::PROMETHEUS;
pub use remote_write::Point;

/// Most points that the service reads itself.
const FOLDED_MAX: u64 = 1_000_000;
/// Buckets of a histogram, to estimate the points of all of them: those of our own have 11 to 16.
const BUCKETS: usize = 16;
/// How late the rules' hour may be: they are evaluated once a minute.
const RULES_LATE: Duration = Duration::milliseconds(59_999);
/// Moments are of milliseconds, and a step does not hold the one at its end.
const TICK: Duration = Duration::MILLISECOND;

/// The Prometheus adapter. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PrometheusMonitoring {
    client: Client,
    server: Arc<Server>,
    points_max: i64,
}

/// The texts of a question, and its kind.
struct Subject<'a> {
    question: &'a Question,
    kind: Kind,
    given: String,
    masked: String,
}

impl Subject<'_> {
    fn given(&self) -> Asked<'_> {
        self.with(&self.given)
    }

    fn masked(&self) -> Asked<'_> {
        self.with(&self.masked)
    }

    fn with<'a>(&'a self, matchers: &'a str) -> Asked<'a> {
        Asked {
            question: self.question,
            kind: self.kind,
            matchers,
        }
    }
}

impl PrometheusMonitoring {
    /// The server that the setting names: one clear line when it does not answer, refuses, or will not do.
    pub async fn open(setting: &StoreSetting<'_>, environment: &Environment) -> Result<Self, StartError> {
        let opened = Self::connect(setting.url(), environment.metrics.clone()).await;
        opened.map_err(|error| {
            if error.tells_remedy() {
                setting.refused(error.to_string())
            } else {
                setting.failed(environment, error)
            }
        })
    }

    async fn connect(
        url: &str,
        metrics: emporium_service_kit::metrics::Metrics,
    ) -> Result<Self, ConnectError> {
        let client = Client::new(connect::address(url)?, metrics)?;
        let server = Arc::new(check::look(&client).await?);
        Ok(Self {
            client,
            server,
            points_max: POINTS_MAX,
        })
    }

    /// The server, to tell about.
    pub fn client(&self) -> impl report::Server + 'static {
        self.clone()
    }

    /// The series that a question may be about.
    async fn matched(&self, subject: &Subject<'_>, windows: Windows) -> Result<Vec<Labels>, Error> {
        let part = if subject.kind == Kind::Histogram {
            "_count"
        } else {
            ""
        };
        let parameters = [
            ("match[]", promql::selector(subject.given(), part)),
            ("start", seconds(windows.from)),
            ("end", seconds(windows.to() - TICK)),
            ("limit", (MATCHED_MAX + 1).to_string()),
        ];
        let request = Request {
            operation: "series",
            path: "api/v1/series",
            parameters: &parameters,
            text: &promql::selector(subject.masked(), part),
            timeout: LOOK_TIMEOUT,
        };
        let series: Vec<Labels> = self
            .client
            .ask(request, |found: &Vec<_>| found.len() as u64)
            .await?;
        if series.len() > MATCHED_MAX {
            return Err(too_many(series.len(), MATCHED_MAX));
        }
        Ok(series.into_iter().map(answer::own).collect())
    }

    async fn answer(
        &self,
        subject: &Subject<'_>,
        plan: Plan,
        now: OffsetDateTime,
    ) -> Result<Vec<Line>, Error> {
        if !promql::is_answered(subject.kind, subject.question.how) {
            return self.fold(subject, plan.windows).await;
        }
        let mut lines = Lines::of(plan.windows);
        let (hours, points) = plan.parts(now);
        let hours = hours.map(|windows| (Tier::Hour, windows, RULES_LATE));
        let points = points.map(|windows| (Tier::Raw, windows, -TICK));
        for (tier, windows, late) in hours.into_iter().chain(points) {
            lines.add(&self.evaluate(subject, tier, windows, late).await?, late);
        }
        Ok(lines.finish())
    }

    /// Evaluates a question's expression `late` after the end of each step.
    async fn evaluate(
        &self,
        subject: &Subject<'_>,
        tier: Tier,
        windows: Windows,
        late: Duration,
    ) -> Result<Matrix, CallError> {
        let ranges = Ranges {
            tier,
            step_s: windows.step_s,
            look_back_s: look_back_s(windows.step_s),
            is_exact: self.server.is_exact,
            is_left_open: self.server.is_left_open,
        };
        let parameters = [
            ("query", promql::expression(subject.given(), ranges)),
            (
                "start",
                seconds(windows.from + Duration::seconds(windows.step_s) + late),
            ),
            ("end", seconds(windows.to() + late)),
            ("step", windows.step_s.to_string()),
            ("lookback_delta", format!("{}s", ranges.look_back_s)),
        ];
        let request = Request {
            operation: "query_range",
            path: "api/v1/query_range",
            parameters: &parameters,
            text: &promql::expression(subject.masked(), ranges),
            timeout: LOOK_TIMEOUT,
        };
        self.client.evaluate(request, Matrix::points).await
    }

    /// Reads the points and makes the answer of them.
    async fn fold(&self, subject: &Subject<'_>, windows: Windows) -> Result<Vec<Line>, Error> {
        let span_s = (windows.to() - windows.from).whole_seconds() + look_back_s(windows.step_s);
        let parameters = [
            ("query", promql::points(subject.given(), span_s)),
            ("time", seconds(windows.to() - TICK)),
        ];
        let request = Request {
            operation: "query",
            path: "api/v1/query",
            parameters: &parameters,
            text: &promql::points(subject.masked(), span_s),
            timeout: LOOK_TIMEOUT,
        };
        let matrix = self.client.evaluate(request, Matrix::points).await?;
        if matrix.points() > FOLDED_MAX {
            return Err(Error::TooMuchWork);
        }
        let (how, by) = (subject.question.how, subject.question.by.as_deref());
        points::fold(&matrix.result, subject.kind, how, by, windows)
    }
}

/// A moment as the server takes it: seconds, to the millisecond.
fn seconds(at: OffsetDateTime) -> String {
    let ms = at.unix_timestamp_nanos().div_euclid(1_000_000);
    let sign = if ms < 0 { "-" } else { "" };
    format!("{sign}{}.{:03}", ms.abs() / 1_000, ms.abs() % 1_000)
}

#[async_trait]
impl MonitoringStore for PrometheusMonitoring {
    async fn metrics(&self, limit: usize) -> Result<Vec<Metric>, StoreError> {
        Ok(names::list(&self.client, limit).await?)
    }

    async fn kind(&self, metric: &str) -> Result<Option<Kind>, StoreError> {
        Ok(names::kind(&self.client, metric).await?)
    }

    async fn history(&self, question: &Question, now: OffsetDateTime) -> Result<History, Error> {
        let kind = self.kind(&question.metric).await?.ok_or(Error::UnknownMetric)?;
        let how = question.how;
        if !how.fits(kind) {
            return Err(Error::NotForKind { kind, how });
        }
        let texts = (
            matchers(question, Values::Given),
            matchers(question, Values::Masked),
        );
        let widest = Windows::covering(question.from, question.to, question.step_s.unwrap_or(1));
        let mut series = Vec::new();
        let mut subject = None;
        if let (Some(given), Some(masked)) = texts {
            let found = subject.insert(Subject {
                question,
                kind,
                given,
                masked,
            });
            series = self.matched(found, widest).await?;
        }
        let buckets = if kind == Kind::Histogram && matches!(how, As::Quantile(_)) {
            BUCKETS
        } else {
            1
        };
        let amount = Amount {
            series: series.len() * buckets,
            kind,
            points_max: self.points_max,
        };
        let plan = plan(question, amount, now)?;
        let labels = series.iter().map(|labels| ((), labels.clone(), Vec::new()));
        into_lines(labels, question.by.as_deref())?;
        let lines = match subject {
            Some(subject) if !series.is_empty() => self.answer(&subject, plan, now).await?,
            _ => Vec::new(),
        };
        Ok(History {
            kind,
            windows: plan.windows,
            resolution: plan.tier.as_str(),
            lines,
        })
    }

    async fn ping(&self) -> Result<(), StoreError> {
        check::version(&self.client, LOOK_TIMEOUT).await?;
        Ok(())
    }

    fn lacks(&self) -> &[Capability] {
        &self.server.lacks
    }
}

#[async_trait]
impl report::Server for PrometheusMonitoring {
    fn adapter(&self) -> &'static str {
        PROMETHEUS
    }

    async fn facts(&self) -> Result<ServerFacts, StoreError> {
        let version = check::version(&self.client, LOOK_TIMEOUT).await?;
        let latency_ms = report::latency_ms(|| self.ping()).await?;
        Ok(ServerFacts {
            version: format!("Prometheus {version}"),
            latency_ms,
            durability: "scraped points are in the server's log (WAL), which it does not sync at each scrape"
                .to_owned(),
            size_bytes: None,
        })
    }
}
