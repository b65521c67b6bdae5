//! The plot: a line a case, a mark an adapter at its p50 with a whisker to its p99, on a logarithmic scale.

use std::fmt::Write;

use super::results::{Comparison, Results};

const WIDTH: f64 = 900.0;
/// Where the scale begins and ends.
const LEFT: f64 = 330.0;
const RIGHT: f64 = WIDTH - 30.0;
const TOP: f64 = 86.0;
const ROW: f64 = 22.0;
/// Between traits.
const GAP: f64 = 26.0;

/// Colours in both schemes; the picture brings its own background, because a book's theme need not be the browser's.
const STYLE: &str = "
  .ground { fill: #ffffff } text { fill: #24292f; font: 12px system-ui, sans-serif }
  .title { font-size: 15px; font-weight: 600 } .trait { font-weight: 600 }
  .grid { stroke: #d0d7de } .row { stroke: #eaeef2 }
  .postgres { fill: #1f6feb; stroke: #1f6feb } .redis { fill: #cf222e; stroke: #cf222e }
  .elasticsearch { fill: #1a7f37; stroke: #1a7f37 } .neo4j { fill: #0a7ea4; stroke: #0a7ea4 }
  .clickhouse { fill: #9a6700; stroke: #9a6700 } .mongodb { fill: #4d7c0f; stroke: #4d7c0f }
  .prometheus { fill: #bc4c00; stroke: #bc4c00 }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117 } text { fill: #e6edf3 } .grid { stroke: #30363d } .row { stroke: #21262d }
    .postgres { fill: #79c0ff; stroke: #79c0ff } .redis { fill: #ff7b72; stroke: #ff7b72 }
    .elasticsearch { fill: #7ee787; stroke: #7ee787 } .neo4j { fill: #56d4dd; stroke: #56d4dd }
    .clickhouse { fill: #e3b341; stroke: #e3b341 } .mongodb { fill: #a5d66f; stroke: #a5d66f }
    .prometheus { fill: #ffa657; stroke: #ffa657 }
  }";

/// A case: the same work on each adapter.
struct Case<'a> {
    label: String,
    marks: Vec<&'a Comparison>,
}

/// A picture of all comparisons.
pub fn svg(results: &Results) -> String {
    let traits: Vec<(&str, Vec<Case<'_>>)> = results
        .traits
        .iter()
        .map(|(name, part)| (name.as_str(), cases(&part.comparisons)))
        .collect();
    let rows: usize = traits.iter().map(|(_, cases)| cases.len()).sum();
    let height = TOP + as_f64(rows) * ROW + as_f64(traits.len()) * GAP + 46.0;
    let scale = Scale::of(results);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"Time of a call by store, logarithmic\">\n<style>{STYLE}\n</style>\n<rect class=\"ground\" width=\"{WIDTH}\" height=\"{height}\"/>\n<text class=\"title\" x=\"16\" y=\"26\">Time of a call: p50 (mark) to p99 (end of the line)</text>\n"
    );
    legend(&mut text, results);
    axis(&mut text, &scale, height - 40.0);
    let mut y = TOP;
    for (name, cases) in traits {
        y += GAP;
        let _ = writeln!(
            text,
            "<text class=\"trait\" x=\"16\" y=\"{}\">{}</text>",
            y - 12.0,
            escaped(name)
        );
        for case in cases {
            row(&mut text, &case, &scale, y);
            y += ROW;
        }
    }
    text.push_str("</svg>\n");
    text
}

fn cases(comparisons: &[Comparison]) -> Vec<Case<'_>> {
    let mut sorted: Vec<&Comparison> = comparisons.iter().collect();
    sorted.sort_by_key(|it| (&it.work, it.size, it.callers, &it.adapter));
    let mut cases: Vec<Case<'_>> = Vec::new();
    for it in sorted {
        let label = format!("{}, {} there, ×{}", it.work, it.size, it.callers);
        match cases.last_mut().filter(|case| case.label == label) {
            Some(case) => case.marks.push(it),
            None => cases.push(Case {
                label,
                marks: vec![it],
            }),
        }
    }
    cases
}

/// From whole powers of ten to whole powers of ten, in microseconds.
struct Scale {
    lowest: i32,
    highest: i32,
}

impl Scale {
    #[allow(clippy::cast_possible_truncation)] // a power of ten
    fn of(results: &Results) -> Self {
        let figures = results
            .traits
            .values()
            .flat_map(|part| &part.comparisons)
            .map(|it| it.adapter_us);
        let (mut lowest, mut highest) = (f64::MAX, 1.0_f64);
        for it in figures {
            lowest = lowest.min(it.p50);
            highest = highest.max(it.p99);
        }
        let lowest = lowest.min(highest).max(1e-3).log10().floor() as i32;
        let highest = (highest.log10().ceil() as i32).max(lowest + 1);
        Self { lowest, highest }
    }

    fn x(&self, us: f64) -> f64 {
        let share = (us.max(1e-3).log10() - f64::from(self.lowest)) / f64::from(self.highest - self.lowest);
        LEFT + share * (RIGHT - LEFT)
    }
}

fn axis(text: &mut String, scale: &Scale, bottom: f64) {
    for power in scale.lowest..=scale.highest {
        let x = scale.x(10_f64.powi(power));
        let label = match power {
            ..=2 => format!("{} µs", 10_f64.powi(power)),
            3..=5 => format!("{} ms", 10_f64.powi(power - 3)),
            _ => format!("{} s", 10_f64.powi(power - 6)),
        };
        let _ = writeln!(
            text,
            "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{}\" y2=\"{bottom}\"/>\n<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>",
            TOP - 4.0,
            bottom + 16.0
        );
    }
    let middle = f64::midpoint(LEFT, RIGHT);
    let _ = writeln!(
        text,
        "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">time of a call, logarithmic</text>",
        bottom + 34.0
    );
}

fn legend(text: &mut String, results: &Results) {
    let mut adapters: Vec<&str> = results
        .traits
        .values()
        .flat_map(|part| &part.comparisons)
        .map(|it| it.adapter.as_str())
        .collect();
    adapters.sort_unstable();
    adapters.dedup();
    let mut x = 20.0;
    for adapter in adapters {
        mark(text, adapter, x, 50.0);
        let _ = writeln!(
            text,
            "<text x=\"{}\" y=\"54\">{}</text>",
            x + 10.0,
            escaped(adapter)
        );
        x += 130.0;
    }
}

fn row(text: &mut String, case: &Case<'_>, scale: &Scale, y: f64) {
    let label = escaped(&case.label);
    let _ = writeln!(
        text,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{label}</text>\n<line class=\"row\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y}\" y2=\"{y}\"/>",
        LEFT - 12.0,
        y + 4.0
    );
    for (number, it) in case.marks.iter().enumerate() {
        let (from, to) = (scale.x(it.adapter_us.p50), scale.x(it.adapter_us.p99));
        // Beside each other, so that equal times do not hide each other.
        let y = y + (as_f64(number) - as_f64(case.marks.len() - 1) / 2.0) * 8.0;
        let _ = writeln!(
            text,
            "<line class=\"{}\" x1=\"{from:.1}\" x2=\"{to:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke-width=\"1.5\"/>",
            escaped(&it.adapter)
        );
        mark(text, &it.adapter, from, y);
    }
}

/// A form an adapter, for those who do not see the colours apart.
fn mark(text: &mut String, adapter: &str, x: f64, y: f64) {
    let class = escaped(adapter);
    let _ = match adapter {
        "postgres" => writeln!(
            text,
            "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\"/>"
        ),
        "redis" => writeln!(
            text,
            "<rect class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" width=\"6.5\" height=\"6.5\"/>",
            x - 3.25,
            y - 3.25
        ),
        _ => writeln!(
            text,
            "<path class=\"{class}\" d=\"M{x:.1} {:.1}l4 7h-8z\"/>",
            y - 4.0
        ),
    };
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}

#[allow(clippy::cast_precision_loss)] // a handful of rows
fn as_f64(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::super::page::tests::known;
    use super::*;

    #[test]
    fn marks_stand_where_the_figures_are() {
        let results = known();
        let scale = Scale::of(&results);
        assert_eq!((scale.lowest, scale.highest), (1, 4));
        // 100 µs is a third of the way from 10 µs to 10 ms.
        assert!((scale.x(100.0) - (LEFT + (RIGHT - LEFT) / 3.0)).abs() < 1e-6);
        let picture = svg(&results);
        assert!(
            picture.contains(&format!("cx=\"{:.1}\"", scale.x(81.5))),
            "{picture}"
        );
        assert!(picture.contains("look-up, 1000 there, ×1") && picture.contains("10 ms"));
        assert_eq!(picture.matches("class=\"trait\"").count(), 1);
    }
}
