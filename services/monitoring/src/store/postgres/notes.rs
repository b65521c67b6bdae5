//! What is noted about each scrape itself, beside what the service said.

use crate::model::{Kind, Labels, Reading, SERVICE, Scrape, Series, Value};

/// 1 when a service said what can be read, else 0.
pub const UP: &str = "up";
/// How long asking took.
const DURATION: &str = "scrape_duration_seconds";
/// How many series the answer had.
const SCRAPED: &str = "scrape_samples_scraped";
/// How many samples could not be kept. Read back after a restart: after an incomplete scrape, a new series says nothing of
/// what it counted before.
pub const LEFT_OUT: &str = "scrape_samples_left_out";

/// The names of what is noted about scrapes: a service's own metrics cannot have them.
pub const RESERVED: [&str; 4] = [UP, DURATION, SCRAPED, LEFT_OUT];

/// What is noted about a scrape itself, by the names that Prometheus has for it.
pub fn about(scrape: &Scrape, refused: u64) -> Vec<Reading> {
    let labels: Labels = [(SERVICE.to_owned(), scrape.target.clone())].into();
    let count = |count: u64| crate::number::float(i64::try_from(count).unwrap_or(i64::MAX));
    let series = scrape.readings.as_ref().map_or(0, Vec::len);
    let gauges = [
        (UP, f64::from(u8::from(scrape.readings.is_some()))),
        (DURATION, scrape.took_s),
        (SCRAPED, count(series as u64)),
        (LEFT_OUT, count(scrape.left_out + refused)),
    ];
    let reading = |(metric, value): (&str, f64)| Reading {
        series: Series {
            metric: metric.to_owned(),
            kind: Kind::Gauge,
            labels: labels.clone(),
            bounds: Vec::new(),
        },
        value: Value::Number(value),
    };
    gauges.into_iter().map(reading).collect()
}
