//! What a query's words mean to the index: how rare they are, and what was meant by the mistyped ones.
//!
//! The vocabulary is the field `words`, which is not stemmed: a stemmer would turn a slip into another word before anybody
//! could see it. Lucene's term dictionary gives the words one edit away; it also has those of changed and removed products
//! until segments merge, so corrections are counted among the products that are listed before they are believed.

use std::collections::{BTreeMap, HashMap};

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::client::{Body, ElasticError, template};
use super::mapping::STOP_WORDS;
use super::{ElasticSearch, reading};
use crate::search::text;

/// How many meanings of a mistyped word are searched.
const MEANINGS_MAX: usize = 3;
/// How many words near a mistyped one are looked at, the frequent ones first.
const NEAR_MAX: usize = 20;

/// A word of a query, ready to search with.
#[derive(Debug, Clone, PartialEq)]
pub struct Word {
    /// What is looked for: the word, or the meanings of a mistyped one, with spaces between.
    pub texts: String,
    /// Words that begin like this are found as well.
    pub beginning: Option<String>,
}

/// A query's words.
#[derive(Debug, Clone, PartialEq)]
pub struct Words {
    /// Those that say something; at least one.
    pub list: Vec<Word>,
    /// How much each of them says, adding up to 1.
    pub weights: Vec<f32>,
    /// The words with corrections, when there are any.
    pub corrected: Option<String>,
}

/// A word in the vocabulary's eyes.
#[derive(Debug, Default)]
struct Known {
    word: String,
    says_nothing: bool,
    /// Products that have the word in some form of English.
    frequency: i64,
    /// Products that have just this word.
    listed: i64,
    /// Words one slip away, with the number of products that have them; the frequent first.
    near: Vec<(String, i64)>,
}

impl Known {
    /// True for words that no product has; see the PostgreSQL index, where the same rule stands.
    fn is_mistyped(&self) -> bool {
        let is_unknown = self.frequency == 0 || (self.listed == 0 && !text::may_be_inflected(&self.word));
        is_unknown && !self.says_nothing && text::is_correctable(&self.word)
    }
}

#[derive(Deserialize)]
struct Counted {
    hits: Hits,
    #[serde(default)]
    aggregations: Option<Counts>,
    #[serde(default)]
    suggest: HashMap<String, Vec<Suggested>>,
}

#[derive(Deserialize)]
struct Hits {
    total: Total,
}

#[derive(Deserialize)]
struct Total {
    value: i64,
}

#[derive(Deserialize)]
struct Counts {
    words: Buckets,
}

#[derive(Deserialize)]
struct Buckets {
    buckets: HashMap<String, Bucket>,
}

#[derive(Deserialize)]
struct Bucket {
    doc_count: i64,
}

#[derive(Deserialize)]
struct Suggested {
    options: Vec<SuggestedWord>,
}

#[derive(Deserialize)]
struct SuggestedWord {
    text: String,
}

#[derive(Deserialize)]
struct Analyzed {
    tokens: Vec<Token>,
}

#[derive(Deserialize)]
struct Token {
    token: String,
    start_offset: usize,
}

impl Counted {
    fn of(&self, name: &str) -> i64 {
        let bucket = self
            .aggregations
            .as_ref()
            .and_then(|counts| counts.words.buckets.get(name));
        bucket.map_or(0, |bucket| bucket.doc_count)
    }
}

impl ElasticSearch {
    /// Looks up the words of a text; nothing when it has none that could be searched.
    pub(super) async fn look_up(&self, text: &str) -> Result<Option<Words>, ElasticError> {
        let words = text::query_words(text);
        if words.iter().all(|word| says_nothing(word)) {
            return Ok(None);
        }
        let (mut known, products) = self.known(words).await?;
        let mistyped: Vec<usize> = (0..known.len())
            .filter(|&n| known[n].is_mistyped() && !known[n].near.is_empty())
            .collect();
        if !mistyped.is_empty() {
            self.believe(&mut known, &mistyped).await?;
        }
        Ok(Some(understand(&known, products)))
    }

    /// Asks how many products have each word, and for the neighbours of words that the dictionary does not have. The server
    /// remembers such answers until the index changes, since no document is asked for.
    async fn known(&self, words: Vec<String>) -> Result<(Vec<Known>, i64), ElasticError> {
        let mut filters = Map::new();
        let mut suggest = Map::new();
        for (n, word) in words.iter().enumerate() {
            filters.insert(
                format!("form {n}"),
                json!({"match": {"all": {"query": word, "operator": "and"}}}),
            );
            filters.insert(
                format!("word {n}"),
                json!({"match": {"words": {"query": word, "operator": "and"}}}),
            );
            if text::is_correctable(word) {
                for (reading, text) in text::readings(word).enumerate() {
                    suggest.insert(format!("{n} {reading}"), neighbours(text));
                }
            }
        }
        let counted = self.count(&filters, suggest).await?;
        let known = words.into_iter().enumerate().map(|(n, word)| Known {
            says_nothing: says_nothing(&word),
            frequency: counted.of(&format!("form {n}")),
            listed: counted.of(&format!("word {n}")),
            near: near(&counted, n, &word),
            word,
        });
        Ok((known.collect(), counted.hits.total.value))
    }

    async fn count(
        &self,
        filters: &Map<String, Value>,
        suggest: Map<String, Value>,
    ) -> Result<Counted, ElasticError> {
        let mut body = json!({
            "size": 0, "track_total_hits": true, "query": {"term": {"listed": {"value": true}}},
            "aggs": {"words": {"filters": {"filters": filters}}},
        });
        if !suggest.is_empty() {
            body["suggest"] = Value::Object(suggest);
        }
        let path = format!("{}/_search", self.alias());
        let text = template(&[&body]);
        let request = reading("look up words", Method::POST, &path, Body::Json(body), &text);
        self.client.send(request, |_| 0).await
    }

    /// Counts the neighbours among the listed products, and leaves out those that have none there, and those that the word
    /// finds anyway because they are forms of it.
    async fn believe(&self, known: &mut [Known], mistyped: &[usize]) -> Result<(), ElasticError> {
        let mut filters = Map::new();
        let mut all: Vec<String> = Vec::new();
        for &n in mistyped {
            all.push(known[n].word.clone());
            for (candidate, _) in &known[n].near {
                filters.insert(
                    candidate.clone(),
                    json!({"match": {"words": {"query": candidate, "operator": "and"}}}),
                );
                all.push(candidate.clone());
            }
        }
        let (counted, stems) = tokio::try_join!(self.count(&filters, Map::new()), self.stems(&all))?;
        for &n in mistyped {
            let own = stems.get(&known[n].word).cloned();
            let mut near: Vec<(String, i64)> = std::mem::take(&mut known[n].near);
            for (candidate, frequency) in &mut near {
                *frequency = counted.of(candidate);
            }
            near.retain(|(candidate, frequency)| *frequency > 0 && stems.get(candidate).cloned() != own);
            near.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            let mut meant: Vec<Option<&String>> = Vec::new();
            near.retain(|(candidate, _)| {
                let stem = stems.get(candidate);
                let is_new = !meant.contains(&stem);
                meant.push(stem);
                is_new
            });
            near.truncate(MEANINGS_MAX);
            known[n].near = near;
        }
        Ok(())
    }

    /// The stems of words, as the index makes them.
    async fn stems(&self, words: &[String]) -> Result<BTreeMap<String, String>, ElasticError> {
        let mut at = HashMap::new();
        let mut text = String::new();
        for word in words {
            // The server counts in the units of UTF-16.
            at.insert(text.encode_utf16().count(), word);
            text.push_str(word);
            text.push(' ');
        }
        let body = json!({"analyzer": "english_words", "text": text});
        let path = format!("{}/_analyze", self.alias());
        let shown = template(&[&body]);
        let request = reading("analyze", Method::POST, &path, Body::Json(body), &shown);
        let analyzed: Analyzed = self.client.send(request, |_| 0).await?;
        let stem = |token: Token| Some(((*at.get(&token.start_offset)?).clone(), token.token));
        Ok(analyzed.tokens.into_iter().filter_map(stem).collect())
    }
}

fn says_nothing(word: &str) -> bool {
    STOP_WORDS.contains(&word)
}

/// Words of the dictionary one edit away, if it does not have this one.
fn neighbours(word: &str) -> Value {
    json!({"text": word, "term": {
        "field": "words", "suggest_mode": "missing", "max_edits": 1, "prefix_length": 0, "min_word_length": 1,
        "sort": "frequency", "size": NEAR_MAX, "max_inspections": 50, "accuracy": 0.1,
    }})
}

fn near(counted: &Counted, n: usize, word: &str) -> Vec<(String, i64)> {
    let mut near: Vec<(String, i64)> = Vec::new();
    for (reading, text) in text::readings(word).enumerate() {
        let suggested = counted.suggest.get(&format!("{n} {reading}"));
        for option in suggested
            .into_iter()
            .flatten()
            .flat_map(|suggested| &suggested.options)
        {
            let candidate = &option.text;
            let fits = text::is_meaning(candidate) && text::within_one_edit(text, candidate);
            if fits && !near.iter().any(|(other, _)| other == candidate) {
                near.push((candidate.clone(), 0));
            }
        }
    }
    near
}

fn understand(known: &[Known], products: i64) -> Words {
    let (mut words, mut weights, mut shown) = (Vec::new(), Vec::new(), Vec::new());
    let mut corrected = false;
    for (n, word) in known.iter().enumerate() {
        let meanings: &[(String, i64)] = if word.is_mistyped() { &word.near } else { &[] };
        shown.push(meanings.first().map_or(&*word.word, |(best, _)| best));
        corrected |= !meanings.is_empty();
        if word.says_nothing {
            continue;
        }
        let frequency: i64 = meanings.iter().map(|(_, frequency)| frequency).sum();
        weights.push(text::rarity(word.frequency.max(frequency), products));
        let own = (meanings.is_empty() || word.frequency > 0).then_some(&*word.word);
        let texts: Vec<&str> = own
            .into_iter()
            .chain(meanings.iter().map(|(meaning, _)| &**meaning))
            .collect();
        let begins = n + 1 == known.len()
            && word.frequency == 0
            && word.word.chars().count() > 1
            && text::is_correctable(&word.word);
        words.push(Word {
            texts: texts.join(" "),
            beginning: begins.then(|| word.word.clone()),
        });
    }
    text::normalise(&mut weights);
    Words {
        list: words,
        weights,
        corrected: corrected.then(|| shown.join(" ")),
    }
}
