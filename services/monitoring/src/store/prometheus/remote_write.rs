//! Writing points that are over: the remote-write interface, <https://prometheus.io/docs/specs/prw/remote_write_spec/>. Its body
//! is four small protocol-buffer messages in Snappy's block format, of which only literals are used: points compress badly, and
//! nobody has to trust another library with the server's memory.

use emporium_service_kit::StoreError;
use reqwest::StatusCode;
use time::OffsetDateTime;

use super::PrometheusMonitoring;
use super::client::{CallError, Client};

/// The value that says that a series is gone: one of the many that are no number.
#[cfg(test)]
pub const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// Labels in the order of their names, the metric's own among them as `__name__`.
pub type Labels = Vec<(String, String)>;

/// A point of a series.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Of what.
    pub series: Labels,
    /// When; the server keeps milliseconds.
    pub at: OffsetDateTime,
    /// How much.
    pub value: f64,
}

impl PrometheusMonitoring {
    /// Writes points, some thousands at a time. Once more is the same as once: a point with the time and the value of one that is
    /// there changes nothing. What the server will never take is a [`StoreError::Data`] that says what to change.
    pub async fn write(&self, points: &[Point]) -> Result<(), StoreError> {
        if points.is_empty() {
            return Ok(());
        }
        write(&self.client, points).await.map_err(|error| match error {
            CallError::Answered { status, reason } => refusal(status, &reason),
            other => other.into(),
        })
    }
}

async fn write(client: &Client, points: &[Point]) -> Result<(), CallError> {
    client.send_points(body(points)).await
}

/// What a refusal means. Servers before 3.0 answer 500 to points that are too old, and would for ever.
fn refusal(status: u16, reason: &str) -> StoreError {
    let is_old = ["out of bounds", "too old", "out of order"]
        .iter()
        .any(|words| reason.contains(words));
    let is_off = [StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED]
        .iter()
        .any(|off| off.as_u16() == status);
    let words = match (is_off, is_old) {
        (true, _) => {
            "the server takes no points from others: start it with --web.enable-remote-write-receiver \
             (REMOTE_WRITE=yes for infra/stores/prometheus/prometheus.sh)"
        }
        (_, true) => {
            "the server takes no points that are so old: set storage.tsdb.out_of_order_time_window in its configuration \
             (OUT_OF_ORDER=400d for infra/stores/prometheus/prometheus.sh)"
        }
        _ if status < 500 => "the server refuses the points that it is given; its log says why",
        _ => {
            return CallError::Unavailable(format!("it answered {status} to points")).into();
        }
    };
    StoreError::Data(words.into())
}

/// The body of a request that writes these points.
pub fn body(points: &[Point]) -> Vec<u8> {
    let mut request = Vec::new();
    for point in points {
        let mut series = Vec::new();
        for (name, value) in &point.series {
            let mut label = Vec::new();
            text(&mut label, 1, name.as_bytes());
            text(&mut label, 2, value.as_bytes());
            text(&mut series, 1, &label);
        }
        let mut sample = vec![1 << 3 | 1];
        sample.extend(point.value.to_le_bytes());
        sample.push(2 << 3);
        let ms = point.at.unix_timestamp_nanos().div_euclid(1_000_000);
        // Milliseconds of every year that a moment can have fit.
        varint(&mut sample, i64::try_from(ms).unwrap_or_default().cast_unsigned());
        text(&mut series, 2, &sample);
        text(&mut request, 1, &series);
    }
    snappy(&request)
}

/// A field that has a length.
fn text(message: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    varint(message, field << 3 | 2);
    varint(message, bytes.len() as u64);
    message.extend(bytes);
}

fn varint(message: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        let [low, ..] = number.to_le_bytes();
        message.push(low | 0x80);
        number >>= 7;
    }
    let [last, ..] = number.to_le_bytes();
    message.push(last);
}

/// Literals with a length of two bytes, <https://github.com/google/snappy/blob/main/format_description.txt>.
fn snappy(bytes: &[u8]) -> Vec<u8> {
    let mut block = Vec::with_capacity(bytes.len() + bytes.len() / 1_024 + 16);
    varint(&mut block, bytes.len() as u64);
    for piece in bytes.chunks(1 << 16) {
        block.push(61 << 2);
        block.extend(u16::try_from(piece.len() - 1).unwrap_or(u16::MAX).to_le_bytes());
        block.extend(piece);
    }
    block
}
