//! Points in a Prometheus, which scrapes the services by itself.
//!
//! The adapter only asks. A question becomes one PromQL expression ([`promql`]), evaluated once a step; what PromQL has no
//! words for is folded from the points themselves ([`points`]). Before that it is looked up which series a question is about:
//! that bounds the work, chooses between scraped points and the hours that recording rules make ([`plan`]), and says by how much
//! an answer would be too large.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use emporium_service_kit::report::{self, ServerFacts};
use emporium_service_kit::{Environment, StartError, StoreError, StoreSetting};
use time::{Duration, OffsetDateTime};

use super::grouping::{MATCHED_MAX, into_lines, too_many};
use super::ledger::{Brought, HOUR_S, Ledger};
use super::{Capability, Metric, MonitoringStore};
use crate::error::Error;
use crate::model::{Kind, Labels};
use crate::question::{As, History, Line, Question, Windows};

mod answer;
mod check;
mod client;
mod connect;
mod copied;
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
use plan::{Amount, POINTS_MAX, Parts, Plan, look_back_s, plan};
use promql::{Asked, Moved, Own, Ranges, Tier};
use selector::{Values, matchers};

pub use client::PROMETHEUS;
pub use copied::PrometheusHours;
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
#[derive(Clone)]
pub struct PrometheusMonitoring {
    client: Client,
    server: Arc<Server>,
    points_max: i64,
    /// Says which hours were moved here; `None`: none.
    ledger: Option<Ledger>,
}

impl std::fmt::Debug for PrometheusMonitoring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.client.fmt(f)
    }
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
            ledger: None,
        })
    }

    /// The same, into which a move may have brought hours.
    #[must_use]
    pub fn with_ledger(self, ledger: Ledger) -> Self {
        let ledger = Some(ledger);
        Self { ledger, ..self }
    }

    async fn brought(&self) -> Result<Option<Brought>, StoreError> {
        match &self.ledger {
            Some(ledger) => ledger.brought().await,
            None => Ok(None),
        }
    }

    /// The server, to tell about.
    pub fn client(&self) -> impl report::Server + 'static {
        self.clone()
    }

    /// The series that a question may be about: of what the server has collected, and of what a move has brought.
    async fn matched(
        &self,
        subject: &Subject<'_>,
        windows: Windows,
        brought: Option<Brought>,
    ) -> Result<Vec<Labels>, Error> {
        let part = if subject.kind == Kind::Histogram {
            "_count"
        } else {
            ""
        };
        let end = windows.to() - TICK;
        let own = |asked: Asked<'_>| promql::selector(asked, part);
        let mut series = Vec::new();
        let own_from = brought.map_or(windows.from, |brought| brought.own_since.max(windows.from));
        if own_from <= end {
            let texts = (own(subject.given()), own(subject.masked()));
            series = self.series(texts, own_from, end).await?;
        }
        if let Some(brought) = brought.filter(|brought| windows.from < brought.own_since) {
            let what = if subject.kind == Kind::Gauge {
                "count"
            } else {
                "increase"
            };
            let origin = copied::brought_by(brought.generation);
            let hours = |asked: Asked<'_>| promql::recorded(asked, part, what, &origin);
            let texts = (hours(subject.given()), hours(subject.masked()));
            let end = end.min(brought.own_since);
            series.extend(self.series(texts, windows.from, end).await?);
        }
        let series: BTreeSet<Labels> = series.into_iter().map(answer::own).collect();
        if series.len() > MATCHED_MAX {
            return Err(too_many(series.len(), MATCHED_MAX));
        }
        Ok(series.into_iter().collect())
    }

    async fn series(
        &self,
        (text, masked): (String, String),
        from: OffsetDateTime,
        to: OffsetDateTime,
    ) -> Result<Vec<Labels>, Error> {
        let parameters = [
            ("match[]", text),
            ("start", seconds(from)),
            ("end", seconds(to)),
            ("limit", (MATCHED_MAX + 1).to_string()),
        ];
        let request = Request {
            operation: "series",
            path: "api/v1/series",
            parameters: &parameters,
            text: &masked,
            timeout: LOOK_TIMEOUT,
        };
        let series: Vec<Labels> = self
            .client
            .ask(request, |found: &Vec<_>| found.len() as u64)
            .await?;
        if series.len() > MATCHED_MAX {
            return Err(too_many(series.len(), MATCHED_MAX));
        }
        Ok(series)
    }

    async fn answer(
        &self,
        subject: &Subject<'_>,
        plan: Plan,
        brought: Option<Brought>,
        now: OffsetDateTime,
    ) -> Result<Vec<Line>, Error> {
        let own_since = brought.map(|brought| brought.own_since);
        let Parts { moved, mixed, own } = plan.parts(own_since);
        if !promql::is_answered(subject.kind, subject.question.how) {
            // Of a step with hours that were brought, not all points are known.
            return match own {
                Some(own) => self.fold(subject, plan.windows, own).await,
                None => Ok(Vec::new()),
            };
        }
        let generation = brought.map(|brought| brought.generation).unwrap_or_default();
        let moved_part = |part_s: i64| Some(Moved { generation, part_s });
        let own_part = |tier: Tier, part_s: i64| Some(Own { tier, part_s });
        let mut asked = Vec::new();
        if let Some(windows) = moved {
            asked.push((windows, -TICK, None, moved_part(windows.step_s)));
        }
        if let Some((windows, moved_s)) = mixed {
            let is_settled = plan.settled(windows, now).0.is_some();
            let (tier, late) = if is_settled {
                (Tier::Hour, RULES_LATE)
            } else {
                (Tier::Raw, -TICK)
            };
            let own = own_part(tier, windows.step_s - moved_s);
            // Hours that were brought lie at their ends, not behind them.
            asked.push((windows, late, own, moved_part(moved_s)));
        }
        if let Some(windows) = own {
            let (hours, points) = plan.settled(windows, now);
            let hours = hours.map(|windows| (windows, RULES_LATE, Tier::Hour));
            let points = points.map(|windows| (windows, -TICK, Tier::Raw));
            for (windows, late, tier) in hours.into_iter().chain(points) {
                asked.push((windows, late, own_part(tier, windows.step_s), None));
            }
        }
        let mut lines = Lines::of(plan.windows);
        for (windows, late, own, moved) in asked {
            let mut look_back = look_back_s(windows.step_s);
            if let Some(own_since) = own_since {
                // What was scraped before the hour ahead of the own ones is of another time, whose counts were brought.
                let known_s = (windows.from - own_since).whole_seconds().max(0) + HOUR_S;
                look_back = look_back.min(known_s);
            }
            let answer = self.evaluate(subject, windows, late, (own, moved), look_back);
            lines.add(&answer.await?, late);
        }
        Ok(lines.finish())
    }

    /// Evaluates a question's expression `late` after the end of each step.
    async fn evaluate(
        &self,
        subject: &Subject<'_>,
        windows: Windows,
        late: Duration,
        (own, moved): (Option<Own>, Option<Moved>),
        look_back_s: i64,
    ) -> Result<Matrix, CallError> {
        let ranges = Ranges {
            own,
            moved,
            step_s: windows.step_s,
            look_back_s,
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

    /// Reads the points of these steps and makes the answer of them; of the others of `all`, those before, nothing is known.
    async fn fold(&self, subject: &Subject<'_>, all: Windows, windows: Windows) -> Result<Vec<Line>, Error> {
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
        let mut lines = points::fold(&matrix.result, subject.kind, how, by, windows)?;
        for line in &mut lines {
            let unknown = all.count - windows.count;
            line.values.splice(..0, std::iter::repeat_n(None, unknown));
        }
        Ok(lines)
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
        let brought = self.brought().await?.map(|brought| brought.generation);
        Ok(names::list(&self.client, limit, brought).await?)
    }

    async fn kind(&self, metric: &str) -> Result<Option<Kind>, StoreError> {
        let brought = self.brought().await?.map(|brought| brought.generation);
        Ok(names::kind(&self.client, metric, brought).await?)
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
        let brought = self.brought().await?;
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
            series = self.matched(found, widest, brought).await?;
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
            own_since: brought.map(|brought| brought.own_since),
        };
        let plan = plan(question, amount, now)?;
        let parts = plan.parts(amount.own_since);
        let resolution = if parts.moved.is_some() || parts.mixed.is_some() {
            Tier::Hour
        } else {
            plan.tier
        };
        let labels = series.iter().map(|labels| ((), labels.clone(), Vec::new()));
        into_lines(labels, question.by.as_deref())?;
        let lines = match subject {
            Some(subject) if !series.is_empty() => self.answer(&subject, plan, brought, now).await?,
            _ => Vec::new(),
        };
        Ok(History {
            kind,
            windows: plan.windows,
            resolution: resolution.as_str(),
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
