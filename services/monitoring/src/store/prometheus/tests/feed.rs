//! What a scrape leaves in a Prometheus, written as if it had scraped: points, what it notes about the scrape, and marks of
//! staleness for series that are gone.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use async_trait::async_trait;
use emporium_service_kit::StoreError;
use emporium_service_kit::client::http_builder;
use emporium_test_kit::stores::OwnStore;
use time::OffsetDateTime;
use tokio::sync::Mutex;

use crate::model::{Labels, Reading, SERVICE, Scrape, Value};
use crate::number::float;
use crate::store::contract::{Feed, labels};
use crate::store::prometheus::remote_write::{Point, STALE, body};

/// How long a write may take.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Labels in the order of their names, as remote write wants them.
pub type Series = Vec<(String, String)>;

/// Writes points to a server.
pub struct Writing {
    http: reqwest::Client,
    url: String,
    /// The series of each service's last scrape.
    before: Mutex<HashMap<String, BTreeSet<Series>>>,
    _server: Option<OwnStore>,
}

impl Writing {
    pub fn to(url: &str) -> Self {
        Self {
            http: http_builder().timeout(TIMEOUT).build().unwrap(),
            url: format!("{}/api/v1/write", url.replacen("prometheus:", "http:", 1)),
            before: Mutex::default(),
            _server: None,
        }
    }

    pub fn holding(self, server: OwnStore) -> Self {
        Self {
            _server: Some(server),
            ..self
        }
    }

    /// Writes points, all or none of them to whoever reads.
    pub async fn write(&self, points: &[Point]) -> Result<(), StoreError> {
        let request = self.http.post(&self.url).body(body(points));
        let request = request
            .header("content-encoding", "snappy")
            .header("content-type", "application/x-protobuf")
            .header("x-prometheus-remote-write-version", "0.1.0");
        let answer = request
            .send()
            .await
            .map_err(|error| StoreError::Unavailable(error.into()))?;
        let status = answer.status();
        assert!(status.is_success(), "{status}: {:?}", answer.text().await);
        Ok(())
    }
}

#[async_trait]
impl Feed for Writing {
    async fn round(&self, scrapes: &[Scrape]) {
        self.try_round(scrapes).await.unwrap();
    }

    async fn try_round(&self, scrapes: &[Scrape]) -> Result<(), StoreError> {
        let mut before = self.before.lock().await;
        let mut points = Vec::new();
        let mut after = HashMap::new();
        for scrape in scrapes {
            let readings = scrape.readings.iter().flatten();
            let there: Vec<(Series, f64)> = readings.flat_map(samples).collect();
            let names: BTreeSet<Series> = there.iter().map(|(series, _)| series.clone()).collect();
            let gone = before.get(&scrape.target).into_iter().flatten();
            let gone = gone.filter(|series| !names.contains(*series));
            let gone = gone.map(|series| (series.clone(), STALE));
            let notes = notes(scrape, there.len());
            let all = there.iter().cloned().chain(gone).chain(notes);
            points.extend(all.map(|(series, value)| Point {
                series,
                at: scrape.at,
                value,
            }));
            after.insert(scrape.target.clone(), names);
        }
        self.write(&points).await?;
        before.extend(after);
        Ok(())
    }

    async fn restart(&self, _: OffsetDateTime) {}

    async fn settle(&self, _: OffsetDateTime) {}
}

/// What the server notes about a scrape. It relabels none of it.
fn notes(scrape: &Scrape, samples: usize) -> [(Series, f64); 3] {
    let labels = labels(&scrape.target, &[]);
    let note = |name: &str, value| {
        let mut series = series(name, &labels, None);
        series.retain(|(name, _)| name != "metric");
        (series, value)
    };
    let is_up = f64::from(u8::from(scrape.readings.is_some()));
    [
        note("up", is_up),
        note("scrape_duration_seconds", scrape.took_s),
        note("scrape_samples_scraped", float(i64::try_from(samples).unwrap())),
    ]
}

/// A reading as it is exported.
fn samples(reading: &Reading) -> Vec<(Series, f64)> {
    let labels = &reading.series.labels;
    let name = |part: &str| format!("{}{part}", reading.series.metric);
    match &reading.value {
        Value::Number(value) => vec![(series(&name(""), labels, None), *value)],
        Value::Histogram { totals, sum } => {
            let bounds = reading.series.bounds.iter().map(ToString::to_string);
            let bounds = bounds.chain(["+Inf".to_owned()]);
            let bucket =
                |(le, total): (String, &i64)| (series(&name("_bucket"), labels, Some(&le)), float(*total));
            let mut all: Vec<(Series, f64)> = bounds.zip(totals).map(bucket).collect();
            all.push((series(&name("_sum"), labels, None), *sum));
            all.push((
                series(&name("_count"), labels, None),
                float(totals[totals.len() - 1]),
            ));
            all
        }
    }
}

/// A series with the labels that the server adds.
fn series(name: &str, labels: &Labels, le: Option<&str>) -> Series {
    let service = labels.get(SERVICE).map_or("", String::as_str);
    let added = [
        ("instance", service),
        ("job", "emporium"),
        ("__name__", name),
        ("metric", name),
    ];
    let added = added.into_iter().chain(le.map(|le| ("le", le)));
    let mut all: Series = added
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    all.extend(labels.clone());
    all.sort();
    all
}
