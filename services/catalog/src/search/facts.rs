//! Attributes as facts to filter by, and names to sort by: the same in every index.

use super::{Document, text};
use crate::model::AttributeValue;

/// Characters of a name that lists are sorted by.
const SORT_NAME_CHARS_MAX: usize = 100;
/// Values beyond this length cannot be filtered by: nobody does, and an index key must be short.
const FACT_CHARS_MAX: usize = 200;
/// Between name and value of a fact; neither contains it.
const FACT_SEPARATOR: char = '\u{1E}';
/// Between facts; none contains it.
pub const FACTS_SEPARATOR: char = '\u{1F}';

/// All of a product's attributes as facts.
pub fn facts(document: &Document) -> Vec<String> {
    let facts = document
        .attributes
        .iter()
        .filter_map(|(name, value)| fact(name, &value.shown()));
    facts.collect()
}

/// The facts that match a filter: the value as it was written and, when it is a number, as numbers are shown.
pub fn facts_asked_for(name: &str, value: &str) -> Vec<String> {
    let number = value
        .parse::<serde_json::Number>()
        .ok()
        .map(|number| AttributeValue::Number(number).shown());
    let values = [Some(value.to_owned()), number];
    let mut facts: Vec<String> = values
        .iter()
        .flatten()
        .filter_map(|value| fact(name, value))
        .collect();
    facts.dedup();
    facts
}

/// What lists are sorted by when they are sorted by name.
pub fn sort_name(document: &Document) -> String {
    text::folded(&document.name)
        .chars()
        .take(SORT_NAME_CHARS_MAX)
        .collect()
}

fn fact(name: &str, value: &str) -> Option<String> {
    let clean = |text: &str| !text.contains([FACT_SEPARATOR, FACTS_SEPARATOR, '\0']);
    (clean(name) && clean(value) && value.chars().count() <= FACT_CHARS_MAX)
        .then(|| format!("{name}{FACT_SEPARATOR}{value}"))
}
