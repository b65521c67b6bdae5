//! Roll-ups against direct computation.
#![allow(clippy::float_cmp)] // sums of whole numbers are exact, which is what is tested

use proptest::prelude::*;

use super::*;
use crate::sketch::RELATIVE_ERROR;

fn close(given: f64, wanted: f64, relative: f64) -> bool {
    (given - wanted).abs() <= relative * wanted.abs() + 1e-9
}

fn merged(values: &[f64]) -> Levels {
    values.iter().fold(Levels::none(true), |mut all, value| {
        all.merge(&Levels::of_gauge(*value));
        all
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// Values in any batches, batches merged in any order: count, sum, least and greatest as computed directly (the values
    /// are whole numbers, so that sums are exact), quantiles within the stated error.
    #[test]
    fn any_batches_give_what_all_values_give(
        batches in proptest::collection::vec(proptest::collection::vec(
            prop_oneof![3 => -1_000_000..1_000_000i64, 1 => Just(7i64)], 0..20), 1..8),
        q in 0.0..=1.0f64,
        backwards in any::<bool>(),
    ) {
        let values: Vec<f64> = batches.concat().into_iter().map(float).collect();
        let mut parts: Vec<Levels> = batches
            .iter()
            .map(|batch| merged(&batch.iter().copied().map(float).collect::<Vec<_>>()))
            .collect();
        if backwards {
            parts.reverse();
        }
        let mut whole = Levels::none(true);
        for part in &parts {
            whole.merge(part);
        }

        prop_assert_eq!(whole.samples, i64::try_from(values.len()).unwrap());
        prop_assert_eq!(whole.sum, values.iter().sum::<f64>());
        prop_assert_eq!(whole.min, values.iter().copied().fold(f64::INFINITY, f64::min));
        prop_assert_eq!(whole.max, values.iter().copied().fold(f64::NEG_INFINITY, f64::max));
        let mut sorted = values;
        sorted.sort_by(f64::total_cmp);
        match whole.quantile(q) {
            None => prop_assert!(sorted.is_empty()),
            Some(given) => {
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                let rank = (q * (float(whole.samples) - 1.0)) as usize;
                prop_assert!(close(given, sorted[rank], RELATIVE_ERROR * 1.000_001), "{} {}", given, sorted[rank]);
            }
        }
    }

    /// The interpolated quantile lies in the bucket of the exact one.
    #[test]
    fn the_quantile_of_a_histogram_lies_in_the_right_bucket(
        values in proptest::collection::vec(0.0..40.0f64, 1..200),
        q in 0.01..=1.0f64,
    ) {
        let bounds = [1.0, 2.0, 5.0, 10.0, 20.0];
        let mut buckets = vec![0; bounds.len() + 1];
        for value in &values {
            buckets[bounds.iter().position(|bound| value <= bound).unwrap_or(bounds.len())] += 1;
        }
        let seen = Observations { observed: values.iter().sum(), covered_us: 1, buckets };
        let given = seen.quantile(q, &bounds).unwrap();
        let mut sorted = values;
        sorted.sort_by(f64::total_cmp);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let rank = ((q * float(seen.count())).ceil() as usize).clamp(1, sorted.len()) - 1;
        let exact = sorted[rank];
        let place = bounds.iter().position(|bound| exact <= *bound);
        let (lower, upper) = match place {
            None => (20.0, 20.0),
            Some(0) => (0.0, 1.0),
            Some(n) => (bounds[n - 1], bounds[n]),
        };
        prop_assert!((lower..=upper).contains(&given), "{} not in {}..={}", given, lower, upper);
    }
}

#[test]
fn equal_values_need_no_sketch() {
    let mut all = merged(&[0.0, -0.0, 0.0]);
    assert!(matches!(all.shape, Shape::Constant));
    all.merge(&merged(&[]));
    assert!(matches!(all.shape, Shape::Constant));
    assert_eq!(all.quantile(0.5), Some(0.0));
    all.merge(&Levels::of_gauge(3.0));
    assert!(matches!(all.shape, Shape::Sketched(_)));
    assert_eq!(all.quantile(1.0), Some(3.0));
}

#[test]
fn a_step_without_time_has_no_rate_and_counts() {
    let mut all = Levels::none(false);
    all.merge(&Levels::of_counter(5.0, 0));
    assert_eq!((all.rate(), all.mean(), all.increase), (None, None, 5.0));
    all.merge(&Levels::of_counter(5.0, 2_000_000));
    assert_eq!((all.rate(), all.max, all.increase), (Some(5.0), 2.5, 10.0));
}

#[test]
fn nothing_observed_has_no_quantile() {
    let none = Observations::default();
    assert_eq!(
        (none.quantile(0.5, &[1.0]), none.mean(), none.rate()),
        (None, None, None)
    );
    let beyond = Observations {
        observed: 9.0,
        covered_us: 1,
        buckets: vec![0, 0, 4],
    };
    assert_eq!(beyond.quantile(0.5, &[1.0, 2.0]), Some(2.0));
    let below = Observations {
        observed: -4.0,
        covered_us: 1,
        buckets: vec![4, 0, 0],
    };
    assert_eq!(below.quantile(0.5, &[-1.0, 2.0]), Some(-1.0));
}

/// The largest counts and values there can be, added up for ever, are no panic and no infinity in a sketch.
#[test]
fn what_is_beyond_numbers_does_no_harm() {
    let mut all = Levels::none(true);
    for covered_us in [0, 1, 500_000] {
        all.merge(&Levels::of_counter(f64::MAX, covered_us));
    }
    all.merge(&Levels::of_counter(4.0, 1_000_000));
    assert_eq!((all.samples, all.max, all.quantile(0.5)), (1, 4.0, Some(4.0)));
    assert_eq!(crate::question::As::Increase.of_levels(&all), None, "no number");
    let mut seen = Observations::default();
    for _ in 0..3 {
        seen.merge(&Observations {
            observed: f64::MAX,
            covered_us: i64::MAX,
            buckets: vec![i64::MAX, i64::MAX, 1],
        });
    }
    assert_eq!((seen.count(), seen.covered_us), (i64::MAX, i64::MAX));
    assert!(seen.quantile(0.99, &[1.0, 2.0]).is_some());
}
