//! Indices and the alias: making, filling, swapping, removing.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use reqwest::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use uuid::Uuid;

use super::client::{Body, ElasticError, Request, WRITE_TIMEOUT, refusal_of_part};
use super::{ElasticSearch, document, mapping, reading};
use crate::search::IndexChange;

/// Documents of one bulk request.
const BULK_DOCUMENTS_MAX: usize = 500;
/// Bytes of one bulk request; one document may have more, since a product may have two megabytes of attributes.
const BULK_BYTES_MAX: usize = 4 << 20;
/// The status of an item whose version is not newer than what is there: nothing to do, and that is success.
const CONFLICT: u16 = 409;

/// What an index says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its name.
    pub name: String,
    /// Which database its products are from; none in what others made.
    pub history: Option<Uuid>,
    /// Its settings and mapping; none in what others made.
    pub mapping: Option<String>,
}

#[derive(Deserialize)]
struct Described {
    mappings: Mappings,
}

#[derive(Deserialize)]
struct Mappings {
    #[serde(rename = "_meta", default)]
    meta: Meta,
}

#[derive(Deserialize, Default)]
struct Meta {
    history: Option<Uuid>,
    mapping: Option<String>,
}

#[derive(Deserialize)]
struct BulkAnswer {
    errors: bool,
    #[serde(default)]
    items: Vec<HashMap<String, BulkItem>>,
}

#[derive(Deserialize)]
struct BulkItem {
    status: u16,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Shards {
    #[serde(rename = "_all")]
    all: AllStats,
}

#[derive(Deserialize)]
struct AllStats {
    primaries: Primaries,
}

#[derive(Deserialize)]
struct Primaries {
    store: StoreStats,
}

#[derive(Deserialize)]
struct StoreStats {
    size_in_bytes: i64,
}

/// The id of the document that says how far an index is; products have UUIDs.
const POSITION: &str = "position";

#[derive(Deserialize)]
struct Versioned {
    #[serde(rename = "_version")]
    version: i64,
}

impl ElasticSearch {
    /// A name for a new index.
    pub fn new_index_name(&self) -> String {
        format!("{}-{}", self.alias(), Uuid::now_v7().simple())
    }

    /// Makes an empty index.
    pub async fn create(&self, index: &str, history: Uuid) -> Result<(), ElasticError> {
        let body = Body::Json(mapping::creation(history));
        self.change("create index", Method::PUT, index, body, "PUT /{index}")
            .await
    }

    /// The index that the alias names. `None`: there is no such alias.
    pub async fn serving(&self) -> Result<Option<Identity>, ElasticError> {
        // An index of the alias's own name would be somebody's mistake: no swap could ever replace it.
        let found = self.identities(self.alias()).await?;
        Ok(found.into_iter().find(|index| index.name != self.alias()))
    }

    /// What an index says of itself. `None`: there is no such index.
    pub async fn identity(&self, index: &str) -> Result<Option<Identity>, ElasticError> {
        Ok(self.identities(index).await?.pop())
    }

    /// All indices of this alias, whether it names them or not.
    pub async fn indices(&self) -> Result<Vec<Identity>, ElasticError> {
        let mut found = self.identities(&format!("{}-*", self.alias())).await?;
        // Another shop's prefix may begin with this one's alias; a name that this code gives ends with a UUID.
        found.retain(|index| {
            let rest = index
                .name
                .strip_prefix(self.alias())
                .and_then(|rest| rest.strip_prefix('-'));
            rest.is_some_and(|rest| Uuid::try_parse(rest).is_ok())
        });
        Ok(found)
    }

    async fn identities(&self, pattern: &str) -> Result<Vec<Identity>, ElasticError> {
        let path = format!("{pattern}/_mapping");
        let request = reading(
            "get mapping",
            Method::GET,
            &path,
            Body::None,
            "GET /{alias}/_mapping",
        );
        let answer: BTreeMap<String, Described> = match self.client.send(request, |_| 1).await {
            Err(ElasticError::NotFound) => return Ok(Vec::new()),
            answer => answer?,
        };
        let identity = |(name, described): (String, Described)| Identity {
            name,
            history: described.mappings.meta.history,
            mapping: described.mappings.meta.mapping,
        };
        Ok(answer.into_iter().map(identity).collect())
    }

    /// Writes changes into one index, with the products' versions as external versions: what is not newer than what is there
    /// changes nothing. Gives how many of them were newer.
    pub async fn write(&self, index: &str, changes: &[IndexChange]) -> Result<u64, ElasticError> {
        let mut written = 0;
        let mut lines = String::new();
        let mut documents = 0;
        for change in changes {
            let action = json!({"index": {"_id": change.id(), "version": change.version(), "version_type": "external"}});
            let _ = writeln!(lines, "{action}\n{}", document::source(change));
            documents += 1;
            if documents >= BULK_DOCUMENTS_MAX || lines.len() >= BULK_BYTES_MAX {
                written += self.bulk(index, std::mem::take(&mut lines)).await?;
                documents = 0;
            }
        }
        if documents > 0 {
            written += self.bulk(index, lines).await?;
        }
        Ok(written)
    }

    async fn bulk(&self, index: &str, lines: String) -> Result<u64, ElasticError> {
        let path = format!(
            "{index}/_bulk?filter_path=errors,items.*.status,items.*.error.type,items.*.error.reason"
        );
        let request = Request {
            operation: "bulk",
            method: Method::POST,
            path: &path,
            body: Body::Lines(lines),
            text: "POST /{index}/_bulk {\"index\":{\"_id\":\"?\",\"version\":\"?\",\"version_type\":\"external\"}}",
            timeout: WRITE_TIMEOUT,
        };
        let answer: BulkAnswer = self
            .client
            .send(request, |answer: &BulkAnswer| answer.items.len() as u64)
            .await?;
        let mut written = 0;
        for item in answer.items.iter().flat_map(HashMap::values) {
            match &item.error {
                None => written += 1,
                Some(_) if item.status == CONFLICT => {}
                Some(error) => return Err(refusal_of_part(item.status, error)),
            }
        }
        if answer.errors || !answer.items.is_empty() {
            return Ok(written);
        }
        Err(ElasticError::Unreadable("a bulk answer without items".to_owned()))
    }

    /// Notes in an index how much of the history is in it, and never less than was noted before. The database notes that too;
    /// but a database that was restored from a backup has forgotten what came after it, and only the index can tell.
    pub async fn note_position(&self, index: &str, position: i64) -> Result<(), ElasticError> {
        let action = json!({"index": {"_id": POSITION, "version": position, "version_type": "external_gte"}});
        let note = json!({"version": position, "listed": false});
        self.bulk(index, format!("{action}\n{note}\n")).await.map(drop)
    }

    /// How much of the history an index says it has; 0 when it says nothing.
    pub async fn position(&self, index: &str) -> Result<i64, ElasticError> {
        let path = format!("{index}/_doc/{POSITION}?filter_path=_version");
        let text = "GET /{index}/_doc/position";
        let request = reading("get position", Method::GET, &path, Body::None, text);
        match self.client.send(request, |_: &Versioned| 1).await {
            Ok(found) => Ok(found.version),
            Err(ElasticError::NotFound) => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Makes everything written so far visible to searches.
    pub async fn refresh(&self, index: &str) -> Result<(), ElasticError> {
        let path = format!("{index}/_refresh");
        self.change(
            "refresh",
            Method::POST,
            &path,
            Body::None,
            "POST /{index}/_refresh",
        )
        .await
    }

    /// Lets the alias name this index and no other, in one step that searches see the whole of or nothing.
    pub async fn swap(&self, index: &str) -> Result<(), ElasticError> {
        let alias = self.alias();
        let all = format!("{alias}-*");
        let body = Body::Json(json!({"actions": [
            {"remove": {"index": all, "alias": alias, "must_exist": false}},
            {"add": {"index": index, "alias": alias}},
        ]}));
        let text =
            r#"POST /_aliases {"actions":[{"remove":{"index":"{alias}-*"}},{"add":{"index":"{index}"}}]}"#;
        self.change("swap alias", Method::POST, "_aliases", body, text)
            .await
    }

    /// Removes an index; one that is not there is removed already.
    pub async fn drop_index(&self, index: &str) -> Result<(), ElasticError> {
        match self
            .change(
                "delete index",
                Method::DELETE,
                index,
                Body::None,
                "DELETE /{index}",
            )
            .await
        {
            Err(ElasticError::NotFound) => Ok(()),
            done => done,
        }
    }

    /// Bytes of the index that serves, without replicas.
    pub async fn size_bytes(&self) -> Result<i64, ElasticError> {
        let path = format!(
            "{}/_stats/store?filter_path=_all.primaries.store.size_in_bytes",
            self.alias()
        );
        let request = reading(
            "stats",
            Method::GET,
            &path,
            Body::None,
            "GET /{alias}/_stats/store",
        );
        let stats: Shards = self.client.send(request, |_| 1).await?;
        Ok(stats.all.primaries.store.size_in_bytes)
    }

    async fn change(
        &self,
        operation: &'static str,
        method: Method,
        path: &str,
        body: Body,
        text: &str,
    ) -> Result<(), ElasticError> {
        let request = Request {
            operation,
            method,
            path,
            body,
            text,
            timeout: WRITE_TIMEOUT,
        };
        self.client.send(request, |_: &IgnoredAny| 0).await.map(drop)
    }
}
