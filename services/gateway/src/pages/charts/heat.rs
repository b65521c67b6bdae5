//! A table whose cells are shaded.

/// Shades, from nothing to all.
const SHADES: [&str; 8] = ["h0", "h1", "h2", "h3", "h4", "h5", "h6", "h7"];

/// The table.
#[derive(Debug, Clone)]
pub struct Heat {
    /// What the columns are.
    pub head: Vec<String>,
    /// The rows.
    pub rows: Vec<HeatRow>,
}

/// A row.
#[derive(Debug, Clone)]
pub struct HeatRow {
    /// What it is of.
    pub name: String,
    /// What its parts are parts of.
    pub whole: String,
    /// The cells: shade and words.
    pub cells: Vec<(&'static str, String)>,
}

impl Heat {
    /// Shades shares so that `darkest` and more is darkest. A cell without a share is left blank.
    pub fn row(name: String, whole: String, shares: &[Option<f64>], darkest: f64) -> HeatRow {
        let cells = shares.iter().map(|share| match share {
            Some(share) => (shade(*share, darkest), format!("{:.0} %", clean(*share) * 100.0)),
            None => ("none", String::new()),
        });
        HeatRow {
            name,
            whole,
            cells: cells.collect(),
        }
    }
}

fn clean(share: f64) -> f64 {
    if share.is_finite() {
        share.clamp(0.0, 1.0)
    } else {
        0.0
    }
}

fn shade(share: f64, darkest: f64) -> &'static str {
    let darkest = if darkest.is_finite() && darkest > 0.0 {
        darkest
    } else {
        1.0
    };
    let part = (clean(share) / darkest).min(1.0);
    // Nothing at all has a shade of its own.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let index = (part * 7.0).ceil() as usize;
    SHADES.get(index).copied().unwrap_or("h7")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shades_grow() {
        let row = Heat::row(
            "a".into(),
            "9".into(),
            &[Some(0.0), Some(0.1), None, Some(0.5), Some(1.0)],
            0.5,
        );
        let shades: Vec<&str> = row.cells.iter().map(|cell| cell.0).collect();
        assert_eq!(shades, ["h0", "h2", "none", "h7", "h7"]);
        assert_eq!(row.cells[1].1, "10 %");
    }

    proptest! {
        #[test]
        fn any_share_has_a_shade(share in proptest::num::f64::ANY, darkest in proptest::num::f64::ANY) {
            let row = Heat::row(String::new(), String::new(), &[Some(share)], darkest);
            prop_assert!(SHADES.contains(&row.cells[0].0));
            prop_assert!(!row.cells[0].1.contains("NaN"));
        }
    }
}
