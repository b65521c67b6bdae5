//! A product as the index keeps it.

use serde_json::{Value, json};
use unicode_normalization::UnicodeNormalization;

use super::mapping::CATEGORY_SEPARATOR;
use crate::model::AttributeValue;
use crate::search::cursor::micros_of;
use crate::search::{Document, IndexChange, facts, text};

/// The document of a change. What is removed leaves a tombstone that holds its version: the server forgets the versions of
/// deleted documents after a minute, and a late change would bring the product back.
pub fn source(change: &IndexChange) -> Value {
    match change {
        IndexChange::Put(document) => product(document),
        IndexChange::Remove { id, version } => json!({"id": id, "version": version, "listed": false}),
    }
}

/// All that is kept of a product.
pub fn product(document: &Document) -> Value {
    let labels = [Some(document.category_name.as_str()), document.brand.as_deref()];
    json!({
        "id": document.id,
        "version": document.version,
        "listed": true,
        "sku": decomposed(&document.sku),
        "name": decomposed(&document.name),
        "labels": labels.into_iter().flatten().map(decomposed).collect::<Vec<_>>(),
        "description": decomposed(&document.description),
        "attributes": document.attributes.iter().filter_map(attribute).collect::<Vec<_>>(),
        "sort_name": facts::sort_name(document),
        "category": document.category,
        "category_facet": format!("{}{CATEGORY_SEPARATOR}{}", document.category, document.category_name),
        "category_begin": text::folded(&document.category_name),
        "brand": document.brand,
        "brand_begin": document.brand.as_deref().map(text::folded),
        "price": document.price,
        "in_stock": document.in_stock,
        "popularity": document.popularity,
        "created_us": micros_of(document.created_at),
        "facts": facts::facts(document),
    })
}

/// A flag that is set is known by its name, everything else by its value.
fn attribute((name, value): (&String, &AttributeValue)) -> Option<String> {
    match value {
        AttributeValue::Flag(true) => Some(decomposed(name)),
        AttributeValue::Flag(false) => None,
        value => Some(decomposed(&value.shown())),
    }
}

/// Letters and their marks apart, so that the filter which drops marks finds those of every script: a query's words come
/// without them ([`text::words`]), and the folding filter knows those of Latin letters only.
fn decomposed(text: &str) -> String {
    text.nfd().collect()
}

/// Letters and their marks together again, as texts are shown.
pub fn composed(text: &str) -> String {
    text.nfc().collect()
}
