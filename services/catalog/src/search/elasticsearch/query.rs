//! Lists as Elasticsearch asks for them: the DSL of a page and of a summary. Values stand under the keys that
//! [`super::client::template`] hides, so always in the long forms (`{"term": {"brand": {"value": …}}}`).

use serde_json::{Value, json};

use super::mapping::{PARTS, Part};
use super::words::{Word, Words};
use crate::search::cursor::{Key, Place};
use crate::search::{PRICE_RANGE_ENDS, SearchQuery, Sort, facts};

/// Of a word that stands in several parts, the best one counts in full and the others so much.
const OTHER_PARTS: f32 = 0.3;
/// Added to the score of products with all the words when others are listed as well; no score reaches it.
const ALL_WORDS_BONUS: f32 = 10.0;
/// Popular products, and ones in stock, get ahead of equal matches; as in the PostgreSQL index. In whole numbers that single
/// precision holds exactly, so that a cursor compares them safely.
const SCORE: &str = "Math.round(1e5 * _score * (1 + 0.05 * Math.log1p(Math.max(doc['popularity'].value, 0))) * (doc['in_stock'].value ? 1 : 0.5))";
/// How long the server may work on a part of an answer; the caller stops waiting a little later.
const SERVER_TIMEOUT: &str = "700ms";
/// The deepest that pages can be counted off; deeper ones have to be gone to by a sort key.
pub const OFFSET_MAX: u32 = 10_000;
/// Values of a facet that are shown.
const VALUES_MAX: u32 = 50;
/// Characters of a description that a highlight shows, about.
const FRAGMENT_CHARS: u32 = 160;

/// What list is wanted.
#[derive(Clone, Copy)]
pub struct List<'a> {
    pub query: &'a SearchQuery,
    pub sort: Sort,
    pub words: Option<&'a Words>,
    /// How much each word says in this list.
    pub weights: &'a [f32],
    pub any_word: bool,
    pub place: Option<&'a Place>,
}

impl List<'_> {
    /// How many products were shown before, when the pages so far were another adapter's, whose scores mean nothing here.
    pub fn shown_elsewhere(&self) -> Option<u32> {
        let place = self.place?;
        matches!(place.key, Key::Relevance(..)).then_some(place.shown)
    }

    fn ranked_by(&self) -> Option<&Words> {
        self.words.filter(|_| self.sort == Sort::Relevance)
    }
}

/// One page, and one product more if there is one.
pub fn page(list: &List<'_>) -> Value {
    let query = match list.ranked_by() {
        Some(words) => json!({"script_score": {"query": ranked(list, words), "script": {"source": SCORE}}}),
        None => found(list),
    };
    let mut body = json!({
        "size": list.query.limit + 1, "_source": false, "track_total_hits": false, "timeout": SERVER_TIMEOUT,
        "query": query, "sort": sort(list.sort),
    });
    if let Some(shown) = list.shown_elsewhere() {
        body["from"] = json!(shown);
    } else if let Some(place) = list.place {
        body["search_after"] = after(place);
    }
    if let Some(words) = list.words {
        body["highlight"] = highlight(words);
    }
    body
}

/// What the whole list has in common. No document is asked for, so the server remembers the answer until the index changes.
pub fn summary(list: &List<'_>) -> Value {
    let top = |field: &str| json!({"terms": {"field": field, "size": VALUES_MAX}});
    let mut from = 0;
    let mut ranges = Vec::new();
    for (number, end) in PRICE_RANGE_ENDS.iter().enumerate() {
        ranges.push(json!({"key": number.to_string(), "from": from, "to": end + 1}));
        from = end + 1;
    }
    ranges.push(json!({"key": PRICE_RANGE_ENDS.len().to_string(), "from": from}));
    json!({
        "size": 0, "track_total_hits": true, "timeout": SERVER_TIMEOUT, "query": found(list),
        "aggs": {"category": top("category_facet"), "brand": top("brand"), "price": {"range": {"field": "price", "ranges": ranges}}},
    })
}

/// What is in the list, unranked.
fn found(list: &List<'_>) -> Value {
    let mut filter = filters(list.query);
    if let Some(words) = list.words {
        let each: Vec<Value> = words.list.iter().map(found_word).collect();
        filter.push(if list.any_word {
            any_of(&each)
        } else {
            all_of(&each)
        });
    }
    all_of(&filter)
}

/// What is in the list, with a score for each.
fn ranked(list: &List<'_>, words: &Words) -> Value {
    let scored: Vec<Value> = words
        .list
        .iter()
        .zip(list.weights)
        .map(|(word, weight)| scored_word(word, *weight))
        .collect();
    let mut query = json!({"filter": filters(list.query)});
    if list.any_word {
        let all: Vec<Value> = words.list.iter().map(found_word).collect();
        let bonus = json!({"constant_score": {"filter": all_of(&all), "boost": ALL_WORDS_BONUS}});
        query["should"] = scored.into_iter().chain([bonus]).collect();
        query["minimum_should_match"] = json!(1);
    } else {
        query["must"] = scored.into();
    }
    json!({"bool": query})
}

/// Like BM25F (Robertson, Zaragoza and Taylor 2004) in that a word is rare or not in the product as a whole, not in each
/// field; the fields' parts are put together by their best.
fn scored_word(word: &Word, weight: f32) -> Value {
    let in_part = |part: &Part| match_text(part.field, &word.texts, Some(weight * part.weight));
    let mut queries: Vec<Value> = PARTS.iter().map(in_part).collect();
    if let Some(beginning) = &word.beginning {
        queries.push(json!({"prefix": {"words": {"value": beginning, "boost": weight}}}));
    }
    json!({"dis_max": {"queries": queries, "tie_breaker": OTHER_PARTS}})
}

fn found_word(word: &Word) -> Value {
    let found = match_text("all", &word.texts, None);
    match &word.beginning {
        Some(beginning) => any_of(&[found, json!({"prefix": {"words": {"value": beginning}}})]),
        None => found,
    }
}

fn match_text(field: &str, text: &str, boost: Option<f32>) -> Value {
    let mut query = json!({"query": text});
    if let Some(boost) = boost {
        query["boost"] = json!(boost);
    }
    json!({"match": {field: query}})
}

fn all_of(filters: &[Value]) -> Value {
    json!({"bool": {"filter": filters}})
}

/// Of nothing, nothing: a `bool` without clauses would be everything.
fn any_of(queries: &[Value]) -> Value {
    if queries.is_empty() {
        return json!({"match_none": {}});
    }
    json!({"bool": {"should": queries, "minimum_should_match": 1}})
}

fn term(field: &str, value: impl Into<Value>) -> Value {
    json!({"term": {field: {"value": value.into()}}})
}

fn filters(query: &SearchQuery) -> Vec<Value> {
    let mut filters = vec![term("listed", true)];
    if let Some(category) = &query.category {
        filters.push(term("category", category.clone()));
    }
    if let Some(brand) = &query.brand {
        filters.push(term("brand", brand.clone()));
    }
    if let Some(in_stock) = query.in_stock {
        filters.push(term("in_stock", in_stock));
    }
    if query.price_min.is_some() || query.price_max.is_some() {
        let bounds = [("gte", query.price_min), ("lte", query.price_max)];
        let bounds = bounds
            .into_iter()
            .filter_map(|(end, price)| Some((end.to_owned(), Value::from(price?))));
        filters.push(json!({"range": {"price": bounds.collect::<serde_json::Map<_, _>>()}}));
    }
    for (name, value) in &query.attributes {
        let forms = facts::facts_asked_for(name, value);
        let forms: Vec<Value> = forms.into_iter().map(|fact| term("facts", fact)).collect();
        filters.push(any_of(&forms));
    }
    filters
}

/// The same orders, and the same keys, as in the PostgreSQL index.
fn sort(sort: Sort) -> Value {
    match sort {
        Sort::Relevance => json!([{"_score": "desc"}, {"id": "desc"}]),
        Sort::Popular => json!([{"in_stock": "desc"}, {"popularity": "desc"}, {"id": "desc"}]),
        Sort::Newest => json!([{"created_us": "desc"}, {"id": "desc"}]),
        Sort::PriceAsc => json!([{"price": "asc"}, {"id": "asc"}]),
        Sort::PriceDesc => json!([{"price": "desc"}, {"id": "desc"}]),
        Sort::Name => json!([{"sort_name": "asc"}, {"id": "asc"}]),
    }
}

fn after(place: &Place) -> Value {
    let id = place.id;
    match &place.key {
        Key::Relevance(score, _) | Key::Score(score, _) => json!([score, id]),
        Key::Popular(in_stock, popularity) => json!([in_stock, popularity, id]),
        Key::Newest(micros) => json!([micros, id]),
        Key::PriceAsc(price) | Key::PriceDesc(price) => json!([price, id]),
        Key::Name(name) => json!([name, id]),
    }
}

/// HTML is escaped by the server. Only the words count here, not how they were scored.
fn highlight(words: &Words) -> Value {
    let texts: Vec<&str> = words.list.iter().map(|word| &*word.texts).collect();
    let texts = texts.join(" ");
    let parts = ["name", "description"].map(|field| match_text(field, &texts, None));
    json!({
        "encoder": "html", "highlight_query": any_of(&parts),
        "fields": {"name": {"number_of_fragments": 0},
                   "description": {"number_of_fragments": 1, "fragment_size": FRAGMENT_CHARS}},
    })
}
