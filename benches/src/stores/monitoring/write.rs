//! The body of a remote-write request, <https://prometheus.io/docs/specs/prw/remote_write_spec/>: small protocol-buffer messages in
//! Snappy's block format, of which only literals are used.

use emporium_monitoring::model::{Labels, Scrape, Value};
use time::OffsetDateTime;

/// A point of a series, whose labels are in the order of their names.
pub struct Point {
    series: Vec<(String, String)>,
    at: OffsetDateTime,
    value: f64,
}

/// What a scrape leaves in a server.
pub fn points(scrape: &Scrape) -> Vec<Point> {
    let mut points = Vec::new();
    for reading in scrape.readings.iter().flatten() {
        let (metric, labels) = (&reading.series.metric, &reading.series.labels);
        let mut add = |part: &str, le: Option<String>, value| {
            points.push(Point {
                series: series(&format!("{metric}{part}"), labels, le),
                at: scrape.at,
                value,
            });
        };
        match &reading.value {
            Value::Number(value) => add("", None, *value),
            Value::Histogram { totals, sum } => {
                let bounds = reading.series.bounds.iter().map(ToString::to_string);
                for (le, total) in bounds.chain(["+Inf".to_owned()]).zip(totals) {
                    add("_bucket", Some(le), float(*total));
                }
                add("_sum", None, *sum);
                add("_count", None, totals.last().map_or(0.0, |last| float(*last)));
            }
        }
    }
    points
}

#[allow(clippy::cast_precision_loss)] // far below 2^53
fn float(count: i64) -> f64 {
    count as f64
}

fn series(name: &str, labels: &Labels, le: Option<String>) -> Vec<(String, String)> {
    let service = labels.get("service").cloned().unwrap_or_default();
    let mut all: Vec<(String, String)> = [
        ("__name__", name.to_owned()),
        ("instance", service),
        ("job", "emporium".to_owned()),
        ("metric", name.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    all.extend(le.map(|le| ("le".to_owned(), le)));
    all.extend(labels.clone());
    all.sort();
    all
}

/// A request that writes these points.
pub fn body(points: &[Point]) -> anyhow::Result<Vec<u8>> {
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
        let ms = i64::try_from(point.at.unix_timestamp_nanos() / 1_000_000)?;
        varint(&mut sample, ms.cast_unsigned());
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

#[allow(clippy::cast_possible_truncation)] // seven bits at a time
fn varint(message: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        message.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    message.push(number as u8);
}

/// Literals with a length of two bytes, <https://github.com/google/snappy/blob/main/format_description.txt>.
fn snappy(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut block = Vec::new();
    varint(&mut block, bytes.len() as u64);
    for piece in bytes.chunks(1 << 16) {
        block.push(61 << 2);
        block.extend(u16::try_from(piece.len() - 1)?.to_le_bytes());
        block.extend(piece);
    }
    Ok(block)
}
