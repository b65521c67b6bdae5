//! The listed products of the index that serves, in the order of their ids, as they are kept: to compare with another index.

use std::collections::BTreeMap;

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::client::{Body, ElasticError, Request, WRITE_TIMEOUT};
use super::{ELASTICSEARCH, ElasticSearch};
use crate::search::Row;

/// Attempts with fewer and fewer documents: one product may have two megabytes of attributes, and answers are bounded.
const SMALLER: [usize; 3] = [1, 20, 200];

#[derive(Deserialize)]
struct Answer {
    timed_out: bool,
    #[serde(rename = "_shards")]
    shards: Shards,
    hits: Hits,
}

#[derive(Deserialize)]
struct Shards {
    failed: u32,
}

#[derive(Deserialize)]
struct Hits {
    hits: Vec<Hit>,
}

#[derive(Deserialize)]
struct Hit {
    #[serde(rename = "_id")]
    id: Uuid,
    #[serde(rename = "_source")]
    source: BTreeMap<String, Value>,
}

impl ElasticSearch {
    /// The products after `after` and up to `upto`, the first `max` of them.
    pub async fn rows(&self, after: Uuid, upto: Option<Uuid>, max: usize) -> Result<Vec<Row>, ElasticError> {
        let mut rows: Vec<Row> = Vec::new();
        while rows.len() < max {
            let from = rows.last().map_or(after, |row| row.id);
            let wanted = max - rows.len();
            let (some, asked) = self.some_rows(from, upto, wanted).await?;
            let is_end = some.len() < asked;
            rows.extend(some);
            if is_end {
                break;
            }
        }
        Ok(rows)
    }

    /// Some of them, and how many were asked for.
    async fn some_rows(
        &self,
        after: Uuid,
        upto: Option<Uuid>,
        max: usize,
    ) -> Result<(Vec<Row>, usize), ElasticError> {
        let mut smaller = SMALLER.to_vec();
        let mut size = max;
        loop {
            match self.page_of_rows(after, upto, size).await {
                Err(ElasticError::TooLong) if !smaller.is_empty() => {
                    size = smaller.pop().map_or(1, |less| less.min(size));
                }
                rows => return Ok((rows?, size)),
            }
        }
    }

    async fn page_of_rows(
        &self,
        after: Uuid,
        upto: Option<Uuid>,
        size: usize,
    ) -> Result<Vec<Row>, ElasticError> {
        let mut range = json!({"gt": after});
        if let Some(upto) = upto {
            range["lte"] = json!(upto);
        }
        let body = json!({
            "size": size, "track_total_hits": false, "sort": [{"id": "asc"}],
            "query": {"bool": {"filter": [{"term": {"listed": {"value": true}}}, {"range": {"id": range}}]}},
        });
        let path = format!("{}/_search", self.alias());
        let request = Request {
            operation: "list",
            method: Method::POST,
            path: &path,
            body: Body::Json(body),
            text: r#"POST /{alias}/_search {"sort":[{"id":"asc"}],"query":{"bool":{"filter":[{"term":{"listed":"?"}},{"range":{"id":"?"}}]}}}"#,
            timeout: WRITE_TIMEOUT,
        };
        let rows = |answer: &Answer| answer.hits.hits.len() as u64;
        let answer: Answer = self.client.send(request, rows).await?;
        if answer.timed_out || answer.shards.failed > 0 {
            return Err(ElasticError::Unavailable(format!(
                "{ELASTICSEARCH} did not list everything"
            )));
        }
        let row = |hit: Hit| Row::of(hit.id, &hit.source);
        Ok(answer.hits.hits.into_iter().map(row).collect())
    }
}
