//! Where everything of a plot stands.

use std::fmt::Write;

use super::super::percent;
use super::super::scale::Scale;
use super::{Block, CLASSES, Dot, Line, Mark, Series, Shape, Sheet};

/// Steps of the upright axis.
const STEPS_MAX: usize = 6;
/// Up to so many figures are said where they are pointed at: each is written into the page once more.
const POINTED_MAX: usize = 400;
/// Side of the box that lines are drawn in, before it is stretched.
const BOX: f64 = 1_000.0;

/// Where point `index` of `count` stands: in the middle of its part.
#[allow(clippy::cast_precision_loss)] // some hundred points
pub fn middle(index: usize, count: usize) -> f64 {
    (index as f64 + 0.5) / count.max(1) as f64
}

/// Where everything stands.
pub struct Drawing<'a> {
    sheet: &'a Sheet<'a>,
    drawn: &'a [&'a Series],
    pub scale: Scale,
}

impl<'a> Drawing<'a> {
    pub fn new(sheet: &'a Sheet<'a>, drawn: &'a [&'a Series]) -> Self {
        let least = sheet.unit.step_min();
        let scale = if sheet.shape == Shape::Stacked {
            let points = 0..sheet.moments.len();
            let ends = points.flat_map(|point| stack(drawn, point).map(|(_, _, to)| to));
            Scale::of(ends, STEPS_MAX, least)
        } else {
            let values = drawn.iter().flat_map(|series| series.values.iter().flatten());
            Scale::of(values.copied(), STEPS_MAX, least)
        };
        Self { sheet, drawn, scale }
    }

    fn points(&self) -> usize {
        self.sheet.moments.len()
    }

    pub fn rows(&self) -> Vec<Mark> {
        let marks = self.scale.marks().into_iter();
        marks
            .map(|value| Mark {
                at: percent(1.0 - self.scale.place(value)),
                text: self.sheet.unit.short(value),
                class: "mark",
            })
            .collect()
    }

    fn is_lines(&self) -> bool {
        self.sheet.shape != Shape::Stacked
    }

    pub fn lines(&self) -> Vec<Line> {
        let series = self.drawn.iter().zip(CLASSES).filter(|_| self.is_lines());
        series
            .map(|(series, class)| Line {
                class,
                path: self.path(series),
                area: (self.sheet.shape == Shape::Area).then(|| self.area(series)),
            })
            .collect()
    }

    fn spot(&self, point: usize, value: f64) -> String {
        let x = middle(point, self.points()) * BOX;
        format!("{x:.1} {:.1}", (1.0 - self.scale.place(value)) * BOX)
    }

    /// A line, broken where nothing is known.
    fn path(&self, series: &Series) -> String {
        let mut path = String::new();
        let mut is_down = false;
        for (point, value) in series.values.iter().enumerate() {
            if let Some(value) = value {
                path.push(if is_down { 'L' } else { 'M' });
                path.push_str(&self.spot(point, *value));
            }
            is_down = value.is_some();
        }
        path
    }

    /// The areas between a line and zero, one for each unbroken piece.
    fn area(&self, series: &Series) -> String {
        let mut path = String::new();
        let mut begin = None;
        for point in 0..=series.values.len() {
            match (series.values.get(point).copied().flatten(), begin) {
                (Some(value), None) => {
                    begin = Some(point);
                    let _ = write!(path, "M{}L{}", self.spot(point, 0.0), self.spot(point, value));
                }
                (Some(value), Some(_)) => {
                    let _ = write!(path, "L{}", self.spot(point, value));
                }
                (None, Some(_)) => {
                    let _ = write!(path, "L{}Z", self.spot(point.saturating_sub(1), 0.0));
                    begin = None;
                }
                (None, None) => {}
            }
        }
        path
    }

    /// Points without a neighbour: a line through them has no length.
    pub fn dots(&self) -> Vec<Dot> {
        let mut dots = Vec::new();
        for (series, class) in self.drawn.iter().zip(CLASSES).filter(|_| self.is_lines()) {
            let known =
                |point: Option<usize>| point.and_then(|point| series.values.get(point).copied().flatten());
            for point in 0..self.points() {
                let lonely = known(point.checked_sub(1)).is_none() && known(Some(point + 1)).is_none();
                if let Some(value) = known(Some(point)).filter(|_| lonely) {
                    dots.push(Dot {
                        class,
                        x: percent(middle(point, self.points())),
                        y: percent(1.0 - self.scale.place(value)),
                    });
                }
            }
        }
        dots
    }

    pub fn bars(&self) -> Vec<Block> {
        let mut bars = Vec::new();
        for point in (0..self.points()).filter(|_| !self.is_lines()) {
            let (x, width) = self.column(point, 0.76);
            for (class, from, to) in stack(self.drawn, point) {
                let (from, to) = (self.scale.place(from), self.scale.place(to));
                bars.push(Block {
                    class,
                    x: percent(x),
                    y: percent(1.0 - from.max(to)),
                    width: percent(width),
                    height: percent((from - to).abs()),
                    text: String::new(),
                });
            }
        }
        bars
    }

    /// Over the whole height, to be pointed at.
    pub fn bands(&self) -> Vec<Block> {
        let points = 0..self.points();
        points
            .filter(|_| self.points() * self.drawn.len() <= POINTED_MAX)
            .map(|point| {
                let (x, width) = self.column(point, 1.0);
                Block {
                    class: "band",
                    x: percent(x),
                    y: percent(0.0),
                    width: percent(width),
                    height: percent(1.0),
                    text: self.said(point),
                }
            })
            .collect()
    }

    /// Left edge and width of something that takes `share` of a point's part.
    #[allow(clippy::cast_precision_loss)] // some hundred points
    fn column(&self, point: usize, share: f64) -> (f64, f64) {
        let width = share / self.points().max(1) as f64;
        (middle(point, self.points()) - width / 2.0, width)
    }

    fn said(&self, point: usize) -> String {
        let mut text = self.sheet.names.get(point).cloned().unwrap_or_default();
        for series in self.drawn {
            if let Some(value) = series.values.get(point).copied().flatten() {
                let _ = write!(text, "\n{}: {}", series.name, self.sheet.unit.exact(value));
            }
        }
        text
    }
}

/// What stands on each other at a point: class, from, to.
fn stack<'a>(drawn: &'a [&'a Series], point: usize) -> impl Iterator<Item = (&'static str, f64, f64)> + 'a {
    let (mut up, mut down) = (0.0, 0.0);
    let parts = drawn.iter().zip(CLASSES);
    parts.filter_map(move |(series, class)| {
        let value = series.values.get(point).copied().flatten()?;
        let end = if value < 0.0 { &mut down } else { &mut up };
        let from = *end;
        *end += value;
        (value != 0.0).then_some((class, from, *end))
    })
}
