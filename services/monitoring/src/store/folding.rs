//! Points into the steps of an answer, series by series.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use crate::model::Labels;
use crate::question::{As, Line, Windows};
use crate::summary::{Levels, Observations};

/// Something that points are merged into and a number is read from.
pub trait Part {
    /// Adds all that another one stands for.
    fn merge(&mut self, other: &Self);
    /// Reads it.
    fn read(&self, how: As, bounds: &[f64]) -> Option<f64>;
}

impl Part for Levels {
    fn merge(&mut self, other: &Self) {
        Levels::merge(self, other);
    }
    fn read(&self, how: As, _: &[f64]) -> Option<f64> {
        how.of_levels(self)
    }
}

impl Part for Observations {
    fn merge(&mut self, other: &Self) {
        Observations::merge(self, other);
    }
    fn read(&self, how: As, bounds: &[f64]) -> Option<f64> {
        how.of_observations(self, bounds)
    }
}

/// A line that is being made.
struct Open<P> {
    labels: Labels,
    bounds: Vec<f64>,
    /// The parts of each step, where they are pooled.
    pooled: BTreeMap<usize, P>,
    /// The sums of each step, where each series is read by itself.
    sums: BTreeMap<usize, f64>,
}

/// The lines that are being made. Rows come series by series.
pub struct Folding<P> {
    how: As,
    windows: Windows,
    lines: Vec<Open<P>>,
    /// The series whose rows come just now: its line, and the parts of each step so far.
    current: Option<(i32, usize, BTreeMap<usize, P>)>,
}

impl<P: Part> Folding<P> {
    /// Nothing yet; `lines` are labels and bounds of the answer's lines.
    pub fn new(how: As, windows: Windows, lines: Vec<(Labels, Vec<f64>)>) -> Self {
        let open = |(labels, bounds)| Open {
            labels,
            bounds,
            pooled: BTreeMap::new(),
            sums: BTreeMap::new(),
        };
        Self {
            how,
            windows,
            lines: lines.into_iter().map(open).collect(),
            current: None,
        }
    }

    /// Adds a point of a series that belongs to the line of this number.
    pub fn add(&mut self, series: i32, line: usize, at: OffsetDateTime, part: P) {
        let Some(step) = self.windows.index(at) else {
            return;
        };
        if self
            .current
            .as_ref()
            .is_none_or(|(current, ..)| *current != series)
        {
            self.close();
            self.current = Some((series, line, BTreeMap::new()));
        }
        if let Some((.., parts)) = self.current.as_mut() {
            put(parts, step, part);
        }
    }

    /// Ends the present series.
    fn close(&mut self) {
        let Some((_, line, parts)) = self.current.take() else {
            return;
        };
        let line = &mut self.lines[line];
        for (step, part) in parts {
            if !self.how.adds_up() {
                put(&mut line.pooled, step, part);
            } else if let Some(value) = part.read(self.how, &line.bounds) {
                *line.sums.entry(step).or_default() += value;
            }
        }
    }

    /// The finished lines, without those of which nothing is known.
    pub fn finish(mut self) -> Vec<Line> {
        self.close();
        let (how, count) = (self.how, self.windows.count);
        let finished = |line: Open<P>| {
            let mut values = vec![None; count];
            for (step, sum) in line.sums {
                values[step] = Some(sum).filter(|sum| sum.is_finite());
            }
            for (step, part) in line.pooled {
                values[step] = part.read(how, &line.bounds);
            }
            let labels = line.labels;
            Line { labels, values }
        };
        let lines = self.lines.into_iter().map(finished);
        lines
            .filter(|line| line.values.iter().any(Option::is_some))
            .collect()
    }
}

fn put<P: Part>(parts: &mut BTreeMap<usize, P>, step: usize, part: P) {
    match parts.get_mut(&step) {
        Some(whole) => whole.merge(&part),
        None => {
            parts.insert(step, part);
        }
    }
}
