//! The part of the suite about the facts.

use super::*;
use crate::sketch::RELATIVE_ERROR;

/// Least, greatest, mean, sum and quantiles of a gauge, rolled up or not.
pub async fn gauges_are_summed_up(bench: Bench) {
    for n in 0..100_i32 {
        let at = START + seconds(5 * i64::from(n));
        // In an order of its own: a quantile is no matter of time.
        let value = f64::from((n * 37) % 100 + 1);
        bench
            .feed
            .round(&[scrape("a", at, vec![gauge("a", "g", value)])])
            .await;
    }
    let now = START + seconds(500);
    for settled in [false, true] {
        for (how, wanted) in [
            (As::Min, 1.0),
            (As::Max, 100.0),
            (As::Avg, 50.5),
            (As::Sum, 5_050.0),
            (As::Quantile(0.0), 1.0),
            (As::Quantile(1.0), 100.0),
        ] {
            assert_eq!(
                only(&bench, &about("g", how), now).await,
                Some(wanted),
                "{how}, {settled}"
            );
        }
        for (q, wanted) in [(0.5, 50.0), (0.9, 90.0), (0.99, 99.0)] {
            let given = only(&bench, &about("g", As::Quantile(q)), now).await;
            assert!(near(given, wanted, RELATIVE_ERROR), "{q}: {given:?}");
        }
        bench.feed.settle(now + seconds(700)).await;
    }
}

/// Over how many seconds a rate is.
fn known_or_all(bench: &Bench, known_s: f64, step_s: f64) -> f64 {
    if lacks(bench, Capability::RatesOfKnownTime) {
        step_s
    } else {
        known_s
    }
}

/// A value below the one before counts from 0; of the first one nothing is known; and the time that it took counts, however
/// long nobody looked.
pub async fn counters_survive_restarts_of_their_service(bench: Bench) {
    let values = [(0, 100.0), (5, 110.0), (10, 110.0), (15, 3.0), (20, 7.0)];
    for (after, value) in values {
        let at = START + seconds(after);
        bench
            .feed
            .round(&[scrape("a", at, vec![counter("a", "c_total", value)])])
            .await;
    }
    let now = START + seconds(30);
    if lacks(&bench, Capability::ExactIncreases) {
        let given = only(&bench, &about("c_total", As::Increase), now).await;
        assert!(near(given, 17.0, 0.5), "{given:?}");
        return;
    }
    assert_eq!(
        only(&bench, &about("c_total", As::Increase), now).await,
        Some(17.0)
    );
    let over_s = known_or_all(&bench, 20.0, 3_600.0);
    let rate = only(&bench, &about("c_total", As::Rate), now).await;
    assert!(near(rate, 17.0 / over_s, 1e-12), "{rate:?}");
    assert_eq!(
        only(&bench, &about("c_total", As::Max), now).await,
        Some(2.0),
        "10 in 5 s"
    );
    assert_eq!(only(&bench, &about("c_total", As::Min), now).await, Some(0.0));
    // Away for two hours, as was whoever asks; then 93 more, rolled up in between.
    bench.feed.settle(now).await;
    bench.feed.restart(now).await;
    let late = START + seconds(2 * 3_600);
    bench
        .feed
        .round(&[scrape("a", late, vec![counter("a", "c_total", 100.0)])])
        .await;
    bench.feed.settle(late + seconds(1_000)).await;
    assert_eq!(
        only(&bench, &about_the_day("c_total", As::Increase), late).await,
        Some(110.0)
    );
    let over_s = known_or_all(&bench, 7_200.0, 86_400.0);
    let rate = only(&bench, &about_the_day("c_total", As::Rate), late).await;
    assert!(near(rate, 110.0 / over_s, 1e-12), "{rate:?}");
}

/// A series that a service did not have in the scrape before began with 0, unless that scrape was incomplete.
pub async fn new_series_begin_with_0(bench: Bench) {
    let with = |value: f64| vec![gauge("a", "g", 1.0), counter("a", "c_total", value)];
    let rounds = [
        (0, vec![gauge("a", "g", 1.0)], 0),
        (5, with(4.0), 0),
        (10, with(5.0), 0),
        // The process is another one, and had no reason to count yet.
        (15, vec![gauge("a", "g", 1.0)], 0),
        (20, with(7.0), 0),
        // Something could not be kept: it may be this.
        (25, vec![gauge("a", "g", 1.0)], 1),
        (30, with(9.0), 0),
        (35, with(10.0), 0),
    ];
    let now = START + seconds(40);
    for (after, readings, left_out) in rounds {
        if after == 20 || after == 30 {
            bench.feed.restart(now).await;
        }
        let said = scrape("a", START + seconds(after), readings);
        bench.feed.round(&[Scrape { left_out, ..said }]).await;
    }
    let given = only(&bench, &about("c_total", As::Increase), now).await;
    if lacks(&bench, Capability::CountsNewSeries) {
        // From 4 on to 10; whether it began anew in between, its values do not tell.
        return assert!(near(given, 6.0, 0.5), "{given:?}");
    }
    assert_eq!(given, Some(4.0 + 1.0 + 7.0 + 1.0));
}

/// Observations, their mean and their quantiles, over a restart.
pub async fn histograms_are_read_by_bucket(bench: Bench) {
    for (after, totals, sum) in [
        (0, [5, 5, 5, 5], 2.0),
        (5, [5, 15, 15, 15], 17.0),
        (10, [5, 15, 15, 15], 17.0),
        // A new process: 2 up to 1, 8 above 5.
        (15, [2, 2, 2, 10], 81.0),
    ] {
        let said = vec![histogram("a", "h", totals, sum)];
        bench
            .feed
            .round(&[scrape("a", START + seconds(after), said)])
            .await;
    }
    let now = START + seconds(20);
    for settled in [false, true] {
        let ask = async |how: As| only(&bench, &about("h", how), now).await;
        assert_eq!(ask(As::Increase).await, Some(20.0), "{settled}");
        let rate = ask(As::Rate).await;
        assert!(
            near(rate, 20.0 / known_or_all(&bench, 15.0, 3_600.0), 1e-12),
            "{rate:?}"
        );
        // Told by its sum alone, which only grew, the histogram did not begin anew.
        let is_whole = !lacks(&bench, Capability::WholeHistogramResets);
        let sum = if is_whole { 96.0 } else { 79.0 };
        assert_eq!(ask(As::Sum).await, Some(sum));
        assert_eq!(ask(As::Avg).await, Some(sum / 20.0));
        // 2 in the first bucket, 10 in the second, 8 beyond the last.
        assert_eq!(ask(As::Quantile(0.05)).await, Some(0.5));
        assert_eq!(ask(As::Quantile(0.35)).await, Some(1.5));
        assert_eq!(ask(As::Quantile(0.99)).await, Some(5.0));
        bench.feed.settle(now + seconds(700)).await;
    }
}

/// A service that is down is 0 in `up`, has no points, and leaves the others' lines as they are.
pub async fn absent_services_leave_others_alone(bench: Bench) {
    for n in 0..12 {
        let at = START + seconds(5 * n);
        let here = scrape("a", at, vec![counter("a", "c_total", crate::number::float(n))]);
        let there = vec![counter("b", "c_total", crate::number::float(n))];
        let away = (4..8).contains(&n);
        let there = if away {
            down("b", at)
        } else {
            scrape("b", at, there)
        };
        bench.feed.round(&[here, there]).await;
    }
    let now = START + seconds(60);
    let step = |metric: &str, how: As| Question {
        from: START,
        to: START + seconds(60),
        step_s: Some(5),
        ..about(metric, how)
    };
    let up = bench.store.history(&step("up", As::Min), now).await.unwrap();
    let line = |history: &History, target: &str| {
        let line = history.lines.iter().find(|line| line.labels[SERVICE] == target);
        line.unwrap().values.clone()
    };
    let in_step = |n: usize| usize::try_from((START - up.windows.from).whole_seconds()).unwrap() / 5 + n;
    let values = line(&up, "b");
    for n in 0..12 {
        let wanted = if (4..8).contains(&n) { 0.0 } else { 1.0 };
        assert_eq!(values[in_step(n)], Some(wanted), "{n}");
        assert_eq!(line(&up, "a")[in_step(n)], Some(1.0));
    }
    let counted = bench
        .store
        .history(&step("c_total", As::Increase), now)
        .await
        .unwrap();
    let (here, there) = (line(&counted, "a"), line(&counted, "b"));
    for n in 1..12 {
        assert_eq!(here[in_step(n)], Some(1.0), "no gap: {n}");
        let wanted = match n {
            4..8 => None,
            8 => Some(5.0),
            _ => Some(1.0),
        };
        assert_eq!(there[in_step(n)], wanted, "{n}");
    }
}

/// Steps of which nothing is known are none, and so is a counter's first value.
pub async fn nothing_known_is_none(bench: Bench) {
    let said = vec![gauge("a", "g", 3.0), counter("a", "c_total", 3.0)];
    bench.feed.round(&[scrape("a", START, said)]).await;
    let now = START + seconds(120);
    for settled in [false, true] {
        assert_eq!(
            only(&bench, &about("c_total", As::Increase), now).await,
            None,
            "{settled}"
        );
        assert_eq!(only(&bench, &about("c_total", As::Rate), now).await, None);
        let question = Question {
            step_s: Some(60),
            from: START - seconds(180),
            to: START + seconds(60),
            ..about("g", As::Avg)
        };
        let history = bench.store.history(&question, now).await.unwrap();
        let values = &history.lines[0].values;
        let known = values.iter().filter(|value| value.is_some()).count();
        assert_eq!((values.len(), known), (5, 1), "{values:?}");
        let before = Question {
            to: START - seconds(60),
            ..question
        };
        let history = bench.store.history(&before, now).await.unwrap();
        assert_eq!(history.lines, [], "a line of which nothing is known is none");
        bench.feed.settle(now + seconds(700)).await;
    }
}

/// A step has what lies at its beginning, and not what lies at its end: of points, and of increases.
pub async fn steps_have_their_beginning(bench: Bench) {
    let begin = datetime!(2026-03-02 10:00 UTC);
    for (n, value) in [(0, 1.0), (1, 10.0), (2, 100.0), (4, 1_000.0)] {
        let at = begin + seconds(30 * n);
        let said = vec![gauge("a", "g", value), counter("a", "c_total", value)];
        bench.feed.round(&[scrape("a", at, said)]).await;
    }
    let now = begin + seconds(200);
    for settled in [false, true] {
        let ask = async |metric: &str, how: As| {
            let question = Question {
                to: begin + seconds(180),
                step_s: Some(60),
                ..about(metric, how)
            };
            let history = bench.store.history(&question, now).await.unwrap();
            history.lines[0].values.clone()
        };
        let sums = [Some(11.0), Some(100.0), Some(1_000.0)];
        assert_eq!(ask("g", As::Sum).await, sums, "{settled}");
        assert_eq!(
            ask("g", As::Quantile(1.0)).await,
            [Some(10.0), Some(100.0), Some(1_000.0)]
        );
        if !lacks(&bench, Capability::ExactIncreases) {
            let increases = [Some(9.0), Some(90.0), Some(900.0)];
            assert_eq!(ask("c_total", As::Increase).await, increases, "{settled}");
        }
        bench.feed.settle(now + seconds(700)).await;
    }
}

/// The same facts in seconds, minutes and hours.
pub async fn the_step_does_not_change_the_facts(bench: Bench) {
    let mut count = 0.0;
    for n in 0..150_i32 {
        let at = START + seconds(10 * i64::from(n));
        count += f64::from(n % 7);
        let said = vec![
            counter("a", "c_total", count),
            gauge("a", "g", f64::from(n % 11) - 5.0),
        ];
        bench.feed.round(&[scrape("a", at, said)]).await;
        if n == 60 || n == 100 {
            bench.feed.settle(at).await;
        }
    }
    let now = START + seconds(1_500);
    let mut seen: Vec<(f64, f64, f64, f64)> = Vec::new();
    for step_s in [10, 90, 60, 300, 3_600] {
        let ask = async |metric: &str, how: As| {
            let question = Question {
                to: START + seconds(1_500),
                step_s: Some(step_s),
                from: START - seconds(60),
                ..about(metric, how)
            };
            let history = bench.store.history(&question, now).await.unwrap();
            let values: Vec<f64> = history.lines[0].values.iter().copied().flatten().collect();
            values
        };
        let least = ask("g", As::Min).await.into_iter().fold(f64::INFINITY, f64::min);
        let greatest = ask("g", As::Max)
            .await
            .into_iter()
            .fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = ask("g", As::Sum).await.iter().sum();
        let increase: f64 = ask("c_total", As::Increase).await.iter().sum();
        seen.push((least, greatest, sum, increase));
    }
    let sum: f64 = (0..150_i32).map(|n| f64::from(n % 11) - 5.0).sum();
    assert_eq!(seen, vec![(-5.0, 5.0, sum, count); 5]);
}

/// Eleven months later the hours are there.
pub async fn what_was_a_year_ago_is_known_by_the_hour(bench: Bench) {
    for n in 0..10_i32 {
        let at = START + seconds(60 * i64::from(n));
        bench
            .feed
            .round(&[scrape("a", at, vec![gauge("a", "g", f64::from(n))])])
            .await;
    }
    let later = START + Duration::days(330);
    // What is old goes in small bites.
    for _ in 0..20 {
        bench.feed.settle(later).await;
    }
    let question = about("g", As::Sum);
    let history = bench.store.history(&question, later).await.unwrap();
    if lacks(&bench, Capability::KeepsAYear) {
        return assert_eq!(history.lines, []);
    }
    assert_eq!(only(&bench, &question, later).await, Some(45.0));
    assert!(near(
        only(&bench, &about("g", As::Quantile(0.5)), later).await,
        4.0,
        RELATIVE_ERROR
    ));
    let finer = Question {
        step_s: Some(60),
        to: question.from + Duration::HOUR,
        ..question
    };
    // A store that has finer points still may answer, and then rightly.
    match bench.store.history(&finer, later).await {
        Err(error) => assert!(
            matches!(error, Error::StepUnsuitable { multiple_of_s: 3_600 }),
            "{error:?}"
        ),
        Ok(history) => {
            let values: Vec<f64> = history.lines[0].values.iter().copied().flatten().collect();
            assert_eq!((values.len(), values.iter().sum()), (10, 45.0));
        }
    }
}
