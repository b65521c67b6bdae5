//! Something over time.

use std::fmt::Write;

use askama::Template;
use time::OffsetDateTime;

use super::unit::Unit;
use super::{percent, ticks};

mod drawing;
#[cfg(test)]
mod tests;

use drawing::{Drawing, middle};

/// Lines that can be told from each other; of more, the largest are drawn and all are in the table.
const DRAWN_MAX: usize = 8;
/// Marks of the axis of time. On narrow pages every other one is left out.
const MARKS_MAX: usize = 10;

/// How a plot is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A line a series.
    Lines,
    /// One, with the area down to zero.
    Area,
    /// Bars on each other; what is negative hangs down from zero.
    Stacked,
}

/// Which figures stand in the table below a plot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figures {
    /// Every point.
    Each,
    /// A line a series: its latest value, its mean, its least and greatest.
    Summary,
}

/// A series.
#[derive(Debug, Clone)]
pub struct Series {
    /// What it is of.
    pub name: String,
    /// A value a point; none where nothing is known.
    pub values: Vec<Option<f64>>,
}

/// What a plot is made of.
#[derive(Debug)]
pub struct Sheet<'a> {
    /// Unique on its page: parts of the drawing are referred to by it.
    pub id: &'a str,
    /// What it shows.
    pub title: &'a str,
    /// Of what.
    pub unit: Unit,
    /// How it is drawn.
    pub shape: Shape,
    /// What stands in the table.
    pub figures: Figures,
    /// When each point is, ascending.
    pub moments: Vec<OffsetDateTime>,
    /// What each point is called in the table.
    pub names: Vec<String>,
    /// The series.
    pub series: Vec<Series>,
}

/// A plot, ready to be put into a page.
#[derive(Template)]
#[template(path = "chart/plot.html")]
pub struct Plot {
    id: String,
    title: String,
    unit: String,
    about: String,
    legend: Vec<Key>,
    /// How many series are in the table only.
    undrawn: usize,
    rows: Vec<Mark>,
    zero: String,
    columns: Vec<Mark>,
    lines: Vec<Line>,
    dots: Vec<Dot>,
    bars: Vec<Block>,
    bands: Vec<Block>,
    head: Vec<String>,
    body: Vec<Vec<String>>,
}

struct Key {
    class: &'static str,
    name: String,
}

/// A mark of an axis.
struct Mark {
    at: String,
    text: String,
    class: &'static str,
}

struct Line {
    class: &'static str,
    path: String,
    area: Option<String>,
}

struct Dot {
    class: &'static str,
    x: String,
    y: String,
}

struct Block {
    class: &'static str,
    x: String,
    y: String,
    width: String,
    height: String,
    text: String,
}

const CLASSES: [&str; DRAWN_MAX] = ["s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8"];

impl Plot {
    /// Draws it. Values that are no numbers count as unknown; a series is cut or filled up to the number of points.
    pub fn new(sheet: Sheet<'_>) -> Self {
        let sheet = tidied(sheet);
        let drawn = drawn(&sheet.series);
        let drawing = Drawing::new(&sheet, &drawn);
        let (head, body) = table(&sheet);
        Self {
            id: sheet.id.to_owned(),
            title: sheet.title.to_owned(),
            unit: sheet.unit.words(),
            about: about(&sheet, &drawn),
            legend: legend(&drawn),
            undrawn: sheet.series.len() - drawn.len(),
            rows: drawing.rows(),
            zero: percent(1.0 - drawing.scale.place(0.0)),
            columns: columns(&sheet.moments),
            lines: drawing.lines(),
            dots: drawing.dots(),
            bars: drawing.bars(),
            bands: drawing.bands(),
            head,
            body,
        }
    }
}

fn tidied(mut sheet: Sheet<'_>) -> Sheet<'_> {
    let points = sheet.moments.len().min(sheet.names.len());
    sheet.moments.truncate(points);
    sheet.names.truncate(points);
    for series in &mut sheet.series {
        series.values.resize(points, None);
        for value in &mut series.values {
            *value = value.filter(|value| value.is_finite());
        }
    }
    let known = |series: &Series| series.values.iter().any(Option::is_some);
    sheet.series.retain(known);
    sheet
}

/// The series that are drawn, in their order.
fn drawn(series: &[Series]) -> Vec<&Series> {
    let mut by_size: Vec<(usize, f64)> = series.iter().map(largest).enumerate().collect();
    by_size.sort_by(|a, b| b.1.total_cmp(&a.1));
    by_size.truncate(DRAWN_MAX);
    let mut kept: Vec<usize> = by_size.into_iter().map(|(index, _)| index).collect();
    kept.sort_unstable();
    kept.into_iter().filter_map(|index| series.get(index)).collect()
}

fn largest(series: &Series) -> f64 {
    let known = series.values.iter().flatten();
    known.fold(0.0, |max, value| value.abs().max(max))
}

fn legend(drawn: &[&Series]) -> Vec<Key> {
    let keys = drawn.iter().zip(CLASSES);
    keys.map(|(series, class)| Key {
        class,
        name: series.name.clone(),
    })
    .collect()
}

/// What somebody is told who does not see the drawing.
fn about(sheet: &Sheet<'_>, drawn: &[&Series]) -> String {
    let (Some(first), Some(last)) = (sheet.names.first(), sheet.names.last()) else {
        return String::new();
    };
    let mut text = format!("From {first} to {last}.");
    for series in drawn {
        let known = || series.values.iter().flatten().copied();
        let (low, high) = (known().fold(f64::MAX, f64::min), known().fold(f64::MIN, f64::max));
        let (low, high) = (sheet.unit.exact(low), sheet.unit.exact(high));
        let _ = write!(text, " {}: from {low} to {high}.", series.name);
    }
    text
}

fn columns(moments: &[OffsetDateTime]) -> Vec<Mark> {
    let marks = ticks::of_time(moments, MARKS_MAX);
    let marks = marks.into_iter().enumerate();
    marks
        .map(|(number, (index, text))| Mark {
            at: percent(middle(index, moments.len())),
            text,
            class: if number % 2 == 0 { "mark" } else { "mark more" },
        })
        .collect()
}

fn table(sheet: &Sheet<'_>) -> (Vec<String>, Vec<Vec<String>>) {
    let unit = sheet.unit;
    let exact = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| unit.exact(value));
    match sheet.figures {
        Figures::Each => {
            let names = sheet.series.iter().map(|series| series.name.clone());
            let head = std::iter::once(String::new()).chain(names).collect();
            let row = |(point, name): (usize, &String)| {
                let values = sheet.series.iter();
                let values = values.map(|series| exact(series.values.get(point).copied().flatten()));
                std::iter::once(name.clone()).chain(values).collect()
            };
            (head, sheet.names.iter().enumerate().map(row).collect())
        }
        Figures::Summary => {
            let head = ["", "Latest", "Mean", "Least", "Greatest"].map(str::to_owned);
            (
                head.to_vec(),
                sheet.series.iter().map(|series| summary(series, exact)).collect(),
            )
        }
    }
}

#[allow(clippy::cast_precision_loss)] // some hundred points
fn summary(series: &Series, exact: impl Fn(Option<f64>) -> String) -> Vec<String> {
    let known: Vec<f64> = series.values.iter().flatten().copied().collect();
    let sum: f64 = known.iter().sum();
    vec![
        series.name.clone(),
        exact(known.last().copied()),
        exact((!known.is_empty()).then(|| sum / known.len() as f64)),
        exact(known.iter().copied().reduce(f64::min)),
        exact(known.iter().copied().reduce(f64::max)),
    ]
}
