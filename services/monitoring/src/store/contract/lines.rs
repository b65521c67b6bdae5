//! The part of the suite about lines, and about what is refused.

use futures::future::join_all;

use super::*;
use crate::question::SERIES_MAX;

fn of_route(target: &str, route: &str, status: &str, value: f64) -> Reading {
    let labels = labels(target, &[("route", route), ("status", status)]);
    number(Kind::Counter, "requests_total", labels, value)
}

/// Labels pick series; series with the same labels asked for become one line: increases add up.
pub async fn labels_pick_and_put_together(bench: Bench) {
    for (after, factor) in [(0, 0.0), (10, 1.0)] {
        let at = START + seconds(after);
        let here = vec![
            of_route("a", "/x", "2xx", 1.0 * factor),
            of_route("a", "/x", "5xx", 2.0 * factor),
            of_route("a", "/metrics", "2xx", 4.0 * factor),
        ];
        let there = vec![of_route("b", "/x \"'%\\ é", "2xx", 8.0 * factor)];
        bench
            .feed
            .round(&[scrape("a", at, here), scrape("b", at, there)])
            .await;
    }
    let now = START + seconds(20);
    let ask = async |labels: &[(&str, &str)], without: &[(&str, &str)], by: Option<&[&str]>| {
        let owned = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs
                .iter()
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
                .collect()
        };
        let question = Question {
            labels: owned(labels).into_iter().collect(),
            without: owned(without),
            by: by.map(|by| by.iter().map(|name| (*name).to_owned()).collect()),
            ..about("requests_total", As::Increase)
        };
        let history = bench.store.history(&question, now).await.unwrap();
        let lines: Vec<(Vec<String>, Option<f64>)> = history
            .lines
            .into_iter()
            .map(|line| (line.labels.into_values().collect(), line.values[0]))
            .collect();
        lines
    };
    let line = |labels: &[&str], value: f64| {
        (
            labels
                .iter()
                .map(|label| (*label).to_owned())
                .collect::<Vec<String>>(),
            Some(value),
        )
    };
    assert_eq!(ask(&[], &[], Some(&[])).await, [line(&[], 15.0)]);
    assert_eq!(
        ask(&[], &[], Some(&["service"])).await,
        [line(&["a"], 7.0), line(&["b"], 8.0)]
    );
    assert_eq!(
        ask(&[], &[("route", "/metrics")], Some(&["status", "service"])).await,
        [
            line(&["a", "2xx"], 1.0),
            line(&["a", "5xx"], 2.0),
            line(&["b", "2xx"], 8.0)
        ]
    );
    assert_eq!(
        ask(&[("status", "5xx")], &[], None).await,
        [line(&["/x", "a", "5xx"], 2.0)]
    );
    assert_eq!(
        ask(&[("route", "/x \"'%\\ é")], &[], Some(&[])).await,
        [line(&[], 8.0)]
    );
    assert_eq!(ask(&[], &[("service", "a"), ("service", "b")], None).await, []);
    assert_eq!(ask(&[("service", "nobody")], &[], None).await, []);
    assert_eq!(ask(&[("nothing", "x")], &[], Some(&["nothing"])).await, []);
    let all = ask(&[], &[], None).await;
    assert_eq!(all.len(), 4);
}

/// What a metric measures may change with a new version of its service: the present meaning counts.
pub async fn kinds_that_change_are_told_apart(bench: Bench) {
    for after in [0, 5] {
        let said = vec![gauge("a", "m", 7.0)];
        bench
            .feed
            .round(&[scrape("a", START + seconds(after), said)])
            .await;
    }
    for (after, value) in [(10, 100.0), (15, 110.0)] {
        let said = vec![counter("a", "m", value)];
        bench
            .feed
            .round(&[scrape("a", START + seconds(after), said)])
            .await;
    }
    let now = START + seconds(20);
    assert!(matches!(
        bench.store.history(&about("up", As::Rate), now).await,
        Err(Error::NotForKind {
            kind: Kind::Gauge,
            how: As::Rate
        })
    ));
    let history = bench.store.history(&about("m", As::Max), now).await.unwrap();
    assert_eq!(history.lines.len(), 1);
    if lacks(&bench, Capability::KindsApart) {
        // Its name is a gauge's.
        return assert_eq!(history.kind, Kind::Gauge);
    }
    assert_eq!(history.kind, Kind::Counter);
    assert_eq!(bench.store.kind("m").await.unwrap(), Some(Kind::Counter));
    let listed = bench.store.metrics(100).await.unwrap();
    let listed: Vec<Kind> = listed
        .iter()
        .filter(|it| it.name == "m")
        .map(|it| it.kind)
        .collect();
    assert_eq!(listed, [Kind::Counter]);
}

/// By name, each with what it measures.
pub async fn metrics_are_listed(bench: Bench) {
    let said = vec![
        counter("a", "c_total", 1.0),
        histogram("a", "h", [0; 4], 0.0),
        gauge("a", "g", 1.0),
    ];
    bench
        .feed
        .round(&[scrape("a", START, said), down("b", START)])
        .await;
    let listed = bench.store.metrics(100).await.unwrap();
    assert!(listed.is_sorted_by(|one, other| one.name < other.name));
    let found = |name: &str| {
        let metric = listed.iter().find(|metric| metric.name == name).unwrap();
        (metric.kind, metric.series)
    };
    assert_eq!(found("c_total"), (Kind::Counter, 1));
    assert_eq!(found("h"), (Kind::Histogram, 1));
    assert_eq!(found("up"), (Kind::Gauge, 2));
    assert_eq!(bench.store.metrics(2).await.unwrap(), listed[..2]);
    assert_eq!(bench.store.kind("h").await.unwrap(), Some(Kind::Histogram));
    assert_eq!(bench.store.kind("none").await.unwrap(), None);
}

/// Unknown metrics, too many lines and too much work are errors that say so.
pub async fn absurd_questions_are_refused(bench: Bench) {
    let many: Vec<Reading> = (0..=SERIES_MAX)
        .map(|n| number(Kind::Gauge, "many", labels("a", &[("n", &n.to_string())]), 1.0))
        .collect();
    bench.feed.round(&[scrape("a", START, many)]).await;
    let now = START + seconds(20);
    let ask = async |question: Question| bench.store.history(&question, now).await;
    for name in [
        "unknown",
        "many ",
        "MANY",
        "'; DROP TABLE monitoring_series; --",
        "\\",
        "%",
    ] {
        let answer = ask(about(name, As::Avg)).await;
        assert!(matches!(answer, Err(Error::UnknownMetric)), "{name}");
    }
    assert!(matches!(
        ask(about("many", As::Avg)).await,
        Err(Error::TooManySeries { found, max: SERIES_MAX }) if found == SERIES_MAX + 1
    ));
    let together = Question {
        by: Some(vec!["service".to_owned()]),
        ..about("many", As::Sum)
    };
    assert_eq!(only(&bench, &together, now).await, Some(101.0));
    // A year, long ago and far ahead: there is nothing, and it takes no time.
    for (from, step_s) in [
        (datetime!(1970-01-01 0:00 UTC), Some(86_400)),
        (datetime!(9000-01-01 0:00 UTC), Some(86_400)),
        (datetime!(9000-01-01 0:00 UTC), None),
    ] {
        let question = Question {
            from,
            to: from + Duration::days(366),
            step_s,
            ..together.clone()
        };
        let history = ask(question).await.unwrap();
        assert!(history.windows.count <= 367);
        assert_eq!(history.lines, []);
    }
}

/// Many questions while rounds are written and rolled up: each answer is of whole rounds, and none goes backwards.
pub async fn questions_and_rounds_go_together(bench: Bench) {
    let question = about("c_total", As::Increase);
    let at = |n: i32| START + seconds(2 * i64::from(n));
    let both = |n: i32| {
        let value = f64::from(n);
        [
            scrape("a", at(n), vec![counter("a", "c_total", value)]),
            scrape("b", at(n), vec![counter("b", "c_total", value)]),
        ]
    };
    bench.feed.round(&both(0)).await;
    let write = async {
        for n in 1..=120 {
            bench.feed.round(&both(n)).await;
            if n % 20 == 0 {
                bench.feed.settle(at(n) + seconds(60)).await;
            }
        }
    };
    let read = async || {
        let mut before = 0.0;
        while before < 120.0 {
            let history = bench.store.history(&question, at(121)).await.unwrap();
            let values: Vec<f64> = history.lines.iter().filter_map(|line| line.values[0]).collect();
            let Some(counted) = values.first() else { continue };
            assert_eq!(values, [*counted; 2], "of whole rounds");
            assert!(*counted >= before, "{counted} after {before}");
            before = *counted;
        }
    };
    let readers = join_all((0..4).map(|_| read()));
    futures::join!(write, readers);
}
