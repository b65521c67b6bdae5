//! Calls to stores, observed: a span with the OpenTelemetry database conventions and a histogram, once, wherever the client
//! is wrapped. [`observed`] does both for stores other than PostgreSQL, whose driver is wrapped in [`crate::db`].

use std::time::Instant;

use tracing::Instrument;

use crate::metrics::Metrics;

/// What is called.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// `db.system.name`: `redis`, `elasticsearch`, …
    pub system: &'static str,
    /// `db.operation.name`, from a closed list: it is a metric's label.
    pub operation: &'static str,
    /// `db.query.text`: the native query without values, since those may be personal data.
    pub text: &'a str,
}

/// Target of the spans of calls to stores.
const TARGET: &str = "emporium::store";

/// Whether somebody listens to the spans of calls. A text that costs something to make is made only then.
pub fn is_heard() -> bool {
    tracing::enabled!(target: TARGET, tracing::Level::DEBUG)
}

/// The span of a call to a store, by the OpenTelemetry database conventions; what comes of it is recorded later.
pub(crate) fn span(call: Call<'_>) -> tracing::Span {
    tracing::debug_span!(
        target: TARGET,
        "store call",
        otel.kind = "client",
        db.system.name = call.system,
        db.operation.name = call.operation,
        db.query.text = call.text,
        db.response.returned_rows = tracing::field::Empty,
        error.type = tracing::field::Empty,
    )
}

/// Runs a call to a store and measures it. `rows` counts what came back; `error_type` names what went wrong in a word.
pub async fn observed<T, E>(
    metrics: &Metrics,
    call: Call<'_>,
    rows: impl FnOnce(&T) -> u64,
    error_type: impl FnOnce(&E) -> &str,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let span = span(call);
    let watch = Watch {
        metrics,
        call,
        started: Instant::now(),
        outcome: None,
    };
    let result = work.instrument(span.clone()).await;
    let rows = match &result {
        Ok(answer) => {
            let rows = rows(answer);
            span.record("db.response.returned_rows", rows);
            rows
        }
        Err(error) => {
            span.record("error.type", error_type(error));
            0
        }
    };
    watch.end(rows, result.is_err());
    result
}

/// Measures to its end, or to where its future is dropped: who gave up waiting counts as failed.
struct Watch<'a> {
    metrics: &'a Metrics,
    call: Call<'a>,
    started: Instant,
    outcome: Option<(u64, bool)>,
}

impl Watch<'_> {
    fn end(mut self, rows: u64, failed: bool) {
        self.outcome = Some((rows, failed));
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let (rows, failed) = self.outcome.unwrap_or((0, true));
        self.metrics.other_store_call(
            [self.call.system, self.call.operation],
            self.started.elapsed(),
            rows,
            failed,
        );
    }
}
