//! Monitoring: how metrics went, in the last hour and over all that is there.
//!
//! The same points on both: the service writes to PostgreSQL what it scrapes; a Prometheus scrapes by itself, and is given here
//! by remote write what it would have scraped. How points get in is not compared: it is no part of the trait.

use std::sync::Arc;

use anyhow::{Context, ensure};
use clap::Parser;
use emporium_monitoring::Config;
use emporium_monitoring::model::{Kind, Labels, Reading, Scrape, Series, Value};
use emporium_monitoring::question::{As, History, Question};
use emporium_monitoring::store::{self, Alone, Making, MonitoringStore, Recorded, Recorder, Tier};
use emporium_service_kit::{Environment, ServiceName};
use time::{Duration, OffsetDateTime};

use super::compare::Workload;
use super::places::{self, Place};
use super::reading::{self, Answers, Ask, Questions};
use super::sessions::present;
use super::stage::Stage;
use write::{Point, body};

mod write;

/// Time from one scrape to the next.
const PERIOD: Duration = Duration::seconds(15);
const SERVICES: [&str; 4] = ["carts", "catalog", "orders", "payments"];
const ROUTES: [&str; 3] = ["/a", "/b", "/c"];
const BOUNDS: [f64; 5] = [0.005, 0.02, 0.1, 0.5, 2.0];
/// Scrapes that are written at once.
const WRITTEN: usize = 200;

async fn open(environment: &Environment) -> anyhow::Result<Arc<dyn MonitoringStore>> {
    Ok(open_alone(environment).await?.store)
}

async fn open_alone(environment: &Environment) -> anyhow::Result<Alone> {
    let config = Config::try_parse_from(["bench"])?;
    Ok(store::open_alone(environment, &Making::new(&config, environment)).await?)
}

/// All workloads on all stores that can be had.
pub async fn workloads(stage: &mut Stage) -> anyhow::Result<Vec<Workload>> {
    let (mut all, mut answers) = (Vec::new(), Answers::default());
    // On a whole hour, so that steps of any length end with it.
    let now = present();
    let end = now - Duration::seconds(now.unix_timestamp().rem_euclid(3_600));
    for hours in stage.plan.hours.clone() {
        let database = format!("monitoring_{hours}");
        let place = places::on_postgres(&stage.postgres, ServiceName::Monitoring, &database).await?;
        let recorder = open_alone(&place.filling).await?.recorder;
        record(
            recorder.context("PostgreSQL has no recorder")?.as_ref(),
            hours,
            end,
        )
        .await?;
        stage.postgres.settle(&database).await?;
        let measured = of(&place, hours, end, &mut answers).await?;
        stage.keep(place, &mut all, measured);
        // Of a server that has one series each, what there is less of would be the same again: the longest span alone.
        if Some(&hours) != stage.plan.hours.iter().max() {
            continue;
        }
        let Some(server) = &stage.server else { continue };
        let mut place = server.place("").await?;
        write(server.address()?, hours, end).await?;
        let opened = open_alone(&place.environment).await?;
        place.describe(opened.report.as_ref()).await;
        let measured = of(&place, hours, end, &mut answers).await?;
        stage.keep(place, &mut all, measured);
    }
    Ok(all)
}

/// What all services say at one moment.
fn scrapes(number: usize, at: OffsetDateTime) -> anyhow::Result<Vec<Scrape>> {
    let number = i64::try_from(number)?;
    let reading = |service: &str, metric: &str, kind, route: Option<&str>, value| {
        let mut labels = Labels::from([("service".to_owned(), service.to_owned())]);
        labels.extend(route.map(|route| ("route".to_owned(), route.to_owned())));
        let bounds = if kind == Kind::Histogram {
            BOUNDS.to_vec()
        } else {
            Vec::new()
        };
        let (metric, kind) = (metric.to_owned(), kind);
        Reading {
            series: Series {
                metric,
                kind,
                labels,
                bounds,
            },
            value,
        }
    };
    let of = |(place, service): (usize, &&str)| -> anyhow::Result<Scrape> {
        let place = i64::try_from(place)?;
        let in_flight = (number * 7 + place * 3) % 11;
        let mut readings = vec![reading(
            service,
            "bench_in_flight",
            Kind::Gauge,
            None,
            Value::Number(float(in_flight)?),
        )];
        for (route, name) in (1..).zip(ROUTES) {
            let total = number * (route + place);
            let totals = (1..=6).map(|bucket| total * bucket / 6).collect();
            let (count, sum) = (Value::Number(float(total)?), float(total)? / 32.0);
            readings.push(reading(
                service,
                "bench_requests_total",
                Kind::Counter,
                Some(name),
                count,
            ));
            let spread = Value::Histogram { totals, sum };
            readings.push(reading(
                service,
                "bench_seconds",
                Kind::Histogram,
                Some(name),
                spread,
            ));
        }
        Ok(Scrape {
            target: (*service).to_owned(),
            at,
            took_s: 0.004,
            readings: Some(readings),
            left_out: 0,
        })
    };
    SERVICES.iter().enumerate().map(of).collect()
}

fn float(number: i64) -> anyhow::Result<f64> {
    Ok(f64::from(i32::try_from(number)?))
}

/// All moments of so many hours until `end`.
fn moments(hours: usize, end: OffsetDateTime) -> Vec<(usize, OffsetDateTime)> {
    let mut at = end - Duration::hours(i64::try_from(hours).unwrap_or(1));
    let mut all = Vec::new();
    while at < end {
        all.push((all.len(), at));
        at += PERIOD;
    }
    all
}

async fn record(recorder: &Recorder, hours: usize, end: OffsetDateTime) -> anyhow::Result<()> {
    for (number, at) in moments(hours, end) {
        let recorded = recorder.record(&scrapes(number, at)?, at).await?;
        ensure!(
            matches!(recorded, Recorded::Done { refused: 0, .. }),
            "not recorded: {recorded:?}"
        );
    }
    for tier in [Tier::Minute, Tier::Hour] {
        while recorder.roll_up(tier, end).await? > 0 {}
    }
    recorder.tend(end).await?;
    Ok(recorder.release().await?)
}

async fn write(address: std::net::SocketAddr, hours: usize, end: OffsetDateTime) -> anyhow::Result<()> {
    let client = emporium_service_kit::client::http_builder().build()?;
    for some in moments(hours, end).chunks(WRITTEN) {
        let mut points: Vec<Point> = Vec::new();
        for (number, at) in some {
            for scrape in scrapes(*number, *at)? {
                points.extend(write::points(&scrape));
            }
        }
        let asked = client
            .post(format!("http://{address}/api/v1/write"))
            .header("content-encoding", "snappy")
            .header("content-type", "application/x-protobuf")
            .header("x-prometheus-remote-write-version", "0.1.0")
            .body(body(&points)?);
        asked.send().await?.error_for_status()?;
    }
    Ok(())
}

/// A question about the last so many hours.
struct Kindred {
    work: &'static str,
    hours: i64,
    step_s: i64,
    metric: &'static str,
    how: As,
}

fn kinds(hours: usize) -> Vec<Kindred> {
    let all = i64::try_from(hours).unwrap_or(1);
    let kind = |work, hours, step_s, metric, how| Kindred {
        work,
        hours,
        step_s,
        metric,
        how,
    };
    vec![
        kind("rate, 1 h by 60 s", 1, 60, "bench_requests_total", As::Rate),
        kind("gauge, 1 h by 60 s", 1, 60, "bench_in_flight", As::Avg),
        kind(
            "quantile, 1 h by 60 s",
            1,
            60,
            "bench_seconds",
            As::Quantile(0.95),
        ),
        kind("rate, all by 600 s", all, 600, "bench_requests_total", As::Rate),
    ]
}

async fn of(
    place: &Place,
    hours: usize,
    end: OffsetDateTime,
    answers: &mut Answers,
) -> anyhow::Result<Vec<Workload>> {
    let (store, recorded) = (open(&place.environment).await?, open(&place.recorded).await?);
    let mut all = Vec::new();
    for kind in kinds(hours) {
        let ask = |store: &Arc<dyn MonitoringStore>| -> Ask {
            let store = store.clone();
            let question = Question {
                metric: kind.metric.to_owned(),
                labels: Labels::new(),
                without: Vec::new(),
                by: Some(vec!["service".to_owned()]),
                from: end - Duration::hours(kind.hours),
                to: end,
                step_s: Some(kind.step_s),
                how: kind.how,
            };
            Arc::new(move |_| {
                let (store, question) = (store.clone(), question.clone());
                Box::pin(async move {
                    let history = store.history(&question, end).await;
                    Ok(text(&history.map_err(|error| anyhow::anyhow!("{error:?}"))?))
                })
            })
        };
        let asked = Questions {
            work: kind.work,
            count: 1,
            direct: ask(&store),
            recorded: ask(&recorded),
        };
        all.push(reading::workload(place, hours, asked, answers).await?);
    }
    Ok(all)
}

/// What both have to say: which lines, of how many steps, and the values but for the step that begins with the first point there is,
/// to three digits. Quantiles are within a bucket on one and interpolated on the other, so only their steps are compared.
fn text(history: &History) -> String {
    let value = |value: &Option<f64>| match value {
        Some(_) if history.kind == Kind::Histogram => "some".to_owned(),
        Some(value) => format!("{value:.3e}"),
        None => "none".to_owned(),
    };
    let line = |line: &emporium_monitoring::question::Line| {
        let values: Vec<String> = line.values.iter().skip(1).map(value).collect();
        format!("{:?} {}", line.labels, values.join(" "))
    };
    history.lines.iter().map(line).collect::<Vec<_>>().join("\n")
}
