//! The suite that every adapter passes. An adapter joins it with one line at the end of this file.

use std::sync::Arc;

use async_trait::async_trait;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use super::{Capability, MonitoringStore};
use crate::error::Error;
use crate::model::{Kind, Labels, Reading, SERVICE, Scrape, Series, Value};
use crate::question::{As, History, Question};

mod answers;
mod lines;
mod model_based;
pub mod outages;

use answers::{
    absent_services_leave_others_alone, counters_survive_restarts_of_their_service, gauges_are_summed_up,
    histograms_are_read_by_bucket, new_series_begin_with_0, nothing_known_is_none,
    steps_have_their_beginning, the_step_does_not_change_the_facts, what_was_a_year_ago_is_known_by_the_hour,
};
use lines::{
    absurd_questions_are_refused, kinds_that_change_are_told_apart, labels_pick_and_put_together,
    metrics_are_listed, questions_and_rounds_go_together,
};
use outages::{a_pause_is_an_error_in_time, a_restart_loses_nothing};

/// How a store comes to know what services export.
#[async_trait]
pub trait Feed: Send + Sync {
    /// One round: what each service said.
    async fn round(&self, scrapes: &[Scrape]);

    /// The same, where the store may be away.
    async fn try_round(&self, scrapes: &[Scrape]) -> Result<(), emporium_service_kit::StoreError>;

    /// Another process feeds the store from here on; the one before is gone without a farewell.
    async fn restart(&self, now: OffsetDateTime);

    /// Lets the store do what it does by itself from time to time.
    async fn settle(&self, now: OffsetDateTime);
}

/// A store and its feed.
pub struct Bench {
    pub store: Arc<dyn MonitoringStore>,
    pub feed: Box<dyn Feed>,
}

/// Whether a store does not have this, so that a part of the suite has nothing to test there.
pub fn lacks(bench: &Bench, capability: Capability) -> bool {
    bench.store.lacks().contains(&capability)
}

/// When tests begin: somewhere within a minute.
pub const START: OffsetDateTime = datetime!(2026-03-02 10:03:17.25 UTC);

pub fn labels(target: &str, more: &[(&str, &str)]) -> Labels {
    let service = (SERVICE.to_owned(), target.to_owned());
    more.iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .chain([service])
        .collect()
}

pub fn number(kind: Kind, metric: &str, labels: Labels, value: f64) -> Reading {
    let series = Series {
        metric: metric.to_owned(),
        kind,
        labels,
        bounds: Vec::new(),
    };
    let value = Value::Number(value);
    Reading { series, value }
}

pub fn gauge(target: &str, metric: &str, value: f64) -> Reading {
    number(Kind::Gauge, metric, labels(target, &[]), value)
}

pub fn counter(target: &str, metric: &str, value: f64) -> Reading {
    number(Kind::Counter, metric, labels(target, &[]), value)
}

const BOUNDS: [f64; 3] = [1.0, 2.0, 5.0];

pub fn histogram(target: &str, metric: &str, totals: [i64; 4], sum: f64) -> Reading {
    Reading {
        series: Series {
            metric: metric.to_owned(),
            kind: Kind::Histogram,
            labels: labels(target, &[]),
            bounds: BOUNDS.to_vec(),
        },
        value: Value::Histogram {
            totals: totals.to_vec(),
            sum,
        },
    }
}

pub fn scrape(target: &str, at: OffsetDateTime, readings: Vec<Reading>) -> Scrape {
    Scrape {
        target: target.to_owned(),
        at,
        took_s: 0.01,
        readings: Some(readings),
        left_out: 0,
    }
}

fn down(target: &str, at: OffsetDateTime) -> Scrape {
    Scrape {
        readings: None,
        ..scrape(target, at, Vec::new())
    }
}

pub fn seconds(count: i64) -> Duration {
    Duration::seconds(count)
}

/// A question about one step: the hour in which tests begin.
pub fn about(metric: &str, how: As) -> Question {
    let from = datetime!(2026-03-02 10:00 UTC);
    Question {
        metric: metric.to_owned(),
        labels: Labels::new(),
        without: Vec::new(),
        by: None,
        from,
        to: from + Duration::HOUR,
        step_s: Some(3_600),
        how,
    }
}

/// A question about one step: the whole day.
fn about_the_day(metric: &str, how: As) -> Question {
    let from = datetime!(2026-03-02 0:00 UTC);
    Question {
        from,
        to: from + Duration::DAY,
        step_s: Some(86_400),
        ..about(metric, how)
    }
}

/// The only value of the only line; `None` when there is no line.
async fn only(bench: &Bench, question: &Question, now: OffsetDateTime) -> Option<f64> {
    let history = bench.store.history(question, now).await.unwrap();
    assert_eq!(history.windows.count, 1);
    assert!(history.lines.len() <= 1, "{:?}", history.lines);
    history.lines.first()?.values[0]
}

fn near(given: Option<f64>, wanted: f64, relative: f64) -> bool {
    given.is_some_and(|given| (given - wanted).abs() <= relative * wanted.abs() + 1e-9)
}

/// `contract!(adapter, future of a fresh store, future of a store on a server of the test's own => tests of outages)`: every
/// test of the suite as `adapter::…`. A future gives `None` where the store cannot be had, which the test kit then lists as
/// not run.
macro_rules! contract {
    ($adapter:ident, $open:expr $(, $own:expr => $($outage:ident),+)?) => {
        mod $adapter {
            emporium_test_kit::contract_tests!($open => gauges_are_summed_up, counters_survive_restarts_of_their_service,
                new_series_begin_with_0, histograms_are_read_by_bucket, absent_services_leave_others_alone,
                nothing_known_is_none, steps_have_their_beginning, the_step_does_not_change_the_facts,
                what_was_a_year_ago_is_known_by_the_hour,
                labels_pick_and_put_together, kinds_that_change_are_told_apart, metrics_are_listed,
                absurd_questions_are_refused, questions_and_rounds_go_together);

            #[tokio::test(flavor = "multi_thread")]
            async fn behaves_like_the_model() {
                super::model_based::check(|| $open).await;
            }
            $(emporium_test_kit::contract_tests!($own => $($outage),+);)?
        }
    };
}

contract!(postgres, crate::store::postgres::tests::fresh(),
    crate::store::postgres::tests::own() => a_restart_loses_nothing, a_pause_is_an_error_in_time);
contract!(prometheus, crate::store::prometheus::tests::fresh(),
    crate::store::prometheus::tests::own() => a_restart_loses_nothing, a_pause_is_an_error_in_time);
