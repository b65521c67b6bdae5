//! A line the size of a word.

use std::fmt::Write;

use super::scale::Scale;

/// The drawing. It says nothing by itself: its figures stand beside it. Empty without two points.
pub fn sparkline(values: &[f64]) -> String {
    if values.len() < 2 {
        return String::new();
    }
    let scale = Scale::of(values.iter().copied(), 2, 0.0);
    let mut path = String::new();
    for (index, value) in values.iter().enumerate() {
        #[allow(clippy::cast_precision_loss)] // some dozen points
        let x = index as f64 * 100.0 / (values.len() - 1) as f64;
        let y = (1.0 - scale.place(*value)) * 22.0 + 1.0;
        let _ = write!(path, "{}{x:.1} {y:.1}", if index == 0 { 'M' } else { 'L' });
    }
    format!(
        "<svg class=\"spark\" viewBox=\"0 0 100 24\" preserveAspectRatio=\"none\" aria-hidden=\"true\" focusable=\"false\">\
         <path class=\"line s1\" d=\"{path}\"/></svg>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn few_points_are_no_line() {
        assert_eq!(sparkline(&[]), "");
        assert_eq!(sparkline(&[1.0]), "");
        assert!(sparkline(&[0.0, 1.0]).contains("M0.0 23.0L100.0 1.0"));
    }

    proptest! {
        #[test]
        fn any_values_make_a_path(values in proptest::collection::vec(proptest::num::f64::ANY, 2..50)) {
            let drawn = sparkline(&values);
            prop_assert!(!drawn.contains("NaN") && !drawn.contains("inf"));
        }
    }
}
