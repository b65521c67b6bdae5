//! Conversions between integers and floating point, where what is lost is known and does not matter.

/// Integers up to this are exact as floating point.
pub const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// As floating point. Counts and microseconds here are below 2^53 (285 years of microseconds), so nothing is lost.
#[allow(clippy::cast_precision_loss)]
pub fn float(count: i64) -> f64 {
    count as f64
}

/// Seconds of so many microseconds.
pub fn seconds(micros: i64) -> f64 {
    float(micros) / 1e6
}

/// A count that was written as a floating-point number; `None` unless it is one, exactly.
#[allow(clippy::cast_possible_truncation)] // looked at before
pub fn count(value: f64) -> Option<i64> {
    let is_count = (0.0..=EXACT_MAX).contains(&value) && value.fract() == 0.0;
    is_count.then_some(value as i64)
}
