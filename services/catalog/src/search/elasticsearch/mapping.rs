//! Settings and mapping of an index: how texts become words, what is kept of a product, how a word is scored.
//!
//! Words are scored by a similarity of our own: BM25's saturation and length normalisation per field, but with fixed average
//! lengths and without its inverse document frequency, which queries bring as boosts. So a product's score depends on nothing
//! but the product and the query: other products may come and go between two pages of a list, and no product moves.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Between slug and name of a category where both are one key; a slug contains no control character.
pub const CATEGORY_SEPARATOR: char = '\u{1F}';

/// Words that say nothing (Lucene's list for English): queries drop them, English fields do not have them.
pub const STOP_WORDS: [&str; 33] = [
    "a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "if", "in", "into", "is", "it", "no",
    "not", "of", "on", "or", "such", "that", "the", "their", "then", "there", "these", "they", "this", "to",
    "was", "will", "with",
];

/// Words as [`crate::search::text::words`] cuts them: runs of letters and digits; the point in a number belongs to it. The
/// marks on a letter belong to the word until a filter drops them, but none begins one: it would join the `>` of a
/// highlight's tag.
const WORD: &str = r"(?<![\p{IsAlphabetic}\p{N}\p{M}.])\d+\.\d+(?![\p{IsAlphabetic}\p{N}\p{M}.])|[\p{IsAlphabetic}\p{N}&&[^\p{M}]][\p{IsAlphabetic}\p{N}\p{M}]*";

/// A field that words are looked for in, and how much a word in it says. As in the PostgreSQL index; chosen on human
/// judgments of 67 queries against the Icecat catalogue.
pub struct Part {
    /// The field.
    pub field: &'static str,
    /// How much a word in it says.
    pub weight: f32,
    /// Its usual number of words: longer fields say less with each.
    words_usual: u32,
    /// How much the length matters (`b` of BM25).
    length_matters: f32,
}

const fn part(field: &'static str, weight: f32, words_usual: u32, length_matters: f32) -> Part {
    Part {
        field,
        weight,
        words_usual,
        length_matters,
    }
}

/// All of them.
pub const PARTS: [Part; 5] = [
    part("name", 1.0, 12, 0.5),
    part("sku", 1.0, 2, 0.0),
    part("labels", 0.6, 3, 0.3),
    part("description", 0.3, 25, 0.5),
    part("attributes", 0.1, 45, 0.5),
];

/// The most that a field's similarity gives for a weight of 1: `k1 + 1` of BM25, with its usual `k1` of 1.2.
const SATURATION: f32 = 1.2;

impl Part {
    fn similarity(&self) -> Value {
        let Self {
            words_usual,
            length_matters: b,
            ..
        } = self;
        let source = format!(
            "double f = doc.freq; return query.boost * f * {top} / (f + {SATURATION} * ({rest} + {b} * doc.length / {words_usual}.0));",
            top = SATURATION + 1.0,
            rest = 1.0 - b,
        );
        json!({"type": "scripted", "script": {"source": source}})
    }

    fn mapping(&self) -> Value {
        let mut field = json!({"type": "text", "analyzer": "english_words", "similarity": self.field, "copy_to": ["all", "words"]});
        if self.field == "sku" {
            // Numbers of articles would swamp the vocabulary.
            field["copy_to"] = json!(["all"]);
        }
        if self.field == "name" {
            field["fields"] = json!({
                "plain": {"type": "text", "analyzer": "plain_words", "norms": false, "index_options": "docs"},
                "begin": {"type": "text", "analyzer": "beginnings", "search_analyzer": "plain_words", "norms": false,
                          "index_options": "docs"},
            });
        }
        field
    }
}

fn analysis() -> Value {
    json!({
        "tokenizer": {"words": {"type": "pattern", "pattern": WORD, "group": 0}},
        "filter": {
            "no_marks": {"type": "pattern_replace", "pattern": r"\p{M}+", "replacement": ""},
            "short": {"type": "length", "max": 64},
            "nothing_said": {"type": "stop", "stopwords": &STOP_WORDS[..]},
            "stem": {"type": "stemmer", "language": "english"},
            "beginnings": {"type": "edge_ngram", "min_gram": 1, "max_gram": 20},
        },
        "analyzer": {
            "plain_words": {"type": "custom", "tokenizer": "words", "filter": ["lowercase", "no_marks", "asciifolding", "short"]},
            "english_words": {"type": "custom", "tokenizer": "words",
                              "filter": ["lowercase", "no_marks", "asciifolding", "short", "nothing_said", "stem"]},
            "beginnings": {"type": "custom", "tokenizer": "words",
                           "filter": ["lowercase", "no_marks", "asciifolding", "short", "beginnings"]},
        },
    })
}

fn properties() -> Value {
    let keyword = json!({"type": "keyword"});
    // Looked up and never scored.
    let found_only = |analyzer: &str| json!({"type": "text", "analyzer": analyzer, "norms": false, "index_options": "docs"});
    let mut properties = json!({
        "id": keyword, "listed": {"type": "boolean"}, "version": {"type": "long", "index": false},
        "all": found_only("english_words"), "words": found_only("plain_words"),
        "sort_name": keyword,
        "category": keyword, "category_facet": keyword, "category_begin": keyword,
        "brand": keyword, "brand_begin": keyword,
        "price": {"type": "long"}, "in_stock": {"type": "boolean"}, "popularity": {"type": "long"},
        "created_us": {"type": "long"},
        "facts": keyword,
    });
    for part in &PARTS {
        properties[part.field] = part.mapping();
    }
    properties
}

/// Settings and mapping, without what tells one index from another.
fn body() -> Value {
    let similarities: serde_json::Map<String, Value> = PARTS
        .iter()
        .map(|part| (part.field.to_owned(), part.similarity()))
        .collect();
    json!({
        "settings": {
            // One shard holds tens of millions of products, and facets of one shard are exact.
            "number_of_shards": 1,
            // None on a single node, one as soon as there are two.
            "auto_expand_replicas": "0-1",
            "refresh_interval": "500ms",
            "analysis": analysis(),
            "similarity": similarities,
        },
        "mappings": {"dynamic": "strict", "properties": properties()},
    })
}

/// Names this version of settings and mapping: an index with another one is built anew.
pub fn fingerprint() -> String {
    let digest = Sha256::digest(body().to_string().as_bytes());
    emporium_service_kit::auth::hex(&digest[..8])
}

/// What an index is created with; `history` says which database its products are from.
pub fn creation(history: uuid::Uuid) -> Value {
    let mut body = body();
    body["mappings"]["_meta"] = json!({"history": history, "mapping": fingerprint()});
    body
}
