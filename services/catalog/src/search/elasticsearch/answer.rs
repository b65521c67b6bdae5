//! Answers, read: a page with what its last product was sorted by, and a summary.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::client::{ElasticError, refusal_of_part};
use super::document::composed;
use super::mapping::CATEGORY_SEPARATOR;
use super::query::List;
use crate::search::cursor::{Key, Place};
use crate::search::{FacetValue, Facets, Highlights, Sort, Summary, price_range_of};

/// What `_msearch` answers.
#[derive(Debug, Deserialize)]
pub struct Answers {
    pub responses: Vec<Answer>,
}

/// One answer of them.
#[derive(Debug, Deserialize)]
pub struct Answer {
    status: u16,
    error: Option<Value>,
    #[serde(default)]
    timed_out: bool,
    #[serde(rename = "_shards")]
    shards: Option<Shards>,
    hits: Option<Hits>,
    aggregations: Option<Aggregations>,
}

#[derive(Debug, Deserialize)]
struct Shards {
    failed: u32,
}

#[derive(Debug, Default, Deserialize)]
struct Hits {
    total: Option<Total>,
    #[serde(default)]
    hits: Vec<Hit>,
}

#[derive(Debug, Deserialize)]
struct Total {
    value: i64,
}

/// A document that was found.
#[derive(Debug, Deserialize)]
pub struct Hit {
    #[serde(rename = "_id")]
    pub id: Uuid,
    #[serde(rename = "_source")]
    pub source: Option<Source>,
    #[serde(default)]
    sort: Vec<Value>,
    #[serde(default)]
    highlight: HashMap<String, Vec<String>>,
}

/// What is read of a document.
#[derive(Debug, Deserialize)]
pub struct Source {
    pub name: String,
}

/// Facets, by the names that queries give them.
#[derive(Debug, Deserialize)]
pub struct Aggregations {
    #[serde(default)]
    pub category: Buckets,
    #[serde(default)]
    pub brand: Buckets,
    #[serde(default)]
    price: Buckets,
}

/// Values with their numbers; inside a filter, when there is one.
#[derive(Debug, Default, Deserialize)]
pub struct Buckets {
    #[serde(default)]
    buckets: Vec<Bucket>,
    top: Option<Box<Buckets>>,
}

#[derive(Debug, Deserialize)]
struct Bucket {
    key: String,
    doc_count: i64,
}

impl Answers {
    /// How many documents came back.
    pub fn hits(&self) -> u64 {
        let hits = self.responses.iter().filter_map(|answer| answer.hits.as_ref());
        hits.map(|hits| hits.hits.len() as u64).sum()
    }

    /// The answers to two questions.
    pub fn both(self) -> Result<(Answer, Answer), ElasticError> {
        let mut answers = self.responses.into_iter();
        match (answers.next(), answers.next()) {
            (Some(one), Some(other)) => Ok((one.complete()?, other.complete()?)),
            _ => Err(ElasticError::Unreadable("an answer is missing".to_owned())),
        }
    }
}

impl Answer {
    /// Fails when the server could not look at everything: half an answer is none.
    fn complete(self) -> Result<Self, ElasticError> {
        if let Some(error) = &self.error {
            return Err(refusal_of_part(self.status, error));
        }
        if self.timed_out || self.shards.as_ref().is_some_and(|shards| shards.failed > 0) {
            return Err(ElasticError::Unavailable("it takes too long".to_owned()));
        }
        Ok(self)
    }

    /// How many products match.
    pub fn total(&self) -> i64 {
        let total = self.hits.as_ref().and_then(|hits| hits.total.as_ref());
        total.map_or(0, |total| total.value)
    }

    /// The documents.
    pub fn hits(self) -> Vec<Hit> {
        self.hits.unwrap_or_default().hits
    }

    /// The categories and brands of a query for labels.
    pub fn labels(self) -> (Vec<FacetValue>, Vec<FacetValue>) {
        self.aggregations.map_or_else(Default::default, |aggregations| {
            (categories(aggregations.category), values(aggregations.brand))
        })
    }

    /// As the summary of a list.
    pub fn summary(self) -> Summary {
        let total = self.total();
        let facets = self.aggregations.map(|aggregations| Facets {
            category: categories(aggregations.category),
            brand: values(aggregations.brand),
            price: prices(aggregations.price),
        });
        Summary {
            total,
            total_is_lower_bound: false,
            facets: facets.unwrap_or_default(),
        }
    }
}

impl Buckets {
    fn all(self) -> Vec<Bucket> {
        match self.top {
            Some(top) => top.all(),
            None => self.buckets,
        }
    }
}

fn values(buckets: Buckets) -> Vec<FacetValue> {
    let value = |bucket: Bucket| FacetValue {
        value: bucket.key.clone(),
        name: bucket.key,
        count: bucket.doc_count,
    };
    buckets.all().into_iter().map(value).collect()
}

fn categories(buckets: Buckets) -> Vec<FacetValue> {
    let value = |bucket: Bucket| {
        let (slug, name) = bucket
            .key
            .split_once(CATEGORY_SEPARATOR)
            .unwrap_or((&bucket.key, &bucket.key));
        FacetValue {
            value: slug.to_owned(),
            name: name.to_owned(),
            count: bucket.doc_count,
        }
    };
    buckets.all().into_iter().map(value).collect()
}

fn prices(buckets: Buckets) -> Vec<crate::search::PriceRange> {
    let buckets = buckets.all().into_iter().filter(|bucket| bucket.doc_count > 0);
    let mut prices: Vec<_> = buckets
        .filter_map(|bucket| Some(price_range_of(bucket.key.parse().ok()?, bucket.doc_count)))
        .collect();
    prices.sort_by_key(|range| range.from);
    prices
}

impl Hit {
    /// Where the words stand in it, if anywhere.
    pub fn highlights(&mut self) -> Option<Highlights> {
        let mut part = |field: &str| {
            self.highlight
                .remove(field)
                .and_then(|texts| texts.first().map(|text| composed(text)))
        };
        let highlights = Highlights {
            name: part("name"),
            description: part("description"),
        };
        (highlights != Highlights::default()).then_some(highlights)
    }

    /// The place after which the next page begins.
    pub fn place(&self, list: &List<'_>, shown: u32) -> Result<Place, ElasticError> {
        let key = key(list, &self.sort).ok_or_else(|| ElasticError::Unreadable("a sort key".to_owned()))?;
        Ok(Place {
            key,
            any_word: list.any_word,
            shown: if list.sort == Sort::Relevance { shown } else { 0 },
            id: self.id,
        })
    }
}

fn key(list: &List<'_>, sort: &[Value]) -> Option<Key> {
    let first = sort.first()?;
    Some(match list.sort {
        Sort::Relevance => Key::Score(whole(first)?, list.weights.to_vec()),
        Sort::Popular => Key::Popular(
            first.as_bool().or_else(|| Some(first.as_i64()? == 1))?,
            sort.get(1)?.as_i64()?,
        ),
        Sort::Newest => Key::Newest(first.as_i64()?),
        Sort::PriceAsc => Key::PriceAsc(first.as_i64()?),
        Sort::PriceDesc => Key::PriceDesc(first.as_i64()?),
        Sort::Name => Key::Name(first.as_str()?.to_owned()),
    })
}

/// Scores are whole numbers, but written as floating point.
#[expect(clippy::cast_possible_truncation, reason = "far below 2^53")]
fn whole(value: &Value) -> Option<i64> {
    value
        .as_i64()
        .or_else(|| value.as_f64().map(|score| score.round() as i64))
}
