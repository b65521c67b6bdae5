//! Which series make which line of an answer.

use std::collections::BTreeMap;

use crate::error::Error;
use crate::model::Labels;
use crate::question::SERIES_MAX;

/// Most series that an answer may be made of.
pub const MATCHED_MAX: usize = 2_000;

/// A line's labels, and the bits of the bounds of its buckets.
pub type LineKey = (Labels, Vec<u64>);

/// Series with the same values of the labels asked for make one line; histograms only if their buckets are the same. In the
/// order of the labels.
pub fn into_lines<Id>(
    series: impl IntoIterator<Item = (Id, Labels, Vec<f64>)>,
    by: Option<&[String]>,
) -> Result<BTreeMap<LineKey, Vec<Id>>, Error> {
    let mut lines: BTreeMap<LineKey, Vec<Id>> = BTreeMap::new();
    for (id, mut labels, bounds) in series {
        if let Some(by) = by {
            labels.retain(|name, _| by.contains(name));
        }
        let bits = bounds.into_iter().map(f64::to_bits).collect();
        lines.entry((labels, bits)).or_default().push(id);
    }
    if lines.len() > SERIES_MAX {
        return Err(too_many(lines.len(), SERIES_MAX));
    }
    Ok(lines)
}

/// The answer would have, or be made of, too many of them.
pub fn too_many(found: usize, max: usize) -> Error {
    Error::TooManySeries { found, max }
}
