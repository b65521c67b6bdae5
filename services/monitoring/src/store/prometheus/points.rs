//! Answers that PromQL has no words for, from the points themselves: the same sums, and the same sketches, as on PostgreSQL.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::answer::Row;
use crate::error::Error;
use crate::model::Kind;
use crate::question::{As, Line, Windows};
use crate::store::folding::Folding;
use crate::store::grouping::into_lines;
use crate::summary::{Levels, Shape};

/// Folds the points of gauges or counters into steps.
pub fn fold(
    rows: &[Row],
    kind: Kind,
    how: As,
    by: Option<&[String]>,
    windows: Windows,
) -> Result<Vec<Line>, Error> {
    let series = rows
        .iter()
        .zip(0_i32..)
        .map(|(row, id)| (id, row.labels(), Vec::new()));
    let lines = into_lines(series, by)?;
    let line_of: BTreeMap<i32, usize> = lines
        .values()
        .enumerate()
        .flat_map(|(line, ids)| ids.iter().map(move |id| (*id, line)))
        .collect();
    let keys = lines.into_keys().map(|(labels, _)| (labels, Vec::new()));
    let mut folding = Folding::new(how, windows, keys.collect());
    let is_sketched = matches!(how, As::Quantile(_));
    for (row, (id, line)) in rows.iter().zip(&line_of) {
        let mut before = None;
        for (at, value) in row.points() {
            if let Some(mut levels) = levels(kind, before, (at, value)) {
                if !is_sketched {
                    levels.shape = Shape::Left;
                }
                folding.add(*id, *line, at, levels);
            }
            before = Some((at, value));
        }
    }
    Ok(folding.finish())
}

/// What a point says: of a counter, by how much it grew since the one before, from 0 where it is less than that.
fn levels(kind: Kind, before: Option<(OffsetDateTime, f64)>, now: (OffsetDateTime, f64)) -> Option<Levels> {
    let (at, value) = now;
    if kind != Kind::Counter {
        return Some(Levels::of_gauge(value));
    }
    let (before_at, before) = before?;
    let grown = if value >= before { value - before } else { value };
    let took_us = (at - before_at).whole_microseconds();
    Some(Levels::of_counter(
        grown,
        i64::try_from(took_us).unwrap_or(i64::MAX),
    ))
}
