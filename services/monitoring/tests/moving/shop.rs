//! A monitoring service whose hours a test moves, and what there is in its stores.

use std::fmt::Write;
use std::sync::Arc;

use clap::Parser;
use emporium_monitoring::model::{Kind, Labels, Reading, Scrape, Series, Value};
use emporium_monitoring::question::{As, History, Question};
use emporium_monitoring::store::{
    self, Making, MonitoringStore, Point, PrometheusMonitoring, Recorder, Tier,
};
use emporium_monitoring::{Config, Error};
use emporium_service_kit::stores::MONITORING_STORE;
use emporium_service_kit::{Clock, Environment, ServiceName, StartError};
use emporium_test_kit::moving::{Home, Instance};
use emporium_test_kit::stores::{OwnStore, PrometheusSettings, own_prometheus};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use time::{Duration, OffsetDateTime};

pub const HOUR: Duration = Duration::HOUR;
/// Rounds of scrapes an hour.
pub const ROUNDS: i64 = 6;

pub async fn prometheus(written: Option<&'static str>) -> Option<OwnStore> {
    let settings = PrometheusSettings {
        rules: true,
        written,
        ..PrometheusSettings::default()
    };
    own_prometheus(settings).await
}

/// The last half hour that is not to come, so that no hour ends in the middle of a test.
pub fn half_past() -> OffsetDateTime {
    let now = Clock::System.now().unix_timestamp() - 1_800;
    OffsetDateTime::from_unix_timestamp(now - now % 3_600 + 1_800).unwrap()
}

pub fn labels(n: i64) -> Labels {
    let label = |name: &str, value: String| (name.to_owned(), value);
    [
        label("service", "orders".to_owned()),
        label("n", format!("{n} \"ü\\")),
    ]
    .into()
}

/// What one service counts; it begins anew now and then.
pub struct Counts {
    rng: StdRng,
    counter: f64,
    totals: [i64; 4],
    sum: f64,
}

impl Counts {
    pub fn new() -> Self {
        Self {
            rng: StdRng::seed_from_u64(emporium_test_kit::seed()),
            counter: 0.0,
            totals: [0; 4],
            sum: 0.0,
        }
    }

    pub fn scrape(&mut self, at: OffsetDateTime) -> Scrape {
        if self.rng.random_bool(0.05) {
            (self.counter, self.totals, self.sum) = (0.0, [0; 4], 0.0);
        }
        self.counter += f64::from(self.rng.random_range(0..9));
        let (bucket, many) = (self.rng.random_range(0..4), self.rng.random_range(0..5));
        for total in &mut self.totals[bucket..] {
            *total += many;
        }
        self.sum += self.rng.random_range(0.0..3.0) * f64::from(i32::try_from(many).unwrap());
        let reading = |metric: &str, kind: Kind, n: i64, bounds: &[f64], value: Value| Reading {
            series: Series {
                metric: metric.to_owned(),
                kind,
                labels: labels(n),
                bounds: bounds.to_vec(),
            },
            value,
        };
        let gauge = |n, value| reading("g", Kind::Gauge, n, &[], Value::Number(value));
        let histogram = Value::Histogram {
            totals: self.totals.to_vec(),
            sum: self.sum,
        };
        let readings = vec![
            gauge(1, self.rng.random_range(-1.0..1.0) / 3.0),
            gauge(2, f64::from(self.rng.random_range(0..3))),
            reading("c_total", Kind::Counter, 1, &[], Value::Number(self.counter)),
            reading("h", Kind::Histogram, 1, &[0.25, 1.0, 2.5], histogram),
            // By its name no store but PostgreSQL would tell that it counts.
            reading("odd", Kind::Counter, 1, &[], Value::Number(self.counter)),
        ];
        Scrape {
            target: "orders".to_owned(),
            at,
            took_s: 0.01,
            readings: Some(readings),
            left_out: 0,
        }
    }

    /// Hours of rounds until this moment, and all roll-ups that are due.
    pub async fn record(&mut self, recorder: &Recorder, from: OffsetDateTime, to: OffsetDateTime) {
        let mut at = from;
        while at < to {
            recorder.record(&[self.scrape(at)], at).await.unwrap();
            at += HOUR / i32::try_from(ROUNDS).unwrap();
        }
        for tier in [Tier::Minute, Tier::Hour] {
            while recorder.roll_up(tier, to).await.unwrap() > 0 {}
        }
        recorder.release().await.unwrap();
    }
}

pub struct Shop {
    pub home: Home,
    pub clock: Clock,
    pub making: Making,
}

pub type Running = Instance<store::Home>;

impl Shop {
    pub async fn open(now: OffsetDateTime) -> Self {
        let home = Home::new(ServiceName::Monitoring, MONITORING_STORE).await;
        let config = Config::parse_from(["test"]);
        let making = Making::new(&config, &home.environment(""));
        let clock = Clock::manual(now);
        Self { home, clock, making }
    }

    pub async fn start(&self, url: &str) -> Result<Running, StartError> {
        self.run(url, false).await
    }

    pub async fn by_hand(&self, url: &str) -> Result<Running, StartError> {
        self.run(url, true).await
    }

    async fn run(&self, url: &str, by_hand: bool) -> Result<Running, StartError> {
        let (clock, making) = (self.clock.clone(), self.making.clone());
        let open = move |mut environment: Environment| {
            environment.clock = clock.clone();
            store::open_side(environment, making.clone())
        };
        if by_hand {
            self.home.start_by_hand(url, open).await
        } else {
            self.home.start(url, open).await
        }
    }

    pub fn now(&self) -> OffsetDateTime {
        self.clock.now()
    }

    /// What is known of the hours until then, in both stores' words.
    pub async fn hours(&self, store: &dyn MonitoringStore, to: OffsetDateTime) -> String {
        let mut text = String::new();
        for (metric, how) in ASKED {
            let answer = self.ask(store, metric, how, to, Some(3_600)).await.unwrap();
            write!(text, "{metric} {how}:").unwrap();
            for line in answer.lines {
                // Sums are added up in any order.
                let values = line
                    .values
                    .iter()
                    .map(|value| value.map(|value| format!("{value:.9e}")));
                write!(text, "\n  {:?} {:?}", line.labels, values.collect::<Vec<_>>()).unwrap();
            }
            text.push('\n');
        }
        text
    }

    pub async fn ask(
        &self,
        store: &dyn MonitoringStore,
        metric: &str,
        how: As,
        to: OffsetDateTime,
        step_s: Option<i64>,
    ) -> Result<History, Error> {
        let question = Question {
            metric: metric.to_owned(),
            labels: Labels::new(),
            without: Vec::new(),
            by: None,
            from: to - Duration::days(2),
            to,
            step_s,
            how,
        };
        store.history(&question, self.now()).await
    }
}

pub const ASKED: [(&str, As); 10] = [
    ("g", As::Min),
    ("g", As::Max),
    ("g", As::Sum),
    ("g", As::Avg),
    ("up", As::Sum),
    ("c_total", As::Increase),
    ("h", As::Increase),
    ("h", As::Sum),
    ("h", As::Avg),
    ("h", As::Quantile(0.9)),
];

pub fn recorder(instance: &Running) -> Arc<Recorder> {
    instance.moving.gate().here().store.recorder.clone().unwrap()
}

/// The beginning of the hour.
pub fn hour(at: OffsetDateTime) -> OffsetDateTime {
    at - Duration::seconds(at.unix_timestamp() % 3_600)
}

pub async fn known(store: &dyn MonitoringStore, shop: &Shop, metric: &str, how: As) -> usize {
    let now = hour(shop.now());
    let answer = shop.ask(store, metric, how, now, Some(3_600)).await.unwrap();
    answer
        .lines
        .iter()
        .flat_map(|line| line.values.iter().flatten())
        .count()
}

pub fn point(name: &str, metric: &str, le: Option<&str>, at: OffsetDateTime, value: f64) -> Point {
    let added = [
        ("__name__", name),
        ("metric", metric),
        ("instance", "orders"),
        ("job", "emporium"),
    ];
    let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let mut series: Vec<(String, String)> = added.map(own).into();
    series.extend(le.map(|le| own(("le", le))));
    series.extend(labels(1));
    series.sort();
    Point { series, at, value }
}

/// What an hour of the server's own leaves there: points, and what its rules make of them.
pub fn own_hour(begin: OffsetDateTime) -> Vec<Point> {
    let mut points = Vec::new();
    let histogram = [
        ("h_bucket", Some("0.25"), 3.0),
        ("h_bucket", Some("1.0"), 3.0),
        ("h_bucket", Some("2.5"), 5.0),
        ("h_bucket", Some("+Inf"), 6.0),
        ("h_count", None, 6.0),
        ("h_sum", None, 8.25),
    ];
    // A step says what it grew by from a point before it on.
    for n in -1..60 {
        let at = begin + Duration::minutes(n) + Duration::milliseconds(1);
        if n >= 0 {
            points.push(point("up", "up", None, at, 1.0));
            points.push(point("g", "g", None, at, 0.5));
        }
        let minute = u32::try_from(at.unix_timestamp() % 1_000_000_000 / 60).unwrap();
        points.push(point("c_total", "c_total", None, at, f64::from(minute)));
        // Half an hour after the hour all of it is counted.
        let hours = f64::from((minute + 30) / 60);
        for (metric, le, value) in histogram {
            points.push(point(metric, metric, le, at, hours * value));
        }
    }
    let end = begin + HOUR + Duration::seconds(17);
    for (metric, le, value) in histogram {
        points.push(point("hour:increase", metric, le, end, value));
    }
    for (name, metric, le, value) in [
        ("hour:count", "g", None, 60.0),
        ("hour:sum", "g", None, 30.0),
        ("hour:min", "g", None, 0.5),
        ("hour:max", "g", None, 0.5),
        ("hour:increase", "c_total", None, 60.0),
        ("hour:count", "up", None, 60.0),
        ("hour:sum", "up", None, 60.0),
        ("hour:min", "up", None, 1.0),
        ("hour:max", "up", None, 1.0),
    ] {
        points.push(point(name, metric, le, end, value));
    }
    points
}

pub async fn writer(shop: &Shop, url: &str) -> PrometheusMonitoring {
    let environment = shop.home.environment(url);
    let setting = environment.stores.setting(MONITORING_STORE);
    PrometheusMonitoring::open(&setting, &environment).await.unwrap()
}

/// Something in the database that was left.
pub async fn recorder_of_own(shop: &Shop) {
    let mut environment = shop.home.environment("");
    environment.clock = shop.clock.clone();
    let side = store::open_side(environment, shop.making.clone()).await.unwrap();
    let recorder = side.store.recorder.clone().unwrap();
    let begin = hour(shop.now());
    Counts::new().record(&recorder, begin - 2 * HOUR, begin).await;
}

/// What is known in both ways of the hour that has begun, in a step of its own and in one with hours that were brought.
pub async fn straddling(shop: &Shop, store: &dyn MonitoringStore, metric: &str, how: As) -> f64 {
    let begin = hour(shop.now());
    let to = begin + HOUR;
    let day = shop.ask(store, metric, how, to, Some(86_400)).await.unwrap();
    let whole: f64 = day
        .lines
        .iter()
        .flat_map(|line| line.values.iter().flatten())
        .sum();
    let hours = shop.ask(store, metric, how, to, Some(3_600)).await.unwrap();
    let parts: f64 = hours
        .lines
        .iter()
        .flat_map(|line| line.values.iter().flatten())
        .sum();
    let last: f64 = hours
        .lines
        .iter()
        .filter_map(|line| *line.values.last().unwrap())
        .sum();
    assert!(
        (whole - parts).abs() < 1e-9 * whole.abs().max(1.0),
        "{metric} as {how}: {whole} {parts}"
    );
    last
}
