//! Quantile sketches: DDSketch (Masson, Rim, Lee: "DDSketch: A fast and fully-mergeable quantile sketch with relative-error
//! guarantees", VLDB 2019), from the crate `sketches-ddsketch`.

use sketches_ddsketch::DDSketch;

/// A quantile is at most this part of itself away from the value that has its rank.
///
/// A sketch has 2,048 buckets for positive values and as many for negative ones, enough for values that differ by a factor
/// of 10^17; where they differ by more, the smallest ones (by absolute value) lose the guarantee. Values closer to zero than
/// 10^-9 count as zero.
pub const RELATIVE_ERROR: f64 = 0.01;

/// A sketch of finite numbers.
#[derive(Clone, Default)]
pub struct Sketch(DDSketch);

/// The bytes are no sketch.
#[derive(Debug, thiserror::Error)]
#[error("a sketch cannot be read: {0}")]
pub struct Unreadable(String);

impl Sketch {
    /// Adds a value `count` times; it has to be finite.
    pub fn add(&mut self, value: f64, count: i64) {
        self.0.add_with_count(value, count.unsigned_abs());
    }

    /// Adds all values of another one.
    pub fn merge(&mut self, other: &Self) {
        // Fails only for sketches of different settings, and there is one setting.
        let merged = self.0.merge(&other.0);
        debug_assert!(merged.is_ok());
    }

    /// About the value of rank `⌊q · (n - 1)⌋` in ascending order; `None` when nothing was added, or `q` is not in 0..=1.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        self.0.quantile(q).ok().flatten()
    }

    /// In the format of DataDog's libraries: variable-length differences of bucket numbers, and counts.
    pub fn encode(&self) -> Vec<u8> {
        self.0.to_java_bytes()
    }

    /// Reads what [`Sketch::encode`] wrote. Bytes of another origin may be an error or make it panic.
    pub fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        DDSketch::from_java_bytes(bytes)
            .map(Self)
            .map_err(|error| Unreadable(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn exact(values: &[f64], q: f64) -> f64 {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss
        )]
        let rank = (q * (sorted.len() as f64 - 1.0)) as usize;
        sorted[rank]
    }

    fn close(given: f64, wanted: f64) -> bool {
        (given - wanted).abs() <= RELATIVE_ERROR * wanted.abs() * (1.0 + 1e-9) + 1e-9
    }

    proptest! {
        /// Whatever is merged in whatever order, and written and read in between, quantiles stay within the stated error.
        #[test]
        fn quantiles_keep_their_error(
            parts in proptest::collection::vec(proptest::collection::vec(prop_oneof![
                4 => 1e-6..1e6f64, 1 => -1e6..-1e-6f64, 1 => Just(0.0), 1 => 1e9..1e10f64,
            ], 0..60), 1..6),
            q in 0.0..=1.0f64,
        ) {
            let mut whole = Sketch::default();
            for part in &parts {
                let mut sketch = Sketch::default();
                for value in part {
                    sketch.add(*value, 1);
                }
                whole.merge(&Sketch::decode(&sketch.encode()).unwrap());
            }
            let all: Vec<f64> = parts.concat();
            match whole.quantile(q) {
                None => prop_assert!(all.is_empty()),
                Some(given) => {
                    let wanted = exact(&all, q);
                    prop_assert!(close(given, wanted), "{given} {wanted}");
                }
            }
        }

        /// Any finite number goes, even where the guarantee ends.
        #[test]
        fn extremes_do_no_harm(values in proptest::collection::vec(proptest::num::f64::NORMAL
            | proptest::num::f64::SUBNORMAL | proptest::num::f64::ZERO, 1..40)) {
            let (mut one, mut other) = (Sketch::default(), Sketch::default());
            for (n, value) in values.iter().enumerate() {
                if n % 2 == 0 { one.add(*value, 1) } else { other.add(*value, 1) }
            }
            one.merge(&Sketch::decode(&other.encode()).unwrap());
            prop_assert!(one.quantile(0.5).is_some());
        }
    }
}
