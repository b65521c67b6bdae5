//! Suggestions while typing: names by their beginning, by the beginning of a word in them, and, when that finds nothing, with
//! a slip in each word. Names are cut into beginnings when they are indexed (edge n-grams), so typing costs a look-up.

use serde_json::{Value, json};

use super::ElasticSearch;
use super::answer::Hit;
use super::client::ElasticError;
use super::document::composed;
use super::mapping::STOP_WORDS;
use crate::search::{Suggestion, SuggestionKind, text};

/// Categories, and brands, in an answer.
const LABELS_MAX: usize = 3;
/// Products looked at: more than are shown, since several may have one name.
const LOOKED_AT_MAX: usize = 100;
/// The beginning of a word must have so many letters to be looked for inside names: shorter ones begin half the index.
const INSIDE_CHARS_MIN: usize = 3;
/// What was typed, beyond this.
const BEGINNING_CHARS_MAX: usize = 100;

impl ElasticSearch {
    pub(super) async fn suggestions(
        &self,
        typed: &str,
        limit: usize,
    ) -> Result<Vec<Suggestion>, ElasticError> {
        let beginning: String = text::folded(typed).chars().take(BEGINNING_CHARS_MAX).collect();
        if beginning.is_empty() {
            return Ok(Vec::new());
        }
        let words = text::query_words(typed);
        let mut suggestions = Vec::new();
        let (names, labels) = self
            .ask_both("suggest", products(&beginning, &words, false), labels(&beginning))
            .await?;
        let (categories, brands) = labels.labels();
        for (labels, kind) in [
            (categories, SuggestionKind::Category),
            (brands, SuggestionKind::Brand),
        ] {
            suggestions.extend(labels.into_iter().map(|label| Suggestion {
                text: label.name,
                kind,
                product_id: None,
            }));
        }
        let mut hits = names.hits();
        if hits.is_empty() && suggestions.is_empty() {
            hits = self
                .ask("suggest", products(&beginning, &words, true))
                .await?
                .hits();
        }
        add(&mut suggestions, hits, limit);
        suggestions.truncate(limit);
        Ok(suggestions)
    }
}

fn add(suggestions: &mut Vec<Suggestion>, hits: Vec<Hit>, limit: usize) {
    for hit in hits {
        let Some(name) = hit.source.map(|source| composed(&source.name)) else {
            continue;
        };
        if suggestions.len() < limit && !suggestions.iter().any(|suggestion| suggestion.text == name) {
            suggestions.push(Suggestion {
                text: name,
                kind: SuggestionKind::Product,
                product_id: Some(hit.id),
            });
        }
    }
}

/// Names that begin like that, then those that have the words, each the popular first.
fn products(beginning: &str, words: &[String], with_slips: bool) -> Value {
    let mut either = vec![
        json!({"constant_score": {"filter": {"prefix": {"sort_name": {"value": beginning}}}, "boost": 2}}),
    ];
    let inside: Vec<Value> = words
        .iter()
        .enumerate()
        .filter(|(n, word)| *n + 1 == words.len() || !STOP_WORDS.contains(&&***word))
        .map(|(n, word)| in_name(word, n + 1 == words.len(), with_slips))
        .collect();
    either.push(json!({"constant_score": {"filter": {"bool": {"filter": inside}}, "boost": 1}}));
    json!({
        "size": LOOKED_AT_MAX, "_source": ["name"], "track_total_hits": false,
        "query": {"bool": {"filter": [{"term": {"listed": {"value": true}}}], "should": either, "minimum_should_match": 1}},
        "sort": [{"_score": "desc"}, {"in_stock": "desc"}, {"popularity": "desc"}, {"id": "asc"}],
    })
}

fn in_name(word: &str, is_last: bool, with_slips: bool) -> Value {
    let mut forms = vec![json!({"match": {"name": {"query": word}}})];
    if is_last && word.chars().count() >= INSIDE_CHARS_MIN {
        forms.push(json!({"match": {"name.begin": {"query": word}}}));
    }
    if with_slips && text::is_correctable(word) {
        forms.push(json!({"fuzzy": {"name.plain": {"value": word, "fuzziness": 1, "transpositions": true}}}));
    }
    json!({"bool": {"should": forms, "minimum_should_match": 1}})
}

/// Categories and brands that begin like that, those with most products first.
fn labels(beginning: &str) -> Value {
    let top = |begin: &str, field: &str| {
        json!({"filter": {"prefix": {begin: {"value": beginning}}},
               "aggs": {"top": {"terms": {"field": field, "size": LABELS_MAX}}}})
    };
    json!({
        "size": 0, "track_total_hits": false, "query": {"term": {"listed": {"value": true}}},
        "aggs": {"category": top("category_begin", "category_facet"), "brand": top("brand_begin", "brand")},
    })
}
