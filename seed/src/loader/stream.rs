//! One streamed request: records in, the owner's answer out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

use super::progress::{Meter, Progress};
use super::{BulkAnswer, BulkTarget, Owner};
use crate::error::LoadError;

/// A chunk of the body is sent when it has grown to this size.
const CHUNK_BYTES: usize = 128 * 1024;
/// Chunks that wait between the making of records and the connection.
const CHUNKS_WAITING_MAX: usize = 8;
/// Without any progress for so long, a load is given up.
pub const STALL_LIMIT: Duration = Duration::from_mins(5);
/// No load takes longer than this.
const REQUEST_LIMIT: Duration = Duration::from_hours(12);
/// How often progress is looked at.
const WATCH_EVERY: Duration = Duration::from_millis(200);
/// An error's body is quoted up to here.
const DETAIL_CHARS_MAX: usize = 500;

/// Why no more records are wanted.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Stopped {
    /// The connection is gone; the request itself says why.
    #[error("the connection is closed")]
    ConnectionClosed,
    /// A record could not be made.
    #[error("{0}")]
    Failed(String),
}

impl Stopped {
    /// A record could not be made.
    pub fn failed(error: &impl std::fmt::Display) -> Self {
        Self::Failed(error.to_string())
    }
}

/// What travels from the thread that makes records to the connection: a part of the body, or the reason why it
/// breaks off. A body that breaks off breaks the request, so the owner never takes a part for the whole.
type Chunk = Result<Bytes, Stopped>;

/// Where records are written; each becomes a line of the request's body.
pub struct RecordSink {
    buffer: Vec<u8>,
    chunks: mpsc::Sender<Chunk>,
    rows: u64,
    rows_sent: Arc<AtomicU64>,
}

impl RecordSink {
    /// Adds a record; waits while the owner is busy.
    pub fn push(&mut self, record: &impl Serialize) -> Result<(), Stopped> {
        serde_json::to_writer(&mut self.buffer, record).map_err(|error| Stopped::failed(&error))?;
        self.buffer.push(b'\n');
        self.rows += 1;
        if self.buffer.len() >= CHUNK_BYTES {
            self.flush()
        } else {
            Ok(())
        }
    }

    /// Adds all records of an iterator.
    pub fn extend<R: Serialize>(&mut self, records: impl Iterator<Item = R>) -> Result<(), Stopped> {
        for record in records {
            self.push(&record)?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Stopped> {
        if !self.buffer.is_empty() {
            let chunk = std::mem::replace(
                &mut self.buffer,
                Vec::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 4),
            );
            self.chunks
                .blocking_send(Ok(chunk.into()))
                .map_err(|_| Stopped::ConnectionClosed)?;
        }
        self.rows_sent.store(self.rows, Ordering::Relaxed);
        Ok(())
    }
}

/// Sends what `produce` writes to the owner's bulk interface at `path` and returns its answer.
///
/// `produce` runs on a thread of its own and may block.
pub async fn load_records<F>(
    client: &reqwest::Client,
    target: &BulkTarget,
    owner: Owner,
    what: &'static str,
    path: &str,
    progress: &Progress,
    produce: F,
) -> Result<BulkAnswer, LoadError>
where
    F: FnOnce(&mut RecordSink) -> Result<(), Stopped> + Send + 'static,
{
    let (chunks, body) = mpsc::channel(CHUNKS_WAITING_MAX);
    let rows_sent = Arc::new(AtomicU64::new(0));
    let counter = rows_sent.clone();
    let producer = tokio::task::spawn_blocking(move || {
        let mut sink = RecordSink {
            buffer: Vec::with_capacity(CHUNK_BYTES * 2),
            chunks,
            rows: 0,
            rows_sent: counter,
        };
        let result = produce(&mut sink).and_then(|()| sink.flush());
        if let Err(stopped @ Stopped::Failed(_)) = &result {
            // If nobody listens any more, the request has failed already and says so itself.
            let _ = sink.chunks.blocking_send(Err(stopped.clone()));
        }
        result.map(|()| sink.rows)
    });
    let mut request = client
        .post(format!("{}{path}", target.url))
        .bearer_auth(&target.token)
        .header(reqwest::header::CONTENT_TYPE, "application/x-ndjson")
        .timeout(REQUEST_LIMIT)
        .body(reqwest::Body::wrap_stream(ReceiverStream::new(body)));
    for (name, value) in &target.extra {
        request = request.header(name, value);
    }
    let mut meter = Meter::start(progress, owner, what);
    let answer = watched(
        exchange(request, owner, what),
        &rows_sent,
        &mut meter,
        owner,
        what,
    )
    .await;
    // The body is dropped by now, so a producer that still waits stops as well.
    let produced = producer.await.map_err(|error| LoadError::Produce {
        owner,
        what,
        detail: error.to_string(),
    })?;
    match (answer, produced) {
        (_, Err(Stopped::Failed(detail))) => Err(LoadError::Produce { owner, what, detail }),
        (Err(error), _) => Err(error),
        (Ok(answer), Ok(rows)) => {
            check(&answer, rows, owner, what)?;
            meter.finished(rows);
            Ok(answer)
        }
        (Ok(answer), Err(Stopped::ConnectionClosed)) => Err(LoadError::Answer {
            owner,
            what,
            detail: format!(
                "it answered after {} records, before all were sent",
                answer.received
            ),
        }),
    }
}

/// Sends the request and reads the answer.
async fn exchange(
    request: reqwest::RequestBuilder,
    owner: Owner,
    what: &'static str,
) -> Result<BulkAnswer, LoadError> {
    let failed = |error: reqwest::Error| LoadError::Connection {
        owner,
        what,
        message: chain(&error),
    };
    let response = request.send().await.map_err(failed)?;
    let status = response.status();
    let body = bounded_body(response).await.map_err(failed)?;
    if !status.is_success() {
        return Err(LoadError::Refused {
            owner,
            what,
            status: status.as_u16(),
            detail: detail(&body),
        });
    }
    serde_json::from_slice(&body).map_err(|error| LoadError::Answer {
        owner,
        what,
        detail: error.to_string(),
    })
}

/// The answer's body, up to a size that a thousand rejections fit in.
async fn bounded_body(response: reqwest::Response) -> Result<Vec<u8>, reqwest::Error> {
    const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
    let mut body = Vec::new();
    let mut parts = std::pin::pin!(response.bytes_stream());
    while let Some(part) = parts.next().await {
        body.extend_from_slice(&part?);
        if body.len() > BODY_BYTES_MAX {
            break;
        }
    }
    Ok(body)
}

/// Waits for the answer, reports progress meanwhile, and gives up when there is none for [`STALL_LIMIT`].
async fn watched(
    exchange: impl Future<Output = Result<BulkAnswer, LoadError>>,
    rows_sent: &AtomicU64,
    meter: &mut Meter,
    owner: Owner,
    what: &'static str,
) -> Result<BulkAnswer, LoadError> {
    let mut exchange = std::pin::pin!(exchange);
    let mut last_rows = 0;
    let mut unchanged_for = Duration::ZERO;
    loop {
        if let Ok(answer) = tokio::time::timeout(WATCH_EVERY, &mut exchange).await {
            return answer;
        }
        let rows = rows_sent.load(Ordering::Relaxed);
        meter.rows(rows);
        unchanged_for = if rows == last_rows {
            unchanged_for + WATCH_EVERY
        } else {
            Duration::ZERO
        };
        last_rows = rows;
        if unchanged_for >= STALL_LIMIT {
            return Err(LoadError::Stalled {
                owner,
                what,
                seconds: STALL_LIMIT.as_secs(),
            });
        }
    }
}

/// The answer must account for every record.
fn check(answer: &BulkAnswer, rows: u64, owner: Owner, what: &'static str) -> Result<(), LoadError> {
    let accounted = answer.loaded + answer.unchanged + answer.rejected_count;
    if answer.received == rows && accounted == rows {
        return Ok(());
    }
    let detail = format!(
        "{rows} records were sent, {} received, {} loaded, {} unchanged and {} rejected",
        answer.received, answer.loaded, answer.unchanged, answer.rejected_count
    );
    Err(LoadError::Answer { owner, what, detail })
}

/// What a problem document says, or the beginning of another body.
fn detail(body: &[u8]) -> String {
    let problem: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let field = |name| {
        problem
            .as_ref()
            .and_then(|problem| problem.get(name))
            .and_then(serde_json::Value::as_str)
    };
    match (field("detail"), field("title")) {
        (Some(text), _) | (None, Some(text)) => text.chars().take(DETAIL_CHARS_MAX).collect(),
        (None, None) => String::from_utf8_lossy(body)
            .chars()
            .take(DETAIL_CHARS_MAX)
            .collect(),
    }
}

/// An error with all its causes: the outermost alone says little.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.contains(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        cause = error.source();
    }
    text
}
