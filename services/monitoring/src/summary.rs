//! What is kept of many points: the algebra of roll-ups. Merging is associative and commutative (sums of floating-point
//! numbers up to rounding), so it does not matter in which batches points are rolled up, or whether an hour is made of
//! minutes or of points.

use crate::number::{float, seconds};
use crate::sketch::Sketch;

/// How values are distributed, as far as that is known.
#[derive(Clone)]
pub enum Shape {
    /// All are equal (or there are none): the least of them says all.
    Constant,
    /// They differ.
    Sketched(Box<Sketch>),
    /// Nobody wants to know, so nothing is kept of it.
    Left,
}

/// Gauges' values, or counters' rates from scrape to scrape; and what counters grew by.
#[derive(Clone)]
pub struct Levels {
    /// How many values.
    pub samples: i64,
    /// Their sum; 0 when there are none.
    pub sum: f64,
    /// The least one; +∞ when there are none.
    pub min: f64,
    /// The greatest one; -∞ when there are none.
    pub max: f64,
    /// How they are distributed.
    pub shape: Shape,
    /// By how much a counter grew.
    pub increase: f64,
    /// In how much time it did, in microseconds: from the scrape before the first point to the last point.
    pub covered_us: i64,
}

impl Levels {
    /// No values. `sketched`: whether their distribution is kept.
    pub fn none(sketched: bool) -> Self {
        Self {
            samples: 0,
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            shape: if sketched { Shape::Constant } else { Shape::Left },
            increase: 0.0,
            covered_us: 0,
        }
    }

    /// One value of a gauge.
    pub fn of_gauge(value: f64) -> Self {
        Self {
            samples: 1,
            sum: value,
            min: value,
            max: value,
            ..Self::none(true)
        }
    }

    /// One step of a counter. A step that took no time (the clock was set back) has no rate, and neither has one whose rate no
    /// number holds; but its increase counts.
    pub fn of_counter(increase: f64, covered_us: i64) -> Self {
        let step = Self {
            increase,
            covered_us,
            ..Self::none(true)
        };
        let rate = increase / seconds(covered_us);
        if !rate.is_finite() {
            return step;
        }
        Self {
            samples: 1,
            sum: rate,
            min: rate,
            max: rate,
            ..step
        }
    }

    /// Whether it says nothing at all.
    pub fn is_empty(&self) -> bool {
        self.samples == 0 && self.covered_us == 0 && self.increase == 0.0
    }

    /// Adds all that another one stands for.
    pub fn merge(&mut self, other: &Self) {
        self.merge_shape(other);
        self.samples += other.samples;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.increase += other.increase;
        self.covered_us = self.covered_us.saturating_add(other.covered_us);
    }

    fn merge_shape(&mut self, other: &Self) {
        if matches!(self.shape, Shape::Left) || other.samples == 0 {
            return;
        }
        if self.samples == 0 {
            self.shape = other.shape.clone();
            return;
        }
        let both_constant = matches!((&self.shape, &other.shape), (Shape::Constant, Shape::Constant));
        // Equal as numbers: 0 and -0 are.
        #[allow(clippy::float_cmp)]
        if both_constant && self.min == other.min {
            return;
        }
        let mut whole = match std::mem::replace(&mut self.shape, Shape::Constant) {
            Shape::Sketched(own) => own,
            _ => Box::new(constant(self)),
        };
        match &other.shape {
            Shape::Sketched(sketch) => whole.merge(sketch),
            Shape::Constant => whole.add(other.min, other.samples),
            Shape::Left => {
                self.shape = Shape::Left;
                return;
            }
        }
        self.shape = Shape::Sketched(whole);
    }

    /// The mean value.
    pub fn mean(&self) -> Option<f64> {
        (self.samples > 0).then(|| self.sum / float(self.samples))
    }

    /// About the value of this rank, see [`Sketch::quantile`].
    pub fn quantile(&self, q: f64) -> Option<f64> {
        if self.samples == 0 {
            return None;
        }
        match &self.shape {
            Shape::Constant => Some(self.min),
            Shape::Sketched(sketch) => Some(sketch.quantile(q)?.clamp(self.min, self.max)),
            Shape::Left => None,
        }
    }

    /// A counter's increase per second of the time it is known for.
    pub fn rate(&self) -> Option<f64> {
        (self.covered_us > 0).then(|| self.increase / seconds(self.covered_us))
    }
}

fn constant(levels: &Levels) -> Sketch {
    let mut sketch = Sketch::default();
    sketch.add(levels.min, levels.samples);
    sketch
}

/// What was added to a histogram.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Observations {
    /// The sum of what was observed.
    pub observed: f64,
    /// In how much time, in microseconds; 0 when nothing is known.
    pub covered_us: i64,
    /// How many were observed in each bucket (above the bound before, up to its own), the last one up to +Inf; empty when
    /// none were.
    pub buckets: Vec<i64>,
}

impl Observations {
    /// Whether it says nothing at all.
    pub fn is_empty(&self) -> bool {
        self.covered_us == 0 && self.buckets.is_empty() && self.observed == 0.0
    }

    /// Adds all that another one stands for; the buckets are the same ones.
    pub fn merge(&mut self, other: &Self) {
        self.observed += other.observed;
        self.covered_us = self.covered_us.saturating_add(other.covered_us);
        if self.buckets.is_empty() {
            self.buckets.clone_from(&other.buckets);
            return;
        }
        for (own, more) in self.buckets.iter_mut().zip(&other.buckets) {
            *own = own.saturating_add(*more);
        }
    }

    /// How many observations.
    pub fn count(&self) -> i64 {
        let add = |sum: i64, count: &i64| sum.saturating_add(*count);
        self.buckets.iter().fold(0, add)
    }

    /// The mean observation.
    pub fn mean(&self) -> Option<f64> {
        let count = self.count();
        (count > 0).then(|| self.observed / float(count))
    }

    /// Observations per second of the time they are known for.
    pub fn rate(&self) -> Option<f64> {
        (self.covered_us > 0).then(|| float(self.count()) / seconds(self.covered_us))
    }

    /// The quantile by linear interpolation in its bucket, as `histogram_quantile` of PromQL has it: the first bucket begins
    /// at 0 (if its bound is above), and what lies beyond the last bound is taken to lie at it.
    pub fn quantile(&self, q: f64, bounds: &[f64]) -> Option<f64> {
        let count = self.count();
        if count == 0 || bounds.is_empty() {
            return None;
        }
        let rank = q * float(count);
        let mut below: i64 = 0;
        for (n, within) in self.buckets.iter().enumerate() {
            if float(below.saturating_add(*within)) < rank || *within == 0 {
                below = below.saturating_add(*within);
                continue;
            }
            let Some(upper) = bounds.get(n) else { break };
            let lower = match n {
                0 if *upper <= 0.0 => return Some(*upper),
                0 => 0.0,
                _ => bounds[n - 1],
            };
            return Some(lower + (upper - lower) * ((rank - float(below)) / float(*within)));
        }
        bounds.last().copied()
    }
}

#[cfg(test)]
mod tests;
