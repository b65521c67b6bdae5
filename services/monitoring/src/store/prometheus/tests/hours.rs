//! Hours that the recording rules make: where there are too many points, they answer, and say what the points say.

use std::collections::BTreeMap;

use serde_json::Value;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use super::feed::{Series, Writing};
use super::{on, server};
use crate::error::Error;
use crate::model::Labels;
use crate::question::{As, History, Question};
use crate::store::MonitoringStore;
use crate::store::contract::{Feed, counter, gauge, histogram, scrape};
use crate::store::prometheus::PrometheusMonitoring;
use crate::store::prometheus::remote_write::Point;

/// Somewhat after the hour, as scrapes are.
const BEGIN: OffsetDateTime = datetime!(2026-03-02 10:00:00.25 UTC);
/// Five rounds in two minutes and a half.
const ROUNDS: i32 = 300;

/// Evaluates the server's own rules, as it would have by its clock.
struct Ruler {
    http: reqwest::Client,
    base: String,
    rules: Vec<(String, String, Labels)>,
}

impl Ruler {
    async fn of(url: &str) -> Self {
        let base = url.replacen("prometheus:", "http:", 1);
        let http = emporium_service_kit::client::http_builder().build().unwrap();
        let answer = http
            .get(format!("{base}/api/v1/rules?type=record"))
            .send()
            .await
            .unwrap();
        let answer: Value = answer.json().await.unwrap();
        let groups = answer["data"]["groups"].as_array().unwrap();
        let rules = groups.iter().flat_map(|group| group["rules"].as_array().unwrap());
        let text = |rule: &Value, name: &str| rule[name].as_str().unwrap().to_owned();
        let labels = |rule: &Value| serde_json::from_value(rule["labels"].clone()).unwrap_or_default();
        let rules = rules.map(|rule| (text(rule, "name"), text(rule, "query"), labels(rule)));
        Self {
            http,
            base,
            rules: rules.collect(),
        }
    }

    /// One evaluation of all rules, in their order: hours are made of the minutes before.
    async fn evaluate(&self, at: OffsetDateTime, feed: &Writing) {
        for (name, expression, labels) in &self.rules {
            let time = at.unix_timestamp().to_string();
            let request = self.http.get(format!("{}/api/v1/query", self.base));
            let sent = request
                .query(&[("query", expression), ("time", &time)])
                .send()
                .await;
            let answer: Value = sent.unwrap().json().await.unwrap();
            let result = answer["data"]["result"].as_array().unwrap();
            let point = |row: &Value| {
                let mut all: BTreeMap<String, String> =
                    serde_json::from_value(row["metric"].clone()).unwrap();
                all.extend(labels.clone());
                all.insert("__name__".to_owned(), name.clone());
                let series: Series = all.into_iter().collect();
                let value = row["value"][1].as_str().unwrap().parse().unwrap();
                Point { series, at, value }
            };
            let points: Vec<Point> = result.iter().map(point).collect();
            if !points.is_empty() {
                feed.write(&points).await.unwrap();
            }
        }
    }
}

/// Two hours and a half of a service that begins anew in the second hour.
async fn scraped(feed: &Writing) {
    let (mut count, mut buckets) = (0, [0_i64; 4]);
    for n in 0..ROUNDS {
        if n == 170 {
            (count, buckets) = (0, [0; 4]);
        }
        count += n % 7;
        for (bucket, total) in (0_i32..).zip(&mut buckets) {
            *total += i64::from(n % 3) * i64::from(bucket + 1);
        }
        let readings = vec![
            counter("a", "c_total", f64::from(count)),
            gauge("a", "g", f64::from((n * 37) % 101) - 50.0),
            histogram("a", "h", buckets, f64::from(count)),
        ];
        let at = BEGIN + Duration::seconds(30 * i64::from(n));
        feed.round(&[scrape("a", at, readings)]).await;
    }
}

fn about_the_day(metric: &str, how: As) -> Question {
    let from = datetime!(2026-03-02 0:00 UTC);
    Question {
        metric: metric.to_owned(),
        labels: Labels::new(),
        without: Vec::new(),
        by: None,
        from,
        to: from + Duration::DAY,
        step_s: Some(3_600),
        how,
    }
}

/// The same answer, but for the rounding of sums.
fn same(one: &History, other: &History) -> bool {
    let near = |pair: (&Option<f64>, &Option<f64>)| match pair {
        (Some(one), Some(other)) => (one - other).abs() <= 1e-9 * other.abs().max(1.0),
        (one, other) => one == other,
    };
    let lines = one.lines.iter().zip(&other.lines);
    one.lines.len() == other.lines.len()
        && lines
            .into_iter()
            .all(|(one, other)| one.labels == other.labels && one.values.iter().zip(&other.values).all(near))
}

#[tokio::test(flavor = "multi_thread")]
async fn hours_say_what_the_points_say() {
    let Some(server) = server().await else { return };
    let (fine, feed) = on(&server.url).await;
    scraped(&feed).await;
    let ruler = Ruler::of(&server.url).await;
    for minute in 1..=150 {
        // As long after the minute as the rules wait for its last scrape.
        let at = datetime!(2026-03-02 10:00:10 UTC) + Duration::minutes(minute);
        ruler.evaluate(at, &feed).await;
    }
    let now = BEGIN + Duration::seconds(30 * i64::from(ROUNDS));
    let coarse = PrometheusMonitoring {
        points_max: 8_000,
        ..fine.clone()
    };
    for (metric, how) in [
        ("g", As::Min),
        ("g", As::Max),
        ("g", As::Sum),
        ("g", As::Avg),
        ("up", As::Min),
        ("c_total", As::Increase),
        ("c_total", As::Rate),
        ("h", As::Increase),
        ("h", As::Sum),
        ("h", As::Avg),
        ("h", As::Quantile(0.5)),
    ] {
        let question = about_the_day(metric, how);
        let (points, hours) = (
            fine.history(&question, now).await,
            coarse.history(&question, now).await,
        );
        let (points, hours) = (points.unwrap(), hours.unwrap());
        assert_eq!(
            (points.resolution, hours.resolution),
            ("raw", "hour"),
            "{metric} as {how}"
        );
        let known = points.lines[0].values.iter().flatten().count();
        assert_eq!(known, 3, "{points:?}");
        assert!(
            same(&points, &hours),
            "{metric} as {how}: {points:?}, but {hours:?}"
        );
    }
    let fine_step = Question {
        step_s: Some(1_800),
        ..about_the_day("g", As::Max)
    };
    let refused = coarse.history(&fine_step, now).await;
    assert!(matches!(
        refused,
        Err(Error::StepUnsuitable { multiple_of_s: 3_600 })
    ));
}
