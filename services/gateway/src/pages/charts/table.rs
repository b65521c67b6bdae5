//! Rows of a table with a bar each.

use super::percent;

/// A row.
#[derive(Debug, Clone)]
pub struct Bar {
    /// What it is of.
    pub name: String,
    /// Where more is said of it.
    pub href: Option<String>,
    /// The length of its bar: a share of the longest one, as SVG writes it.
    pub length: String,
    /// The figures, one a column.
    pub cells: Vec<String>,
}

/// Rows with bars as long as their values; what is no number or below zero has none.
pub fn bars(rows: impl IntoIterator<Item = (Bar, f64)>) -> Vec<Bar> {
    let rows: Vec<(Bar, f64)> = rows.into_iter().collect();
    let values = rows
        .iter()
        .map(|(_, value)| *value)
        .filter(|value| value.is_finite());
    let longest = values.fold(0.0, f64::max);
    rows.into_iter()
        .map(|(row, value)| {
            let share = if longest > 0.0 && value > 0.0 {
                (value / longest).min(1.0)
            } else {
                0.0
            };
            Bar {
                length: percent(share),
                ..row
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bars_are_parts_of_the_longest(values in proptest::collection::vec(proptest::num::f64::ANY, 0..20)) {
            let bar = Bar { name: String::new(), href: None, length: String::new(), cells: Vec::new() };
            for row in bars(values.iter().map(|value| (bar.clone(), *value))) {
                let length: f64 = row.length.trim_end_matches('%').parse().unwrap();
                prop_assert!((0.0..=100.0).contains(&length), "{}", row.length);
            }
        }
    }

    #[test]
    fn the_longest_takes_all_and_losses_nothing() {
        let bar = |name: &str| Bar {
            name: name.to_owned(),
            href: None,
            length: String::new(),
            cells: Vec::new(),
        };
        let rows = bars([(bar("a"), 50.0), (bar("b"), 25.0), (bar("c"), -5.0)]);
        let lengths: Vec<&str> = rows.iter().map(|row| &*row.length).collect();
        assert_eq!(lengths, ["100.00%", "50.00%", "0.00%"]);
    }
}
