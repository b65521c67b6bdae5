//! What is indexed of a product: its texts as words, and its attributes as facts to filter by.

use std::collections::BTreeSet;

use crate::model::AttributeValue;
use crate::search::{Document, facts, text};

/// Words of a product's attributes that are indexed.
const ATTRIBUTE_WORDS_MAX: usize = 4_000;
/// Bytes that those words have at most: a `tsvector` holds 1 MiB, and name, labels and description need some of it.
const ATTRIBUTE_BYTES_MAX: usize = 512 << 10;
/// A product's texts, cut into words and put together again, so that PostgreSQL's parser finds nothing to interpret.
pub struct Texts {
    pub name: String,
    pub labels: String,
    pub attributes: String,
    pub description: String,
    /// The words of all of them, each once.
    pub terms: BTreeSet<String>,
}

impl Texts {
    /// Of a product.
    pub fn of(document: &Document) -> Self {
        let mut terms = BTreeSet::new();
        let mut part = |words: Vec<String>| {
            let text = words.join(" ");
            terms.extend(words);
            text
        };
        let mut name = part(text::words(&document.name));
        let mut labels = text::words(&document.category_name);
        labels.extend(document.brand.as_deref().map(text::words).unwrap_or_default());
        let labels = part(labels);
        let mut room = ATTRIBUTE_BYTES_MAX;
        let attributes = document.attributes.iter().flat_map(attribute_words);
        let attributes = attributes.take(ATTRIBUTE_WORDS_MAX).map_while(|word| {
            room = room.checked_sub(word.len())?;
            Some(word)
        });
        let attributes = part(attributes.collect());
        let description = part(text::words(&document.description));
        // Found by its number, too; but numbers of articles would swamp the vocabulary.
        for word in text::words(&document.sku) {
            name.push(' ');
            name.push_str(&word);
            if text::is_meaning(&word) {
                terms.insert(word);
            }
        }
        Self {
            name,
            labels,
            attributes,
            description,
            terms,
        }
    }
}

/// A flag that is set is known by its name, everything else by its value.
fn attribute_words((name, value): (&String, &AttributeValue)) -> Vec<String> {
    match value {
        AttributeValue::Flag(true) => text::words(name),
        AttributeValue::Flag(false) => Vec::new(),
        value => text::words(&value.shown()),
    }
}

/// All of a product's attributes as facts, joined by a separator that none contains.
pub fn facts(document: &Document) -> String {
    facts::facts(document).join(&facts::FACTS_SEPARATOR.to_string())
}
