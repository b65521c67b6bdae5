//! Random sequences of what can happen, compared with a plain model that keeps every point for ever and computes each answer
//! from them. The model is written from the contract, not from the adapters.

use emporium_test_kit::{check_sequences, sequences};
use proptest::prelude::*;
use proptest::test_runner::Config;

use super::*;
use crate::sketch::RELATIVE_ERROR;

mod oracle;

use oracle::{Adds, Model};

/// Stores, half of which work at the same time. All that ever happened in one stays there and is read back at each
/// restart, so many sequences in one store would take the square of their number.
const STORES: u32 = 10;
/// Sequences in each: they meet what the ones before have left.
const SEQUENCES: u32 = 50;

/// What a service does between two rounds, and what it says then.
#[derive(Debug, Clone)]
struct Doing {
    is_up: bool,
    restarts: bool,
    /// Left out of what it says, as long as it did not count since its start.
    counts: Option<u16>,
    gauge: Option<i16>,
    /// Indices of buckets.
    observes: Vec<usize>,
}

#[derive(Debug, Clone)]
enum Operation {
    Round([Doing; 2]),
    Wait { seconds: i64 },
    ClockBack { seconds: i64 },
    Restart,
    Settle,
    Ask { step_s: i64, span_s: i64, way: usize },
}

fn doing() -> impl Strategy<Value = Doing> {
    let counts = proptest::option::weighted(0.7, 0..500_u16);
    let gauge = proptest::option::weighted(0.8, -300..300_i16);
    let observes = proptest::collection::vec(0..=BOUNDS.len(), 0..4);
    let is = proptest::bool::weighted;
    (is(0.9), is(0.1), counts, gauge, observes).prop_map(|(is_up, restarts, counts, gauge, observes)| Doing {
        is_up,
        restarts,
        counts,
        gauge,
        observes,
    })
}

fn operation() -> impl Strategy<Value = Operation> {
    let wait = prop_oneof![6 => 1..20i64, 2 => 30..90i64, 1 => Just(900), 1 => Just(4_000)];
    let step_s = prop_oneof![Just(7i64), Just(30), Just(60), Just(300), Just(3_600)];
    prop_oneof![
        10 => (doing(), doing()).prop_map(|(one, other)| Operation::Round([one, other])),
        4 => wait.prop_map(|seconds| Operation::Wait { seconds }),
        1 => (1..200i64).prop_map(|seconds| Operation::ClockBack { seconds }),
        1 => Just(Operation::Restart),
        2 => Just(Operation::Settle),
        2 => (step_s, prop_oneof![Just(300i64), Just(3_000), Just(30_000)], 0..8_usize)
            .prop_map(|(step_s, span_s, way)| Operation::Ask { step_s, span_s, way }),
    ]
}

/// The values of which least, greatest, mean and quantiles are.
fn values(adds: &[&Adds]) -> Vec<f64> {
    let value = |adds: &&Adds| match adds {
        Adds::Gauge(value) => Some(*value),
        Adds::Counter(increase, took, _) => (*took > 0.0).then(|| increase / took),
        Adds::Observed(..) => None,
    };
    adds.iter().filter_map(value).collect()
}

fn totals(adds: &[&Adds]) -> (f64, f64) {
    adds.iter().fold((0.0, 0.0), |(sum, took), adds| match adds {
        Adds::Gauge(_) => (sum, took),
        Adds::Counter(increase, some, _) => (sum + increase, took + some),
        Adds::Observed(more, some, _) => (sum + crate::number::float(more.iter().sum()), took + some),
    })
}

/// Whether a value is what the points say.
fn is_right(given: Option<f64>, adds: &[&Adds], how: As) -> bool {
    let seen = values(adds);
    let exactly = |wanted: Option<f64>| match wanted {
        None => given.is_none(),
        Some(wanted) => near(given, wanted, 1e-9),
    };
    let (sum, took) = totals(adds);
    let is_histogram = matches!(adds.first(), Some(Adds::Observed(..)));
    let some = !seen.is_empty();
    match how {
        As::Rate => exactly((took > 0.0).then(|| sum / took)),
        As::Increase => exactly((took > 0.0 || sum > 0.0).then_some(sum)),
        As::Min => exactly(some.then(|| seen.iter().copied().fold(f64::INFINITY, f64::min))),
        As::Max => exactly(some.then(|| seen.iter().copied().fold(f64::NEG_INFINITY, f64::max))),
        As::Sum => exactly(some.then(|| seen.iter().sum())),
        As::Avg => {
            exactly(some.then(|| seen.iter().sum::<f64>() / f64::from(u32::try_from(seen.len()).unwrap())))
        }
        As::Quantile(q) if is_histogram => lies_in_its_bucket(given, adds, q),
        As::Quantile(q) => match rank(&seen, q) {
            None => given.is_none(),
            Some(wanted) => near(given, wanted, RELATIVE_ERROR * 1.000_001),
        },
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss
)]
fn rank(seen: &[f64], q: f64) -> Option<f64> {
    let mut sorted = seen.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = (q * (sorted.len() as f64 - 1.0)).max(0.0) as usize;
    sorted.get(place).copied()
}

#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
fn lies_in_its_bucket(given: Option<f64>, adds: &[&Adds], q: f64) -> bool {
    let mut observed: Vec<usize> = Vec::new();
    for adds in adds {
        if let Adds::Observed(more, ..) = adds {
            for (bucket, count) in more.iter().enumerate() {
                observed.extend(std::iter::repeat_n(bucket, usize::try_from(*count).unwrap()));
            }
        }
    }
    observed.sort_unstable();
    if observed.is_empty() {
        return given.is_none();
    }
    #[allow(clippy::cast_sign_loss)]
    let place = ((q * observed.len() as f64).ceil() as usize).clamp(1, observed.len()) - 1;
    let (lower, upper) = [(0.0, 1.0), (1.0, 2.0), (2.0, 5.0), (5.0, 5.0)][observed[place]];
    given.is_some_and(|given| lower <= given && given <= upper)
}

/// Absences that any store counts over: whoever answers for steps looks back so far at least.
const ABSENCE_S: f64 = 300.0;

/// Whether a store gives this exactly.
fn gives(bench: &Bench, what: &str, how: As) -> bool {
    let counts = what == "h" || how.adds_up();
    let is_rate = what != "g" && how == As::Rate;
    let is_other_rate = is_rate && lacks(bench, Capability::RatesOfKnownTime);
    let is_estimate = counts && lacks(bench, Capability::ExactIncreases);
    !is_other_rate && !is_estimate
}

/// Whether a store knows what these points add: what it lacks, it may get wrong.
fn knows(bench: &Bench, adds: &[&Adds]) -> bool {
    let is_beyond = |took: f64| took > ABSENCE_S && lacks(bench, Capability::CountsOverAbsences);
    let is_lost = |adds: &&Adds| match adds {
        Adds::Gauge(_) => false,
        Adds::Counter(_, took, is_new) => {
            is_beyond(*took) || *is_new && lacks(bench, Capability::CountsNewSeries)
        }
        Adds::Observed(_, took, is_anew) => {
            is_beyond(*took) || *is_anew && lacks(bench, Capability::WholeHistogramResets)
        }
    };
    !adds.iter().any(is_lost)
}

/// Asks about each metric in one way, and compares.
async fn ask(bench: &Bench, model: &Model, step_s: i64, span_s: i64, way: usize) {
    let ways = |what: &str| -> Vec<As> {
        let all = [
            As::Rate,
            As::Increase,
            As::Min,
            As::Max,
            As::Avg,
            As::Sum,
            As::Quantile(0.5),
            As::Quantile(0.9),
        ];
        match what {
            "g" => all[2..].to_vec(),
            "c" => all.to_vec(),
            // The sum and the mean of observations are the suite's; here are counts.
            _ => vec![As::Rate, As::Increase, As::Quantile(0.5), As::Quantile(0.9)],
        }
    };
    for what in ["g", "c", "h"] {
        let ways = ways(what);
        let ways: Vec<As> = ways.into_iter().filter(|how| gives(bench, what, *how)).collect();
        let Some(how) = ways.get(way % ways.len().max(1)).copied() else {
            continue;
        };
        let question = Question {
            metric: model.metric(what),
            labels: Labels::new(),
            without: Vec::new(),
            by: None,
            from: model.now - seconds(span_s),
            // The clock may have been set back: what lies ahead is there as well.
            to: model.now + seconds(300),
            step_s: Some(step_s),
            how,
        };
        compare(bench, model, what, &question).await;
    }
}

async fn compare(bench: &Bench, model: &Model, what: &str, question: &Question) {
    let history = match bench.store.history(question, model.now).await {
        Ok(history) => history,
        Err(Error::UnknownMetric) => {
            assert!(model.points.iter().all(|point| match (what, &point.adds) {
                ("g", Adds::Gauge(_)) | ("c", Adds::Counter(..)) => false,
                _ => what != "h" || model.said.iter().all(Option::is_none),
            }));
            return;
        }
        Err(Error::StepUnsuitable { .. }) => {
            assert!(model.now - question.from > Duration::HOUR && question.step_s.unwrap_or(0) % 60 != 0);
            return;
        }
        Err(error) => panic!("{error}"),
    };
    let windows = history.windows;
    let steps = model.in_steps(what, windows.from, windows.step_s, windows.count);
    for (service, name) in model.names.iter().enumerate() {
        let line = history.lines.iter().find(|line| line.labels[SERVICE] == *name);
        for step in 0..windows.count {
            let adds = steps.get(&(service, step)).map_or(&[][..], Vec::as_slice);
            if !knows(bench, adds) {
                continue;
            }
            let given = line.and_then(|line| line.values[step]);
            let how = question.how;
            assert!(
                if adds.is_empty() {
                    given.is_none()
                } else {
                    is_right(given, adds, how)
                },
                "{what} as {how} of {name}, step {step} of {windows:?}: {given:?}, but {adds:?}"
            );
        }
    }
}

async fn step(bench: &Bench, model: &mut Model, operation: &Operation) {
    match operation {
        Operation::Round(doings) => {
            if lacks(bench, Capability::OrderOfArrival) {
                // Of one moment there can be one scrape.
                model.now += seconds(1);
            }
            bench.feed.round(&model.round(doings)).await;
        }
        Operation::Wait { seconds: count } => model.now += seconds(*count),
        Operation::ClockBack { .. } if lacks(bench, Capability::OrderOfArrival) => {}
        Operation::ClockBack { seconds: count } => model.now -= seconds(*count),
        Operation::Restart => bench.feed.restart(model.now).await,
        Operation::Settle => bench.feed.settle(model.now).await,
        Operation::Ask { step_s, span_s, way } => ask(bench, model, *step_s, *span_s, *way).await,
    }
}

/// Checks many random sequences; a failing one is shrunk to its shortest form. `EMPORIUM_TEST_SEED` repeats a run.
pub async fn check<F>(open: impl Fn() -> F)
where
    F: Future<Output = Option<Bench>>,
{
    let seed = emporium_test_kit::seed();
    let mut left = 0..u64::from(STORES);
    while !left.is_empty() {
        let mut running = tokio::task::JoinSet::new();
        for store in left.by_ref().take(STORES as usize / 2) {
            let Some(bench) = open().await else { return };
            running.spawn_blocking(move || check_one(&bench, seed.wrapping_add(store)));
        }
        while let Some(done) = running.join_next().await {
            done.unwrap();
        }
    }
}

fn check_one(bench: &Bench, seed: u64) {
    let config = Config {
        max_shrink_iters: 500,
        ..sequences(SEQUENCES, seed)
    };
    let operations = proptest::collection::vec(operation(), 1..25);
    check_sequences(config, &operations, async |operations| {
        let mut model = Model::new();
        for operation in &operations {
            step(bench, &mut model, operation).await;
        }
        for way in 0..2 {
            ask(bench, &model, 60, 30_000, operations.len() + 3 * way).await;
        }
    });
}
