//! Where values stand on an axis, and at which round values it is marked.

/// Nothing that a shop counts is larger; what is, is drawn at the edge.
const VALUE_MAX: f64 = 1e18;
/// Values closer to zero than this are drawn as zero.
const VALUE_MIN: f64 = 1e-12;

/// An axis from a round value to a round value; zero is always on it, so that lengths can be compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Scale {
    low: f64,
    high: f64,
    step: f64,
}

impl Scale {
    /// The smallest such axis that has all `values`, with at most `steps_max` steps of 1, 2 or 5 times a power of ten ("nice
    /// numbers", P. Heckbert in Graphics Gems, 1990), none of them below `least`. What is no number is passed over.
    pub fn of(values: impl IntoIterator<Item = f64>, steps_max: usize, least: f64) -> Self {
        let (mut low, mut high) = (0.0_f64, 0.0_f64);
        for value in values.into_iter().filter(|value| !value.is_nan()) {
            let value = value.clamp(-VALUE_MAX, VALUE_MAX);
            (low, high) = (low.min(value), high.max(value));
        }
        if high - low < VALUE_MIN {
            (low, high) = (0.0, least.max(1.0));
        }
        #[allow(clippy::cast_precision_loss)] // a handful
        let steps_max = steps_max.clamp(2, 20) as f64;
        // Both ends are rounded outwards, which takes up to a step more at each.
        let mut step = nice((high - low) / steps_max).max(least);
        while steps(low, high, step) > steps_max {
            step = nice(step * 1.01).max(least);
        }
        Self {
            low: (low / step).floor() * step,
            high: (high / step).ceil() * step,
            step,
        }
    }

    /// The marks, ascending; both ends are among them.
    pub fn marks(&self) -> Vec<f64> {
        let (first, last) = ((self.low / self.step).round(), (self.high / self.step).round());
        // At most as many as were asked for, see above.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let count = (last - first).clamp(0.0, 40.0) as u32;
        (0..=count).map(|n| (first + f64::from(n)) * self.step).collect()
    }

    /// Where a value stands: 0 at the low end, 1 at the high end, never outside; what is no number stands at zero.
    pub fn place(&self, value: f64) -> f64 {
        let value = if value.is_nan() { 0.0 } else { value };
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }
}

fn steps(low: f64, high: f64, step: f64) -> f64 {
    (high / step).ceil() - (low / step).floor()
}

/// The least of 1, 2 and 5 times a power of ten that is not less than `value`.
fn nice(value: f64) -> f64 {
    let power = 10.0_f64.powf(value.log10().floor());
    let part = value / power;
    let round = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|round| part <= round * (1.0 + 1e-9));
    round.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn marks_are_round() {
        let of = |values: &[f64]| Scale::of(values.iter().copied(), 5, 0.0).marks();
        assert_eq!(of(&[3.0, 97.0]), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        assert_eq!(of(&[]), of(&[f64::NAN]));
        assert_eq!(of(&[0.0]).last(), Some(&1.0));
        assert_eq!(of(&[-1.0, 4.0]), [-1.0, 0.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!(Scale::of([0.4], 5, 1.0).marks(), [0.0, 1.0]);
        assert_eq!(Scale::of([0.0], 5, 100.0).marks(), [0.0, 100.0]);
    }

    fn is_round(step: f64) -> bool {
        let power = 10.0_f64.powf(step.log10().round());
        [0.1, 0.2, 0.5, 1.0, 2.0, 5.0]
            .iter()
            .any(|round| (step / power / round - 1.0).abs() < 1e-6)
    }

    proptest! {
        #[test]
        fn any_values_have_an_axis(
            values in proptest::collection::vec(proptest::num::f64::ANY, 0..30),
            steps_max in 0_usize..30,
            least in prop_oneof![Just(0.0), Just(1.0), Just(100.0)],
        ) {
            let scale = Scale::of(values.iter().copied(), steps_max, least);
            let marks = scale.marks();
            prop_assert!(marks.iter().all(|mark| mark.is_finite()), "{scale:?}");
            prop_assert!((2..=steps_max.clamp(2, 20) + 1).contains(&marks.len()), "{scale:?} {}", marks.len());
            prop_assert!(marks.windows(2).all(|pair| pair[0] < pair[1]), "{marks:?}");
            prop_assert!(marks.contains(&0.0), "{marks:?}");
            prop_assert!(is_round(scale.step), "{scale:?}");
            prop_assert!(scale.step >= least);
            for value in values {
                let place = scale.place(value);
                prop_assert!((0.0..=1.0).contains(&place), "{value} at {place}");
            }
        }

        #[test]
        fn ordinary_values_keep_their_order_and_proportion(a in -1e9..1e9_f64, b in -1e9..1e9_f64) {
            let scale = Scale::of([a, b], 6, 0.0);
            let (low, high) = (scale.marks()[0], *scale.marks().last().unwrap());
            prop_assert!(low <= a.min(b) + 1e-6 && high >= a.max(b) - 1e-6, "{scale:?}");
            prop_assert_eq!(scale.place(a) < scale.place(b), a < b);
            let share = (a - low) / (high - low);
            prop_assert!((scale.place(a) - share).abs() < 1e-9);
        }
    }
}
