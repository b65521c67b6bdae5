//! Bulk interfaces: newline-delimited JSON in, chunks out, a summary back; and rows for `COPY`.

use axum::body::Body;
use bytes::{Buf, BytesMut};
use futures::StreamExt;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Problem;

/// The longest record, in bytes.
pub const RECORD_BYTES_MAX: usize = 1 << 20;
/// A chunk ends when its lines come to this many bytes, whatever their number.
pub const CHUNK_BYTES_MAX: usize = 8 << 20;
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

/// Reads records from a streamed body, a chunk at a time; never holds more than a chunk and a record.
pub struct Records<T> {
    body: axum::body::BodyDataStream,
    buffer: BytesMut,
    scanned: usize,
    line: u64,
    ended: bool,
    kind: std::marker::PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Records<T> {
    /// Reads from `body`.
    pub fn new(body: Body) -> Self {
        Self {
            body: body.into_data_stream(),
            buffer: BytesMut::new(),
            scanned: 0,
            line: 0,
            ended: false,
            kind: std::marker::PhantomData,
        }
    }

    /// Up to `records_max` records with their line numbers; empty at the end. Unreadable lines go into the summary. A body
    /// that breaks off is an error, so that a half line is never taken for a whole one.
    pub async fn chunk(
        &mut self,
        records_max: usize,
        summary: &mut BulkSummary,
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
            match serde_json::from_slice(&line) {
                Ok(record) => records.push((self.line, record)),
                Err(error) => summary.reject(self.line, error.to_string()),
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

/// Rows in PostgreSQL's COPY text format: fields end with a tab, rows with a line break, NULL is `\N`.
/// <https://www.postgresql.org/docs/current/sql-copy.html>
#[derive(Default)]
pub struct CopyRows {
    text: Vec<u8>,
    in_row: bool,
}

impl CopyRows {
    /// Adds a text field, escaped. NUL cannot be kept by PostgreSQL, so callers refuse it beforehand.
    pub fn text(&mut self, value: &str) -> &mut Self {
        self.separate();
        for byte in value.bytes() {
            match byte {
                b'\\' => self.text.extend_from_slice(b"\\\\"),
                b'\t' => self.text.extend_from_slice(b"\\t"),
                b'\n' => self.text.extend_from_slice(b"\\n"),
                b'\r' => self.text.extend_from_slice(b"\\r"),
                other => self.text.push(other),
            }
        }
        self
    }

    /// Adds a field whose text needs no escaping: numbers, ids, booleans.
    pub fn plain(&mut self, value: impl std::fmt::Display) -> &mut Self {
        use std::io::Write;
        self.separate();
        let _ = write!(self.text, "{value}");
        self
    }

    /// Adds a point in time.
    pub fn time(&mut self, value: time::OffsetDateTime) -> &mut Self {
        let text = value
            .format(&time::format_description::well_known::Rfc3339)
            .unwrap_or_default();
        self.plain(text)
    }

    /// Adds a JSON field.
    pub fn json(&mut self, value: &impl Serialize) -> &mut Self {
        self.text(&serde_json::to_string(value).unwrap_or_default())
    }

    /// Adds NULL.
    pub fn null(&mut self) -> &mut Self {
        self.separate();
        self.text.extend_from_slice(b"\\N");
        self
    }

    /// Adds a text field or NULL.
    pub fn text_opt(&mut self, value: Option<&str>) -> &mut Self {
        match value {
            Some(value) => self.text(value),
            None => self.null(),
        }
    }

    /// Adds a field that needs no escaping, or NULL.
    pub fn plain_opt(&mut self, value: Option<impl std::fmt::Display>) -> &mut Self {
        match value {
            Some(value) => self.plain(value),
            None => self.null(),
        }
    }

    /// Ends the row.
    pub fn end_row(&mut self) {
        self.text.push(b'\n');
        self.in_row = false;
    }

    /// The rows so far.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text
    }

    /// True when there is no row.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    fn separate(&mut self) {
        if self.in_row {
            self.text.push(b'\t');
        }
        self.in_row = true;
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
            let mut records =
                Records::<serde_json::Value>::new(Body::from_stream(futures::stream::iter(parts)));
            let mut summary = BulkSummary::default();
            let mut seen = Vec::new();
            loop {
                let chunk = records.chunk(2, &mut summary).await.unwrap();
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

    #[test]
    fn copy_rows_escape() {
        let mut rows = CopyRows::default();
        rows.text("a\tb\\\n").null().plain(7).end_row();
        assert_eq!(rows.as_bytes(), b"a\\tb\\\\\\n\t\\N\t7\n");
    }
}
