//! Bulk interfaces: newline-delimited JSON in, chunks stored one after the other, a summary back; and rows for `COPY`.

use std::future::Future;

use axum::body::Body;
use bytes::{Buf, BytesMut};
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Problem;

mod check;
mod rows;
pub use check::{check_rules, check_text, check_time, micros, moment};
pub use rows::{BinaryRows, CopyRows};

/// The longest record, in bytes.
pub const RECORD_BYTES_MAX: usize = 1 << 20;
/// A chunk ends when its lines come to this many bytes, whatever their number. Two chunks are in memory at a time, each in
/// several forms, so this decides how much a load needs.
pub const CHUNK_BYTES_MAX: usize = 2 << 20;
/// How long a stream may pause.
pub const STALL_TIMEOUT: std::time::Duration = std::time::Duration::from_mins(1);
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
/// How many rejections a summary lists; all are counted.
pub const REJECTIONS_MAX: usize = 1_000;

/// What became of a bulk load.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct BulkSummary {
    /// Records read.
    pub received: u64,
    /// Records that were new.
    pub loaded: u64,
    /// Records whose id was there already; they stay as they were.
    pub unchanged: u64,
    /// Records refused.
    pub rejected_count: u64,
    /// The first 1,000 of them.
    pub rejected: Vec<Rejection>,
}

/// A refused record.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Rejection {
    /// Line number in the stream, from 1.
    pub line: u64,
    /// Why.
    pub reason: String,
}

impl BulkSummary {
    /// Counts a refused record.
    pub fn reject(&mut self, line: u64, reason: impl Into<String>) {
        self.rejected_count += 1;
        if self.rejected.len() < REJECTIONS_MAX {
            self.rejected.push(Rejection {
                line,
                reason: reason.into(),
            });
        }
    }
}

/// What became of the checked records of a chunk. Those that are not told of were there already.
#[derive(Debug, Default)]
pub struct Stored {
    /// Records that were new.
    pub loaded: u64,
    /// Records that the store refused.
    pub rejected: Vec<Rejection>,
}

/// A kind of records and how it is loaded.
pub trait BulkLoad: Sync {
    /// A record that was looked over, in the form that [`BulkLoad::store`] wants.
    type Checked: Send;
    /// Records of a chunk at most.
    const RECORDS_MAX: usize = 2_000;

    /// Reads one line; the error says why it is refused.
    fn read(&self, line: &[u8]) -> Result<Self::Checked, String>;

    /// Stores a chunk, each record with its line number; all that is new, in one transaction.
    fn store(&self, chunk: Vec<(u64, Self::Checked)>)
    -> impl Future<Output = Result<Stored, Problem>> + Send;
}

/// Loads a stream of records. The next chunk is read while the one before is stored.
pub async fn load<L: BulkLoad>(loader: &L, body: Body) -> Result<BulkSummary, Problem> {
    let mut lines = Lines::new(body);
    let mut summary = BulkSummary::default();
    let read = |line: &[u8]| loader.read(line);
    let mut chunk = lines.chunk(L::RECORDS_MAX, &mut summary, read).await?;
    while !chunk.is_empty() {
        let size = chunk.len() as u64;
        let (stored, next) = tokio::join!(
            loader.store(chunk),
            lines.chunk(L::RECORDS_MAX, &mut summary, read)
        );
        let Stored { loaded, rejected } = stored?;
        summary.loaded += loaded;
        summary.unchanged += size - loaded - rejected.len() as u64;
        for Rejection { line, reason } in rejected {
            summary.reject(line, reason);
        }
        chunk = next?;
    }
    // What cannot be read is found a chunk ahead of what the store refuses.
    summary.rejected.sort_by_key(|rejection| rejection.line);
    Ok(summary)
}

/// Reads the lines of a streamed body, a chunk at a time; never holds more than a chunk and a line.
struct Lines {
    body: axum::body::BodyDataStream,
    buffer: BytesMut,
    scanned: usize,
    line: u64,
    ended: bool,
}

impl Lines {
    fn new(body: Body) -> Self {
        Self {
            body: body.into_data_stream(),
            buffer: BytesMut::new(),
            scanned: 0,
            line: 0,
            ended: false,
        }
    }

    /// Up to `records_max` records with their line numbers; empty at the end. Lines that `read` refuses go into the summary.
    /// A body that breaks off is an error, so that a half line is never taken for a whole one.
    async fn chunk<T>(
        &mut self,
        records_max: usize,
        summary: &mut BulkSummary,
        read: impl Fn(&[u8]) -> Result<T, String>,
    ) -> Result<Vec<(u64, T)>, Problem> {
        let mut records = Vec::with_capacity(records_max.min(8_192));
        let mut bytes = 0;
        // An empty chunk means the end, so a chunk goes on until it has at least one record.
        while records.len() < records_max && (bytes < CHUNK_BYTES_MAX || records.is_empty()) {
            let Some(line) = self.next_line().await? else {
                break;
            };
            bytes += line.len();
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            summary.received += 1;
            match read(&line) {
                Ok(record) => records.push((self.line, record)),
                Err(reason) => summary.reject(self.line, reason),
            }
        }
        Ok(records)
    }

    async fn next_line(&mut self) -> Result<Option<BytesMut>, Problem> {
        loop {
            if let Some(at) = self.buffer[self.scanned..].iter().position(|byte| *byte == b'\n') {
                let mut line = self.buffer.split_to(self.scanned + at);
                self.buffer.advance(1);
                self.scanned = 0;
                self.line += 1;
                if self.line == 1 && line.starts_with(BYTE_ORDER_MARK) {
                    line.advance(BYTE_ORDER_MARK.len());
                }
                return Ok(Some(line));
            }
            self.scanned = self.buffer.len();
            if self.scanned > RECORD_BYTES_MAX {
                return Err(Problem::new(
                    axum::http::StatusCode::PAYLOAD_TOO_LARGE,
                    "record-too-large",
                    "A record is over 1 MiB.",
                ));
            }
            if self.ended {
                self.scanned = 0;
                self.line += u64::from(!self.buffer.is_empty());
                return Ok((!self.buffer.is_empty()).then(|| self.buffer.split()));
            }
            let part = tokio::time::timeout(STALL_TIMEOUT, self.body.next())
                .await
                .map_err(|_| {
                    Problem::new(
                        axum::http::StatusCode::REQUEST_TIMEOUT,
                        "stream-stalled",
                        "The stream of records paused too long.",
                    )
                })?;
            match part {
                Some(Ok(bytes)) => self.buffer.extend_from_slice(&bytes),
                Some(Err(_)) => {
                    return Err(Problem::bad_request(
                        "stream-broke",
                        "The stream of records broke off.",
                    ));
                }
                None => self.ended = true,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_survive_every_split() {
        let text = "{\"a\":1}\n\n{\"a\":2}\nnope\n{\"a\":3}";
        for size in 1..text.len() {
            let parts: Vec<Result<Vec<u8>, std::io::Error>> = text
                .as_bytes()
                .chunks(size)
                .map(|part| Ok(part.to_vec()))
                .collect();
            let mut lines = Lines::new(Body::from_stream(futures::stream::iter(parts)));
            let read = |line: &[u8]| {
                serde_json::from_slice::<serde_json::Value>(line).map_err(|error| error.to_string())
            };
            let mut summary = BulkSummary::default();
            let mut seen = Vec::new();
            loop {
                let chunk = lines.chunk(2, &mut summary, read).await.unwrap();
                if chunk.is_empty() {
                    break;
                }
                seen.extend(
                    chunk
                        .into_iter()
                        .map(|(line, value)| (line, value["a"].as_i64().unwrap())),
                );
            }
            assert_eq!(seen, [(1, 1), (3, 2), (5, 3)], "in pieces of {size}");
            assert_eq!(
                (summary.received, summary.rejected_count, summary.rejected[0].line),
                (4, 1, 4)
            );
        }
    }
}
